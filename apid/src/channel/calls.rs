//! From calls to channels. A call's view is compared with what is known, so that one missed in
//! between does no harm.

use super::local::Beginning;
use super::model::{Channel, ChannelState, Endpoint, Position};
use super::news::{CallDetail, ChannelNews, NewsBody, Outcome};
use super::registry::{Entry, Out, Registry};
use super::variables::Variables;
use crate::hub::{Notice, NoticeBody};
use crate::view::{Call, CallState, CallerIdView, HookSource, Leg, LegState, Timestamp};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

/// Cause of a normal end (ITU-T Q.850).
pub(super) const NORMAL: u8 = 16;

/// What the registry asks about lines.
pub trait Lookup {
    /// The device of a line.
    fn endpoint(&self, line: &str) -> Option<Endpoint>;
    /// The call a line takes part in now, which may be later than what is being told.
    fn call_of(&self, line: &str) -> Option<Call>;
}

impl Registry {
    /// Something happened.
    pub fn handle(&mut self, notice: &Notice, lookup: &dyn Lookup) -> Vec<ChannelNews> {
        let (at, mut out) = (notice.at, Vec::new());
        match &notice.body {
            NoticeBody::CallRinging { call } => self.apply(call, true, at, lookup, &mut out),
            NoticeBody::CallStarted { call }
            | NoticeBody::CallConnected { call }
            | NoticeBody::CallHeld { call }
            | NoticeBody::CallResumed { call } => self.apply(call, false, at, lookup, &mut out),
            NoticeBody::CallEnded { call, cause } => {
                self.end_call(call, cause.code, at, lookup, &mut out);
            }
            body => {
                if let Some(line) = &notice.line
                    && !self.conference_news(line, body, at, &mut out)
                {
                    self.line_news(line, body, at, lookup, &mut out);
                }
            }
        }
        out
    }

    /// News were lost: `calls` are those there are now.
    pub fn resync(
        &mut self,
        calls: &[Call],
        at: Timestamp,
        lookup: &dyn Lookup,
    ) -> Vec<ChannelNews> {
        let mut out = Vec::new();
        let live: Vec<&Call> = calls.iter().filter(|c| c.state != CallState::Ended).collect();
        let in_one = |line: &str| live.iter().any(|call| live_legs(call).any(|(l, _)| l == line));
        let lines = self.channels.values().map(|entry| &entry.channel.line);
        let is_nobodys = |line: &&String| !line.is_empty() && !in_one(line);
        let gone: Vec<String> = lines.filter(is_nobodys).cloned().collect();
        for line in gone {
            self.hang_up(&line, NORMAL, at, &mut out);
        }
        for call in live {
            self.apply(call, true, at, lookup, &mut out);
        }
        out
    }

    fn line_news(
        &mut self,
        line: &str,
        body: &NoticeBody,
        at: Timestamp,
        lookup: &dyn Lookup,
        out: &mut Out,
    ) {
        match body {
            NoticeBody::Dtmf { digit, duration_ms, .. } => {
                let (digit, sent) = (*digit, false);
                self.tell(line, NewsBody::DtmfBegin { digit, sent }, at, out);
                let duration_ms = u32::from(*duration_ms);
                self.tell(line, NewsBody::DtmfEnd { digit, duration_ms, sent }, at, out);
            }
            NoticeBody::OnHook { source } => {
                let Some(entry) = self.channels.get(line) else { return };
                if matches!(source, HookSource::Loop | HookSource::Signalling) {
                    self.tell(line, NewsBody::HangupRequest, at, out);
                } else if lookup.call_of(line).is_none_or(|call| call.id != entry.channel.call_id) {
                    // It left a call that goes on: nothing else tells.
                    self.hang_up(line, NORMAL, at, out);
                }
            }
            NoticeBody::PlaybackStarted { music: Some(class), .. } => {
                let class = class.clone();
                self.tell(line, NewsBody::MusicOnHold { on: true, class }, at, out);
            }
            NoticeBody::PlaybackEnded { music: Some(class), .. } => {
                let class = class.clone();
                self.tell(line, NewsBody::MusicOnHold { on: false, class }, at, out);
            }
            NoticeBody::Registered { contact } => {
                let contact = contact.clone().unwrap_or_default();
                peer(line, Some(contact), at, lookup, out);
            }
            NoticeBody::Unregistered => peer(line, None, at, lookup, out),
            _ => {}
        }
    }

