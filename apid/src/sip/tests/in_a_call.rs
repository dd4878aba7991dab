//! What happens in mid-call, and across a restart.

use super::*;

fn hung_up() -> Notice {
    Notice::HangsUp(Cause::NormalClearing)
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
fn a_restarted_apid_still_has_the_call() {
    let (b, tag) = Bench::in_call();
    let text = serde_json::to_string(&b.agent.calls_to_save()).unwrap();
    let restart = || {
        let saved = Saved { calls: serde_json::from_str(&text).unwrap(), ..Saved::default() };
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
    assert_eq!((b.statuses(), b.notices()), (vec![200], vec![hung_up()]));

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
    assert_eq!((b.statuses(), b.agent.live()), (vec![401], vec!["phone1".to_owned()]));
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
    assert_eq!(
        (b.methods(), b.notices()),
        (vec!["BYE".to_owned()], vec![Notice::HangsUp(Cause::RecoveryOnTimer)])
    );

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
    assert_eq!(b.notices(), [Notice::HangsUp(Cause::DestinationOutOfOrder)]);
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
fn a_phone_that_lost_its_power_loses_its_call() {
    // It comes back at another port, or calls as if nothing had been.
    let moved = register("phone1", 1).replace(&format!("@{PHONE}>;exp"), "@10.0.0.5:6000>;exp");
    let again = invite("600", 1, SDP).replace("Call-ID: c1", "Call-ID: c9");
    for text in [moved, again] {
        let (mut b, _) = Bench::in_call();
        b.send_proven(&text);
        let (tx, invite, to) = b.sent().remove(0);
        assert_eq!((invite.method.as_str(), invite.call_id(), to), ("INVITE", "c1", udp(PHONE)));
        b.reply(tx, &invite.response(481, None));
        assert!(
            b.notices().contains(&Notice::HangsUp(Cause::DestinationOutOfOrder))
                && b.agent.live().is_empty()
        );
    }
    // One that is still in its call stays there.
    let (mut b, _) = Bench::in_call();
    b.send_proven(&invite("600", 1, SDP).replace("Call-ID: c1", "Call-ID: c9"));
    let (tx, invite, _) = b.sent().remove(0);
    b.reply(tx, &from_phone(&invite, 200, SDP));
    assert_eq!((b.methods(), b.notices()), (vec!["ACK".to_owned()], vec![]));
    assert_eq!(b.agent.live(), ["phone1"]);
}

#[test]
fn hold_in_three_shapes_by_re_invite_and_update() {
    for (shape, wants, sends, ours) in [
        (format!("{SDP}a=sendonly\r\n"), false, true, "a=recvonly"),
        (format!("{SDP}a=inactive\r\n"), false, false, "a=inactive"),
        (SDP.replace("c=IN IP4 10.0.0.5", "c=IN IP4 0.0.0.0"), false, true, "a=recvonly"),
    ] {
        for method in ["INVITE", "UPDATE"] {
            let (mut b, tag) = Bench::in_call();
            b.send(&re_invite(method, 11, &tag, &shape), PHONE);
            let [Notice::MediaChanges(media)] = &b.notices()[..] else { panic!("{:?}", b.done) };
            assert_eq!((media.wants_audio, media.sends_audio), (wants, sends), "{shape}");
            b.act(|agent, out| agent.order_media("phone1", Some(answer()), out));
            assert!(text_of(b.response()).contains(ours), "{method} {shape}");
        }
    }
}

#[test]
fn a_re_invite_without_an_offer_is_answered_with_ours() {
    let (mut b, tag) = Bench::in_call();
    let tx = b.send(&in_dialog("INVITE", 11, &tag, ""), PHONE);
    assert_eq!(b.statuses(), [200]);
    assert!(text_of(b.response()).contains("m=audio 10000 "));
    let held = format!("{SDP}a=sendonly\r\n");
    let ack = Request::from_wire(re_invite("ACK", 11, &tag, &held).as_bytes()).unwrap();
    b.act(|agent, out| agent.handle_ack(tx, &ack, out));
    assert!(matches!(&b.notices()[..], [Notice::MediaSettled(media)] if !media.wants_audio));
    // Without an answer to it what was agreed before still holds.
    let tx = b.send(&in_dialog("INVITE", 12, &tag, ""), PHONE);
    let ack = Request::from_wire(in_dialog("ACK", 12, &tag, "").as_bytes()).unwrap();
    b.act(|agent, out| agent.handle_ack(tx, &ack, out));
    assert_eq!((b.notices(), b.agent.live()), (vec![], vec!["phone1".to_owned()]));
}

#[test]
fn why_the_phone_hung_up() {
    let (mut b, tag) = Bench::in_call();
    b.send(&in_dialog("BYE", 11, &tag, "Reason: Q.850;cause=38\r\n"), PHONE);
    assert_eq!(b.notices(), [Notice::HangsUp(Cause::NetworkOutOfOrder)]);
}

const ELSEWHERE: &str = "172.16.0.9:5099";

#[test]
fn a_phone_that_moved_proves_itself_and_goes_on() {
    let (mut b, tag) = Bench::in_call();
    let change = re_invite("INVITE", 11, &tag, SDP).replace(
        &format!("Contact: <sip:phone1@{PHONE}>"),
        &format!("Contact: <sip:phone1@{ELSEWHERE}>"),
    );
    b.send(&change, ELSEWHERE);
    let challenge = b.response().headers.get("WWW-Authenticate").unwrap().to_owned();
    let uri = "sip:600@10.0.0.1";
    let proof = digest::answer(&[&challenge], "phone1", "secret", "INVITE", uri, "c", 1).unwrap();
    let proven = change.replace("Call-ID", &format!("Authorization: {proof}\r\nCall-ID"));
    b.send(&proven, ELSEWHERE);
    assert_eq!(b.statuses(), [200]);
    b.send(&in_dialog("OPTIONS", 12, &tag, ""), ELSEWHERE);
    assert_eq!(b.statuses(), [200], "it is known there now");
    let ack = Request::from_wire(in_dialog("ACK", 11, &tag, "").as_bytes()).unwrap();
    let tx = TxId(b.txs - 1);
    b.act(|agent, out| agent.handle_ack(tx, &ack, out));
    b.act(|agent, out| agent.order_hang_up("phone1", Cause::NormalClearing, out));
    assert_eq!(b.sent()[0].2, udp(ELSEWHERE));
}

#[test]
fn a_phone_that_was_heard_elsewhere_is_not_given_up() {
    let (mut b, tag) = Bench::in_call();
    b.act(|agent, out| agent.order_hold("phone1", true, out).unwrap());
    let (tx, invite, _) = b.sent().remove(0);
    b.send(&in_dialog("OPTIONS", 11, &tag, ""), PHONE);
    b.reply(tx, &invite.response(408, None));
    assert_eq!((b.notices(), b.agent.live()), (vec![], vec!["phone1".to_owned()]));
}
