//! Dialogs (RFC 3261 §12), for either side of an INVITE.
//!
//! A dialog is plain data: what is written to disk at each change is all that the next apid needs
//! to answer the phone's BYE or to send its own.

use super::address::{NameAddr, Uri};
use super::message::{Headers, Peer, Request, Response};
use super::registrar::next_hop;
use serde::{Deserialize, Serialize};

/// Record-Route entries believed; a request with more is not well-formed for us.
const MAX_ROUTES: usize = 8;

/// One dialog, confirmed or early.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialog {
    /// Call-ID.
    pub call_id: String,
    /// Our end as a From value of our requests, with our tag.
    local: String,
    /// The phone's end as a To value of our requests, with its tag.
    remote: String,
    local_tag: String,
    remote_tag: String,
    /// CSeq of our last request.
    local_seq: u32,
    /// CSeq of the phone's last request.
    remote_seq: Option<u32>,
    /// Route values in the order of our requests.
    routes: Vec<String>,
    /// Request-URI of our requests: the phone's Contact.
    target: String,
    /// Where the phone was heard from last.
    source: Peer,
}

/// Why a message makes no dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoDialog {
    /// It has no Contact, or not exactly one.
    Contact,
    /// A tag or a CSeq is missing, or it lists too many routes.
    Malformed,
}

/// A request that came after a newer one (RFC 3261 §12.2.2); answer 500.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfOrder;

impl Dialog {
    /// The dialog that a response with `local_tag` to the phone's INVITE or SUBSCRIBE makes.
    ///
    /// # Errors
    /// See [`NoDialog`].
    pub fn of_phones_request(
        invite: &Request,
        local_tag: &str,
        source: Peer,
    ) -> Result<Self, NoDialog> {
        let to = invite.headers.get("To").ok_or(NoDialog::Malformed)?;
        let dialog = Self {
            call_id: invite.call_id().to_owned(),
            local: format!("{to};tag={local_tag}"),
            remote: invite.headers.get("From").ok_or(NoDialog::Malformed)?.to_owned(),
            local_tag: local_tag.to_owned(),
            remote_tag: invite.from_tag().ok_or(NoDialog::Malformed)?,
            local_seq: 0,
            remote_seq: Some(invite.cseq().ok_or(NoDialog::Malformed)?),
            routes: routes(&invite.headers, false)?,
            target: contact(&invite.headers)?,
            source,
        };
        Ok(dialog)
    }

    /// The dialog that the phone's 2xx to our INVITE makes.
    ///
    /// # Errors
    /// See [`NoDialog`].
    pub fn of_our_invite(ok: &Response, source: Peer) -> Result<Self, NoDialog> {
        let value = |name| ok.headers.get(name).ok_or(NoDialog::Malformed).map(str::to_owned);
        let (local, remote) = (value("From")?, value("To")?);
        let tag_of = |v: &str| NameAddr::parse(v)?.param("tag").map(str::to_owned);
        Ok(Self {
            call_id: value("Call-ID")?,
            local_tag: tag_of(&local).ok_or(NoDialog::Malformed)?,
            remote_tag: tag_of(&remote).ok_or(NoDialog::Malformed)?,
            local,
            remote,
            local_seq: ok.cseq().ok_or(NoDialog::Malformed)?.0,
            remote_seq: None,
            routes: routes(&ok.headers, true)?,
            target: contact(&ok.headers)?,
            source,
        })
    }

    /// Whether a request of the phone belongs here.
    pub fn owns(&self, request: &Request) -> bool {
        request.call_id() == self.call_id
            && request.to_tag().as_deref() == Some(&self.local_tag)
            && request.from_tag().as_deref() == Some(&self.remote_tag)
    }

    /// Whether this is the dialog that a Replaces header names, as we see it (RFC 3891 §3).
    pub fn is(&self, call_id: &str, to_tag: &str, from_tag: &str) -> bool {
        self.call_id == call_id && self.local_tag == to_tag && self.remote_tag == from_tag
    }

    /// Goes on with the numbers of the early dialog that became this one.
    pub fn continue_from(&mut self, early: &Self) {
        self.local_seq = self.local_seq.max(early.local_seq);
        self.remote_seq = early.remote_seq;
    }

    /// Number of the phone's last request.
    pub const fn heard(&self) -> Option<u32> {
        self.remote_seq
    }

    /// Whether a response to one of our requests belongs here.
    pub fn owns_response(&self, response: &Response) -> bool {
        let from = response.headers.get("From").and_then(NameAddr::parse);
        response.headers.get("Call-ID").map(str::trim) == Some(&self.call_id)
            && from.is_some_and(|f| f.param("tag") == Some(&self.local_tag))
            && response.to_tag().as_deref() == Some(&self.remote_tag)
    }

