//! `Originate`: rings a phone and lets it go on in a dial plan or an application when it is lifted.

use super::{Context, Message, Packet, Reply, is_true};
use crate::channel::{Channel, Expected, Local, NewsBody, Ringing, Start, Unanswered, Variables};
use crate::control::{Cause, Refused};
use crate::view::CallerIdView;
use std::sync::Arc;
use std::time::Duration;

/// How long a phone rings where nobody says, and the longest, ms.
const DEFAULT_TIMEOUT_MS: u32 = 30_000;
const LONGEST_TIMEOUT_MS: u32 = 600_000;
/// Octets of a caller's number and of a name, as phones are sent.
const MAX_CALLER: usize = 32;

/// `Reason` of `OriginateResponse`.
mod reason {
    pub(super) const FAILURE: u8 = 0;
    pub(super) const HUNG_UP: u8 = 1;
    pub(super) const NO_ANSWER: u8 = 3;
    pub(super) const ANSWERED: u8 = 4;
    pub(super) const BUSY: u8 = 5;
    pub(super) const CONGESTION: u8 = 8;
}

struct Order {
    dialled: String,
    line: String,
    start: Start,
    timeout_ms: u32,
    expected: Expected,
    action_id: String,
}

pub(super) fn originate(context: &Context, packet: &Packet) -> Reply {
    let order = match read(context, packet) {
        Ok(order) => order,
        Err(message) => return message.into(),
    };
    let queued = || Message::success().with("Message", "Originate successfully queued");
    let own = context.clone();
    if is_true(packet.get("Async")) {
        // Whatever comes of it is told after this answer, which is written before anything else.
        tokio::spawn(async move { carry_out(&own, order, true).await });
        return queued().into();
    }
    tokio::spawn(async move {
        let action_id = order.action_id.clone();
        let success = carry_out(&own, order, false).await;
        let message = if success { queued() } else { Message::error("Originate failed") };
        // The client may have gone.
        let _ = own.later.send(vec![message.for_action(&action_id)]).await;
    });
    Reply::Later
}

fn read(context: &Context, packet: &Packet) -> Result<Order, Message> {
    let dialled = packet.get("Channel");
    if dialled.is_empty() {
        return Err(Message::error("Channel not specified"));
    }
    if !dialled.contains('/') {
        return Err(Message::error("Invalid channel"));
    }
    let timeout_ms = match packet.get("Timeout") {
        "" => DEFAULT_TIMEOUT_MS,
        text => {
            let timeout = text.trim().parse().ok();
            let timeout = timeout.filter(|timeout| (1..=LONGEST_TIMEOUT_MS).contains(timeout));
            timeout.ok_or_else(|| Message::error("Invalid timeout"))?
        }
    };
    let start = start(packet)?;
    if context.channels.program().check(&start).is_err() {
        return Err(Message::error(match start {
            Start::At { .. } => "Extension does not exist.",
            Start::Application { .. } => "Application does not exist.",
        }));
    }
    let variables = variables(packet)?;
    let expected = Expected {
        caller: caller_id(packet.get("CallerID")),
        account: packet.get("Account").chars().take(80).collect(),
        variables,
        local: local(dialled),
        dialled_by: None,
    };
    let line = context.line(dialled).map(|entry| entry.id).unwrap_or_default();
    let action_id = packet.get("ActionID").to_owned();
    Ok(Order { dialled: dialled.to_owned(), line, start, timeout_ms, expected, action_id })
}

fn start(packet: &Packet) -> Result<Start, Message> {
    let (application, exten) = (packet.get("Application"), packet.get("Exten"));
    if !application.is_empty() {
        let (name, data) = (application.to_owned(), packet.get("Data").to_owned());
        return Ok(Start::Application { name, data });
    }
    let (context, priority) = (packet.get("Context"), packet.get("Priority"));
    if exten.is_empty() || context.is_empty() || priority.is_empty() {
        return Err(Message::error("Originate with 'Exten' requires 'Context' and 'Priority'"));
    }
    Ok(Start::At {
        context: context.to_owned(),
        exten: exten.to_owned(),
        priority: priority.to_owned(),
    })
}

