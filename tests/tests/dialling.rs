//! What a lifted phone does by configuration: dial plans with patterns, hotlines, applications,
//! nothing but events; read anew while calls run.

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tipring_tests::rest::Rest;
use tipring_tests::system::{Setup, System};
use tipring_tests::wait;

const LINES: &str = "
lines:
  - {id: \"1\", engine: sim/1, extension: \"101\", lifted: {plan: house}}
  - {id: \"2\", engine: sim/2, extension: \"102\"}
  - {id: \"3\", engine: sim/3, lifted: {hotline: \"number:102\"}}
  - {id: \"4\", engine: sim/4, lifted: {app: booth}}
  - {id: \"5\", engine: sim/5, lifted: {events: true}}
numbers: {inter_digit_ms: 800}
";

fn yaml(rows: &[&str]) -> String {
    format!("dial_plans:\n  house:\n    - {}\n{LINES}", rows.join("\n    - "))
}

fn system(rows: &[&str]) -> System {
    System::start(Setup {
        engine_yaml: Some("simulated_lines: 5\n".to_owned()),
        apid_yaml: Some(yaml(rows)),
        ..Setup::default()
    })
}

fn dial(rest: &Rest, digits: &str) {
    rest.hook("1", true);
    rest.post("/v1/sim/1/dial", &json!({ "digits": digits })).check(202);
}

fn put_down(rest: &Rest, lines: &[&str]) {
    for line in lines {
        rest.hook(line, false);
    }
    rest.calls_become(0);
    for line in lines {
        rest.line_becomes(line, "on_hook");
    }
}

/// The call that a line has, once it is connected.
fn connected(rest: &Rest) -> Value {
    wait::until("a connected call", wait::GENEROUS, || {
        Some(rest.calls_become(1).remove(0)).filter(|call| call["state"] == "connected")
    })
}

#[test]
fn a_line_dials_by_its_own_plan() {
    let system = system(&[
        "{dial: \"0\", to: \"line:2\"}",
        "{dial: \"_9NXX.\", to: \"app:outside\"}",
        "{dial: \"_*[1-3]\", to: echo}",
        "{dial: \"5\", to: \"line:2\"}",
        "{dial: \"5\", to: echo, when: \"00:00-23:59,sun-sat,1-31,*\"}",
        "{dial: \"6\", to: echo, when: \"*,*,31,feb\"}",
        "{dial: \"7\", to: \"line:2&3\"}",
    ]);
    let rest = system.rest();
    let mut events = system.socket("/ws?types=call_*");
    dial(&rest, "0");
    rest.line_becomes("2", "ringing");
    put_down(&rest, &["1", "2"]);
    // The numbers that everybody has are there too.
    dial(&rest, "102");
    rest.line_becomes("2", "ringing");
    put_down(&rest, &["1", "2"]);
    // A pattern without an end waits for the last digit.
    // What holds now goes before what always does.
    for (digits, to) in [("92345", "app:outside"), ("*2", "app:echo"), ("5", "app:echo")] {
        dial(&rest, digits);
        assert_eq!(connected(&rest)["to"], to, "{digits}");
        put_down(&rest, &["1"]);
    }
    // A ring group.
    dial(&rest, "7");
    rest.line_becomes("2", "ringing");
    rest.line_becomes("3", "ringing");
    rest.hook("3", true);
    assert_eq!(connected(&rest)["to"], "line:3");
    rest.line_becomes("2", "on_hook");
    put_down(&rest, &["1", "3"]);
    dial(&rest, "91");
    let ended = events.expect("nobody", |m| {
        m["type"] == "call_ended" && m["call"]["to"].as_str().is_some_and(|to| to.ends_with(":91"))
    });
    assert_eq!(ended["cause"]["code"], 1, "{ended}");
    put_down(&rest, &["1"]);
    dial(&rest, "6");
    let ended = events.expect("not now", |m| m["type"] == "call_ended");
    assert_eq!((&ended["call"]["to"], &ended["cause"]["code"]), (&json!("number:6"), &json!(1)));
}

#[test]
fn hotlines_applications_and_bare_events() {
    let system = system(&["{dial: \"0\", to: echo}"]);
    let rest = system.rest();
    rest.hook("3", true);
    rest.line_becomes("2", "ringing");
    rest.hook("2", true);
    let call = connected(&rest);
    assert_eq!((&call["from"], &call["to"]), (&json!("line:3"), &json!("line:2")));
    put_down(&rest, &["3", "2"]);

    let mut events = system.socket("/ws");
    rest.hook("4", true);
    let started = events.expect("its call", |m| m["type"] == "call_connected");
    assert_eq!(started["call"]["to"], "app:booth");
    rest.post("/v1/sim/4/dial", &json!({"digits": "102"})).check(202);
    events.expect("a digit", |m| m["type"] == "dtmf" && m["digit"] == "2");
    assert_eq!(rest.line("2")["state"], "on_hook", "digits belong to the application");
    put_down(&rest, &["4"]);

    rest.hook("5", true);
    wait::until_true("no dial tone", wait::GENEROUS, || rest.line("5")["phase"] == "talking");
    rest.post("/v1/sim/5/dial", &json!({"digits": "102"})).check(202);
    events.expect("its last digit", |m| m["type"] == "dtmf" && m["digit"] == "2");
    assert_eq!(rest.line("2")["state"], "on_hook");
    rest.calls_become(0);
}

#[test]
fn a_line_sends_its_calls_on() {
    let mut system = system(&["{dial: \"0\", to: echo}"]);
    let rest = system.rest();
    let divert = |body: Value| rest.post("/v1/lines/2/diversion", &body);
    let dials_102_and_reaches = |to: &str| {
        dial(&rest, "102");
        assert_eq!(connected(&rest)["to"], to);
        put_down(&rest, &["1"]);
    };
    divert(json!({"always": "600"})).check(200);
    dials_102_and_reaches("app:echo");
    assert_eq!(rest.line("2")["state"], "on_hook");

    // Nobody lifts; then it goes elsewhere.
    divert(json!({"no_answer": "600", "no_answer_after_ms": 1000})).check(200);
    dials_102_and_reaches("app:echo");
    rest.line_becomes("2", "on_hook");

    divert(json!({"busy": "600"})).check(200);
    rest.hook("2", true);
    rest.line_becomes("2", "off_hook");
    dial(&rest, "102");
    wait::until_true("the call of line 1", wait::GENEROUS, || {
        let calls = rest.get("/v1/calls").expect_json(200);
        let calls = calls["calls"].as_array().expect("calls");
        calls.iter().any(|call| call["from"] == "line:1" && call["to"] == "app:echo")
    });
    put_down(&rest, &["1", "2"]);

    // Also after a start.
    divert(json!({"do_not_disturb": true})).check(200);
    rest.line_becomes("2", "on_hook");
    system.apid.as_mut().expect("it runs").stop(wait::GENEROUS);
    system.start_apid();
    system.ready();
    let mut events = system.socket("/ws?types=call_*");
    assert_eq!(rest.get("/v1/lines/2/diversion").expect_json(200)["do_not_disturb"], true);
    dial(&rest, "102");
    let ended = events.expect("its end", |m| {
        m["type"] == "call_ended" && m["call"]["to"] == "line:2" && m["cause"]["code"] == 17
    });
    assert_eq!(ended["call"]["from"], "line:1");
    put_down(&rest, &["1"]);

    divert(json!({"always": "4711"})).check(404);
    divert(json!({"no_answer_after_ms": 5})).check(422);
    divert(json!({})).check(200);
    dial(&rest, "102");
    rest.line_becomes("2", "ringing");
    put_down(&rest, &["1", "2"]);
}

#[test]
fn a_plan_is_read_anew_while_calls_run_and_a_wrong_one_is_refused() {
    let system = system(&["{dial: \"0\", to: echo}"]);
    let rest = system.rest();
    let mut events = system.socket("/ws?types=error");
    dial(&rest, "0");
    let call = connected(&rest);
    let file = system.folder.file("apid.yml");
    std::fs::write(&file, yaml(&["{dial: \"0\", to: echo}", "{dial: _9NQ, to: echo}"]))
        .expect("it");
    let problem = rest.post_empty("/v1/reload").expect_problem(422, "configuration");
    let detail = problem["detail"].as_str().expect("a reason");
    assert!(detail.contains("apid.yml:4") && detail.contains("_9NQ"), "{detail}");
    events.expect("the error", |m| m["code"] == "configuration_refused");
    let still = rest.get(&format!("/v1/calls/{}", call["id"].as_str().expect("an id")));
    assert_eq!(still.expect_json(200)["state"], "connected");
    put_down(&rest, &["1"]);
    dial(&rest, "0");
    assert_eq!(connected(&rest)["to"], "app:echo", "the old one holds");

    std::fs::write(&file, yaml(&["{dial: \"0\", to: \"line:2\"}"])).expect("it");
    system.apid.as_ref().expect("it runs").signal(Signal::SIGHUP);
    wait::until_true("the log", wait::GENEROUS, || {
        system.apid.as_ref().expect("it runs").log().contains("dial plans read anew")
    });
    assert_eq!(connected(&rest)["state"], "connected", "a call that runs is not touched");
    put_down(&rest, &["1"]);
    dial(&rest, "0");
    rest.line_becomes("2", "ringing");
    rest.post_empty("/v1/reload").check(200);
}
