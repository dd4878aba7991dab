//! The system as a whole, and the session.

use super::super::events::date;
use super::{Action, Context, Message, Packet, Reply};
use crate::channel::NewsBody;
use std::time::{SystemTime, UNIX_EPOCH};

/// What is told of our version to programs that look for Asterisk's.
pub(super) const VERSION: &str = concat!("11.0.0 (Tipring ", env!("CARGO_PKG_VERSION"), ")");
/// Headers of a `UserEvent`.
const MAX_USER_HEADERS: usize = 64;

pub(super) fn ping() -> Message {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let timestamp = format!("{}.{:06}", since.as_secs(), since.subsec_micros());
    Message::success().with("Ping", "Pong").with("Timestamp", timestamp)
}

pub(super) fn list_commands() -> Message {
    Action::ALL.iter().fold(Message::success(), |message, action| {
        let (synopsis, needs) = (action.synopsis(), action.needs().privilege());
        message.with(action.name(), format_args!("{synopsis}  (Priv: {needs})"))
    })
}

pub(super) fn status(context: &Context) -> Message {
    let Ok(diagnostics) = context.control.diagnostics(&context.caller) else {
        return Message::error("Permission denied");
    };
    let started = date(diagnostics.started_at);
    let (day, time) = started.split_once(' ').unwrap_or((&started, ""));
    Message::success()
        .with("CoreStartupDate", day)
        .with("CoreStartupTime", time)
        .with("CoreReloadDate", day)
        .with("CoreReloadTime", time)
        .with("CoreCurrentCalls", diagnostics.calls)
}

pub(super) fn settings(context: &Context) -> Message {
    Message::success()
        .with("AMIversion", if context.dialect.legacy() { "1.3" } else { "5.0.4" })
        .with("AsteriskVersion", VERSION)
        .with("SystemName", "")
        .with("CoreMaxCalls", context.settings.max_calls)
        .with("CoreMaxLoadAvg", "0.000000")
        .with("CoreRunUser", "")
        .with("CoreRunGroup", "")
        .with("CoreMaxFilehandles", "0")
        .with("CoreRealTimeEnabled", "No")
        .with("CoreCDRenabled", "Yes")
        .with("CoreHTTPenabled", "No")
}

pub(super) async fn reload(context: &Context, packet: &Packet) -> Message {
    let module = packet.get("Module");
    if !module.is_empty() && !module.trim_end_matches(".so").eq_ignore_ascii_case("pbx_config") {
        return Message::error("No such module");
    }
    match context.control.reload(&context.caller).await {
        Ok(()) => Message::success().with("Message", "Module Reloaded"),
        Err(why) => Message::error(format_args!("An unknown error occurred: {why}")),
    }
}

pub(super) fn user_event(context: &Context, packet: &Packet) -> Message {
    let event = packet.get("UserEvent");
    if event.is_empty() {
        return Message::error("UserEvent not specified");
    }
    let own = |name: &str| {
        let known = ["action", "actionid", "userevent"];
        known.iter().any(|known| name.eq_ignore_ascii_case(known))
    };
    let headers = packet.headers().filter(|(name, _)| !own(name)).take(MAX_USER_HEADERS);
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    context.channels.tell_all(NewsBody::UserEvent { event: event.to_owned(), headers });
    Message::success().with("Message", "Event Sent")
}

pub(super) fn wait_event(packet: &Packet) -> Reply {
    match packet.get("Timeout") {
        "" | "-1" => Reply::NextEvent(None),
        text => match text.parse::<u64>() {
            Ok(seconds) => Reply::NextEvent(Some(seconds.min(86_400))),
            Err(_) => Message::error("Invalid timeout").for_action(packet.get("ActionID")).into(),
        },
    }
}
