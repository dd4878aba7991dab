//! Conferences: three simulated telephones and a SIP phone sit in one, each hears exactly the others;
//! they are muted, asked to leave, put down; apid is killed and the next one finds them.

use serde_json::{Value, json};
use tipring_tests::baresip::{Baresip, Telephone};
use tipring_tests::rest::{Answer, Rest};
use tipring_tests::signal::{chirps, follow, from_bytes, samples, syllables, wav};
use tipring_tests::socket::Socket;
use tipring_tests::system::{Setup, System};
use tipring_tests::wait::{GENEROUS, until_true};

const LINES: [&str; 3] = ["1", "2", "3"];

fn yaml() -> String {
    let lifted = ["plan: house", "plan: house", "hotline: \"conference:lobby\"", "events: true"];
    let lines: Vec<String> = (1..=4)
        .zip(lifted)
        .map(|(n, lifted)| format!("  - {{id: \"{n}\", engine: sim/{n}, lifted: {{{lifted}}}}}\n"))
        .collect();
    format!(
        "dial_plans:\n  house:\n    - {{dial: \"800\", to: \"conference:lobby\"}}\nlines:\n{}\
         sip:\n  accounts:\n    - {{user: phone1, password: secret, plan: house, algorithms: [md5]}}\n\
         calls: {{conference_members: 4}}\n",
        lines.concat()
    )
}

fn members(rest: &Rest) -> Vec<Value> {
    let answer = rest.get("/v1/conferences/lobby");
    let members = if answer.status == 200 { answer.json()["members"].clone() } else { json!([]) };
    members.as_array().expect("members").clone()
}

#[track_caller]
fn sit(rest: &Rest, lines: &[&str]) {
    until_true(&format!("{lines:?} in the lobby"), GENEROUS, || {
        let members = members(rest);
        let mut sitting: Vec<&str> = members.iter().filter_map(|m| m["line"].as_str()).collect();
        sitting.sort_unstable();
        let connected = members.iter().all(|member| {
            let call = format!("/v1/calls/{}", member["call_id"].as_str().unwrap_or_default());
            rest.get(&call).json()["state"] == "connected"
        });
        sitting == lines && connected
    });
}

fn patch(rest: &Rest, line: &str, body: &Value) -> Answer {
    let path = format!("/v1/conferences/lobby/members/{line}");
    let headers = [("Content-Type", "application/json")];
    rest.send("PATCH", &path, &headers, body.to_string().as_bytes())
}

/// How many pieces of 100 ms of what somebody said are in what was heard beside others.
fn found(said: &[i16], heard: &[i16]) -> usize {
    // Among three others each has a third of the power: a score of 0.5 is far above chance.
    let points = follow(heard, said, 300, 300);
    points.iter().filter(|point| point.score > 0.4).count()
}

/// What everybody says, one after the other, so that each can be told from the rest: `heard[ear]`
/// holds whom it has heard.
fn round(system: &System, mouths: &[&str], ears: &[&str]) -> Vec<Vec<bool>> {
    let rest = system.rest();
    let sockets: Vec<Socket> = ears
        .iter()
        .map(|line| system.socket(&format!("/v1/lines/{line}/audio?direction=tx")))
        .collect();
    for socket in &sockets {
        socket.audio_of(40);
    }
    let mut heard = vec![Vec::new(); ears.len()];
    for (index, mouth) in mouths.iter().enumerate() {
        let said = chirps(500 + index as u64, 900);
        let from: Vec<usize> = sockets.iter().map(|socket| socket.audio().len()).collect();
        let speech = wav(&said, 8000, 1);
        rest.post_body(&format!("/v1/sim/{mouth}/speak"), "audio/wav", &speech).check(202);
        for ((socket, from), heard) in sockets.iter().zip(from).zip(&mut heard) {
            let audio = socket.audio_of(from / samples(1) + 1200);
            let pieces = found(&said, &audio[from..]);
            assert!(pieces == 0 || pieces >= 2, "{mouth}: {pieces} of 3 pieces");
            heard.push(pieces >= 2);
        }
    }
    heard
}

