//! Logs of both processes: where they are sent, or why they cannot be written there.

use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use tipring_tests::process::Folder;
use tipring_tests::system::{Setup, System, program};
use tipring_tests::wait::{GENEROUS, until};

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
    let (engine_yaml, apid_yaml) = (logging("engine.log"), logging("apid.log"));
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
