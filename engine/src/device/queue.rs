//! First in, first out, within a fixed room: what devices have to tell and to do.

/// A bounded queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queue<T, const N: usize> {
    places: [Option<T>; N],
    first: usize,
    len: usize,
}

impl<T: Copy, const N: usize> Queue<T, N> {
    pub(super) fn new() -> Self {
        Self { places: [None; N], first: 0, len: 0 }
    }

    /// `false` if it is full.
    pub(super) fn push(&mut self, value: T) -> bool {
        let room = self.len < N;
        if room {
            self.places[(self.first + self.len) % N] = Some(value);
            self.len += 1;
        }
        room
    }

    /// Makes it the first again; what is popped may be put back.
    pub(super) fn put_back(&mut self, value: T) {
        self.first = (self.first + N - 1) % N;
        self.places[self.first] = Some(value);
        self.len = (self.len + 1).min(N);
    }

    pub(super) fn first(&self) -> Option<T> {
        if self.len == 0 { None } else { self.places[self.first] }
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        let value = self.first();
        if value.is_some() {
            self.first = (self.first + 1) % N;
            self.len -= 1;
        }
        value
    }

    pub(super) fn clear(&mut self) {
        self.len = 0;
    }
}
