//! Lines: look, ring, dial, hang up.

use super::access::{kind, need};
use super::refused::invalid;
use super::{Control, LineEntry, Refused, cadences, lock, moment};
use crate::auth::{Caller, Scope};
use crate::call::{Busy, Cause, RingOrder};
use crate::engine_link::{now, wall};
use crate::view::{
    DiversionView, Hook, HookSource, Line, LineDiagnostics, LineState, Playback, RingRequest,
    Timestamp,
};
use std::time::Duration;
use tipring_shm_proto::command::{Command, Digits, SimAction};
use tipring_shm_proto::line_table::LineRow;
use tokio::sync::oneshot;

/// How long a line may take at most until its last call is cleared, and how often that is looked
/// at.
const SETTLED: Duration = Duration::from_secs(1);
const SETTLE_LOOK: Duration = Duration::from_millis(5);

impl Control {
    /// All lines the caller may see, in the order of the configuration. Needs `read`.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn lines(&self, caller: &Caller) -> Result<Vec<Line>, Refused> {
        need(caller, Scope::Read)?;
        let entries: Vec<LineEntry> =
            self.directory().entries().filter(|e| caller.sees(&e.id)).cloned().collect();
        Ok(entries.iter().map(|entry| self.view(entry)).collect())
    }

    /// One line. Needs `read`.
    ///
    /// # Errors
    /// `Forbidden`, `NoSuchLine`.
    pub fn line(&self, caller: &Caller, line: &str) -> Result<Line, Refused> {
        need(caller, Scope::Read)?;
        Ok(self.view(&self.entry(caller, line)?))
    }

    /// The first line the caller may see: what the compatibility routes act on.
    ///
    /// # Errors
    /// `NoSuchLine`.
    pub fn first_line(&self, caller: &Caller) -> Result<String, Refused> {
        let directory = self.directory();
        let first = directory.entries().find(|entry| caller.sees(&entry.id));
        first.map(|entry| entry.id.clone()).ok_or(Refused::NoSuchLine)
    }

    pub(super) fn view(&self, entry: &LineEntry) -> Line {
        let row = entry.engine.and_then(|engine| self.0.link.row(engine));
        let registered = entry
            .sip
            .then(|| self.signalling().registration(&entry.id).is_some_and(|r| r.registered));
        let call_id = lock(&self.0.switch).call_of(&entry.id).map(|call| call.to_string());
        line_view(entry, row.as_ref(), registered, call_id, self.0.started_at)
    }

    /// Rings a phone until it is answered, stopped or the time is out; gives the call's id.
    /// Needs `control`.
    ///
    /// # Errors
    /// `LineBusy` when it is not on hook, `Invalid`, `EngineAway`, `TimedOut`, `Full` when too
    /// many lines ring, `Signalling`, and as [`Control::line`].
    pub async fn ring(
        &self,
        caller: &Caller,
        line: &str,
        request: RingRequest,
    ) -> Result<String, Refused> {
        let at = self.attached(caller, Scope::Control, line)?;
        let order =
            self.ring_order(request.cadence.as_ref(), request.caller_id, request.timeout_ms)?;
        self.settle(&[line]).await;
        let (told, outcome) = oneshot::channel();
        let call = {
            let mut switch = lock(&self.0.switch);
            let (call, actions) =
                switch.ring(line, order, moment(&self.0)).map_err(|busy| refused(busy, line))?;
            lock(&self.0.ring_waiters).insert(call, told);
            self.apply(&mut switch, actions);
            call
        };
        match outcome.await {
            Ok(Ok(())) => Ok(call.to_string()),
            Ok(Err(refused)) => Err(refused),
            // The call was over before its turn came.
            Err(_) => Err(Refused::WrongState { state: self.view(&at.entry).state }),
        }
    }

    /// A line that has just been hung up is told to be on hook a moment before its last call is
    /// cleared: waits for that moment.
    pub(super) async fn settle(&self, lines: &[&str]) {
        let settled = async {
            while lines.iter().any(|line| self.is_settling(line)) {
                tokio::time::sleep(SETTLE_LOOK).await;
            }
        };
        // What takes longer is busy.
        let _ = tokio::time::timeout(SETTLED, settled).await;
    }

    fn is_settling(&self, line: &str) -> bool {
        let engine = self.directory().get(line).and_then(|entry| entry.engine);
        let row = engine.and_then(|engine| self.0.link.row(engine));
        let on_hook = tipring_shm_proto::command::LineState::OnHook;
        row.is_some_and(|row| row.state.value == on_hook)
            && lock(&self.0.switch).is_being_cleared(line)
    }

    /// Waits, half a second at most, while the engine and the phone carry out the end of a line's
    /// last call: who rings right after `ring_stop` need not be told that it is busy.
    pub(super) async fn let_clear(&self, line: &str) {
        for _ in 0..100 {
            if !lock(&self.0.switch).is_clearing(line) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    pub(super) fn ring_order(
        &self,
        cadence: Option<&crate::view::CadenceChoice>,
        caller_id: Option<crate::view::CallerIdView>,
        timeout_ms: Option<u32>,
    ) -> Result<RingOrder, Refused> {
        let caller = caller_id.unwrap_or_default();
        if caller.number.len() > 32 || caller.name.len() > 32 {
            return Err(invalid("caller_id", "number and name are at most 32 octets each"));
        }
        let default = lock(&self.0.switch).default_timeout_ms();
        let timeout_ms = timeout_ms.unwrap_or(default);
        if !(1..=600_000).contains(&timeout_ms) {
            return Err(invalid("timeout_ms", "allowed is 1 to 600000"));
        }
        let cadence_ms = cadences::cadence(cadence)?;
        Ok(RingOrder { caller, timeout_ms, cadence_ms })
    }

    /// Stops the bell, and ends the call it rang for. Needs `control`.
    ///
    /// # Errors
    /// `WrongState` when it does not ring, `EngineAway`, `TimedOut`, and as [`Control::line`].
    pub async fn stop_ring(&self, caller: &Caller, line: &str) -> Result<(), Refused> {
        use tipring_shm_proto::command::LineState::{OnHook, Ringing};
        let at = self.attached(caller, Scope::Control, line)?;
        // The row may be a tick older than the `ring_start` that the caller has seen: on hook, the
        // call or else the engine knows whether it rings.
        let state = at.row.state.value;
        if !matches!(state, OnHook | Ringing) {
            return Err(Refused::WrongState { state: state.into() });
        }
        if self.end_line_call(line, Cause::NormalClearing) {
            return Ok(());
        }
        self.ask(at.engine, Command::StopRing).await.map(|_| ())
    }

    /// Ends the call of a line, if it has one.
    fn end_line_call(&self, line: &str, cause: Cause) -> bool {
        let mut switch = lock(&self.0.switch);
        let Some(call) = switch.call_of(line) else { return false };
        let actions = switch.end_call(call, cause, moment(&self.0));
        self.apply(&mut switch, actions);
        true
    }

    /// Sends 1 to 32 digits to the phone's ear; `on_ms`, `off_ms` 40 to 2000, 100 where none is
    /// given. Needs `control`.
    ///
    /// # Errors
    /// `WrongState` when it is not off hook, `Invalid`, `Full` while others are being sent, and
    /// as [`Control::stop_ring`].
    pub async fn dtmf(
        &self,
        caller: &Caller,
        line: &str,
        digits: &str,
        on_ms: Option<u16>,
        off_ms: Option<u16>,
    ) -> Result<(), Refused> {
        let at = self.attached(caller, Scope::Control, line)?;
        let digits = digits_of(digits)?;
        let (on_ms, off_ms) = (on_ms.unwrap_or(100), off_ms.unwrap_or(100));
        for (field, ms) in [("on_ms", on_ms), ("off_ms", off_ms)] {
            if !(40..=2000).contains(&ms) {
                return Err(invalid(field, "allowed is 40 to 2000"));
            }
        }
        at.need_off_hook()?;
        self.ask(at.engine, Command::Dtmf { digits, on_ms, off_ms }).await.map(|_| ())
    }

    /// Sends digits to the line that has this number. Needs `control`.
    ///
    /// # Errors
    /// `NoSuchExtension`, and as [`Control::dtmf`].
    pub async fn extension_dtmf(
        &self,
        caller: &Caller,
        number: &str,
        digits: &str,
    ) -> Result<(), Refused> {
        need(caller, Scope::Control)?;
        let line = {
            let directory = self.directory();
            let mut entries = directory.entries();
            let entry = entries
                .find(|e| e.extension.as_deref() == Some(number) && caller.sees(&e.id))
                .ok_or(Refused::NoSuchExtension)?;
            entry.id.clone()
        };
        self.dtmf(caller, &line, digits, None, None).await
    }

    /// Takes the line for the application: a lifted line that is in no call is given one (the
    /// dial tone ends), a ringing simulated phone is lifted. Needs `control`.
    ///
    /// # Errors
    /// `WrongState` when it is on hook, or rings and is no simulated phone; `LineBusy` when it
    /// is in a call; and as [`Control::stop_ring`].
    pub async fn answer(&self, caller: &Caller, line: &str) -> Result<(), Refused> {
        let at = self.attached(caller, Scope::Control, line)?;
        let state = at.row.state.value;
        if state == tipring_shm_proto::command::LineState::Ringing {
            if at.need_sim().is_err() {
                return Err(Refused::WrongState { state: state.into() });
            }
            let lift = SimAction::Hook { off: true, bounce_ms: 0 };
            return self.ask(at.engine, Command::Sim(lift)).await.map(|_| ());
        }
        at.need_off_hook()?;
        let mut switch = lock(&self.0.switch);
        let actions = switch.answer(line, moment(&self.0)).map_err(|busy| refused(busy, line))?;
        self.apply(&mut switch, actions);
        Ok(())
    }

    /// Hangs up on the phone: whatever it hears ends, and its call, unless a dial plan had dialled
    /// it and goes on. Needs `control`.
    ///
    /// # Errors
    /// `WrongState` when it is on hook, and as [`Control::stop_ring`].
    pub async fn hangup(&self, caller: &Caller, line: &str) -> Result<(), Refused> {
        self.hangup_for(caller, line, Cause::NormalClearing).await
    }

    /// As [`Control::hangup`], for a reason.
    ///
    /// # Errors
    /// As [`Control::hangup`].
    pub async fn hangup_for(
        &self,
        caller: &Caller,
        line: &str,
        cause: Cause,
    ) -> Result<(), Refused> {
        let at = self.attached(caller, Scope::Control, line)?;
        {
            let mut switch = lock(&self.0.switch);
            if switch.call_of(line).is_some() {
                let actions = switch.hang_up(line, cause, moment(&self.0));
                self.apply(&mut switch, actions);
                return Ok(());
            }
        }
        self.ask(at.engine, Command::HangUp).await.map(|_| ())
    }

    /// Puts the phone on hold (`true`), takes it off (`false`), or the one it is not (`None`).
    /// Needs `control`.
    ///
    /// # Errors
    /// `WrongState` when it is not talking, and as [`Control::stop_ring`].
    pub async fn hold(&self, caller: &Caller, line: &str, on: Option<bool>) -> Result<(), Refused> {
        let at = self.attached(caller, Scope::Control, line)?;
        at.need_off_hook()?;
        let held = at.row.phase == Some(tipring_shm_proto::command::Phase::Held);
        let on = on.unwrap_or(!held);
        self.ask(at.engine, Command::Hold(on)).await?;
        let mut switch = lock(&self.0.switch);
        let actions = switch.note_hold(line, on);
        self.apply(&mut switch, actions);
        Ok(())
    }

    /// What the phone says is silence to everybody, or what it hears is silence, or neither, until
    /// it is put down. Needs `control`.
    ///
    /// # Errors
    /// `WrongState` when it is not off hook, and as [`Control::stop_ring`].
    pub async fn mute(
        &self,
        caller: &Caller,
        line: &str,
        spoken: bool,
        heard: bool,
    ) -> Result<(), Refused> {
        let at = self.attached(caller, Scope::Control, line)?;
        at.need_off_hook()?;
        self.ask(at.engine, Command::Mute { spoken, heard }).await?;
        let mut switch = lock(&self.0.switch);
        let actions = switch.note_muted(line, spoken);
        self.apply(&mut switch, actions);
        Ok(())
    }

    /// Whoever rings the line finds it busy, until this process ends or that is taken back. Needs
    /// `control`.
    ///
    /// # Errors
    /// `Forbidden`, `NoSuchLine`.
    pub fn set_do_not_disturb(&self, caller: &Caller, line: &str, on: bool) -> Result<(), Refused> {
        need(caller, Scope::Control)?;
        self.entry(caller, line)?;
        let mut switch = lock(&self.0.switch);
        if switch.set_do_not_disturb(line, on) == Some(true)
            && let Some(diversion) = switch.diversion(line)
        {
            self.0.journal.note_diversion(line, diversion);
        }
        Ok(())
    }

    /// Where calls to the line go instead. Needs `read`.
    ///
    /// # Errors
    /// `Forbidden`, `NoSuchLine`.
    pub fn diversion(&self, caller: &Caller, line: &str) -> Result<DiversionView, Refused> {
        need(caller, Scope::Read)?;
        self.entry(caller, line)?;
        lock(&self.0.switch).diversion(line).cloned().ok_or(Refused::NoSuchLine)
    }

    /// Sends calls to the line elsewhere, until that is changed. Needs `control`.
    ///
    /// # Errors
    /// `Forbidden`, `NoSuchLine`, `NoSuchExtension` for a number that the line cannot dial, or of a
    /// line that the caller may not see; `Invalid`.
    pub fn set_diversion(
        &self,
        caller: &Caller,
        line: &str,
        wanted: &DiversionView,
    ) -> Result<DiversionView, Refused> {
        need(caller, Scope::Control)?;
        self.entry(caller, line)?;
        if wanted.no_answer_after_ms.is_some_and(|ms| !(1000..=600_000).contains(&ms)) {
            return Err(invalid("no_answer_after_ms", "allowed is 1000 to 600000"));
        }
        for number in [&wanted.always, &wanted.busy, &wanted.no_answer].into_iter().flatten() {
            self.visible_target(caller, line, number)?;
        }
        lock(&self.0.switch).set_diversion(line, wanted.clone()).ok_or(Refused::NoSuchLine)?;
        self.0.journal.note_diversion(line, wanted);
        Ok(wanted.clone())
    }

    /// Whether whoever rings the line finds it busy. Needs `read`.
    ///
    /// # Errors
    /// `Forbidden`, `NoSuchLine`.
    pub fn do_not_disturb(&self, caller: &Caller, line: &str) -> Result<bool, Refused> {
        need(caller, Scope::Read)?;
        self.entry(caller, line)?;
        Ok(lock(&self.0.switch).do_not_disturb(line))
    }

    /// Sends a hook flash to the phone. Needs `control`.
    ///
    /// # Errors
    /// `WrongState` when it is not off hook, and as [`Control::stop_ring`].
    pub async fn flash(&self, caller: &Caller, line: &str) -> Result<(), Refused> {
        let at = self.attached(caller, Scope::Control, line)?;
        at.need_off_hook()?;
        self.ask(at.engine, Command::Flash).await.map(|_| ())
    }

    /// Takes the line back to its state after start; its call ends. Needs `control`.
    ///
    /// # Errors
    /// As [`Control::stop_ring`].
    pub async fn reset(&self, caller: &Caller, line: &str) -> Result<(), Refused> {
        let at = self.attached(caller, Scope::Control, line)?;
        self.end_line_call(line, Cause::NormalClearing);
        self.ask(at.engine, Command::Reset).await.map(|_| ())
    }

    /// What is known of the line's inside. Needs `read`.
    ///
    /// # Errors
    /// As [`Control::line`].
    pub fn line_diagnostics(
        &self,
        caller: &Caller,
        line: &str,
    ) -> Result<LineDiagnostics, Refused> {
        need(caller, Scope::Read)?;
        let entry = self.entry(caller, line)?;
        Ok(self.diagnose(&entry))
    }

    pub(super) fn diagnose(&self, entry: &LineEntry) -> LineDiagnostics {
        let row = entry.engine.and_then(|engine| self.0.link.row(engine));
        let row = row.as_ref();
        let rtp = row.and_then(|row| row.rtp);
        let peer = row.and_then(|row| row.peer);
        let playbacks = row.map_or_else(Vec::new, |row| {
            let running = row.playbacks.iter().filter(|playback| playback.playback.0 != 0);
            let views = running.map(|playback| Playback {
                playback_id: playback.playback.0.to_string(),
                played_ms: playback.played_samples / 8,
            });
            views.collect()
        });
        LineDiagnostics {
            line: self.view(entry),
            device: row.map(|row| row.label.as_str().to_owned()),
            frame_loop: row.map(|row| row.frame_loop.0),
            extension: entry.extension.clone(),
            bridged_with: peer.and_then(|peer| Some(self.directory().of_engine(peer)?.id.clone())),
            echo: row.is_some_and(|row| row.echo),
            voltage: row.and_then(|row| row.millivolts).map(|mv| f64::from(mv) / 1000.0),
            temperature_celsius: row
                .and_then(|row| row.tenths_celsius)
                .map(|tenths| f64::from(tenths) / 10.0),
            alarm: row.is_some_and(|row| row.alarm),
            playbacks,
            media: rtp.as_ref().map(super::media::statistics),
            jitter_buffer_ms: rtp.map(|rtp| rtp.depth_ms),
            rtp_port: rtp.map(|rtp| rtp.local_port),
            digits_ignored: super::lock(&self.0.media).get(&entry.id).map(|m| m.digits.ignored),
            registration: self.signalling().registration(&entry.id),
            dahdi: row.and_then(|row| row.dahdi).as_ref().map(super::card::diagnostics),
        }
    }
}

/// Why a line cannot have a call now.
pub(super) fn refused(busy: Busy, line: &str) -> Refused {
    match busy {
        Busy::Line(tipring_shm_proto::command::LineState::Offline) => {
            Refused::WrongState { state: LineState::Offline }
        }
        Busy::Line(state) => Refused::LineBusy { state: state.into() },
        Busy::Absent => Refused::Signalling(format!("{line} is not registered")),
        Busy::Full => Refused::Full { what: "calls" },
    }
}

/// 1 to 32 digits.
pub(super) fn digits_of(digits: &str) -> Result<Digits, Refused> {
    Digits::new(digits).ok_or_else(|| invalid("digits", "allowed are 1 to 32 of 0-9 * # A-D"))
}

fn line_view(
    entry: &LineEntry,
    row: Option<&LineRow>,
    registered: Option<bool>,
    call_id: Option<String>,
    started_at: Timestamp,
) -> Line {
    let Some(row) = row else {
        return Line {
            id: entry.id.clone(),
            name: entry.name.clone(),
            extension: entry.extension.clone(),
            kind: kind(entry, None),
            state: LineState::Offline,
            phase: None,
            hook: Hook::Unknown,
            hook_source: HookSource::None,
            hook_age_ms: started_at.0.elapsed().map_or(0, |age| age.as_millis() as u64),
            call_id,
            registered,
            last_digit: None,
            voice: false,
            rx_level_dbm0: -96.0,
            tx_level_dbm0: -96.0,
            since: started_at,
        };
    };
    let state: LineState = row.state.value.into();
    // A phone that cannot be reached is no line to anybody, whatever the engine holds for it.
    let absent = registered == Some(false) && state == LineState::OnHook;
    Line {
        id: entry.id.clone(),
        name: entry.name.clone(),
        extension: entry.extension.clone(),
        kind: kind(entry, Some(row)),
        state: if absent { LineState::Offline } else { state },
        phase: row.phase.map(Into::into),
        hook: row.hook.value.into(),
        hook_source: row.hook_source.into(),
        hook_age_ms: u64::from(now().ms_since(row.hook.at)),
        call_id,
        registered,
        last_digit: (row.last_digit != 0).then(|| char::from(row.last_digit).to_string()),
        voice: row.voice,
        rx_level_dbm0: f32::from(row.rx_level.0) / 10.0,
        tx_level_dbm0: f32::from(row.tx_level.0) / 10.0,
        since: wall(row.state.at),
    }
}
