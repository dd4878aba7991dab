//! `POST /v1/lines/{id}/diagnostics` on a simulated line: it is rung, a tone and digits go to it, and
//! the answer says what was done and what came back.

use serde_json::{Value, json};
use tipring_tests::system::System;

fn level(result: &Value, of: &str) -> f64 {
    result[of].as_f64().unwrap_or_else(|| panic!("no {of} in {result}"))
}

#[test]
fn a_line_tests_itself() {
    let system = System::demonstration();
    let rest = system.rest();
    let test = |body: &Value| rest.post("/v1/lines/1/diagnostics", body);

    // With the handset down: the bell, as the events tell too.
    let mut events = system.socket("/ws");
    let report = test(&json!({})).expect_json(200);
    let bell = &report["tests"][0];
    assert_eq!((&report["passed"], &bell["test"]), (&json!(true), &json!("ring")), "{report}");
    assert_eq!(bell["did"], "rang the bell for 900 ms");
    assert!((level(bell, "voltage_before") + 48.0).abs() < 1.0, "{report}");
    events.expect_event("ring_start", "1");
    events.expect_event("ring_stop", "1");
    rest.line_becomes("1", "on_hook");
    test(&json!({"tests": ["tone"]})).expect_problem(409, "wrong-state");
    test(&json!({"tests": ["dtmf"]})).expect_problem(409, "wrong-state");
    for wrong in [json!([]), json!(["ring", "ring", "ring", "ring"]), json!(["bell"])] {
        test(&json!({"tests": wrong})).check(422);
    }

    // Lifted: a tone and digits, heard through the dial tone; nothing comes back.
    rest.hook("1", true);
    let report = test(&json!({})).expect_json(200);
    assert_eq!(report["passed"], true, "{report}");
    let (tone, digits) = (&report["tests"][0], &report["tests"][1]);
    assert!((level(tone, "sent_dbm0") + 10.0).abs() < 1.0, "{report}");
    assert_eq!((&tone["returned_dbm0"], &digits["sent_digits"]), (&Value::Null, &json!("159D")));
    assert_eq!(digits["returned_digits"], "", "{report}");
    assert!(level(&report["signal_quality"], "noise_level_dbm0") < -60.0, "{report}");
    test(&json!({"tests": ["ring"]})).expect_problem(409, "line-busy");
}
