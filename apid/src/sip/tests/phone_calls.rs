//! The phone calls.

use super::*;

#[test]
fn a_phone_calls_a_number_and_hangs_up() {
    let mut b = Bench::new();
    let tx = b.send_proven(&invite("600", 10, SDP));
    assert_eq!(b.statuses(), [100]);
    let [Notice::Invites { to, media, caller: None }] = &b.notices()[..] else {
        panic!("{:?}", b.done)
    };
    assert_eq!((to.as_str(), media.telephone_event), ("600", Some(101)));
    assert_eq!(media.remote, Some("10.0.0.5:5004".parse().unwrap()));
    b.act(|agent, out| agent.order_progress("phone1", T0, out));
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
    assert_eq!(
        (b.statuses(), b.notices()),
        (vec![200], vec![Notice::HangsUp(Cause::NormalClearing)])
    );
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
    let mut b = Bench::registered();
    let ok = in_dialog("OPTIONS", 1, "x", "").replace(";tag=x", "");
    for (text, status, header) in [
        (ok.clone(), 200, "Allow"),
        (ok.replace("OPTIONS", "MESSAGE"), 405, "Allow"),
        (ok.replace("sip:600@10.0.0.1", "http:600"), 416, ""),
        (ok.replace("Call-ID", "Max-Forwards: 0\r\nCall-ID"), 483, ""),
        (ok.replace("Call-ID", "Require: gruu, timer\r\nCall-ID"), 420, "Unsupported"),
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
    assert_eq!(
        (b.methods(), b.notices()),
        (vec!["BYE".to_owned()], vec![Notice::HangsUp(Cause::NoUserResponding)])
    );

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
fn what_an_earlier_apid_left_waiting_is_refused() {
    let mut b = Bench::new();
    b.send_proven(&invite("101", 10, SDP));
    assert!(b.done.contains(&Action::SaveDialogs));
    b.act(|agent, out| agent.order_progress("phone1", T0, out));
    let tag = b.response().to_tag();
    let text = serde_json::to_string(&b.agent.calls_to_save()).unwrap();
    let calls = serde_json::from_str(&text).unwrap();
    let mut next = agent(&settings(), Saved { calls, ..Saved::default() });
    let mut out = Actions::default();
    next.handle_start(&mut out);
    let done: Vec<_> = out.drain().collect();
    let [Action::RespondLate { response, to }, Action::SaveDialogs] = &done[..] else {
        panic!("{done:?}")
    };
    assert_eq!((response.status, response.to_tag(), *to), (503, tag, udp(PHONE)));
    assert_eq!(response.cseq(), Some((10, "INVITE")));
}

#[test]
fn an_offer_of_ours_without_an_answer_ends_the_call() {
    let mut b = Bench::new();
    let tx = b.send_proven(&invite("600", 10, ""));
    b.act(|agent, out| agent.order_accept("phone1", answer(), out).unwrap());
    let tag = b.response().to_tag().unwrap();
    let ack = Request::from_wire(in_dialog("ACK", 10, &tag, "").as_bytes()).unwrap();
    b.act(|agent, out| agent.handle_ack(tx, &ack, out));
    assert_eq!(b.notices(), [Notice::HangsUp(Cause::BearerCapability)]);
    assert_eq!(b.methods(), ["BYE"]);
}

#[test]
fn changes_before_the_answer_have_to_wait() {
    let mut b = Bench::new();
    b.send_proven(&invite("600", 10, SDP));
    b.act(|agent, out| agent.order_progress("phone1", T0, out));
    let tag = b.response().to_tag().unwrap();
    b.send(&re_invite("UPDATE", 11, &tag, SDP), PHONE);
    assert_eq!(b.statuses(), [500]);
    b.send(&in_dialog("UPDATE", 12, &tag, ""), PHONE);
    assert_eq!(b.statuses(), [200], "a refresh of the timer");
}

#[test]
fn a_trunk_says_who_calls_and_a_phone_does_not() {
    let named = |text: &str| {
        text.replace("Call-ID", "P-Asserted-Identity: \"Bell\" <sip:+1555@h>\r\nCall-ID")
    };
    let mut b = Bench::new();
    b.send_proven(&named(&invite("600", 10, SDP)));
    assert!(matches!(&b.notices()[..], [Notice::Invites { caller: None, .. }]));
    let from_trunk = named(&invite("600", 10, SDP))
        .replace("sip:phone1@", "sip:somebody@")
        .replace("Call-ID: c1", "Call-ID: c2");
    b.send(&from_trunk, FIXED);
    let [Notice::Invites { caller: Some(caller), .. }] = &b.notices()[..] else {
        panic!("{:?}", b.done)
    };
    assert_eq!((caller.number.as_str(), caller.name.as_str()), ("+1555", "Bell"));
}

#[test]
fn two_telephones_at_one_fixed_address_are_told_apart() {
    let mut settings = settings();
    let mut second = settings.accounts[2].clone();
    let AccountKind::Fixed { address, user, .. } = &mut second.kind else { panic!() };
    address.set_port(5062);
    user.replace_range(.., "ata2");
    settings.accounts.push(AccountSettings { id: "second".into(), ..second });
    let line_of = |from_user: &str, port: u16| {
        let mut b = Bench { agent: agent(&settings, Saved::default()), ..Bench::new() };
        let text = invite("600", 10, SDP).replace("sip:phone1@", &format!("sip:{from_user}@"));
        b.send(&text, &format!("192.168.1.100:{port}"));
        b.done.iter().find_map(|action| match action {
            Action::Tell { line, .. } => Some(line.clone()),
            _ => None,
        })
    };
    for (from_user, port, line) in [
        ("ata", 5060, "fixed"),
        ("ata2", 5062, "second"),
        ("ata2", 5060, "second"),
        ("second", 40_000, "second"),
        ("+1555", 5062, "second"),
        ("+1555", 40_000, "fixed"),
    ] {
        assert_eq!(line_of(from_user, port).as_deref(), Some(line), "{from_user} at {port}");
    }
}

#[test]
fn numbers_and_minutes_are_limited() {
    let mut settings = settings();
    settings.accounts[0].allowance = Allowance {
        numbers: Some(vec!["600".into(), "00.".into()]),
        calls_per_day: None,
        minutes_per_day: Some(2),
    };
    let mut b = Bench { agent: agent(&settings, Saved::default()), ..Bench::new() };
    let dials = |number: &str, call: u32| {
        invite(number, 10 * call, SDP).replace("Call-ID: c1", &format!("Call-ID: c{call}"))
    };
    b.send_proven(&dials("101", 1));
    assert_eq!((b.statuses(), b.notices()), (vec![403], vec![]));
    let tx = b.send_proven(&dials("0044", 2));
    assert_eq!(b.statuses(), [100]);
    b.act(|agent, out| agent.order_accept("phone1", answer(), out).unwrap());
    let tag = b.response().to_tag().unwrap();
    b.act(|agent, out| agent.follow_usage(T0, out));
    let ack = in_dialog("ACK", 20, &tag, "").replace("Call-ID: c1", "Call-ID: c2");
    let ack = Request::from_wire(ack.as_bytes()).unwrap();
    b.act(|agent, out| agent.handle_ack(tx, &ack, out));
    let refer = in_dialog("REFER", 21, &tag, "Refer-To: <sip:101@h>\r\n");
    b.send(&refer.replace("Call-ID: c1", "Call-ID: c2"), PHONE);
    assert_eq!(b.statuses(), [403], "no way round by a transfer");
    // Two minutes, and not a second more.
    b.act(|agent, out| agent.handle_time(T0 + 119_999, out));
    assert_eq!(b.methods(), [""; 0]);
    b.act(|agent, out| agent.handle_time(T0 + 120_000, out));
    assert_eq!(b.methods(), ["BYE"]);
    assert!(b.notices().contains(&Notice::HangsUp(Cause::CallRejected)));
    b.now_ms = T0 + 121_000;
    b.send_proven(&dials("600", 3));
    assert_eq!(b.statuses(), [403], "nothing is left today");
    assert_eq!(b.agent.defence_mut().turned().not_allowed, 2);
    b.now_ms = T0 + 86_400_000;
    b.send_proven(&dials("600", 4));
    assert_eq!(b.statuses(), [100], "the next day");
}
