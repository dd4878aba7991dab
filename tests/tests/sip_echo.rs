//! A SIP phone nobody here wrote registers, calls 600 and hears itself.

use tipring_tests::baresip::{Baresip, Telephone};
use tipring_tests::signal::{chirps, hearing};
use tipring_tests::sipp::{Scenario, Sipp};
use tipring_tests::system::{System, free_port};
use tipring_tests::wait::GENEROUS;

fn hears_itself(change: impl Fn(&mut Telephone)) {
    let system = System::demonstration();
    let rest = system.rest();
    assert_eq!(rest.line("phone1")["registered"], false);
    let says = chirps(31, 60_000);
    let mut telephone = Telephone::new("phone1", &system.sip_address(), says.clone());
    change(&mut telephone);
    let phone = Baresip::start(&telephone);
    assert_eq!(rest.line("phone1")["registered"], true);
    phone.dial("600");
    phone.expect_event("CALL_ESTABLISHED");
    let line = rest.line_becomes("phone1", "off_hook");
    assert_eq!((&line["hook"], &line["hook_source"]), (&"off".into(), &"signalling".into()));
    let heard = phone.heard_of(4000);
    let media = rest.get("/v1/calls").expect_json(200)["calls"][0]["media"].clone();
    assert_eq!(media["srtp"], telephone.encrypts, "{media}");
    phone.hang_up();
    rest.line_becomes("phone1", "on_hook");
    rest.calls_become(0);
    // What it says before it has keys, keep-alives by RTCP, is all that is refused.
    let refused = rest.counter("srtp_refused_total");
    assert!(refused <= if telephone.encrypts { 4 } else { 0 }, "{refused}");
    let hearing = hearing(&says, &heard).expect("something is recognised");
    assert!(hearing.is_convincing(25), "{hearing:?}");
    assert!(hearing.gain_db.abs() < 1.0, "the echo changes the level: {hearing:?}");
    println!("echo: {hearing:?}");
}

#[test]
fn over_udp() {
    hears_itself(|_| ());
}

#[test]
fn over_tcp() {
    hears_itself(|telephone| telephone.transport = "tcp".into());
}

#[test]
fn in_a_law() {
    hears_itself(|telephone| telephone.codec = "PCMA".into());
}

#[test]
fn encrypted_and_with_rtcp_on_the_same_port() {
    hears_itself(|telephone| telephone.encrypts = true);
}

#[test]
fn a_wrong_secret_is_refused_and_told() {
    let system = System::demonstration();
    let mut events = system.socket("/ws");
    let scenario = Scenario {
        name: "wrong_secret",
        remote: &system.sip_address(),
        host: "127.0.0.1".parse().expect("an address"),
        port: free_port("127.0.0.1".parse().expect("an address")),
        user: "phone1",
        password: "not this one",
        keys: &[],
        pause: std::time::Duration::ZERO,
        tcp: false,
    };
    Sipp::start(&scenario).succeeds(GENEROUS);
    events.expect("refused registration", |m| m["type"] == "error" && m["line"] == "phone1");
    assert_eq!(system.rest().line("phone1")["registered"], false);
}
