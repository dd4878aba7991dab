//! Offers and answers as telephones write them.

use super::*;

fn offer(lines: &[&str]) -> Vec<u8> {
    let mut text = String::from("v=0\r\no=u 8000 8000 IN IP4 10.0.0.5\r\ns=SIP Call\r\n");
    for line in lines {
        text += line;
        text += "\r\n";
    }
    text.into_bytes()
}

/// The lines of an HT801 (reference sheet).
const ATA: [&str; 8] = [
    "c=IN IP4 10.0.0.5",
    "t=0 0",
    "m=audio 5004 RTP/AVP 0 8 4 18 2 97 123 101",
    "a=sendrecv",
    "a=rtpmap:0 PCMU/8000",
    "a=rtpmap:101 telephone-event/8000",
    "a=fmtp:101 0-15",
    "a=ptime:20",
];

fn local(law: Law) -> LocalAudio {
    LocalAudio {
        session_id: 42,
        version: 1,
        address: "10.0.0.1:10000".parse().unwrap(),
        laws: vec![law],
        telephone_event: Some(101),
        direction: Direction::SendRecv,
        profile: Profile::Avp,
        encrypted: false,
        key: None,
    }
}

#[test]
fn an_atas_offer_is_understood_and_answered() {
    let d = Description::parse(&offer(&ATA), Encryption::Automatic).unwrap();
    assert_eq!(d.audio.remote, "10.0.0.5:5004".parse().unwrap());
    assert_eq!(d.audio.laws, [Law::Mu, Law::A]);
    assert_eq!(d.audio.telephone_event, Some(101));
    assert_eq!(d.audio.direction, Direction::SendRecv);
    let answer = String::from_utf8(d.answer(&local(Law::Mu))).unwrap();
    assert_eq!(
        answer,
        "v=0\r\no=tipring 42 1 IN IP4 10.0.0.1\r\ns=tipring\r\nc=IN IP4 10.0.0.1\r\n\
         t=0 0\r\nm=audio 10000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n"
    );
    let back = Description::parse(answer.as_bytes(), Encryption::Automatic).unwrap();
    assert_eq!(back.audio.laws, [Law::Mu]);
}

#[test]
fn our_own_offer_reads_back() {
    let mut ours = local(Law::Mu);
    ours.laws = vec![Law::A, Law::Mu];
    let d = Description::parse(&ours.offer(), Encryption::Automatic).unwrap();
    assert_eq!(d.audio.laws, [Law::A, Law::Mu]);
    assert_eq!(d.audio.remote, ours.address);
    let text = serde_json::to_string(&ours).unwrap();
    assert_eq!(serde_json::from_str::<LocalAudio>(&text).unwrap(), ours);
}

#[test]
fn every_form_of_hold_is_recognised() {
    for (connection, attribute, want) in [
        ("c=IN IP4 10.0.0.5", "a=sendonly", Direction::SendOnly),
        ("c=IN IP4 10.0.0.5", "a=inactive", Direction::Inactive),
        ("c=IN IP4 10.0.0.5", "a=recvonly", Direction::RecvOnly),
        ("c=IN IP4 0.0.0.0", "a=sendrecv", Direction::SendOnly),
        ("c=IN IP4 0.0.0.0", "a=recvonly", Direction::Inactive),
    ] {
        let at_media = offer(&[connection, "t=0 0", "m=audio 5004 RTP/AVP 0", attribute]);
        let at_session = offer(&[connection, "t=0 0", attribute, "m=audio 5004 RTP/AVP 0"]);
        for body in [at_media, at_session] {
            let d = Description::parse(&body, Encryption::Automatic).unwrap();
            assert_eq!(d.audio.direction, want, "{connection} {attribute}");
        }
    }
    assert_eq!(Direction::SendOnly.reversed(), Direction::RecvOnly);
    assert!(!Direction::SendOnly.reversed().sends());
    assert!(Direction::SendOnly.reversed().receives());
}

#[test]
fn other_media_lines_are_refused_in_their_place() {
    let d = Description::parse(
        &offer(&[
            "t=0 0",
            "m=video 6000 RTP/AVP 31",
            "c=IN IP4 10.0.0.6",
            "m=audio 5004 RTP/AVP 8",
            "c=IN IP4 10.0.0.7",
            "m=image 7000 udptl t38",
        ]),
        Encryption::Automatic,
    )
    .unwrap();
    assert_eq!(d.audio.remote, "10.0.0.7:5004".parse().unwrap());
    let answer = String::from_utf8(d.answer(&local(Law::A))).unwrap();
    let lines: Vec<&str> = answer.lines().filter(|l| l.starts_with("m=")).collect();
    assert_eq!(
        lines,
        ["m=video 0 RTP/AVP 31", "m=audio 10000 RTP/AVP 8 101", "m=image 0 udptl t38"]
    );
}

const KEYS: &str =
    "a=crypto:7 AES_CM_128_HMAC_SHA1_32 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd|2^20";

