//! Stories of phones, in virtual time: what a phone sends, what it gets, what control hears.

mod hostile;
mod a_day;
mod corpus;
mod encrypted;
mod hand_over;
mod in_a_call;
mod messages;
mod phone_calls;
mod phone_is_called;
mod registration;
mod reliable;
mod trunks;

use super::action::{Action, Actions, Notice};
use super::agent::{Agent, Surroundings};
use super::call::TxId;
use super::crypto::Encryption;
use super::digest::{self, Algorithm};
use super::message::{Headers, Peer, Request, Response, Transport};
use super::saved::Saved;
use super::settings::{AccountKind, AccountSettings, Password, SipSettings};
use super::usage::Allowance;
use crate::control::{Cause, MediaAnswer, MediaOffer, RegistrationChange, SignallingError};
use crate::view::CallerIdView;
use tipring_shm_proto::command::Law;

const T0: u64 = 1_800_000_000_000;
const PHONE: &str = "10.0.0.5:5062";
const FIXED: &str = "192.168.1.100:5060";
const SDP: &str = "v=0\r\no=u 1 1 IN IP4 10.0.0.5\r\ns=-\r\nc=IN IP4 10.0.0.5\r\nt=0 0\r\n\
    m=audio 5004 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n";

fn udp(address: &str) -> Peer {
    Peer { transport: Transport::Udp, address: address.parse().unwrap() }
}

fn settings() -> SipSettings {
    let mut settings = SipSettings::new("10.0.0.1:5060".parse().unwrap(), "/nowhere".into());
    let algorithms = vec![Algorithm::Md5];
    let registered =
        AccountKind::Registered { password: Password::Plain("secret".into()), algorithms };
    let fixed = |credentials| AccountKind::Fixed {
        address: FIXED.parse().unwrap(),
        transport: Transport::Udp,
        user: "ata".into(),
        credentials,
        algorithms: vec![Algorithm::Md5],
    };
    settings.accounts = vec![
        AccountSettings {
            id: "phone1".into(),
            kind: registered.clone(),
            allowance: Allowance::default(),
            encryption: Encryption::default(),
            trace: false,
        },
        AccountSettings {
            id: "phone2".into(),
            kind: registered,
            allowance: Allowance::default(),
            encryption: Encryption::default(),
            trace: false,
        },
        AccountSettings {
            id: "fixed".into(),
            kind: fixed(None),
            allowance: Allowance::default(),
            encryption: Encryption::default(),
            trace: false,
        },
    ];
    settings
}

/// An agent, a clock and a phone that answers challenges.
struct Bench {
    agent: Agent,
    now_ms: u64,
    txs: u64,
    done: Vec<Action>,
}

fn agent(settings: &SipSettings, saved: Saved) -> Agent {
    let (mut state, mut txs) = (1_u64, 0_u64);
    let around = Surroundings {
        here: Box::new(|_| "10.0.0.1:5060".parse().unwrap()),
        random: Box::new(move || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            state
        }),
        new_tx: Box::new(move || {
            txs += 1;
            TxId(1_000_000 + txs)
        }),
    };
    Agent::new(settings, saved, [7; 32], around)
}

impl Bench {
    fn new() -> Self {
        Self { agent: agent(&settings(), Saved::default()), now_ms: T0, txs: 0, done: vec![] }
    }

    fn act(&mut self, f: impl FnOnce(&mut Agent, &mut Actions)) -> &mut Self {
        let mut out = Actions::default();
        f(&mut self.agent, &mut out);
        self.done = out.drain().collect();
        self
    }

    /// Hands in a request; gives its transaction.
    fn send(&mut self, text: &str, from: &str) -> TxId {
        let request = Request::from_wire(text.as_bytes()).expect("a test's own request");
        self.txs += 1;
        let (tx, now_ms) = (TxId(self.txs), self.now_ms);
        self.act(|agent, out| agent.handle_request(tx, &request, udp(from), now_ms, out));
        tx
    }

    /// The same, answering the challenge as phone1 does.
    fn send_proven(&mut self, text: &str) -> TxId {
        self.send(text, PHONE);
        let challenge = self.response().headers.get("WWW-Authenticate").unwrap().to_owned();
        let request = Request::from_wire(text.as_bytes()).unwrap();
        let (method, uri) = (&request.method, &request.uri);
        let proof = digest::answer(&[&challenge], "phone1", "secret", method, uri, "c", 1).unwrap();
        let text = text.replace("Call-ID", &format!("Authorization: {proof}\r\nCall-ID"));
        self.send(&text, PHONE)
    }

    fn response(&self) -> &Response {
        let found = self.done.iter().find_map(|a| match a {
            Action::Respond { response, .. } | Action::RespondOnce { response, .. } => {
                Some(response)
            }
            _ => None,
        });
        found.unwrap_or_else(|| panic!("no response in {:?}", self.done))
    }

