//! What happens to channels, in the words of Asterisk 11 (`legacy`) and of 12 and later (`modern`).
//! The only place where events have text.

use super::causes;
use super::classes::Classes;
use super::settings::Dialect;
use super::wire::{Message, encoded};
use crate::channel::{CallDetail, Channel, ChannelNews, InConference, NewsBody, Start, Told};
use crate::view::{CallerIdView, Timestamp};
use time::OffsetDateTime;
use time::macros::format_description;

/// The classes that hear of it.
pub(super) const fn classes(body: &NewsBody) -> Classes {
    match body {
        NewsBody::VarSet { .. } | NewsBody::Exten => Classes::DIALPLAN,
        NewsBody::DtmfBegin { .. } | NewsBody::DtmfEnd { .. } => Classes::DTMF,
        NewsBody::AsyncAgiStart { .. }
        | NewsBody::AsyncAgiExec { .. }
        | NewsBody::AsyncAgiEnd
        | NewsBody::AgiExecStart { .. }
        | NewsBody::AgiExecEnd { .. } => Classes::AGI,
        NewsBody::Cdr(_) => Classes::CDR,
        NewsBody::UserEvent { .. } => Classes::USER,
        NewsBody::Peer { .. } | NewsBody::DoNotDisturb { .. } => Classes::SYSTEM,
        _ => Classes::CALL,
    }
}

/// `FullyBooted`, the first event of a session.
pub(super) fn fully_booted(dialect: Dialect, uptime_s: u64) -> Message {
    let message = start("FullyBooted", Classes::SYSTEM).with("Status", "Fully Booted");
    if dialect.modern() { message.with("Uptime", uptime_s) } else { message }
}

/// `Shutdown`, the last event of a session.
pub(super) fn shutdown() -> Message {
    start("Shutdown", Classes::SYSTEM).with("Shutdown", "Cleanly").with("Restart", "False")
}

/// The texts of all events of one piece of news, in their order; made for the first of a dialect
/// who is told.
pub(super) fn texts(told: &Told, dialect: Dialect) -> &[String] {
    let make = |news: &ChannelNews| of(news, dialect).into_iter().map(Message::into_text).collect();
    told.texts(dialect as usize, make)
}

/// All events of one piece of news, in their order.
pub(super) fn of(news: &ChannelNews, dialect: Dialect) -> Vec<Message> {
    let mut out = Vec::new();
    if let Some(message) = common(news, dialect) {
        out.push(message);
        return out;
    }
    if dialect.legacy() {
        legacy(news, &mut out);
    }
    if dialect.modern() {
        modern(news, &mut out);
    }
    out
}

fn start(name: &str, classes: Classes) -> Message {
    Message::event(name).with("Privilege", classes.privilege())
}

/// Events of which both have one shape, the later's fields being more.
fn common(news: &ChannelNews, dialect: Dialect) -> Option<Message> {
    let class = classes(&news.body);
    Some(match &news.body {
        NewsBody::Peer { peer, contact } => peer_status(peer, contact.as_deref()),
        NewsBody::Cdr(detail) => cdr(detail),
        NewsBody::DoNotDisturb { device, on } => {
            let message = start("DNDState", class).with("Channel", device);
            let number = device.split_once('/').map_or("", |(_, number)| number);
            let message =
                if dialect.modern() { message.with("DAHDIChannel", number) } else { message };
            message.with("Status", if *on { "enabled" } else { "disabled" })
        }
        NewsBody::Conference { name, what, members } => {
            in_conference(news.channel.as_deref(), name, *what, *members, dialect)
        }
        NewsBody::UserEvent { event, headers } => {
            let message = start("UserEvent", class).with("UserEvent", event);
            headers.iter().fold(message, |message, (name, value)| message.with(name, value))
        }
        NewsBody::OriginateResponse {
            action_id,
            success,
            reason,
            dialled,
            start: to,
            caller,
            ..
        } => {
            let message = start("OriginateResponse", class).for_action(action_id);
            let message = message.with("Response", if *success { "Success" } else { "Failure" });
            let name = news.channel.as_ref().map_or(dialled.as_str(), |channel| &channel.name);
            let message = started_at(message.with("Channel", name), to).with("Reason", reason);
            let unique_id = news.channel.as_ref().map_or("<null>", |channel| &channel.unique_id);
            shown(message.with("Uniqueid", unique_id), caller, dialect)
        }
        NewsBody::VarSet { variable, value } => {
            let message = start("VarSet", class);
            let message = match &news.channel {
                Some(channel) if dialect.modern() => all_fields(message, channel),
                Some(channel) => message.with("Channel", &channel.name),
                None => message.with("Channel", "none"),
            };
            let message = message.with("Variable", variable).with("Value", value);
            match &news.channel {
                Some(channel) if !dialect.modern() => message.with("Uniqueid", &channel.unique_id),
                Some(_) => message,
                None => message.with("Uniqueid", "none"),
            }
        }
        _ => return None,
    })
}