#[test]
fn an_encrypted_offer_is_answered_in_kind() {
    let lines = ["c=IN IP4 10.0.0.5", "t=0 0", "m=audio 5004 RTP/SAVPF 0", KEYS, "a=rtcp-mux"];
    let d = Description::parse(&offer(&lines), Encryption::Automatic).unwrap();
    let crypto = d.audio.crypto.unwrap();
    assert!(d.audio.rtcp_mux && crypto.keys.theirs.key[..3] == [0, 1, 2]);
    let agreed = local(Law::Mu).agreed(&d.audio);
    let answer = String::from_utf8(d.answer(&agreed)).unwrap();
    assert!(answer.contains("m=audio 10000 RTP/SAVPF 0 101\r\n"), "{answer}");
    assert!(answer.contains("a=rtcp-mux\r\n"), "{answer}");
    assert!(answer.contains(&format!("a=crypto:{}\r\n", crypto.ours().line())), "{answer}");
    let refused = Description::parse(&offer(&lines), Encryption::Off).unwrap_err();
    assert_eq!(refused, SdpError::NoCommonCrypto);
    // What goes to a file has no key, and knows that there has to be one.
    let text = serde_json::to_string(&agreed).unwrap();
    let read: LocalAudio = serde_json::from_str(&text).unwrap();
    assert_eq!((read.key, read.encrypted, read.profile), (None, true, Profile::Savpf));
    assert!(String::from_utf8(read.with_key().offer()).unwrap().contains("a=crypto:1 AES_CM_"));
}

#[test]
fn the_line_that_can_be_encrypted_is_taken_unless_that_is_off() {
    use Encryption::{Automatic, Off, Required};
    let head = ["c=IN IP4 10.0.0.5", "t=0 0", "m=audio 5004 RTP/AVP 0"];
    let both = [&head[..], &["m=audio 5006 RTP/SAVP 0", KEYS]].concat();
    let best_effort = [&head[..], &[KEYS]].concat();
    let encrypted = |lines: &[&str], encryption| {
        let parsed = Description::parse(&offer(lines), encryption);
        parsed.map(|d| (d.audio.remote.port(), d.audio.crypto.is_some()))
    };
    assert_eq!(encrypted(&both, Automatic), Ok((5006, true)));
    assert_eq!(encrypted(&both, Off), Ok((5004, false)));
    assert_eq!(encrypted(&best_effort, Automatic), Ok((5004, true)));
    assert_eq!(encrypted(&best_effort, Off), Ok((5004, false)));
    assert_eq!(encrypted(&head, Automatic), Ok((5004, false)));
    assert_eq!(encrypted(&head, Required), Err(SdpError::NoCommonCrypto));
}

#[test]
fn an_answer_has_to_fit_what_we_offered() {
    let answer = |profile: &str, key: &str| {
        let line = format!("m=audio 5004 {profile} 0");
        offer(&["c=IN IP4 10.0.0.5", "t=0 0", &line, key])
    };
    let theirs = KEYS.replace(":7 ", ":1 ").replace("SHA1_32", "SHA1_80");
    let offered = |encryption| local(Law::Mu).encrypted_by(encryption, true);
    let ours = offered(Encryption::Required);
    let d = Description::parse_answer(&answer("RTP/SAVP", &theirs), &ours).unwrap();
    assert_eq!(d.audio.crypto.unwrap().ours(), ours.key.unwrap());
    for wrong in [answer("RTP/SAVP", KEYS), answer("RTP/AVP", "a=sendrecv")] {
        let refused = Description::parse_answer(&wrong, &ours).unwrap_err();
        assert_eq!(refused, SdpError::NoCommonCrypto);
    }
    let ours = offered(Encryption::Automatic);
    for (key, encrypted) in [(theirs.as_str(), true), ("a=sendrecv", false)] {
        let d = Description::parse_answer(&answer("RTP/AVP", key), &ours).unwrap();
        assert_eq!(d.audio.crypto.is_some(), encrypted);
        assert_eq!(ours.clone().agreed(&d.audio).encrypted, encrypted);
    }
    let plain = offered(Encryption::Off);
    let d = Description::parse_answer(&answer("RTP/AVP", &theirs), &plain).unwrap();
    assert_eq!(d.audio.crypto, None);
}

#[test]
fn what_cannot_be_used_says_why() {
    let c = "c=IN IP4 10.0.0.5";
    for (lines, want) in [
        (&[c, "t=0 0", "m=audio 0 RTP/AVP 0"][..], SdpError::NoAudio),
        (&[c, "t=0 0", "m=audio 5004 RTP/SAVP 0"][..], SdpError::NoCommonCrypto),
        (&[c, "t=0 0", "m=audio 5004 UDP/TLS/RTP/SAVP 0"][..], SdpError::NoAudio),
        (&[c, "t=0 0", "m=video 5004 RTP/AVP 31"][..], SdpError::NoAudio),
        (&[c, "t=0 0", "m=audio 5004 RTP/AVP 18 9"][..], SdpError::NoCommonCodec),
        (&["t=0 0", "m=audio 5004 RTP/AVP 0"][..], SdpError::Malformed),
        (&["c=IN IP4 phone.local", "t=0 0", "m=audio 5004 RTP/AVP 0"][..], SdpError::Malformed),
        (&[c, "t=0 0", "m=audio 99999 RTP/AVP 0"][..], SdpError::Malformed),
    ] {
        assert_eq!(
            Description::parse(&offer(lines), Encryption::Automatic).unwrap_err(),
            want,
            "{lines:?}"
        );
    }
    for garbage in [&b""[..], b"hello", b"\xff\xfe\x00", b"v=0"] {
        assert!(Description::parse(garbage, Encryption::Automatic).is_err());
    }
}