    fn statuses(&self) -> Vec<u16> {
        let status = |a: &Action| match a {
            Action::Respond { response, .. } | Action::RespondOnce { response, .. } => {
                Some(response.status)
            }
            _ => None,
        };
        self.done.iter().filter_map(status).collect()
    }

    fn sent(&self) -> Vec<(TxId, Request, Peer)> {
        let sent = |a: &Action| match a {
            Action::Send { tx, request, to } => Some((*tx, request.clone(), *to)),
            Action::SendAck { request, to } => Some((TxId(0), request.clone(), *to)),
            _ => None,
        };
        self.done.iter().filter_map(sent).collect()
    }

    fn methods(&self) -> Vec<String> {
        self.sent().into_iter().map(|(_, request, _)| request.method).collect()
    }

    fn notices(&self) -> Vec<Notice> {
        let notice = |a: &Action| match a {
            Action::Tell { notice, .. } => Some(notice.clone()),
            _ => None,
        };
        self.done.iter().filter_map(notice).collect()
    }

    fn reply(&mut self, tx: TxId, response: &Response) -> &mut Self {
        let now_ms = self.now_ms;
        self.act(|agent, out| agent.handle_response(tx, response, now_ms, out))
    }

    fn registered() -> Self {
        let mut b = Self::new();
        b.send_proven(&register("phone1", 1));
        assert_eq!(b.statuses(), [200]);
        b
    }

    /// A call from phone1, acknowledged; gives our tag.
    fn in_call() -> (Self, String) {
        let mut b = Self::new();
        let tx = b.send_proven(&invite("600", 10, SDP));
        b.act(|agent, out| agent.order_accept("phone1", answer(), out).unwrap());
        let tag = b.response().to_tag().unwrap();
        let ack = Request::from_wire(in_dialog("ACK", 10, &tag, "").as_bytes()).unwrap();
        b.act(|agent, out| agent.handle_ack(tx, &ack, out));
        (b, tag)
    }

    /// An INVITE to phone1; gives it and its transaction.
    fn ringing() -> (Self, TxId, Request) {
        let mut b = Self::registered();
        b.act(|agent, out| {
            agent
                .order_invite("phone1", &offer(), &CallerIdView::default(), &[2000, 4000], T0, out)
                .unwrap();
        });
        let (tx, invite, _) = b.sent().remove(0);
        (b, tx, invite)
    }
}

fn register(user: &str, cseq: u32) -> String {
    format!(
        "REGISTER sip:tipring SIP/2.0\r\nVia: SIP/2.0/UDP {PHONE};branch=z9hG4bKr{cseq}\r\n\
         From: <sip:{user}@tipring>;tag=f\r\nTo: <sip:{user}@tipring>\r\nCall-ID: reg\r\n\
         CSeq: {cseq} REGISTER\r\nContact: <sip:{user}@{PHONE}>;expires=60\r\n\r\n"
    )
}

fn invite(number: &str, cseq: u32, sdp: &str) -> String {
    format!(
        "INVITE sip:{number}@tipring SIP/2.0\r\nVia: SIP/2.0/UDP {PHONE};branch=z9hG4bKi{cseq}\r\n\
         From: <sip:phone1@tipring>;tag=phone\r\nTo: <sip:{number}@tipring>\r\nCall-ID: c1\r\n\
         CSeq: {cseq} INVITE\r\nContact: <sip:phone1@{PHONE}>\r\n\
         Content-Type: application/sdp\r\n\r\n{sdp}"
    )
}

fn in_dialog(method: &str, cseq: u32, tag: &str, extra: &str) -> String {
    format!(
        "{method} sip:600@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {PHONE};branch=z9hG4bKd{cseq}\r\n\
         From: <sip:phone1@tipring>;tag=phone\r\nTo: <sip:600@tipring>;tag={tag}\r\n\
         Call-ID: c1\r\nCSeq: {cseq} {method}\r\nContact: <sip:phone1@{PHONE}>\r\n{extra}\r\n"
    )
}

fn re_invite(method: &str, cseq: u32, tag: &str, sdp: &str) -> String {
    in_dialog(method, cseq, tag, "Content-Type: application/sdp\r\n") + sdp
}

fn answer() -> MediaAnswer {
    MediaAnswer { port: 10_000, law: Law::Mu, telephone_event: Some(101) }
}

fn offer() -> MediaOffer {
    MediaOffer { port: 10_002, laws: vec![Law::Mu, Law::A], telephone_event: Some(101) }
}

/// What phone1 answers to our INVITE.
fn from_phone(invite: &Request, status: u16, body: &str) -> Response {
    let mut response = invite.response(status, Some("theirs"));
    response.headers.push("Contact", format!("<sip:phone1@{PHONE}>"));
    response.body = body.as_bytes().to_vec();
    response
}

fn text_of(response: &Response) -> String {
    String::from_utf8(response.body.clone()).unwrap()
}
