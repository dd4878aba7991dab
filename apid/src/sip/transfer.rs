//! REFER (RFC 3515): a phone hands its call to somebody else, to a number (blind) or to the other
//! end of another call (attended, `Replaces` of RFC 3891). What became of it goes back by NOTIFY.

use super::action::{Action, Actions, Notice};
use super::address::{NameAddr, Uri, percent_decode};
use super::agent::{Agent, PRODUCT, Purpose};
use super::call::{Call, TxId};
use super::incoming::is_number;
use super::message::Request;
use crate::control::TransferTo;
use tracing::info;

/// How long a phone may wait for news of its REFER, s.
const SUBSCRIPTION_S: u32 = 60;

/// A REFER that was taken.
#[derive(Clone, Debug)]
pub(super) struct Refer {
    /// Number of the REFER; names the subscription (RFC 3515 §2.4.6).
    id: u32,
    /// The phone wants no news (RFC 4488).
    silent: bool,
}

impl Agent {
    /// REFER within a dialog of this line.
    pub(super) fn handle_refer(
        &mut self,
        line: &str,
        tx: TxId,
        request: &Request,
        out: &mut Actions,
    ) {
        let no = |status| request.response(status, None).with("Server", PRODUCT);
        if self.accounts[line].trunk.is_some() {
            // A call that came by a trunk must not go out by one at its caller's wish.
            return out.respond(tx, no(403));
        }
        let busy = match self.calls.get(line) {
            Some(Call::Established(call)) => call.open.refer.is_some(),
            _ => true,
        };
        if busy {
            return out.respond(tx, no(491));
        }
        let to = match self.refer_target(line, request) {
            Ok(to) => to,
            Err(status) => return out.respond(tx, no(status)),
        };
        let silent = request
            .headers
            .get("Refer-Sub")
            .is_some_and(|value| value.trim().eq_ignore_ascii_case("false"));
        let Some(id) = request.cseq() else { return out.respond(tx, no(400)) };
        if let Some(Call::Established(call)) = self.calls.get_mut(line) {
            call.open.refer = Some(Refer { id, silent });
        }
        info!(line, ?to, "phone hands its call over");
        let mut accepted = no(202);
        accepted.headers.push("Refer-Sub", if silent { "false" } else { "true" });
        out.respond(tx, accepted);
        self.notify_refer(line, 100, true, out);
        out.tell(line, Notice::Transfers(to));
    }

    /// Who shall take over.
    fn refer_target(&self, line: &str, request: &Request) -> Result<TransferTo, u16> {
        let mut values = request.headers.list("Refer-To");
        let (Some(value), None) = (values.next(), values.next()) else { return Err(400) };
        let target = NameAddr::parse(value).ok_or(400_u16)?;
        let (uri, headers) = target.uri.split_once('?').unwrap_or((&target.uri, ""));
        let user = Uri::parse(uri).ok_or(400_u16)?.user.unwrap_or_default();
        let replaces = headers.split('&').find_map(|header| {
            let (name, value) = header.split_once('=')?;
            name.eq_ignore_ascii_case("Replaces").then(|| percent_decode(value))
        });
        let Some(replaces) = replaces else {
            let may = self.accounts[line].allowance.permits(&user);
            return match is_number(&user) {
                true if may => Ok(TransferTo::Number(user)),
                true => Err(403),
                false => Err(404),
            };
        };
        // The tags as we, who receive the INVITE that never comes, would see them.
        let mut parts = replaces.split(';').map(str::trim);
        let call_id = parts.next().unwrap_or_default();
        let (mut to_tag, mut from_tag) = ("", "");
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name.to_ascii_lowercase().as_str() {
                "to-tag" => to_tag = value,
                "from-tag" => from_tag = value,
                _ => {}
            }
        }
        let found = self.calls.iter().find(|(_, call)| {
            matches!(call, Call::Established(call) if call.dialog.is(call_id, to_tag, from_tag))
        });
        match found {
            Some((other, _)) if other != line => Ok(TransferTo::CallOf(other.clone())),
            _ => Err(481),
        }
    }

    /// Control: what became of the transfer that this line's phone asked for; `status` as if it
    /// had called there itself.
    pub fn order_transferred(&mut self, line: &str, status: u16, out: &mut Actions) {
        self.notify_refer(line, status, false, out);
        if let Some(Call::Established(call)) = self.calls.get_mut(line) {
            call.open.refer = None;
        }
    }

    fn notify_refer(&mut self, line: &str, status: u16, more: bool, out: &mut Actions) {
        let Some(Call::Established(call)) = self.calls.get(line) else { return };
        let Some(refer) = call.open.refer.clone().filter(|refer| !refer.silent) else { return };
        let to = call.dialog.hop();
        let (via, contact) = (self.via(to), self.contact(line, to));
        let Some(Call::Established(call)) = self.calls.get_mut(line) else { return };
        let mut notify = call.dialog.request("NOTIFY", &via);
        notify.headers.push("Contact", contact);
        notify.headers.push("Event", format!("refer;id={}", refer.id));
        let state = if more {
            format!("active;expires={SUBSCRIPTION_S}")
        } else {
            "terminated;reason=noresource".to_owned()
        };
        notify.headers.push("Subscription-State", state);
        notify.headers.push("User-Agent", PRODUCT);
        notify.headers.push("Content-Type", "message/sipfrag;version=2.0");
        let phrase = super::message::phrase(status);
        notify.body = format!("SIP/2.0 {status} {phrase}\r\n").into_bytes();
        let tx = (self.around.new_tx)();
        self.purposes.insert(tx, Purpose::Ending);
        out.push(Action::Send { tx, request: notify, to });
        out.push(Action::SaveDialogs);
    }
}
