//! Phones and their state.

use super::super::events::address_of;
use super::{Context, Message, Packet, list};
use crate::channel::{Endpoint, NewsBody};
use crate::control::LineEntry;
use crate::view::{Line, LineKind, LineState};

/// All lines with what is known of them.
fn lines(context: &Context) -> Vec<(LineEntry, Line)> {
    let entries = context.control.line_entries(&context.caller).unwrap_or_default();
    let known = |entry: LineEntry| {
        let line = context.control.line(&context.caller, &entry.id).ok()?;
        Some((entry, line))
    };
    entries.into_iter().filter_map(known).collect()
}

/// `host` and `port` where a phone can be reached.
fn contact(context: &Context, line: &str) -> Option<(String, String)> {
    let diagnostics = context.control.line_diagnostics(&context.caller, line).ok()?;
    let contact = diagnostics.registration?.contact?;
    let address = address_of(&contact);
    let (host, port) = address.rsplit_once(':')?;
    Some((host.to_owned(), port.to_owned()))
}

pub(super) fn sip_peers(context: &Context) -> Vec<Message> {
    let peers = lines(context).into_iter().filter(|(entry, _)| entry.sip);
    let event = |(entry, line): (LineEntry, Line)| {
        let registered = line.registered == Some(true);
        let (host, port) = contact(context, &entry.id)
            .filter(|_| registered)
            .unwrap_or_else(|| ("-none-".to_owned(), "0".to_owned()));
        Message::event("PeerEntry")
            .with("Channeltype", "SIP")
            .with("ObjectName", Endpoint::of(&entry).name)
            .with("ChanObjectType", "peer")
            .with("IPaddress", host)
            .with("IPport", port)
            .with("Dynamic", "yes")
            .with("Forcerport", "no")
            .with("VideoSupport", "no")
            .with("TextSupport", "no")
            .with("ACL", "no")
            // What Asterisk says of a peer without `qualify`: no time was measured.
            .with("Status", if registered { "Unmonitored" } else { "UNKNOWN" })
            .with("RealtimeDevice", "no")
    };
    list("Peer status list will follow", peers.map(event).collect(), "PeerlistComplete")
}

pub(super) fn pjsip_endpoints(context: &Context) -> Vec<Message> {
    let phones = lines(context).into_iter().filter(|(entry, _)| entry.sip);
    let event = |(entry, line): (LineEntry, Line)| {
        let name = Endpoint::of(&entry).name;
        let contact = contact(context, &entry.id).filter(|_| line.registered == Some(true));
        let contacts = contact.map(|(host, port)| format!("{name}/sip:{name}@{host}:{port},"));
        let channel = context.channels.of_line(&entry.id);
        let state = match line.state {
            LineState::Offline | LineState::Fault => "Unavailable",
            LineState::Ringing => "Ringing",
            LineState::OffHook => "In use",
            LineState::OnHook => "Not in use",
        };
        Message::event("EndpointList")
            .with("ObjectType", "endpoint")
            .with("ObjectName", &name)
            .with("Transport", "")
            .with("Aor", &name)
            .with("Auths", format_args!("{name}/"))
            .with("OutboundAuths", "")
            .with("Contacts", contacts.unwrap_or_default())
            .with("DeviceState", state)
            .with("ActiveChannels", channel.map_or(String::new(), |channel| channel.name.clone()))
    };
    let events = phones.map(event).collect();
    list(
        "A listing of Endpoints follows, presented as EndpointList events",
        events,
        "EndpointListComplete",
    )
}

