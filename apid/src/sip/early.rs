//! Provisional responses that must arrive (100rel, RFC 3262), ours and the phone's.

use super::action::{Action, Actions, Notice};
use super::agent::{Agent, PRODUCT, Purpose};
use super::call::{Call, TxId};
use super::dialog::Dialog;
use super::message::{Request, Response};
use tracing::info;

/// RFC 3261 §17.1.1.1.
const T1_MS: u64 = 500;
/// A reliable response is repeated for so long (RFC 3262 §3).
const GIVE_UP_MS: u64 = 64 * T1_MS;
/// Phones behind a fork whose early dialogs are followed.
const MAX_FORKS: usize = 8;

/// Our provisional response until its PRACK.
#[derive(Debug)]
pub(super) struct Reliable {
    rseq: u32,
    response: Response,
    /// Until it is repeated.
    wait_ms: u64,
    due_ms: u64,
    give_up_ms: u64,
}

impl Reliable {
    /// When it is repeated, ms since 1970.
    pub(super) const fn due_ms(&self) -> u64 {
        self.due_ms
    }
}

/// A phone that rings and has not answered.
#[derive(Debug)]
pub(super) struct EarlyDialog {
    pub(super) dialog: Dialog,
    /// Its last reliable response that we acknowledged.
    rseq: u32,
}

/// Whether a phone wants or takes provisional responses that must arrive. One that leaves the
/// offer to us would need it in the first of them, before anybody has answered.
pub(super) fn takes_reliable(invite: &Request) -> bool {
    let takes = |header| invite.headers.lists(header, "100rel");
    !invite.body.is_empty() && (takes("Supported") || takes("Require"))
}

impl Agent {
    /// Control: 180 to the phone's INVITE.
    pub fn order_progress(&mut self, line: &str, now_ms: u64, out: &mut Actions) {
        let rseq = ((self.around.random)() >> 34) as u32 + 1;
        let Some(Call::Incoming(call)) = self.calls.get(line) else { return };
        let contact = self.contact(line, call.dialog.source());
        let Some(Call::Incoming(call)) = self.calls.get_mut(line) else { return };
        if call.reliable.is_some() {
            return; // one at a time (RFC 3262 §3)
        }
        let mut response = call.invite.response(180, Some(call.dialog.local_tag()));
        for route in call.invite.headers.all("Record-Route") {
            response.headers.push("Record-Route", route);
        }
        response.headers.push("Contact", contact);
        if takes_reliable(&call.invite) {
            response.headers.push("Require", "100rel");
            response.headers.push("RSeq", rseq.to_string());
            call.reliable = Some(Reliable {
                rseq,
                response: response.clone(),
                wait_ms: T1_MS,
                due_ms: now_ms + T1_MS,
                give_up_ms: now_ms + GIVE_UP_MS,
            });
        }
        out.respond(call.tx, response);
    }

    /// PRACK within a dialog of this line.
    pub(super) fn handle_prack(
        &mut self,
        line: &str,
        tx: TxId,
        request: &Request,
        out: &mut Actions,
    ) {
        let acknowledges = |call: &Reliable, invite: &Request| {
            let rack = request.headers.get("RAck").unwrap_or("");
            let mut words = rack.split_ascii_whitespace();
            let rseq = words.next().and_then(|word| word.parse::<u32>().ok());
            let cseq = words.next().and_then(|word| word.parse::<u32>().ok());
            rseq == Some(call.rseq) && cseq == invite.cseq() && words.next() == Some("INVITE")
        };
        let status = match self.calls.get_mut(line) {
            Some(Call::Incoming(call)) => match &call.reliable {
                Some(waiting) if acknowledges(waiting, &call.invite) => {
                    call.reliable = None;
                    200
                }
                _ => 481,
            },
            // It crossed our 200.
            Some(Call::Established(_)) => 200,
            _ => 481,
        };
        out.respond(tx, request.response(status, None).with("Server", PRODUCT));
    }

    /// Repeats what was not acknowledged; gives up after a while.
    pub(super) fn handle_unpracked(&mut self, now_ms: u64, out: &mut Actions) {
        let mut lost = Vec::new();
        for (line, call) in &mut self.calls {
            let Call::Incoming(call) = call else { continue };
            let Some(waiting) = call.reliable.as_mut().filter(|r| r.due_ms <= now_ms) else {
                continue;
            };
            if waiting.give_up_ms <= now_ms {
                lost.push(line.clone());
            } else if !out.is_crowded() {
                waiting.wait_ms *= 2;
                waiting.due_ms = (now_ms + waiting.wait_ms).min(waiting.give_up_ms);
                out.respond(call.tx, waiting.response.clone());
            }
        }
        for line in lost.into_iter().take(8) {
            if let Some(Call::Incoming(call)) = self.calls.remove(&line) {
                info!(line, "phone did not acknowledge that the other one rings");
                out.respond(call.tx, call.invite.response(504, Some(call.dialog.local_tag())));
                out.tell(&line, Notice::Cancels);
                out.push(Action::SaveDialogs);
            }
        }
    }

    /// Acknowledges a phone's provisional response, if it must arrive (RFC 3262 §4).
    pub(super) fn acknowledge_provisional(
        &mut self,
        line: &str,
        response: &Response,
        out: &mut Actions,
    ) {
        let rseq = response.headers.get("RSeq").and_then(|r| r.trim().parse::<u32>().ok());
        let Some(rseq) = rseq.filter(|_| response.headers.lists("Require", "100rel")) else {
            return;
        };
        let Some((cseq, _)) = response.cseq() else { return };
        let Some(Call::Outgoing(call)) = self.calls.get_mut(line) else { return };
        let known = call.early.iter_mut().position(|early| early.dialog.owns_response(response));
        let at = match known {
            // Lost or out of order: it is repeated until we have had those before it.
            Some(at) if rseq != call.early[at].rseq.wrapping_add(1) => return,
            Some(at) => at,
            None => {
                let Ok(dialog) = Dialog::of_our_invite(response, call.to) else { return };
                if call.early.len() >= MAX_FORKS {
                    return;
                }
                call.early.push(EarlyDialog { dialog, rseq });
                call.early.len() - 1
            }
        };
        call.early[at].rseq = rseq;
        let to = call.early[at].dialog.hop();
        let via = self.via(to);
        let Some(Call::Outgoing(call)) = self.calls.get_mut(line) else { return };
        let mut prack = call.early[at].dialog.request("PRACK", &via);
        prack.headers.push("RAck", format!("{rseq} {cseq} INVITE"));
        prack.headers.push("User-Agent", PRODUCT);
        let tx = (self.around.new_tx)();
        self.purposes.insert(tx, Purpose::Ending);
        out.push(Action::Send { tx, request: prack, to });
    }
}