fn in_conference(
    channel: Option<&Channel>,
    name: &str,
    what: InConference,
    members: usize,
    dialect: Dialect,
) -> Message {
    let event = match what {
        InConference::Starts => "ConfbridgeStart",
        InConference::Joins => "ConfbridgeJoin",
        InConference::Mutes(true) => "ConfbridgeMute",
        InConference::Mutes(false) => "ConfbridgeUnmute",
        InConference::Talks(_) => "ConfbridgeTalking",
        InConference::Leaves => "ConfbridgeLeave",
        InConference::Ends => "ConfbridgeEnd",
    };
    let message = start(event, Classes::CALL);
    let message = match channel {
        Some(channel) if !dialect.modern() => {
            message.with("Channel", &channel.name).with("Uniqueid", &channel.unique_id)
        }
        _ => message,
    };
    let mut message = message.with("Conference", name);
    if dialect.modern() {
        message = message
            .with("BridgeUniqueid", name)
            .with("BridgeType", "base")
            .with("BridgeTechnology", "softmix")
            .with("BridgeCreator", "ConfBridge")
            .with("BridgeName", name)
            .with("BridgeNumChannels", members);
        message = match channel {
            Some(channel) => all_fields(message, channel).with("Admin", "No"),
            None => message,
        };
    } else if let Some(channel) = channel {
        message = message
            .with("CallerIDnum", &channel.caller.number)
            .with("CallerIDname", &channel.caller.name);
    }
    match what {
        InConference::Talks(on) => message.with("TalkingStatus", if on { "on" } else { "off" }),
        _ => message,
    }
}

fn started_at(message: Message, to: &Start) -> Message {
    match to {
        Start::At { context, exten, .. } => message.with("Context", context).with("Exten", exten),
        Start::Application { name, data } => message.with("Application", name).with("Data", data),
    }
}

fn shown(message: Message, caller: &CallerIdView, dialect: Dialect) -> Message {
    message
        .with("CallerIDNum", or_unknown(&caller.number, dialect))
        .with("CallerIDName", or_unknown(&caller.name, dialect))
}

/// Asterisk 11 left unknown callers empty, later ones say so.
fn or_unknown(text: &str, dialect: Dialect) -> &str {
    if text.is_empty() && dialect == Dialect::Modern { "<unknown>" } else { text }
}

