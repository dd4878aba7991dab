//! Digits that a program waits for: by count, terminator and time, after a prompt that the first
//! one silences, and pressed before anybody asked.

use serde_json::{Value, json};
use tipring_tests::rest::Rest;
use tipring_tests::system::System;
use tipring_tests::wait;

/// Asks in the background.
fn asked(rest: &Rest, body: &Value) -> std::thread::JoinHandle<Value> {
    let (rest, body) = (rest.clone(), body.clone());
    std::thread::spawn(move || {
        // Whoever looks for somebody who waits waits a moment himself.
        let free = || Some(rest.post("/v1/lines/1/collect", &body)).filter(|a| a.status != 409);
        wait::until("an answer", wait::GENEROUS, free).expect_json(200)
    })
}

/// Waits until somebody waits for digits of line 1: a second one is refused then.
fn awaited(rest: &Rest) {
    let second = json!({"count": 1, "first_timeout_ms": 100});
    wait::until_true("somebody who waits", wait::GENEROUS, || {
        rest.post("/v1/lines/1/collect", &second).status == 409
    });
}

fn dial(rest: &Rest, digits: &str) {
    rest.post("/v1/sim/1/dial", &json!({ "digits": digits })).check(202);
}

fn lifted() -> (System, Rest) {
    let system = System::demonstration();
    let rest = system.rest();
    rest.post("/v1/lines/1/collect", &json!({})).expect_problem(409, "wrong-state");
    rest.hook("1", true);
    rest.post_empty("/v1/lines/1/answer").check(202);
    (system, rest)
}

#[test]
fn digits_are_complete_by_count_terminator_time_and_hang_up() {
    let (_system, rest) = lifted();
    let answer = |asked: std::thread::JoinHandle<Value>| asked.join().expect("an answer");

    let four = asked(&rest, &json!({"count": 4, "filter": "0123456789"}));
    awaited(&rest);
    dial(&rest, "1*23#4");
    let told = answer(four);
    assert_eq!(told, json!({"digits": "1234", "ended": "count", "terminator": null}));

    let until_hash = asked(&rest, &json!({}));
    awaited(&rest);
    dial(&rest, "42#");
    let told = answer(until_hash);
    assert_eq!(told, json!({"digits": "42", "ended": "terminator", "terminator": "#"}));

    let few = asked(&rest, &json!({"count": 9, "inter_digit_ms": 700}));
    awaited(&rest);
    dial(&rest, "77");
    assert_eq!(answer(few), json!({"digits": "77", "ended": "timeout", "terminator": null}));

    let none = asked(&rest, &json!({"first_timeout_ms": 300}));
    assert_eq!(answer(none), json!({"digits": "", "ended": "timeout", "terminator": null}));

    let cut = asked(&rest, &json!({"count": 4}));
    awaited(&rest);
    dial(&rest, "9");
    wait::until_true("the digit", wait::GENEROUS, || rest.line("1")["last_digit"] == "9");
    rest.hook("1", false);
    assert_eq!(answer(cut), json!({"digits": "9", "ended": "hung_up", "terminator": null}));
}

#[test]
fn the_first_digit_silences_the_prompt_unless_it_may_not() {
    let (system, rest) = lifted();
    let mut events = system.socket("/ws");
    let tone = json!({"tone": {"frequency_hz": [500], "duration_ms": 60_000}});
    let barging = asked(&rest, &json!({"count": 2, "play": tone}));
    events.expect_event("playback_started", "1");
    dial(&rest, "12");
    assert_eq!(events.expect_event("playback_ended", "1")["cause"], "digit");
    assert_eq!(barging.join().expect("an answer")["digits"], "12");

    let tone = json!({"tone": {"frequency_hz": [500], "duration_ms": 1200}});
    let patient = json!({"count": 2, "play": tone, "barge_in": false});
    let patient = asked(&rest, &patient);
    events.expect_event("playback_started", "1");
    dial(&rest, "34");
    assert_eq!(events.expect_event("playback_ended", "1")["cause"], "finished");
    dial(&rest, "56");
    assert_eq!(patient.join().expect("an answer")["digits"], "56");

    let wrong = json!({"count": 1, "play": {"prompt": "../x"}});
    rest.post("/v1/lines/1/collect", &wrong).expect_problem(422, "invalid");
    for wrong in [
        json!({"count": 0}),
        json!({"terminators": "x"}),
        json!({"filter": ""}),
        json!({"first_timeout_ms": 1}),
        json!({"inter_digit_ms": 1}),
    ] {
        rest.post("/v1/lines/1/collect", &wrong).expect_problem(422, "invalid");
    }
}

#[test]
fn digits_pressed_ahead_count_where_that_is_wanted() {
    let (system, rest) = lifted();
    let mut events = system.socket("/ws?types=dtmf");
    for (ahead, digits) in [(true, "815"), (false, "")] {
        dial(&rest, "815");
        events.expect("the last digit", |m| m["digit"] == "5");
        let question = json!({"count": 3, "type_ahead": ahead, "first_timeout_ms": 300});
        let told = rest.post("/v1/lines/1/collect", &question).expect_json(200);
        assert_eq!(told["digits"], digits, "{told}");
    }
}