/// `Variable: a=1`, several headers, several of them with commas between.
fn variables(packet: &Packet) -> Result<Vec<(String, String)>, Message> {
    let mut all = Vec::new();
    let mut bounded = Variables::default();
    for pair in packet.all("Variable").flat_map(|header| header.split(',')) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = name.trim_start_matches('_').trim();
        if name.is_empty() {
            continue;
        }
        if bounded.set(name, value).is_err() {
            return Err(Message::error("Variable is too long, or there are too many"));
        }
        all.push((name.to_owned(), value.to_owned()));
    }
    Ok(all)
}

/// `Local/201@default`, with any options.
fn local(dialled: &str) -> Option<Local> {
    let (kind, rest) = dialled.split_once('/')?;
    let (exten, context) = rest.split_once('@').filter(|_| kind.eq_ignore_ascii_case("Local"))?;
    let context = context.split('/').next().unwrap_or_default();
    Some(Local { exten: exten.to_owned(), context: context.to_owned() })
}

/// `"Name" <301>`, `Name <301>`, `301`.
fn caller_id(text: &str) -> CallerIdView {
    let (name, number) = match text.split_once('<') {
        Some((name, number)) => (name, number.split('>').next().unwrap_or_default()),
        None if text.chars().all(|c| c.is_ascii_digit() || "+*#".contains(c)) => ("", text),
        None => (text, ""),
    };
    let bounded = |text: &str| {
        let mut text = text.trim().trim_matches('"').to_owned();
        while text.len() > MAX_CALLER {
            text.pop();
        }
        text
    };
    CallerIdView { number: bounded(number), name: bounded(name) }
}

/// Rings, waits for what comes of it, tells the session that asked, and lets the channel go on.
async fn carry_out(context: &Context, order: Order, tell: bool) -> bool {
    let Order { dialled, line, start, timeout_ms, expected, action_id } = order;
    let caller = expected.caller.clone();
    let answered = ring(context, &line, expected, timeout_ms).await;
    let channel = answered.as_ref().ok().cloned();
    if tell {
        let body = NewsBody::OriginateResponse {
            session: context.session,
            action_id,
            success: channel.is_some(),
            reason: answered.as_ref().map_or_else(|reason| *reason, |_| reason::ANSWERED),
            dialled,
            start: start.clone(),
            caller,
        };
        match &channel {
            Some(channel) => context.channels.tell(&channel.unique_id, body),
            None => context.channels.tell_all(body),
        }
    }
    let Some(channel) = channel else { return false };
    let program = context.channels.program();
    if program.start(&channel, start).await.is_err() {
        // It has nothing to go on with; whether it is gone already does not matter.
        if !program.end_phoneless(&channel, Cause::NormalClearing) {
            let _ = context.control.end_call(&context.caller, &channel.call_id).await;
        }
        return false;
    }
    true
}

/// Until somebody answers: the channel that goes on, or the reason why there is none.
async fn ring(
    context: &Context,
    line: &str,
    expected: Expected,
    timeout_ms: u32,
) -> Result<Arc<Channel>, u8> {
    let Context { control, channels, caller, .. } = context;
    if line.is_empty() && expected.local.is_some() {
        let timeout = Duration::from_millis(u64::from(timeout_ms));
        return channels
            .program()
            .call_pair(expected, timeout)
            .await
            .map_err(|why| reason_of(&why));
    }
    let ringing = Ringing::begin((control, channels), caller, line, expected, timeout_ms).await;
    let ringing = ringing.map_err(|refused| reason_of(&Unanswered::Refused(refused)))?;
    let unique_id = ringing.answered().await.map_err(|why| reason_of(&why))?;
    channels.find(&unique_id).ok_or(reason::HUNG_UP)
}

const fn reason_of(why: &Unanswered) -> u8 {
    match why {
        Unanswered::Refused(Refused::LineBusy { .. }) | Unanswered::Ended(17) => reason::BUSY,
        Unanswered::Ended(18 | 19) => reason::NO_ANSWER,
        Unanswered::Ended(16) => reason::HUNG_UP,
        Unanswered::Refused(Refused::Full { .. }) => reason::CONGESTION,
        Unanswered::Refused(_) | Unanswered::Ended(1) | Unanswered::Lost => reason::FAILURE,
        Unanswered::Ended(_) => reason::CONGESTION,
    }
}
