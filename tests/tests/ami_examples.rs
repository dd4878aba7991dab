//! The programs of `examples/ami`, as somebody would run them, at simulated and real phones: what
//! is heard is compared with the prompts, each of which is a sound of its own.

use std::process::Command;
use tipring_tests::baresip::{Baresip, Telephone};
use tipring_tests::ear::Ear;
use tipring_tests::pjsua::python;
use tipring_tests::program::Program;
use tipring_tests::signal::{chirps, find, samples, wav};
use tipring_tests::system::{Setup, System, repository};
use tipring_tests::wait::{GENEROUS, until_true};

/// In the order of their seeds.
const PROMPTS: [&str; 18] = [
    "hello-world",
    "beep",
    "agent-pass",
    "auth-incorrect",
    "auth-thankyou",
    "vm-press",
    "dir-multi2",
    "pbx-transfer",
    "vm-goodbye",
    "vm-enter-num-to-call",
    "transfer",
    "followme/sorry",
    "confbridge-invalid",
    "demo-thanks",
    "digits/1",
    "digits/2",
    "digits/star",
    "digits/7",
];

/// How long each of them is.
const PROMPT_MS: usize = 400;

/// A prompt's sound.
fn sound(name: &str) -> Vec<i16> {
    let seed = PROMPTS.iter().position(|known| *known == name).expect("a prompt of these tests");
    chirps(700 + seed as u64, PROMPT_MS)
}

/// A system with the sample plan of the programs, their prompts, and four SIP accounts.
fn system() -> System {
    let account = |phone: u8| {
        format!(
            "    - {{user: phone{phone}, password: secret, extension: \"20{phone}\", \
             algorithms: [md5]}}\n"
        )
    };
    let accounts: String = (1..=4).map(account).collect();
    let apid = format!(
        "sip:\n  accounts:\n{accounts}\
         lines:\n  - {{id: \"1\", engine: sim/1, extension: \"101\"}}\n  \
         - {{id: \"2\", engine: sim/2, extension: \"102\"}}\n\
         ami:\n  users:\n    - {{user: manager, secret: secret}}\n\
         extensions: extensions.conf\n"
    );
    let mut system = System::prepare(Setup { apid_yaml: Some(apid), ..Setup::default() });
    let plan = repository().join("examples/ami/extensions.conf");
    std::fs::copy(plan, system.folder.file("extensions.conf")).expect("the sample plan");
    let sounds = system.folder.file("state").join("sounds");
    for folder in ["digits", "followme"] {
        std::fs::create_dir_all(sounds.join(folder)).expect("a folder");
    }
    for name in PROMPTS {
        let file = sounds.join(format!("{name}.wav"));
        std::fs::write(file, wav(&sound(name), 8000, 1)).expect("a prompt");
    }
    system.start_engine();
    system.start_apid();
    system.ready();
    let rest = system.rest();
    until_true("hooks", GENEROUS, || ["1", "2"].iter().all(|l| rest.line(l)["hook"] != "unknown"));
    system
}

/// Starts one of the programs.
fn program(system: &System, name: &str, more: &[&str]) -> Program {
    let mut command = Command::new(python());
    command.arg(repository().join("examples/ami").join(format!("{name}.py")));
    command.args(["--port", &system.ports.ami.to_string()]).args(more);
    // Nothing is left behind in the sources.
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    Program::start(system, "403", &mut command)
}

fn serving(system: &System, name: &str, extension: &str) -> Program {
    let program = program(system, name, &["--extension", extension]);
    program.says(&format!("calls to {extension} are answered"));
    program
}

fn phone(system: &System, user: &str, answers: bool, says: Vec<i16>) -> Baresip {
    let telephone = Telephone::new(user, &system.sip_address(), says);
    Baresip::start(&Telephone { answers, ..telephone })
}

