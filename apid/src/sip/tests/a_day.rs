//! A day of phones in virtual time: they register, call, are called, hold, subscribe, lose their
//! power and come back. In the evening everything has the size it had in the morning.

use super::*;
use crate::control::MessagesWaiting;

const MINUTE_MS: u64 = 60_000;

/// Sizes of everything that could grow.
fn sizes(agent: &Agent, now_ms: u64) -> [usize; 4] {
    let bindings = agent.bindings().values().map(Vec::len).sum();
    let text = serde_json::to_string(&agent.calls_to_save()).unwrap();
    // Numbers in what is saved get longer, a leak gets much longer.
    let saved = text.len() / 1000;
    let live = agent.live().len();
    let waits = agent.next_time_ms().map_or(0, |at_ms| usize::from(at_ms < now_ms));
    [bindings, saved, live, waits]
}

impl Bench {
    fn passes(&mut self, until_ms: u64) {
        while let Some(at_ms) = self.agent.next_time_ms().filter(|at_ms| *at_ms <= until_ms) {
            self.now_ms = at_ms.max(self.now_ms);
            let now_ms = self.now_ms;
            self.act(|agent, out| agent.handle_time(now_ms, out));
            self.phone_agrees();
        }
        self.now_ms = until_ms;
    }

    /// The phone answers whatever was sent with 200.
    fn phone_agrees(&mut self) {
        for (tx, request, _) in self.sent() {
            if tx != TxId(0) {
                let body = if request.method == "INVITE" { SDP } else { "" };
                self.reply(tx, &from_phone(&request, 200, body));
            }
        }
    }
}

#[test]
fn ends_as_it_began() {
    let mut b = Bench::registered();
    let mut morning = None;
    let mut calls = 0;
    for minute in 1..=24 * 60_u64 {
        let at_ms = T0 + minute * MINUTE_MS;
        b.passes(at_ms - 30_000);
        // Refreshed each half minute; each third hour the phone has another port after a reboot.
        let port = 5062 + minute / 180;
        let text = register("phone1", minute as u32 + 1)
            .replace(&format!("@{PHONE}>;exp"), &format!("@10.0.0.5:{port}>;exp"));
        b.send_proven(&text);
        assert_eq!(b.statuses()[0], 200, "{minute}");
        b.phone_agrees();
        b.passes(at_ms);
        match minute % 5 {
            0 => {
                // It calls, holds, is refreshed by us and hangs up.
                let id = format!("Call-ID: day{minute}");
                let here = |text: String| text.replace("Call-ID: c1", &id);
                let timer = "Supported: timer\r\nSession-Expires: 90;refresher=uas\r\nCall-ID";
                let call = here(invite("600", 10, SDP).replacen("Call-ID", timer, 1));
                let tx = b.send_proven(&call);
                b.act(|agent, out| agent.order_accept("phone1", answer(), out).unwrap());
                let tag = b.response().to_tag().unwrap();
                let ack = here(in_dialog("ACK", 10, &tag, ""));
                let ack = Request::from_wire(ack.as_bytes()).unwrap();
                b.act(|agent, out| agent.handle_ack(tx, &ack, out));
                b.passes(at_ms + 20_000);
                b.send(
                    &here(re_invite("UPDATE", 11, &tag, &format!("{SDP}a=inactive\r\n"))),
                    PHONE,
                );
                b.act(|agent, out| agent.order_media("phone1", Some(answer()), out));
                assert_eq!(b.statuses(), [200]);
                b.passes(at_ms + 25_000);
                b.send(&here(in_dialog("BYE", 12, &tag, "")), PHONE);
                assert_eq!(b.statuses(), [200]);
                calls += 1;
            }
            1 => {
                // It is rung; every other time in vain.
                let nobody = CallerIdView::default();
                let now_ms = b.now_ms;
                b.act(|agent, out| {
                    agent.order_invite("phone1", &offer(), &nobody, &[], now_ms, out).unwrap();
                });
                let (tx, invite, _) = b.sent().remove(0);
                b.reply(tx, &from_phone(&invite, 180, ""));
                if minute % 2 == 0 {
                    b.reply(tx, &from_phone(&invite, 200, SDP));
                }
                b.act(|agent, out| agent.order_hang_up("phone1", Cause::NoAnswer, out));
                b.phone_agrees();
                b.reply(tx, &from_phone(&invite, 487, ""));
                calls += 1;
            }
            2 => {
                let subscribe = register("phone1", 5000 + minute as u32)
                    .replace("REGISTER", "SUBSCRIBE")
                    .replace(
                        "Call-ID: reg",
                        &format!("Event: message-summary\r\nCall-ID: m{minute}"),
                    );
                b.send_proven(&subscribe);
                assert_eq!(b.statuses(), [200]);
                b.phone_agrees();
                let (counts, now_ms) = (MessagesWaiting { new: minute as u16, old: 0 }, b.now_ms);
                b.act(|agent, out| agent.order_messages("phone1", counts, now_ms, out));
                b.phone_agrees();
            }
            3 => drop(
                b.send(&register("x", minute as u32), &format!("203.0.113.{}:5060", minute % 250)),
            ),
            _ => {}
        }
        if minute == 60 {
            morning = Some((sizes(&b.agent, b.now_ms), b.agent.purposes.len()));
        }
    }
    let evening = (sizes(&b.agent, b.now_ms), b.agent.purposes.len());
    assert_eq!(Some(evening), morning);
    assert!(calls > 500, "{calls}");
}
