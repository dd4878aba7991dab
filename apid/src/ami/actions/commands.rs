//! `Command`: the few lines of Asterisk's console that programs send.

use super::core::VERSION;
use super::{Context, Message, Packet};
use crate::channel::{Channel, Endpoint};
use std::sync::Arc;

pub(super) async fn run(context: &Context, packet: &Packet) -> Message {
    let command = packet.get("Command");
    if command.is_empty() {
        return Message::error("No command provided");
    }
    let words = words(command);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let output = output(context, &words).await;
    let known = output.is_some();
    let lines = output.unwrap_or_else(|| {
        let other = "(type 'core show help' for other possible commands)";
        vec![format!("No such command '{command}' {other}")]
    });
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

/// Words with blanks between; `"…"` is one, in which `\"` is a quotation mark.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let (mut quoted, mut signs) = (false, command.chars());
    while let Some(sign) = signs.next() {
        match sign {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' | '\t' if !quoted => words.extend(word.take()),
            '\\' => word.get_or_insert_default().extend(signs.next()),
            _ => word.get_or_insert_default().push(sign),
        }
    }
    words.extend(word);
    words
}

/// What the console says; `None` where it knows no such command.
async fn output(context: &Context, words: &[&str]) -> Option<Vec<String>> {
    let lower: Vec<String> = words.iter().take(4).map(|word| word.to_ascii_lowercase()).collect();
    let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
    Some(match lower.as_slice() {
        ["core", "show", "channels"] | ["core", "show", "channels", "verbose"] => {
            channels(context, false)
        }
        ["core", "show", "channels", "concise"] => channels(context, true),
        ["core", "show", "channels", "count"] => counts(context),
        ["core", "show", "channel", _] => channel(context, words[3]),
        ["core", "show", "version"] => vec![format!("Asterisk {VERSION}")],
        ["core", "show", "uptime", ..] => uptime(context),
        ["core", "show", "calls", ..] => calls(context),
        ["core", "show", "hints"] => hints(context),
        ["core", "show", "applications"] => context.channels.program().vocabulary().0.lines(),
        ["core", "show", "functions"] => context.channels.program().vocabulary().1.lines(),
        ["core", "show", "help"] => HELP.lines(),
        ["sip", "show", "peers"] => peers(context),
        ["database", ..] => return super::database::command(context, &words[1..]),
        ["channel", "request", "hangup", _] => hang_up(context, words[3]).await,
        ["dialplan" | "core", "reload"] | ["reload"] => {
            match context.control.reload(&context.caller).await {
                Ok(()) => vec!["Dialplan reloaded.".to_owned()],
                Err(why) => vec![format!("Dialplan is not reloaded: {why}")],
            }
        }
        _ => return None,
    })
}

/// What this console knows.
const HELP: &[&str] = &[
    "channel request hangup CHANNEL",
    "core reload",
    "core show applications",
    "core show calls",
    "core show channel CHANNEL",
    "core show channels [concise|count|verbose]",
    "core show functions",
    "core show help",
    "core show hints",
    "core show uptime [seconds]",
    "core show version",
    "database del FAMILY KEY",
    "database deltree FAMILY [KEY]",
    "database get FAMILY KEY",
    "database put FAMILY KEY VALUE",
    "database show [FAMILY [KEY]]",
    "dialplan reload",
    "sip show peers",
];

/// One line each.
trait Lines {
    fn lines(&self) -> Vec<String>;
}

impl Lines for [&str] {
    fn lines(&self) -> Vec<String> {
        self.iter().map(|line| (*line).to_owned()).collect()
    }
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
    std::iter::once(head).chain(rows).chain(counts(context)).collect()
}

fn counts(context: &Context) -> Vec<String> {
    let active = context.channels.all().len();
    let plural = if active == 1 { "" } else { "s" };
    std::iter::once(format!("{active} active channel{plural}")).chain(calls(context)).collect()
}

fn channel(context: &Context, name: &str) -> Vec<String> {
    let Some(channel) = context.channel(name) else {
        return vec![format!("{name} is not a known channel")];
    };
    let row = |name: &str, value: &str| format!("{name:>16}: {value}");
    let other = channel.bridged_with.as_deref().and_then(|id| context.channels.find(id));
    let other = other.map_or_else(|| "<none>".to_owned(), |other| other.name.clone());
    let seconds = channel.created_at.0.elapsed().map_or(0, |age| age.as_secs());
    let mut lines = vec![
        " -- General --".to_owned(),
        row("Name", &channel.name),
        row("UniqueID", &channel.unique_id),
        row("LinkedID", &channel.linked_id),
        row("Caller ID", &channel.caller.number),
        row("Caller ID Name", &channel.caller.name),
        row("State", &format!("{} ({})", channel.state.text(), channel.state.number())),
        row("Elapsed Time", &format!("{}h{}m{}s", seconds / 3600, seconds / 60 % 60, seconds % 60)),
        row("Bridged to", &other),
        " --   PBX   --".to_owned(),
        row("Context", &channel.position.context),
        row("Extension", &channel.position.exten),
        row("Priority", &channel.position.priority.to_string()),
        row("Application", &channel.application),
        row("Data", &channel.data),
        "  Variables:".to_owned(),
    ];
    let variables = context.channels.variables(&channel.unique_id);
    lines.extend(variables.iter().map(|(name, value)| format!("{name}={value}")));
    lines
}

fn hints(context: &Context) -> Vec<String> {
    let entries = context.control.line_entries(&context.caller).unwrap_or_default();
    let row = |entry: &crate::control::LineEntry| {
        let number = entry.extension.as_deref()?;
        let (_, state) = super::devices::state(context, entry)?;
        let (place, device) = (format!("{number}@default"), Endpoint::of(entry).address());
        Some(format!("{place:>20}: {device:<20} State:{state:<15} Watchers  0"))
    };
    let mut lines: Vec<String> = entries.iter().filter_map(row).collect();
    lines.push(format!("- {} hints registered", lines.len()));
    lines
}

async fn hang_up(context: &Context, name: &str) -> Vec<String> {
    if super::calls::end(context, name, None).await.is_ok() {
        vec![format!("Requested Hangup on channel '{name}'")]
    } else {
        vec![format!("{name} is not a known channel")]
    }
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
