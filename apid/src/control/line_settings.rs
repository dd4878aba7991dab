//! What is set of lines while they are in use.

use super::{Control, Refused, lock};
use crate::auth::{Caller, Scope};
use crate::view::{LineSettings, LineSettingsPatch};
use tipring_shm_proto::command::Command;
use tipring_shm_proto::line_table::LineRow;
use tipring_shm_proto::units::LineId;

impl Control {
    /// The settings of a line, as the engine has them. Needs `read`.
    ///
    /// # Errors
    /// `EngineAway`, and as [`Control::line`].
    pub fn line_settings(&self, caller: &Caller, line: &str) -> Result<LineSettings, Refused> {
        Ok((&self.attached(caller, Scope::Read, line)?.row.settings).into())
    }

    /// Changes settings of a line from its next frame on, and those of every later engine; what is
    /// left out stays. Gives all of them. Needs `control`.
    ///
    /// # Errors
    /// `Invalid`, and as [`Control::stop_ring`].
    pub async fn set_line(
        &self,
        caller: &Caller,
        line: &str,
        patch: &LineSettingsPatch,
    ) -> Result<LineSettings, Refused> {
        let at = self.attached(caller, Scope::Control, line)?;
        let settings = patch
            .applied(at.row.settings)
            .map_err(|(field, reason)| Refused::Invalid { field, reason })?;
        let asked = self.ask(at.engine, Command::LineSettings(settings)).await;
        // All else was checked here: only the engine knows its countries.
        asked.map_err(|refused| match refused {
            Refused::Invalid { .. } => Refused::Invalid {
                field: "country",
                reason: "the engine has no tones of this country".to_owned(),
            },
            other => other,
        })?;
        lock(&self.0.line_settings).insert(at.entry.id, settings);
        Ok((&settings).into())
    }

    /// A new engine is told what was set in the one before.
    pub(super) fn restore_line_settings(&self, rows: &[(LineId, LineRow)]) {
        let known = lock(&self.0.line_settings).clone();
        let other: Vec<_> = rows
            .iter()
            .filter_map(|(line, row)| {
                let id = self.directory().of_engine(*line)?.id.clone();
                known.get(&id).filter(|settings| **settings != row.settings).map(|s| (*line, *s))
            })
            .collect();
        let control = self.clone();
        self.0.runtime.spawn(async move {
            for (line, settings) in other {
                if let Err(refused) = control.ask(line, Command::LineSettings(settings)).await {
                    tracing::warn!(line = line.0, "settings of a line are lost: {refused:?}");
                }
            }
        });
    }
}