fn legacy(news: &ChannelNews, out: &mut Vec<Message>) {
    let class = classes(&news.body);
    let Some(channel) = news.channel.as_deref() else { return };
    let named = |event: &str| start(event, class).with("Channel", &channel.name);
    let id = &channel.unique_id;
    let caller = |message: Message| {
        message
            .with("CallerIDNum", &channel.caller.number)
            .with("CallerIDName", &channel.caller.name)
    };
    let connected = |message: Message| {
        message
            .with("ConnectedLineNum", &channel.connected.number)
            .with("ConnectedLineName", &channel.connected.name)
    };
    let state = |message: Message| {
        message
            .with("ChannelState", channel.state.number())
            .with("ChannelStateDesc", channel.state.text())
    };
    let message = match &news.body {
        NewsBody::New => caller(state(named("Newchannel")))
            .with("AccountCode", &channel.account)
            .with("Exten", &channel.position.exten)
            .with("Context", &channel.position.context)
            .with("Uniqueid", id),
        NewsBody::State => connected(caller(state(named("Newstate")))).with("Uniqueid", id),
        NewsBody::CallerId => caller(named("NewCallerid"))
            .with("Uniqueid", id)
            .with("CID-CallingPres", "0 (Presentation Allowed, Not Screened)"),
        NewsBody::Exten => named("Newexten")
            .with("Context", &channel.position.context)
            .with("Extension", &channel.position.exten)
            .with("Priority", channel.position.priority)
            .with("Application", &channel.application)
            .with("AppData", &channel.data)
            .with("Uniqueid", id),
        NewsBody::DialBegin { destination, dial_string } => {
            let message = start("Dial", class).with("SubEvent", "Begin");
            let message = message.with("Channel", &channel.name);
            connected(caller(message.with("Destination", &destination.name)))
                .with("UniqueID", id)
                .with("DestUniqueID", &destination.unique_id)
                .with("Dialstring", dial_string.split_once('/').map_or("", |(_, peer)| peer))
        }
        NewsBody::DialEnd { outcome, .. } => start("Dial", class)
            .with("SubEvent", "End")
            .with("Channel", &channel.name)
            .with("UniqueID", id)
            .with("DialStatus", outcome.text()),
        NewsBody::Link { other, .. } => {
            out.push(pair(start("Link", class), channel, other));
            let message = start("Bridge", class).with("Bridgestate", "Link");
            pair(message.with("Bridgetype", "core"), channel, other)
        }
        NewsBody::Unlink { other, .. } => pair(start("Unlink", class), channel, other),
        NewsBody::DtmfBegin { digit, sent } => dtmf(channel, *digit, *sent, true),
        NewsBody::DtmfEnd { digit, sent, .. } => dtmf(channel, *digit, *sent, false),
        NewsBody::AsyncAgiStart { env } => start("AsyncAGI", class)
            .with("SubEvent", "Start")
            .with("Channel", &channel.name)
            .with("Env", encoded(env)),
        NewsBody::AsyncAgiExec { command_id, action_id, result } => {
            let message = start("AsyncAGI", class).for_action(action_id);
            let message = message.with("SubEvent", "Exec").with("Channel", &channel.name);
            let message =
                if command_id.is_empty() { message } else { message.with("CommandID", command_id) };
            message.with("Result", encoded(result))
        }
        NewsBody::AsyncAgiEnd => {
            start("AsyncAGI", class).with("SubEvent", "End").with("Channel", &channel.name)
        }
        NewsBody::AgiExecStart { command, command_number } => start("AGIExec", class)
            .with("SubEvent", "Start")
            .with("Channel", &channel.name)
            .with("CommandId", command_number)
            .with("Command", command),
        NewsBody::AgiExecEnd { command, command_number, code, result } => start("AGIExec", class)
            .with("SubEvent", "End")
            .with("Channel", &channel.name)
            .with("CommandId", command_number)
            .with("Command", command)
            .with("ResultCode", code)
            .with("Result", result),
        NewsBody::LocalBridge { other, local } => start("LocalBridge", class)
            .with("Channel1", &channel.name)
            .with("Channel2", &other.name)
            .with("Uniqueid1", id)
            .with("Uniqueid2", &other.unique_id)
            .with("Context", &local.context)
            .with("Exten", &local.exten)
            .with("LocalOptimization", "Yes"),
        NewsBody::Rename { old } => start("Rename", class)
            .with("Channel", old)
            .with("Oldname", old)
            .with("Newname", &channel.name)
            .with("Uniqueid", id),
        NewsBody::MusicOnHold { on, class: music } => start("MusicOnHold", class)
            .with("State", if *on { "Start" } else { "Stop" })
            .with("Channel", &channel.name)
            .with("UniqueID", id)
            .with("Class", music),
        NewsBody::Hold { on } => start("Hold", class)
            .with("Status", if *on { "On" } else { "Off" })
            .with("Channel", &channel.name)
            .with("Uniqueid", id),
        NewsBody::HangupRequest => named("HangupRequest").with("Uniqueid", id),
        NewsBody::SoftHangupRequest { cause } => {
            named("SoftHangupRequest").with("Uniqueid", id).with("Cause", cause)
        }
        NewsBody::Hangup { cause } => connected(caller(named("Hangup").with("Uniqueid", id)))
            .with("AccountCode", &channel.account)
            .with("Cause", cause)
            .with("Cause-txt", causes::text(*cause)),
        NewsBody::LocalOptimization { .. }
        | NewsBody::Conference { .. }
        | NewsBody::Peer { .. }
        | NewsBody::Cdr(_)
        | NewsBody::DoNotDisturb { .. }
        | NewsBody::UserEvent { .. }
        | NewsBody::OriginateResponse { .. }
        | NewsBody::VarSet { .. } => return,
    };
    out.push(message);
}

