//! What outlives the process: registrations, dialogs, and calls that were being set up.

use super::agent::{Agent, Purpose};
use super::call::{Call, Established};
use super::message::{Peer, Request, Response};
use super::registrar::Binding;
use super::usage::Meter;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What outlives the process.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Saved {
    /// Registrations by account.
    #[serde(default)]
    pub bindings: BTreeMap<String, Vec<Binding>>,
    /// Dialogs.
    #[serde(default)]
    pub calls: SavedCalls,
}

/// Dialogs that outlive the process.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct SavedCalls {
    /// Confirmed ones by account.
    #[serde(default)]
    pub dialogs: BTreeMap<String, Established>,
    /// INVITEs of ours without a final response: the next apid takes them back, or the phones
    /// would ring for ever.
    #[serde(default)]
    pub ringing: Vec<Ringing>,
    /// INVITEs of phones without a final response of ours: the next apid refuses them, or the
    /// phones would wait for ever.
    #[serde(default)]
    pub waiting: Vec<Waiting>,
    /// What accounts have used.
    #[serde(default)]
    pub meter: Meter,
}

/// An INVITE of ours that can be taken back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ringing {
    /// Without its body.
    pub(super) invite: Request,
    pub(super) to: Peer,
}

/// The final response to a phone's INVITE, should we not live to give another one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Waiting {
    pub(super) response: Response,
    pub(super) to: Peer,
}

impl Agent {
    /// Registrations to keep.
    pub fn bindings(&self) -> &BTreeMap<String, Vec<Binding>> {
        self.registrar.saved()
    }

    /// Confirmed dialogs.
    pub fn dialogs(&self) -> BTreeMap<&str, &Established> {
        let established = self.calls.iter().filter_map(|(line, call)| match call {
            Call::Established(call) => Some((line.as_str(), &**call)),
            _ => None,
        });
        established.collect()
    }

    /// INVITEs of ours without a final response.
    fn ringing(&self) -> Vec<Ringing> {
        let of = |invite: &Request, to| {
            let invite = Request { body: Vec::new(), ..invite.clone() };
            Ringing { invite, to }
        };
        let calls = self.calls.values().filter_map(|call| match call {
            Call::Outgoing(call) => Some(of(&call.invite, call.to)),
            _ => None,
        });
        let faded = self.purposes.values().filter_map(|purpose| match purpose {
            Purpose::Faded(faded) => Some(of(&faded.invite, faded.to)),
            _ => None,
        });
        calls.chain(faded).collect()
    }

    /// INVITEs of phones without a final response.
    fn waiting(&self) -> Vec<Waiting> {
        let calls = self.calls.values().filter_map(|call| match call {
            Call::Incoming(call) => Some(Waiting {
                response: call.invite.response(503, Some(call.dialog.local_tag())),
                to: call.dialog.source(),
            }),
            _ => None,
        });
        calls.collect()
    }

    /// Dialogs to keep: written as [`SavedCalls`] is read.
    pub fn calls_to_save(&self) -> impl Serialize {
        #[derive(Serialize)]
        struct Calls<'a> {
            dialogs: BTreeMap<&'a str, &'a Established>,
            ringing: Vec<Ringing>,
            waiting: Vec<Waiting>,
            meter: &'a Meter,
        }
        let (ringing, waiting) = (self.ringing(), self.waiting());
        Calls { dialogs: self.dialogs(), ringing, waiting, meter: &self.meter }
    }
}