/// The softphone of the page, but for where Tipring is.
fn softphone(system: &System, says: Vec<i16>) -> Baresip {
    let page = std::fs::read_to_string(repository().join("examples/ami/phones.md")).expect("it");
    let account = page.lines().find_map(|line| line.strip_prefix("    <sip:")).expect("its line");
    let account = format!("<sip:{account}\n").replace("127.0.0.1:5060", &system.sip_address());
    let telephone = Telephone::new("phone1", &system.sip_address(), says);
    Baresip::start(&Telephone { account: Some(account), ..telephone })
}

/// The prompts are in what was heard, one after the other.
#[track_caller]
fn heard_in_order(heard: &[i16], prompts: &[&str]) {
    let mut from = 0;
    for name in prompts {
        let core = core(name);
        let found = find(&core, &heard[from..]);
        let score = found.as_ref().map_or(0.0, |found| found.score);
        assert!(score > 0.9, "{name} of {prompts:?}: {score:.2}, after {} ms", from / 8);
        from += found.map_or(0, |found| found.at) + core.len();
    }
}

/// What must be heard of a prompt.
fn core(name: &str) -> Vec<i16> {
    sound(name)[samples(PROMPT_MS / 8)..samples(PROMPT_MS * 7 / 8)].to_vec()
}

/// Somewhere in what was heard.
fn is_heard(heard: &[i16], name: &str) -> bool {
    find(&core(name), heard).is_some_and(|found| found.score > 0.9)
}

/// In the last three seconds, for those who listen all the time.
fn just_heard(heard: &[i16], name: &str) -> bool {
    is_heard(&heard[heard.len().saturating_sub(samples(3000))..], name)
}

#[test]
fn two_watch_while_others_say_hello_and_call_somebody() {
    let system = system();
    let events = program(&system, "watch_events", &[]);
    let channels = program(&system, "watch_channels", &[]);
    events.says("events are watched");
    channels.says("channels are watched");
    let hello = serving(&system, "hello", "403");

    // A simulated phone and a real one dial it.
    let ear = Ear::dial(&system, "1", "403");
    ear.hears(&sound("hello-world"));
    system.rest().calls_become(0);
    drop(ear);
    let desk = phone(&system, "phone1", false, vec![0; samples(60_000)]);
    desk.dial("403");
    desk.expect_event("CALL_CLOSED");
    heard_in_order(&desk.heard(), &["hello-world"]);
    hello.says("call on SIP/201-");

    // Both are called.
    let mut caller = program(&system, "call_hello", &["SIP/201"]);
    desk.expect_event("CALL_INCOMING");
    desk.answer();
    desk.expect_event("CALL_CLOSED");
    heard_in_order(&desk.heard(), &["hello-world"]);
    assert!(caller.ends(), "{}", caller.output());
    let mut caller = program(&system, "call_hello", &["SIM/2"]);
    system.rest().line_becomes("2", "ringing");
    let ear = Ear::lift(&system, "2");
    ear.hears(&sound("hello-world"));
    assert!(caller.ends(), "{}", caller.output());
    drop(ear);
    system.rest().calls_become(0);

    // Those who watched saw the calls whole.
    for event in
        ["PeerStatus", "Newchannel", "VarSet", "Newstate", "Newexten", "AsyncAGI", "Hangup"]
    {
        events.says(&format!("event={event} "));
    }
    for line in ["SIM/1-", "SIP/201-", "SIM/2-", "AsyncOrigId=", " up ", "over: Normal Clearing"] {
        channels.says(line);
    }
    assert!(!hello.output().contains("Traceback"), "{}", hello.output());
}

#[test]
fn five_digits_are_read_and_spoken_back() {
    let system = system();
    let digits = serving(&system, "read_digits", "404");
    let ear = Ear::dial(&system, "1", "404");
    ear.hears(&sound("beep"));
    ear.press("12*71");
    digits.says("digits 12*71");
    system.rest().calls_become(0);
    let order = ["beep", "digits/1", "digits/2", "digits/star", "digits/7", "digits/1"];
    heard_in_order(&ear.heard(), &order);

    // A SIP phone, which ends its digits by #.
    let soft = phone(&system, "phone1", false, vec![0; samples(60_000)]);
    soft.dial("404");
    until_true("the beep", GENEROUS, || just_heard(&soft.heard(), "beep"));
    soft.press("27#");
    digits.says("digits 27\n");
    soft.expect_event("CALL_CLOSED");
    heard_in_order(&soft.heard(), &["beep", "digits/2", "digits/7"]);

    // One that hangs up in the midst ends its own dialogue only.
    let ear = Ear::dial(&system, "2", "404");
    ear.hears(&sound("beep"));
    drop(ear);
    digits.says("hung up");
    assert!(!digits.output().contains("Traceback"), "{}", digits.output());
}

