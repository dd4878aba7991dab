//! REFER: a phone hands its call to somebody else.

use super::*;
use crate::control::TransferTo;

fn refer(tag: &str, cseq: u32, to: &str) -> String {
    in_dialog("REFER", cseq, tag, &format!("Refer-To: {to}\r\n"))
}

#[test]
fn blind_and_the_phone_hears_what_became_of_it() {
    let (mut b, tag) = Bench::in_call();
    b.send(&refer(&tag, 11, "\"Kitchen\" <sip:102@tipring;user=phone>"), PHONE);
    assert_eq!(b.statuses(), [202]);
    assert_eq!(b.notices(), [Notice::Transfers(TransferTo::Number("102".into()))]);
    let (_, trying, to) = b.sent().remove(0);
    assert_eq!((trying.method.as_str(), to), ("NOTIFY", udp(PHONE)));
    assert_eq!(trying.headers.get("Event"), Some("refer;id=11"));
    assert_eq!(trying.headers.get("Subscription-State"), Some("active;expires=60"));
    assert!(trying.body.starts_with(b"SIP/2.0 100 "));
    b.send(&refer(&tag, 12, "<sip:103@tipring>"), PHONE);
    assert_eq!(b.statuses(), [491], "one at a time");

    b.act(|agent, out| agent.order_transferred("phone1", 486, out));
    let (_, over, _) = b.sent().remove(0);
    assert!(over.body.starts_with(b"SIP/2.0 486 "));
    assert!(over.headers.get("Subscription-State").unwrap().starts_with("terminated"));
    assert_eq!(over.cseq(), trying.cseq().map(|n| n + 1));
    b.act(|agent, out| agent.order_transferred("phone1", 200, out));
    assert_eq!(b.done, [], "it has been told");
    assert_eq!(b.agent.live(), ["phone1"], "a transfer that failed leaves the call");
}

#[test]
fn a_phone_that_wants_no_news_gets_none() {
    let (mut b, tag) = Bench::in_call();
    let text =
        refer(&tag, 11, "<sip:102@tipring>").replace("Refer-To", "Refer-Sub: false\r\nRefer-To");
    b.send(&text, PHONE);
    assert_eq!((b.statuses(), b.methods()), (vec![202], vec![]));
    assert_eq!(b.response().headers.get("Refer-Sub"), Some("false"));
    b.act(|agent, out| agent.order_transferred("phone1", 200, out));
    assert_eq!(b.methods(), [""; 0]);
}

#[test]
fn attended_names_the_other_call_by_its_tags() {
    let (mut b, tag) = Bench::in_call();
    b.act(|agent, out| {
        agent.order_invite("fixed", &offer(), &CallerIdView::default(), &[], T0, out).unwrap();
    });
    let (tx, invite, _) = b.sent().remove(0);
    let mut ok = invite.response(200, Some("theirs"));
    ok.headers.push("Contact", format!("<sip:ata@{FIXED}>"));
    ok.body = SDP.into();
    b.reply(tx, &ok);
    let (id, ours) = (invite.call_id(), invite.from_tag().unwrap());
    let to = |ours: &str| format!("<sip:x@h?Replaces={id}%3Bto-tag%3D{ours}%3Bfrom-tag%3Dtheirs>");
    b.send(&refer(&tag, 11, &to("wrong")), PHONE);
    assert_eq!((b.statuses(), b.notices()), (vec![481], vec![]));
    b.send(&refer(&tag, 12, &to(&ours)), PHONE);
    assert_eq!(b.notices(), [Notice::Transfers(TransferTo::CallOf("fixed".into()))]);
    // Its own call is nobody else's.
    b.act(|agent, out| agent.order_transferred("phone1", 200, out));
    let own = format!("<sip:x@h?Replaces=c1%3Bto-tag%3D{tag}%3Bfrom-tag%3Dphone>");
    b.send(&refer(&tag, 13, &own), PHONE);
    assert_eq!(b.statuses(), [481]);
}

#[test]
fn what_refers_to_nobody_is_refused() {
    let (mut b, tag) = Bench::in_call();
    for (i, (to, status)) in
        [("nonsense", 400), ("<sip:tipring>", 404), ("<sip:1@h>, <sip:2@h>", 400)]
            .iter()
            .enumerate()
    {
        b.send(&refer(&tag, 11 + i as u32, to), PHONE);
        assert_eq!((b.statuses(), b.notices()), (vec![*status], vec![]), "{to}");
    }
    b.send(&refer("unknown", 20, "<sip:102@tipring>"), PHONE);
    assert_eq!(b.statuses(), [481]);
    b.send(&refer(&tag, 21, "<sip:102@tipring>"), "10.0.0.66:5060");
    assert_eq!((b.statuses(), b.notices()), (vec![401], vec![]), "a stranger who knows the tags");
}
