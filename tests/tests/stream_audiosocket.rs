//! AudioSocket: a server written strictly from its description, and the transports of a voice agent
//! that nobody here wrote, for this and for chan_websocket.

use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use tipring_tests::agent::Agents;
use tipring_tests::python_agent::PythonAgent;
use tipring_tests::rest::Rest;
use tipring_tests::signal::{chirps, from_bytes, hearing, to_bytes, wav};
use tipring_tests::system::System;
use tipring_tests::wait;

/// A lifted phone calls an application.
fn call(rest: &Rest, to: &str) -> String {
    rest.hook("1", true);
    let ends = json!({"from": "line:1", "to": format!("app:{to}")});
    let call = rest.post("/v1/calls", &ends).expect_json(202);
    call["id"].as_str().expect("an id").to_owned()
}

fn becomes(rest: &Rest, call: &str, state: &str) -> Value {
    wait::until(state, wait::GENEROUS, || {
        let call = rest.get(&format!("/v1/calls/{call}")).expect_json(200);
        (call["state"] == state).then_some(call)
    })
}

fn put_down(rest: &Rest) {
    rest.hook("1", false);
    rest.line_becomes("1", "on_hook");
}

/// The next packet: its type and payload.
fn packet(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut head = [0; 3];
    stream.read_exact(&mut head).expect("a head");
    let mut payload = vec![0; usize::from(u16::from_be_bytes([head[1], head[2]]))];
    stream.read_exact(&mut payload).expect("a payload");
    (head[0], payload)
}

fn send(stream: &mut TcpStream, kind: u8, payload: &[u8]) {
    let length = u16::try_from(payload.len()).expect("a short one").to_be_bytes();
    let octets = [&[kind], &length[..], payload].concat();
    stream.write_all(&octets).expect("it is read");
}

/// Packets until one is no audio; the audio, and that one.
fn audio(stream: &mut TcpStream, enough: usize) -> (Vec<u8>, Option<(u8, Vec<u8>)>) {
    let mut heard = Vec::new();
    while heard.len() < enough {
        let (kind, payload) = packet(stream);
        if kind != 0x10 {
            return (heard, Some((kind, payload)));
        }
        assert_eq!(payload.len(), 320, "20 ms at 8 kHz");
        heard.extend(payload);
    }
    (heard, None)
}

