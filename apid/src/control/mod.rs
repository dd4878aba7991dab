//! The one door: everything a client can ask of Tipring, whatever surface it came by. Asks first
//! whether this caller may, then whether it can be done, then does it.
//!
//! Scopes: looking needs `read`, acting needs `control`, hearing and speaking need `audio`, the
//! system as a whole and faults of simulated hardware need `admin`. A line the caller may not see
//! does not exist for it.

mod access;
mod applications;
mod audio;
mod cadences;
mod calls;
mod card;
mod claims;
mod collect;
mod conference_tap;
mod conferences;
mod connector;
mod diagnostics;
mod events;
mod hold_music;
mod levels;
mod line_directory;
mod line_settings;
mod lines;
mod listening;
mod media;
mod orders;
mod phone;
mod playback;
mod player;
mod recorder;
mod recordings;
mod records;
mod provisioning;
mod refused;
mod reload;
mod self_test;
mod signalling;
mod sim;
mod sources;
mod sip;
mod streams;
mod tones;
mod voltage;
mod webhooks;
mod without_engine;

pub use crate::call::{
    Cause, MediaAnswer, MediaOffer, Moment, Others, RemoteMedia, Role, TransferTo,
};
pub use applications::{PlanDial, PlanNote, PlanRunner};
pub use audio::{AudioTap, Samples, TapEnd, TapFrame, Tapped};
pub use claims::{CLAIM_CALLS, Claim};
pub use collect::{Collected, Question};
pub use connector::{AppConnector, ApplicationCall, ApplicationEnd, NoApplications};
pub use diagnostics::ClientNote;
pub use levels::LEVELS_EVERY;
pub use line_directory::{LineDirectory, LineEntry};
pub use playback::{PlayOptions, PlayerNote};
pub use player::{Player, PlayerOptions, Queued};
pub use recordings::{RecordedAudio, RecordingFilter, RecordingLimits, Removed};
pub use records::{RecordFilter, RecordLimits};
pub use refused::Refused;
pub use reload::{Plans, ReadPlans};
pub use signalling::{
    MessagesWaiting, NoSignalling, RegistrationChange, Signalling, SignallingError,
};
pub use sources::{PlaySource, Spoken};
pub use voltage::VoltageLimits;
pub use webhooks::{WebhookFormat, WebhookSettings};

use crate::auth::Caller;
use crate::call::{Action, CallNumber, Input, News, Switch};
use crate::engine_link::{EngineLink, LinkNote};
use crate::fetch::Fetcher;
use crate::hub::{Filter, Hub, Listener, NoticeBody};
use crate::journal::Journal;
use crate::provisioning::Device;
use crate::recording::Shelf;
use crate::sounds::Sounds;
use crate::speech::Speech;
use crate::store::Store;
use crate::view::{Call, PortDiagnostics, Timestamp};
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Instant, SystemTime};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

/// What control is told at start.
#[expect(missing_debug_implementations, reason = "signalling is anybody's")]
pub struct ControlSettings {
    /// Lines and numbers.
    pub lines: LineDirectory,
    /// Calls; without lines yet.
    pub switch: Switch,
    /// Who signals to phones.
    pub signalling: Arc<dyn Signalling>,
    /// Who holds the sockets of applications.
    pub applications: Arc<dyn AppConnector>,
    /// Where RTP of SIP phones is received.
    pub rtp_address: IpAddr,
    /// Prompts by name.
    pub sounds: Sounds,
    /// Text to speech.
    pub speech: Speech,
    /// What clients may have fetched.
    pub fetcher: Fetcher,
    /// What an earlier apid wrote down.
    pub journal: Journal,
    /// Call records, and what is known of recordings.
    pub store: Store,
    /// Files of recordings.
    pub shelf: Shelf,
    /// Bounds of recordings.
    pub recording_limits: RecordingLimits,
    /// Bounds of call records.
    pub record_limits: RecordLimits,
    /// What an idle line should have.
    pub voltage_limits: VoltageLimits,
    /// Adapters that are set up from here.
    pub devices: Vec<Device>,
    /// Where to post what happens.
    pub webhooks: Vec<WebhookSettings>,
    /// Class of the music that is heard on hold; silence where there is none.
    pub hold_music: Option<String>,
    /// Where dial plans are read anew.
    pub read_plans: ReadPlans,
}

/// The one door. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Control(Arc<Shared>);

