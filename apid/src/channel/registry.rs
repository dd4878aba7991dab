//! The table of channels: by line, and of those that are over while their programs finish.

use super::local::{Local, Pair};
use super::model::Channel;
use super::news::{CallDetail, ChannelNews, NewsBody, Outcome};
use super::variables::{VariableError, Variables};
use crate::view::{CallerIdView, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// What the next channel of a line is given that an application calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Whom its phone shows.
    pub caller: CallerIdView,
    /// Account code.
    pub account: String,
    /// Set before it rings, in this order.
    pub variables: Vec<(String, String)>,
    /// A pair dials it.
    pub local: Option<Local>,
    /// Unique id of the channel that dials it, where that has no telephone.
    pub dialled_by: Option<String>,
}

/// What may be noted of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// Account code.
    Account,
    /// For the call's record.
    UserField,
    /// Of its prompts.
    Language,
}

/// A channel.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) channel: Channel,
    pub(super) variables: Variables,
    /// A program has it, and is told of its end before anybody else.
    pub(super) has_program: bool,
}

/// A channel whose call is over while its program finishes.
#[derive(Debug)]
pub(super) struct Parting {
    entry: Entry,
    cause: u8,
    pub(super) detail: Option<Box<CallDetail>>,
}

/// All channels: one at most for each line, and those of pairs by their names.
#[derive(Debug, Default)]
pub struct Registry {
    pub(super) channels: BTreeMap<String, Entry>,
    /// By unique id.
    pub(super) parting: HashMap<String, Parting>,
    globals: Variables,
    /// By the line whose phone is dialled.
    pub(super) pairs: HashMap<String, Pair>,
    /// Lines that sit in each.
    pub(super) conferences: HashMap<String, BTreeSet<String>>,
    pub(super) expected: HashMap<String, (u64, Expected)>,
    serial: u64,
}

/// What is told of it, in order.
pub(super) type Out = Vec<ChannelNews>;

impl Entry {
    fn news(&self, body: NewsBody, at: Timestamp) -> ChannelNews {
        ChannelNews { at, channel: Some(Arc::new(self.channel.clone())), body }
    }

    pub(super) fn put(
        &mut self,
        variable: String,
        value: String,
        at: Timestamp,
        out: &mut Out,
    ) -> Result<(), VariableError> {
        self.variables.set(&variable, &value)?;
        out.push(self.news(NewsBody::VarSet { variable, value }, at));
        Ok(())
    }
}

impl Registry {
    pub(super) fn hang_up(&mut self, line: &str, cause: u8, at: Timestamp, out: &mut Out) {
        self.unlink(line, at, out);
        self.end_dial(line, Outcome::of_code(cause), at, out);
        if self.channels.get(line).is_some_and(|entry| entry.has_program) {
            if let Some(entry) = self.channels.remove(line) {
                let id = entry.channel.unique_id.clone();
                self.parting.insert(id, Parting { entry, cause, detail: None });
            }
            return;
        }
        self.tell(line, NewsBody::Hangup { cause }, at, out);
        self.channels.remove(line);
        self.pair_ends(line, cause, at, out);
    }

    /// A channel that an application calls: whom it shows, and what it is given.
    pub(super) fn introduce(
        &mut self,
        line: &str,
        caller: CallerIdView,
        variables: Vec<(String, String)>,
        at: Timestamp,
        out: &mut Out,
    ) {
        self.change(line, |channel| channel.caller = caller);
        self.tell(line, NewsBody::CallerId, at, out);
        for (variable, value) in variables {
            let Some(entry) = self.channels.get_mut(line) else { return };
            // What is too much was refused before the call began.
            let _ = entry.put(variable, value, at, out);
        }
    }

    /// A program has this channel: what it still tells comes before the channel's hang-up.
    pub fn hold(&mut self, unique_id: &str) {
        if let Some(line) = self.line_of(unique_id)
            && let Some(entry) = self.channels.get_mut(&line)
        {
            entry.has_program = true;
        }
    }

    /// Its program has nothing more to tell.
    pub fn release(&mut self, unique_id: &str, at: Timestamp) -> Vec<ChannelNews> {
        let mut out = Vec::new();
        if let Some(parting) = self.parting.remove(unique_id) {
            part(parting, at, &mut out);
        } else if let Some(line) = self.line_of(unique_id)
            && let Some(entry) = self.channels.get_mut(&line)
        {
            entry.has_program = false;
        }
        out
    }

    /// A line that is called again has one channel at a time, whatever its last program still does.
    pub(super) fn parted_from(&mut self, line: &str, at: Timestamp, out: &mut Out) {
        let mut parting = self.parting.iter();
        let id = parting.find(|(_, parting)| parting.entry.channel.line == line);
        if let Some(id) = id.map(|(id, _)| id.clone())
            && let Some(parting) = self.parting.remove(&id)
        {
            part(parting, at, out);
        }
    }

    pub(super) fn next_serial(&mut self) -> u64 {
        let serial = self.serial;
        self.serial += 1;
        serial
    }

    pub(super) fn change(&mut self, line: &str, change: impl FnOnce(&mut Channel)) {
        if let Some(entry) = self.channels.get_mut(line) {
            change(&mut entry.channel);
        }
    }

    pub(super) fn snapshot(&self, line: &str) -> Option<Arc<Channel>> {
        self.channels.get(line).map(|entry| Arc::new(entry.channel.clone()))
    }

