//! Call waiting and calls of three by the hook switch of a simulated telephone: whom it talks with, who
//! waits and who knocks is seen by what each hears, a SIP phone among them.

use serde_json::json;
use tipring_tests::baresip::{Baresip, Telephone};
use tipring_tests::ear::{Ear, share};
use tipring_tests::rest::Rest;
use tipring_tests::signal::{chirps, find, samples};
use tipring_tests::system::{Setup, System};
use tipring_tests::wait::{GENEROUS, until_true};

const YAML: &str = "
lines:
  - {id: \"1\", engine: sim/1, extension: \"101\", call_waiting: true, three_way: true}
  - {id: \"2\", engine: sim/2, extension: \"102\"}
  - {id: \"3\", engine: sim/3, extension: \"103\"}
sip:
  accounts:
    - {user: phone1, password: secret, algorithms: [md5]}
";

/// Notes of the tune that plays for whoever waits, Hz.
const TUNE: [f64; 3] = [392.0, 493.9, 587.3];

fn flash(rest: &Rest) {
    rest.post("/v1/sim/1/flash", &json!({})).check(202);
}

/// What was heard since, in pieces of 100 ms, holds `hz` alone.
fn sounds(heard: &[i16], hz: f64) -> bool {
    heard.chunks_exact(samples(100)).any(|piece| share(piece, hz).is_some_and(|part| part > 0.8))
}

/// `says` is heard by `hears` some time after `from` samples, whatever else is.
#[track_caller]
fn reaches(says: &Ear, seed: u64, what: &str, hears: &dyn Fn() -> Vec<i16>) {
    let from = hears().len();
    let words = chirps(seed, 1500);
    says.say(&words);
    let core = &words[samples(300)..samples(900)];
    until_true(what, GENEROUS, || {
        find(core, &hears()[from..]).is_some_and(|found| found.score > 0.5)
    });
}

#[test]
fn a_flash_answers_changes_over_calls_and_joins() {
    let system = System::start(Setup {
        engine_yaml: Some("simulated_lines: 3\nrtp_lines: 2\n".to_owned()),
        apid_yaml: Some(YAML.to_owned()),
        ..Setup::default()
    });
    let rest = system.rest();
    let mut events = system.socket("/v1/events?types=call_*");
    // It says this over and over.
    let speech = chirps(91, 3000);
    let says = speech.repeat(40);
    let phone = Baresip::start(&Telephone::new("phone1", &system.sip_address(), says));
    let second = Ear::lift(&system, "2");
    second.press("101");
    rest.line_becomes("1", "ringing");
    let first = Ear::lift(&system, "1");
    events.expect("connected", |m| m["type"] == "call_connected");

    // Somebody knocks: a tone on top of the call, which goes on.
    phone.dial("101");
    phone.expect_event("CALL_RINGING");
    until_true("the tone", GENEROUS, || sounds(&first.heard(), 440.0));
    reaches(&second, 1, "the call goes on", &|| first.heard());

    flash(&rest);
    phone.expect_event("CALL_ESTABLISHED");
    let phone_reaches = |who: &Ear, what: &str| {
        until_true(what, GENEROUS, || {
            let heard = who.heard();
            let last = heard.len().checked_sub(samples(300)).map(|at| &heard[at..]);
            last.and_then(|last| find(last, &speech)).is_some_and(|found| found.score > 0.4)
        });
    };
    phone_reaches(&first, "the one who knocked");
    for hz in TUNE {
        until_true("music for the one who waits", GENEROUS, || sounds(&second.heard(), hz));
    }
    events.expect("held", |m| m["type"] == "call_held" && m["call"]["from"] == "line:2");

    flash(&rest);
    reaches(&second, 2, "the first one again", &|| first.heard());
    for hz in TUNE {
        until_true("music for the SIP phone", GENEROUS, || sounds(&phone.heard(), hz));
    }

    // The one it talks with hangs up: the other one is there.
    drop(second);
    phone_reaches(&first, "the one who waited");

    // A flash, a number, another flash: three talk with each other.
    flash(&rest);
    until_true("dial tone", GENEROUS, || rest.line("1")["phase"] == "dial_tone");
    first.press("103");
    rest.line_becomes("3", "ringing");
    let third = Ear::lift(&system, "3");
    reaches(&third, 3, "the third one", &|| first.heard());
    flash(&rest);
    events.expect("a call of three", |m| {
        m["type"] == "call_connected"
            && m["call"]["to"].as_str().unwrap().starts_with("conference:")
    });
    phone_reaches(&third, "the SIP phone at the third one");
    reaches(&third, 4, "the third one at the SIP phone", &|| phone.heard());
    reaches(&first, 5, "the first one at the SIP phone", &|| phone.heard());
    reaches(&first, 6, "the first one at the third one", &|| third.heard());

    flash(&rest);
    rest.calls_become(2);
    drop(third);
    reaches(&first, 7, "two are left", &|| phone.heard());
    drop(first);
    phone.expect_event("CALL_CLOSED");
    rest.calls_become(0);

    // Who puts down the handset while somebody waits is rung.
    let second = Ear::lift(&system, "2");
    second.press("101");
    rest.line_becomes("1", "ringing");
    rest.hook("1", true);
    until_true("they talk", GENEROUS, || rest.calls_become(1)[0]["state"] == "connected");
    flash(&rest);
    until_true("dial tone", GENEROUS, || rest.line("1")["phase"] == "dial_tone");
    let body = json!({ "off": false });
    rest.post("/v1/sim/1/hook", &body).check(202);
    rest.line_becomes("1", "ringing");
    let first = Ear::lift(&system, "1");
    reaches(&second, 8, "the one who waited", &|| first.heard());
    drop((first, second));
    rest.calls_become(0);
}
