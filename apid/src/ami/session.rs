//! One client: who it is, what it may, what it wants to be told. Sans-IO.

use super::actions::{self, Action};
use super::classes::Classes;
use super::filter::{Filter, FilterError};
use super::settings::{AmiSettings, AmiUser, Dialect};
use super::wire::{Message, Packet};
use md5::{Digest, Md5};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// What a packet leads to.
#[derive(Debug)]
pub(super) enum Step {
    /// An answer at once.
    Answer(Message),
    /// Logged in: the answer, then `FullyBooted`.
    LoggedIn(Message),
    /// Refused: the answer after a delay, then the connection ends.
    Refused(Message),
    /// The answer, then the connection ends.
    Goodbye(Message),
    /// To be carried out.
    Run(Action),
}

/// One client.
#[derive(Debug)]
pub(super) struct Session {
    settings: Arc<AmiSettings>,
    remote: IpAddr,
    challenge: Option<String>,
    user: Option<AmiUser>,
    events: Classes,
    filter: Filter,
}

impl Session {
    pub(super) fn new(settings: Arc<AmiSettings>, remote: IpAddr) -> Self {
        let filter = Filter::default();
        Self { settings, remote, challenge: None, user: None, events: Classes::ALL, filter }
    }

    /// The user, once logged in.
    pub(super) fn user(&self) -> Option<&AmiUser> {
        self.user.as_ref()
    }

    /// Which shapes it is told.
    pub(super) fn dialect(&self) -> Dialect {
        self.user.as_ref().map_or(Dialect::Legacy, |user| user.dialect)
    }

    /// Whether events of these classes are told at all.
    pub(super) fn hears(&self, classes: Classes) -> bool {
        let Some(user) = &self.user else { return false };
        classes.meets(user.read.and(self.events))
    }

    /// Whether an event passes the filters.
    pub(super) fn wants(&self, event: &str) -> bool {
        let Some(user) = &self.user else { return false };
        user.filter.wants(event) && self.filter.wants(event)
    }

    /// A packet. `random` is for a challenge.
    pub(super) fn handle(&mut self, packet: &Packet, random: Option<u32>) -> Step {
        let action_id = packet.get("ActionID");
        let answer = |message: Message| Step::Answer(message.for_action(action_id));
        let name = packet.get("Action");
        if name.is_empty() {
            return answer(Message::error("Missing action in request"));
        }
        match (name.to_ascii_lowercase().as_str(), self.user.is_some()) {
            ("login", false) => return self.log_in(packet),
            ("login", true) => return answer(Message::error("Already logged in")),
            ("challenge", _) => return answer(self.challenge(packet, random)),
            ("logoff", _) => {
                let message = Message::response("Goodbye");
                let message = message.with("Message", "Thanks for all the fish.");
                return Step::Goodbye(message.for_action(action_id));
            }
            (_, false) => return answer(Message::error("Permission denied")),
            _ => {}
        }
        let Some(action) = actions::find(name) else {
            return answer(Message::error(format_args!(
                "Invalid/unknown command: {name}. Use Action: ListCommands to show available commands."
            )));
        };
        let needed = action.needs();
        let may = self.user.as_ref().is_some_and(|user| user.write.meets(needed));
        if !needed.is_empty() && !may {
            return answer(Message::error("Permission denied"));
        }
        match action {
            Action::Events => answer(self.set_events(packet)),
            Action::Filter => answer(self.add_filter(packet)),
            action => Step::Run(action),
        }
    }

    fn challenge(&mut self, packet: &Packet, random: Option<u32>) -> Message {
        if !packet.get("AuthType").eq_ignore_ascii_case("MD5") {
            return Message::error("Must specify AuthType");
        }
        let Some(random) = random else { return Message::error("No challenge can be made") };
        let challenge = random.to_string();
        self.challenge = Some(challenge.clone());
        Message::success().with("Challenge", challenge)
    }

    fn log_in(&mut self, packet: &Packet) -> Step {
        let action_id = packet.get("ActionID");
        // A challenge is good once.
        let challenge = self.challenge.take();
        let user = self.settings.users.iter().find(|user| user.name == packet.get("Username"));
        let known = user.filter(|user| {
            (user.permit)(self.remote) && proves(user, packet, challenge.as_deref())
        });
        let Some(user) = known.cloned() else {
            let message = Message::error("Authentication failed");
            return Step::Refused(message.for_action(action_id));
        };
        if let Some(mask) = Some(packet.get("Events")).filter(|mask| !mask.is_empty()) {
            self.events = Classes::of_mask(mask).unwrap_or(Classes::ALL);
        }
        self.user = Some(user);
        let message = Message::success().for_action(action_id);
        Step::LoggedIn(message.with("Message", "Authentication accepted"))
    }

    fn set_events(&mut self, packet: &Packet) -> Message {
        let Some(mask) = Classes::of_mask(packet.get("EventMask")) else {
            return Message::error("Invalid event mask");
        };
        self.events = mask;
        Message::success().with("Events", if mask.is_empty() { "Off" } else { "On" })
    }

    fn add_filter(&mut self, packet: &Packet) -> Message {
        if !packet.get("Operation").eq_ignore_ascii_case("add") {
            return Message::error("Unknown operation");
        }
        match self.filter.add(packet.get("Filter")) {
            Ok(()) => Message::success().with("Message", "Filter added successfully"),
            Err(FilterError::Length) if packet.get("Filter").is_empty() => {
                Message::error("Filter not specified")
            }
            Err(why) => Message::error(format_args!("Filter failed: {why}")),
        }
    }
}

/// By the secret itself, or by the MD5 of challenge and secret.
fn proves(user: &AmiUser, packet: &Packet, challenge: Option<&str>) -> bool {
    if user.secret.is_empty() {
        return false;
    }
    let same = |a: &str, b: &str| bool::from(a.as_bytes().ct_eq(b.as_bytes()));
    if packet.get("AuthType").eq_ignore_ascii_case("MD5") {
        let Some(challenge) = challenge else { return false };
        let digest = Md5::new().chain_update(challenge).chain_update(&user.secret).finalize();
        let wanted = hex(&digest);
        return same(&packet.get("Key").to_ascii_lowercase(), &wanted);
    }
    same(packet.get("Secret"), &user.secret)
}

pub(super) fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}