struct Shared {
    hub: Hub,
    link: EngineLink,
    runtime: Handle,
    lines: RwLock<LineDirectory>,
    switch: Mutex<Switch>,
    signalling: Arc<dyn Signalling>,
    applications: Arc<dyn AppConnector>,
    rtp_address: IpAddr,
    sounds: Sounds,
    speech: Speech,
    fetcher: Fetcher,
    journal: Journal,
    store: Store,
    shelf: Shelf,
    recording_limits: RecordingLimits,
    record_limits: RecordLimits,
    voltage_limits: VoltageLimits,
    read_plans: ReadPlans,
    webhooks: Vec<Arc<webhooks::Webhook>>,
    recordings: Mutex<recordings::Running>,
    /// Orders of each call, carried out one after the other.
    queues: Mutex<HashMap<CallNumber, mpsc::UnboundedSender<crate::call::Order>>>,
    /// Who waits to learn whether a phone really rings.
    ring_waiters: Mutex<HashMap<CallNumber, oneshot::Sender<Result<(), Refused>>>>,
    media: Mutex<HashMap<String, media::LineMedia>>,
    playbacks: Mutex<playback::Playbacks>,
    digits: Mutex<collect::Digits>,
    streams: Mutex<streams::Streams>,
    taps: Mutex<Vec<audio::TapRecord>>,
    memory: Mutex<events::Memory>,
    /// What was set of lines, for engines to come.
    line_settings: Mutex<HashMap<String, tipring_shm_proto::settings::LineSettings>>,
    scripts: Mutex<HashSet<String>>,
    ports: Mutex<Vec<PortDiagnostics>>,
    /// Clients of surfaces that keep no list of their own.
    clients: Mutex<Vec<std::sync::Weak<ClientNote>>>,
    provisioning: provisioning::Provisioning,
    plan_runner: std::sync::OnceLock<Arc<dyn PlanRunner>>,
    started: Instant,
    started_at: Timestamp,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("link", &self.link).finish_non_exhaustive()
    }
}

impl Control {
    /// Over a link to the engine; needs a runtime around it, on which everything it begins runs.
    pub fn start(
        settings: ControlSettings,
        link: EngineLink,
        notes: mpsc::Receiver<LinkNote>,
    ) -> Self {
        let ControlSettings {
            lines,
            mut switch,
            signalling,
            applications,
            rtp_address,
            sounds,
            speech,
            fetcher,
            journal,
            store,
            shelf,
            recording_limits,
            record_limits,
            voltage_limits,
            devices,
            read_plans,
            webhooks,
            hold_music,
        } = settings;
        for entry in lines.entries() {
            add_to_switch(&mut switch, entry, &journal);
        }
        let now = Moment { ms: 0, wall: SystemTime::now() };
        for entry in lines.entries().filter(|entry| entry.sip) {
            let reachable = signalling.registration(&entry.id).is_some_and(|r| r.registered);
            switch.handle(Input::Reachable { line: entry.id.clone(), reachable }, now);
        }
        let control = Self(Arc::new(Shared {
            hub: Hub::new(),
            link,
            runtime: Handle::current(),
            lines: RwLock::new(lines),
            switch: Mutex::new(switch),
            signalling,
            applications,
            rtp_address,
            sounds,
            speech,
            fetcher,
            journal,
            store,
            shelf,
            recording_limits,
            record_limits,
            voltage_limits,
            read_plans,
            webhooks: webhooks.into_iter().map(webhooks::Webhook::new).collect(),
            recordings: Mutex::default(),
            queues: Mutex::default(),
            ring_waiters: Mutex::default(),
            media: Mutex::default(),
            playbacks: Mutex::new(playback::Playbacks::new()),
            digits: Mutex::default(),
            streams: Mutex::default(),
            taps: Mutex::default(),
            memory: Mutex::default(),
            line_settings: Mutex::default(),
            scripts: Mutex::default(),
            ports: Mutex::default(),
            clients: Mutex::default(),
            provisioning: provisioning::Provisioning::new(devices),
            plan_runner: std::sync::OnceLock::new(),
            started: Instant::now(),
            started_at: Timestamp::now(),
        }));
        for webhook in &control.0.webhooks {
            control.0.runtime.spawn(webhooks::follow_hub(control.clone(), webhook.clone()));
        }
        if let Some(class) = hold_music {
            control.0.runtime.spawn(hold_music::follow_hub(control.clone(), class));
        }
        control.0.runtime.spawn(events::follow_engine(control.clone(), notes));
        control.0.runtime.spawn(calls::follow_time(control.clone()));
        control.0.runtime.spawn(records::keep_house(control.clone()));
        control.0.provisioning.start();
        control
    }

