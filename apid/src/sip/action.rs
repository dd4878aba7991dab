//! What the rules decide, for others to carry out.

use super::call::TxId;
use super::message::{Peer, Request, Response, Transport};
use super::trunk::Server;
use crate::control::{Cause, RegistrationChange, RemoteMedia, TransferTo};
use crate::view::CallerIdView;

/// Most actions that one input gives; the bound of [`Actions`].
pub(super) const MAX_ACTIONS: usize = 64;

/// What is to be done, in order.
#[derive(Debug, PartialEq)]
pub enum Action {
    /// Answer a request; the transaction repeats it as needed.
    Respond {
        /// Whose.
        tx: TxId,
        /// The answer.
        response: Response,
    },
    /// Answer a request and forget it: a repeated request is a new one.
    RespondOnce {
        /// Whose.
        tx: TxId,
        /// The answer.
        response: Response,
    },
    /// Forget a request without an answer.
    Drop {
        /// Whose.
        tx: TxId,
    },
    /// Send a request in a new transaction.
    Send {
        /// Its name.
        tx: TxId,
        /// The request.
        request: Request,
        /// Where to.
        to: Peer,
    },
    /// Send the answer to a request whose transaction ended with an earlier apid.
    RespondLate {
        /// The answer.
        response: Response,
        /// Where to.
        to: Peer,
    },
    /// Send the ACK of a 2xx, which has no transaction.
    SendAck {
        /// The request.
        request: Request,
        /// Where to.
        to: Peer,
    },
    /// Find a trunk's servers; [`super::agent::Agent::handle_addresses`] follows.
    LookUp {
        /// Whose.
        trunk: String,
        /// Which.
        server: Server,
        /// How they are reached.
        transport: Transport,
    },
    /// Tell control.
    Tell {
        /// The account's line.
        line: String,
        /// What happened.
        notice: Notice,
    },
    /// Registrations have changed; keep them.
    SaveBindings,
    /// Confirmed dialogs have changed; keep them.
    SaveDialogs,
}

/// What control is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// The phone calls a number.
    Invites {
        /// What was dialled.
        to: String,
        /// Who it says is calling, where its word counts.
        caller: Option<CallerIdView>,
        /// Its media.
        media: RemoteMedia,
    },
    /// The phone rings.
    Rings,
    /// The phone was lifted.
    Answers(RemoteMedia),
    /// The phone did not take our call.
    Refuses(Cause),
    /// BYE, or the dialog was lost.
    HangsUp(Cause),
    /// CANCEL.
    Cancels,
    /// The phone offers other media in mid-call; answered by [`super::agent::Agent::order_media`].
    MediaChanges(RemoteMedia),
    /// Its answer to our offer in a late offer or re-INVITE; needs no reply.
    MediaSettled(RemoteMedia),
    /// Came, went, or was refused.
    Registration(RegistrationChange),
    /// A digit by INFO.
    Digit {
        /// `0-9*#A-D`.
        digit: char,
        /// Its length.
        duration_ms: u16,
    },
    /// A flash by INFO.
    Flash,
    /// The phone hands its call over; answered by [`super::agent::Agent::order_transferred`].
    Transfers(TransferTo),
}

/// At most [`MAX_ACTIONS`] actions.
#[derive(Debug, Default)]
pub struct Actions(Vec<Action>);

impl Actions {
    pub(super) fn push(&mut self, action: Action) {
        assert!(self.0.len() < MAX_ACTIONS, "one input gives a bounded number of actions");
        self.0.push(action);
    }

    /// Only what must be done should be added now: an input that concerns many calls leaves room
    /// for the next one.
    pub(super) fn is_crowded(&self) -> bool {
        self.0.len() >= MAX_ACTIONS / 2
    }

    pub(super) fn tell(&mut self, line: &str, notice: Notice) {
        self.push(Action::Tell { line: line.to_owned(), notice });
    }

    pub(super) fn respond(&mut self, tx: TxId, response: Response) {
        self.push(Action::Respond { tx, response });
    }

    /// What there is to do, in order.
    pub fn drain(&mut self) -> impl Iterator<Item = Action> {
        self.0.drain(..)
    }
}
