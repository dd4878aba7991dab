//! `Command`: the few lines of Asterisk's console that programs send.

use super::core::VERSION;
use super::{Context, Message, Packet};
use crate::channel::{Channel, Endpoint};
use std::sync::Arc;

pub(super) fn run(context: &Context, packet: &Packet) -> Message {
    let command = packet.get("Command");
    if command.is_empty() {
        return Message::error("No command provided");
    }
    let words: Vec<String> = command.split_whitespace().map(str::to_ascii_lowercase).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (known, lines) = match words.as_slice() {
        ["core", "show", "channels", rest @ ..] => (true, channels(context, rest == ["concise"])),
        ["core", "show", "version"] => (true, vec![format!("Asterisk {VERSION}")]),
        ["core", "show", "uptime", ..] => (true, uptime(context)),
        ["core", "show", "calls", ..] => (true, calls(context)),
        ["sip", "show", "peers"] => (true, peers(context)),
        _ => {
            let other = "(type 'core show help' for other possible commands)";
            (false, vec![format!("No such command '{command}' {other}")])
        }
    };
    if context.dialect.legacy() {
        return Message::response("Follows").with("Privilege", "Command").with_text(&lines);
    }
    let message = if known {
        Message::success().with("Message", "Command output follows")
    } else {
        Message::error("Command output follows")
    };
    lines.iter().fold(message, |message, line| message.with("Output", line))
}

fn channels(context: &Context, concise: bool) -> Vec<String> {
    let all = context.channels.all();
    let row = |channel: &Arc<Channel>| {
        let Channel { name, position: at, application, data, caller, .. } = &**channel;
        let (exten, priority, state) = (&at.exten, at.priority, channel.state.text());
        if concise {
            let other = channel.bridged_with.as_deref().and_then(|id| context.channels.find(id));
            let other = other.map_or_else(|| "(None)".to_owned(), |other| other.name.clone());
            let seconds = channel.created_at.0.elapsed().map_or(0, |age| age.as_secs());
            let (context, number, id) = (&at.context, &caller.number, &channel.unique_id);
            format!(
                "{name}!{context}!{exten}!{priority}!{state}!{application}!{data}!{number}!!!3!{seconds}!{other}!{id}"
            )
        } else {
            let place = format!("{exten}@{}:{priority}", at.context);
            format!("{name:<20} {place:<20} {state:<7} {application}({data})")
        }
    };
    let rows = all.iter().map(row);
    if concise {
        return rows.collect();
    }
    let head = format!("{:<20} {:<20} {:<7} Application(Data)", "Channel", "Location", "State");
    let (active, calls) = (all.len(), all.iter().filter(|channel| channel.calls).count());
    let plural = |n: usize| if n == 1 { "" } else { "s" };
    std::iter::once(head)
        .chain(rows)
        .chain([
            format!("{active} active channel{}", plural(active)),
            format!("{calls} active call{}", plural(calls)),
        ])
        .collect()
}

fn calls(context: &Context) -> Vec<String> {
    let diagnostics = context.control.diagnostics(&context.caller);
    let calls = diagnostics.map_or(0, |diagnostics| diagnostics.calls);
    vec![format!("{calls} active call{}", if calls == 1 { "" } else { "s" })]
}

fn uptime(context: &Context) -> Vec<String> {
    let diagnostics = context.control.diagnostics(&context.caller);
    let seconds = diagnostics.map_or(0, |diagnostics| diagnostics.uptime_ms / 1000);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    vec![format!("System uptime: {hours} hours, {minutes} minutes, {} seconds", seconds % 60)]
}

fn peers(context: &Context) -> Vec<String> {
    let entries = context.control.line_entries(&context.caller).unwrap_or_default();
    let mut rows = vec![format!("{:<26} {:<20} Status", "Name/username", "Host")];
    for entry in entries.iter().filter(|entry| entry.sip) {
        let line = context.control.line(&context.caller, &entry.id);
        let registered = line.is_ok_and(|line| line.registered == Some(true));
        let status = if registered { "OK" } else { "UNKNOWN" };
        let host = if registered { "(registered)" } else { "(Unspecified)" };
        rows.push(format!("{:<26} {host:<20} {status}", Endpoint::of(entry).name));
    }
    rows
}