    /// Takes note of a request of the phone, which [belongs here](Self::owns) and is no ACK.
    ///
    /// # Errors
    /// [`OutOfOrder`]; nothing has changed then.
    pub fn receive(&mut self, request: &Request, source: Peer) -> Result<(), OutOfOrder> {
        let seq = request.cseq().ok_or(OutOfOrder)?;
        if self.remote_seq.is_some_and(|last| seq <= last) {
            return Err(OutOfOrder);
        }
        self.remote_seq = Some(seq);
        self.source = source;
        if matches!(request.method.as_str(), "INVITE" | "UPDATE") {
            self.refresh_target(&request.headers);
        }
        Ok(())
    }

    /// Takes the phone's new Contact from a target refresh request or its 2xx
    /// (RFC 3261 §12.2.1.2).
    pub fn refresh_target(&mut self, headers: &Headers) {
        if let Ok(target) = contact(headers) {
            self.target = target;
        }
    }

    /// The tag that our responses carry.
    pub fn local_tag(&self) -> &str {
        &self.local_tag
    }

    /// Address that the phone was heard from last.
    pub fn source(&self) -> Peer {
        self.source
    }

    /// Where our requests go.
    pub fn hop(&self) -> Peer {
        let first = self.routes.first().and_then(|route| NameAddr::parse(route));
        next_hop(first.as_ref().map_or(&self.target, |route| &route.uri), self.source)
    }

    /// Our next request, complete but for Contact, User-Agent and body.
    pub fn request(&mut self, method: &str, via: &str) -> Request {
        self.local_seq += 1;
        self.numbered(method, self.local_seq, via)
    }

    /// The ACK of a 2xx to our INVITE number `cseq` (RFC 3261 §13.2.2.4).
    pub fn ack(&self, cseq: u32, via: &str) -> Request {
        self.numbered("ACK", cseq, via)
    }

    fn numbered(&self, method: &str, cseq: u32, via: &str) -> Request {
        let mut headers = Headers::default();
        headers.push("Via", via);
        headers.push("Max-Forwards", "70");
        for route in &self.routes {
            headers.push("Route", route);
        }
        headers.push("From", &self.local);
        headers.push("To", &self.remote);
        headers.push("Call-ID", &self.call_id);
        headers.push("CSeq", format!("{cseq} {method}"));
        Request { method: method.to_owned(), uri: self.target.clone(), headers, body: Vec::new() }
    }
}

fn contact(headers: &Headers) -> Result<String, NoDialog> {
    let mut contacts = headers.list("Contact");
    match (contacts.next().and_then(NameAddr::parse), contacts.next()) {
        (Some(contact), None) if contact.uri.len() <= 512 && Uri::parse(&contact.uri).is_some() => {
            Ok(contact.uri)
        }
        _ => Err(NoDialog::Contact),
    }
}