#[test]
fn a_strict_server_is_named_the_call_heard_and_told_digits_and_the_end() {
    let system = System::demonstration();
    let rest = system.rest();
    let servers = Agents::listen();
    let url = servers.url("").replacen("ws://", "audiosocket://", 1);
    let id = call(&rest, &url);
    let mut stream = servers.stream();
    let (kind, uuid) = packet(&mut stream);
    assert_eq!((kind, uuid.len()), (0x01, 16));
    assert_eq!((uuid[6] >> 4, uuid[8] >> 6), (4, 2), "a random one: {uuid:02x?}");
    becomes(&rest, &id, "connected");

    let said = chirps(711, 2500);
    rest.post_body("/v1/sim/1/speak", "audio/wav", &wav(&said, 8000, 1)).check(202);
    let (heard, other) = audio(&mut stream, 3000 * 16);
    assert_eq!(other, None);
    let found = hearing(&said, &from_bytes(&heard)).expect("recognised");
    assert!(found.is_convincing(15) && found.gain_db.abs() < 1.0, "the server: {found:?}");
    rest.post("/v1/sim/1/dial", &json!({"digits": "5", "method": "dtmf"})).check(202);
    let (_, digit) = audio(&mut stream, usize::MAX);
    assert_eq!(digit, Some((0x03, b"5".to_vec())));

    // Packets of odd lengths, torn where TCP likes.
    let ear = system.socket("/v1/sim/1/audio");
    ear.audio_of(40);
    let mut octets = Vec::new();
    for piece in to_bytes(&said).chunks(777) {
        octets.push(0x10);
        octets.extend(u16::try_from(piece.len()).expect("short").to_be_bytes());
        octets.extend(piece);
    }
    for torn in octets.chunks(1001) {
        stream.write_all(torn).expect("it is read");
    }
    let found = hearing(&said, &ear.audio_of(3200)).expect("recognised");
    assert!(found.is_convincing(15) && found.gain_db.abs() < 1.0, "the phone: {found:?}");

    // What makes no sense is told, and the call goes on until the phone is put down.
    let mut events = system.socket("/ws");
    for (kind, payload, reason) in
        [(0x12, &[0; 640][..], "type 0x12"), (0x42, &[], "type 0x42"), (0xff, &[4], "error [04]")]
    {
        send(&mut stream, kind, payload);
        let told = events.expect(reason, |m| m["code"] == "application_ignored");
        assert!(told["error_message"].as_str().is_some_and(|m| m.contains(reason)), "{told}");
    }
    put_down(&rest);
    let (_, end) = audio(&mut stream, usize::MAX);
    assert_eq!(end, Some((0x00, Vec::new())));
    assert_eq!(stream.read(&mut [0; 1]).expect("it closes"), 0);
    becomes(&rest, &id, "ended");

    // The server hangs up, by a packet, by closing, and by breaking off in a packet.
    for (last, cause) in [(&[0, 0, 0][..], 16), (&[], 16), (&[0x10, 1, 0x40, 0], 38)] {
        let id = call(&rest, &url);
        let mut stream = servers.stream();
        becomes(&rest, &id, "connected");
        stream.write_all(last).expect("it is read");
        stream.shutdown(std::net::Shutdown::Write).expect("it is open");
        assert_eq!(becomes(&rest, &id, "ended")["cause"]["code"], cause, "after {last:?}");
        put_down(&rest);
    }
    for (wrong, reason) in [
        ("app:audiosocket://127.0.0.1", "port"),
        ("app:audiosocket://127.0.0.1:9/x", "no path"),
        ("app:audiosocket://127.0.0.1:9?dialect=twilio", "no path"),
    ] {
        rest.hook("1", true);
        let ends = json!({"from": "line:1", "to": wrong});
        let refused = rest.post("/v1/calls", &ends).expect_problem(422, "invalid");
        assert!(refused["detail"].as_str().is_some_and(|d| d.contains(reason)), "{refused}");
    }
}

#[test]
fn an_agent_that_nobody_here_wrote_echoes_over_both_of_asterisks_sockets() {
    let system = System::demonstration();
    let rest = system.rest();
    for kind in ["audiosocket", "websocket"] {
        let agent = PythonAgent::start("asterisk_voice_agent.py", &[kind]);
        let to = match kind {
            "audiosocket" => format!("audiosocket://127.0.0.1:{}", agent.port),
            _ => format!(
                "ws://127.0.0.1:{}/?uuid=a-call&dialect=asterisk&control=json&format=pcm_s16le",
                agent.port
            ),
        };
        let id = call(&rest, &to);
        becomes(&rest, &id, "connected");
        let named = agent.says("call 1 ");
        assert!(
            if kind == "audiosocket" { named.len() == 36 } else { named == "a-call" },
            "{named}"
        );
        let said = chirps(721, 2500);
        let ear = system.socket("/v1/sim/1/audio");
        ear.audio_of(40);
        rest.post_body("/v1/sim/1/speak", "audio/wav", &wav(&said, 8000, 1)).check(202);
        let found = hearing(&said, &ear.audio_of(3500)).expect("recognised");
        assert!(found.is_convincing(15) && found.gain_db.abs() < 1.0, "{kind}: {found:?}");
        put_down(&rest);
        agent.says("over 1 ");
        becomes(&rest, &id, "ended");
        let id = call(&rest, &to);
        agent.says("over 2 50");
        assert_eq!(becomes(&rest, &id, "ended")["cause"]["code"], 16, "{}", agent.output());
        put_down(&rest);
    }
}
