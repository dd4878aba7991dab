//! `AGI`: a command for a channel in AsyncAGI.

use super::{Context, Message, Packet};
use crate::channel::AgiCommand;

pub(super) fn queue(context: &Context, packet: &Packet) -> Message {
    let (name, command) = (packet.get("Channel"), packet.get("Command"));
    if name.is_empty() || command.is_empty() {
        return Message::error("Both, Channel and Command are *required*");
    }
    let Some(channel) = context.channel(name) else {
        return Message::error(format_args!("Channel {name} does not exist."));
    };
    let command = AgiCommand {
        command: command.to_owned(),
        command_id: packet.get("CommandID").to_owned(),
        action_id: packet.get("ActionID").to_owned(),
    };
    match context.channels.program().queue_agi(&channel, command) {
        Ok(()) => Message::success().with("Message", "Added AGI command to queue"),
        Err(_) => Message::error(format_args!("Failed to add AGI command to channel {name} queue")),
    }
}