    fn apply(
        &mut self,
        call: &Call,
        rings: bool,
        at: Timestamp,
        lookup: &dyn Lookup,
        out: &mut Out,
    ) {
        let cause = |line: &str| {
            let leg = call.legs.iter().find(|leg| leg.line.as_deref() == Some(line));
            let own = leg.and_then(|leg| leg.cause.as_ref());
            own.or(call.cause.as_ref()).map_or(NORMAL, |cause| cause.code)
        };
        let left = |entry: &&Entry| {
            entry.channel.call_id == call.id
                && !live_legs(call).any(|(line, _)| line == entry.channel.line)
        };
        let left: Vec<String> =
            self.channels.values().filter(left).map(|e| e.channel.line.clone()).collect();
        for line in left {
            if self.moved(&line, call, lookup).is_none() {
                self.hang_up(&line, cause(&line), at, out);
            }
        }
        for (line, leg) in live_legs(call) {
            match self.channels.get_mut(line) {
                Some(entry) => call.id.clone_into(&mut entry.channel.call_id),
                None => self.create(call, line, leg, at, lookup, out),
            }
            self.advance(call, line, leg, rings, at, out);
        }
        self.enter_application(call, at, lookup, out);
        self.link(call, at, out);
    }

    fn create(
        &mut self,
        call: &Call,
        line: &str,
        leg: &Leg,
        at: Timestamp,
        lookup: &dyn Lookup,
        out: &mut Out,
    ) {
        let Some(endpoint) = lookup.endpoint(line) else { return };
        self.parted_from(line, at, out);
        let calls = call.from == leg.address && leg.state != LegState::Ringing;
        let expected = self.expected.remove(line).filter(|_| call.from.starts_with("app:"));
        let seconds = call.started_at.0.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let (serial, expected, by_pair) = match expected {
            Some((serial, mut expected)) => match expected.local.take() {
                None => {
                    let by = expected.dialled_by.take();
                    let by = by.and_then(|by| self.entry(&by).map(|e| e.channel.clone()));
                    let expected = Some(expected).filter(|_| by.is_none());
                    (serial, expected, by)
                }
                Some(local) => {
                    let of = Beginning { line, serial, seconds };
                    let dials = self.create_pair(&of, &endpoint, &local, expected, at, out);
                    (self.next_serial(), None, dials)
                }
            },
            None => (self.next_serial(), None, None),
        };
        let dialler = by_pair.or_else(|| {
            live_legs(call)
                .filter(|(other, _)| *other != line)
                .find_map(|(other, _)| self.channels.get(other).map(|e| e.channel.clone()))
        });
        let unique_id = format!("{seconds}.{serial}");
        let exten = call.to.strip_prefix("number:").filter(|_| calls).unwrap_or_default();
        let (caller, connected) = match (&expected, &dialler) {
            (Some(expected), _) => (CallerIdView::default(), expected.caller.clone()),
            (None, Some(dialler)) => (endpoint.caller_id(), dialler.caller.clone()),
            (None, None) if calls => (endpoint.caller_id(), CallerIdView::default()),
            (None, None) => Default::default(),
        };
        let channel = Channel {
            line: line.to_owned(),
            call_id: call.id.clone(),
            name: endpoint.channel_name(serial),
            linked_id: dialler.as_ref().map_or(&unique_id, |d| &d.linked_id).clone(),
            unique_id,
            state: if calls { ChannelState::Ring } else { ChannelState::Down },
            calls,
            caller,
            connected,
            account: expected.as_ref().map(|e| e.account.clone()).unwrap_or_default(),
            user_field: String::new(),
            language: "en".to_owned(),
            position: Position { exten: exten.to_owned(), ..Position::default() },
            application: String::new(),
            data: String::new(),
            bridged_with: None,
            held: false,
            muted: (false, false),
            created_at: at,
            answered_at: None,
            dialled_by: None,
        };
        let entry = Entry { channel, variables: Variables::default(), has_program: false };
        self.channels.insert(line.to_owned(), entry);
        self.tell(line, NewsBody::New, at, out);
        if let Some(expected) = expected {
            self.introduce(line, expected.caller, expected.variables, at, out);
        }
        if calls {
            return;
        }
        let by = dialler.as_ref().map(|d| d.unique_id.clone()).unwrap_or_default();
        self.change(line, |channel| channel.dialled_by = Some(by));
        let dial_string = endpoint.address();
        let destination = self.snapshot(line);
        if let Some(destination) = destination {
            let channel = dialler.map(Arc::new);
            let body = NewsBody::DialBegin { destination, dial_string };
            out.push(ChannelNews { at, channel, body });
        }
    }

