//! The Python package `voip`, run by a Python without anything installed for it: by its own tests on
//! the telephone in the program, and its examples as programs that answer numbers of the running
//! system.

use std::path::Path;
use std::process::Command;
use tipring_tests::baresip::{Baresip, Telephone};
use tipring_tests::ear::{Ear, ends};
use tipring_tests::pjsua::python;
use tipring_tests::program::Program;
use tipring_tests::signal::{chirps, hearing};
use tipring_tests::system::{Setup, System, repository};
use tipring_tests::wait::{GENEROUS, until};

fn package() -> Command {
    let mut command = Command::new(python());
    let folder = repository().join("callkit/python");
    command.arg("-u").env("PYTHONPATH", folder).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

fn example(system: &System, number: &str, name: &str) -> Program {
    let path = repository().join("callkit/python/examples").join(name);
    Program::answering(system, number, package().arg(path))
}

fn handler(system: &System, number: &str, source: &str) -> Program {
    let source = format!("import asyncio, voip\n{source}\nvoip.runVoipClient(handler)");
    Program::answering(system, number, package().args(["-c", &source]))
}

/// What an expression of an example says, as samples.
fn speech(module: &str, expression: &str) -> Vec<i16> {
    let examples = repository().join("callkit/python/examples");
    let source = format!(
        "import sys; sys.path.insert(0, {:?}); import voip, {module}; \
         voip.savePCMtoWAV({expression}, sys.stdout.buffer)",
        Path::new(&examples).display().to_string()
    );
    let ran = package().args(["-c", &source]).output().expect("Python starts");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    tipring_tests::signal::from_bytes(&ran.stdout[44..])
}

#[test]
fn the_package_passes_its_own_tests() {
    let ran = package()
        .args(["-m", "unittest", "discover", "-s", "tests", "-t", "."])
        .current_dir(repository().join("callkit/python"))
        .output()
        .expect("Python starts");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}\n{}", String::from_utf8_lossy(&ran.stdout));
    assert!(said.contains("\nRan ") && !said.contains("Ran 0 tests"), "{said}");
}

#[test]
fn the_examples_answer_simulated_lines() {
    let engine_yaml = Some("simulated_lines: 8\n".to_owned());
    let lines: Vec<String> = (1..=8)
        .map(|n| format!("  - {{id: \"{n}\", engine: sim/{n}, extension: \"10{n}\"}}\n"))
        .collect();
    let apid_yaml = format!("lines:\n{}applications: {{claim: [_7XX]}}\n", lines.concat());
    let system =
        System::start(Setup { engine_yaml, apid_yaml: Some(apid_yaml), ..Setup::default() });
    let system = &system;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _program = example(system, "700", "hello.py");
            Ear::dial(system, "1", "700").hears(&speech("hello", "hello.HELLO"));
        });
        scope.spawn(|| {
            let program = example(system, "701", "password.py");
            let ear = Ear::dial(system, "2", "701");
            ear.hears_tone(440.0);
            ear.hears_tone(660.0);
            ear.hears_nothing();
            ear.press("9999");
            ear.hears(&speech("password", "password.WRONG"));
            ear.hears_nothing();
            ear.press("1234");
            ear.hears(&speech("password", "password.CORRECT"));
            drop(program);
        });
        scope.spawn(|| {
            let _program = example(system, "702", "echo_samples.py");
            let ear = Ear::dial(system, "3", "702");
            let says = chirps(3, 5000);
            ear.say(&says);
            let heard = ear.hears_for(5500);
            let hearing = hearing(&says, &heard).expect("something is recognised");
            assert!(hearing.is_convincing(25), "{hearing:?}");
        });
        scope.spawn(|| {
            let _program = example(system, "703", "recorder.py");
            let ear = Ear::dial(system, "4", "703");
            ear.hears_tone(1000.0);
            ear.hears_nothing();
            let says = chirps(4, 2000);
            ear.say(&says);
            // While it is said as much is heard, of silence.
            ear.hears_for(2300);
            let before = ear.heard().len();
            ear.press("5");
            ear.hears(&says);
            assert!(ear.heard().len() > before);
        });
        scope.spawn(|| {
            let _program = example(system, "704", "synthesiser.py");
            let ear = Ear::dial(system, "5", "704");
            until("the drone", GENEROUS, || {
                // A key that comes before the program asks is let go by.
                ear.press("0");
                ear.hears_for(500);
                ear.now(110.0).filter(|part| *part > 0.9)
            });
            ear.press("*");
            ear.hears_nothing();
            ear.press("#");
            ends(system, "app:704");
        });
        scope.spawn(|| {
            let _program = example(system, "705", "sstv.py");
            Ear::dial(system, "6", "705").hears_tone(1900.0);
        });
        scope.spawn(|| {
            let _program = example(system, "706", "phone_tree.py");
            let ear = Ear::dial(system, "7", "706");
            ear.hears(&speech("voip", "voip.TTStoPCM('Your password, please.')"));
            ear.press("1234");
            ear.hears(&speech("voip", "voip.TTStoPCM('Press 1 for the workshop, 2 to hang up.')"));
            ear.press("2");
            ends(system, "app:706");
        });
    });
}