fn dtmf(channel: &Channel, digit: char, sent: bool, begin: bool) -> Message {
    let yes = |on: bool| if on { "Yes" } else { "No" };
    start("DTMF", Classes::DTMF)
        .with("Channel", &channel.name)
        .with("Uniqueid", &channel.unique_id)
        .with("Digit", digit)
        .with("Direction", if sent { "Sent" } else { "Received" })
        .with("Begin", yes(begin))
        .with("End", yes(!begin))
}

fn pair(message: Message, one: &Channel, two: &Channel) -> Message {
    message
        .with("Channel1", &one.name)
        .with("Channel2", &two.name)
        .with("Uniqueid1", &one.unique_id)
        .with("Uniqueid2", &two.unique_id)
        .with("CallerID1", &one.caller.number)
        .with("CallerID2", &two.caller.number)
}

/// The snapshot that every later event begins with.
fn all_fields(message: Message, channel: &Channel) -> Message {
    fields(message, "", channel)
}

/// A pair without telephones.
fn pair_fields(event: &str, one: &Channel, two: &Channel) -> Message {
    fields(fields(start(event, Classes::CALL), "LocalOne", one), "LocalTwo", two)
}

fn fields(message: Message, prefix: &str, channel: &Channel) -> Message {
    let unknown = |text: &str| if text.is_empty() { "<unknown>" } else { text }.to_owned();
    let all: [(&str, String); 14] = [
        ("Channel", channel.name.clone()),
        ("ChannelState", channel.state.number().to_string()),
        ("ChannelStateDesc", channel.state.text().to_owned()),
        ("CallerIDNum", unknown(&channel.caller.number)),
        ("CallerIDName", unknown(&channel.caller.name)),
        ("ConnectedLineNum", unknown(&channel.connected.number)),
        ("ConnectedLineName", unknown(&channel.connected.name)),
        ("Language", channel.language.clone()),
        ("AccountCode", channel.account.clone()),
        ("Context", channel.position.context.clone()),
        ("Exten", channel.position.exten.clone()),
        ("Priority", channel.position.priority.to_string()),
        ("Uniqueid", channel.unique_id.clone()),
        ("Linkedid", channel.linked_id.clone()),
    ];
    all.iter()
        .fold(message, |message, (name, value)| message.with(&format!("{prefix}{name}"), value))
}

