//! An account that never registers (`host`, `auth: none`): requests from its address are taken
//! without digest, rings go to it.

use std::net::IpAddr;
use std::time::Duration;
use tipring_tests::rtp::Leg;
use tipring_tests::signal::chirps;
use tipring_tests::sipp::{Scenario, Sipp};
use tipring_tests::system::{Setup, System, free_port};
use tipring_tests::wait::GENEROUS;

#[test]
fn calls_and_is_rung_without_a_registration() {
    let here: IpAddr = "127.0.0.1".parse().expect("an address");
    let port = free_port(here);
    let system = System::start(Setup {
        apid_yaml: Some(format!(
            "sip:\n  accounts:\n    - {{user: ata, host: 127.0.0.1, port: {port}, auth: none}}\n\
             numbers: {{echo: \"600\"}}\n"
        )),
        ..Setup::default()
    });
    let rest = system.rest();
    let leg = Leg::new(here, chirps(1, 1000));
    let keys = [("number", "600".to_owned()), ("rtp_port", leg.port().to_string())];
    let sip = system.sip_address();
    let scenario = |name| Scenario {
        name,
        remote: &sip,
        host: here,
        port,
        user: "ata",
        password: "",
        keys: &keys,
        pause: Duration::from_millis(500),
        tcp: false,
    };
    let calling = Sipp::start(&scenario("calls_unasked"));
    rest.line_becomes("ata", "off_hook");
    calling.succeeds(GENEROUS);
    rest.calls_become(0);
    let rung = Sipp::start(&scenario("is_rung_and_answers"));
    rest.post_empty("/v1/lines/ata/ring").check(202);
    rest.line_becomes("ata", "off_hook");
    rest.post_empty("/v1/lines/ata/hangup").check(202);
    rung.succeeds(GENEROUS);
}