    /// Everything that happens on lines the caller may see. Needs `read`.
    ///
    /// # Errors
    /// `Forbidden`; `Invalid` for a type that does not exist.
    pub fn listen(
        &self,
        caller: &Caller,
        filter: Filter,
        since: Option<u64>,
        remote: &str,
    ) -> Result<Listener, Refused> {
        access::need(caller, crate::auth::Scope::Read)?;
        if let Some(unknown) = filter.unknown_type() {
            let known = NoticeBody::KINDS.join(", ");
            return Err(Refused::Invalid {
                field: "types",
                reason: format!("`{unknown}` is no type of event; there are {known}"),
            });
        }
        for line in &filter.lines {
            self.entry(caller, line)?;
        }
        Ok(self.0.hub.listen(caller, filter, since, remote))
    }

    /// Everything that happens, for a part of apid itself.
    pub fn listen_inside(&self, name: &str) -> Listener {
        self.0.hub.listen(&Caller::everything(name), Filter::default(), None, "apid")
    }

    /// What a filter lets through, for a part of this process.
    pub fn listen_to(&self, filter: Filter, name: &str) -> Listener {
        self.0.hub.listen(&Caller::everything(name), filter, None, "apid")
    }

    fn signalling(&self) -> Arc<dyn Signalling> {
        self.0.signalling.clone()
    }

    fn directory(&self) -> std::sync::RwLockReadGuard<'_, LineDirectory> {
        self.0.lines.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets calls react to something, and has done what they ask for.
    fn feed(&self, input: Input) {
        let mut switch = lock(&self.0.switch);
        let actions = switch.handle(input, moment(&self.0));
        self.apply(&mut switch, actions);
    }

    /// Has done what calls ask for. The switch is still locked, so that orders of one call are
    /// queued in the order they were given.
    fn apply(&self, switch: &mut Switch, actions: Vec<Action>) {
        let any = !actions.is_empty();
        for action in actions {
            match action {
                Action::Tell(news) => self.tell(&news),
                Action::Do { call, order } => self.enqueue(call, order),
            }
        }
        if any {
            self.0.journal.note_calls(self.0.link.generation(), switch.active());
        }
    }

    fn tell(&self, news: &News) {
        self.tell_plans(news);
        if let Some((record, body)) = conferences::notice_of(news) {
            let line = record.lines().next();
            self.0.hub.publish(line, Some(&record.number.to_string()), body);
            return;
        }
        let (record, body): (_, fn(Arc<Call>) -> NoticeBody) = match news {
            News::Started(r) => (r, |call| NoticeBody::CallStarted { call }),
            News::Ringing(r) => (r, |call| NoticeBody::CallRinging { call }),
            News::Connected(r) => (r, |call| NoticeBody::CallConnected { call }),
            News::Held(r) => (r, |call| NoticeBody::CallHeld { call }),
            News::Resumed(r) => (r, |call| NoticeBody::CallResumed { call }),
            News::Entered(_)
            | News::Taken(_)
            | News::JoinedConference(_)
            | News::MutedInConference(_)
            | News::LeftConference(_) => return,
            // Who was dialled has gone, and the call is as it was before.
            News::DialOver(r, _) if r.answered_at.is_some() => {
                (r, |call| NoticeBody::CallConnected { call })
            }
            News::DialOver(r, _) => (r, |call| NoticeBody::CallRinging { call }),
            News::Ended(r) => (r, |call| {
                let cause = call.cause.clone().unwrap_or_else(|| crate::view::CauseView {
                    code: Cause::NormalClearing.code(),
                    text: Cause::NormalClearing.text().to_owned(),
                });
                NoticeBody::CallEnded { call, cause }
            }),
        };
        if let News::Connected(record) = news {
            record.lines().for_each(|line| self.forget_dialled(line));
        }
        let call = self.with_media(record.view());
        if let News::Ended(record) = news {
            self.keep_call(record);
            let cause = call.cause.as_ref();
            tracing::info!(
                call = call.id,
                from = call.from,
                to = call.to,
                answered = call.answered_at.is_some(),
                cause = cause.map_or(0, |cause| cause.code),
                "call ended: {}",
                cause.map_or("", |cause| cause.text.as_str())
            );
        }
        let line = record.lines().next().map(str::to_owned);
        self.0.hub.publish(line.as_deref(), Some(&call.id.clone()), body(Arc::new(call)));
    }
}

fn add_to_switch(switch: &mut Switch, entry: &LineEntry, journal: &Journal) {
    let caller_id = crate::view::CallerIdView {
        number: entry.extension.clone().unwrap_or_default(),
        name: entry.name.clone(),
    };
    switch.add_line(&entry.id, entry.sip, caller_id);
    switch.set_diversion(&entry.id, journal.diversion(&entry.id));
    if let Some(number) = &entry.extension {
        switch.add_number(number, &entry.id);
    }
}

fn moment(shared: &Shared) -> Moment {
    Moment { ms: shared.started.elapsed().as_millis() as u64, wall: SystemTime::now() }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing behind these locks can panic half-way through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
