//! We call the phone.

use super::*;

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
    b.act(|agent, out| {
        agent.order_invite("phone1", &offer(), &caller, &[2000, 4000], T0, out).unwrap();
    });
    let invite = b.sent().remove(0).1;
    let from = invite.headers.get("From").unwrap();
    assert!(from.starts_with(r#""A \"B\"Evil: 1" <sip:+1%20555@10.0.0.1:5060>;tag="#), "{from}");
}

#[test]
fn a_busy_phone_and_one_that_is_away() {
    let (mut b, tx, invite) = Bench::ringing();
    b.reply(tx, &from_phone(&invite, 486, ""));
    assert_eq!((b.notices(), b.methods()), (vec![Notice::Refuses(Cause::UserBusy)], vec![]));
    let mut refused = None;
    let nobody = CallerIdView::default();
    b.act(|agent, out| {
        refused = agent.order_invite("phone2", &offer(), &nobody, &[2000, 4000], T0, out).err();
    });
    assert_eq!(refused, Some(SignallingError::NotRegistered));
    // A phone's challenge is nothing we answer: it could be anybody's.
    b.act(|agent, out| {
        agent.order_invite("phone1", &offer(), &nobody, &[2000, 4000], T0, out).unwrap();
    });
    let (tx, invite, _) = b.sent().remove(0);
    let challenge = from_phone(&invite, 401, "")
        .with("WWW-Authenticate", "Digest realm=\"tipring\",nonce=\"1\",qop=\"auth\"");
    b.reply(tx, &challenge);
    assert_eq!(b.notices(), [Notice::Refuses(Cause::CallRejected)]);
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
    assert_eq!(b.done, [Action::SaveDialogs]);
}

#[test]
fn an_answer_that_crosses_our_cancel_is_hung_up() {
    let (mut b, tx, invite) = Bench::ringing();
    b.reply(tx, &from_phone(&invite, 180, ""));
    b.act(|agent, out| agent.order_hang_up("phone1", Cause::NormalClearing, out));
    assert_eq!(b.methods(), ["CANCEL"]);
    // The account is free meanwhile.
    let nobody = CallerIdView::default();
    b.act(|agent, out| {
        agent.order_invite("phone1", &offer(), &nobody, &[2000, 4000], T0, out).unwrap();
    });
    b.reply(tx, &from_phone(&invite, 200, SDP));
    assert_eq!((b.methods(), b.notices()), (vec!["ACK".to_owned(), "BYE".to_owned()], vec![]));
}

#[test]
fn an_answer_without_usable_media_is_hung_up() {
    let (mut b, tx, invite) = Bench::ringing();
    b.reply(tx, &from_phone(&invite, 200, ""));
    assert_eq!(b.methods(), ["ACK", "BYE"]);
    assert_eq!(b.notices(), [Notice::Refuses(Cause::BearerCapability)]);
}

#[test]
fn a_fixed_phone_needs_no_digest() {
    let mut b = Bench::new();
    let text = invite("600", 1, SDP).replace("sip:phone1@tipring", "sip:IPCall@192.168.1.100");
    b.send(&text, FIXED);
    assert_eq!(b.statuses(), [100]);
    assert!(b.done.iter().any(|a| matches!(a, Action::Tell { line, .. } if line == "fixed")));
    b.act(|agent, out| agent.order_hang_up("fixed", Cause::NormalClearing, out));
    let nobody = CallerIdView::default();
    b.act(|agent, out| {
        agent.order_invite("fixed", &offer(), &nobody, &[2000, 4000], T0, out).unwrap();
    });
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
    b.act(|agent, out| {
        agent.order_invite("fixed", &offer(), &nobody, &[2000, 4000], T0, out).unwrap();
    });
    let (tx, invite, _) = b.sent().remove(0);
    let challenge = "Digest realm=\"ata\",nonce=\"n\",qop=\"auth\",algorithm=MD5";
    b.reply(tx, &invite.response(407, Some("t")).with("Proxy-Authenticate", challenge));
    let (tx, again, _) = b.sent().remove(0);
    assert!(again.headers.get("Proxy-Authorization").unwrap().contains("username=\"admin\""));
    assert_eq!(again.cseq(), Some(invite.cseq().unwrap() + 1));
    b.reply(tx, &again.response(407, Some("t")).with("Proxy-Authenticate", challenge));
    assert_eq!(b.notices(), [Notice::Refuses(Cause::CallRejected)]);
    // And it has to prove itself too.
    b.send(&self::invite("600", 1, SDP), FIXED);
    assert_eq!(b.statuses(), [401]);
}

#[test]
fn what_an_earlier_apid_left_ringing_is_taken_back() {
    let (mut b, tx, invite) = Bench::ringing();
    assert!(b.done.contains(&Action::SaveDialogs));
    b.reply(tx, &from_phone(&invite, 180, ""));
    let restart = |b: &Bench| {
        let text = serde_json::to_string(&b.agent.calls_to_save()).unwrap();
        let calls = serde_json::from_str(&text).unwrap();
        let agent = agent(&settings(), Saved { calls, ..Saved::default() });
        Bench { agent, now_ms: T0, txs: 0, done: vec![] }
    };
    let mut next = restart(&b);
    next.act(Agent::handle_start);
    let (_, cancel, to) = next.sent().remove(0);
    assert_eq!((cancel.method.as_str(), to), ("CANCEL", udp(PHONE)));
    assert_eq!(cancel.headers.get("Via"), invite.headers.get("Via"));
    let mut third = restart(&next);
    third.act(Agent::handle_start);
    assert_eq!(third.methods(), [""; 0], "once");
    // It was lifted all the same.
    let answer = from_phone(&invite, 200, SDP);
    next.act(|agent, out| agent.handle_stray_ok(&answer, udp(PHONE), out));
    assert_eq!((next.methods(), next.notices()), (vec!["ACK".into(), "BYE".into()], vec![]));
    let foreign = Response { headers: Headers::default(), ..answer };
    next.act(|agent, out| agent.handle_stray_ok(&foreign, udp(PHONE), out));
    assert_eq!(next.done, []);
}
