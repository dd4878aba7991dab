//! The line table: one stamped slot a line, written by its frame loop, read by anybody.

use crate::layout::ROW_WORDS;
use crate::line_table::LineRow;
use crate::overwriting_ring::{read_stamped, write_stamped};
use crate::sync::{ReadWords, WriteWords};
use crate::wire;

/// A row is rewritten every 20 ms at most; who meets a writer this often reads no row of ours.
const TRIES: usize = 1000;

/// Writes the row of one line.
///
/// Real-time: never allocates, waits or panics; its frame loop only.
#[derive(Debug)]
pub struct LineWriter {
    row: WriteWords,
    stamp: u64,
}

impl LineWriter {
    /// Over a row of the uplink.
    #[cfg_attr(loom, expect(dead_code, reason = "the model has no segments"))]
    pub(crate) fn new(row: WriteWords) -> Self {
        Self { row, stamp: 0 }
    }

    /// Replaces the row.
    pub fn publish(&mut self, row: &LineRow) {
        // `None` cannot be: the golden test encodes the largest row there is.
        if let Some(words) = wire::encode::<_, { ROW_WORDS - 1 }>(row) {
            self.stamp = self.stamp.wrapping_add(2);
            write_stamped(&self.row, 0, self.stamp, &words);
        }
    }
}

/// Reads the row of one line.
#[derive(Clone, Debug)]
pub struct LineReader {
    row: ReadWords,
}

impl LineReader {
    /// Over a row of the uplink.
    #[cfg_attr(loom, expect(dead_code, reason = "the model has no segments"))]
    pub(crate) fn new(row: ReadWords) -> Self {
        Self { row }
    }

    /// The row as it is now; `None` before it was first written, and where what lies there is no
    /// row. Tries again while the row is being written, a bounded number of times.
    pub fn read(&self) -> Option<LineRow> {
        let mut words = [0; ROW_WORDS - 1];
        for _ in 0..TRIES {
            if let Some(stamp) = read_stamped(&self.row, 0, &mut words) {
                return if stamp == 0 { None } else { wire::decode(&words) };
            }
            std::hint::spin_loop();
        }
        None
    }
}
