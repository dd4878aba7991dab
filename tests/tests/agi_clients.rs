//! Programs for AGI by three libraries as they come from PyPI: over the manager's port, over a
//! connection of their own, and as a script of this machine. Each plays, reads three digits, says
//! them and hangs up, with a simulated and with a SIP phone, and what is heard is compared.

use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use tipring_tests::baresip::{Baresip, Telephone};
use tipring_tests::ear::Ear;
use tipring_tests::pjsua::python;
use tipring_tests::program::Program;
use tipring_tests::signal::{chirps, find, samples, wav};
use tipring_tests::system::{Setup, System, repository};
use tipring_tests::wait::{GENEROUS, until_true};

const PROMPTS: [&str; 5] = ["hello-world", "beep", "digits/4", "digits/2", "digits/7"];

fn sound(name: &str) -> Vec<i16> {
    let seed = PROMPTS.iter().position(|known| *known == name).expect("a prompt of these tests");
    chirps(820 + seed as u64, 500)
}

fn is_heard(heard: &[i16], name: &str) -> bool {
    let core = &sound(name)[samples(50)..samples(450)];
    find(core, heard).is_some_and(|found| found.score > 0.9)
}

#[track_caller]
fn all_heard(heard: &[i16]) {
    for name in PROMPTS {
        assert!(is_heard(heard, name), "{name} was not heard");
    }
}

fn script() -> PathBuf {
    repository().join("tests/phones/agi_clients.py")
}

fn client(system: &System, words: &[&str]) -> Program {
    let mut command = Command::new(python());
    command.arg(script()).args(words);
    Program::start(system, "none", &mut command)
}

/// Listens for FastAGI; gives where.
fn server(system: &System, library: &str) -> (Program, String) {
    let program = client(system, &[library, "fast"]);
    program.says(" |");
    let output = program.output();
    let port = output.split_whitespace().nth(1).expect("port N |").to_owned();
    (program, port)
}

/// Starts scripts as systemd does for tipring-agi.socket: for each connection the command of the
/// unit, with the connection as standard input and output.
fn start_scripts(socket: &Path, folder: &Path) {
    let listener = UnixListener::bind(socket).expect("a socket");
    let folder = folder.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let copy = |stream: &UnixStream| OwnedFd::from(stream.try_clone().expect("a copy"));
            let mut command = Command::new(repository().join("systemd/run-agi-script"));
            let started = command.arg(&folder).stdin(copy(&stream)).stdout(copy(&stream)).spawn();
            drop((command, stream));
            std::thread::spawn(move || started.map(|mut child| child.wait()));
        }
    });
}

fn with_simulated(system: &System, line: &str, number: &str, program: &dyn Fn()) {
    let ear = Ear::dial(system, line, number);
    ear.hears(&sound("beep"));
    ear.press("427");
    program();
    let rest = system.rest();
    until_true("its end", GENEROUS, || rest.line(line)["call_id"].is_null());
    all_heard(&ear.heard());
}

fn with_sip(phone: &Baresip, number: &str, program: &dyn Fn()) {
    phone.dial(number);
    until_true("the beep", GENEROUS, || is_heard(&phone.heard(), "beep"));
    phone.press("427");
    program();
    phone.expect_event("CALL_CLOSED");
    all_heard(&phone.heard());
}

/// As Asterisk 12 and later tell it, to one who is told by configuration what is filtered only.
fn by_later_events(system: &System) {
    let port = system.ports.ami.to_string();
    let program = client(system, &["panoramisk", "modern", &port, "secret"]);
    program.says("ready");
    with_simulated(system, "1", "403", &|| program.says("digits 427\n"));
    program.says("hangup 200 result=1");
    program.says("event AsyncAGIEnd ");
    program.says("event Hangup Up ");
    let output = program.output();
    let told = |event: &str| output.matches(&format!("event {event} ")).count();
    let of_403 = ["FullyBooted", "AsyncAGIStart", "AsyncAGIExec", "AsyncAGIEnd"].map(told);
    assert_eq!(of_403, [1, 1, 5, 1], "{output}");
    // Whatever of other calls ends meanwhile.
    let told_all = output.matches("event ").count();
    assert_eq!(of_403.iter().sum::<usize>() + told("Hangup"), told_all, "{output}");
}