#[test]
fn everybody_hears_the_others_whatever_happens_to_apid() {
    let mut system = System::start(Setup {
        engine_yaml: Some("simulated_lines: 4\nrtp_lines: 4\n".to_owned()),
        apid_yaml: Some(yaml()),
        ..Setup::default()
    });
    let rest = system.rest();
    let mut events = system.socket("/v1/events?types=conference_*,call_ended");
    rest.get("/v1/conferences/lobby").expect_problem(404, "no-such-conference");
    // One dials, one is asked in and rings first, one has a hotline, a SIP phone dials.
    rest.hook("1", true);
    rest.post("/v1/sim/1/dial", &json!({"digits": "800"})).check(202);
    let joined = events.expect("the first", |m| m["type"] == "conference_joined");
    assert_eq!((&joined["line"], &joined["conference"]), (&json!("1"), &json!("lobby")));
    let ask = |body: Value| rest.post("/v1/conferences/lobby/members", &body);
    let call = ask(json!({"line": "2"})).expect_json(202);
    assert_eq!(call["to"], "conference:lobby", "{call}");
    rest.line_becomes("2", "ringing");
    rest.hook("2", true);
    rest.hook("3", true);
    let speech = chirps(77, 90_000);
    let phone = Baresip::start(&Telephone::new("phone1", &system.sip_address(), speech.clone()));
    phone.dial("800");
    phone.expect_event("CALL_ESTABLISHED");
    sit(&rest, &["1", "2", "3", "phone1"]);
    ask(json!({"line": "4"})).expect_problem(409, "call-state");
    ask(json!({"line": "9"})).expect_problem(404, "no-such-line");
    ask(json!({"line": "4", "role": "whispers"})).expect_problem(422, "invalid");
    let nowhere = rest.post("/v1/conferences/a%20b/members", &json!({"line": "4"}));
    nowhere.expect_problem(422, "invalid");

    // The SIP phone is heard by all three all the time, and hears them.
    let ear = system.socket("/v1/lines/2/audio?direction=tx");
    let heard = ear.audio_of(1500);
    let pieces = follow(&speech, &heard, 300, 300);
    assert!(pieces.iter().filter(|piece| piece.score > 0.8).count() >= 3, "{pieces:?}");
    let from = phone.heard().len() / samples(1);
    let said = chirps(78, 1500);
    rest.post_body("/v1/sim/3/speak", "audio/wav", &wav(&said, 8000, 1)).check(202);
    assert!(found(&said, &phone.heard_of(from + 2500)[from * samples(1)..]) >= 4);
    patch(&rest, "phone1", &json!({"muted": true})).check(200);
    events.expect("its mute", |m| m["type"] == "conference_muted" && m["line"] == "phone1");

    // Each hears exactly the others.
    let (yes, no) = (true, false);
    let others = vec![vec![no, yes, yes], vec![yes, no, yes], vec![yes, yes, no]];
    assert_eq!(round(&system, &LINES, &LINES), others);
    let muted = patch(&rest, "1", &json!({"muted": true})).expect_json(200);
    assert_eq!((&muted["line"], &muted["muted"]), (&json!("1"), &json!(true)));
    let muted = vec![vec![no, yes, yes], vec![no, no, yes], vec![no, yes, no]];
    let recording = rest.post_empty("/v1/conferences/lobby/recordings").expect_json(201);
    assert_eq!(recording["line"], "conference:lobby");
    assert_eq!(round(&system, &LINES, &LINES), muted);
    let recording = format!("/v1/recordings/{}", recording["id"].as_str().expect("an id"));
    let stopped = rest.delete(&recording).expect_json(200);
    assert_eq!(stopped["id"], recording.rsplit('/').next().expect("an id"), "{stopped}");
    let audio = rest.get(&format!("{recording}/audio")).expect(200).body;
    let audio = from_bytes(&audio[44..]);
    let recorded = [500, 501, 502].map(|seed| found(&chirps(seed, 900), &audio) >= 2);
    assert_eq!(recorded, [no, yes, yes], "one is muted");
    patch(&rest, "1", &json!({"muted": false})).check(200);
    patch(&rest, "4", &json!({"muted": true})).expect_problem(404, "no-such-line");

    // Who speaks is told.
    let speech = syllables(5, 1500);
    rest.post_body("/v1/sim/2/speak", "audio/wav", &wav(&speech, 8000, 1)).check(202);
    let speaks = events.expect("who speaks", |m| {
        m["type"] == "conference_speaking" && m["speaking"] == true && m["line"] == "2"
    });
    assert_eq!(speaks["conference"], "lobby");

    // apid is killed: the audio goes on, and the next one knows who sits there.
    drop(events);
    system.apid.as_mut().expect("it runs").kill();
    system.start_apid();
    system.ready();
    sit(&rest, &["1", "2", "3", "phone1"]);
    assert_eq!(round(&system, &LINES, &LINES), others);

    // One is asked to leave, one puts down, the rest is sent away; then nothing is left.
    let mut events = system.socket("/v1/events?types=conference_*,call_ended");
    rest.delete("/v1/conferences/lobby/members/3").check(204);
    let left = events.expect("one who left", |m| m["type"] == "conference_left");
    assert_eq!(left["line"], "3");
    rest.hook("1", false);
    sit(&rest, &["2", "phone1"]);
    ask(json!({"line": "1", "role": "listens"})).check(202);
    rest.line_becomes("1", "ringing");
    rest.hook("1", true);
    sit(&rest, &["1", "2", "phone1"]);
    let listens = vec![vec![no, yes], vec![no, no]];
    assert_eq!(round(&system, &["1", "2"], &["1", "2"]), listens);
    rest.delete("/v1/conferences/lobby").check(204);
    phone.expect_event("CALL_CLOSED");
    sit(&rest, &[]);
    rest.calls_become(0);
    rest.get("/v1/conferences").check(200);
    assert_eq!(rest.get("/v1/conferences").json()["conferences"], json!([]));
}
