//! Actions: one table of all there are, one file for each group. Each does what it says, or answers
//! why not in Asterisk's form.

mod agi;
mod calls;
mod commands;
mod conferences;
mod core;
mod database;
mod devices;
mod originate;
mod recording;
mod status;
mod variables;

use super::classes::Classes;
use super::settings::{AmiSettings, Dialect};
use super::wire::{Message, Packet};
use crate::auth::Caller;
use crate::channel::{Channel, Channels, Endpoint};
use crate::control::{Control, LineEntry};
use std::sync::Arc;
use tokio::sync::mpsc;

/// What an action needs around it.
#[derive(Clone, Debug)]
pub(super) struct Context {
    pub(super) control: Control,
    pub(super) channels: Channels,
    pub(super) settings: Arc<AmiSettings>,
    /// As whom it asks.
    pub(super) caller: Caller,
    /// Names the connection.
    pub(super) session: u64,
    pub(super) dialect: Dialect,
    /// Answers of actions that take long.
    pub(super) later: mpsc::Sender<Vec<Message>>,
}

/// What comes of an action.
#[derive(Debug)]
pub(super) enum Reply {
    /// The answer, and the events of a list.
    Now(Vec<Message>),
    /// It comes by [`Context::later`].
    Later,
    /// When the next event is there, after so many seconds at most (`None`: whenever).
    NextEvent(Option<u64>),
}

impl From<Message> for Reply {
    fn from(message: Message) -> Self {
        Self::Now(vec![message])
    }
}

macro_rules! actions {
    ($($name:ident $([$($class:ident)+])? $synopsis:literal,)+) => {
        /// An action.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Action {
            $(#[doc = $synopsis] $name,)+
        }

        impl Action {
            /// Its name.
            pub(super) const fn name(self) -> &'static str {
                match self {
                Self::Agi => "AGI",
                other => other.variant(),
            }
            }

            const fn variant(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }

            /// One of these classes is needed; none where it is empty.
            pub(super) const fn needs(self) -> Classes {
                match self { $(Self::$name => Classes::NONE$($(.with(Classes::$class))+)?,)+ }
            }

            /// What it does.
            pub(super) const fn synopsis(self) -> &'static str {
                match self { $(Self::$name => $synopsis,)+ }
            }

            /// All of them.
            pub(super) const ALL: &'static [Self] = &[$(Self::$name,)+];
        }
    };
}

actions! {
    Agi [AGI] "Add an AGI command to execute by Async AGI.",
    Atxfer [CALL] "Attended transfer.",
    BlindTransfer [CALL] "Blind transfer channel(s) to the given destination.",
    Bridge [CALL] "Bridge two channels already in the PBX.",
    Challenge "Generate Challenge for MD5 Auth.",
    Command [COMMAND] "Execute Asterisk CLI Command.",
    ConfbridgeKick [CALL] "Kick a Confbridge user.",
    ConfbridgeList [REPORTING] "List participants in a conference.",
    ConfbridgeListRooms [REPORTING] "List active conferences.",
    ConfbridgeMute [CALL] "Mute a Confbridge user.",
    ConfbridgeUnmute [CALL] "Unmute a Confbridge user.",
    CoreSettings [SYSTEM REPORTING] "Show PBX core settings (version etc).",
    CoreShowChannels [SYSTEM REPORTING] "List currently active channels.",
    CoreStatus [SYSTEM REPORTING] "Show PBX core status variables.",
    DBDel [SYSTEM] "Delete DB entry.",
    DBDelTree [SYSTEM] "Delete DB Tree.",
    DBGet [SYSTEM REPORTING] "Get DB Entry.",
    DBPut [SYSTEM] "Put DB entry.",
    DAHDIDNDoff "Toggle DAHDI channel Do Not Disturb status OFF.",
    DAHDIDNDon "Toggle DAHDI channel Do Not Disturb status ON.",
    DAHDIShowChannels "Show status of DAHDI channels.",
    Events "Control Event Flow.",
    ExtensionState [CALL REPORTING] "Check Extension Status.",
    Filter [SYSTEM] "Dynamically add filters for the current manager session.",
    Getvar [CALL REPORTING] "Gets a channel variable or function value.",
    Hangup [SYSTEM CALL] "Hangup channel.",
    ListCommands "List available manager commands.",
    Login "Login Manager.",
    Logoff "Logoff Manager.",
    MixMonitor [SYSTEM CALL] "Record a call and mix the audio during the recording.",
    MuteAudio [SYSTEM] "Mute an audio stream.",
    Originate [ORIGINATE] "Originate a call.",
    PJSIPShowEndpoints [SYSTEM REPORTING] "Lists PJSIP endpoints.",
    Ping "Keepalive command.",
    PlayDTMF [CALL] "Play DTMF signal on a specific channel.",
    Redirect [CALL] "Redirect (transfer) a call.",
    Reload [SYSTEM CONFIG] "Send a reload event.",
    Setvar [CALL] "Sets a channel variable or function value.",
    SIPpeers [SYSTEM REPORTING] "List SIP peers (text format).",
    Status [SYSTEM CALL REPORTING] "List channel status.",
    StopMixMonitor [SYSTEM CALL] "Stop recording a call through MixMonitor, and free the recording's file handle.",
    UserEvent [USER] "Send an arbitrary event.",
    WaitEvent "Wait for an event to occur.",
}

