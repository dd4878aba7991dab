//! Programs written for Asterisk's manager interface, by three libraries as they come from PyPI:
//! they log in, have a phone called, see its call whole, and hang it up.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use tipring_tests::baresip::{Baresip, Telephone};
use tipring_tests::pjsua::python;
use tipring_tests::process::Folder;
use tipring_tests::signal::chirps;
use tipring_tests::system::{System, repository};
use tipring_tests::wait::{GENEROUS, until_true};

/// One of `tests/phones/ami_clients.py`; ends when dropped.
struct Program {
    child: Child,
    folder: Folder,
}

impl Program {
    fn start(system: &System, library: &str, device: &str) -> Self {
        let folder = Folder::new(library);
        let output = std::fs::File::create(folder.file("output")).expect("file");
        let errors = output.try_clone().expect("file");
        let child = Command::new(python())
            .arg(repository().join("tests/phones/ami_clients.py"))
            .args([library, &system.ports.ami.to_string(), device, "secret"])
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .expect("Python starts");
        Self { child, folder }
    }

    fn output(&self) -> String {
        std::fs::read_to_string(self.folder.file("output")).unwrap_or_default()
    }

    #[track_caller]
    fn says(&self, begins: &str) {
        let begin = std::time::Instant::now();
        while !self.output().lines().any(|said| said.starts_with(begins)) {
            assert!(begin.elapsed() < GENEROUS, "no `{begins}` in:\n{}", self.output());
            std::thread::sleep(std::time::Duration::from_millis(30));
        }
    }

    fn go_on(&mut self) {
        let input = self.child.stdin.as_mut().expect("piped");
        input.write_all(b"go on\n").expect("it reads");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The whole life of a call in the order in which a program is told it.
#[track_caller]
fn saw_it_whole(program: &Program, device: &str) {
    let output = program.output();
    let events: Vec<&str> = output
        .lines()
        .filter_map(|line| line.strip_prefix("event ")?.split_once(' '))
        .filter(|(_, channel)| channel.starts_with(&format!("{device}-")))
        .map(|(event, _)| event)
        .collect();
    let at = |event: &str| {
        let found = events.iter().position(|seen| *seen == event);
        found.unwrap_or_else(|| panic!("no {event} in:\n{output}"))
    };
    let order = ["Newchannel", "NewCallerid", "VarSet", "Newstate", "Newexten", "Hangup"];
    let places: Vec<usize> = order.iter().map(|event| at(event)).collect();
    assert!(places.is_sorted(), "{order:?} at {places:?} in:\n{output}");
}

/// Each calls a simulated telephone, one after the other on one system.
#[test]
fn three_libraries_call_a_simulated_telephone() {
    let system = System::demonstration();
    let rest = system.rest();
    for (library, more) in [
        (
            "panoramisk",
            [
                "by challenge True",
                "login True",
                "channels 1",
                "command Asterisk 11.0.0 (Tipring 0.1.0)",
            ],
        ),
        ("pystrix", ["in clear True", "login True", "queued True", "ping True"]),
        (
            "pyst2",
            [
                "title Asterisk Call Manager 1.3",
                "by challenge Success",
                "login Success",
                "ping Success",
            ],
        ),
    ] {
        let mut program = Program::start(&system, library, "SIM/1");
        rest.line_becomes("1", "ringing");
        rest.hook("1", true);
        program.says("originate OriginateResponse Success 4");
        program.says(&format!("variable {library}"));
        for line in more {
            program.says(line);
        }
        program.says("event Newexten SIM/1-");
        program.go_on();
        program.says("over");
        saw_it_whole(&program, "SIM/1");
        println!("── {library}\n{}", program.output());
        rest.calls_become(0);
        rest.hook("1", false);
    }
}

/// A SIP phone that answers by itself hears the echo until the program hangs it up.
#[test]
fn a_library_calls_a_sip_phone() {
    let system = System::demonstration();
    let mut telephone = Telephone::new("phone1", &system.sip_address(), chirps(9, 400_000));
    telephone.answers = true;
    let phone = Baresip::start(&telephone);
    for library in ["panoramisk", "pystrix", "pyst2"] {
        let mut program = Program::start(&system, library, "SIP/201");
        phone.expect_event("CALL_ESTABLISHED");
        program.says("originate OriginateResponse Success 4");
        program.says(&format!("variable {library}"));
        program.says("event Newexten SIP/201-");
        program.go_on();
        phone.expect_event("CALL_CLOSED");
        program.says("over");
        saw_it_whole(&program, "SIP/201");
        until_true("that the line is free", GENEROUS, || {
            system.rest().line("phone1")["call_id"].is_null()
        });
    }
}
