//! Stories of phones, in virtual time: what a phone sends, what it gets, what control hears.

use super::agent::{Action, Actions, Agent, Notice, Saved, Surroundings};
use super::call::TxId;
use super::digest::{self, Algorithm};
use super::message::{Peer, Request, Response, Transport};
use super::settings::{AccountKind, AccountSettings, SipSettings};
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
    let registered = AccountKind::Registered { password: "secret".into(), algorithms };
    let fixed = |credentials| AccountKind::Fixed {
        address: FIXED.parse().unwrap(),
        transport: Transport::Udp,
        user: "ata".into(),
        credentials,
    };
    settings.accounts = vec![
        AccountSettings { id: "phone1".into(), kind: registered.clone() },
        AccountSettings { id: "phone2".into(), kind: registered },
        AccountSettings { id: "fixed".into(), kind: fixed(None) },
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
            agent.order_invite("phone1", &offer(), &CallerIdView::default(), T0, out).unwrap();
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

#[test]
fn a_phone_registers_and_is_told_of_once() {
    let mut b = Bench::registered();
    assert!(b.done.contains(&Action::SaveBindings));
    let contact = format!("sip:phone1@{PHONE}");
    let came = Notice::Registration(RegistrationChange::Registered { contact });
    assert_eq!(b.notices(), [came]);
    b.send_proven(&register("phone1", 3));
    assert_eq!((b.statuses(), b.notices()), (vec![200], vec![]));
    b.now_ms += 60_000;
    let now_ms = b.now_ms;
    b.act(|agent, out| agent.handle_time(now_ms, out));
    assert_eq!(b.notices(), [Notice::Registration(RegistrationChange::Unregistered)]);
}

#[test]
fn nobody_learns_which_accounts_exist() {
    let mut b = Bench::new();
    for user in ["phone1", "nobody"] {
        b.send(&register(user, 1), PHONE);
        let response = b.response();
        assert_eq!(response.status, 401);
        let names: Vec<_> = response.headers.iter().map(|(n, _)| n.to_owned()).collect();
        assert_eq!(names, ["Via", "From", "To", "Call-ID", "CSeq", "WWW-Authenticate"]);
        let challenge = response.headers.get("WWW-Authenticate").unwrap().to_owned();
        let wrong = digest::answer(&[&challenge], user, "guess", "REGISTER", "sip:tipring", "c", 1);
        let text = register(user, 2)
            .replace("Call-ID", &format!("Authorization: {}\r\nCall-ID", wrong.unwrap()));
        b.send(&text, PHONE);
        assert_eq!(b.statuses(), [401]);
        assert!(!b.response().headers.get("WWW-Authenticate").unwrap().contains("stale"));
        assert!(matches!(b.done[0], Action::RespondOnce { .. } | Action::Tell { .. }));
    }
    // One account's proof registers no other.
    b.send_proven(&register("phone2", 5));
    assert_eq!(b.statuses(), [403]);
}

#[test]
fn strangers_get_little_and_scanners_nothing() {
    let mut b = Bench::new();
    let mut answered = 0;
    for cseq in 0..200 {
        b.send(&register("x", cseq), "203.0.113.7:5060");
        answered += b.statuses().len();
    }
    assert_eq!(answered, 60);
    let scan = register("x", 1).replace("Call-ID", "User-Agent: friendly-scanner\r\nCall-ID");
    b.send(&scan, PHONE);
    assert!(matches!(b.done[..], [Action::Drop { .. }]));
}

#[test]
fn a_phone_calls_a_number_and_hangs_up() {
    let mut b = Bench::new();
    let tx = b.send_proven(&invite("600", 10, SDP));
    assert_eq!(b.statuses(), [100]);
    let [Notice::Invites { to, media }] = &b.notices()[..] else { panic!("{:?}", b.done) };
    assert_eq!((to.as_str(), media.telephone_event), ("600", Some(101)));
    assert_eq!(media.remote, Some("10.0.0.5:5004".parse().unwrap()));
    b.act(|agent, out| agent.order_progress("phone1", out));
    assert_eq!(b.statuses(), [180]);
    let tag = b.response().to_tag().unwrap();

    b.act(|agent, out| agent.order_accept("phone1", answer(), out).unwrap());
    let ok = b.response().clone();
    assert_eq!((ok.status, ok.to_tag().unwrap()), (200, tag.clone()));
    assert_eq!(ok.headers.get("Contact"), Some("<sip:phone1@10.0.0.1:5060>"));
    assert!(text_of(&ok).contains("m=audio 10000 RTP/AVP 0 101\r\n"));
    assert!(b.done.contains(&Action::SaveDialogs));
    let ack = Request::from_wire(in_dialog("ACK", 10, &tag, "").as_bytes()).unwrap();
    b.act(|agent, out| agent.handle_ack(tx, &ack, out));
    assert_eq!(b.done, []);

    b.send(&in_dialog("BYE", 11, &tag, ""), PHONE);
    assert_eq!((b.statuses(), b.notices()), (vec![200], vec![Notice::HangsUp]));
    assert!(b.done.contains(&Action::SaveDialogs) && b.agent.live().is_empty());
    b.send(&in_dialog("BYE", 12, &tag, ""), PHONE);
    assert_eq!(b.statuses(), [481]);
}

#[test]
fn a_cancelled_call_cannot_be_accepted() {
    let mut b = Bench::new();
    let tx = b.send_proven(&invite("600", 10, SDP));
    b.act(|agent, out| agent.handle_cancel(tx, out));
    assert_eq!((b.statuses(), b.notices()), (vec![487], vec![Notice::Cancels]));
    let mut refused = None;
    b.act(|agent, out| refused = agent.order_accept("phone1", answer(), out).err());
    assert_eq!((refused, b.done.len()), (Some(SignallingError::NoDialog), 0));
    b.act(|agent, out| agent.order_hang_up("phone1", Cause::UserBusy, out));
    assert_eq!(b.done, []);
}

#[test]
fn control_refuses_a_call() {
    let mut b = Bench::new();
    b.send_proven(&invite("999", 10, SDP));
    b.act(|agent, out| agent.order_hang_up("phone1", Cause::UnallocatedNumber, out));
    assert_eq!(b.statuses(), [404]);
    let reason = b.response().headers.get("Reason").unwrap();
    assert!(reason.starts_with("Q.850;cause=1;"), "{reason}");
    b.send_proven(&invite("600", 20, SDP).replace("Call-ID: c1", "Call-ID: c2"));
    assert_eq!(b.statuses(), [100], "the account is free");
}

#[test]
fn one_call_at_a_time_and_none_twice() {
    let mut b = Bench::new();
    b.send_proven(&invite("600", 10, SDP));
    b.send(&invite("600", 11, SDP), PHONE); // same as the one that was proven
    let second = invite("600", 30, SDP).replace("Call-ID: c1", "Call-ID: c2");
    b.send_proven(&second);
    assert_eq!(b.statuses(), [486]);
    let text = invite("600", 10, SDP).replace("z9hG4bKi10", "z9hG4bKother");
    b.send(&text, PHONE);
    assert_eq!(b.statuses(), [482]);
}

#[test]
fn requests_that_cannot_be_taken_say_why() {
    let mut b = Bench::new();
    let ok = in_dialog("OPTIONS", 1, "x", "").replace(";tag=x", "");
    for (text, status, header) in [
        (ok.clone(), 200, "Allow"),
        (ok.replace("OPTIONS", "SUBSCRIBE"), 405, "Allow"),
        (ok.replace("sip:600@10.0.0.1", "http:600"), 416, ""),
        (ok.replace("Call-ID", "Max-Forwards: 0\r\nCall-ID"), 483, ""),
        (ok.replace("Call-ID", "Require: 100rel, timer\r\nCall-ID"), 420, "Unsupported"),
        (ok.replace("CSeq: 1 OPTIONS", "CSeq: 1 INVITE"), 400, ""),
        (ok.replace("CSeq: 1 ", "CSeq: 4294967295 "), 400, ""),
        (ok.replace("OPTIONS", "BYE"), 481, ""),
        (in_dialog("INFO", 1, "x", ""), 481, ""),
        (in_dialog("INVITE", 1, "x", ""), 481, ""),
        (
            ok.replace("OPTIONS", "NOTIFY").replace("Call-ID", "Event: keep-alive\r\nCall-ID"),
            200,
            "",
        ),
        (ok.replace("OPTIONS", "NOTIFY"), 489, ""),
    ] {
        b.send(&text, PHONE);
        assert_eq!(b.statuses(), [status], "{text}");
        assert!(header.is_empty() || b.response().headers.get(header).is_some(), "{text}");
    }
    for (text, status, header) in [
        (invite("600", 1, SDP).replace("application/sdp", "text/plain"), 415, "Accept"),
        (invite("600", 1, &SDP.replace("0 8 101", "18")), 488, "Warning"),
        (invite("600", 1, "hello"), 400, ""),
        (invite("600", 1, SDP).replace("Contact", "Subject"), 400, ""),
        (invite("600", 1, SDP).replace("sip:600@", "sip:"), 404, ""),
        (invite("600", 1, SDP).replace("sip:phone1@tipring", "sip:phone2@tipring"), 403, ""),
        (
            invite("600", 1, SDP)
                .replace("Call-ID", "Supported: timer\r\nSession-Expires: 60\r\nCall-ID"),
            422,
            "Min-SE",
        ),
    ] {
        b.send_proven(&text);
        assert_eq!(b.statuses(), [status], "{text}");
        assert!(header.is_empty() || b.response().headers.get(header).is_some(), "{text}");
    }
}

#[test]
fn we_ring_a_phone_and_hang_up() {
    let (mut b, tx, invite) = Bench::ringing();
    let (_, _, to) = b.sent()[0].clone();
    assert_eq!((invite.uri.as_str(), to), ("sip:phone1@10.0.0.5:5062", udp(PHONE)));
    assert!(invite.call_id().ends_with("@tipring"));
    b.reply(tx, &invite.response(100, None));
    assert_eq!(b.notices(), []);
    b.reply(tx, &from_phone(&invite, 180, ""));
    assert_eq!(b.notices(), [Notice::Rings]);
    b.reply(tx, &from_phone(&invite, 183, ""));
    assert_eq!(b.notices(), [], "it rings already");
    b.reply(tx, &from_phone(&invite, 200, SDP));
    assert_eq!(b.methods(), ["ACK"]);
    assert!(matches!(&b.notices()[..], [Notice::Answers(media)] if media.wants_audio));
    assert_eq!(b.agent.live(), ["phone1"]);

    // The ACK was lost, the phone says so.
    let again = from_phone(&invite, 200, SDP);
    b.act(|agent, out| agent.handle_stray_ok(&again, udp(PHONE), out));
    assert_eq!(b.methods(), ["ACK"]);

    b.act(|agent, out| agent.order_hang_up("phone1", Cause::NormalClearing, out));
    let (_, bye, to) = b.sent().remove(0);
    assert_eq!((bye.method.as_str(), to), ("BYE", udp(PHONE)));
    assert_eq!(bye.cseq(), Some(invite.cseq().unwrap() + 1));
    assert!(b.agent.live().is_empty());
}

#[test]
fn the_caller_is_named_and_can_break_nothing() {
    let mut b = Bench::registered();
    let caller = CallerIdView { number: "+1 555".into(), name: "A \"B\"\r\nEvil: 1".into() };
    b.act(|agent, out| agent.order_invite("phone1", &offer(), &caller, T0, out).unwrap());
    let invite = b.sent().remove(0).1;
    let from = invite.headers.get("From").unwrap();
    assert!(from.starts_with(r#""A \"B\"Evil: 1" <sip:+1%20555@10.0.0.1:5060>;tag="#), "{from}");
}

#[test]
fn a_busy_phone_and_one_that_is_away() {
    let (mut b, tx, invite) = Bench::ringing();
    b.reply(tx, &from_phone(&invite, 486, ""));
    assert_eq!((b.notices(), b.methods()), (vec![Notice::Refuses(486)], vec![]));
    let mut refused = None;
    let nobody = CallerIdView::default();
    b.act(|agent, out| refused = agent.order_invite("phone2", &offer(), &nobody, T0, out).err());
    assert_eq!(refused, Some(SignallingError::NotRegistered));
    // A phone's challenge is nothing we answer: it could be anybody's.
    b.act(|agent, out| agent.order_invite("phone1", &offer(), &nobody, T0, out).unwrap());
    let (tx, invite, _) = b.sent().remove(0);
    let challenge = from_phone(&invite, 401, "")
        .with("WWW-Authenticate", "Digest realm=\"tipring\",nonce=\"1\",qop=\"auth\"");
    b.reply(tx, &challenge);
    assert_eq!(b.notices(), [Notice::Refuses(401)]);
}

#[test]
fn a_ring_is_taken_back_after_a_provisional_response_only() {
    let (mut b, tx, invite) = Bench::ringing();
    b.act(|agent, out| agent.order_hang_up("phone1", Cause::NoAnswer, out));
    assert_eq!(b.done, [], "nothing has come from the phone yet");
    b.reply(tx, &from_phone(&invite, 180, ""));
    assert_eq!((b.methods(), b.notices()), (vec!["CANCEL".to_owned()], vec![]));
    let cancel = b.sent().remove(0).1;
    assert_eq!(cancel.headers.get("Via"), invite.headers.get("Via"));
    assert_eq!(cancel.cseq(), invite.cseq());
    b.reply(tx, &from_phone(&invite, 180, ""));
    assert_eq!(b.done, [], "once is enough");
    b.reply(tx, &from_phone(&invite, 487, ""));
    assert_eq!(b.done, []);
}

#[test]
fn an_answer_that_crosses_our_cancel_is_hung_up() {
    let (mut b, tx, invite) = Bench::ringing();
    b.reply(tx, &from_phone(&invite, 180, ""));
    b.act(|agent, out| agent.order_hang_up("phone1", Cause::NormalClearing, out));
    assert_eq!(b.methods(), ["CANCEL"]);
    // The account is free meanwhile.
    let nobody = CallerIdView::default();
    b.act(|agent, out| agent.order_invite("phone1", &offer(), &nobody, T0, out).unwrap());
    b.reply(tx, &from_phone(&invite, 200, SDP));
    assert_eq!((b.methods(), b.notices()), (vec!["ACK".to_owned(), "BYE".to_owned()], vec![]));
}

#[test]
fn an_answer_without_usable_media_is_hung_up() {
    let (mut b, tx, invite) = Bench::ringing();
    b.reply(tx, &from_phone(&invite, 200, ""));
    assert_eq!(b.methods(), ["ACK", "BYE"]);
    assert_eq!(b.notices(), [Notice::Refuses(488)]);
}

#[test]
fn hold_and_refresh_by_the_phone() {
    let (mut b, tag) = Bench::in_call();
    let held = format!("{SDP}a=sendonly\r\n");
    let tx = b.send(&re_invite("INVITE", 11, &tag, &held), PHONE);
    assert!(b.statuses().is_empty());
    let [Notice::MediaChanges(media)] = &b.notices()[..] else { panic!("{:?}", b.done) };
    assert!(!media.wants_audio && media.sends_audio);
    b.send(&re_invite("INVITE", 12, &tag, SDP), PHONE);
    assert_eq!(b.statuses(), [500], "one at a time");
    b.act(|agent, out| agent.order_media("phone1", Some(answer()), out));
    let body = text_of(b.response());
    assert!(body.contains("a=recvonly") && body.contains(" 2 IN IP4 "), "{body}");
    let ack = Request::from_wire(in_dialog("ACK", 11, &tag, "").as_bytes()).unwrap();
    b.act(|agent, out| agent.handle_ack(tx, &ack, out));

    // Refreshes are answered without asking control, the version stays.
    b.send(&re_invite("UPDATE", 13, &tag, &held), PHONE);
    assert_eq!((b.statuses(), b.notices()), (vec![200], vec![]));
    assert!(text_of(b.response()).contains(" 2 IN IP4 "));
    b.send(&in_dialog("UPDATE", 14, &tag, ""), PHONE);
    assert_eq!((b.statuses(), b.response().body.len()), (vec![200], 0));

    b.send(&re_invite("UPDATE", 15, &tag, SDP), PHONE);
    b.act(|agent, out| agent.order_media("phone1", None, out));
    assert_eq!(b.statuses(), [488]);
    assert_eq!(b.agent.live(), ["phone1"], "the call goes on");
}

#[test]
fn the_offer_may_come_with_the_ack() {
    let mut b = Bench::new();
    let tx = b.send_proven(&invite("600", 10, ""));
    let [Notice::Invites { media, .. }] = &b.notices()[..] else { panic!("{:?}", b.done) };
    assert_eq!(media.remote, None);
    b.act(|agent, out| agent.order_accept("phone1", answer(), out).unwrap());
    assert!(text_of(b.response()).contains("m=audio 10000 RTP/AVP 0 8 101\r\n"));
    let tag = b.response().to_tag().unwrap();
    let ack = Request::from_wire(re_invite("ACK", 10, &tag, SDP).as_bytes()).unwrap();
    b.act(|agent, out| agent.handle_ack(tx, &ack, out));
    let [Notice::MediaSettled(media)] = &b.notices()[..] else { panic!("{:?}", b.done) };
    assert_eq!(media.remote, Some("10.0.0.5:5004".parse().unwrap()));
}

#[test]
fn a_phone_that_never_acknowledges_loses_its_call() {
    let mut b = Bench::new();
    let tx = b.send_proven(&invite("600", 10, SDP));
    b.act(|agent, out| agent.order_accept("phone1", answer(), out).unwrap());
    b.act(|agent, out| agent.handle_unacked(tx, out));
    assert_eq!((b.methods(), b.notices()), (vec!["BYE".to_owned()], vec![Notice::HangsUp]));

    // Hung up before the ACK: the BYE waits for it.
    let mut b = Bench::new();
    let tx = b.send_proven(&invite("600", 10, SDP));
    b.act(|agent, out| agent.order_accept("phone1", answer(), out).unwrap());
    let tag = b.response().to_tag().unwrap();
    b.act(|agent, out| agent.order_hang_up("phone1", Cause::NormalClearing, out));
    assert_eq!(b.done, []);
    let ack = Request::from_wire(in_dialog("ACK", 10, &tag, "").as_bytes()).unwrap();
    b.act(|agent, out| agent.handle_ack(tx, &ack, out));
    assert_eq!((b.methods(), b.notices()), (vec!["BYE".to_owned()], vec![]));
}

#[test]
fn a_restarted_apid_still_has_the_call() {
    let (b, tag) = Bench::in_call();
    let text = serde_json::to_string(&b.agent.dialogs()).unwrap();
    let restart = || {
        let saved = Saved { dialogs: serde_json::from_str(&text).unwrap(), ..Saved::default() };
        let agent = agent(&settings(), saved);
        Bench { agent, now_ms: T0, txs: 0, done: vec![] }
    };
    let mut b = restart();
    assert_eq!(b.agent.live(), ["phone1"]);
    b.send(&in_dialog("OPTIONS", 11, &tag, ""), PHONE);
    assert_eq!(b.statuses(), [200]);
    b.send(&re_invite("INVITE", 12, &tag, SDP), PHONE);
    assert_eq!((b.statuses(), b.notices()), (vec![200], vec![]), "a refresh");
    b.send(&in_dialog("BYE", 13, &tag, ""), PHONE);
    assert_eq!((b.statuses(), b.notices()), (vec![200], vec![Notice::HangsUp]));

    let mut b = restart();
    b.act(|agent, out| agent.order_hang_up("phone1", Cause::NormalClearing, out));
    let (_, bye, to) = b.sent().remove(0);
    assert_eq!((bye.method.as_str(), bye.cseq(), to), ("BYE", Some(1), udp(PHONE)));
    assert_eq!(bye.headers.get("From"), Some(&*format!("<sip:600@tipring>;tag={tag}")));
}

#[test]
fn a_stranger_who_knows_the_tags_ends_nothing() {
    let (mut b, tag) = Bench::in_call();
    b.send(&in_dialog("BYE", 11, &tag, ""), "10.0.0.66:5060");
    assert_eq!((b.statuses(), b.agent.live()), (vec![481], vec!["phone1".to_owned()]));
    b.send(&in_dialog("BYE", 10, &tag, ""), PHONE);
    assert_eq!(b.statuses(), [500], "an old number");
}

#[test]
fn session_timers() {
    let timed = |refresher: &str| {
        invite("600", 10, SDP).replace(
            "Call-ID",
            &format!("Supported: timer\r\nSession-Expires: 180{refresher}\r\nCall-ID"),
        )
    };
    let accepted = |refresher: &str| {
        let mut b = Bench::new();
        let tx = b.send_proven(&timed(refresher));
        b.act(|agent, out| agent.order_accept("phone1", answer(), out).unwrap());
        let ok = b.response().clone();
        let tag = ok.to_tag().unwrap();
        let ack = Request::from_wire(in_dialog("ACK", 10, &tag, "").as_bytes()).unwrap();
        b.act(|agent, out| agent.handle_ack(tx, &ack, out));
        (b, tag, ok)
    };
    // The phone refreshes, once, then falls silent.
    let (mut b, tag, ok) = accepted("");
    assert_eq!(ok.headers.get("Session-Expires"), Some("180;refresher=uac"));
    assert_eq!(ok.headers.get("Require"), Some("timer"));
    assert_eq!(b.agent.next_time_ms(), Some(T0 + 148_000));
    b.now_ms = T0 + 90_000;
    let refresh = "Supported: timer\r\nSession-Expires: 180;refresher=uac\r\n";
    b.send(&in_dialog("UPDATE", 11, &tag, refresh), PHONE);
    assert_eq!(b.response().headers.get("Session-Expires"), Some("180;refresher=uac"));
    b.act(|agent, out| agent.handle_time(T0 + 237_999, out));
    assert_eq!(b.done, []);
    b.act(|agent, out| agent.handle_time(T0 + 238_000, out));
    assert_eq!((b.methods(), b.notices()), (vec!["BYE".to_owned()], vec![Notice::HangsUp]));

    // We refresh; at last the phone has lost the call.
    let (mut b, _, ok) = accepted(";refresher=uas");
    assert_eq!(ok.headers.get("Session-Expires"), Some("180;refresher=uas"));
    b.act(|agent, out| agent.handle_time(T0 + 90_000, out));
    let (tx, invite, _) = b.sent().remove(0);
    assert_eq!(invite.headers.get("Session-Expires"), Some("180;refresher=uac"));
    b.now_ms = T0 + 90_100;
    b.reply(tx, &from_phone(&invite, 200, SDP));
    assert_eq!((b.methods(), b.notices()), (vec!["ACK".to_owned()], vec![]));
    b.act(|agent, out| agent.handle_time(T0 + 180_100, out));
    let (tx, invite, _) = b.sent().remove(0);
    b.reply(tx, &invite.response(481, None));
    assert_eq!(b.notices(), [Notice::HangsUp]);
    assert!(b.agent.live().is_empty());
}

#[test]
fn hold_by_us() {
    let (mut b, tag) = Bench::in_call();
    b.act(|agent, out| agent.order_hold("phone1", true, out).unwrap());
    let (tx, invite, _) = b.sent().remove(0);
    assert!(String::from_utf8_lossy(&invite.body).contains("a=sendonly"));
    b.send(&re_invite("INVITE", 11, &tag, SDP), PHONE);
    assert_eq!(b.statuses(), [491], "glare");
    b.reply(tx, &from_phone(&invite, 200, &format!("{SDP}a=recvonly\r\n")));
    assert_eq!(b.methods(), ["ACK"]);
    b.act(|agent, out| agent.order_hold("phone1", true, out).unwrap());
    assert_eq!(b.done, [], "it is held already");
    b.act(|agent, out| agent.order_hold("phone1", false, out).unwrap());
    let (tx, invite, _) = b.sent().remove(0);
    b.reply(tx, &from_phone(&invite, 488, ""));
    assert_eq!((b.methods(), b.notices()), (vec![], vec![]));
}

#[test]
fn digits_and_flash_by_info() {
    let (mut b, tag) = Bench::in_call();
    let digit = |digit, duration_ms| Some(Notice::Digit { digit, duration_ms });
    for (i, (kind, body, status, notice)) in [
        ("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n", 200, digit('5', 160)),
        ("application/dtmf-relay", "Signal= *\r\n", 200, digit('*', 100)),
        ("application/dtmf-relay", "Signal=11\r\nDuration=x", 200, digit('#', 100)),
        ("application/dtmf", "d", 200, digit('D', 100)),
        ("application/hook-flash", "", 200, Some(Notice::Flash)),
        ("application/dtmf-relay", "Signal=16\r\n", 200, Some(Notice::Flash)),
        ("application/dtmf-relay", "Signal=hf\r\n", 200, Some(Notice::Flash)),
        ("application/dtmf-relay", "Signal=99\r\n", 400, None),
        ("application/dtmf-relay", "", 400, None),
        ("text/plain", "5", 415, None),
    ]
    .into_iter()
    .enumerate()
    {
        let cseq = 11 + i as u32;
        let text = in_dialog("INFO", cseq, &tag, &format!("Content-Type: {kind}\r\n")) + body;
        b.send(&text, PHONE);
        assert_eq!(b.statuses(), [status], "{body}");
        assert_eq!(b.notices(), notice.into_iter().collect::<Vec<_>>(), "{body}");
    }
    b.send(&in_dialog("INFO", 40, &tag, ""), PHONE);
    assert_eq!((b.statuses(), b.notices()), (vec![200], vec![]), "a keep-alive");
}

#[test]
fn a_fixed_phone_needs_no_digest() {
    let mut b = Bench::new();
    let text = invite("600", 1, SDP).replace("sip:phone1@tipring", "sip:IPCall@192.168.1.100");
    b.send(&text, FIXED);
    assert_eq!(b.statuses(), [100]);
    assert!(matches!(&b.done[1], Action::Tell { line, .. } if line == "fixed"));
    b.act(|agent, out| agent.order_hang_up("fixed", Cause::NormalClearing, out));
    let nobody = CallerIdView::default();
    b.act(|agent, out| agent.order_invite("fixed", &offer(), &nobody, T0, out).unwrap());
    let (_, invite, to) = b.sent().remove(0);
    assert_eq!((invite.uri.as_str(), to), ("sip:ata@192.168.1.100:5060", udp(FIXED)));
    b.send(&text, "192.168.1.101:5060");
    assert_eq!(b.statuses(), [401], "another address");
}

#[test]
fn a_fixed_phones_challenge_is_answered_once() {
    let mut settings = settings();
    let AccountKind::Fixed { credentials, .. } = &mut settings.accounts[2].kind else { panic!() };
    *credentials = Some(("admin".into(), "pw".into()));
    let agent = agent(&settings, Saved::default());
    let mut b = Bench { agent, now_ms: T0, txs: 0, done: vec![] };
    let nobody = CallerIdView::default();
    b.act(|agent, out| agent.order_invite("fixed", &offer(), &nobody, T0, out).unwrap());
    let (tx, invite, _) = b.sent().remove(0);
    let challenge = "Digest realm=\"ata\",nonce=\"n\",qop=\"auth\",algorithm=MD5";
    b.reply(tx, &invite.response(407, Some("t")).with("Proxy-Authenticate", challenge));
    let (tx, again, _) = b.sent().remove(0);
    assert!(again.headers.get("Proxy-Authorization").unwrap().contains("username=\"admin\""));
    assert_eq!(again.cseq(), Some(invite.cseq().unwrap() + 1));
    b.reply(tx, &again.response(407, Some("t")).with("Proxy-Authenticate", challenge));
    assert_eq!(b.notices(), [Notice::Refuses(407)]);
    // And it has to prove itself too.
    b.send(&self::invite("600", 1, SDP), FIXED);
    assert_eq!(b.statuses(), [401]);
}
