//! The inbound call handler, written from its description: apid's server, its gateway, and both
//! commands of `tipring handler`.

use serde_json::{Value, json};
use std::process::Command;
use tipring_tests::agent::Agents;
use tipring_tests::process::{Folder, Process};
use tipring_tests::rest::Rest;
use tipring_tests::signal::{chirps, hearing, to_bytes, wav};
use tipring_tests::socket::Socket;
use tipring_tests::system::{Setup, System, program};
use tipring_tests::wait;

/// A system whose handler is quick.
fn quick(handler: &str) -> System {
    System::start(Setup {
        apid_yaml: Some(format!(
            "lines:\n  - {{id: \"1\", engine: sim/1, extension: \"101\"}}\n\
             applications: {{private: [127.0.0.0/8]}}\nhandler: {{{handler}}}\n"
        )),
        ..Setup::default()
    })
}

fn log_of(system: &System) -> String {
    system.apid.as_ref().expect("it runs").log()
}

fn logged(system: &System, what: &str) {
    wait::until_true(what, wait::GENEROUS, || log_of(system).contains(what));
}

fn becomes(rest: &Rest, call: &str, state: &str) -> Value {
    wait::until(state, wait::GENEROUS, || {
        let call = rest.get(&format!("/v1/calls/{call}")).expect_json(200);
        (call["state"] == state).then_some(call)
    })
}

#[test]
fn the_server_drives_a_call_and_echoes_byte_for_byte() {
    let system = quick("announce_ms: 100, answer_ms: 300, hangup_ms: 1500, close_ms: 200");
    let address = format!("127.0.0.1:{}", system.ports.handler);
    let mut client = Socket::open(&address, "/", None);
    let only = |event: &'static str| move |message: &Value| *message == json!({ "event": event });
    client.expect("the announcement", only("incoming_call"));
    client.expect("the answer", only("answer"));
    let pieces: Vec<Vec<u8>> = (0..50u8).map(|n| vec![n; 1 + usize::from(n) * 7]).collect();
    for piece in &pieces {
        client.send_octets(piece.clone());
    }
    for (digit, line) in [("5", "session abc: dtmf 5"), ("x", "session abc: dtmf refused")] {
        client.send(&json!({"event": "dtmf", "sessionId": "abc", "digit": digit}));
        logged(&system, line);
    }
    for nonsense in ["{", "[1]", "{\"event\":\"sing\"}"] {
        client.send_text(nonsense);
    }
    logged(&system, "is no event");
    client.expect("the end", only("hangup"));
    client.expect_closed();
    let echoed: Vec<Vec<u8>> = client.chunks().into_iter().map(|chunk| chunk.octets).collect();
    assert_eq!(echoed, pieces);
    // One that hangs up itself, with an id of its own.
    let mut client = Socket::open(&address, "/", None);
    client.expect("the announcement", only("incoming_call"));
    client.send(&json!({"event": "hangup", "sessionId": "xyz"}));
    logged(&system, "session xyz: hangup");
    client.expect_closed();
}

#[test]
fn a_lifted_phone_reaches_the_handler_by_the_gateway_and_hears_itself() {
    let system = quick("announce_ms: 5000, answer_ms: 300, hangup_ms: 5000, close_ms: 500");
    let rest = system.rest();
    rest.hook("1", true);
    let to = format!("app:ws://127.0.0.1:{}/?dialect=handler", system.ports.handler);
    let call = rest.post("/v1/calls", &json!({"from": "line:1", "to": to})).expect_json(202);
    let id = call["id"].as_str().expect("an id");
    becomes(&rest, id, "connected");
    let ear = system.socket("/v1/lines/1/audio?direction=tx");
    ear.audio_of(40);
    let said = chirps(511, 2500);
    rest.post_body("/v1/sim/1/speak", "audio/wav", &wav(&said, 8000, 1)).check(202);
    let found = hearing(&said, &ear.audio_of(3000)).expect("recognised");
    assert!(found.is_convincing(15) && found.gain_db.abs() < 1.0, "{found:?}");
    let ended = becomes(&rest, id, "ended");
    assert_eq!(ended["cause"]["code"], 16);
    logged(&system, "\\\"event\\\":\\\"cdr\\\"");
}