/// Record-Route as a route set: in order for the called side, reversed for the calling one.
fn routes(headers: &Headers, reversed: bool) -> Result<Vec<String>, NoDialog> {
    let mut routes: Vec<String> = headers.list("Record-Route").map(str::to_owned).collect();
    if routes.len() > MAX_ROUTES {
        return Err(NoDialog::Malformed);
    }
    if reversed {
        routes.reverse();
    }
    Ok(routes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::message::Transport;

    fn peer(address: &str) -> Peer {
        Peer { transport: Transport::Udp, address: address.parse().unwrap() }
    }

    fn request(method: &str, cseq: u32, extra: &[(&str, &str)]) -> Request {
        let mut headers = Headers::default();
        headers.push("Via", "SIP/2.0/UDP 10.0.0.5");
        headers.push("From", "\"A\" <sip:phone1@tipring>;tag=phone");
        headers.push("To", "<sip:600@tipring>");
        headers.push("Call-ID", "c1");
        headers.push("CSeq", format!("{cseq} {method}"));
        for (name, value) in extra {
            headers.set(name, *value);
        }
        Request { method: method.into(), uri: "sip:600@tipring".into(), headers, body: vec![] }
    }

    fn called() -> Dialog {
        let mut invite = request("INVITE", 10, &[("Contact", "<sip:phone1@10.0.0.5:5062>")]);
        invite.headers.push("Record-Route", "<sip:10.0.0.8;lr>, <sip:10.0.0.9;lr>");
        Dialog::of_phones_request(&invite, "ours", peer("10.0.0.8:5060")).unwrap()
    }

    #[test]
    fn the_called_side() {
        let mut d = called();
        let mut bye = request("BYE", 11, &[("To", "<sip:600@tipring>;tag=ours")]);
        assert!(d.owns(&bye));
        assert_eq!(d.receive(&bye, peer("10.0.0.8:5060")), Ok(()));
        assert_eq!(d.receive(&bye, peer("10.0.0.8:5060")), Err(OutOfOrder));
        bye.headers.set("To", "<sip:600@tipring>;tag=other");
        assert!(!d.owns(&bye));

        let ours = d.request("BYE", "SIP/2.0/UDP me");
        assert_eq!(ours.uri, "sip:phone1@10.0.0.5:5062");
        assert_eq!(ours.headers.get("From"), Some("<sip:600@tipring>;tag=ours"));
        assert_eq!(ours.headers.get("To"), Some("\"A\" <sip:phone1@tipring>;tag=phone"));
        assert_eq!(ours.headers.get("CSeq"), Some("1 BYE"));
        let routes: Vec<_> = ours.headers.all("Route").collect();
        assert_eq!(routes, ["<sip:10.0.0.8;lr>", "<sip:10.0.0.9;lr>"]);
        assert_eq!(d.hop(), peer("10.0.0.8:5060"));
        assert_eq!(d.request("OPTIONS", "v").headers.get("CSeq"), Some("2 OPTIONS"));
    }

    #[test]
    fn the_calling_side() {
        let mut headers = Headers::default();
        for (name, value) in [
            ("From", "<sip:101@tipring>;tag=ours"),
            ("To", "<sip:phone1@tipring>;tag=phone"),
            ("Call-ID", "c2"),
            ("CSeq", "7 INVITE"),
            ("Record-Route", "<sip:10.0.0.8;lr>"),
            ("Record-Route", "<sip:10.0.0.9;lr>"),
            ("Contact", "<sip:phone1@192.168.1.5>"),
        ] {
            headers.push(name, value);
        }
        let ok = Response { status: 200, headers, body: vec![] };
        let mut d = Dialog::of_our_invite(&ok, peer("203.0.113.1:5060")).unwrap();
        assert!(d.owns_response(&ok));
        let ack = d.ack(7, "v");
        assert_eq!(ack.headers.get("CSeq"), Some("7 ACK"));
        assert_eq!(ack.headers.all("Route").next(), Some("<sip:10.0.0.9;lr>"));
        assert_eq!(d.request("BYE", "v").headers.get("CSeq"), Some("8 BYE"));
        // Any first number of the phone's own requests is right.
        let mut info = request("INFO", 3, &[("Call-ID", "c2")]);
        info.headers.set("From", "<sip:phone1@tipring>;tag=phone");
        info.headers.set("To", "<sip:101@tipring>;tag=ours");
        assert!(d.owns(&info));
        assert_eq!(d.receive(&info, peer("203.0.113.1:5061")), Ok(()));
        assert_eq!(d.source(), peer("203.0.113.1:5061"));
    }

    #[test]
    fn a_re_invite_moves_the_target_and_a_bye_does_not() {
        let mut d = called();
        let moved = [("Contact", "<sip:phone1@10.0.0.6>"), ("To", "<sip:600@tipring>;tag=ours")];
        d.receive(&request("BYE", 11, &moved), peer("10.0.0.8:5060")).unwrap();
        assert_eq!(d.request("BYE", "v").uri, "sip:phone1@10.0.0.5:5062");
        d.receive(&request("INVITE", 12, &moved), peer("10.0.0.8:5060")).unwrap();
        assert_eq!(d.request("BYE", "v").uri, "sip:phone1@10.0.0.6");
    }

    #[test]
    fn no_contact_no_dialog() {
        for contact in [&[][..], &[("Contact", "*")], &[("Contact", "<sip:a@b>, <sip:c@d>")]] {
            let invite = request("INVITE", 1, contact);
            let made = Dialog::of_phones_request(&invite, "t", peer("10.0.0.5:5060"));
            assert_eq!(made, Err(NoDialog::Contact));
        }
        let many = ["<sip:h;lr>"; MAX_ROUTES + 1].join(",");
        let mut invite = request("INVITE", 1, &[("Contact", "<sip:a@b>")]);
        invite.headers.push("Record-Route", many);
        let made = Dialog::of_phones_request(&invite, "t", peer("10.0.0.5:5060"));
        assert_eq!(made, Err(NoDialog::Malformed));
    }

    #[test]
    fn a_dialog_survives_a_restart() {
        let d = called();
        let text = serde_json::to_string(&d).unwrap();
        assert_eq!(serde_json::from_str::<Dialog>(&text).unwrap(), d);
    }
}
