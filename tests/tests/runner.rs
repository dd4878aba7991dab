//! `make run`: starts both, says where to look, restarts whichever dies, stops on Ctrl-C.

use nix::sys::signal::Signal;
use std::process::Command;
use std::time::{Duration, Instant};
use tipring_tests::process::{Folder, Process};
use tipring_tests::rest::Rest;
use tipring_tests::system::{free_port, repository};
use tipring_tests::wait::{GENEROUS, until, until_true};

/// Ids of the processes that this runner started, by name.
fn children(runner: u32, name: &str) -> Vec<i32> {
    let output =
        Command::new("ps").args(["-o", "pid=,comm=", "--ppid", &runner.to_string()]).output();
    let text = output.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    text.lines()
        .filter(|line| line.contains(&name[..name.len().min(15)]))
        .filter_map(|line| line.split_whitespace().next()?.parse().ok())
        .collect()
}

#[test]
fn runs_restarts_and_stops() {
    let here = "127.0.0.1".parse().expect("an address");
    let [http, ws, sip, ami] = [(); 4].map(|()| free_port(here));
    let folder = Folder::new("run");
    let mut command = Command::new(repository().join("tools/run"));
    command
        .arg("--debug")
        .env("TIPRING_RUN_DIR", folder.path())
        .env("API_PORT", http.to_string())
        .env("WS_PORT", ws.to_string())
        .env("SIP_SERVER_PORT", sip.to_string())
        .env("AMI_PORT", ami.to_string())
        .env("RTP_PORT_MIN", "32600")
        .env("RTP_PORT_MAX", "32698");
    // What cargo tells a test of its package would have build scripts run anew, and all after them.
    for (name, _) in std::env::vars() {
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    let mut runner = Process::start(&mut command, &folder.file("log"));
    let rest = Rest::new(&format!("127.0.0.1:{http}"), None);
    // It builds first.
    let limit = GENEROUS + Duration::from_mins(5);
    // Its last line.
    until_true("the greeting", limit, || runner.log().contains(r#"-d '{"off":false}'"#));
    let log = runner.log();
    assert!(log.contains(&format!("http://127.0.0.1:{http}/docs")), "{log}");

    // Each command of the greeting works as it stands.
    let commands: Vec<&str> =
        log.lines().map(str::trim).filter(|l| l.starts_with("curl ")).collect();
    assert!(commands.len() >= 4, "{log}");
    for line in commands {
        let with_status = format!("{line} -w ' %{{http_code}}'");
        let output = Command::new("bash").args(["-c", &with_status]).output().expect("bash");
        let answer = String::from_utf8_lossy(&output.stdout).into_owned();
        let status = answer.split_whitespace().last().unwrap_or_default().to_owned();
        assert!(status.starts_with('2'), "{line}: {answer}");
    }

    // Either is back within a second of its death.
    for name in ["tipring-engine", "tipring-apid"] {
        let before = until("the child", GENEROUS, || children(runner.id(), name).pop());
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(before), Signal::SIGKILL)
            .expect("killed");
        let died = Instant::now();
        let after = until("its successor", GENEROUS, || {
            children(runner.id(), name).into_iter().find(|&pid| pid != before)
        });
        println!("{name} {before} was followed by {after} after {:?}", died.elapsed());
        until_true("ready again", GENEROUS, || {
            rest.try_get("/readyz").is_some_and(|a| a.status == 200)
        });
    }

    let (engine, apid) =
        (children(runner.id(), "tipring-engine"), children(runner.id(), "tipring-apid"));
    runner.signal(Signal::SIGINT);
    let status = runner.finish(GENEROUS);
    assert!(status.is_some_and(|s| s.success()), "{status:?}\n{}", runner.log());
    for pid in engine.into_iter().chain(apid) {
        let gone = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None).is_err();
        assert!(gone, "{pid} was left behind");
    }
    assert!(runner.log().contains("Stopped."), "{}", runner.log());
    assert!(!runner.log().contains("was killed"), "a process did not stop:\n{}", runner.log());
}

/// Where cargo is missing or too old, both commands say the one command that mends it.
#[test]
fn an_unfit_machine_is_told_what_to_do() {
    let folder = Folder::new("old");
    let old = folder.file("cargo");
    std::fs::write(&old, "#!/bin/sh\necho cargo 1.80.1\n").expect("written");
    Command::new("chmod").arg("+x").arg(&old).status().expect("chmod");
    let without = "/usr/bin:/bin".to_owned();
    let with_old = format!("{}:/usr/bin:/bin", folder.path().display());
    for (path, found) in [(&without, "not installed"), (&with_old, "1.80.1")] {
        for tool in ["tools/run", "tools/test"] {
            let output = Command::new(repository().join(tool))
                .env("PATH", path)
                .env("HOME", folder.path())
                .env("CARGO_HOME", folder.path())
                .output()
                .expect("it runs");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            if found == "not installed" && std::path::Path::new("/usr/bin/cargo").exists() {
                continue;
            }
            assert!(!output.status.success() && said.contains(found), "{tool}: {said}");
            assert!(said.contains("rustup"), "{tool} does not say what mends it: {said}");
        }
    }
}