#[test]
fn three_libraries_command_calls_in_every_way() {
    let account = |n: u8| {
        format!(
            "    - {{user: phone{n}, password: secret, extension: \"20{n}\", algorithms: [md5]}}\n"
        )
    };
    let line = |n: u8| format!("  - {{id: \"{n}\", engine: sim/{n}, extension: \"10{n}\"}}\n");
    let (accounts, lines): (String, String) = (1..=6).map(|n| (account(n), line(n))).unzip();
    let mut system = System::prepare(Setup {
        engine_yaml: Some("simulated_lines: 6\nrtp_lines: 8\n".to_owned()),
        apid_yaml: Some(String::new()),
        ..Setup::default()
    });
    let (panoramisk, first) = server(&system, "panoramisk");
    let (pystrix, second) = server(&system, "pystrix");
    let (pyst2, third) = server(&system, "pyst2");
    let plan = format!(
        "[default]\nexten => 403,1,AGI(agi:async)\n\
         exten => 411,1,AGI(agi://127.0.0.1:{first}/dialogue?x=1)\n\
         exten => 412,1,AGI(agi://127.0.0.1:{second}/dialogue)\n\
         exten => 413,1,AGI(agi://127.0.0.1:{third}/dialogue)\n\
         exten => 414,1,AGI(talk.py)\n\
         exten => 415,1,AGI(../talk.py)\n same => n,GotoIf($[\"${{AGISTATUS}}\" = \"NOTFOUND\"]?gone)\n \
         same => n,Hangup(16)\n same => n(gone),Hangup(21)\n"
    );
    std::fs::write(system.folder.file("extensions.conf"), plan).expect("written");
    let scripts = system.folder.file("scripts");
    std::fs::create_dir_all(&scripts).expect("a folder");
    let text =
        format!("#!/bin/sh\nexec {} {} pyst2 local\n", python().display(), script().display());
    std::fs::write(scripts.join("talk.py"), text).expect("written");
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(scripts.join("talk.py"), executable).expect("its own file");
    let socket = system.folder.file("agi.sock");
    start_scripts(&socket, &scripts);
    let apid = format!(
        "sip:\n  accounts:\n{accounts}lines:\n{lines}\
         ami:\n  users:\n    - {{user: manager, secret: secret}}\n    \
         - {{user: modern, secret: secret, dialect: modern, event_filters: \
         [\"Event: AsyncAGI\", \"Event: FullyBooted\", \"Event: Hangup\", \"!HangupRequest\"]}}\n\
         agi: {{scripts_socket: \"{}\"}}\n\
         fetch: {{private: [127.0.0.1/32]}}\nextensions: extensions.conf\n",
        socket.display()
    );
    std::fs::write(system.folder.file("apid.yml"), apid).expect("written");
    let sounds = system.folder.file("state").join("sounds");
    std::fs::create_dir_all(sounds.join("digits")).expect("a folder");
    for name in PROMPTS {
        std::fs::write(sounds.join(format!("{name}.wav")), wav(&sound(name), 8000, 1)).expect("it");
    }
    system.start_engine();
    system.start_apid();
    system.ready();
    let rest = system.rest();
    until_true("hooks", GENEROUS, || {
        (1..=6).all(|n| rest.line(&n.to_string())["hook"] != "unknown")
    });
    let system = &system;
    let phone = |n: usize| {
        let silence = vec![0; samples(60_000)];
        Baresip::start(&Telephone::new(&format!("phone{n}"), &system.sip_address(), silence))
    };
    // One after the other on the manager's port, where each hears of all channels; the others beside
    // them.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for (n, library) in [(1, "panoramisk"), (6, "pystrix")] {
                let port = system.ports.ami.to_string();
                let program = client(system, &[library, "async", &port, "secret"]);
                program.says("ready");
                let calls = std::cell::Cell::new(0);
                let read = || {
                    calls.set(calls.get() + 1);
                    until_true("the digits", GENEROUS, || {
                        program.output().matches("digits 427\n").count() == calls.get()
                    });
                };
                with_simulated(system, &n.to_string(), "403", &read);
                with_sip(&phone(n), "403", &read);
                program.says("hangup 200 result=1");
                assert!(program.output().contains("play 200 result=0\n"), "{}", program.output());
            }
            by_later_events(system);
        });
        for (n, number, program) in
            [(2, "411", &panoramisk), (3, "412", &pystrix), (4, "413", &pyst2)]
        {
            let phone = &phone;
            scope.spawn(move || {
                let caller = format!("from 10{n}\n");
                with_simulated(system, &n.to_string(), number, &|| {
                    program.says("digits 427\n");
                    program.says(&caller);
                });
                let caller = format!("from 20{n}\n");
                with_sip(&phone(n), number, &|| program.says(&caller));
                until_true("both", GENEROUS, || program.output().matches("hangup 1").count() == 2);
            });
        }
        scope.spawn(|| {
            with_simulated(system, "5", "414", &|| {});
            with_sip(&phone(5), "414", &|| {});
        });
    });
    assert!(pystrix.output().contains("variable a value\nusage\n"), "{}", pystrix.output());
    assert!(pyst2.output().contains("variable a value\n"), "{}", pyst2.output());

    // No script leads out of the folder.
    let ear = Ear::lift(system, "1");
    ear.press("415");
    until_true("a refusal", GENEROUS, || {
        let calls = rest.get("/v1/calls").expect_json(200);
        calls["calls"][0]["to"] == "app:415@default" && calls["calls"][0]["cause"]["code"] == 21
    });
}

