//! Variables and functions of a channel: of the one that a plan has, and of any that somebody asks
//! for from outside.

use super::super::dialplan::{Position, Start};
use super::super::functions::pure;
use super::super::substitute::Scope;
use super::Services;
use super::session::Session;
use crate::channel::{Channel, Memory as _, Note};
use crate::view::{CallerIdView, Timestamp};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use tokio::time::Instant;

/// Octets of an account code, a user field, a language.
const NOTE_MAX: usize = 255;

fn epoch(time: Timestamp) -> u64 {
    time.0.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn flag(holds: bool) -> String {
    u8::from(holds).to_string()
}

/// A channel, or none, as what is asked of it sees it.
#[derive(Debug)]
pub(super) struct OfChannel<'a> {
    pub(super) services: &'a Services,
    channel: Option<Arc<Channel>>,
    position: Position,
    /// Its own plan asks, in which reading may delete: `DB_DELETE`.
    own: bool,
}

impl<'a> OfChannel<'a> {
    /// A channel from outside of its plan.
    pub(super) fn of(services: &'a Services, channel: Option<&Channel>) -> Self {
        let position = channel.map_or_else(
            || Position::start("default", "s"),
            |channel| Position {
                context: channel.position.context.clone(),
                extension: channel.position.exten.clone(),
                priority: channel.position.priority,
            },
        );
        Self { services, channel: channel.cloned().map(Arc::new), position, own: false }
    }

    /// A variable, or a function as `CALLERID(num)`.
    ///
    /// # Errors
    /// Why the function has no value.
    pub(super) fn value(&self, name: &str) -> Result<String, String> {
        let Some((function, rest)) = name.split_once('(') else {
            return Ok(self.variable(name).unwrap_or_default());
        };
        let argument = rest.strip_suffix(')').unwrap_or(rest);
        pure(function, argument, self).unwrap_or_else(|| self.function(function, argument))
    }

