//! Variables of channels, and those of all; functions of dial plans.

use super::{Context, Message, Packet};
use crate::channel::{Channel, VariableError};
use std::sync::Arc;

pub(super) fn get(context: &Context, packet: &Packet) -> Message {
    let variable = packet.get("Variable");
    let channel = match of(context, packet) {
        Ok(channel) => channel,
        Err(message) => return message,
    };
    let value = context.channels.program().value(channel.as_deref(), variable);
    Message::success().with("Variable", variable).with("Value", value)
}

/// The channel that is meant, if any.
fn of(context: &Context, packet: &Packet) -> Result<Option<Arc<Channel>>, Message> {
    if packet.get("Variable").is_empty() {
        return Err(Message::error("No variable specified"));
    }
    match packet.get("Channel") {
        "" => Ok(None),
        name => context.channel(name).map(Some).ok_or_else(|| Message::error("No such channel")),
    }
}

pub(super) fn set(context: &Context, packet: &Packet) -> Message {
    let (variable, value) = (packet.get("Variable"), packet.get("Value"));
    let channel = match of(context, packet) {
        Ok(channel) => channel,
        Err(message) => return message,
    };
    if variable.contains('(') {
        return match context.channels.program().assign(channel.as_deref(), variable, value) {
            Ok(()) => Message::success().with("Message", "Variable Set"),
            Err(reason) => Message::error(reason),
        };
    }
    let id = channel.as_deref().map(|channel| channel.unique_id.as_str());
    match context.channels.set_variable(id, variable, value) {
        Ok(()) => Message::success().with("Message", "Variable Set"),
        Err(VariableError::NoSuchChannel) => Message::error("No such channel"),
        Err(VariableError::Name | VariableError::Value | VariableError::Full) => {
            Message::error("Variable is too long, or there are too many")
        }
    }
}
