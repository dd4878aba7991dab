//! Trunks, as the provider sees them.

use super::*;
use crate::sip::trunk::{Server, TrunkSettings};
use crate::view::TrunkState;

const FIRST: &str = "203.0.113.1:5060";
const SECOND: &str = "203.0.113.2:5060";
const CHALLENGE: &str = "Digest realm=\"p\",nonce=\"n\",qop=\"auth\",algorithm=MD5";

fn trunk() -> TrunkSettings {
    TrunkSettings {
        name: "out".into(),
        lines: vec!["out-1".into(), "out-2".into()],
        domain: Server { host: "provider.example".into(), port: None },
        proxy: None,
        transport: Transport::Udp,
        user: "4930".into(),
        login: "login".into(),
        password: Some("secret".into()),
        expires_s: Some(600),
        rings: "101".into(),
        number: Some("+4930".into()),
        sources: vec!["198.51.100.0/24".parse().unwrap()],
        encryption: Encryption::default(),
        trace: false,
    }
}

fn bench(trunk: TrunkSettings) -> Bench {
    let mut settings = settings();
    settings.trunks = vec![trunk];
    Bench { agent: agent(&settings, Saved::default()), now_ms: T0, txs: 0, done: vec![] }
}

/// Time, then the servers are known.
fn looked_up(b: &mut Bench, servers: &[&str]) {
    let now_ms = b.now_ms;
    b.act(|agent, out| agent.handle_time(now_ms, out));
    assert!(
        matches!(&b.done[..], [Action::LookUp { trunk, .. }] if trunk == "out"),
        "{:?}",
        b.done
    );
    let found = servers.iter().map(|server| server.parse().unwrap()).collect();
    b.act(|agent, out| agent.handle_addresses("out", Ok(found), now_ms, out));
}

fn granted(register: &Request) -> Response {
    let contact = register.headers.get("Contact").unwrap();
    let other = "<sip:desk@192.0.2.7>;expires=9";
    register.response(200, Some("p")).with("Contact", other).with("Contact", contact)
}

/// Registered at the first server; gives our Contact's user there.
fn registered(trunk: TrunkSettings) -> (Bench, String) {
    let mut b = bench(trunk);
    looked_up(&mut b, &[FIRST, SECOND]);
    let (tx, first, to) = b.sent().remove(0);
    assert_eq!((first.uri.as_str(), to), ("sip:provider.example", udp(FIRST)));
    b.reply(tx, &first.response(401, Some("p")).with("WWW-Authenticate", CHALLENGE));
    let (tx, second, _) = b.sent().remove(0);
    let proof = second.headers.get("Authorization").unwrap();
    assert!(proof.contains("username=\"login\"") && proof.contains("uri=\"sip:provider.example\""));
    assert_eq!(second.cseq(), Some(first.cseq().unwrap() + 1));
    assert_eq!(second.call_id(), first.call_id());
    b.reply(tx, &granted(&second));
    let up = |notice: &Notice| {
        matches!(notice, Notice::Registration(RegistrationChange::Registered { .. }))
    };
    assert!(b.notices().len() == 2 && b.notices().iter().all(up), "one a line: {:?}", b.done);
    let contact = second.headers.get("Contact").unwrap();
    let user = contact.split(['@', ':']).nth(1).unwrap().to_owned();
    assert!(user.len() == 16 && !contact.contains("4930"), "{contact}");
    (b, user)
}

fn state(b: &Bench) -> TrunkState {
    b.agent.trunk_views()[0].state
}

fn from_provider(user: &str) -> String {
    invite(user, 10, SDP).replace("<sip:phone1@tipring>", "\"Anna\" <sip:4940@provider.example>")
}

#[test]
fn a_registration_is_renewed_with_the_nonce_that_is_known() {
    let (mut b, _) = registered(trunk());
    assert_eq!(state(&b), TrunkState::Registered);
    b.now_ms = T0 + 300_000;
    let now_ms = b.now_ms;
    b.act(|agent, out| agent.handle_time(now_ms, out));
    let register = b.sent().into_iter().find(|(_, request, _)| request.method == "REGISTER");
    let (tx, register, _) = register.unwrap();
    let proof = register.headers.get("Authorization").unwrap();
    assert!(proof.contains("nc=00000002"), "{proof}");
    b.reply(tx, &granted(&register));
    assert_eq!(b.notices(), [], "nothing new");
    b.act(|agent, out| agent.order_leave(now_ms, out));
    let (tx, last, _) = b.sent().remove(0);
    assert_eq!(last.headers.get("Expires"), Some("0"));
    b.reply(tx, &last.response(200, Some("p")));
    assert!(b.agent.has_left() && b.notices().len() == 2);
}

