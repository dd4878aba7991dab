//! Whatever is sent: no panic, a bounded number of actions, at most one final response, and the
//! phone that is in a call stays in it.

use super::*;
use crate::sip::address::Uri;
use crate::sip::crypto::Encryption;
use crate::sip::sdp::Description;

/// xorshift64*; the seed is printed with what fails.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n
    }

    /// A message with some of its octets changed, doubled, moved or gone.
    fn spoil(&mut self, text: &str) -> Vec<u8> {
        let mut octets = text.as_bytes().to_vec();
        for _ in 0..=self.below(6) {
            if octets.is_empty() {
                break;
            }
            let at = self.below(octets.len());
            let len = self.below(40).min(octets.len() - at);
            match self.below(6) {
                0 => octets[at] = self.below(256) as u8,
                1 => drop(octets.drain(at..at + len)),
                2 => {
                    let piece = octets[at..at + len].to_vec();
                    let to = self.below(octets.len());
                    octets.splice(to..to, piece);
                }
                3 => octets[at] = b"\"<>;,=:@\\% \t0*"[self.below(14)],
                4 => {
                    let huge = ["99999999999999999999", "-1", "", "\u{fffd}", "4294967296"];
                    octets.splice(at..at + len, huge[self.below(5)].bytes());
                }
                _ => octets.truncate(at.max(1)),
            }
        }
        octets
    }
}

#[test]
fn spoilt_messages_do_no_harm() {
    let (mut b, tag) = Bench::in_call();
    let digest = "Digest username=\"phone2\",realm=\"tipring\",nonce=\"00\",uri=\"sip:h\",\
        response=\"0\",qop=auth,nc=00000001,cnonce=\"c\"";
    let proven =
        register("phone2", 7).replace("Call-ID", &format!("Authorization: {digest}\r\nCall-ID"));
    let seeds = [
        register("phone2", 1),
        proven,
        invite("600", 1, SDP),
        re_invite("INVITE", 11, &tag, SDP),
        in_dialog("INFO", 12, &tag, "Content-Type: application/dtmf-relay\r\n") + "Signal=5\r\n",
        in_dialog("UPDATE", 13, &tag, "Session-Expires: 90;refresher=uas\r\nSupported: timer\r\n"),
        in_dialog("OPTIONS", 14, &tag, "Record-Route: <sip:h;lr>\r\nRequire: x\r\n"),
    ];
    let mut random = Random(0x7469_7072_696e_6721);
    let mut taken = 0;
    for round in 0..30_000 {
        let seed = random.below(seeds.len());
        let octets = random.spoil(&seeds[seed]);
        let Some(request) = Request::from_wire(&octets) else { continue };
        taken += 1;
        // One address each, so that the gate lets them through; the phone's own now and then.
        let source = match round % 4 {
            0 => udp(PHONE),
            _ => udp(&format!("10.{}.{}.7:5060", round % 250, round / 250)),
        };
        let tx = TxId(10_000 + round as u64);
        b.now_ms += 7;
        let now_ms = b.now_ms;
        b.act(|agent, out| agent.handle_request(tx, &request, source, now_ms, out));
        let finals = b.statuses().into_iter().filter(|status| *status >= 200).count();
        let gone = b.done.iter().filter(|a| matches!(a, Action::Drop { .. })).count();
        let waits = b.statuses() == [100]
            || b.notices().iter().any(|n| matches!(n, Notice::MediaChanges(_)));
        assert_eq!(finals + gone + usize::from(waits), 1, "{round}: {request:?} {:?}", b.done);
        b.act(|agent, out| agent.order_media("phone1", None, out));
        if !b.agent.live().contains(&"phone1".to_owned()) {
            assert_eq!(request.method, "BYE", "{round}: {request:?}");
            let (fresh, _) = Bench::in_call();
            b.agent = fresh.agent;
        }
    }
    assert!(taken > 10_000, "{taken}");
}

#[test]
fn spoilt_answers_do_no_harm() {
    let mut random = Random(42);
    for round in 0..5_000 {
        let (mut b, tx, invite) = Bench::ringing();
        let ok = from_phone(&invite, 200, SDP).to_wire();
        let spoilt = random.spoil(&String::from_utf8(ok).unwrap());
        let Some(response) = Response::from_wire(&spoilt) else { continue };
        b.reply(tx, &response);
        assert!(b.sent().len() <= 2 && b.notices().len() <= 1, "{round}: {response:?}");
        b.act(|agent, out| agent.handle_stray_ok(&response, udp(PHONE), out));
        b.act(|agent, out| agent.order_hang_up("phone1", Cause::NormalClearing, out));
    }
}

#[test]
fn spoilt_values_are_read_or_refused() {
    let mut random = Random(7);
    for _ in 0..50_000 {
        let octets = random.spoil("\"A \\\"B\\\"\" <sip:a%20b:pw@[2001:db8::1]:5060;lr?x=y>;tag=1");
        let text = String::from_utf8_lossy(&octets);
        if let Some(name) = crate::sip::address::NameAddr::parse(&text) {
            let _ = Uri::parse(&name.uri).and_then(|uri| uri.address());
        }
        let _ = Description::parse(&random.spoil(SDP), Encryption::Automatic);
    }
}