/// The launcher takes names only, and the units are what systemd takes, closed as far as can be.
#[test]
fn scripts_are_started_from_one_folder_within_limits() {
    use std::io::Write as _;
    use std::process::Stdio;
    let folder = tipring_tests::process::Folder::new("scripts");
    let make = |name: &str, mode: u32| {
        std::fs::write(folder.file(name), "#!/bin/sh\nfor a; do echo \"[$a]\"; done\ncat\n")
            .expect("written");
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(folder.file(name), mode).expect("its own file");
    };
    make("hello", 0o755);
    make("plain", 0o644);
    std::os::unix::fs::symlink("/bin/cat", folder.file("link")).expect("a link");
    std::fs::create_dir(folder.file("folder")).expect("a folder");
    let run = |order: &str| {
        let mut child = Command::new(repository().join("systemd/run-agi-script"))
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it runs");
        let mut input = child.stdin.take().expect("piped");
        input.write_all(order.as_bytes()).expect("it reads");
        drop(input);
        let output = child.wait_with_output().expect("it ends");
        String::from_utf8(output.stdout).expect("text")
    };
    // What is behind the order is the script's.
    assert_eq!(
        run("hello\u{1f}one\u{1f}\u{1f}* $(id)\nagi_request: hello\n\n"),
        "started\n[one]\n[]\n[* $(id)]\nagi_request: hello\n\n"
    );
    for wrong in
        ["", "../hello", "./hello", "/bin/cat", ".hidden", "-x", "link", "plain", "folder", "no"]
    {
        assert_eq!(run(&format!("{wrong}\n")), "not found\n", "{wrong}");
    }
    assert_eq!(run(""), "", "an order that never comes");

    let units = folder.file("units");
    std::fs::create_dir(&units).expect("a folder");
    let launcher = repository().join("systemd");
    for unit in ["tipring-agi.socket", "tipring-agi@.service"] {
        let text = std::fs::read_to_string(launcher.join(unit)).expect("a unit");
        let text = text.replace("/usr/local/lib/tipring", &launcher.display().to_string());
        std::fs::write(units.join(unit), text).expect("written");
    }
    let analyze = |words: &[&str]| {
        let units = ["tipring-agi.socket", "tipring-agi@.service"].map(|unit| units.join(unit));
        let files = if words[0] == "verify" { &units[..] } else { &units[1..] };
        let output = Command::new("systemd-analyze").args(words).args(files).output();
        let output = output.expect("systemd-analyze, of Debian's package systemd");
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    };
    assert_eq!(analyze(&["verify", "--man=no"]), (true, String::new()));
    // From 0, where nothing is left to be taken away, to 10.
    let (closed, text) = analyze(&["security", "--offline=true", "--threshold=5"]);
    assert!(closed, "{text}");
}
