//! What changes calls: hang up, hand on, join, send digits.

use super::{Context, Message, Packet};
use crate::channel::{Channel, NewsBody, Start};
use crate::control::Cause;
use std::sync::Arc;

/// Longest that `PlayDTMF` sends a digit, ms.
const LONGEST_DIGIT_MS: u16 = 2000;

pub(super) async fn hang_up(context: &Context, packet: &Packet) -> Message {
    let name = packet.get("Channel");
    if name.is_empty() {
        return Message::error("No channel specified");
    }
    let code = packet.get("Cause").trim().parse().ok();
    match end(context, name, code).await {
        Ok(()) => Message::success().with("Message", "Channel Hungup"),
        Err(()) => Message::error("No such channel"),
    }
}

/// Hangs up on a channel, with a cause of ITU-T Q.850 where one is given that calls know.
pub(super) async fn end(context: &Context, name: &str, code: Option<u8>) -> Result<(), ()> {
    let channel = context.channel(name).ok_or(())?;
    let cause = Cause::ALL.into_iter().find(|cause| Some(cause.code()) == code);
    let body = NewsBody::SoftHangupRequest { cause: code.unwrap_or(0) };
    context.channels.tell(&channel.unique_id, body);
    let cause = cause.unwrap_or(Cause::NormalClearing);
    if context.channels.program().end_phoneless(&channel, cause) {
        return Ok(());
    }
    context.control.hangup_for(&context.caller, &channel.line, cause).await.map_err(|_| ())
}

pub(super) async fn redirect(context: &Context, packet: &Packet) -> Message {
    let (name, extra) = (packet.get("Channel"), packet.get("ExtraChannel"));
    if name.is_empty() {
        return Message::error("Channel not specified");
    }
    let at = match place(packet) {
        Ok(at) => at,
        Err(message) => return message,
    };
    let Some(channel) = context.channel(name) else {
        return Message::error(format_args!("Channel does not exist: {name}"));
    };
    let other = if extra.is_empty() { None } else { context.channel(extra) };
    if !extra.is_empty() && other.is_none() {
        return Message::error(format_args!("ExtraChannel does not exist: {extra}"));
    }
    let extra_at = extra_place(packet, &at);
    let program = context.channels.program();
    if [&at, &extra_at].into_iter().any(|at| program.check(at).is_err()) {
        return Message::error("Extension does not exist.");
    }
    let redirected = match &other {
        None => program.start(&channel, at).await,
        Some(other) => program.start_both((&channel, at), (other, extra_at)).await,
    };
    match redirected {
        Ok(()) if other.is_some() => Message::success().with("Message", "Dual Redirect successful"),
        Ok(()) => Message::success().with("Message", "Redirect successful"),
        Err(_) => Message::error("Redirect failed"),
    }
}

/// Where `ExtraChannel` goes on; with `Channel` where nothing else is said.
fn extra_place(packet: &Packet, at: &Start) -> Start {
    let Start::At { context, exten, priority } = at else { return at.clone() };
    let or = |name: &str, own: &str| match packet.get(name) {
        "" => own.to_owned(),
        given => given.to_owned(),
    };
    Start::At {
        context: or("ExtraContext", context),
        exten: or("ExtraExten", exten),
        priority: or("ExtraPriority", priority),
    }
}

/// Where `Redirect` leads.
fn place(packet: &Packet) -> Result<Start, Message> {
    let (context, exten) = (packet.get("Context"), packet.get("Exten"));
    if exten.is_empty() {
        return Err(Message::error("Exten not specified"));
    }
    if context.is_empty() {
        return Err(Message::error("Context not specified"));
    }
    let priority = Some(packet.get("Priority")).filter(|priority| !priority.is_empty());
    let Some(priority) = priority else { return Err(Message::error("Priority not specified")) };
    Ok(Start::At {
        context: context.to_owned(),
        exten: exten.to_owned(),
        priority: priority.to_owned(),
    })
}

pub(super) async fn blind_transfer(context: &Context, packet: &Packet) -> Message {
    let (name, exten) = (packet.get("Channel"), packet.get("Exten"));
    if name.is_empty() {
        return Message::error("No channel specified");
    }
    if exten.is_empty() {
        return Message::error("No extension specified");
    }
    let Some(channel) = context.channel(name) else {
        return Message::error("Channel specified does not exist");
    };
    let other = channel.bridged_with.as_deref().and_then(|id| context.channels.find(id));
    let Some(other) = other else { return Message::error("Transfer invalid") };
    let at = Start::At {
        context: match packet.get("Context") {
            "" => channel.position.context.clone(),
            context => context.to_owned(),
        },
        exten: exten.to_owned(),
        priority: "1".to_owned(),
    };
    match context.channels.program().start(&other, at).await {
        Ok(()) => Message::success().with("Message", "Transfer succeeded"),
        Err(_) => Message::error("Transfer failed"),
    }
}

