//! Messages that wait (RFC 3842).

use super::*;
use crate::control::MessagesWaiting;

fn subscribe(cseq: u32, expires: u32) -> String {
    format!(
        "SUBSCRIBE sip:phone1@tipring SIP/2.0\r\nVia: SIP/2.0/UDP {PHONE};branch=z9hG4bKs{cseq}\r\n\
         From: <sip:phone1@tipring>;tag=sub\r\nTo: <sip:phone1@tipring>\r\nCall-ID: mwi\r\n\
         CSeq: {cseq} SUBSCRIBE\r\nContact: <sip:phone1@{PHONE}>\r\nEvent: message-summary\r\n\
         Expires: {expires}\r\n\r\n"
    )
}

fn body(request: &Request) -> String {
    String::from_utf8(request.body.clone()).unwrap()
}

fn messages(b: &mut Bench, new: u16, old: u16) {
    let now_ms = b.now_ms;
    let counts = MessagesWaiting { new, old };
    b.act(|agent, out| agent.order_messages("phone1", counts, now_ms, out));
}

#[test]
fn a_phone_subscribes_is_told_and_leaves() {
    let mut b = Bench::registered();
    b.send_proven(&subscribe(10, 600));
    let ok = b.response().clone();
    assert_eq!((ok.status, ok.headers.get("Expires")), (200, Some("600")));
    let (_, first, to) = b.sent().remove(0);
    assert_eq!((first.method.as_str(), to), ("NOTIFY", udp(PHONE)));
    assert_eq!(first.headers.get("Subscription-State"), Some("active;expires=600"));
    assert!(body(&first).starts_with("Messages-Waiting: no\r\n"), "{}", body(&first));
    b.now_ms += 100_000;
    messages(&mut b, 2, 8);
    let (_, told, _) = b.sent().remove(0);
    assert!(body(&told).contains("Voice-Message: 2/8 (0/0)\r\n"), "{}", body(&told));
    assert_eq!(told.headers.get("Subscription-State"), Some("active;expires=500"));
    assert_eq!(told.cseq(), first.cseq().map(|n| n + 1));
    messages(&mut b, 2, 8);
    assert_eq!(b.done, [], "nothing new");
    // Within its dialog: a refresh, then the end.
    let tag = ok.to_tag().unwrap();
    let within = |cseq, expires| {
        subscribe(cseq, expires)
            .replace("To: <sip:phone1@tipring>", &format!("To: <sip:phone1@tipring>;tag={tag}"))
    };
    b.send_proven(&within(20, 0));
    assert_eq!(b.statuses(), [200]);
    assert!(b.sent()[0].1.headers.get("Subscription-State").unwrap().starts_with("terminated"));
    b.send(&within(30, 600), PHONE);
    assert_eq!(b.statuses(), [481], "there is none any more");
}

#[test]
fn a_phone_that_does_not_subscribe_is_told_unasked() {
    let mut b = Bench::new();
    messages(&mut b, 1, 0);
    assert_eq!(b.done, [], "it is not there");
    b.send_proven(&register("phone1", 1));
    let (_, notify, to) = b.sent().remove(0);
    assert_eq!((notify.uri.as_str(), to), ("sip:phone1@10.0.0.5:5062", udp(PHONE)));
    assert!(body(&notify).starts_with("Messages-Waiting: yes\r\n"));
    messages(&mut b, 0, 1);
    assert!(body(&b.sent()[0].1).contains("Voice-Message: 0/1 "));
}

#[test]
fn subscriptions_end_and_are_bounded() {
    let mut b = Bench::registered();
    let first = subscribe(10, 30);
    b.send_proven(&first);
    assert_eq!(b.response().headers.get("Min-Expires"), Some("60"));
    b.send_proven(&subscribe(11, 60).replace("message-summary", "presence"));
    assert_eq!((b.statuses(), b.methods()), (vec![489], vec![]));
    for i in 0..9 {
        b.send_proven(&subscribe(20, 600).replace("Call-ID: mwi", &format!("Call-ID: mwi{i}")));
        assert_eq!((b.statuses(), b.methods().len()), (vec![200], 1));
    }
    messages(&mut b, 1, 0);
    assert_eq!(b.sent().len(), 4);
    // One that the phone has forgotten, and then all.
    let (tx, notify, _) = b.sent().remove(0);
    b.reply(tx, &notify.response(481, None));
    messages(&mut b, 2, 0);
    assert_eq!(b.sent().len(), 3);
    b.now_ms += 600_000;
    let now_ms = b.now_ms;
    b.act(|agent, out| agent.handle_time(now_ms, out));
    messages(&mut b, 3, 0);
    assert_eq!(b.sent().len(), 0, "the registration is over as well");
}