fn modern(news: &ChannelNews, out: &mut Vec<Message>) {
    let class = classes(&news.body);
    let dialled = |event: &str, destination: &Channel| {
        let message = start(event, class);
        let message = match &news.channel {
            Some(channel) => all_fields(message, channel),
            None => message,
        };
        fields(message, "Dest", destination)
    };
    match &news.body {
        NewsBody::DialBegin { destination, dial_string } => {
            let peer = dial_string.split_once('/').map_or("", |(_, peer)| peer);
            out.push(dialled("DialBegin", destination).with("DialString", peer));
            return;
        }
        NewsBody::DialEnd { destination, outcome } => {
            out.push(dialled("DialEnd", destination).with("DialStatus", outcome.text()));
            return;
        }
        _ => {}
    }
    let Some(channel) = news.channel.as_deref() else { return };
    let named = |event: &str| all_fields(start(event, class), channel);
    let message = match &news.body {
        NewsBody::New => named("Newchannel"),
        NewsBody::State => named("Newstate"),
        NewsBody::CallerId => {
            named("NewCallerid").with("CID-CallingPres", "0 (Presentation Allowed, Not Screened)")
        }
        NewsBody::Exten => named("Newexten")
            .with("Extension", &channel.position.exten)
            .with("Application", &channel.application)
            .with("AppData", &channel.data),
        NewsBody::Link { other, bridge } => {
            out.push(in_bridge("BridgeCreate", bridge, 0, None));
            out.push(in_bridge("BridgeEnter", bridge, 1, Some(channel)));
            in_bridge("BridgeEnter", bridge, 2, Some(other))
        }
        NewsBody::Unlink { other, bridge } => {
            out.push(in_bridge("BridgeLeave", bridge, 1, Some(channel)));
            out.push(in_bridge("BridgeLeave", bridge, 0, Some(other)));
            in_bridge("BridgeDestroy", bridge, 0, None)
        }
        NewsBody::DtmfBegin { digit, sent } => {
            named("DTMFBegin").with("Digit", digit).with("Direction", direction(*sent))
        }
        NewsBody::DtmfEnd { digit, duration_ms, sent } => named("DTMFEnd")
            .with("Digit", digit)
            .with("DurationMs", duration_ms)
            .with("Direction", direction(*sent)),
        NewsBody::AsyncAgiStart { env } => named("AsyncAGIStart").with("Env", encoded(env)),
        NewsBody::AsyncAgiExec { command_id, action_id, result } => {
            let message = start("AsyncAGIExec", class).for_action(action_id);
            let message = all_fields(message, channel).with("Result", encoded(result));
            if command_id.is_empty() { message } else { message.with("CommandId", command_id) }
        }
        NewsBody::AsyncAgiEnd => named("AsyncAGIEnd"),
        NewsBody::AgiExecStart { command, command_number } => {
            named("AGIExecStart").with("Command", command).with("CommandId", command_number)
        }
        NewsBody::AgiExecEnd { command, command_number, code, result } => named("AGIExecEnd")
            .with("Command", command)
            .with("CommandId", command_number)
            .with("ResultCode", code)
            .with("Result", result),
        NewsBody::LocalBridge { other, local } => pair_fields("LocalBridge", channel, other)
            .with("Context", &local.context)
            .with("Exten", &local.exten)
            .with("LocalOptimization", "Yes"),
        NewsBody::LocalOptimization { other, ends: true, .. } => {
            pair_fields("LocalOptimizationEnd", channel, other)
                .with("Success", "True")
                .with("Id", &channel.unique_id)
        }
        NewsBody::LocalOptimization { other, source, ends: false } => {
            fields(pair_fields("LocalOptimizationBegin", channel, other), "Source", source)
                .with("DestUniqueId", &channel.unique_id)
                .with("Id", &channel.unique_id)
        }
        NewsBody::Rename { old } => start("Rename", class)
            .with("Channel", old)
            .with("Newname", &channel.name)
            .with("Uniqueid", &channel.unique_id),
        NewsBody::MusicOnHold { on: true, class: music } => {
            named("MusicOnHoldStart").with("Class", music)
        }
        NewsBody::MusicOnHold { on: false, .. } => named("MusicOnHoldStop"),
        NewsBody::Hold { on } => named(if *on { "Hold" } else { "Unhold" }),
        NewsBody::HangupRequest => named("HangupRequest"),
        NewsBody::SoftHangupRequest { cause } => named("SoftHangupRequest").with("Cause", cause),
        NewsBody::Hangup { cause } => {
            named("Hangup").with("Cause", cause).with("Cause-txt", causes::text(*cause))
        }
        NewsBody::DialBegin { .. }
        | NewsBody::DialEnd { .. }
        | NewsBody::Conference { .. }
        | NewsBody::Peer { .. }
        | NewsBody::Cdr(_)
        | NewsBody::DoNotDisturb { .. }
        | NewsBody::UserEvent { .. }
        | NewsBody::OriginateResponse { .. }
        | NewsBody::VarSet { .. } => return,
    };
    out.push(message);
}