#[test]
fn the_way_is_kept_open_and_silence_is_looked_into_once() {
    let (mut b, _) = registered(trunk());
    let quiet = |b: &mut Bench| {
        b.now_ms += 25_000;
        let now_ms = b.now_ms;
        b.act(|agent, out| agent.handle_time(now_ms, out));
        let (tx, options, to) = b.sent().remove(0);
        assert_eq!((options.method.as_str(), to), ("OPTIONS", udp(FIRST)));
        b.reply(tx, &options.response(408, None));
    };
    quiet(&mut b);
    let (tx, register, to) = b.sent().remove(0);
    assert_eq!((register.method.as_str(), to), ("REGISTER", udp(FIRST)));
    b.reply(tx, &register.response(408, None));
    let (tx, register, to) = b.sent().remove(0);
    assert_eq!(to, udp(SECOND), "the other server");
    b.reply(tx, &granted(&register));
    assert_eq!(b.notices(), []);
    assert_eq!(b.agent.trunk_views()[0].server.as_deref(), Some("udp:203.0.113.2:5060"));

    let (mut b, _) = registered(trunk());
    quiet(&mut b);
    let (tx, register, _) = b.sent().remove(0);
    b.reply(tx, &granted(&register));
    quiet(&mut b);
    assert_eq!(b.methods(), [""; 0], "it registers, and never answers OPTIONS");
}

#[test]
fn a_refusal_is_told_with_its_status() {
    let mut b = bench(trunk());
    looked_up(&mut b, &[FIRST]);
    let (tx, register, _) = b.sent().remove(0);
    b.reply(tx, &register.response(403, Some("p")));
    let notices = b.notices();
    let [Notice::Registration(RegistrationChange::OursFailed { reason })] = &notices[..] else {
        panic!("{notices:?}")
    };
    assert!(reason.contains("403 forbidden") && !reason.contains("secret"), "{reason}");
    let view = b.agent.trunk_views().remove(0);
    assert_eq!((view.state, view.reason.as_deref()), (TrunkState::Failed, Some("403 forbidden")));
    assert!(view.next_attempt_at.is_some() && view.expires_at.is_none());
    let call = b.agent.order_call_out("out-1", "4940", &offer(), &mut Actions::default());
    assert_eq!(call, Err(SignallingError::NotRegistered));
}

#[test]
fn a_call_goes_out_with_our_credentials_and_to_the_next_server() {
    let (mut b, user) = registered(trunk());
    b.act(|agent, out| agent.order_call_out("out-1", "+4940", &offer(), out).unwrap());
    let (tx, first, to) = b.sent().remove(0);
    assert_eq!((first.uri.as_str(), to), ("sip:+4940@provider.example", udp(FIRST)));
    let header = |name: &str| first.headers.get(name).unwrap();
    assert!(header("From").starts_with("<sip:4930@provider.example>;tag="));
    assert_eq!(header("P-Preferred-Identity"), "<sip:+4930@provider.example>");
    assert!(header("Contact").contains(&user));
    b.reply(tx, &first.response(407, Some("p")).with("Proxy-Authenticate", CHALLENGE));
    let (tx, proven, _) = b.sent().remove(0);
    assert!(proven.headers.get("Proxy-Authorization").unwrap().contains("nc=00000001"));
    b.reply(tx, &proven.response(503, Some("p")));
    let (tx, other, to) = b.sent().remove(0);
    assert_eq!((to, other.call_id()), (udp(SECOND), first.call_id()));
    assert_ne!(other.headers.get("Via"), proven.headers.get("Via"));
    b.reply(tx, &other.response(503, Some("p")));
    assert_eq!(b.methods(), [""; 0], "both were asked");
    assert!(matches!(b.notices()[..], [Notice::Refuses(_)]));
    // Its answer makes the call; a REFER in it would be a stranger's call at our cost.
    b.act(|agent, out| agent.order_call_out("out-1", "4940", &offer(), out).unwrap());
    let (tx, invite, _) = b.sent().remove(0);
    let mut ok = invite.response(200, Some("theirs"));
    ok.headers.push("Contact", format!("<sip:4940@{FIRST}>"));
    ok.body = SDP.as_bytes().to_vec();
    b.reply(tx, &ok);
    assert_eq!(b.methods(), ["ACK"]);
    let (from, to) = (invite.headers.get("From").unwrap(), ok.headers.get("To").unwrap());
    let refer = format!(
        "REFER sip:{user}@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {FIRST};branch=z9hG4bKx\r\n\
         From: {to}\r\nTo: {from}\r\nCall-ID: {}\r\nCSeq: 5 REFER\r\n\
         Refer-To: <sip:0900@provider.example>\r\nContact: <sip:4940@{FIRST}>\r\n\r\n",
        invite.call_id()
    );
    b.send(&refer, FIRST);
    assert_eq!((b.statuses(), b.notices()), (vec![403], vec![]));
}

