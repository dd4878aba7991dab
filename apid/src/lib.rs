//! The unprivileged half of Tipring.