    pub(super) fn tell(&self, line: &str, body: NewsBody, at: Timestamp, out: &mut Out) {
        if let Some(entry) = self.channels.get(line) {
            out.push(entry.news(body, at));
        }
    }

    pub(super) fn entry(&self, unique_id: &str) -> Option<&Entry> {
        let parting = self.parting.get(unique_id).map(|parting| &parting.entry);
        parting.or_else(|| self.channels.values().find(|e| e.channel.unique_id == unique_id))
    }

    fn entry_mut(&mut self, unique_id: &str) -> Option<&mut Entry> {
        if let Some(parting) = self.parting.get_mut(unique_id) {
            return Some(&mut parting.entry);
        }
        self.channels.values_mut().find(|entry| entry.channel.unique_id == unique_id)
    }

    pub(super) fn line_of(&self, unique_id: &str) -> Option<String> {
        let mut entries = self.channels.iter();
        entries.find(|(_, e)| e.channel.unique_id == unique_id).map(|(line, _)| line.clone())
    }

    /// All channels.
    pub fn all(&self) -> Vec<Arc<Channel>> {
        let mut all: Vec<_> = self.channels.values().map(|e| Arc::new(e.channel.clone())).collect();
        all.sort_by_key(|channel| (channel.created_at, channel.unique_id.clone()));
        all
    }

    /// The channel of a line.
    pub fn of_line(&self, line: &str) -> Option<Arc<Channel>> {
        self.snapshot(line)
    }

    /// By unique id, though its call be over while its program finishes.
    pub fn of_id(&self, unique_id: &str) -> Option<Arc<Channel>> {
        self.entry(unique_id).map(|entry| Arc::new(entry.channel.clone()))
    }

    /// By name, whatever its case, or by unique id.
    pub fn find(&self, name: &str) -> Option<Arc<Channel>> {
        let is = |c: &Channel| c.unique_id == name || c.name.eq_ignore_ascii_case(name);
        let mut entries = self.channels.values();
        entries.find(|entry| is(&entry.channel)).map(|entry| Arc::new(entry.channel.clone()))
    }

    /// Variables of a channel, by its unique id.
    pub fn variables(&self, unique_id: &str) -> Option<&Variables> {
        self.entry(unique_id).map(|entry| &entry.variables)
    }

    /// Variables of all.
    pub fn globals(&self) -> &Variables {
        &self.globals
    }

    /// Sets a variable of a channel, or a global one.
    ///
    /// # Errors
    /// [`VariableError`]; nothing was changed.
    pub fn set_variable(
        &mut self,
        unique_id: Option<&str>,
        variable: &str,
        value: &str,
        at: Timestamp,
    ) -> Result<Vec<ChannelNews>, VariableError> {
        let mut out = Vec::new();
        let (name, text) = (variable.to_owned(), value.to_owned());
        if let Some(unique_id) = unique_id {
            let entry = self.entry_mut(unique_id).ok_or(VariableError::NoSuchChannel)?;
            entry.put(name, text, at, &mut out)?;
        } else {
            self.globals.set(variable, value)?;
            let body = NewsBody::VarSet { variable: name, value: text };
            out.push(ChannelNews { at, channel: None, body });
        }
        Ok(out)
    }

    /// Changes a channel, by its unique id, and tells `body` of it; nothing for one that is gone.
    pub fn update(
        &mut self,
        unique_id: &str,
        change: impl FnOnce(&mut Channel),
        body: NewsBody,
        at: Timestamp,
    ) -> Vec<ChannelNews> {
        let mut out = Vec::new();
        if let Some(entry) = self.entry_mut(unique_id) {
            change(&mut entry.channel);
            out.push(entry.news(body, at));
        }
        out
    }

    /// Notes something of a channel, by its unique id; nothing is told of it.
    pub fn note(&mut self, unique_id: &str, note: Note, value: &str) {
        if let Some(Entry { channel, .. }) = self.entry_mut(unique_id) {
            let field = match note {
                Note::Account => &mut channel.account,
                Note::UserField => &mut channel.user_field,
                Note::Language => &mut channel.language,
            };
            value.clone_into(field);
        }
    }

    /// Notes what of a channel is silenced, by its unique id; nothing is told of it.
    pub fn set_muted(&mut self, unique_id: &str, muted: (bool, bool)) {
        if let Some(line) = self.line_of(unique_id) {
            self.change(&line, |channel| channel.muted = muted);
        }
    }

    /// What the channel is given by which an application calls `line` next; gives the number of
    /// its unique id, after the full stop.
    pub fn expect(&mut self, line: &str, expected: Expected) -> u64 {
        let serial = self.next_serial();
        self.expected.insert(line.to_owned(), (serial, expected));
        serial
    }

    /// Nobody calls there.
    pub fn forget_expected(&mut self, line: &str, serial: u64) {
        if self.expected.get(line).is_some_and(|(number, _)| *number == serial) {
            self.expected.remove(line);
        }
    }
}

fn part(parting: Parting, at: Timestamp, out: &mut Out) {
    let Parting { entry, cause, detail } = parting;
    out.push(entry.news(NewsBody::Hangup { cause }, at));
    if let Some(detail) = detail {
        out.push(ChannelNews { at, channel: None, body: NewsBody::Cdr(detail) });
    }
}
