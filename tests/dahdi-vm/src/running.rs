//! Both processes in the guest, straight from the build: for what lines do on a card, whatever
//! starts them.

use crate::Machine;
use crate::installed::HTTP_PORT;
use std::process::Command;
use tipring_tests::rest::Rest;
use tipring_tests::socket::Socket;
use tipring_tests::system::program;
use tipring_tests::wait::{GENEROUS, until_true};

/// The guest's own address, as the emulator gives it.
const ADDRESS: &str = "10.0.2.15";

/// Engine and apid in a machine whose [`HTTP_PORT`] is forwarded.
#[derive(Debug)]
pub struct Running<'a> {
    machine: &'a Machine,
    token: String,
}

impl<'a> Running<'a> {
    /// Starts both; `engine_yaml` is the engine's configuration.
    ///
    /// # Panics
    /// If one of them does not start.
    #[track_caller]
    pub fn on(machine: &'a Machine, engine_yaml: &str) -> Self {
        for name in ["tipring-engine", "tipring-apid"] {
            // Lines of code are of no use in the guest, and ten times the size.
            let stripped = Command::new("strip")
                .args(["--strip-debug", "-o"])
                .args([&machine.share().join(name), &program(name)])
                .status();
            assert!(stripped.is_ok_and(|status| status.success()), "{name} cannot be lent");
        }
        machine.write("/tmp/engine.yml", engine_yaml);
        machine.write(
            "/tmp/apid.yml",
            &format!("api: {{host: {ADDRESS}}}\nsip: {{host: {ADDRESS}, accounts: []}}\nlines: []"),
        );
        let token = machine.run(
            "/host/tipring-apid --state-dir /tmp/state token create test \
             --scope read --scope control --scope audio --scope admin",
        );
        let token = token.split_whitespace().last().expect("a token is printed").to_owned();
        machine.run("mkdir -p /run/tipring");
        let running = Self { machine, token };
        running.start("tipring-engine", "--config /tmp/engine.yml");
        running.start("tipring-apid", "--config /tmp/apid.yml --state-dir /tmp/state");
        let rest = running.rest();
        until_true("apid and its engine", GENEROUS * 2, || {
            rest.try_get("/readyz").is_some_and(|answer| answer.status == 200)
        });
        running
    }

    #[track_caller]
    fn start(&self, name: &str, arguments: &str) {
        self.machine.run(&format!(
            "systemd-run -q --unit {name} -p LimitMEMLOCK=infinity -p LimitRTPRIO=50 \
             /host/{name} {arguments} --socket /run/tipring/engine.sock"
        ));
    }

    /// A client of apid.
    #[track_caller]
    pub fn rest(&self) -> Rest {
        Rest::new(&self.machine.address(HTTP_PORT), Some(&self.token))
    }

    /// A WebSocket of apid.
    #[track_caller]
    pub fn socket(&self, path: &str) -> Socket {
        Socket::open(&self.machine.address(HTTP_PORT), path, Some(&self.token))
    }

    /// What the engine has written.
    #[track_caller]
    pub fn engine_log(&self) -> String {
        self.machine.journal("tipring-engine")
    }

    /// A counter, over all of the engine's frame loops.
    ///
    /// # Panics
    /// If there is no such counter.
    #[track_caller]
    pub fn counter(&self, name: &str) -> u64 {
        let diagnostics = self.rest().get("/v1/diagnostics").expect_json(200);
        let loops = diagnostics["engine"]["frame_loops"].as_array().expect("frame loops").clone();
        let of = |one: &serde_json::Value| one["counters"][name].as_u64();
        loops.iter().map(|one| of(one).unwrap_or_else(|| panic!("no {name} in {one}"))).sum()
    }
}
