//! Programs join calls and hand them on: who hears whom is told by content.

use serde_json::json;
use tipring_tests::rest::Rest;
use tipring_tests::signal::{chirps, hearing, wav};
use tipring_tests::system::{Setup, System};
use tipring_tests::wait;

fn four_lines(tokens: Vec<Vec<String>>) -> System {
    let line = |n| format!("  - {{id: \"{n}\", engine: sim/{n}, extension: \"10{n}\"}}");
    let lines = [1, 2, 3, 4].map(line).join("\n");
    System::start(Setup {
        engine_yaml: Some("simulated_lines: 4\n".to_owned()),
        apid_yaml: Some(format!("lines:\n{lines}\n")),
        tokens,
        ..Setup::default()
    })
}

/// Rings a line, which is lifted; gives its call.
fn rung(rest: &Rest, line: &str) -> String {
    let call = rest.post_empty(&format!("/v1/lines/{line}/ring")).expect_json(202);
    rest.line_becomes(line, "ringing");
    rest.hook(line, true);
    let id = call["call_id"].as_str().expect("an id").to_owned();
    state_becomes(rest, &id, "connected");
    id
}

fn state_becomes(rest: &Rest, call: &str, state: &str) {
    wait::until_true(state, wait::GENEROUS, || {
        rest.get(&format!("/v1/calls/{call}")).json()["state"] == state
    });
}

/// One line's phone says something, and another's ear has it.
fn hears(system: &System, says: &str, ear: &str, seed: u64) {
    let rest = system.rest();
    let said = chirps(seed, 3000);
    let heard = system.socket(&format!("/v1/lines/{ear}/audio?direction=tx"));
    heard.audio_of(40);
    rest.post_body(&format!("/v1/sim/{says}/speak"), "audio/wav", &wav(&said, 8000, 1)).check(202);
    let hearing = hearing(&said, &heard.audio_of(3000)).expect("recognised");
    assert!(hearing.is_convincing(15), "{says} to {ear}: {hearing:?}");
}

#[test]
fn two_calls_of_a_program_become_one_which_is_handed_on() {
    let system = four_lines(Vec::new());
    let rest = system.rest();
    let (first, second) = (rung(&rest, "1"), rung(&rest, "2"));
    let bridge = |call: &str, with: &str| {
        rest.post(&format!("/v1/calls/{call}/bridge"), &json!({ "with": with }))
    };
    bridge(&first, &first).expect_problem(409, "call-state");
    bridge(&first, "nothing").expect_problem(404, "no-such-call");
    let joined = bridge(&first, &second).expect_json(200);
    assert_eq!((&joined["from"], &joined["to"]), (&json!("line:1"), &json!("line:2")));
    state_becomes(&rest, &first, "connected");
    state_becomes(&rest, &second, "ended");
    hears(&system, "1", "2", 201);
    hears(&system, "2", "1", 202);
    bridge(&first, &second).expect_problem(404, "no-such-call");

    // Line 1 hands line 2 over to line 3, and is free.
    let transfer = format!("/v1/calls/{first}/transfer");
    for wrong in [
        json!({"line": "1", "to": "999"}),
        json!({"line": "9", "to": "103"}),
        json!({"line": "4", "to": "103"}),
        json!({"line": "1"}),
        json!({"line": "1", "to": "101"}),
    ] {
        let status = rest.post(&transfer, &wrong).status;
        assert!(matches!(status, 404 | 409 | 422), "{wrong}: {status}");
    }
    rest.post(&transfer, &json!({"line": "1", "to": "103"})).check(200);
    rest.line_becomes("3", "ringing");
    rest.hook("3", true);
    state_becomes(&rest, &first, "connected");
    hears(&system, "2", "3", 203);
    hears(&system, "3", "2", 204);
    rest.hook("1", false);
    rest.line_becomes("1", "on_hook");
    state_becomes(&rest, &first, "connected");
    rung(&rest, "1");
    rest.hook("2", false);
    state_becomes(&rest, &first, "ended");
}

#[test]
fn a_program_hands_on_the_only_line_it_holds() {
    let system = four_lines(Vec::new());
    let rest = system.rest();
    let call = rung(&rest, "1");
    let playing = json!({"tone": {"frequency_hz": [440], "duration_ms": 200}});
    rest.post("/v1/lines/1/play", &playing).check(202);
    rest.post(&format!("/v1/calls/{call}/transfer"), &json!({"to": "102"})).check(200);
    rest.line_becomes("2", "ringing");
    rest.hook("2", true);
    state_becomes(&rest, &call, "connected");
    hears(&system, "1", "2", 205);
    hears(&system, "2", "1", 206);
}

#[test]
fn whoever_was_asked_first_is_joined_with_whoever_was_on_the_line() {
    let system = four_lines(Vec::new());
    let rest = system.rest();
    let mut calls = Vec::new();
    for (from, to) in [("1", "2"), ("3", "4")] {
        let ends = json!({"from": format!("line:{from}"), "to": format!("line:{to}")});
        let call = rest.post("/v1/calls", &ends).expect_json(202);
        for line in [from, to] {
            rest.line_becomes(line, "ringing");
            rest.hook(line, true);
        }
        let id = call["id"].as_str().expect("an id").to_owned();
        state_becomes(&rest, &id, "connected");
        calls.push(id);
    }
    let attended = json!({"line": "1", "with_line": "3"});
    rest.post(&format!("/v1/calls/{}/transfer", calls[0]), &attended).check(200);
    state_becomes(&rest, &calls[1], "ended");
    state_becomes(&rest, &calls[0], "connected");
    hears(&system, "2", "4", 207);
    hears(&system, "4", "2", 208);
}

#[test]
fn a_token_of_one_line_hands_nothing_to_others() {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let system = four_lines(vec![
        words("all --scope read --scope control --scope audio"),
        words("first --scope read --scope control --line 1"),
    ]);
    let rest = system.rest();
    let first = rest.with_token(&system.tokens[1]);
    let (one, two) = (rung(&rest, "1"), rung(&rest, "2"));
    let transfer =
        |rest: &Rest| rest.post(&format!("/v1/calls/{one}/transfer"), &json!({"to": "103"}));
    transfer(&first).expect_problem(404, "no-such-extension");
    let bridge = json!({ "with": two });
    first.post(&format!("/v1/calls/{one}/bridge"), &bridge).expect_problem(404, "no-such-call");
    rest.post(&format!("/v1/calls/{one}/bridge"), &bridge).check(200);
    state_becomes(&rest, &one, "connected");
    let leaves = json!({"line": "1", "to": "103"});
    let path = format!("/v1/calls/{one}/transfer");
    first.post(&path, &leaves).expect_problem(404, "no-such-call");
    rest.post(&path, &leaves).check(200);
}
