//! Listening in on a call of two telephones from a third one, and whispering to one of the two.

use serde_json::{Value, json};
use tipring_tests::ear::Ear;
use tipring_tests::signal::{chirps, find, samples};
use tipring_tests::system::{Setup, System};
use tipring_tests::wait::{GENEROUS, until_true};

const YAML: &str = "
lines:
  - {id: \"1\", engine: sim/1, extension: \"101\"}
  - {id: \"2\", engine: sim/2, extension: \"102\"}
  - {id: \"3\", engine: sim/3, extension: \"103\"}
";

/// Where `said` is in what was heard since.
fn score(said: &[i16], heard: &[i16]) -> f64 {
    find(&said[samples(300)..samples(900)], heard).map_or(0.0, |found| found.score)
}

/// Says something new; of the ears some hear it, and the others nothing of it.
#[track_caller]
fn says(mouth: &Ear, seed: u64, hear: &[&Ear], deaf: &[&Ear]) {
    let said = chirps(seed, 1200);
    let from = |ear: &&Ear| ear.heard().len();
    let (hear_from, deaf_from): (Vec<_>, Vec<_>) =
        (hear.iter().map(from).collect(), deaf.iter().map(from).collect());
    mouth.say(&said);
    for (ear, from) in hear.iter().zip(hear_from) {
        until_true(&format!("ear {seed}"), GENEROUS, || score(&said, &ear.heard()[from..]) > 0.8);
    }
    for (ear, from) in deaf.iter().zip(deaf_from) {
        let heard = ear.hears_for(300);
        let score = score(&said, &heard[from..]);
        assert!(score < 0.5, "{seed}: {score}");
    }
}

#[test]
fn a_third_telephone_hears_both_and_whispers_to_one() {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let system = System::start(Setup {
        engine_yaml: Some("simulated_lines: 3\n".to_owned()),
        apid_yaml: Some(YAML.to_owned()),
        tokens: vec![
            words("all --scope read --scope control --scope audio"),
            words("deaf --scope read --scope control"),
            words("some --scope read --scope control --scope audio --line 1 --line 3"),
        ],
        ..Setup::default()
    });
    let rest = system.rest();
    let (deaf, some) = (rest.with_token(&system.tokens[1]), rest.with_token(&system.tokens[2]));
    let mut events = system.socket("/v1/events?types=call_*");
    let one = Ear::lift(&system, "1");
    one.press("102");
    rest.line_becomes("2", "ringing");
    let call = rest.calls_become(1).remove(0);
    let path = format!("/v1/calls/{}/listen", call["id"].as_str().expect("an id"));
    let listen = |body: Value| rest.post(&path, &body);
    listen(json!({"line": "3"})).expect_problem(409, "call-state");
    let other = Ear::lift(&system, "2");
    events.expect("connected", |m| m["type"] == "call_connected");

    deaf.post(&path, &json!({"line": "3"})).expect_problem(403, "forbidden");
    some.post(&path, &json!({"line": "3"})).expect_problem(404, "no-such-call");
    listen(json!({"line": "2"})).expect_problem(422, "invalid");
    listen(json!({"line": "3", "whispers_to": "3"})).expect_problem(422, "invalid");
    listen(json!({"line": "9"})).expect_problem(404, "no-such-line");
    rest.post("/v1/calls/none/listen", &json!({"line": "3"})).expect_problem(404, "no-such-call");

    let connected = |events: &mut tipring_tests::socket::Socket| {
        events.expect("its call", |m| {
            m["type"] == "call_connected" && m["call"]["legs"].to_string().contains("line:3")
        })
    };
    // It rings, is lifted, hears both, and neither hears it.
    listen(json!({"line": "3"})).check(202);
    rest.line_becomes("3", "ringing");
    let ear = Ear::lift(&system, "3");
    connected(&mut events);
    says(&one, 1, &[&ear, &other], &[&one]);
    says(&other, 2, &[&ear, &one], &[]);
    says(&ear, 3, &[], &[&one, &other, &ear]);
    drop(ear);
    rest.calls_become(1);

    // One that is lifted hears at once; the one it whispers to hears it, and nobody else.
    let ear = Ear::lift(&system, "3");
    listen(json!({"line": "3", "whispers_to": "2"})).check(202);
    connected(&mut events);
    says(&other, 4, &[&ear, &one], &[]);
    says(&ear, 5, &[&other], &[&one, &ear]);
    says(&one, 6, &[&ear, &other], &[]);

    // The call is over, and with it listening in.
    drop(other);
    rest.calls_become(0);
    drop((one, ear));
}
