//! `Local/201@default`: two channels without a telephone, of which one dials and the other goes on.
//!
//! While the phone rings, `;1` waits and `;2` dials. When the phone answers it takes the place of
//! `;1`, its unique id and variables with it, as Asterisk's own pairs are optimised away.

use super::model::{Channel, ChannelState, Endpoint, Position};
use super::news::{ChannelNews, NewsBody};
use super::registry::{Entry, Expected, Out, Registry};
use super::variables::Variables;
use crate::view::{CallerIdView, Timestamp};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

/// Number and context of a pair.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Local {
    /// Who is dialled.
    pub exten: String,
    /// Where that number is one.
    pub context: String,
}

/// Where the table has the channels of a pair, which have no line of their own.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    waits: String,
    dials: String,
}

/// Of the call that a pair begins.
pub(super) struct Beginning<'a> {
    /// Whose phone is dialled; none where a plan decides.
    pub(super) line: &'a str,
    /// Of the unique id of `;1`.
    pub(super) serial: u64,
    pub(super) seconds: u64,
}

/// In place of a call: what a channel without a telephone is found by.
pub fn phoneless_call(unique_id: &str) -> String {
    format!("local:{unique_id}")
}

impl Registry {
    /// A pair whose `;2` dials the phone of a line: gives that one.
    pub(super) fn create_pair(
        &mut self,
        of: &Beginning<'_>,
        endpoint: &Endpoint,
        local: &Local,
        expected: Expected,
        at: Timestamp,
        out: &mut Out,
    ) -> Option<Channel> {
        let pair = self.begin_pair(of, local, expected, at, out)?;
        self.change(&pair.dials, |channel| {
            "Dial".clone_into(&mut channel.application);
            channel.data = endpoint.address();
        });
        self.tell(&pair.dials, NewsBody::Exten, at, out);
        let dials = self.channels.get(&pair.dials).map(|entry| entry.channel.clone());
        self.pairs.insert(of.line.to_owned(), pair);
        dials
    }

    /// A pair whose `;2` goes through a dial plan: gives both, `;1` first.
    pub(super) fn open_pair(
        &mut self,
        mut expected: Expected,
        at: Timestamp,
        out: &mut Out,
    ) -> Option<(Arc<Channel>, Arc<Channel>)> {
        let local = expected.local.take().unwrap_or_default();
        let serial = self.next_serial();
        let seconds = at.0.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let of = Beginning { line: "", serial, seconds };
        let pair = self.begin_pair(&of, &local, expected, at, out)?;
        Some((self.snapshot(&pair.waits)?, self.snapshot(&pair.dials)?))
    }

    /// Both channels of a pair, until `;2` does something.
    fn begin_pair(
        &mut self,
        of: &Beginning<'_>,
        local: &Local,
        expected: Expected,
        at: Timestamp,
        out: &mut Out,
    ) -> Option<Pair> {
        let Expected { caller, account, variables, .. } = expected;
        let second = self.next_serial();
        let name = format!("Local/{}@{}-{:08x}", local.exten, local.context, of.serial as u32);
        let pair = Pair { waits: format!("{name};1"), dials: format!("{name};2") };
        let linked_id = format!("{}.{}", of.seconds, of.serial);
        let channel = |name: &str, serial: u64, dials: bool| {
            let unique_id = format!("{}.{serial}", of.seconds);
            Channel {
                line: of.line.to_owned(),
                // It belongs to no call: what becomes of it is told by what becomes of the phone, or
                // by the plan.
                call_id: if of.line.is_empty() {
                    phoneless_call(&unique_id)
                } else {
                    String::new()
                },
                name: name.to_owned(),
                unique_id,
                linked_id: linked_id.clone(),
                state: if dials { ChannelState::Ring } else { ChannelState::Down },
                calls: dials,
                caller: if dials { caller.clone() } else { CallerIdView::default() },
                connected: CallerIdView::default(),
                account: account.clone(),
                user_field: String::new(),
                language: "en".to_owned(),
                position: Position {
                    context: local.context.clone(),
                    exten: if dials { local.exten.clone() } else { String::new() },
                    priority: 1,
                },
                application: String::new(),
                data: String::new(),
                bridged_with: None,
                held: false,
                muted: (false, false),
                created_at: at,
                answered_at: None,
                dialled_by: None,
            }
        };
        for (name, serial, dials) in [(&pair.waits, of.serial, false), (&pair.dials, second, true)]
        {
            let channel = channel(name, serial, dials);
            let entry = Entry { channel, variables: Variables::default(), has_program: false };
            self.channels.insert(name.clone(), entry);
            self.tell(name, NewsBody::New, at, out);
        }
        self.introduce(&pair.waits, caller, variables, at, out);
        let body =
            NewsBody::LocalBridge { other: self.snapshot(&pair.dials)?, local: local.clone() };
        self.tell(&pair.waits, body, at, out);
        Some(pair)
    }

    /// The pair of these unique ids: where the table has it.
    fn pair_of(&self, waits: &str, dials: &str) -> Option<Pair> {
        Some(Pair { waits: self.line_of(waits)?, dials: self.line_of(dials)? })
    }

