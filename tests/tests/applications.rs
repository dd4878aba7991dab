//! Programs that answer a number while they are connected.

use tipring_tests::ear::Ear;
use tipring_tests::socket::Socket;
use tipring_tests::system::{Setup, System};

#[test]
fn a_program_is_told_of_its_calls_and_of_no_others() {
    let system = System::demonstration();
    let rest = system.rest();
    let mut program = system.socket("/v1/applications/700?max_calls=1");
    program.expect("the number", |m| m["type"] == "claimed" && m["number"] == "700");
    let other = Ear::dial(&system, "2", "600");
    other.press("9");
    let caller = Ear::dial(&system, "1", "700");
    let call = program.expect("a call", |m| m["type"] == "call_connected");
    assert_eq!((&call["call"]["to"], &call["line"]), (&"app:700".into(), &"1".into()));
    caller.press("5");
    let digit = program.expect("a digit", |m| m["type"] == "dtmf");
    assert_eq!((&digit["digit"], &digit["call_id"]), (&"5".into(), &call["call_id"]));
    drop(other);
    rest.calls_become(1);

    // The second caller finds it occupied.
    let second = Ear::lift(&system, "2");
    second.press("700");
    let busy = || {
        let calls = rest.get("/v1/calls").expect_json(200);
        let busy = |call: &serde_json::Value| call["cause"]["code"] == 17;
        calls["calls"].as_array().is_some_and(|calls| calls.iter().any(busy))
    };
    tipring_tests::wait::until_true("busy", tipring_tests::wait::GENEROUS, busy);

    let id = call["call_id"].as_str().expect("an id");
    rest.post(&format!("/v1/calls/{id}/transfer"), &serde_json::json!({"to": "600"})).check(200);
    let left = program.expect("that it left", |m| m["call_id"] == call["call_id"]);
    assert_eq!(left["call"]["to"], "app:echo");
    drop(caller);
    rest.calls_become(0);
    program.send_text("hello");
    program.expect("a refusal", |m| m["type"] == "refused");
    let told: Vec<_> = program.texts().into_iter().map(|m| m["type"].clone()).collect();
    assert_eq!(told, ["claimed", "call_connected", "dtmf", "call_connected", "refused"]);
}

#[test]
fn a_number_is_answered_by_one_program_that_may() {
    let token = |name: &str, more: &[&str]| {
        [name].iter().chain(more).map(|part| (*part).to_owned()).collect::<Vec<_>>()
    };
    let apid_yaml = "lines:\n  - {id: \"1\", engine: sim/1, extension: \"101\"}\n\
                     applications: {claim: [_7XX, \"101\"], max_claims: 2}\n";
    let system = System::start(Setup {
        apid_yaml: Some(apid_yaml.to_owned()),
        tokens: vec![
            token("all", &["--scope", "read", "--scope", "control", "--scope", "audio"]),
            token("deaf", &["--scope", "read", "--scope", "control"]),
            token("one", &["--scope", "control", "--scope", "audio", "--line", "1"]),
        ],
        ..Setup::default()
    });
    let open = |number: &str, token: usize| {
        let path = format!("/v1/applications/{number}");
        Socket::try_open(&system.address(), &path, Some(&system.tokens[token]))
    };
    let refused = |number: &str, token: usize| open(number, token).err().unwrap_or_default();
    assert_eq!(refused("700", 1), "403");
    assert_eq!(refused("700", 2), "403", "anybody may dial it");
    assert_eq!(refused("800", 0), "404");
    assert_eq!(refused("101", 0), "409", "it is a line's");
    assert_eq!(refused("700?max_calls=0", 0), "422");
    let first = open("700", 0).expect("it is free");
    assert_eq!(refused("700", 0), "409");
    let _second = open("701", 0).expect("it is free");
    assert_eq!(refused("702", 0), "409", "two are allowed");
    drop(first);
    let again = || open("702", 0).ok();
    let _third = tipring_tests::wait::until("room", tipring_tests::wait::GENEROUS, again);
}