    /// State of a channel by that of its leg.
    fn advance(
        &mut self,
        call: &Call,
        line: &str,
        leg: &Leg,
        rings: bool,
        at: Timestamp,
        out: &mut Out,
    ) {
        let Some(channel) = self.channels.get(line).map(|entry| &entry.channel) else { return };
        let answered = matches!(leg.state, LegState::Connected | LegState::Held)
            && (!channel.calls || call.answered_at.is_some());
        let state = match channel.state {
            ChannelState::Up => ChannelState::Up,
            _ if answered => ChannelState::Up,
            ChannelState::Down if rings && leg.state == LegState::Ringing => ChannelState::Ringing,
            other => other,
        };
        if state != channel.state {
            self.change(line, |channel| {
                channel.state = state;
                if state == ChannelState::Up {
                    channel.answered_at = Some(at);
                }
            });
            self.tell(line, NewsBody::State, at, out);
            if state == ChannelState::Up {
                self.end_dial(line, Outcome::Answer, at, out);
            }
            self.pair_advances(line, state, at, out);
        }
        let held = leg.state == LegState::Held;
        if self.channels.get(line).is_some_and(|entry| entry.channel.held != held) {
            self.change(line, |channel| channel.held = held);
            self.tell(line, NewsBody::Hold { on: held }, at, out);
        }
    }

    /// A channel that reached a number of the switch is in `Dial` or `Echo` then; whoever runs a dial
    /// plan tells of it itself.
    fn enter_application(
        &mut self,
        call: &Call,
        at: Timestamp,
        lookup: &dyn Lookup,
        out: &mut Out,
    ) {
        let Some(line) = call.from.strip_prefix("line:") else { return };
        let (application, data) = match call.to.split_once(':') {
            Some(("line", to)) => ("Dial", lookup.endpoint(to).map(|endpoint| endpoint.address())),
            Some(("app", "echo")) => ("Echo", None),
            _ => return,
        };
        let Some(entry) = self.channels.get(line) else { return };
        if entry.channel.application == application {
            return;
        }
        self.change(line, |channel| {
            application.clone_into(&mut channel.application);
            channel.data = data.unwrap_or_default();
        });
        self.tell(line, NewsBody::Exten, at, out);
    }

    /// Two channels that are up in one call hear each other.
    fn link(&mut self, call: &Call, at: Timestamp, out: &mut Out) {
        let up = |(line, _): (&str, &Leg)| {
            let channel = &self.channels.get(line)?.channel;
            (channel.state == ChannelState::Up)
                .then(|| (line.to_owned(), channel.unique_id.clone()))
        };
        let talking: Vec<(String, String)> = live_legs(call).filter_map(up).collect();
        let joined = matches!(call.state, CallState::Connected | CallState::Held);
        let pair = match (talking.as_slice(), joined) {
            ([first, second], true) => Some((first.clone(), second.clone())),
            _ => None,
        };
        for (line, id) in &talking {
            let partner = pair.as_ref().map(|(a, b)| if a.1 == *id { &b.1 } else { &a.1 });
            let with = self.channels.get(line).and_then(|e| e.channel.bridged_with.as_ref());
            if with.is_some() && with != partner {
                self.unlink(line, at, out);
            }
        }
        let Some((first, second)) = pair else { return };
        if self.channels.get(&first.0).is_none_or(|e| e.channel.bridged_with.is_some()) {
            return;
        }
        let caller = |registry: &Self, line: &str| {
            registry
                .channels
                .get(line)
                .map(|entry| entry.channel.caller.clone())
                .unwrap_or_default()
        };
        let (first_caller, second_caller) = (caller(self, &first.0), caller(self, &second.0));
        self.change(&first.0, |channel| {
            channel.bridged_with = Some(second.1);
            channel.connected = second_caller;
        });
        self.change(&second.0, |channel| {
            channel.bridged_with = Some(first.1);
            channel.connected = first_caller;
        });
        let Some(other) = self.snapshot(&second.0) else { return };
        self.tell(&first.0, NewsBody::Link { other, bridge: call.id.clone() }, at, out);
    }

