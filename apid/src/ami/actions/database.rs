//! What dial plans remember: `DB(family/key)`.

use super::{Context, Message, Packet, list};

/// Family and key of an action.
fn place(packet: &Packet) -> Result<(&str, &str), Message> {
    let (family, key) = (packet.get("Family"), packet.get("Key"));
    if family.is_empty() {
        return Err(Message::error("No family specified."));
    }
    if key.is_empty() {
        return Err(Message::error("No key specified."));
    }
    Ok((family, key))
}

pub(super) fn get(context: &Context, packet: &Packet) -> Vec<Message> {
    let (family, key) = match place(packet) {
        Ok(place) => place,
        Err(message) => return vec![message],
    };
    let program = context.channels.program();
    let Some(value) = program.memory().and_then(|memory| memory.get(family, key)) else {
        return vec![Message::error("Database entry not found")];
    };
    let response =
        Message::event("DBGetResponse").with("Family", family).with("Key", key).with("Val", value);
    if context.dialect.modern() {
        return list("Result will follow", vec![response], "DBGetComplete");
    }
    vec![Message::success().with("Message", "Result will follow"), response]
}

pub(super) fn put(context: &Context, packet: &Packet) -> Message {
    let (family, key) = match place(packet) {
        Ok(place) => place,
        Err(message) => return message,
    };
    let program = context.channels.program();
    let put = program.memory().map(|memory| memory.put(family, key, packet.get("Val")));
    match put {
        Some(Ok(())) => Message::success().with("Message", "Updated database successfully"),
        Some(Err(why)) => Message::error(format_args!("Failed to update entry: {why}")),
        None => Message::error("Failed to update entry"),
    }
}

pub(super) fn delete(context: &Context, packet: &Packet) -> Message {
    let (family, key) = match place(packet) {
        Ok(place) => place,
        Err(message) => return message,
    };
    let program = context.channels.program();
    if program.memory().is_some_and(|memory| memory.delete(family, key)) {
        Message::success().with("Message", "Key deleted successfully")
    } else {
        Message::error("Database entry not found")
    }
}

pub(super) fn delete_tree(context: &Context, packet: &Packet) -> Message {
    let family = packet.get("Family");
    if family.is_empty() {
        return Message::error("No family specified.");
    }
    let program = context.channels.program();
    let deleted = program.memory().map(|memory| memory.delete_tree(family, packet.get("Key")));
    match deleted {
        Some(1..) => Message::success().with("Message", "Key tree deleted successfully"),
        Some(0) => Message::error("Database entry not found"),
        None => Message::error("Database unavailable"),
    }
}

/// `database …` of the console.
pub(super) fn command(context: &Context, words: &[&str]) -> Option<Vec<String>> {
    let program = context.channels.program();
    let memory = program.memory()?;
    let one = |text: &str| vec![text.to_owned()];
    let (verb, rest) = words.split_first()?;
    Some(match (verb.to_ascii_lowercase().as_str(), rest) {
        ("get", [family, key]) => match memory.get(family, key) {
            Some(value) => vec![format!("Value: {value}")],
            None => one("Database entry not found."),
        },
        ("put", [family, key, value]) => match memory.put(family, key, value) {
            Ok(()) => one("Updated database successfully"),
            Err(why) => vec![format!("Failed to update entry: {why}")],
        },
        ("del", [family, key]) if memory.delete(family, key) => one("Database entry removed."),
        ("del", [_, _]) => one("Database entry does not exist."),
        ("deltree", [family, key @ ..]) if key.len() < 2 => {
            let key = key.first().copied().unwrap_or_default();
            match memory.delete_tree(family, key) {
                0 => one("Database entries do not exist."),
                deleted => vec![format!("{deleted} database entries removed.")],
            }
        }
        ("show", place) if place.len() < 3 => {
            let part = |at: usize| place.get(at).copied().unwrap_or_default();
            let found = memory.list(part(0), part(1));
            let row = |(family, key, value): &(String, String, String)| {
                let name = format!("/{family}/{key}");
                format!("{name:<50}: {value:<25}")
            };
            let count = format!("{} results found.", found.len());
            found.iter().map(row).chain([count]).collect()
        }
        _ => return None,
    })
}
