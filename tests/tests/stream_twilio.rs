//! Twilio Media Streams: pipecat's serializer, unmodified, holds conversations with a simulated phone;
//! the REST routes by which its programs hang up and update a call.

use serde_json::{Value, json};
use std::io::Write as _;
use tipring_tests::agent::Agents;
use tipring_tests::python_agent::PythonAgent;
use tipring_tests::rest::{Answer, Rest};
use tipring_tests::signal::{chirps, hearing, level_dbm0, wav};
use tipring_tests::system::{Setup, System};
use tipring_tests::wait;

fn becomes(rest: &Rest, call: &str, state: &str) -> Value {
    wait::until(state, wait::GENEROUS, || {
        let call = rest.get(&format!("/v1/calls/{call}")).expect_json(200);
        (call["state"] == state).then_some(call)
    })
}

fn connected(rest: &Rest, url: &str) -> String {
    rest.hook("1", true);
    let ends = json!({"from": "line:1", "to": format!("app:{url}")});
    let call = rest.post("/v1/calls", &ends).expect_json(202);
    let id = call["id"].as_str().expect("an id").to_owned();
    becomes(rest, &id, "connected");
    id
}

fn dial(rest: &Rest, digits: &str) {
    rest.post("/v1/sim/1/dial", &json!({"digits": digits, "method": "dtmf"})).check(202);
}

#[test]
fn pipecat_echoes_obeys_digits_is_interrupted_and_hangs_up() {
    let words = "agent --scope read --scope control --scope audio --line 1";
    let system = System::start(Setup {
        apid_yaml: Some(
            "lines:\n  - {id: \"1\", engine: sim/1}\napplications: {private: [127.0.0.0/8]}\n"
                .to_owned(),
        ),
        tokens: vec![words.split(' ').map(str::to_owned).collect()],
        ..Setup::default()
    });
    let rest = system.rest();
    let agent = PythonAgent::start(
        "pipecat_twilio.py",
        &[&format!("http://{}", system.address()), &system.tokens[0]],
    );
    let url = format!("ws://127.0.0.1:{}/?dialect=twilio", agent.port);
    let call = connected(&rest, &url);
    let said = chirps(411, 2500);
    let ear = system.socket("/v1/lines/1/audio?direction=tx");
    ear.audio_of(40);
    rest.post_body("/v1/sim/1/speak", "audio/wav", &wav(&said, 8000, 1)).check(202);
    let hears = hearing(&said, &ear.audio_of(3500)).expect("recognised");
    assert!(hears.is_convincing(15) && hears.gain_db.abs() < 1.0, "the echo: {hears:?}");
    // Half a minute at once, a mark behind it, and an interruption: silence, and the mark is back.
    dial(&rest, "2");
    agent.says("digit 2");
    wait::until_true("the tone", wait::GENEROUS, || {
        let audio = ear.audio();
        audio.len() > 800 && level_dbm0(&audio[audio.len() - 800..]) > -20.0
    });
    dial(&rest, "3");
    agent.says("digit 3");
    dial(&rest, "1");
    assert!(agent.says("mark ").contains("\"m\""));
    let before = ear.audio().len();
    let after = ear.audio_of(before / 8 + 500);
    let level = level_dbm0(&after[after.len() - 1600..]);
    assert!(level < -40.0, "{level} dBm0 after the interruption");
    // It hangs up by REST.
    dial(&rest, "9");
    let ended = becomes(&rest, &call, "ended");
    assert_eq!(ended["cause"]["code"], 16);
    agent.says("stop ");
    agent.says("closed");
    assert!(!agent.output().contains("Failed to"), "{}", agent.output());
    // And it is told when the phone is put down.
    rest.hook("1", false);
    rest.line_becomes("1", "on_hook");
    let call = connected(&rest, &url);
    rest.hook("1", false);
    becomes(&rest, &call, "ended");
    wait::until_true("two ends", wait::GENEROUS, || agent.output().matches("closed").count() == 2);
}

fn sids(agents: &Agents) -> (tipring_tests::socket::Socket, String, String) {
    let (_, mut socket) = agents.accept();
    let start = socket.expect("a start", |message| message["event"] == "start");
    let of = |name: &str| start["start"][name].as_str().expect("a SID").to_owned();
    let (account, call) = (of("accountSid"), of("callSid"));
    (socket, account, call)
}

fn form(rest: &Rest, path: &str, body: &str) -> Answer {
    rest.post_body(path, "application/x-www-form-urlencoded", body.as_bytes())
}

#[test]
fn a_call_is_updated_by_the_account_that_placed_it_only() {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let scopes = "--scope read --scope control --scope audio";
    let line = |n| format!("  - {{id: \"{n}\", engine: sim/{n}, extension: \"10{n}\"}}\n");
    let system = System::start(Setup {
        apid_yaml: Some(format!(
            "lines:\n{}{}applications: {{private: [127.0.0.0/8]}}\n",
            line(1),
            line(2)
        )),
        tokens: vec![words(&format!("mine {scopes}")), words(&format!("theirs {scopes}"))],
        ..Setup::default()
    });
    let rest = system.rest();
    let agents = Agents::listen();
    rest.hook("1", true);
    let to = format!("app:{}", agents.url("/?dialect=twilio"));
    rest.post("/v1/calls", &json!({"from": "line:1", "to": to})).check(202);
    let (first, account, sid) = sids(&agents);
    let path = format!("/2010-04-01/Accounts/{account}/Calls/{sid}.json");
    wait::until_true("in progress", wait::GENEROUS, || {
        rest.get(&path).expect_json(200)["status"] == "in-progress"
    });
    // Others do not see it, under its account or their own.
    let theirs = rest.with_token(&system.tokens[1]);
    assert_eq!(form(&theirs, &path, "Status=completed").expect_json(404)["code"], 20404);
    let other = path.replace(&account, "AC00000000000000000000000000000000");
    assert_eq!(form(&rest, &other, "Status=completed").expect_json(404)["code"], 20404);
    for (body, code) in [
        ("Status=ringing", 21218),
        ("Twiml=%3CResponse%3E%3CSay%3Ehello%3C%2FSay%3E%3C%2FResponse%3E", 12100),
        ("Url=http%3A%2F%2Fexample.org%2F", 21205),
        ("Nothing=1", 20001),
    ] {
        assert_eq!(form(&rest, &path, body).expect_json(400)["code"], code, "{body}");
    }
    // Another stream, then another phone.
    let twiml = format!(
        "<Response><Connect><Stream url=\"{}\"/></Connect></Response>",
        agents.url("/?dialect=twilio")
    );
    let mut body = "Twiml=".to_owned().into_bytes();
    for octet in twiml.bytes() {
        write!(body, "%{octet:02X}").expect("memory");
    }
    form(&rest, &path, std::str::from_utf8(&body).expect("ASCII")).check(200);
    let (second, _, again) = sids(&agents);
    assert_eq!(again, sid, "the same call");
    first.expect_closed();
    wait::until_true("in progress", wait::GENEROUS, || {
        rest.get(&path).expect_json(200)["status"] == "in-progress"
    });
    let dial = "Twiml=%3CResponse%3E%3CDial%3E102%3C%2FDial%3E%3C%2FResponse%3E";
    form(&rest, &path, dial).check(200);
    second.expect_closed();
    rest.line_becomes("2", "ringing");
    rest.hook("2", true);
    rest.calls_become(1);
    rest.hook("1", false);
}
