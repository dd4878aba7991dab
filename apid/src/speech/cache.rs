//! What was spoken lately, so that a prompt is made once and not at each call.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// What makes two utterances the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) voice: String,
    pub(super) speed_wpm: u16,
    pub(super) pitch: u8,
    pub(super) text: String,
}

/// Audio by what it says; the one unused for longest gives way.
#[derive(Debug)]
pub(super) struct Cache {
    bytes_max: usize,
    bytes: usize,
    known: HashMap<Key, Arc<[i16]>>,
    /// Least recently used first.
    order: VecDeque<Key>,
}

impl Cache {
    /// Of so many bytes of audio at most.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, bytes: 0, known: HashMap::new(), order: VecDeque::new() }
    }

    pub(super) fn get(&mut self, key: &Key) -> Option<Arc<[i16]>> {
        let samples = self.known.get(key)?.clone();
        self.order.retain(|other| other != key);
        self.order.push_back(key.clone());
        Some(samples)
    }

    pub(super) fn keep(&mut self, key: Key, samples: Arc<[i16]>) {
        let size = samples.len() * 2;
        if size > self.bytes_max || self.known.contains_key(&key) {
            return;
        }
        self.bytes += size;
        self.order.push_back(key.clone());
        self.known.insert(key, samples);
        while self.bytes > self.bytes_max {
            let Some(oldest) = self.order.pop_front() else { break };
            let gone = self.known.remove(&oldest);
            self.bytes -= gone.map_or(0, |samples| samples.len() * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key { voice: "en".to_owned(), speed_wpm: 160, pitch: 50, text: text.to_owned() }
    }

    #[test]
    fn the_one_unused_for_longest_gives_way() {
        let mut cache = Cache::new(400);
        cache.keep(key("a"), vec![0; 100].into());
        cache.keep(key("b"), vec![0; 100].into());
        assert!(cache.get(&key("a")).is_some());
        cache.keep(key("c"), vec![0; 50].into());
        assert!(cache.get(&key("b")).is_none() && cache.get(&key("a")).is_some());
        cache.keep(key("d"), vec![0; 201].into());
        assert!(cache.get(&key("d")).is_none(), "more than everything is not kept");
        assert_eq!(cache.bytes, 300);
    }
}
