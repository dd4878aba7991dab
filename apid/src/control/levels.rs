//! What the meters of the lines say.

use super::access::need;
use super::{Control, Refused};
use crate::auth::{Caller, Scope};
use crate::engine_link::wall;
use crate::view::{Levels, LineLevels};
use std::time::Duration;
use tipring_shm_proto::line_table::{LineRow, MeterRow};

/// How often the engine's meters are read: 100 ms.
pub const LEVELS_EVERY: Duration = Duration::from_millis(100);

impl Control {
    /// Levels of a line as they are now. Needs `read`.
    ///
    /// # Errors
    /// `EngineAway`, and as [`Control::line`].
    pub fn levels(&self, caller: &Caller, line: &str) -> Result<LineLevels, Refused> {
        let at = self.attached(caller, Scope::Read, line)?;
        Ok(levels(&at.entry.id, &at.row))
    }

    /// Levels of every line the caller may see, of those in `wanted` where that names any, that has
    /// something to measure. Needs `read`.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn levels_in_use(
        &self,
        caller: &Caller,
        wanted: &[String],
    ) -> Result<Vec<LineLevels>, Refused> {
        need(caller, Scope::Read)?;
        let directory = self.directory();
        let entries = directory.entries().filter(|entry| {
            caller.sees(&entry.id) && (wanted.is_empty() || wanted.contains(&entry.id))
        });
        let rows = entries.filter_map(|entry| Some((entry, self.0.link.row(entry.engine?)?)));
        let heard = rows.filter(|(_, row)| {
            [row.rx_meter, row.tx_meter].iter().any(|meter| *meter != MeterRow::SILENCE)
        });
        Ok(heard.map(|(entry, row)| levels(&entry.id, &row)).collect())
    }
}

fn levels(line: &str, row: &LineRow) -> LineLevels {
    LineLevels {
        line: line.to_owned(),
        timestamp: wall(row.written_at),
        rx: of_meter(&row.rx_meter),
        tx: of_meter(&row.tx_meter),
    }
}

fn of_meter(meter: &MeterRow) -> Levels {
    Levels {
        level_dbm0: f64::from(meter.level.0) / 10.0,
        peak_dbm0: f64::from(meter.peak.0) / 10.0,
        dc_offset: meter.dc,
        clipped_samples: meter.clipped_samples,
        active_speech_dbm0: meter.active_speech.map(|level| f64::from(level.0) / 10.0),
        activity_percent: meter.activity_percent,
    }
}
