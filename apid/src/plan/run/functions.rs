//! Variables and functions of a channel.

use super::super::dialplan::Start;
use super::super::substitute::Scope;
use super::session::Session;
use crate::channel::{Channel, Memory as _};
use crate::view::{CallerIdView, Timestamp};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use tokio::time::Instant;

fn epoch(time: Timestamp) -> u64 {
    time.0.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn flag(holds: bool) -> String {
    u8::from(holds).to_string()
}

impl Session {
    /// The channel as it is now, or as it was last known.
    pub(super) fn channel_now(&self) -> Option<Arc<Channel>> {
        let known = self.channel.as_ref()?;
        self.services.channels.of_id(&known.unique_id).or_else(|| self.channel.clone())
    }

    fn caller_id(&self, field: &str) -> Result<String, String> {
        let Some(channel) = self.channel_now() else { return Ok(String::new()) };
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

    fn channel_field(&self, field: &str) -> Result<String, String> {
        let Some(channel) = self.channel_now() else { return Ok(String::new()) };
        Ok(match field.to_ascii_lowercase().as_str() {
            "name" => channel.name.clone(),
            "state" => channel.state.text().to_owned(),
            "uniqueid" => channel.unique_id.clone(),
            "linkedid" => channel.linked_id.clone(),
            "language" => self.language.clone(),
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
        let Some(channel) = self.channel_now() else { return Ok(String::new()) };
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
            "userfield" => self.userfield.clone(),
            other => return Err(format!("CDR({other}) is not known")),
        })
    }

    fn exists(&self, place: &str) -> bool {
        let parts: Vec<&str> = place.split(',').map(str::trim).collect();
        let (plan, at) = (self.plan(), &self.position);
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
    pub(super) fn assign_function(
        &mut self,
        function: &str,
        argument: &str,
        value: &str,
    ) -> Result<(), String> {
        match (function, argument.to_ascii_lowercase().as_str()) {
            ("CALLERID", field) => {
                let Some(channel) = self.channel_now() else { return Ok(()) };
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
            }
            ("CHANNEL", "language") => value.clone_into(&mut self.language),
            ("CDR", "userfield") => value.clone_into(&mut self.userfield),
            ("GLOBAL", _) => {
                let set = self.services.channels.set_variable(None, argument, value);
                set.map_err(|error| format!("{argument} is not set: {error:?}"))?;
            }
            ("DB", _) => {
                let (family, key) = argument.split_once('/').ok_or("DB is DB(family/key)")?;
                self.services.database.put(family, key, value)?;
            }
            ("TIMEOUT", kind) => {
                let time = super::answer::seconds(value).ok_or("a number of seconds")?;
                match kind {
                    "response" => self.response = time,
                    "digit" => self.between_digits = time,
                    "absolute" => {
                        let ends = || Instant::now() + time;
                        self.absolute = (!time.is_zero()).then(ends);
                    }
                    other => return Err(format!("TIMEOUT({other}) is not known")),
                }
            }
            (other, _) => return Err(format!("{other}({argument}) cannot be set")),
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

impl Scope for Session {
    fn variable(&self, name: &str) -> Option<String> {
        if let Some(local) = self.frames.last().and_then(|frame| frame.locals.get(name)) {
            return Some(local.clone());
        }
        let position = &self.position;
        Some(match name {
            "EXTEN" => position.extension.clone(),
            "CONTEXT" => position.context.clone(),
            "PRIORITY" => position.priority.to_string(),
            "EPOCH" => epoch(Timestamp::now()).to_string(),
            "CHANNEL" => self.channel.as_ref()?.name.clone(),
            "UNIQUEID" => self.channel.as_ref()?.unique_id.clone(),
            _ => {
                let channel = self.channel.as_ref();
                let own = channel.and_then(|c| self.services.channels.variable(&c.unique_id, name));
                return own.or_else(|| self.services.channels.global(name));
            }
        })
    }

    fn function(&self, name: &str, arguments: &str) -> Result<String, String> {
        match name {
            "CALLERID" => self.caller_id(arguments),
            "CHANNEL" => self.channel_field(arguments),
            "CDR" => self.call_record(arguments),
            "GLOBAL" => Ok(self.services.channels.global(arguments).unwrap_or_default()),
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
            "TIMEOUT" => Ok(match arguments {
                "response" => self.response.as_secs_f64().to_string(),
                "digit" => self.between_digits.as_secs_f64().to_string(),
                _ => self
                    .absolute
                    .map_or(Duration::ZERO, |at| at - Instant::now())
                    .as_secs()
                    .to_string(),
            }),
            other => Err(format!("`{other}` is no function")),
        }
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
