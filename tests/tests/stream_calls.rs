//! Applications behind sockets, in our own dialect: dialled, heard by content, left from both sides;
//! and what they may do wrong without harm.

use serde_json::{Value, json};
use tipring_tests::agent::Agents;
use tipring_tests::ear::share;
use tipring_tests::rest::Rest;
use tipring_tests::signal::{chirps, hearing, to_bytes, wav};
use tipring_tests::socket::Socket;
use tipring_tests::system::{Setup, System};
use tipring_tests::wait;

/// A lifted simulated phone is connected with an agent.
fn talking(system: &System, agents: &Agents, line: &str, query: &str) -> (String, Socket) {
    let rest = system.rest();
    rest.hook(line, true);
    let to = format!("app:{}", agents.url(&format!("/agent{query}")));
    let ends = json!({"from": format!("line:{line}"), "to": to});
    let call = rest.post("/v1/calls", &ends).expect_json(202);
    let (path, mut agent) = agents.accept();
    assert_eq!(path, "/agent");
    let start = agent.expect("a start", |message| message["type"] == "start");
    assert_eq!((&start["call_id"], &start["line"]), (&call["id"], &json!(line)));
    let id = call["id"].as_str().expect("an id").to_owned();
    becomes(&rest, &id, "connected");
    (id, agent)
}

fn becomes(rest: &Rest, call: &str, state: &str) -> Value {
    wait::until(state, wait::GENEROUS, || {
        let call = rest.get(&format!("/v1/calls/{call}")).expect_json(200);
        (call["state"] == state).then_some(call)
    })
}

/// What the phone says reaches the agent, and what the agent says the phone.
fn hear_each_other(system: &System, line: &str, agent: &Socket, seed: u64) {
    let said = chirps(seed, 2500);
    let body = wav(&said, 8000, 1);
    let speak = format!("/v1/sim/{line}/speak");
    system.rest().post_body(&speak, "audio/wav", &body).check(202);
    let before = agent.audio().len() / 8;
    let heard = agent.audio_of(before + 3000);
    let found = hearing(&said, &heard).expect("recognised");
    assert!(found.is_convincing(15) && found.gain_db.abs() < 1.0, "the agent: {found:?}");
    let said = chirps(seed + 1, 2500);
    let ear = system.socket(&format!("/v1/sim/{line}/audio"));
    ear.audio_of(40);
    agent.send_octets(to_bytes(&said));
    let found = hearing(&said, &ear.audio_of(3000)).expect("recognised");
    assert!(found.is_convincing(15) && found.gain_db.abs() < 1.0, "the phone: {found:?}");
}

#[test]
fn an_agent_and_a_phone_hear_each_other_and_either_hangs_up() {
    let system = System::demonstration();
    let rest = system.rest();
    let agents = Agents::listen();
    let (call, mut agent) = talking(&system, &agents, "1", "?dialect=tipring");
    hear_each_other(&system, "1", &agent, 311);
    rest.post("/v1/sim/1/dial", &json!({"digits": "5#", "method": "dtmf"})).check(202);
    for digit in ["5", "#"] {
        agent.expect(digit, |message| message["type"] == "dtmf" && message["digit"] == digit);
    }
    // A mark after a second of audio, cleared in the middle of it.
    agent.send_octets(to_bytes(&chirps(313, 8000)));
    agent.send(&json!({"type": "mark", "name": "end"}));
    let ear = system.socket("/v1/sim/1/audio");
    ear.audio_of(300);
    agent.send(&json!({"type": "clear"}));
    let cleared = agent.expect("cleared", |message| message["type"] == "cleared");
    assert!(cleared["played_ms"].as_u64().is_some_and(|ms| (200..8000).contains(&ms)), "{cleared}");
    agent.expect("its mark", |message| message["type"] == "mark" && message["name"] == "end");
    // What is senseless is answered, and the call goes on.
    for senseless in ["{", "[1,2]", "{\"type\":\"sing\"}"] {
        agent.send_text(senseless);
        agent.expect("an error", |message| message["type"] == "error");
    }
    // The phone is put down.
    rest.hook("1", false);
    let stop = agent.expect("a stop", |message| message["type"] == "stop");
    assert_eq!(stop["cause"]["code"], 16);
    agent.expect_closed();
    becomes(&rest, &call, "ended");
    // Another one, in which the agent hangs up, then one in which it just closes.
    for says in [Some(json!({"type": "hangup"})), None] {
        let (call, agent) = talking(&system, &agents, "2", "");
        match says {
            Some(says) => agent.send(&says),
            None => drop(agent),
        }
        let ended = becomes(&rest, &call, "ended");
        assert_eq!(ended["cause"]["code"], 16);
        rest.hook("2", false);
        rest.line_becomes("2", "on_hook");
    }
}

