//! What changes calls: hang up, hand on, join, send digits.

use super::{Context, Message, Packet};
use crate::channel::{Channel, NewsBody, Start};
use crate::control::TransferTo;
use std::sync::Arc;

/// Longest that `PlayDTMF` sends a digit, ms.
const LONGEST_DIGIT_MS: u16 = 2000;

pub(super) async fn hang_up(context: &Context, packet: &Packet) -> Message {
    let name = packet.get("Channel");
    if name.is_empty() {
        return Message::error("No channel specified");
    }
    let Some(channel) = context.channel(name) else {
        return Message::error("No such channel");
    };
    let cause = packet.get("Cause").parse().unwrap_or(0);
    context.channels.tell(&channel.unique_id, NewsBody::SoftHangupRequest { cause });
    match context.control.end_call(&context.caller, &channel.call_id).await {
        Ok(()) => Message::success().with("Message", "Channel Hungup"),
        Err(_) => Message::error("No such channel"),
    }
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
    let program = context.channels.program();
    if program.check(&at).is_err() {
        return Message::error("Extension does not exist.");
    }
    for channel in std::iter::once(channel).chain(other) {
        if program.start(&channel, at.clone()).await.is_err() {
            return Message::error("Redirect failed");
        }
    }
    Message::success().with("Message", "Redirect successful")
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
    let to = TransferTo::Number(exten.to_owned());
    let leaves = Some(channel.line.as_str());
    let control = &context.control;
    match control.transfer_call(&context.caller, &channel.call_id, leaves, &to).await {
        Ok(_) => Message::success().with("Message", "Transfer succeeded"),
        Err(_) => Message::error("Transfer failed"),
    }
}

/// There is no phone here by which the one who hands on could hear the other one first.
pub(super) fn attended(context: &Context, packet: &Packet) -> Message {
    let (name, exten) = (packet.get("Channel"), packet.get("Exten"));
    if name.is_empty() {
        return Message::error("No channel specified");
    }
    if exten.is_empty() {
        return Message::error("No extension specified");
    }
    match context.channel(name) {
        None => Message::error("Channel specified does not exist"),
        Some(_) => Message::error("No attended transfer feature code found"),
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
    match control.bridge_calls(&context.caller, &first.call_id, &second.call_id).await {
        Ok(_) => Message::success().with("Message", "Launched bridge thread with success"),
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
