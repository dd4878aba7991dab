//! Settings: what is in a file, an environment variable or an argument, and what is refused, with
//! file, line and what is allowed, before anything starts.

use std::process::{Command, Output};
use tipring_tests::process::{Folder, Process};
use tipring_tests::rest::Rest;
use tipring_tests::system::{Setup, System, free_port, program, repository};
use tipring_tests::wait::{GENEROUS, until_true};

fn run(name: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(program(name))
        .args(arguments)
        .envs(environment.iter().copied())
        .output()
        .expect("it runs")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn versions_and_help() {
    for name in ["tipring-engine", "tipring-apid"] {
        let output = run(name, &["--version"], &[]);
        assert!(output.status.success() && text(&output).contains(env!("CARGO_PKG_VERSION")));
        let help = text(&run(name, &["--help"], &[]));
        for flag in ["--config", "--check-config", "--version", "--socket"] {
            assert!(help.contains(flag), "{name} --help lacks {flag}:\n{help}");
        }
        let output = run(name, &["--no-such-flag"], &[]);
        assert!(!output.status.success());
    }
}

#[test]
fn samples_are_valid() {
    for (name, sample) in
        [("tipring-engine", "engine/engine.yml"), ("tipring-apid", "apid/apid.yml")]
    {
        let path = repository().join(sample);
        let path = path.to_str().expect("UTF-8");
        let output = run(name, &["--config", path, "--check-config"], &[]);
        assert!(output.status.success(), "{sample}: {}", text(&output));
    }
}

#[test]
fn a_wrong_key_or_value_names_file_line_and_what_is_allowed() {
    let folder = Folder::new("settings");
    let cases: [(&str, &str, u32, &str); 7] = [
        ("tipring-engine", "simulated_lines: 2\nrtp_line: 4\n", 2, "rtp_lines"),
        ("tipring-engine", "country: us\nsimulated_lines: many\n", 2, ""),
        ("tipring-engine", "rtp_ports: {min: 20000, max: 10000}\n", 1, ""),
        ("tipring-engine", "logging:\n  output: engine.log\n", 2, "absolute path"),
        ("tipring-apid", "api:\n  port: 8000\n  prot: 8001\n", 3, "port"),
        ("tipring-apid", "api:\n  port: high\n", 2, "65535"),
        ("tipring-apid", "logging:\n  level: loud\n", 2, "warn"),
    ];
    for (name, yaml, line, allowed) in cases {
        let file = folder.file("wrong.yml");
        std::fs::write(&file, yaml).expect("written");
        let path = file.to_str().expect("UTF-8");
        for arguments in [&["--config", path, "--check-config"][..], &["--config", path]] {
            let output = run(name, arguments, &[]);
            let said = text(&output);
            assert!(!output.status.success(), "{name} took {yaml}");
            assert!(said.contains("wrong.yml"), "{name} does not name the file: {said}");
            let named = said.contains(&format!("line {line}"))
                || said.contains(&format!(":{line}"))
                || said.contains(&format!(" {line} |"));
            assert!(named, "{name} does not name line {line}: {said}");
            assert!(said.contains(allowed), "{name} does not say {allowed}: {said}");
        }
    }
    let output = run("tipring-apid", &["--config", "/nowhere/at/all.yml"], &[]);
    assert!(!output.status.success() && text(&output).contains("/nowhere/at/all.yml"));
}

#[test]
fn each_variable_is_obeyed_or_refused_by_name() {
    let wrong = [
        ("tipring-apid", "SIP_SERVER_HOST", "not an address"),
        ("tipring-apid", "SIP_SERVER_PORT", "99999"),
        ("tipring-apid", "API_HOST", "not an address"),
        ("tipring-apid", "API_PORT", "http"),
        ("tipring-apid", "AMI_PORT", "ami"),
        ("tipring-apid", "WS_PORT", "-1"),
        ("tipring-apid", "LOG_LEVEL", "loud"),
        ("tipring-apid", "DAHDI_API_HOST", "not an address"),
        ("tipring-apid", "DAHDI_API_REST_PORT", "http"),
        ("tipring-apid", "DAHDI_API_WS_PORT", "http"),
        ("tipring-apid", "API_TIMEOUT", "soon"),
        ("tipring-engine", "RTP_PORT_MIN", "low"),
        ("tipring-engine", "RTP_PORT_MAX", "99999"),
        ("tipring-engine", "LOG_LEVEL", "loud"),
    ];
    for (name, variable, value) in wrong {
        let output = run(name, &["--check-config"], &[(variable, value)]);
        let said = text(&output);
        assert!(!output.status.success(), "{name} took {variable}={value}");
        assert!(said.contains(variable), "{name} does not name {variable}: {said}");
    }
    // Secrets that everybody knows are for this machine alone.
    for (variable, account) in
        [("AMI_HOST", "AMI user manager"), ("SIP_SERVER_HOST", "account phone1")]
    {
        let said = text(&run("tipring-apid", &["--check-config"], &[(variable, "0.0.0.0")]));
        assert!(said.contains(account) && said.contains("everybody knows"), "{said}");
    }
    let here = "127.0.0.1".parse().expect("an address");
    let (rest_port, ws_port) = (free_port(here), free_port(here));
    // The harness starts every system by the other names; here the older ones, with no others.
    let system = System::prepare(Setup::default());
    let mut command = Command::new(program("tipring-apid"));
    command
        .arg("--socket")
        .arg(system.socket_path())
        .arg("--state-dir")
        .arg(system.folder.file("state"))
        .env("DAHDI_API_HOST", "127.0.0.1")
        .env("DAHDI_API_REST_PORT", rest_port.to_string())
        .env("DAHDI_API_WS_PORT", ws_port.to_string())
        .env("SIP_SERVER_PORT", system.ports.sip.to_string())
        .env("AMI_PORT", system.ports.ami.to_string())
        .env("API_TIMEOUT", "7")
        .env("LOG_LEVEL", "DEBUG");
    let _apid = Process::start(&mut command, &system.folder.file("apid.log"));
    let rest = Rest::new(&format!("127.0.0.1:{rest_port}"), None);
    until_true("apid on the older variables", GENEROUS, || rest.try_get("/healthz").is_some());
    let ports = rest.get("/v1/diagnostics").expect_json(200)["ports"].to_string();
    for port in [rest_port, ws_port, system.ports.sip, system.ports.ami] {
        assert!(ports.contains(&port.to_string()), "{port} is not in {ports}");
    }
}

/// A channel that is named and not there is told, and waited for.
#[test]
fn a_dahdi_device_is_not_passed_over_in_silence() {
    let system = System::prepare(Setup::default());
    let log = system.folder.file("engine.log");
    let mut command = Command::new(program("tipring-engine"));
    command.arg("--socket").arg(system.socket_path()).env("DAHDI_DEVICE", "/dev/dahdi/1");
    let _engine = Process::start(&mut command, &log);
    until_true("the engine names the device", GENEROUS, || {
        std::fs::read_to_string(&log)
            .is_ok_and(|text| text.contains("WARN") && text.contains("dahdi/1: "))
    });
}

/// The RTP range is the engine's: a call's port is in it.
#[test]
fn the_rtp_range_is_used() {
    let system = System::demonstration();
    let leg = tipring_tests::rtp::Leg::new("127.0.0.1".parse().expect("it"), vec![0; 160]);
    let keys = [("number", "600".to_owned()), ("rtp_port", leg.port().to_string())];
    let sip = system.sip_address();
    let scenario = tipring_tests::sipp::Scenario {
        name: "hold_call",
        remote: &sip,
        host: "127.0.0.1".parse().expect("it"),
        port: free_port("127.0.0.1".parse().expect("it")),
        user: "phone3",
        password: "secret",
        keys: &keys,
        pause: std::time::Duration::from_millis(800),
        tcp: false,
    };
    let phone = tipring_tests::sipp::Sipp::start(&scenario);
    let rest = system.rest();
    rest.line_becomes("phone3", "off_hook");
    let line = rest.get("/v1/lines/phone3/diagnostics").expect_json(200);
    let port = line["rtp_port"].as_u64().expect("a port") as u16;
    assert!((system.ports.rtp..system.ports.rtp + 400).contains(&port), "{port}");
    phone.succeeds(GENEROUS);
}

#[test]
fn a_port_in_use_is_named() {
    let system = System::prepare(Setup::default());
    let taken = std::net::TcpListener::bind(("127.0.0.1", system.ports.http)).expect("free");
    let output = run(
        "tipring-apid",
        &[
            "--socket",
            system.socket_path().to_str().expect("UTF-8"),
            "--state-dir",
            system.folder.file("state").to_str().expect("UTF-8"),
        ],
        &[
            ("API_PORT", &system.ports.http.to_string()),
            ("WS_PORT", &system.ports.websocket.to_string()),
            ("SIP_SERVER_PORT", &system.ports.sip.to_string()),
            ("AMI_PORT", &system.ports.ami.to_string()),
        ],
    );
    let said = text(&output);
    assert!(!output.status.success() && said.contains(&system.ports.http.to_string()), "{said}");
    drop(taken);
}

#[test]
fn an_open_address_needs_tokens_and_secrets_of_ones_own() {
    let folder = Folder::new("open");
    let state = folder.path().to_str().expect("UTF-8").to_owned();
    let arguments = ["--state-dir", &state, "--socket", "/nonexistent/engine.sock"];
    for variable in ["API_HOST", "SIP_SERVER_HOST", "AMI_HOST"] {
        let output = run("tipring-apid", &arguments, &[(variable, "0.0.0.0")]);
        let said = text(&output);
        assert!(!output.status.success(), "{variable}=0.0.0.0 was taken with sample secrets");
        let reason = ["token", "secret", "sample"].iter().any(|word| said.contains(word));
        assert!(reason, "no reason: {said}");
    }
}

const SIP_PHONE_API: &str = "server:
  host: 0.0.0.0
  rest_port: 8000
  websocket_port: 8001
  sip_port: 5060
  workers: 4
ht802:
  host: 192.168.1.100
  auth_enabled: true
  credentials:
    username: admin
    password: a-secret-of-theirs
audio:
  sample_rate: 8000
  bit_depth: 16
  channels: 1
  codec: PCMU
  buffer_size: 320
  rtp_ports:
    min: 10000
    max: 20000
logging:
  level: INFO
  format: json
  output: /var/log/phone.log
  rotation: 1 day
  retention: 30 days
";

const DAHDI_PHONE_API: &str = "server:
  host: 0.0.0.0
  rest_port: 8000
  websocket_port: 8001
  workers: 4
dahdi:
  device: /dev/dahdi/channel001
  control: /dev/dahdi/ctl
  channel: 1
  audio: {}
  buffer_size: 320
logging:
  level: INFO
  format: text
  output: /var/log/dahdi_phone.log
  rotation: 1 day
  retention: 30 days
api:
  rate_limit: 100
  timeout: 30
  max_connections: 1000
websocket:
  ping_interval: 30
  ping_timeout: 10
  max_message_size: 1048576
security:
  allowed_origins: ['http://localhost:3000']
  api_tokens: ['one-of-theirs']
";

#[test]
fn the_older_files_are_imported() {
    for (name, older) in [("sip.yml", SIP_PHONE_API), ("dahdi.yml", DAHDI_PHONE_API)] {
        let folder = Folder::new("import");
        let file = folder.file(name);
        std::fs::write(&file, older).expect("written");
        let output = run("tipring-apid", &["--import", file.to_str().expect("UTF-8")], &[]);
        let said = text(&output);
        assert!(output.status.success(), "{name}: {said}");
        let ours = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(ours.contains("8000") && ours.contains("8001"), "{ours}");
        // What has no counterpart is named.
        assert!(said.contains("workers"), "{name}: {said}");
        let imported = folder.file("apid.yml");
        std::fs::write(&imported, &ours).expect("written");
        let arguments = ["--config", imported.to_str().expect("UTF-8"), "--check-config"];
        let output = run("tipring-apid", &arguments, &[]);
        let said = text(&output);
        // An open address may want tokens first; unknown keys or values it must not have.
        assert!(output.status.success() || said.contains("token"), "{name}: {said}\n{ours}");
    }
}