#[test]
fn an_application_is_told_of_a_call_and_sent_its_record() {
    let system = System::demonstration();
    let rest = system.rest();
    let agents = Agents::listen();
    rest.hook("1", true);
    let to = format!("app:{}", agents.url("/?dialect=handler"));
    let call = rest.post("/v1/calls", &json!({"from": "line:1", "to": to})).expect_json(202);
    let id = call["id"].as_str().expect("an id");
    let (_, mut app) = agents.accept();
    let told = app.expect("the call", |message| message["event"] == "incoming_call");
    let session = told["sessionId"].as_str().expect("an id").to_owned();
    assert_eq!((told["callerId"].as_str(), session.len()), (Some("101"), 32));
    assert_eq!(rest.get(&format!("/v1/calls/{id}")).expect_json(200)["state"], "ringing");
    app.send(&json!({"event": "answer"}));
    becomes(&rest, id, "connected");
    let ear = system.socket("/v1/sim/1/audio");
    ear.audio_of(40);
    let said = chirps(521, 2000);
    app.send_octets(to_bytes(&said));
    let found = hearing(&said, &ear.audio_of(2500)).expect("recognised");
    assert!(found.is_convincing(12), "{found:?}");
    rest.post("/v1/sim/1/dial", &json!({"digits": "7", "method": "dtmf"})).check(202);
    app.expect("the digit", |m| {
        m["event"] == "dtmf" && m["digit"] == "7" && m["sessionId"] == session
    });
    app.send(&json!({"event": "interrupt"}));
    rest.hook("1", false);
    app.expect("the end", |message| message["event"] == "hangup");
    let record = app.expect("the record", |message| message["event"] == "cdr");
    assert_eq!(
        (&record["disposition"], &record["hangupBy"], &record["hangupCauseCode"]),
        (&json!("ANSWERED"), &json!("caller"), &json!("16"))
    );
    app.expect_closed();
}

fn tipring(folder: &Folder, arguments: &[&str]) -> Process {
    let mut command = Command::new(program("tipring"));
    command.arg("handler").args(arguments);
    Process::start(&mut command, &folder.file(arguments[0]))
}

fn says(process: &Process, what: &str) {
    wait::until_true(what, wait::GENEROUS, || process.log().contains(what));
}

#[test]
fn the_commands_print_what_happens() {
    let system = quick("announce_ms: 100, answer_ms: 200, hangup_ms: 2500, close_ms: 500");
    let folder = Folder::new("handler");
    let url = format!("ws://127.0.0.1:{}", system.ports.handler);
    let client = tipring(&folder, &["client", "--url", &url]);
    for line in [
        " - INFO - Connected!",
        " - INFO - Received JSON: {\"event\":\"incoming_call\"}",
        " - INFO - Call ANSWERED!",
        " - INFO - Sent DTMF 2",
        " - INFO - Received JSON: {\"event\":\"hangup\"}",
    ] {
        says(&client, line);
    }
    logged(&system, "dtmf 2");
    // Nobody is there; then somebody is.
    let port = tipring_tests::system::free_port("127.0.0.1".parse().expect("an address"));
    let url = format!("ws://localhost:{port}");
    let nobody =
        tipring(&folder, &["client", "--url", &url, "--no-dtmf", "--auto-hangup", "--verbose"]);
    says(&nobody, &format!("no server is running at {url}"));
    let server = tipring(&folder, &["server", "--host", "localhost", "--port", &port.to_string()]);
    says(&server, &format!(" - INFO - WebSocket server listening on ws://localhost:{port}"));
    let mut client = Socket::open(&format!("localhost:{port}"), "/", None);
    client.expect("the announcement", |message| message["event"] == "incoming_call");
    says(&server, "sent incoming_call");
}