pub(super) fn dahdi_channels(context: &Context, packet: &Packet) -> Vec<Message> {
    let wanted = packet.get("DAHDIChannel");
    let of_card = |(entry, line): &(LineEntry, Line)| {
        line.kind == LineKind::Dahdi && (wanted.is_empty() || Endpoint::of(entry).name == wanted)
    };
    let event = |(entry, line): (LineEntry, Line)| {
        let channel = context.channels.of_line(&entry.id);
        let (name, id) = channel.map(|c| (c.name.clone(), c.unique_id.clone())).unwrap_or_default();
        let undisturbed = context.control.do_not_disturb(&context.caller, &entry.id);
        let undisturbed = undisturbed.unwrap_or_default();
        let fault = matches!(line.state, LineState::Fault | LineState::Offline);
        Message::event("DAHDIShowChannels")
            .with("DAHDIChannel", Endpoint::of(&entry).name)
            .with("Channel", name)
            .with("Uniqueid", id)
            .with("AccountCode", "")
            .with("Signalling", "FXO Kewlstart")
            .with("SignallingCode", "8196")
            .with("Context", "default")
            .with("DND", if undisturbed { "Enabled" } else { "Disabled" })
            .with("Alarm", if fault { "Red Alarm" } else { "No Alarm" })
            .with("Description", &entry.name)
    };
    let events = lines(context).into_iter().filter(of_card).map(event).collect();
    list("DAHDI channel status will follow", events, "DAHDIShowChannelsComplete")
}

pub(super) fn do_not_disturb(context: &Context, packet: &Packet, on: bool) -> Message {
    let channel = packet.get("DAHDIChannel");
    if channel.is_empty() {
        return Message::error("No channel specified");
    }
    let Some(entry) = context.line(&format!("DAHDI/{channel}")) else {
        return Message::error("No such channel");
    };
    match context.control.set_do_not_disturb(&context.caller, &entry.id, on) {
        Ok(()) => {
            let device = Endpoint::of(&entry).address();
            context.channels.tell_all(NewsBody::DoNotDisturb { device, on });
            let state = if on { "DND Enabled" } else { "DND Disabled" };
            Message::success().with("Message", state)
        }
        Err(why) => Message::error(why),
    }
}

/// Status of an extension by that of its line, with Asterisk's number.
const fn status(line: &Line) -> (i8, &'static str) {
    match line.state {
        LineState::OnHook => (0, "Idle"),
        LineState::OffHook => (1, "InUse"),
        LineState::Offline | LineState::Fault => (4, "Unavailable"),
        LineState::Ringing => (8, "Ringing"),
    }
}

pub(super) fn state(context: &Context, entry: &LineEntry) -> Option<(i8, &'static str)> {
    context.control.line(&context.caller, &entry.id).ok().map(|line| status(&line))
}

/// Status of several devices of one extension.
fn together(states: &[(i8, &'static str)]) -> (i8, &'static str) {
    let any = |status: i8| states.iter().find(|(known, _)| *known == status).copied();
    match (any(1), any(8)) {
        (Some(_), Some(_)) => (9, "InUse&Ringing"),
        (in_use, ringing) => in_use.or(ringing).or(any(0)).or(any(4)).unwrap_or((-1, "Unknown")),
    }
}

/// What a dial plan's hint says, else the line that has the number.
pub(super) fn extension_state(context: &Context, packet: &Packet) -> Message {
    let (exten, asked) = (packet.get("Exten"), packet.get("Context"));
    if exten.is_empty() {
        return Message::error("Extension not specified");
    }
    let asked = if asked.is_empty() { "default" } else { asked };
    let (hint, (status, text)) =
        if let Some(devices) = context.channels.program().hint(asked, exten) {
            let lines = devices.split('&').filter_map(|device| context.line(device.trim()));
            let states: Vec<_> = lines.filter_map(|entry| state(context, &entry)).collect();
            (devices, together(&states))
        } else {
            let entries = context.control.line_entries(&context.caller).unwrap_or_default();
            let has =
                |entry: &LineEntry| asked == "default" && entry.extension.as_deref() == Some(exten);
            let entry = entries.into_iter().find(has);
            let known = entry
                .and_then(|entry| Some((Endpoint::of(&entry).address(), state(context, &entry)?)));
            known.unwrap_or((String::new(), (-1, "Unknown")))
        };
    Message::success()
        .with("Message", "Extension Status")
        .with("Exten", exten)
        .with("Context", asked)
        .with("Hint", hint)
        .with("Status", status)
        .with("StatusText", text)
}
