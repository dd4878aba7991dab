//! Both processes together, with phones nobody here wrote.