    pub(super) fn unlink(&mut self, line: &str, at: Timestamp, out: &mut Out) {
        let Some(other) = self.channels.get(line).and_then(|e| e.channel.bridged_with.clone())
        else {
            return;
        };
        let bridge = self.channels.get(line).map(|e| e.channel.call_id.clone()).unwrap_or_default();
        let other = self.line_of(&other);
        self.change(line, |channel| channel.bridged_with = None);
        let Some(other) = other else { return };
        self.change(&other, |channel| channel.bridged_with = None);
        if let Some(other) = self.snapshot(&other) {
            self.tell(line, NewsBody::Unlink { other, bridge }, at, out);
        }
    }

    pub(super) fn end_dial(&mut self, line: &str, outcome: Outcome, at: Timestamp, out: &mut Out) {
        let Some(by) = self.channels.get_mut(line).and_then(|e| e.channel.dialled_by.take()) else {
            return;
        };
        let channel = self.line_of(&by).and_then(|line| self.snapshot(&line));
        let Some(destination) = self.snapshot(line) else { return };
        out.push(ChannelNews { at, channel, body: NewsBody::DialEnd { destination, outcome } });
    }

    fn end_call(
        &mut self,
        call: &Call,
        cause: u8,
        at: Timestamp,
        lookup: &dyn Lookup,
        out: &mut Out,
    ) {
        let mut gone = Vec::new();
        for line in call.legs.iter().filter_map(|leg| leg.line.as_deref()) {
            self.expected.remove(line);
            let known = self.channels.get(line).filter(|entry| entry.channel.call_id == call.id);
            if known.is_none() {
                continue;
            }
            match self.moved(line, call, lookup) {
                Some(to) => self.change(line, |channel| channel.call_id = to),
                None => gone.push(line.to_owned()),
            }
        }
        let first = gone.first().cloned();
        let detail = first.and_then(|first| self.detail(call, &first, gone.get(1), cause, at));
        // Whoever was called goes first.
        for line in gone.iter().rev() {
            self.hang_up(line, cause, at, out);
        }
        let Some(detail) = detail else { return };
        if let Some(parting) = self.parting.get_mut(&detail.unique_id) {
            parting.detail = Some(Box::new(detail));
        } else {
            out.push(ChannelNews { at, channel: None, body: NewsBody::Cdr(Box::new(detail)) });
        }
    }

    fn detail(
        &self,
        call: &Call,
        line: &str,
        other: Option<&String>,
        cause: u8,
        at: Timestamp,
    ) -> Option<CallDetail> {
        let channel = &self.channels.get(line)?.channel;
        let other = other.and_then(|other| self.channels.get(other));
        Some(CallDetail {
            source: channel.caller.clone(),
            destination: channel.position.exten.clone(),
            context: channel.position.context.clone(),
            channel: channel.name.clone(),
            destination_channel: other.map(|e| e.channel.name.clone()).unwrap_or_default(),
            application: (channel.application.clone(), channel.data.clone()),
            started_at: call.started_at,
            answered_at: call.answered_at,
            ended_at: call.ended_at.unwrap_or(at),
            cause,
            unique_id: channel.unique_id.clone(),
            account: channel.account.clone(),
            user_field: channel.user_field.clone(),
        })
    }

    /// The call that a line was handed on to, rather than being hung up. One that began after the
    /// end of this one is another matter.
    fn moved(&self, line: &str, from: &Call, lookup: &dyn Lookup) -> Option<String> {
        let up = self.channels.get(line)?.channel.state == ChannelState::Up;
        let now_in = lookup.call_of(line).filter(|call| up && call.id != from.id)?;
        let earlier = from.ended_at.is_none_or(|ended| now_in.started_at <= ended);
        (earlier && live_legs(&now_in).any(|(other, _)| other == line)).then_some(now_in.id)
    }
}

fn live_legs(call: &Call) -> impl Iterator<Item = (&str, &Leg)> {
    let legs = call.legs.iter().filter(|leg| leg.state != LegState::Ended);
    legs.filter_map(|leg| Some((leg.line.as_deref()?, leg)))
}

fn peer(line: &str, contact: Option<String>, at: Timestamp, lookup: &dyn Lookup, out: &mut Out) {
    if let Some(endpoint) = lookup.endpoint(line) {
        let body = NewsBody::Peer { peer: endpoint.address(), contact };
        out.push(ChannelNews { at, channel: None, body });
    }
}