#[test]
fn calls_come_from_the_provider_to_our_contact_and_ring_one_number() {
    let (mut b, user) = registered(trunk());
    b.send(&from_provider(&user), FIRST);
    assert_eq!(b.statuses(), [100]);
    let notices = b.notices();
    let [Notice::Invites { to, caller: Some(caller), .. }] = &notices[..] else {
        panic!("{notices:?}")
    };
    assert_eq!(
        (to.as_str(), caller.number.as_str(), caller.name.as_str()),
        ("101", "4940", "Anna")
    );
    // The second one has a line too, by another address of the provider's; then there is none.
    let another = |n: u8| {
        let text = from_provider(&user).replace("Call-ID: c1", &format!("Call-ID: c{n}"));
        text.replace("z9hG4bKi10", &format!("z9hG4bKi{n}"))
    };
    b.send(&another(2), "198.51.100.9:5060");
    assert!(b.done.iter().any(|a| matches!(a, Action::Tell { line, .. } if line == "out-2")));
    b.send(&another(3), FIRST);
    assert_eq!((b.statuses(), b.notices()), (vec![486], vec![]));
}

#[test]
fn nobody_else_comes_in_by_a_trunk() {
    let (mut b, user) = registered(trunk());
    b.send(&from_provider(&user), "192.0.2.66:5060");
    assert_eq!((b.statuses(), b.notices()), (vec![401], vec![]), "not the provider's address");
    // From there, but not to the Contact that the registrar has: as an account of ours, by the
    // trunk's line, to a number.
    for (called, from) in [("600", "phone1"), ("out-1", "out-1"), ("4930", "4930")] {
        let text = invite(called, 10, SDP).replace("phone1@tipring", &format!("{from}@tipring"));
        b.send(&text, FIRST);
        assert_eq!((b.statuses(), b.notices()), (vec![401], vec![]), "{called} {from}");
    }
    // A trunk's line is no account: it cannot register, whatever it proves.
    b.send(&register("out-1", 1), PHONE);
    let challenge = b.response().headers.get("WWW-Authenticate").unwrap().to_owned();
    let proof = digest::answer(&[&challenge], "out-1", "secret", "REGISTER", "sip:tipring", "c", 1)
        .unwrap();
    let text = register("out-1", 2);
    b.send(&text.replace("Call-ID", &format!("Authorization: {proof}\r\nCall-ID")), PHONE);
    assert_eq!(b.statuses(), [401]);
}

#[test]
fn one_without_a_registration_is_known_by_its_addresses() {
    let mut b = bench(TrunkSettings { expires_s: None, ..trunk() });
    looked_up(&mut b, &[FIRST]);
    assert_eq!((b.methods(), state(&b)), (vec![], TrunkState::Reachable));
    b.send(&from_provider("4930"), FIRST);
    assert_eq!(b.statuses(), [100]);
    b.send(&from_provider("4930").replace("Call-ID: c1", "Call-ID: c2"), SECOND);
    assert_eq!(b.statuses(), [401]);
}
