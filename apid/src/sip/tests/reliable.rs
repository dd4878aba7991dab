//! Provisional responses that must arrive (RFC 3262), refreshes and crossings (RFC 4028, RFC 3261
//! §14.1).

use super::*;

fn wants_reliable() -> String {
    invite("600", 10, SDP).replace("Call-ID", "Require: 100rel\r\nCall-ID")
}

fn prack(tag: &str, rack: &str) -> String {
    in_dialog("PRACK", 11, tag, &format!("RAck: {rack}\r\n"))
}

#[test]
fn our_ringing_is_repeated_until_the_phone_has_it() {
    let mut b = Bench::new();
    b.send_proven(&wants_reliable());
    b.act(|agent, out| agent.order_progress("phone1", T0, out));
    let ringing = b.response().clone();
    assert_eq!((ringing.status, ringing.headers.get("Require")), (180, Some("100rel")));
    let (tag, rseq) = (ringing.to_tag().unwrap(), ringing.headers.get("RSeq").unwrap().to_owned());
    let mut repeated = Vec::new();
    for ms in (0..4000).step_by(100) {
        b.act(|agent, out| agent.handle_time(T0 + ms, out));
        if !b.done.is_empty() {
            assert_eq!(b.response(), &ringing);
            repeated.push(ms);
        }
    }
    assert_eq!(repeated, [500, 1500, 3500]);
    b.send(&prack(&tag, "1 99 INVITE"), PHONE);
    assert_eq!(b.statuses(), [481]);
    b.send(&prack(&tag, &format!("{rseq} 10 INVITE")).replace(" 11 ", " 12 "), PHONE);
    assert_eq!(b.statuses(), [200]);
    b.act(|agent, out| agent.handle_time(T0 + 30_000, out));
    assert_eq!(b.done, []);
    b.act(|agent, out| agent.order_accept("phone1", answer(), out).unwrap());
    assert_eq!(b.statuses(), [200]);
}

#[test]
fn a_phone_that_never_acknowledges_our_ringing_is_given_up() {
    let mut b = Bench::new();
    b.send_proven(&wants_reliable());
    b.act(|agent, out| agent.order_progress("phone1", T0, out));
    for ms in [500, 1500, 3500, 7500, 15_500, 31_500] {
        b.act(|agent, out| agent.handle_time(T0 + ms, out));
        assert_eq!(b.statuses(), [180], "{ms}");
    }
    b.act(|agent, out| agent.handle_time(T0 + 32_000, out));
    assert_eq!((b.statuses(), b.notices()), (vec![504], vec![Notice::Cancels]));
}

#[test]
fn a_phones_ringing_is_acknowledged_once_and_in_order() {
    let (mut b, tx, invite) = Bench::ringing();
    let ringing = |rseq: u32, tag: &str| {
        let mut response = invite.response(180, Some(tag));
        response.headers.push("Contact", format!("<sip:phone1@{PHONE}>"));
        response.headers.push("Require", "100rel");
        response.headers.push("RSeq", rseq.to_string());
        response
    };
    let cseq = invite.cseq().unwrap();
    b.reply(tx, &ringing(7, "theirs"));
    let (prack_tx, prack, _) = b.sent().remove(0);
    assert_eq!((prack.method.as_str(), prack.cseq()), ("PRACK", Some(cseq + 1)));
    assert_eq!(prack.headers.get("RAck"), Some(&*format!("7 {cseq} INVITE")));
    b.reply(prack_tx, &prack.response(200, None));
    for (rseq, sent) in [(7, 0), (9, 0), (8, 1), (7, 0)] {
        b.reply(tx, &ringing(rseq, "theirs"));
        assert_eq!(b.sent().len(), sent, "{rseq}");
    }
    // Another phone behind a fork has numbers of its own.
    b.reply(tx, &ringing(100, "other"));
    assert_eq!(b.sent()[0].1.headers.get("CSeq"), Some(&*format!("{} PRACK", cseq + 1)));
    // The numbers go on after the answer.
    b.reply(tx, &from_phone(&invite, 200, SDP));
    b.act(|agent, out| agent.order_hang_up("phone1", Cause::NormalClearing, out));
    assert_eq!(b.sent()[0].1.cseq(), Some(cseq + 3));
}

#[test]
fn a_second_answer_behind_a_fork_is_hung_up() {
    let (mut b, tx, invite) = Bench::ringing();
    b.reply(tx, &from_phone(&invite, 200, SDP));
    let mut second = invite.response(200, Some("second"));
    second.headers.push("Contact", "<sip:phone1@10.0.0.9>");
    b.act(|agent, out| agent.handle_stray_ok(&second, udp("10.0.0.9:5060"), out));
    assert_eq!(b.methods(), ["ACK", "BYE"]);
    assert_eq!(b.agent.live(), ["phone1"]);
}

