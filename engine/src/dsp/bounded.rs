//! A short list that never allocates: what a tick gives back.

/// At most `N` items, in order of arrival.
#[derive(Clone, Copy, Debug)]
pub struct Bounded<T, const N: usize> {
    len: usize,
    items: [Option<T>; N],
}

impl<T: Copy, const N: usize> Bounded<T, N> {
    /// The empty list.
    pub const fn new() -> Self {
        Self { len: 0, items: [None; N] }
    }

    /// Adds `item`; `false`, and nothing changed, when the list is full.
    pub const fn push(&mut self, item: T) -> bool {
        if self.len == N {
            return false;
        }
        self.items[self.len] = Some(item);
        self.len += 1;
        true
    }

    /// The items, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        self.items[..self.len].iter().flatten().copied()
    }

    /// The item that came as the `index`-th, from 0.
    pub fn get(&self, index: usize) -> Option<T> {
        self.items[..self.len].get(index).copied().flatten()
    }

    /// Forgets all items.
    pub const fn clear(&mut self) {
        self.len = 0;
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<T: Copy, const N: usize> Default for Bounded<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, const N: usize> IntoIterator for Bounded<T, N> {
    type Item = T;
    type IntoIter = std::iter::Flatten<std::array::IntoIter<Option<T>, N>>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_first_n_in_order() {
        let mut list = Bounded::<u8, 3>::new();
        assert!(list.is_empty());
        assert_eq!([1, 2, 3, 4].map(|item| list.push(item)), [true, true, true, false]);
        assert_eq!(list.len(), 3);
        assert!(list.iter().eq([1, 2, 3]));
        assert!(list.into_iter().eq([1, 2, 3]));
    }
}