    fn caller_id(&self, field: &str) -> Result<String, String> {
        let Some(channel) = &self.channel else { return Ok(String::new()) };
        let CallerIdView { number, name } = &channel.caller;
        Ok(match field.split(',').next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "num" | "number" | "ani" => number.clone(),
            "name" => name.clone(),
            "all" => format!("\"{name}\" <{number}>"),
            "dnid" => self.position.extension.clone(),
            "rdnis" | "ani2" | "ton" | "tns" | "pres" => String::new(),
            other => return Err(format!("CALLERID({other}) is not known")),
        })
    }

    fn connected_line(&self, field: &str) -> Result<String, String> {
        let Some(channel) = &self.channel else { return Ok(String::new()) };
        let CallerIdView { number, name } = &channel.connected;
        Ok(match field.split(',').next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "num" | "number" => number.clone(),
            "name" => name.clone(),
            "all" => format!("\"{name}\" <{number}>"),
            other => return Err(format!("CONNECTEDLINE({other}) is not known")),
        })
    }

    fn channel_field(&self, field: &str) -> Result<String, String> {
        let Some(channel) = &self.channel else { return Ok(String::new()) };
        Ok(match field.to_ascii_lowercase().as_str() {
            "name" => channel.name.clone(),
            "state" => channel.state.text().to_owned(),
            "uniqueid" => channel.unique_id.clone(),
            "linkedid" => channel.linked_id.clone(),
            "language" => channel.language.clone(),
            "accountcode" => channel.account.clone(),
            "channeltype" => channel.name.split('/').next().unwrap_or_default().to_owned(),
            "context" => self.position.context.clone(),
            "exten" => self.position.extension.clone(),
            "peername" => {
                let peer = channel.name.split_once('/').map_or("", |(_, rest)| rest);
                peer.rsplit_once('-').map_or(peer, |(peer, _)| peer).to_owned()
            }
            other => return Err(format!("CHANNEL({other}) is not known")),
        })
    }

    fn call_record(&self, field: &str) -> Result<String, String> {
        let Some(channel) = &self.channel else { return Ok(String::new()) };
        let name = field.split(',').next().unwrap_or_default();
        let answered = channel.answered_at;
        let since = |begin: Timestamp| epoch(Timestamp::now()).saturating_sub(epoch(begin));
        Ok(match name.to_ascii_lowercase().as_str() {
            "clid" => self.caller_id("all")?,
            "src" => channel.caller.number.clone(),
            "dst" => self.position.extension.clone(),
            "dcontext" => self.position.context.clone(),
            "channel" => channel.name.clone(),
            "lastapp" => channel.application.clone(),
            "lastdata" => channel.data.clone(),
            "start" => epoch(channel.created_at).to_string(),
            "answer" => answered.map_or_else(String::new, |at| epoch(at).to_string()),
            "duration" => since(channel.created_at).to_string(),
            "billsec" => answered.map_or(0, since).to_string(),
            "disposition" => if answered.is_some() { "ANSWERED" } else { "NO ANSWER" }.to_owned(),
            "uniqueid" => channel.unique_id.clone(),
            "linkedid" => channel.linked_id.clone(),
            "accountcode" => channel.account.clone(),
            "userfield" => channel.user_field.clone(),
            other => return Err(format!("CDR({other}) is not known")),
        })
    }

    fn exists(&self, place: &str) -> bool {
        let parts: Vec<&str> = place.split(',').map(str::trim).collect();
        let (plan, at) = (self.services.plan.get(), &self.position);
        let (context, extension, start) = match parts.as_slice() {
            [context] => return plan.contexts.contains_key(*context),
            [context, extension] => (*context, *extension, "1"),
            [context, extension, start, ..] => (*context, *extension, *start),
            [] => (at.context.as_str(), at.extension.as_str(), "1"),
        };
        let start = start.parse().map_or(Start::Label(start), Start::Priority);
        plan.position(context, extension, start).is_some()
    }

    /// `Set(FUNCTION(argument)=value)`.
    ///
    /// # Errors
    /// Why not; nothing was changed.
    pub(super) fn assign_function(
        &self,
        function: &str,
        argument: &str,
        value: &str,
    ) -> Result<(), String> {
        let channels = &self.services.channels;
        let field = argument.to_ascii_lowercase();
        let note = match (function, field.as_str()) {
            ("CALLERID", field) => return self.assign_caller(field, value),
            ("CHANNEL", "language") => Note::Language,
            ("CHANNEL" | "CDR", "accountcode") => Note::Account,
            ("CHANNEL" | "CDR", "userfield") => Note::UserField,
            ("GLOBAL", _) => {
                let set = channels.set_variable(None, argument, value);
                return set.map_err(|error| format!("{argument} is not set: {error:?}"));
            }
            ("DB", _) => {
                let (family, key) = argument.split_once('/').ok_or("DB is DB(family/key)")?;
                return self.services.database.put(family, key, value);
            }
            (other, _) => return Err(format!("{other}({argument}) cannot be set")),
        };
        if value.len() > NOTE_MAX {
            return Err(format!("{function}({argument}) has {NOTE_MAX} octets at most"));
        }
        if let Some(channel) = &self.channel {
            channels.note(&channel.unique_id, note, value);
        }
        Ok(())
    }

    fn assign_caller(&self, field: &str, value: &str) -> Result<(), String> {
        let Some(channel) = &self.channel else { return Ok(()) };
        let mut caller = channel.caller.clone();
        match field {
            "num" | "number" | "ani" => value.clone_into(&mut caller.number),
            "name" => value.clone_into(&mut caller.name),
            "all" => caller = caller_of(value),
            other => return Err(format!("CALLERID({other}) cannot be set")),
        }
        if caller.number.len() > 32 || caller.name.len() > 32 {
            return Err("number and name of a caller have 32 octets at most".to_owned());
        }
        self.services.channels.set_caller(&channel.unique_id, caller);
        Ok(())
    }
}

impl Session {
    /// The channel as it is now, or as it was last known.
    pub(super) fn channel_now(&self) -> Option<Arc<Channel>> {
        let known = self.channel.as_ref()?;
        self.services.channels.of_id(&known.unique_id).or_else(|| self.channel.clone())
    }

    fn of_channel(&self) -> OfChannel<'_> {
        let (channel, position) = (self.channel_now(), self.position.clone());
        OfChannel { services: &self.services, channel, position, own: true }
    }

    /// `Set(FUNCTION(argument)=value)`.
    pub(super) fn assign_function(
        &mut self,
        function: &str,
        argument: &str,
        value: &str,
    ) -> Result<(), String> {
        if function != "TIMEOUT" {
            return self.of_channel().assign_function(function, argument, value);
        }
        let time = super::answer::seconds(value).ok_or("a number of seconds")?;
        match argument.to_ascii_lowercase().as_str() {
            "response" => self.response = time,
            "digit" => self.between_digits = time,
            "absolute" => {
                let ends = || Instant::now() + time;
                self.absolute = (!time.is_zero()).then(ends);
            }
            other => return Err(format!("TIMEOUT({other}) is not known")),
        }
        Ok(())
    }
}

