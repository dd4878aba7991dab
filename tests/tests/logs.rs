//! Logs of both processes: where they are sent, or why they cannot be written there; the lines of
//! refusals.

use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tipring_tests::process::Folder;
use tipring_tests::rest::Rest;
use tipring_tests::sipp::{Scenario, Sipp};
use tipring_tests::socket::Socket;
use tipring_tests::system::{Setup, System, free_port, program};
use tipring_tests::wait::{GENEROUS, until, until_true};

/// Names of the files of that log, oldest first.
fn files(folder: &Folder, log: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder.path()).expect("the folder is there");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.retain(|name| name.starts_with(log));
    names.sort_unstable();
    names
}

/// The line of that log whose message contains `text`.
#[track_caller]
fn line(folder: &Folder, log: &str, text: &str) -> Value {
    until(&format!("a line with `{text}` in {log}"), GENEROUS, || {
        let newest = files(folder, log).pop()?;
        let written = std::fs::read_to_string(folder.file(&newest)).expect("UTF-8");
        let (whole, _) = written.rsplit_once('\n')?;
        let mut lines = whole.lines().map(|line| -> Value {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
        });
        lines.find(|line| line["message"].as_str().is_some_and(|message| message.contains(text)))
    })
}

#[test]
fn both_are_kept_in_rotated_files_of_which_so_many_are_kept() {
    let folder = Folder::new("logs");
    let logging = |log: &str| {
        for old in ["2020-01-01", "2020-01-02", "2020-01-03"] {
            std::fs::write(folder.file(&format!("{log}.{old}")), "old\n").expect("written");
        }
        let path = folder.file(log);
        let path = path.display();
        Some(format!("logging: {{output: {path}, format: json, retention_files: 2}}\n"))
    };
    // With a configuration nothing is simulated that it does not name.
    let engine_yaml = logging("engine.log").map(|yaml| format!("simulated_lines: 1\n{yaml}"));
    let apid_yaml = logging("apid.log");
    let mut system = System::start(Setup { engine_yaml, apid_yaml, ..Setup::default() });
    system.rest().post("/v1/lines/1/ring", &json!({})).check(202);

    let attached = line(&folder, "engine.log", "apid attached");
    assert_eq!((&attached["level"], &attached["process"]), (&"INFO".into(), &"engine".into()));
    assert!(attached["timestamp"].as_str().is_some_and(|t| t.ends_with('Z')), "{attached}");
    let ring = line(&folder, "apid.log", "ring");
    assert_eq!((&ring["level"], &ring["line"]), (&"INFO".into(), &"1".into()));
    for log in ["engine.log", "apid.log"] {
        let files = files(&folder, log);
        assert!(files.len() == 2 && files[0].ends_with("2020-01-03"), "{files:?}");
    }
    for process in [&mut system.apid, &mut system.engine].into_iter().flatten() {
        assert!(process.stop(GENEROUS).is_some_and(|status| status.success()));
        assert_eq!(process.log(), "", "what is in the file is not on standard error too");
    }
}

