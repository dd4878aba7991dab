//! Trunks: our account at a provider, which is kamailio, by calls with a telephone that has its
//! own account there.

use serde_json::{Value, json};
use tipring_tests::baresip::{Baresip, Telephone};
use tipring_tests::ear::Ear;
use tipring_tests::provider::{DOMAIN, PASSWORD, Provider};
use tipring_tests::rest::Rest;
use tipring_tests::signal::{chirps, hearing, wav};
use tipring_tests::system::{Setup, System};
use tipring_tests::wait::{GENEROUS, until_true};

/// Line 1 may call out by 0 and the number, line 2 may not; the trunk rings line 1. Another one, by
/// TCP and at one server, rings line 2.
fn system(provider: &Provider, password: &str) -> System {
    let (names, port) = (provider.names_port, provider.port);
    let apid_yaml = format!(
        "sip:\n  name_servers: [\"127.0.0.1:{names}\"]\n  trunks:\n    - name: out\n      domain: \
         {DOMAIN}\n      user: \"4930123\"\n      password: {password}\n      expires_s: 60\n      \
         rings: \"101\"\n      number: \"+4930123\"\n      strip: 1\n      prepend: \"49\"\n      \
         calls: 1\n    - name: stream\n      domain: 127.0.0.1\n      port: {port}\n      transport: \
         tcp\n      user: \"4930124\"\n      password: {password}\n      rings: \"102\"\n\
         lines:\n  - {{id: \"1\", engine: sim/1, extension: \"101\", lifted: {{plan: house}}}}\n  \
         - {{id: \"2\", engine: sim/2, extension: \"102\"}}\n\
         dial_plans: {{house: [{{dial: \"_0Z.\", to: \"trunk:out\"}}]}}\n\
         numbers: {{inter_digit_ms: 500}}\n"
    );
    System::start(Setup { apid_yaml: Some(apid_yaml), ..Setup::default() })
}

fn trunk(rest: &Rest) -> Value {
    rest.get("/v1/sip/trunks").expect_json(200)[0].clone()
}

fn becomes(rest: &Rest, state: &str) -> Value {
    until_true(&format!("a trunk that is {state}"), GENEROUS, || trunk(rest)["state"] == state);
    trunk(rest)
}

/// A telephone elsewhere: calls go by the provider.
fn far(provider: &Provider, says: Vec<i16>) -> Baresip {
    let mut telephone = Telephone::new("4940555", &provider.registrar(), says);
    telephone.password = Some(PASSWORD.into());
    telephone.codec = "PCMA".into();
    Baresip::start(&telephone)
}

#[test]
fn calls_go_both_ways() {
    let provider = Provider::start();
    let mut system = system(&provider, PASSWORD);
    let rest = system.rest();
    // The first server of the domain serves nobody, the second one wants more than 60 s.
    let registered = becomes(&rest, "registered");
    assert_eq!(registered["server"], format!("udp:{}", provider.registrar()));
    assert_eq!(registered["lines"], json!(["out-1"]));
    provider.notes("busy for REGISTER");
    provider.notes("saved 4930123 expires 300");
    assert_eq!(rest.line("out-1")["registered"], true);

    // Out: what was dialled without its 0, as the provider wants it.
    let far_says = chirps(71, 60_000);
    let far = far(&provider, far_says.clone());
    let ear = Ear::lift(&system, "1");
    ear.press("040555");
    far.expect_event("CALL_INCOMING");
    assert_eq!(trunk(&rest)["calls"], 1);
    far.answer();
    far.expect_event("CALL_ESTABLISHED");
    rest.line_becomes("out-1", "off_hook");
    let says = chirps(72, 3000);
    ear.say(&says);
    ear.hears_for(2500);
    let (here, there) = (hearing(&far_says, &ear.heard()), hearing(&says, &far.heard_of(3500)));
    for heard in [&here, &there] {
        assert!(heard.as_ref().is_some_and(|heard| heard.is_convincing(15)), "{heard:?}");
    }
    provider.notes("identity <sip:+4930123@provider.test>");
    // The next apid understands that the far end hangs up, and registers anew.
    system.apid.as_mut().expect("it runs").kill();
    system.start_apid();
    system.ready();
    far.hang_up();
    rest.calls_become(0);
    drop(ear);
    rest.line_becomes("1", "on_hook");
    rest.line_becomes("out-1", "on_hook");

    // In: whatever is dialled at the provider, it rings 101. What the killed one registered is there
    // too, and rings nothing.
    becomes(&rest, "registered");
    far.dial("4930123");
    rest.line_becomes("1", "ringing");
    let call = rest.get("/v1/calls").expect_json(200)["calls"][0].clone();
    assert_eq!((&call["from"], &call["to"]), (&json!("line:out-1"), &json!("line:1")), "{call}");
    rest.hook("1", true);
    far.expect_event("CALL_ESTABLISHED");
    rest.post_body("/v1/sim/1/speak", "audio/wav", &wav(&says, 8000, 1)).check(202);
    let heard = far.heard_of(3500);
    let heard = hearing(&says, &heard);
    assert!(heard.as_ref().is_some_and(|heard| heard.is_convincing(15)), "{heard:?}");
    rest.hook("1", false);
    far.expect_event("CALL_CLOSED");
    rest.calls_become(0);

    // By the stream that we opened.
    far.dial("4930124");
    rest.line_becomes("2", "ringing");
    rest.line_becomes("stream-1", "off_hook");
    far.hang_up();
    rest.calls_become(0);

    // Line 2 has no plan that leads out.
    let other = Ear::lift(&system, "2");
    other.press("040555");
    until_true("a refusal", GENEROUS, || {
        let calls = rest.get("/v1/calls").expect_json(200);
        calls["calls"][0]["cause"]["code"] == 1
    });
    drop(other);
    assert!(!provider.log().contains("INVITE from 4930123 to 040555"));

    // Gone with apid.
    system.apid.as_mut().expect("it runs").stop(GENEROUS).expect("it ends");
    provider.notes("saved 4930123 expires 0");
}

#[test]
fn a_wrong_password_is_told() {
    let provider = Provider::start();
    let system = system(&provider, "looking-glass");
    let rest = system.rest();
    let failed = becomes(&rest, "failed");
    assert_eq!(failed["reason"], "401 wrong user or password");
    assert!(failed["next_attempt_at"].is_string(), "{failed}");
    assert_eq!(rest.line("out-1")["registered"], false);
    until_true("the event", GENEROUS, || {
        let log = system.apid.as_ref().expect("it runs").log();
        log.contains("trunk out at provider.test failed: 401 wrong user or password")
    });
    // Whoever calls out hears that it cannot be.
    let ear = Ear::lift(&system, "1");
    ear.press("040555");
    until_true("a refusal", GENEROUS, || {
        let calls = rest.get("/v1/calls").expect_json(200);
        calls["calls"][0]["cause"]["code"] == 38
    });
    drop(ear);
}
