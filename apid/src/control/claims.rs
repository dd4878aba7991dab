//! Programs that answer a number while they are connected, and are told of their calls.

use super::access::need;
use super::{Control, Refused, lock, moment};
use crate::auth::{Caller, Scope};
use crate::call::{CallNumber, ClaimRefused};
use crate::hub::{Delivery, Filter, Listener, Notice};
use std::collections::HashSet;

/// Calls that a program may have at once where it says nothing, and at most.
pub const CLAIM_CALLS: (usize, usize) = (10, 1000);

/// A number that a program answers; given up when dropped.
#[derive(Debug)]
pub struct Claim {
    control: Control,
    number: String,
    to: String,
    listener: Listener,
    calls: HashSet<String>,
}

impl Control {
    /// Has a program answer a free number, `max_calls` at once (10 where none are given). Needs
    /// `control` and `audio`, of a token that is not limited to lines.
    ///
    /// # Errors
    /// `Forbidden`, `LimitedToken`, `NotClaimable`, `NumberTaken`, `Full`, `Invalid`.
    pub fn claim(
        &self,
        caller: &Caller,
        number: &str,
        max_calls: Option<usize>,
        remote: &str,
    ) -> Result<Claim, Refused> {
        need(caller, Scope::Control)?;
        need(caller, Scope::Audio)?;
        if caller.lines.is_some() {
            return Err(Refused::LimitedToken);
        }
        let (usual, most) = CLAIM_CALLS;
        let max_calls = max_calls.unwrap_or(usual);
        if max_calls == 0 || max_calls > most {
            let reason = format!("allowed is 1 to {most}");
            return Err(Refused::Invalid { field: "max_calls", reason });
        }
        // It listens before the first call can come.
        let types = ["call_*", "dtmf"].map(str::to_owned).to_vec();
        let filter = Filter { lines: Vec::new(), types };
        let listener = self.0.hub.listen(caller, filter, None, remote);
        let mut switch = lock(&self.0.switch);
        let actions =
            switch.claim(number, max_calls, moment(&self.0)).map_err(|why| match why {
                ClaimRefused::NotClaimable => Refused::NotClaimable,
                ClaimRefused::Taken => Refused::NumberTaken,
                ClaimRefused::Full => Refused::Full { what: "numbers that programs answer" },
            })?;
        self.apply(&mut switch, actions);
        drop(switch);
        tracing::info!(number, remote, token = caller.name, "a program answers this number");
        Ok(Claim {
            control: self.clone(),
            number: number.to_owned(),
            to: format!("app:{number}"),
            listener,
            calls: HashSet::new(),
        })
    }
}

impl Claim {
    /// What happens next in a call to this number: that it is connected, its digits, that it ended or
    /// was handed on. May be cancelled without loss.
    pub async fn next(&mut self) -> Delivery {
        loop {
            let delivery = self.listener.next().await;
            match &delivery {
                Delivery::Notice(notice) if !self.concerns(notice) => {}
                _ => return delivery,
            }
        }
    }

    fn concerns(&mut self, notice: &Notice) -> bool {
        let Some(id) = notice.call_id.as_deref() else { return false };
        let Some(call) = notice.call() else {
            // A digit: whose call it is may have changed since it was connected.
            return self.calls.contains(id) && self.holds(id);
        };
        if call.to == self.to && call.ended_at.is_none() {
            return call.answered_at.is_some() && {
                self.calls.insert(id.to_owned());
                true
            };
        }
        self.calls.remove(id)
    }

    fn holds(&self, id: &str) -> bool {
        let switch = lock(&self.control.0.switch);
        let call = CallNumber::parse(id).and_then(|number| switch.call(number));
        call.is_some_and(|call| call.ends.to == self.to)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let control = &self.control;
        let mut switch = lock(&control.0.switch);
        let actions = switch.give_up_claim(&self.number, moment(&control.0));
        control.apply(&mut switch, actions);
        tracing::info!(number = self.number, "the program that answered this number is gone");
    }
}