/// One line for each, with who, what, which line and why; and no digit.
#[test]
fn each_refusal_has_its_line_whoever_asked() {
    let folder = Folder::new("logs");
    let log = format!("logging: {{output: {}, format: json}}", folder.file("it.log").display());
    let phone = "{user: desk, password: known-to-nobody, extension: \"201\", algorithms: [md5]}";
    let yaml = format!("{log}\nsip: {{accounts: [{phone}]}}\n");
    let token = |name: &str, scopes: &[&str]| {
        let scopes = scopes.iter().flat_map(|scope| ["--scope".to_owned(), (*scope).to_owned()]);
        [name.to_owned()].into_iter().chain(scopes).collect::<Vec<_>>()
    };
    let tokens =
        vec![token("owner", &["read", "control", "admin", "audio"]), token("looker", &["read"])];
    let system = System::start(Setup { apid_yaml: Some(yaml), tokens, ..Setup::default() });
    let (owner, looker) = (system.rest(), system.rest().with_token(&system.tokens[1]));

    looker.post("/v1/lines/1/ring", &json!({})).check(403);
    let refused = line(&folder, "it.log", "refused: forbidden");
    assert_eq!((&refused["surface"], &refused["line"]), (&"http".into(), &"1".into()));
    assert_eq!(refused["caller"], "looker");
    assert_eq!(refused["asked"], "POST /v1/lines/1/ring");
    assert!(refused["message"].as_str().is_some_and(|m| m.contains("control")), "{refused}");

    owner.post("/v1/lines/2/dtmf", &json!({"digits": "12E34"})).check(422);
    owner.post("/v1/lines/2/dtmf", &json!({"digits": 98765})).check(422);
    let refused = line(&folder, "it.log", "refused: invalid");
    assert_eq!((&refused["caller"], &refused["line"]), (&"owner".into(), &"2".into()));

    Rest::new(&system.address(), None).get("/v1/lines").check(401);
    let refused = line(&folder, "it.log", "refused: unauthorized");
    assert_eq!(refused["caller"], Value::Null);

    let socket = Socket::open(&system.address(), "/v1/lines/1/audio", Some(&system.tokens[0]));
    socket.send_text("not JSON");
    let refused = line(&folder, "it.log", "refused: malformed-body");
    assert_eq!((&refused["caller"], &refused["line"]), (&"owner".into(), &"1".into()));

    let local = "127.0.0.1".parse().expect("an address");
    let scenario = Scenario {
        name: "wrong_secret",
        remote: &system.sip_address(),
        host: local,
        port: free_port(local),
        user: "desk",
        password: "guess",
        keys: &[],
        pause: Duration::ZERO,
        tcp: false,
    };
    Sipp::start(&scenario).succeeds(GENEROUS);
    let refused = line(&folder, "it.log", "refused: wrong credentials");
    assert_eq!((&refused["surface"], &refused["asked"]), (&"sip".into(), &"REGISTER".into()));

    let written = files(&folder, "it.log").pop().map(|name| folder.file(&name));
    let written = std::fs::read_to_string(written.expect("a log")).expect("UTF-8");
    for never in ["12E34", "98765", "guess", "known-to-nobody", &system.tokens[0]] {
        assert!(!written.contains(never), "{never} is in the log:\n{written}");
    }
}

/// Lines that a flood of refusals may leave: a hundred, then two a second.
#[test]
fn a_flood_of_refusals_does_not_fill_the_disk() {
    let folder = Folder::new("logs");
    let log = folder.file("it.log");
    let yaml = format!("logging: {{output: {}, format: json}}\n", log.display());
    let system = System::start(Setup { apid_yaml: Some(yaml), ..Setup::default() });
    let rest = system.rest();
    let begin = Instant::now();
    for _ in 0..400 {
        rest.get("/v1/lines/nobody").check(404);
    }
    let most = 101 + 2 * begin.elapsed().as_secs() as usize + 2;
    let lines = || {
        let file = files(&folder, "it.log").pop().expect("a log");
        let text = std::fs::read_to_string(folder.file(&file)).expect("UTF-8");
        text.lines().filter(|line| line.contains("refused")).map(str::to_owned).collect::<Vec<_>>()
    };
    let written = lines();
    assert!(written.len() <= most, "{} lines for 400 refusals", written.len());
    until_true("a line that says how many were left out", GENEROUS, || {
        rest.get("/v1/lines/nobody").check(404);
        lines().iter().any(|line| line.contains("\"left_out\":"))
    });
}

#[test]
fn a_file_that_cannot_be_written_is_named_before_anything_starts() {
    let folder = Folder::new("logs");
    let config = folder.file("wrong.yml");
    std::fs::write(&config, "logging: {output: /proc/nowhere/it.log}\n").expect("written");
    let socket = folder.file("engine.sock");
    for name in ["tipring-engine", "tipring-apid"] {
        let arguments = [Path::new("--config"), &config, Path::new("--socket"), &socket];
        let output = Command::new(program(name)).args(arguments).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{name} started");
        assert!(said.contains("/proc/nowhere/it.log: the log cannot be written there"), "{said}");
        assert!(!socket.exists(), "{name} left a socket");
    }
}