#[test]
fn a_phone_is_rung_first_and_an_agent_that_cannot_be_reached_is_told_with_its_reason() {
    let system = System::start(Setup {
        apid_yaml: Some(
            "lines:\n  - {id: \"1\", engine: sim/1}\n  - {id: \"2\", engine: sim/2}\n\
             applications: {private: [127.0.0.0/8], connect_timeout_ms: 500}\n"
                .to_owned(),
        ),
        ..Setup::default()
    });
    let rest = system.rest();
    let agents = Agents::listen();
    let mut events = system.socket("/ws");
    let ends = json!({"from": "line:1", "to": format!("app:{}", agents.url("/a?secret=1"))});
    let call = rest.post("/v1/calls", &ends).expect_json(202);
    assert_eq!(call["to"], format!("app:{}", agents.url("/a")), "the query is nobody's");
    rest.line_becomes("1", "ringing");
    rest.hook("1", true);
    let (path, agent) = agents.accept();
    assert_eq!(path, "/a?secret=1");
    let id = call["id"].as_str().expect("an id");
    becomes(&rest, id, "connected");
    hear_each_other(&system, "1", &agent, 321);
    rest.delete(&format!("/v1/calls/{id}")).check(204);
    agent.expect_closed();
    rest.hook("1", false);

    // Nobody listens; somebody answers with nonsense; somebody never answers.
    rest.hook("2", true);
    let nobody = Agents::listen().url("/");
    let refused = |to: &str| rest.post("/v1/calls", &json!({"from": "line:2", "to": to}));
    let ended = |events: &mut Socket, to: &str, cause: u64, reason: &str| {
        let call = refused(&format!("app:{to}")).expect_json(202);
        let error = events.expect("why not", |message| message["code"] == "application_refused");
        assert!(error["error_message"].as_str().is_some_and(|m| m.contains(reason)), "{error}");
        let ended = becomes(&rest, call["id"].as_str().expect("an id"), "ended");
        assert_eq!(ended["cause"]["code"], cause, "{ended}");
    };
    ended(&mut events, &nobody, 38, "no server at");
    let web = format!("ws://{}/v1/lines", system.address());
    ended(&mut events, &web, 21, "answered 200");
    let silent = agents.url("/");
    ended(&mut events, &silent, 18, "did not answer within");
    ended(&mut events, "ws://10.255.255.1:9/", 21, "private network");
    for wrong in ["app:ws://", "app:ws://a/?dialect=klingon", "app:ws://u:p@a/"] {
        refused(wrong).expect_problem(422, "invalid");
    }
}

/// Hz of the tone of one who speaks: each has its own.
fn pitch(number: usize) -> f64 {
    400.0 + 13.0 * number as f64
}

fn tone(number: usize, ms: usize) -> Vec<i16> {
    let step = std::f64::consts::TAU * pitch(number) / 8000.0;
    (0..ms * 8).map(|at| ((at as f64 * step).sin() * 6000.0) as i16).collect()
}

/// Whether the last 300 ms of `audio` are the tone of `number`.
fn is_tone(audio: &[i16], number: usize) -> bool {
    let end = &audio[audio.len().saturating_sub(2400)..];
    end.len() == 2400 && share(end, pitch(number)).is_some_and(|part| part > 0.9)
}