/// A call to phone1 that grants a session timer; gives our INVITE.
fn answered(session_expires: &str, allow: &str) -> (Bench, Request) {
    let (mut b, tx, invite) = Bench::ringing();
    assert_eq!(invite.headers.get("Session-Expires"), Some("1800"));
    let mut ok = from_phone(&invite, 200, SDP);
    ok.headers.push("Session-Expires", session_expires);
    ok.headers.push("Allow", allow);
    b.reply(tx, &ok);
    (b, invite)
}

#[test]
fn an_hour_with_timers_of_ninety_seconds() {
    for (allow, method) in [("INVITE, BYE", "INVITE"), ("INVITE, UPDATE", "UPDATE")] {
        let (mut b, _) = answered("90;refresher=uac", allow);
        let mut refreshed = 0;
        while b.now_ms < T0 + 3_600_000 {
            b.now_ms = b.agent.next_time_ms().unwrap();
            let now_ms = b.now_ms;
            b.act(|agent, out| agent.handle_time(now_ms, out));
            for (tx, request, _) in b.sent() {
                assert_eq!(request.method, method);
                assert_eq!(request.headers.get("Session-Expires"), Some("90;refresher=uac"));
                let body = if method == "INVITE" { SDP } else { "" };
                let mut ok = from_phone(&request, 200, body);
                ok.headers.push("Session-Expires", "90;refresher=uac");
                b.reply(tx, &ok);
                refreshed += 1;
            }
            assert!(!b.notices().iter().any(|n| matches!(n, Notice::HangsUp(_))), "{:?}", b.done);
        }
        assert!(refreshed >= 3600 / 45, "{refreshed}");
        assert_eq!(b.agent.live(), ["phone1"]);
    }
    // The called phone refreshes, and stops.
    let (mut b, _) = answered("90;refresher=uas", "INVITE");
    b.act(|agent, out| agent.handle_time(T0 + 60_000, out));
    assert_eq!(b.methods(), ["BYE"]);
    assert!(b.notices().contains(&Notice::HangsUp(Cause::RecoveryOnTimer)));
}

#[test]
fn an_update_that_the_phone_does_not_take_becomes_a_re_invite() {
    let (mut b, _) = answered("90;refresher=uac", "UPDATE");
    b.act(|agent, out| agent.handle_time(T0 + 45_000, out));
    let (tx, update, _) = b.sent().remove(0);
    b.reply(tx, &update.response(405, None));
    assert_eq!(b.methods(), ["INVITE"]);
}

#[test]
fn an_interval_too_short_for_the_phone_is_asked_for_again() {
    let (mut b, tx, invite) = Bench::ringing();
    b.reply(tx, &invite.response(422, Some("x")).with("Min-SE", "3000"));
    let (tx, again, _) = b.sent().remove(0);
    assert_eq!(again.headers.get("Session-Expires"), Some("3000"));
    assert_eq!(again.headers.get("Min-SE"), Some("3000"));
    assert_eq!(again.cseq(), invite.cseq().map(|n| n + 1));
    b.reply(tx, &again.response(422, Some("x")).with("Min-SE", "4000"));
    assert_eq!(b.methods(), [""; 0], "once is enough");
    assert!(matches!(b.notices()[..], [Notice::Refuses(_)]));
}

#[test]
fn changes_that_cross_are_tried_again_later() {
    let (mut b, _) = Bench::in_call();
    b.act(|agent, out| agent.order_hold("phone1", true, out).unwrap());
    let (tx, invite, _) = b.sent().remove(0);
    b.reply(tx, &invite.response(491, None));
    let at_ms = b.agent.next_time_ms().unwrap();
    assert!((T0..=T0 + 2000).contains(&at_ms), "the phone made the Call-ID: {}", at_ms - T0);
    b.act(|agent, out| agent.handle_time(at_ms, out));
    let (_, again, _) = b.sent().remove(0);
    assert!(String::from_utf8_lossy(&again.body).contains("a=sendonly"));

    let (mut b, _) = answered("1800;refresher=uas", "");
    b.act(|agent, out| agent.order_hold("phone1", true, out).unwrap());
    let (tx, invite, _) = b.sent().remove(0);
    b.reply(tx, &invite.response(491, None));
    let at_ms = b.agent.next_time_ms().unwrap();
    assert!((T0 + 2100..=T0 + 4000).contains(&at_ms), "we made it: {}", at_ms - T0);
}
