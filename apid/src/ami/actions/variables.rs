//! Variables of channels, and those of all.

use super::{Context, Message, Packet};
use crate::channel::{Channel, VariableError};
use crate::view::CallerIdView;

pub(super) fn get(context: &Context, packet: &Packet) -> Message {
    let (name, variable) = (packet.get("Channel"), packet.get("Variable"));
    if variable.is_empty() {
        return Message::error("No variable specified");
    }
    let channel = if name.is_empty() { None } else { context.channel(name) };
    if !name.is_empty() && channel.is_none() {
        return Message::error("No such channel");
    }
    let value = value(context, channel.as_deref(), variable);
    Message::success().with("Variable", variable).with("Value", value)
}

/// A variable, or one of the functions that need nothing else; empty where there is none.
pub(super) fn value(context: &Context, channel: Option<&Channel>, name: &str) -> String {
    let Some(channel) = channel else {
        return context.channels.global(name).unwrap_or_default();
    };
    let CallerIdView { number, name: caller } = &channel.caller;
    match name.to_ascii_uppercase().as_str() {
        "CALLERID(NUM)" | "CALLERID(NUMBER)" => number.clone(),
        "CALLERID(NAME)" => caller.clone(),
        "CALLERID(ALL)" => format!("\"{caller}\" <{number}>"),
        "CONNECTEDLINE(NUM)" => channel.connected.number.clone(),
        "CONNECTEDLINE(NAME)" => channel.connected.name.clone(),
        "CHANNEL" | "CHANNEL(NAME)" => channel.name.clone(),
        "CHANNEL(STATE)" => channel.state.text().to_owned(),
        "CHANNEL(LINKEDID)" => channel.linked_id.clone(),
        "CHANNEL(UNIQUEID)" | "UNIQUEID" => channel.unique_id.clone(),
        "CHANNEL(CHANNELTYPE)" => channel.name.split('/').next().unwrap_or_default().to_owned(),
        "CONTEXT" => channel.position.context.clone(),
        "EXTEN" => channel.position.exten.clone(),
        "PRIORITY" => channel.position.priority.to_string(),
        _ => {
            let own = context.channels.variable(&channel.unique_id, name);
            own.or_else(|| context.channels.global(name)).unwrap_or_default()
        }
    }
}

pub(super) fn set(context: &Context, packet: &Packet) -> Message {
    let (name, variable) = (packet.get("Channel"), packet.get("Variable"));
    let value = packet.get("Value");
    if variable.is_empty() {
        return Message::error("No variable specified");
    }
    let channel = if name.is_empty() { None } else { context.channel(name) };
    if !name.is_empty() && channel.is_none() {
        return Message::error("No such channel");
    }
    if variable.contains('(') {
        return set_function(context, channel.as_deref(), variable, value);
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

fn set_function(
    context: &Context,
    channel: Option<&Channel>,
    function: &str,
    value: &str,
) -> Message {
    let Some(channel) = channel else { return Message::error("No such channel") };
    let mut caller = channel.caller.clone();
    match function.to_ascii_uppercase().as_str() {
        "CALLERID(NUM)" | "CALLERID(NUMBER)" => value.clone_into(&mut caller.number),
        "CALLERID(NAME)" => value.clone_into(&mut caller.name),
        _ => return Message::error("Function not supported"),
    }
    if value.len() > 80 {
        return Message::error("Variable is too long, or there are too many");
    }
    context.channels.set_caller(&channel.unique_id, caller);
    Message::success().with("Message", "Variable Set")
}