/// Ten hotlines, in the soak a hundred: the pairs hear each other's own tone, all hang up, nothing
/// remains.
#[test]
fn hotlines_call_agents_at_once() {
    let count = if tipring_tests::soak() { 100 } else { 10 };
    let ms = count * 200 + 18_000;
    let agents = Agents::listen();
    let lines: Vec<String> = (1..=count)
        .map(|n| {
            let url = agents.url(&format!("/{n}"));
            format!("  - {{id: \"{n}\", engine: sim/{n}, lifted: {{hotline: \"app:{url}\"}}}}\n")
        })
        .collect();
    let system = System::start(Setup {
        engine_yaml: Some(format!("simulated_lines: {count}\n")),
        apid_yaml: Some(format!(
            "lines:\n{}applications: {{private: [127.0.0.0/8], queue_ms: 60000}}\n\
             api: {{rate_limit_per_minute: 0}}\n",
            lines.concat()
        )),
        ..Setup::default()
    });
    let rest = system.rest();
    let inside = || {
        let inside = rest.get("/v1/diagnostics").expect_json(200);
        (inside["calls"].clone(), inside["clients"].as_array().map(Vec::len))
    };
    let (_, before) = inside();
    // An agent that does not answer within five seconds is given up.
    let mut sockets: Vec<(usize, Socket)> = (1..=count)
        .map(|n| {
            rest.hook(&n.to_string(), true);
            let (path, socket) = agents.accept();
            (path.trim_start_matches('/').parse().expect("a number"), socket)
        })
        .collect();
    sockets.sort_by_key(|(number, _)| *number);
    assert!(sockets.iter().map(|(number, _)| *number).eq(1..=count), "each hotline once");
    rest.calls_become(count);
    for (number, socket) in &sockets {
        let body = wav(&tone(*number, ms), 8000, 1);
        rest.post_body(&format!("/v1/sim/{number}/speak"), "audio/wav", &body).check(202);
        socket.send_octets(to_bytes(&tone(2 * count + 1 - number, ms)));
    }
    for (number, socket) in &sockets {
        wait::until_true("the phone's own tone", wait::GENEROUS, || {
            is_tone(&socket.audio(), *number)
        });
        let ear = system.socket(&format!("/v1/sim/{number}/audio"));
        wait::until_true("the agent's own tone", wait::GENEROUS, || {
            is_tone(&ear.audio(), 2 * count + 1 - number)
        });
    }
    // Half of them are put down, the other half's agents leave.
    for (number, _) in sockets.iter().filter(|(number, _)| number % 2 == 0) {
        rest.hook(&number.to_string(), false);
    }
    sockets.retain(|(number, _)| number % 2 == 0);
    for (_, socket) in &sockets {
        socket.expect_closed();
    }
    rest.calls_become(0);
    wait::until_true("nothing that remains", wait::GENEROUS, || {
        let (calls, clients) = inside();
        calls == 0 && clients == before
    });
}

#[test]
fn nothing_an_agent_does_harms_its_call_or_another() {
    let system = System::start(Setup {
        apid_yaml: Some(
            "lines:\n  - {id: \"1\", engine: sim/1}\n  - {id: \"2\", engine: sim/2}\n\
             applications: {private: [127.0.0.0/8], stall_ms: 1000, queue_ms: 5000}\n"
                .to_owned(),
        ),
        ..Setup::default()
    });
    let rest = system.rest();
    let agents = Agents::listen();
    let mut events = system.socket("/ws");
    let (good, quiet) = talking(&system, &agents, "1", "");
    // Pieces of one octet, then a megabyte: far more than may wait.
    let (call, mut agent) = talking(&system, &agents, "2", "");
    let said = chirps(331, 2000);
    let ear = system.socket("/v1/sim/2/audio");
    ear.audio_of(40);
    for octet in to_bytes(&said) {
        agent.send_octets(vec![octet]);
    }
    let found = hearing(&said, &ear.audio_of(3500)).expect("recognised");
    assert!(found.is_convincing(12), "octet by octet: {found:?}");
    agent.send_octets(vec![0; 1_000_000]);
    events.expect("an overrun", |message| message["code"] == "application_overrun");
    agent.send(&json!({"type": "clear"}));
    agent.expect("cleared", |message| message["type"] == "cleared");
    becomes(&rest, &call, "connected");
    // One message that is longer than any may be ends its own call only.
    agent.send_octets(vec![0; 5_000_000]);
    let lost = events.expect("its loss", |message| message["code"] == "application_lost");
    assert!(lost["error_message"].as_str().is_some_and(|m| m.contains("too long")), "{lost}");
    let ended = becomes(&rest, &call, "ended");
    assert_eq!(ended["cause"]["code"], 38);
    rest.hook("2", false);
    rest.line_becomes("2", "on_hook");
    // One who reads no more: its call ends when it has taken nothing for a second.
    rest.hook("2", true);
    agents.narrow();
    let to = format!("app:{}", agents.url("/"));
    let call = rest.post("/v1/calls", &json!({"from": "line:2", "to": to})).expect_json(202);
    let deaf = agents.accept_unread();
    let id = call["id"].as_str().expect("an id");
    hear_each_other(&system, "1", &quiet, 335);
    let lost = events.expect("its loss", |message| message["code"] == "application_lost");
    assert!(lost["error_message"].as_str().is_some_and(|m| m.contains("1000 ms")), "{lost}");
    let ended = becomes(&rest, id, "ended");
    assert_eq!(ended["cause"]["code"], 38);
    drop(deaf);
    becomes(&rest, &good, "connected");
}