/// The channel's phone reaches `Exten`, and hands over whoever it talked with by hanging up.
pub(super) fn attended(context: &Context, packet: &Packet) -> Message {
    let (name, exten) = (packet.get("Channel"), packet.get("Exten"));
    if name.is_empty() {
        return Message::error("No channel specified");
    }
    if exten.is_empty() {
        return Message::error("No extension specified");
    }
    let Some(channel) = context.channel(name) else {
        return Message::error("Channel specified does not exist");
    };
    let place = Some(packet.get("Context")).filter(|name| !matches!(*name, "" | "default"));
    if let Some(name) = place {
        let at = Start::At {
            context: name.to_owned(),
            exten: exten.to_owned(),
            priority: "1".to_owned(),
        };
        if context.channels.program().check(&at).is_err() {
            return Message::error("Extension does not exist.");
        }
    }
    match context.control.consult(&context.caller, &channel.line, exten, place) {
        Ok(()) => Message::success().with("Message", "Atxfer successfully queued"),
        Err(why) => Message::error(format_args!("Atxfer failed: {why}")),
    }
}

pub(super) async fn bridge(context: &Context, packet: &Packet) -> Message {
    let (one, two) = (packet.get("Channel1"), packet.get("Channel2"));
    if one.is_empty() || two.is_empty() {
        return Message::error("Missing channel parameter in request");
    }
    let Some(first) = context.channel(one) else {
        return Message::error(format_args!("Channel1 does not exists: {one}"));
    };
    let Some(second) = context.channel(two) else {
        return Message::error(format_args!("Channel2 does not exists: {two}"));
    };
    let control = &context.control;
    match control.bridge_lines(&context.caller, &first.line, &second.line).await {
        Ok(()) => Message::success().with("Message", "Launched bridge thread with success"),
        Err(_) => Message::error("Could not bridge the channels"),
    }
}

pub(super) async fn play_dtmf(context: &Context, packet: &Packet) -> Message {
    let (name, digit) = (packet.get("Channel"), packet.get("Digit"));
    if name.is_empty() {
        return Message::error("Channel not specified");
    }
    let Some(channel) = context.channel(name) else {
        return Message::error("Channel not found");
    };
    let Some(digit) = digit.chars().next() else {
        return Message::error("No digit specified");
    };
    let duration = match packet.get("Duration") {
        "" => None,
        text => match text.parse::<u16>() {
            Ok(ms) => Some(ms.clamp(40, LONGEST_DIGIT_MS)),
            Err(_) => return Message::error("Could not convert Duration parameter"),
        },
    };
    send_digit(context, &channel, digit, duration).await
}

async fn send_digit(
    context: &Context,
    channel: &Arc<Channel>,
    digit: char,
    duration: Option<u16>,
) -> Message {
    let control = &context.control;
    let text = digit.to_ascii_uppercase().to_string();
    if control.dtmf(&context.caller, &channel.line, &text, duration, None).await.is_err() {
        return Message::error("Could not send the digit");
    }
    let sent = true;
    let duration_ms = u32::from(duration.unwrap_or(100));
    context.channels.tell(&channel.unique_id, NewsBody::DtmfBegin { digit, sent });
    context.channels.tell(&channel.unique_id, NewsBody::DtmfEnd { digit, duration_ms, sent });
    Message::success().with("Message", "DTMF successfully queued")
}

/// `in` is what comes from the channel, `out` what goes to it.
pub(super) async fn mute(context: &Context, packet: &Packet) -> Message {
    let (name, state) = (packet.get("Channel"), packet.get("State"));
    let direction = packet.get("Direction").to_ascii_lowercase();
    for (value, what) in [(name, "Channel"), (state, "State"), (&direction, "Direction")] {
        if value.is_empty() {
            return Message::error(format_args!("{what} not specified"));
        }
    }
    let Some(channel) = context.channel(name) else { return Message::error("No such channel") };
    let on = super::is_true(state);
    let muted = match direction.as_str() {
        "in" => (on, channel.muted.1),
        "out" => (channel.muted.0, on),
        "all" => (on, on),
        _ => return Message::error("Failed to mute/unmute stream"),
    };
    match context.control.mute(&context.caller, &channel.line, muted.0, muted.1).await {
        Ok(()) => {
            context.channels.set_muted(&channel.unique_id, muted);
            Message::success()
        }
        Err(_) => Message::error("Failed to mute/unmute stream"),
    }
}
