//! What control needs of whoever holds the sockets of applications. `stream` implements it,
//! `startup` wires it, and what applications do comes back through [`Control`]'s `application_*`.

use super::access::need;
use super::{Cause, Control, Refused, lock, moment};
use crate::auth::{Caller, Scope};
use crate::call::{CallNumber, Input, SocketEnd};
use crate::view::{Call, CallerIdView, Timestamp};
use std::sync::Arc;

/// A line that wants an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationCall {
    /// Id of the call.
    pub call_id: String,
    /// Its line.
    pub line: String,
    /// Where the application is.
    pub url: String,
    /// Who calls.
    pub caller: CallerIdView,
    /// The number that led there; empty where none did.
    pub dialled: String,
    /// Name of the token that the call belongs to.
    pub owner: String,
    /// When the application was asked for.
    pub at: Timestamp,
}

/// Why an application has a line no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApplicationEnd {
    /// Why.
    pub cause: Cause,
    /// The phone hung up.
    pub by_phone: bool,
}

/// Holds the sockets of applications. Nothing here waits.
pub trait AppConnector: Send + Sync {
    /// Whether a URL names something that can be dialled.
    ///
    /// # Errors
    /// What is wrong, and what is allowed.
    fn check(&self, url: &str) -> Result<(), String>;
    /// Dials; [`Control::application_joined`] or [`Control::application_left`] follows.
    fn connect(&self, control: Control, call: ApplicationCall);
    /// Lets go of the application of a call; one that has none is left as it is.
    fn leave(&self, call_id: &str, end: ApplicationEnd);
}

/// Where no application can be dialled.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoApplications;

impl AppConnector for NoApplications {
    fn check(&self, _url: &str) -> Result<(), String> {
        Err("no applications can be dialled here".to_owned())
    }
    fn connect(&self, control: Control, call: ApplicationCall) {
        control.application_left(&call.call_id, Cause::NetworkOutOfOrder);
    }
    fn leave(&self, _call_id: &str, _end: ApplicationEnd) {}
}

impl Control {
    /// The application takes its call.
    pub fn application_joined(&self, call_id: &str) {
        if let Some(call) = CallNumber::parse(call_id) {
            self.feed(Input::Joined { call });
        }
    }

    /// The application is gone, or could not be reached.
    pub fn application_left(&self, call_id: &str, cause: Cause) {
        if let Some(call) = CallNumber::parse(call_id) {
            self.feed(Input::Left { call, cause });
        }
    }

    /// Tells clients what is wrong with an application: an `error` event of its line.
    pub fn application_error(&self, line: &str, code: &'static str, message: &str) {
        self.report_error(Some(line), code, message);
    }

    /// A call that the caller's token placed to an application behind a socket. Needs `read`.
    ///
    /// # Errors
    /// `Forbidden`, `NoSuchCall`.
    pub fn placed_call(&self, caller: &Caller, call_id: &str) -> Result<Call, Refused> {
        let call = self.call(caller, call_id)?;
        let number = CallNumber::parse(call_id).ok_or(Refused::NoSuchCall)?;
        let switch = lock(&self.0.switch);
        let owner = switch.call(number).and_then(|record| record.socket.as_ref());
        if owner.is_some_and(|socket| socket.owner == caller.name) {
            Ok(call)
        } else {
            Err(Refused::NoSuchCall)
        }
    }

    /// The only line of a call reaches the application at `url` instead. Needs `control` and
    /// `audio`.
    ///
    /// # Errors
    /// `Forbidden`, `NoSuchCall`, `Invalid`, `CallState`.
    pub fn hand_to_application(
        &self,
        caller: &Caller,
        call_id: &str,
        url: &str,
    ) -> Result<Call, Refused> {
        need(caller, Scope::Control)?;
        need(caller, Scope::Audio)?;
        let call = self.own(caller, call_id)?;
        self.check_application(url)?;
        let (url, owner) = (url.to_owned(), caller.name.clone());
        let socket = SocketEnd { url, dialled: String::new(), owner };
        self.change(call, |switch, _| switch.hand_to_socket(call, socket))
    }

    pub(super) fn connect_application(
        &self,
        call: CallNumber,
        line: String,
        socket: SocketEnd,
        caller: CallerIdView,
    ) {
        let SocketEnd { url, dialled, owner } = socket;
        let at = Timestamp(moment(&self.0).wall);
        let call_id = call.to_string();
        let call = ApplicationCall { call_id, line, url, caller, dialled, owner, at };
        self.0.applications.connect(self.clone(), call);
    }

    pub(super) fn applications(&self) -> &Arc<dyn AppConnector> {
        &self.0.applications
    }

    pub(super) fn check_application(&self, url: &str) -> Result<(), Refused> {
        let checked = self.applications().check(url);
        checked.map_err(|reason| Refused::Invalid { field: "to", reason })
    }
}