    /// Both ends of a pair without a telephone are answered.
    pub fn pair_answers(&mut self, waits: &str, dials: &str, at: Timestamp) -> Vec<ChannelNews> {
        let mut out = Vec::new();
        if let Some(pair) = self.pair_of(waits, dials) {
            self.pair_is_up(&pair, at, &mut out);
        }
        out
    }

    fn pair_is_up(&mut self, pair: &Pair, at: Timestamp, out: &mut Out) {
        for name in [&pair.dials, &pair.waits] {
            let up = |entry: &Entry| entry.channel.state == ChannelState::Up;
            if self.channels.get(name).is_some_and(|entry| !up(entry)) {
                self.change(name, |channel| {
                    channel.state = ChannelState::Up;
                    channel.answered_at = Some(at);
                });
                self.tell(name, NewsBody::State, at, out);
            }
        }
    }

    /// The phone of a line, which the end `dials` has reached, is in the place of the other end.
    pub fn phone_takes_place(
        &mut self,
        line: &str,
        waits: &str,
        dials: &str,
        at: Timestamp,
    ) -> Vec<ChannelNews> {
        let mut out = Vec::new();
        if let Some(pair) = self.pair_of(waits, dials) {
            self.pair_is_up(&pair, at, &mut out);
            self.takes_place(line, &pair, at, &mut out);
        }
        out
    }

    /// An end without a telephone is over.
    pub fn end_phoneless(&mut self, unique_id: &str, cause: u8, at: Timestamp) -> Vec<ChannelNews> {
        let mut out = Vec::new();
        if let Some(name) = self.line_of(unique_id) {
            self.hang_up(&name, cause, at, &mut out);
        }
        out
    }

    /// The phone of a line has this state: its pair has it too, and is no more once it is up.
    pub(super) fn pair_advances(
        &mut self,
        line: &str,
        state: ChannelState,
        at: Timestamp,
        out: &mut Out,
    ) {
        let Some(pair) = self.pairs.get(line).cloned() else { return };
        let up = state == ChannelState::Up;
        for name in [&pair.dials, &pair.waits] {
            if name == &pair.waits || up {
                self.change(name, |channel| {
                    channel.state = state;
                    channel.answered_at = up.then_some(at);
                });
                self.tell(name, NewsBody::State, at, out);
            }
        }
        if up {
            self.pairs.remove(line);
            self.takes_place(line, &pair, at, out);
        }
    }

    /// The phone's channel is in the place of `;1` from now on.
    fn takes_place(&mut self, line: &str, pair: &Pair, at: Timestamp, out: &mut Out) {
        let (Some(other), Some(source)) = (self.snapshot(&pair.dials), self.snapshot(line)) else {
            return;
        };
        let optimisation = |ends| {
            let (other, source) = (other.clone(), source.clone());
            NewsBody::LocalOptimization { other, source, ends }
        };
        self.tell(&pair.waits, optimisation(false), at, out);
        let (Some(waits), Some(phone)) =
            (self.channels.remove(&pair.waits), self.channels.get_mut(line))
        else {
            return;
        };
        let mut zombie = phone.channel.clone();
        phone.variables = waits.variables;
        phone.has_program |= waits.has_program;
        let Channel { unique_id, linked_id, caller, account, user_field, language, .. } =
            waits.channel.clone();
        let channel = &mut phone.channel;
        (channel.unique_id, channel.linked_id) = (unique_id, linked_id);
        (channel.caller, channel.account) = (caller, account);
        (channel.user_field, channel.language) = (user_field, language);
        // As one channel is put in another's place: by a name that is nobody's meanwhile.
        let mut renamed = |channel: &Channel, old: &str| {
            let body = NewsBody::Rename { old: old.to_owned() };
            out.push(ChannelNews { at, channel: Some(Arc::new(channel.clone())), body });
        };
        let own = zombie.name.clone();
        zombie.name = format!("{own}<MASQ>");
        renamed(&zombie, &own);
        renamed(&phone.channel, &pair.waits);
        zombie.name = format!("{}<ZOMBIE>", pair.waits);
        renamed(&zombie, &format!("{own}<MASQ>"));
        let gone = Arc::new(waits.channel);
        out.push(ChannelNews { at, channel: Some(gone), body: optimisation(true) });
        for channel in [Arc::new(zombie), other] {
            let body = NewsBody::Hangup { cause: super::calls::NORMAL };
            out.push(ChannelNews { at, channel: Some(channel), body });
        }
        self.channels.remove(&pair.dials);
    }

    /// The phone of a line was not reached: its pair is over.
    pub(super) fn pair_ends(&mut self, line: &str, cause: u8, at: Timestamp, out: &mut Out) {
        let Some(pair) = self.pairs.remove(line) else { return };
        for name in [&pair.dials, &pair.waits] {
            self.tell(name, NewsBody::Hangup { cause }, at, out);
            self.channels.remove(name);
        }
    }
}