const fn direction(sent: bool) -> &'static str {
    if sent { "Sent" } else { "Received" }
}

fn in_bridge(event: &str, bridge: &str, channels: usize, channel: Option<&Channel>) -> Message {
    let message = start(event, Classes::CALL)
        .with("BridgeUniqueid", bridge)
        .with("BridgeType", "basic")
        .with("BridgeTechnology", "simple_bridge")
        .with("BridgeCreator", "<unknown>")
        .with("BridgeName", "<unknown>")
        .with("BridgeNumChannels", channels);
    match channel {
        Some(channel) => all_fields(message, channel),
        None => message,
    }
}

fn peer_status(peer: &str, contact: Option<&str>) -> Message {
    let kind = peer.split('/').next().unwrap_or_default();
    let message = start("PeerStatus", Classes::SYSTEM).with("ChannelType", kind).with("Peer", peer);
    match contact {
        Some(contact) => {
            message.with("PeerStatus", "Registered").with("Address", address_of(contact))
        }
        None => message.with("PeerStatus", "Unregistered").with("Cause", "Expired"),
    }
}

/// `host:port` of a contact, `sip:phone1@192.0.2.1:5062;ob`.
pub(super) fn address_of(contact: &str) -> String {
    let uri = contact.split_once(':').map_or(contact, |(_, rest)| rest);
    let host = uri.split_once('@').map_or(uri, |(_, host)| host);
    let host = host.split([';', '>', '?']).next().unwrap_or_default();
    let has_port = host.rsplit_once(':').is_some_and(|(before, port)| {
        !port.is_empty()
            && port.bytes().all(|c| c.is_ascii_digit())
            && (before.ends_with(']') || !before.contains(':'))
    });
    if has_port || host.is_empty() { host.to_owned() } else { format!("{host}:5060") }
}

fn cdr(detail: &CallDetail) -> Message {
    let CallerIdView { number, name } = &detail.source;
    let caller_id = if name.is_empty() { number.clone() } else { format!("\"{name}\" <{number}>") };
    let seconds = |from: Timestamp| {
        detail.ended_at.0.duration_since(from.0).map_or(0, |duration| duration.as_secs())
    };
    let disposition = match (detail.answered_at, detail.cause) {
        (Some(_), _) => "ANSWERED",
        (None, 17) => "BUSY",
        (None, 16 | 18 | 19) => "NO ANSWER",
        (None, _) => "FAILED",
    };
    start("Cdr", Classes::CDR)
        .with("AccountCode", &detail.account)
        .with("Source", number)
        .with("Destination", &detail.destination)
        .with("DestinationContext", &detail.context)
        .with("CallerID", caller_id)
        .with("Channel", &detail.channel)
        .with("DestinationChannel", &detail.destination_channel)
        .with("LastApplication", &detail.application.0)
        .with("LastData", &detail.application.1)
        .with("StartTime", date(detail.started_at))
        .with("AnswerTime", detail.answered_at.map(date).unwrap_or_default())
        .with("EndTime", date(detail.ended_at))
        .with("Duration", seconds(detail.started_at))
        .with("BillableSeconds", detail.answered_at.map_or(0, seconds))
        .with("Disposition", disposition)
        .with("AMAFlags", "DOCUMENTATION")
        .with("UniqueID", &detail.unique_id)
        .with("UserField", &detail.user_field)
}

/// `2026-11-21 12:00:00`, UTC.
pub(super) fn date(at: Timestamp) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    OffsetDateTime::from(at.0).format(format).unwrap_or_default()
}

#[cfg(test)]
mod tests;