#[test]
fn the_tree_connects_its_caller_with_another_phone() {
    let system = System::demonstration();
    let rest = system.rest();
    let mut events = system.socket("/ws");
    let _program = example(&system, "700", "phone_tree.py");
    let ear = Ear::dial(&system, "1", "700");
    events.expect("the call", |m| m["type"] == "call_connected" && m["call"]["to"] == "app:700");
    ear.hears(&speech("voip", "voip.TTStoPCM('Your password, please.')"));
    ear.press("1234");
    ear.hears(&speech("voip", "voip.TTStoPCM('Press 1 for the workshop, 2 to hang up.')"));
    ear.press("1");
    rest.line_becomes("2", "ringing");
    let workshop = Ear::lift(&system, "2");
    events.expect("both talk", |m| m["type"] == "call_connected" && m["call"]["to"] == "line:2");
    let says = chirps(1, 3000);
    ear.say(&says);
    let heard = workshop.hears_for(3500);
    let hearing = hearing(&says, &heard).expect("something is recognised");
    assert!(hearing.is_convincing(15), "{hearing:?}");
    drop(workshop);
    drop(ear);
    rest.calls_become(0);
}

#[test]
fn a_sip_phone_hears_itself_through_a_program() {
    let system = System::demonstration();
    let _program = example(&system, "700", "echo_samples.py");
    let says = chirps(31, 60_000);
    let telephone = Telephone::new("phone1", &system.sip_address(), says.clone());
    let phone = Baresip::start(&telephone);
    phone.dial("700");
    phone.expect_event("CALL_ESTABLISHED");
    let heard = phone.heard_of(5000);
    phone.hang_up();
    system.rest().calls_become(0);
    let hearing = hearing(&says, &heard).expect("something is recognised");
    assert!(hearing.is_convincing(20), "{hearing:?}");
}

#[test]
fn a_caller_who_hangs_up_cancels_the_handler_and_a_failing_one_ends_the_call() {
    let system = System::demonstration();
    let rest = system.rest();
    let waits = "async def handler(call):\n    print('call from', call.getRemoteUri())\n    \
                 try:\n        await call.getDTMF()\n    except asyncio.CancelledError:\n        \
                 print('cancelled')\n        raise";
    let mut waits = handler(&system, "700", waits);
    let fails = handler(&system, "701", "async def handler(call):\n    raise KeyError('x')");
    let ear = Ear::dial(&system, "1", "700");
    waits.says("call from \"Line 1\" <sip:101@127.0.0.1>");
    drop(ear);
    waits.says("cancelled");
    rest.calls_become(0);

    let other = Ear::lift(&system, "2");
    other.press("701");
    fails.says("Unhandled KeyError exception in call handler: 'x'");
    rest.calls_become(0);

    // Whoever comes second is told; when the first is gone, its call ends and the number is free.
    let mut second = Program::start(
        &system,
        "700",
        package().args(["-c", "import voip\nvoip.runVoipClient(None)"]),
    );
    assert!(!second.ends());
    second.says("700 cannot be answered: 409 something has this number already");
    let _ear = Ear::dial(&system, "1", "700");
    rest.calls_become(1);
    waits.kill();
    rest.calls_become(0);
    let _again = example(&system, "700", "hello.py");
}