/// `"Name" <number>`, or a number alone.
pub(super) fn caller_of(text: &str) -> CallerIdView {
    let (name, number) = match text.split_once('<') {
        Some((name, rest)) => (name.trim(), rest.split('>').next().unwrap_or_default()),
        None => ("", text.trim()),
    };
    let name = name.trim_matches('"').to_owned();
    CallerIdView { number: number.trim().to_owned(), name }
}

impl Scope for OfChannel<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        let position = &self.position;
        let of_channel =
            |field: fn(&Channel) -> &String| self.channel.as_deref().map(field).cloned();
        match name {
            "EXTEN" => Some(position.extension.clone()),
            "CONTEXT" => Some(position.context.clone()),
            "PRIORITY" => Some(position.priority.to_string()),
            "EPOCH" => Some(epoch(Timestamp::now()).to_string()),
            "CHANNEL" => of_channel(|channel| &channel.name),
            "UNIQUEID" => of_channel(|channel| &channel.unique_id),
            _ => {
                let channels = &self.services.channels;
                let own = |id: String| channels.variable(&id, name);
                let own = of_channel(|channel| &channel.unique_id).and_then(own);
                own.or_else(|| channels.global(name))
            }
        }
    }

    fn function(&self, name: &str, arguments: &str) -> Result<String, String> {
        match name {
            "CALLERID" => self.caller_id(arguments),
            "CONNECTEDLINE" => self.connected_line(arguments),
            "CHANNEL" => self.channel_field(arguments),
            "CDR" => self.call_record(arguments),
            "GLOBAL" => Ok(self.services.channels.global(arguments).unwrap_or_default()),
            "DB_DELETE" if !self.own => Err("DB_DELETE is for the channel's own plan".to_owned()),
            "DB" | "DB_EXISTS" | "DB_DELETE" => {
                let (family, key) = arguments.split_once('/').ok_or("it is DB(family/key)")?;
                let database = &self.services.database;
                let value = database.get(family, key);
                if name == "DB_DELETE" {
                    database.delete(family, key);
                }
                Ok(if name == "DB_EXISTS" {
                    flag(value.is_some())
                } else {
                    value.unwrap_or_default()
                })
            }
            "DIALPLAN_EXISTS" => Ok(flag(self.exists(arguments))),
            "RAND" => {
                let mut bounds = arguments.splitn(2, ',').map(|text| text.trim().parse::<u32>());
                let low = bounds.next().and_then(Result::ok).unwrap_or(0);
                let high = bounds.next().and_then(Result::ok).unwrap_or(i32::MAX as u32).max(low);
                let mut octets = [0; 8];
                getrandom::fill(&mut octets).map_err(|error| error.to_string())?;
                let span = u64::from(high - low) + 1;
                Ok((u64::from(low) + u64::from_le_bytes(octets) % span).to_string())
            }
            "STRFTIME" => super::speak::strftime(arguments),
            other => Err(format!("`{other}` is no function")),
        }
    }
}

impl Scope for Session {
    fn variable(&self, name: &str) -> Option<String> {
        let local = self.frames.last().and_then(|frame| frame.locals.get(name)).cloned();
        local.or_else(|| self.of_channel().variable(name))
    }

    fn function(&self, name: &str, arguments: &str) -> Result<String, String> {
        if name != "TIMEOUT" {
            return self.of_channel().function(name, arguments);
        }
        Ok(match arguments.to_ascii_lowercase().as_str() {
            "response" => self.response.as_secs_f64().to_string(),
            "digit" => self.between_digits.as_secs_f64().to_string(),
            "absolute" => {
                let left = self.absolute.map_or(Duration::ZERO, |at| at - Instant::now());
                left.as_secs().to_string()
            }
            other => return Err(format!("TIMEOUT({other}) is not known")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_written_in_two_ways() {
        let caller = |name: &str, number: &str| CallerIdView {
            number: number.to_owned(),
            name: name.to_owned(),
        };
        assert_eq!(caller_of("\"Ann B\" <201>"), caller("Ann B", "201"));
        assert_eq!(caller_of("Caller <301>"), caller("Caller", "301"));
        assert_eq!(caller_of("301"), caller("", "301"));
    }
}