#[test]
fn a_menu_behind_a_passcode_connects_and_hangs_up() {
    let system = system();
    let rest = system.rest();
    let menu = serving(&system, "menu", "405");

    // Three wrong codes.
    let ear = Ear::dial(&system, "1", "405");
    for _ in 0..3 {
        let before = ear.heard().len();
        until_true("the prompt", GENEROUS, || is_heard(&ear.heard()[before..], "agent-pass"));
        ear.press("99#");
        until_true("the next", GENEROUS, || is_heard(&ear.heard()[before..], "auth-incorrect"));
    }
    rest.calls_become(0);
    heard_in_order(
        &ear.heard(),
        &["auth-incorrect", "auth-incorrect", "auth-incorrect", "demo-thanks"],
    );
    assert!(!is_heard(&ear.heard(), "auth-thankyou") && !is_heard(&ear.heard(), "vm-press"));
    drop(ear);

    // The right one, and 2 hangs up.
    let ear = Ear::dial(&system, "1", "405");
    ear.hears(&sound("agent-pass"));
    ear.press("1234#");
    ear.hears(&sound("vm-press"));
    // It silences the rest of the menu, and is the answer too.
    ear.press("2");
    menu.says("choice 2");
    rest.calls_become(0);
    heard_in_order(&ear.heard(), &["agent-pass", "auth-thankyou", "vm-press", "demo-thanks"]);
    assert!(!is_heard(&ear.heard(), "vm-goodbye"));
    drop(ear);

    // A real phone is connected with another: each hears what the other says.
    let (said, answered) = (chirps(77, 40_000), chirps(78, 40_000));
    let desk = phone(&system, "phone2", true, answered.clone());
    let soft = softphone(&system, said.clone());
    soft.dial("405");
    until_true("the prompt", GENEROUS, || just_heard(&soft.heard(), "agent-pass"));
    soft.press("1234#");
    until_true("the menu", GENEROUS, || just_heard(&soft.heard(), "vm-press"));
    soft.press("1");
    until_true("who is wanted", GENEROUS, || just_heard(&soft.heard(), "vm-enter-num-to-call"));
    soft.press("202");
    menu.says("transfer to 202");
    desk.expect_event("CALL_ESTABLISHED");
    let hears = |phone: &Baresip, said: &[i16]| {
        let heard = phone.heard();
        let last = heard.len().checked_sub(samples(300)).map(|from| &heard[from..]);
        last.and_then(|last| find(last, said)).is_some_and(|found| found.score > 0.9)
    };
    until_true("they talk", GENEROUS, || hears(&soft, &answered) && hears(&desk, &said));
    desk.hang_up();
    menu.says("transferred, result -1");
    soft.expect_event("CALL_CLOSED");
    heard_in_order(&soft.heard(), &["auth-thankyou", "transfer", "followme/sorry", "demo-thanks"]);
    rest.calls_become(0);
    assert!(!menu.output().contains("Traceback"), "{}", menu.output());
}

#[test]
fn the_sample_plan_is_a_plan() {
    let system = System::prepare(Setup::default());
    let file = system.folder.file("check.yml");
    let plan = repository().join("examples/ami/extensions.conf");
    std::fs::write(&file, format!("extensions: {}\n", plan.display())).expect("written");
    let checked = Command::new(tipring_tests::system::program("tipring-apid"))
        .args(["--config", &file.display().to_string(), "--check-config"])
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{said}");
}
