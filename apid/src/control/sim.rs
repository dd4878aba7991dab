//! The simulated phone: what its user does, and what happens to its card. Needs `control`; faults
//! need `admin`.
#![expect(clippy::unused_async, reason = "surfaces need not know which of these wait")]

use super::access::Attached;
use super::lines::digits_of;
use super::refused::invalid;
use super::{Control, PlayOptions, PlaySource, Refused, lock};
use crate::auth::{Caller, Scope};
use crate::view::{DialMethod, ScriptStep};
use std::time::Duration;
use tipring_shm_proto::command::{Command, Digits, LineState, PlayPath, SimAction};
use tipring_shm_proto::units::LineId;

/// Steps of one script.
const STEPS: usize = 64;
/// A tone pressed by the user of a simulated phone, and the pause after it, ms.
const KEY_MS: u16 = 80;
/// How long a handset takes at most until the line has judged it.
const JUDGED: Duration = Duration::from_secs(2);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(5);

impl Control {
    fn simulated(&self, caller: &Caller, line: &str) -> Result<Attached, Refused> {
        let at = self.attached(caller, Scope::Control, line)?;
        at.need_sim()?;
        Ok(at)
    }

    /// Lifts the handset or puts it down; returns when the line has taken it (or 2 s have
    /// passed).
    ///
    /// # Errors
    /// `WrongKind` for a line that is not simulated, `EngineAway`, `TimedOut`, and as
    /// [`Control::line`].
    pub async fn sim_hook(&self, caller: &Caller, line: &str, off: bool) -> Result<(), Refused> {
        let at = self.simulated(caller, line)?;
        self.ask(at.engine, Command::Sim(SimAction::Hook { off, bounce_ms: 0 })).await?;
        let judged = async {
            loop {
                let row = self.0.link.row(at.engine).ok_or(Refused::EngineAway)?;
                let lifted = match row.state.value {
                    LineState::OffHook => Some(true),
                    LineState::OnHook => Some(false),
                    LineState::Ringing => (!off).then_some(false),
                    // Nothing is judged there.
                    LineState::Offline | LineState::Fault => return Ok(()),
                };
                if lifted == Some(off) {
                    return Ok(());
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        // A line that takes its time has still been told.
        tokio::time::timeout(JUDGED, judged).await.unwrap_or(Ok(()))
    }

    /// Dials.
    ///
    /// # Errors
    /// `Invalid` for what is no digit, or none that a dial has; and as [`Control::sim_hook`].
    pub async fn sim_dial(
        &self,
        caller: &Caller,
        line: &str,
        digits: &str,
        method: DialMethod,
    ) -> Result<(), Refused> {
        let at = self.simulated(caller, line)?;
        let dial = dial(digits, method)?;
        self.ask(at.engine, Command::Sim(dial)).await.map(|_| ())
    }

    /// Presses the hook switch for `ms` (10 to 2000; 500 where none is given).
    ///
    /// # Errors
    /// As [`Control::sim_hook`].
    pub async fn sim_flash(
        &self,
        caller: &Caller,
        line: &str,
        ms: Option<u16>,
    ) -> Result<(), Refused> {
        let at = self.simulated(caller, line)?;
        let flash = flash(ms.unwrap_or(500))?;
        self.ask(at.engine, Command::Sim(flash)).await.map(|_| ())
    }

    /// Speaks into the microphone; gives the playback's id.
    ///
    /// # Errors
    /// As [`Control::play`] and [`Control::sim_hook`].
    pub async fn sim_speak(
        &self,
        caller: &Caller,
        line: &str,
        source: PlaySource,
    ) -> Result<String, Refused> {
        let at = self.simulated(caller, line)?;
        self.play_on(&at, source, PlayOptions::default(), PlayPath::Microphone).await
    }

    /// Does up to 64 steps in turn; returns when all are checked and the first has begun. A step
    /// that the engine refuses ends the script and is told as an `error`.
    ///
    /// # Errors
    /// `Invalid` naming the step, `Full` while another script runs on that line, `Forbidden` for
    /// faults without `admin`, and as [`Control::sim_hook`].
    pub async fn sim_script(
        &self,
        caller: &Caller,
        line: &str,
        steps: Vec<ScriptStep>,
    ) -> Result<(), Refused> {
        let at = self.simulated(caller, line)?;
        if steps.is_empty() || steps.len() > STEPS {
            return Err(invalid("steps", "allowed are 1 to 64 steps"));
        }
        let mut checked = Vec::with_capacity(steps.len());
        for (index, step) in steps.iter().enumerate() {
            let faulty = matches!(
                step,
                ScriptStep::Voltage { .. }
                    | ScriptStep::Alarm { .. }
                    | ScriptStep::Temperature { .. }
                    | ScriptStep::Fail { .. }
            );
            if faulty && !caller.may(Scope::Admin) {
                return Err(Refused::Forbidden { scope: Scope::Admin });
            }
            let step = step_of(step).map_err(|refused| match refused {
                Refused::Invalid { field, reason } => Refused::Invalid {
                    field: "steps",
                    reason: format!("step {}: {field}: {reason}", index + 1),
                },
                other => other,
            })?;
            checked.push(step);
        }
        if !lock(&self.0.scripts).insert(line.to_owned()) {
            return Err(Refused::Full { what: "scripts on this line" });
        }
        let (control, line, engine) = (self.clone(), line.to_owned(), at.engine);
        self.0.runtime.spawn(async move {
            if let Err(refused) = control.run_script(engine, checked).await {
                let message = format!("a script of the simulated phone ended: {refused}");
                control.report_error(Some(&line), "script_failed", &message);
            }
            lock(&control.0.scripts).remove(&line);
        });
        Ok(())
    }

    async fn run_script(&self, engine: LineId, steps: Vec<Step>) -> Result<(), Refused> {
        for step in steps {
            match step {
                Step::Wait(ms) => tokio::time::sleep(Duration::from_millis(ms.into())).await,
                Step::Do(action) => {
                    self.ask(engine, Command::Sim(action)).await?;
                }
            }
        }
        Ok(())
    }
}

enum Step {
    Wait(u32),
    Do(SimAction),
}

fn step_of(step: &ScriptStep) -> Result<Step, Refused> {
    Ok(Step::Do(match *step {
        ScriptStep::Wait { ms } if ms <= 60_000 => return Ok(Step::Wait(ms)),
        ScriptStep::Wait { .. } => return Err(invalid("ms", "allowed is 0 to 60000")),
        ScriptStep::Hook { off, bounce_ms } if bounce_ms <= 50 => {
            SimAction::Hook { off, bounce_ms }
        }
        ScriptStep::Hook { .. } => return Err(invalid("bounce_ms", "allowed is 0 to 50")),
        ScriptStep::Dial { ref digits, method } => dial(digits, method)?,
        ScriptStep::Flash { ms } => flash(ms)?,
        ScriptStep::Voltage { voltage } if voltage.abs() <= 200.0 => {
            SimAction::Voltage((voltage * 1000.0).round() as i32)
        }
        ScriptStep::Voltage { .. } => return Err(invalid("voltage", "allowed is -200 to 200")),
        ScriptStep::Alarm { active } => SimAction::Alarm(active),
        ScriptStep::Temperature { celsius } if (-50.0..=200.0).contains(&celsius) => {
            SimAction::Temperature((celsius * 10.0).round() as i16)
        }
        ScriptStep::Temperature { .. } => return Err(invalid("celsius", "allowed is -50 to 200")),
        ScriptStep::Fail { lost } => SimAction::Fail(lost),
    }))
}

fn dial(digits: &str, method: DialMethod) -> Result<SimAction, Refused> {
    let checked: Digits = digits_of(digits)?;
    match method {
        DialMethod::Dtmf => {
            Ok(SimAction::DialTones { digits: checked, on_ms: KEY_MS, off_ms: KEY_MS })
        }
        DialMethod::Pulse if digits.bytes().all(|c| c.is_ascii_digit()) => {
            Ok(SimAction::DialPulses { digits: checked })
        }
        DialMethod::Pulse => Err(invalid("digits", "a dial has 0-9 only")),
    }
}

fn flash(ms: u16) -> Result<SimAction, Refused> {
    if (10..=2000).contains(&ms) {
        Ok(SimAction::Flash { ms })
    } else {
        Err(invalid("ms", "allowed is 10 to 2000"))
    }
}