/// The action of that name, whatever its case.
pub(super) fn find(name: &str) -> Option<Action> {
    Action::ALL.iter().copied().find(|action| action.name().eq_ignore_ascii_case(name))
}

/// Carries out an action. Login, Logoff, Challenge, Events and Filter are the session's own.
pub(super) async fn run(context: &Context, action: Action, packet: &Packet) -> Reply {
    let reply = match action {
        Action::Agi => agi::queue(context, packet).into(),
        Action::Atxfer => calls::attended(context, packet).into(),
        Action::BlindTransfer => calls::blind_transfer(context, packet).await.into(),
        Action::Bridge => calls::bridge(context, packet).await.into(),
        Action::Command => commands::run(context, packet).await.into(),
        Action::ConfbridgeKick => conferences::kick(context, packet).into(),
        Action::ConfbridgeList => Reply::Now(conferences::list_members(context, packet)),
        Action::ConfbridgeListRooms => Reply::Now(conferences::list_rooms(context)),
        Action::ConfbridgeMute => conferences::mute(context, packet, true).await.into(),
        Action::ConfbridgeUnmute => conferences::mute(context, packet, false).await.into(),
        Action::CoreSettings => core::settings(context).into(),
        Action::CoreShowChannels => Reply::Now(status::core_show_channels(context)),
        Action::CoreStatus => core::status(context).into(),
        Action::DBDel => database::delete(context, packet).into(),
        Action::DBDelTree => database::delete_tree(context, packet).into(),
        Action::DBGet => Reply::Now(database::get(context, packet)),
        Action::DBPut => database::put(context, packet).into(),
        Action::DAHDIDNDoff => devices::do_not_disturb(context, packet, false).into(),
        Action::DAHDIDNDon => devices::do_not_disturb(context, packet, true).into(),
        Action::DAHDIShowChannels => Reply::Now(devices::dahdi_channels(context, packet)),
        Action::ExtensionState => devices::extension_state(context, packet).into(),
        Action::Getvar => variables::get(context, packet).into(),
        Action::Hangup => calls::hang_up(context, packet).await.into(),
        Action::ListCommands => core::list_commands().into(),
        Action::MixMonitor => recording::start(context, packet).await.into(),
        Action::MuteAudio => calls::mute(context, packet).await.into(),
        Action::Originate => originate::originate(context, packet),
        Action::PJSIPShowEndpoints => Reply::Now(devices::pjsip_endpoints(context)),
        Action::Ping => core::ping().into(),
        Action::PlayDTMF => calls::play_dtmf(context, packet).await.into(),
        Action::Redirect => calls::redirect(context, packet).await.into(),
        Action::Reload => core::reload(context, packet).await.into(),
        Action::Setvar => variables::set(context, packet).into(),
        Action::SIPpeers => Reply::Now(devices::sip_peers(context)),
        Action::Status => Reply::Now(status::status(context, packet)),
        Action::StopMixMonitor => recording::stop(context, packet).await.into(),
        Action::UserEvent => core::user_event(context, packet).into(),
        Action::WaitEvent => core::wait_event(packet),
        Action::Challenge | Action::Events | Action::Filter | Action::Login | Action::Logoff => {
            Message::error("Permission denied").into()
        }
    };
    match reply {
        Reply::Now(messages) => {
            let id = packet.get("ActionID");
            Reply::Now(messages.into_iter().map(|message| message.for_action(id)).collect())
        }
        other => other,
    }
}

impl Context {
    /// A channel by its name or unique id, or by its device, as `SIP/201`.
    fn channel(&self, name: &str) -> Option<Arc<Channel>> {
        self.channels.find(name).or_else(|| self.channels.of_line(&self.line(name)?.id))
    }

    /// A line by its device: `SIP/201`, `PJSIP/201`, `DAHDI/1`, `SIM/1`; a SIP phone by its user
    /// name too; whoever has a number by `Local/201@default`.
    fn line(&self, device: &str) -> Option<LineEntry> {
        let (kind, name) = device.split_once('/')?;
        let kind = match kind.to_ascii_uppercase().as_str() {
            "PJSIP" => "SIP".to_owned(),
            kind => kind.to_owned(),
        };
        let entries = self.control.line_entries(&self.caller).ok()?;
        if kind == "LOCAL" {
            let (number, context) = name.split_once('@')?;
            let context = context.split('/').next().unwrap_or_default();
            let has = |entry: &LineEntry| entry.extension.as_deref() == Some(number);
            return entries.into_iter().find(|entry| context == "default" && has(entry));
        }
        let wanted = format!("{kind}/{name}");
        entries.into_iter().find(|entry| {
            Endpoint::of(entry).address().eq_ignore_ascii_case(&wanted)
                || (entry.sip && kind == "SIP" && entry.id == name)
        })
    }
}

/// As Asterisk reads it.
fn is_true(text: &str) -> bool {
    ["yes", "true", "y", "t", "1", "on"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// A list: the answer, its events, and the one that ends it.
fn list(message: &str, events: Vec<Message>, complete: &str) -> Vec<Message> {
    let count = events.len();
    let begin = Message::success().with("EventList", "start").with("Message", message);
    let end = Message::event(complete)
        .with("EventList", "Complete")
        .with("ListItems", count)
        .with("Items", count);
    std::iter::once(begin).chain(events).chain([end]).collect()
}
