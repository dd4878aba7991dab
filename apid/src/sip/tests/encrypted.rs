//! Encrypted audio over the life of a call: keys stay where they may, and are in no file.

use super::*;

const KEYS: &str =
    "a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd\r\n";

fn encrypted() -> String {
    SDP.replace("RTP/AVP", "RTP/SAVP") + KEYS
}

/// Our key in a body.
fn our_key(body: &str) -> String {
    let line = body.lines().find(|line| line.starts_with("a=crypto:"));
    line.and_then(|line| line.split_once("inline:")).expect("a key").1.to_owned()
}

fn keys_told(b: &Bench) -> Option<tipring_shm_proto::command::SrtpKeys> {
    b.notices().into_iter().find_map(|notice| match notice {
        Notice::Invites { media, .. }
        | Notice::MediaChanges(media)
        | Notice::MediaSettled(media)
        | Notice::Answers(media) => media.srtp,
        _ => None,
    })
}

#[test]
fn our_key_stays_until_apid_starts_again() {
    let mut b = Bench::new();
    let tx = b.send_proven(&invite("600", 10, &encrypted()));
    let keys = keys_told(&b).expect("an encrypted call");
    b.act(|agent, out| agent.order_accept("phone1", answer(), out).unwrap());
    let key = our_key(&text_of(b.response()));
    let tag = b.response().to_tag().unwrap();
    let ack = Request::from_wire(in_dialog("ACK", 10, &tag, "").as_bytes()).unwrap();
    b.act(|agent, out| agent.handle_ack(tx, &ack, out));
    // A refresh: nothing changes, so nothing is told.
    b.send(&re_invite("UPDATE", 11, &tag, &encrypted()), PHONE);
    assert_eq!((our_key(&text_of(b.response())), keys_told(&b)), (key.clone(), None));
    // The phone changes its key; ours stays.
    let other = encrypted().replace("inline:AAEC", "inline:BBBB");
    b.send(&re_invite("UPDATE", 12, &tag, &other), PHONE);
    let told = keys_told(&b).expect("new keys");
    assert!(told.ours == keys.ours && told.theirs != keys.theirs);
    b.act(|agent, out| agent.order_media("phone1", Some(answer()), out));
    assert_eq!(our_key(&text_of(b.response())), key);
    // Our hold offers it too.
    b.act(|agent, out| agent.order_hold("phone1", true, out).unwrap());
    let (_, hold, _) = b.sent().remove(0);
    let body = String::from_utf8(hold.body).unwrap();
    assert!(body.contains("RTP/SAVP") && our_key(&body) == key, "{body}");
    // The next apid knows no key; at the next change both ends get a new one.
    let text = serde_json::to_string(&b.agent.calls_to_save()).unwrap();
    assert!(!text.contains(&key) && !text.contains("BBBB"), "{text}");
    let saved = Saved { calls: serde_json::from_str(&text).unwrap(), ..Saved::default() };
    b.agent = agent(&settings(), saved);
    b.send(&re_invite("UPDATE", 13, &tag, &other), PHONE);
    let told = keys_told(&b).expect("new keys");
    assert!(told.ours != keys.ours);
    b.act(|agent, out| agent.order_media("phone1", Some(answer()), out));
    assert_ne!(our_key(&text_of(b.response())), key);
}

#[test]
fn a_phone_that_must_encrypt_is_called_so_and_heard_no_other_way() {
    let mut settings = settings();
    settings.accounts[0].encryption = Encryption::Required;
    let mut b = Bench { agent: agent(&settings, Saved::default()), ..Bench::new() };
    b.send_proven(&invite("600", 10, SDP));
    assert_eq!(b.statuses(), [488]);
    b.send_proven(&register("phone1", 1));
    let now_ms = b.now_ms;
    b.act(|agent, out| {
        let caller = CallerIdView::default();
        agent.order_invite("phone1", &offer(), &caller, &[2000, 4000], now_ms, out).unwrap();
    });
    let (tx, invite, _) = b.sent().remove(0);
    let body = String::from_utf8(invite.body.clone()).unwrap();
    assert!(body.contains("m=audio 10002 RTP/SAVP 0 8 101"), "{body}");
    let key = our_key(&body);
    let answered = encrypted().replace("a=crypto:3", "a=crypto:1");
    b.reply(tx, &from_phone(&invite, 200, &answered));
    let told = keys_told(&b).expect("an encrypted call");
    let octets = data_encoding::BASE64.decode(key.as_bytes()).unwrap();
    assert_eq!([&told.ours.key[..], &told.ours.salt].concat(), octets);
}
