//! AGI, by events of the manager interface and over connections: results as Asterisk writes them,
//! dialogues that are never crossed, hang-ups in the midst.

use serde_json::json;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use tipring_tests::ami::Ami;
use tipring_tests::baresip::{Baresip, Telephone};
use tipring_tests::rest::Rest;
use tipring_tests::signal::{chirps, hearing, samples, wav};
use tipring_tests::sipp::{Flood, Scenario, Sipp};
use tipring_tests::system::{Setup, System, free_port};
use tipring_tests::wait::{GENEROUS, until_true};

fn prompts(system: &System) {
    let sounds = system.folder.file("state").join("sounds");
    std::fs::create_dir_all(&sounds).expect("a folder");
    std::fs::write(sounds.join("hello-world.wav"), wav(&chirps(401, 1500), 8000, 1)).expect("it");
    std::fs::write(sounds.join("long.wav"), wav(&chirps(402, 20_000), 8000, 1)).expect("it");
}

fn dials(rest: &Rest, line: &str, digits: &str) {
    until_true("its hook is known", GENEROUS, || rest.line(line)["hook"] != "unknown");
    rest.hook(line, true);
    press(rest, line, digits);
}

fn press(rest: &Rest, line: &str, digits: &str) {
    rest.post(&format!("/v1/sim/{line}/dial"), &json!({ "digits": digits })).check(202);
}

/// Queues a command and gives its result, decoded.
fn command(ami: &mut Ami, channel: &str, command: &str, id: &str) -> String {
    queue(ami, channel, command, id);
    result(ami, id)
}

fn queue(ami: &mut Ami, channel: &str, command: &str, id: &str) {
    let headers = [("Channel", channel), ("Command", command), ("CommandID", id)];
    let answer = ami.ask("AGI", &headers);
    assert_eq!(answer.get("Message"), "Added AGI command to queue", "{command}: {answer:?}");
}

fn result(ami: &Ami, id: &str) -> String {
    let told = ami.event("AsyncAGI", |told| told.get("CommandID") == id);
    told.get("Result").replace("%20", " ").replace("%3D", "=").replace("%0A", "\n")
}

#[test]
fn a_phone_that_dials_403_belongs_to_a_program() {
    let system = System::demonstration();
    prompts(&system);
    let rest = system.rest();
    let mut ami = Ami::login(&system);
    let silence = vec![0; samples(60_000)];
    let phone = Baresip::start(&Telephone::new("phone1", &system.sip_address(), silence));
    phone.dial("403");
    let start = ami.event("AsyncAGI", |told| told.get("SubEvent") == "Start");
    let channel = start.get("Channel").to_owned();
    assert!(channel.starts_with("SIP/201-"), "{start:?}");
    let env = start.get("Env");
    assert!(env.starts_with("agi_request%3A%20async%0Aagi_channel%3A%20SIP/201-"), "{env}");
    assert!(env.ends_with("%0A%0A") && env.contains("agi_extension%3A%20403%0A"), "{env}");
    // Pipelined: both wait in the channel's queue.
    queue(&mut ami, &channel, "ANSWER", "a");
    queue(&mut ami, &channel, "EXEC Playback hello-world", "b");
    queue(&mut ami, &channel, "CHANNEL STATUS", "c");
    assert_eq!(result(&ami, "a"), "200 result=0\n");
    phone.expect_event("CALL_ESTABLISHED");
    assert_eq!(result(&ami, "b"), "200 result=0\n");
    assert_eq!(result(&ami, "c"), "200 result=6\n");
    let told = ami.told();
    let done = told.iter().filter(|told| told.get("Event") == "AsyncAGI");
    let ids: Vec<&str> =
        done.map(|told| told.get("CommandID")).filter(|id| !id.is_empty()).collect();
    assert_eq!(ids, ["a", "b", "c"], "in order");
    assert_eq!(command(&mut ami, &channel, "HANGUP", "d"), "200 result=1\n");
    phone.expect_event("CALL_CLOSED");
    let said = chirps(401, 1500);
    let heard = phone.heard();
    assert!(hearing(&said, &heard).is_some_and(|h| h.is_convincing(12)));
    ami.event("AsyncAGI", |told| told.get("SubEvent") == "End");
    rest.calls_become(0);
    let gone = ami.ask("AGI", &[("Channel", &channel), ("Command", "NOOP"), ("CommandID", "e")]);
    assert_eq!(gone.get("Response"), "Error", "{gone:?}");
}

#[test]
fn a_digit_interrupts_and_is_told_and_a_hang_up_ends_it_in_the_midst() {
    let system = System::demonstration();
    prompts(&system);
    let rest = system.rest();
    let mut ami = Ami::login(&system);
    dials(&rest, "1", "403");
    let start = ami.event("AsyncAGI", |told| told.get("SubEvent") == "Start");
    let channel = start.get("Channel").to_owned();
    assert!(channel.starts_with("SIM/1"), "{start:?}");
    let mut events = system.socket("/ws");
    queue(&mut ami, &channel, "EXEC Background long", "back");
    events.expect_event("playback_started", "1");
    press(&rest, "1", "9");
    assert_eq!(result(&ami, "back"), "200 result=57\n");
    ami.event("DTMF", |told| told.get("Digit") == "9" && told.get("End") == "Yes");
    queue(&mut ami, &channel, "GET DATA silence/1 4000 3", "data");
    events.expect_event("playback_started", "1");
    press(&rest, "1", "12#");
    assert_eq!(result(&ami, "data"), "200 result=12\n");
    for (line, expected) in [
        ("GET VARIABLE NONE", "200 result=0\n"),
        ("SET VARIABLE XYZ \"a b\"", "200 result=1\n"),
        ("EXEC Fly", "200 result=-2\n"),
        ("FLY", "510 Invalid or unknown command\n"),
        ("VERBOSE hello 1", "200 result=1\n"),
    ] {
        assert_eq!(command(&mut ami, &channel, line, line), expected, "{line}");
    }
    queue(&mut ami, &channel, "EXEC Playback long", "cut");
    queue(&mut ami, &channel, "NOOP", "late");
    events.expect_event("playback_started", "1");
    rest.hook("1", false);
    ami.event("Hangup", |told| told.get("Channel") == channel);
    rest.calls_become(0);
    assert!(!ami.told().iter().any(|told| told.get("CommandID") == "late"));
    // What the command came to is told before the end of its channel.
    assert_eq!(result(&ami, "cut"), "200 result=-1\n");
    let last: Vec<String> = ami
        .told()
        .iter()
        .filter(|told| told.get("Channel") == channel)
        .map(|told| format!("{} {}", told.get("Event"), told.get("SubEvent")).trim().to_owned())
        .filter(|event| event.starts_with("AsyncAGI") || event == "Hangup")
        .collect();
    let last: Vec<&str> = last.iter().rev().take(3).rev().map(String::as_str).collect();
    assert_eq!(last, ["AsyncAGI Exec", "AsyncAGI End", "Hangup"]);

    // BREAK lets the plan go on, which has no further step.
    dials(&rest, "2", "403");
    let other = |told: &tipring_tests::ami::Told| {
        told.get("SubEvent") == "Start" && told.get("Channel").starts_with("SIM/2")
    };
    let channel = ami.event("AsyncAGI", other).get("Channel").to_owned();
    assert_eq!(command(&mut ami, &channel, "ASYNCAGI BREAK", "break"), "200 result=0\n");
    rest.calls_become(0);
}

#[test]
fn who_originates_hears_of_the_answer_before_the_program_starts() {
    let system = System::demonstration();
    let rest = system.rest();
    let mut ami = Ami::login(&system);
    let id = ami.act(
        "Originate",
        &[
            ("Channel", "SIM/1"),
            ("Application", "AGI"),
            ("Data", "agi:async"),
            ("Variable", "AsyncOrigId=42"),
            ("CallerID", "Ca: ll: er <301>"),
            ("Async", "true"),
        ],
    );
    assert_eq!(ami.answer(&id).get("Message"), "Originate successfully queued");
    rest.line_becomes("1", "ringing");
    rest.hook("1", true);
    let start = ami.event("AsyncAGI", |told| told.get("SubEvent") == "Start");
    // Whatever a caller is named, a line of the environment has one separator.
    let env = start.get("Env").replace("%0A", "\n").replace("%3A", ":").replace("%20", " ");
    assert!(env.contains("agi_calleridname: Ca:ll:er\n"), "{env}");
    assert!(env.lines().filter(|l| !l.is_empty()).all(|l| l.split(": ").count() == 2), "{env}");
    let told = ami.told();
    let at = |what: &str, fits: &dyn Fn(&tipring_tests::ami::Told) -> bool| {
        told.iter().position(fits).unwrap_or_else(|| panic!("no {what} in {told:#?}"))
    };
    let new = at("Newchannel", &|t| t.get("Event") == "Newchannel");
    let variable = at("VarSet", &|t| t.get("Variable") == "AsyncOrigId");
    let response = at("OriginateResponse", &|t| t.get("Event") == "OriginateResponse");
    let start = at("Start", &|t| t.get("SubEvent") == "Start");
    assert!(new < variable && variable < response && response < start, "{told:#?}");
    rest.hook("1", false);
    rest.calls_become(0);
}

/// A hundred at once, as many of them on simulated telephones as there can be, and the program that
/// commands them connects anew in the midst.
#[test]
fn many_dialogues_at_once_are_never_crossed() {
    const COUNT: usize = 100;
    const SIMULATED: usize = 64;
    let here = std::net::IpAddr::from([127, 0, 0, 1]);
    let port = free_port(here);
    let (mut lines, mut accounts, mut values) = (String::new(), String::new(), String::new());
    for n in 1..=SIMULATED {
        let line = format!("  - {{id: \"{n}\", engine: sim/{n}, extension: \"{}\"}}\n", 1000 + n);
        lines.push_str(&line);
    }
    for n in SIMULATED + 1..=COUNT {
        writeln!(
            accounts,
            "    - {{user: f{n}, host: {here}, port: {port}, auth: none, extension: \"{}\"}}",
            1000 + n
        )
        .expect("in memory");
        writeln!(values, "f{n};9;").expect("in memory");
    }
    let apid = format!(
        "api: {{rate_limit_per_minute: 0}}\nlines:\n{lines}\
         sip:\n  defence: {{trusted_sources: [\"127.0.0.1/32\"]}}\n  accounts:\n{accounts}\
         ami:\n  users:\n    - {{user: manager, secret: secret}}\nextensions: demonstration\n"
    );
    let system = System::start(Setup {
        engine_yaml: Some(format!("simulated_lines: {SIMULATED}\nrtp_lines: 40\n")),
        apid_yaml: Some(apid),
        ..Setup::default()
    });
    let rest = system.rest();
    let mut ami = Ami::login(&system);
    let calls = (COUNT - SIMULATED) as u32;
    let sip = system.sip_address();
    let phones = Scenario {
        name: "fixed_calls",
        remote: &sip,
        host: here,
        port,
        user: "fixed",
        password: "",
        keys: &[("number", "403".to_owned())],
        pause: 3 * GENEROUS,
        tcp: false,
    };
    let flood = Flood { calls, rate: calls, at_once: calls, values };
    let _phones = Sipp::flood(&phones, &flood);
    for n in 1..=SIMULATED {
        rest.hook(&n.to_string(), true);
        press(&rest, &n.to_string(), "403");
    }
    let mut channels = Vec::new();
    for n in 1..=COUNT {
        let begins =
            if n <= SIMULATED { format!("SIM/{n}-") } else { format!("SIP/{}-", 1000 + n) };
        let start = ami.event("AsyncAGI", |told| {
            told.get("SubEvent") == "Start" && told.get("Channel").starts_with(&begins)
        });
        channels.push((n, start.get("Channel").to_owned()));
    }
    // All questions first, then all answers.
    for (n, channel) in &channels {
        queue(&mut ami, channel, &format!("SET VARIABLE own value{n}"), &format!("s{n}"));
        if *n <= SIMULATED {
            queue(&mut ami, channel, "GET DATA silence/1 20000 4", &format!("d{n}"));
        }
    }
    for (_, channel) in &channels[..SIMULATED] {
        ami.event("AGIExec", |told| {
            told.get("Channel") == channel && told.get("Command").starts_with("GET DATA")
        });
    }
    // It is gone, and what it has queued goes on; the next one hears what comes of it.
    drop(ami);
    let mut ami = Ami::login(&system);
    for (n, _) in channels[..SIMULATED].iter().rev() {
        press(&rest, &n.to_string(), &(1000 + n).to_string());
    }
    for (n, channel) in channels.iter().rev() {
        queue(&mut ami, channel, "GET VARIABLE own", &format!("g{n}"));
        queue(&mut ami, channel, "GET VARIABLE CALLERID(num)", &format!("c{n}"));
    }
    for (n, channel) in &channels {
        if *n <= SIMULATED {
            assert_eq!(result(&ami, &format!("d{n}")), format!("200 result={}\n", 1000 + n));
        }
        let told = ami.event("AsyncAGI", |told| told.get("CommandID") == format!("g{n}"));
        assert_eq!(told.get("Channel"), channel);
        assert!(told.get("Result").contains(&format!("%28value{n}%29")), "{told:?}");
        let caller = result(&ami, &format!("c{n}"));
        assert!(caller.contains(&format!("%28{}%29", 1000 + n)), "{caller}");
    }
    for (n, channel) in &channels {
        assert_eq!(command(&mut ami, channel, "HANGUP", &format!("h{n}")), "200 result=1\n");
    }
    rest.calls_become(0);
}

/// The commands of Asterisk's AGI.
const COMMANDS: [&str; 47] = [
    "ANSWER",
    "ASYNCAGI BREAK",
    "CHANNEL STATUS",
    "CONTROL STREAM FILE",
    "DATABASE DEL ",
    "DATABASE DELTREE",
    "DATABASE GET",
    "DATABASE PUT",
    "EXEC",
    "GET DATA",
    "GET FULL VARIABLE",
    "GET OPTION",
    "GET VARIABLE",
    "GOSUB",
    "HANGUP",
    "NOOP",
    "RECEIVE CHAR",
    "RECEIVE TEXT",
    "RECORD FILE",
    "SAY ALPHA",
    "SAY DATE ",
    "SAY DATETIME",
    "SAY DIGITS",
    "SAY NUMBER",
    "SAY PHONETIC",
    "SAY TIME",
    "SEND IMAGE",
    "SEND TEXT",
    "SET AUTOHANGUP",
    "SET CALLERID",
    "SET CONTEXT",
    "SET EXTENSION",
    "SET MUSIC",
    "SET PRIORITY",
    "SET VARIABLE",
    "SPEECH ACTIVATE GRAMMAR",
    "SPEECH CREATE",
    "SPEECH DEACTIVATE GRAMMAR",
    "SPEECH DESTROY",
    "SPEECH LOAD GRAMMAR",
    "SPEECH RECOGNIZE",
    "SPEECH SET",
    "SPEECH UNLOAD GRAMMAR",
    "STREAM FILE",
    "TDD MODE",
    "VERBOSE",
    "WAIT FOR DIGIT",
];

/// Short prompts for everything that is said.
fn words(system: &System) {
    let sounds = system.folder.file("state").join("sounds");
    for folder in ["digits", "letters", "phonetic"] {
        std::fs::create_dir_all(sounds.join(folder)).expect("a folder");
    }
    for word in
        ["1", "2", "9", "12", "40", "70", "hundred", "thousand", "day-4", "mon-0", "h-1", "a-m"]
    {
        let file = sounds.join(format!("digits/{word}.wav"));
        std::fs::write(file, wav(&chirps(1, 40), 8000, 1)).expect("it");
    }
    for word in ["letters/a", "phonetic/a_p"] {
        let file = sounds.join(format!("{word}.wav"));
        std::fs::write(file, wav(&chirps(1, 40), 8000, 1)).expect("it");
    }
}

/// A program over a connection of its own.
struct Program {
    read: BufReader<TcpStream>,
    environment: Vec<String>,
}

impl Program {
    fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().expect("a connection");
        let mut program = Self { read: BufReader::new(stream), environment: Vec::new() };
        loop {
            match program.line().as_str() {
                "" => return program,
                line => program.environment.push(line.to_owned()),
            }
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.read.read_line(&mut line).expect("a line");
        line.trim_end_matches('\n').to_owned()
    }

    fn say(&mut self, line: &str) {
        let stream = self.read.get_mut();
        stream.write_all(format!("{line}\n").as_bytes()).expect("written");
    }

    fn ask(&mut self, line: &str) -> String {
        self.say(line);
        self.line()
    }
}

#[test]
fn a_program_over_a_connection_commands_a_call() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let apid = "lines:\n  - {id: \"1\", engine: sim/1, extension: \"101\"}\n\
                ami: {users: [{user: manager, secret: secret}]}\n\
                agi: {idle_s: 4}\n\
                fetch: {private: [127.0.0.1/32]}\nextensions: extensions.conf\n";
    let mut system =
        System::prepare(Setup { apid_yaml: Some(apid.to_owned()), ..Setup::default() });
    let plan = format!(
        "[default]\nexten => 404,1,AGI(agi://127.0.0.1:{port}/hello.agi?x=1,one,a: b)\n \
         same => n,Set(DB(agi/status)=${{AGISTATUS}})\nexten => 7,1,Wait(60)\n\
         exten => 405,1,AGI(agi://192.0.2.1/x)\n same => n,Hangup(21)\n\
         exten => 406,1,AGI(agi://127.0.0.1:{port}/bad)\n \
         same => n,GotoIf($[\"${{AGISTATUS}}\" = \"FAILURE\"]?bad)\n same => n,Hangup(16)\n \
         same => n(bad),Hangup(21)\nexten => 407,1,AGI(script.py)\n \
         same => n,GotoIf($[\"${{AGISTATUS}}\" = \"NOTFOUND\"]?bad)\n same => n,Hangup(16)\n \
         same => n(bad),Hangup(21)\n\
         [sub]\nexten => s,1,Set(GLOBAL(GAVE)=${{ARG1}})\n same => n,Return()\n"
    );
    std::fs::write(system.folder.file("extensions.conf"), plan).expect("written");
    prompts(&system);
    words(&system);
    system.start_engine();
    system.start_apid();
    system.ready();
    let rest = system.rest();
    let ami = Ami::login(&system);
    dials(&rest, "1", "404");
    let mut program = Program::accept(&listener);
    let has = |line: &str| assert!(program.environment.iter().any(|known| known == line), "{line}");
    assert_eq!(program.environment[0], "agi_network: yes");
    assert_eq!(program.environment[1], "agi_network_script: hello.agi?x=1");
    has(&format!("agi_request: agi://127.0.0.1:{port}/hello.agi?x=1"));
    has("agi_callerid: 101");
    has("agi_extension: 404");
    has("agi_arg_1: one");
    has("agi_arg_2: a:b");
    let mut tried = Vec::new();
    for (line, expected) in [
        ("CHANNEL STATUS", "200 result=4"),
        ("ANSWER", "200 result=0"),
        ("CHANNEL STATUS", "200 result=6"),
        ("CHANNEL STATUS NONE/1", "200 result=-1"),
        ("NOOP", "200 result=0"),
        ("SET VARIABLE XYZ \"1 2\"", "200 result=1"),
        ("GET VARIABLE XYZ", "200 result=1 (1 2)"),
        ("GET VARIABLE NONE", "200 result=0"),
        ("GET FULL VARIABLE \"${LEN(${XYZ})}$[1 + 1]\"", "200 result=1 (32)"),
        // A value with lines of its own stays one line.
        ("GET FULL VARIABLE \"${URIDECODE(a%0AHANGUP)}\"", "200 result=1 (a HANGUP)"),
        ("EXEC Set LINES=${URIDECODE(a%0D%0AEvent: Fake)}", "200 result=0"),
        ("GET VARIABLE LINES", "200 result=1 (a  Event: Fake)"),
        ("GET VARIABLE CALLERID(num)", "200 result=1 (101)"),
        ("SET CALLERID \"Ann\" <77>", "520-Invalid command syntax.  Proper usage follows:"),
        ("DATABASE PUT door code 1234", "200 result=1"),
        ("DATABASE GET door code", "200 result=1 (1234)"),
        ("DATABASE DEL door code", "200 result=1"),
        ("DATABASE DEL door code", "200 result=0"),
        ("DATABASE DELTREE door", "200 result=1"),
        ("GOSUB sub s 1 given", "200 result=0 Gosub complete"),
        ("GET VARIABLE GAVE", "200 result=1 (given)"),
        ("GOSUB none s 1", "200 result=-1 Gosub label not found"),
        ("STREAM FILE hello-world \"\"", "200 result=0 endpos=12000"),
        ("STREAM FILE hello-world \"\" 8000", "200 result=0 endpos=12000"),
        ("SAY DIGITS 1 \"\"", "200 result=0"),
        ("WAIT FOR DIGIT 100", "200 result=0"),
        ("SPEECH CREATE x", "200 result=0"),
        ("SPEECH SET a b", "200 result=0"),
        ("SPEECH LOAD GRAMMAR a b", "200 result=0"),
        ("SPEECH UNLOAD GRAMMAR a", "200 result=0"),
        ("SPEECH ACTIVATE GRAMMAR a", "200 result=0"),
        ("SPEECH DEACTIVATE GRAMMAR a", "200 result=0"),
        ("SPEECH RECOGNIZE a 10", "200 result=0"),
        ("SPEECH DESTROY", "200 result=0"),
        ("RECEIVE CHAR 100", "200 result=-1 (hangup)"),
        ("SEND IMAGE x", "200 result=0"),
        ("CONTROL STREAM FILE hello-world \"\"", "200 result=0 endpos=1500"),
        ("GET OPTION hello-world 1 20", "200 result=0 endpos=12000"),
        ("GET DATA hello-world 20 3", "200 result= (timeout)"),
        ("RECORD FILE mine gsm # 1000", "200 result=-1 (writefile)"),
        ("RECORD FILE mine wav # 200", "200 result=0 (timeout) endpos=1600"),
        ("SAY ALPHA a1 \"\"", "200 result=0"),
        ("SAY NUMBER 42 \"\"", "200 result=0"),
        ("SAY NUMBER some \"\"", "520-Invalid command syntax.  Proper usage follows:"),
        ("SAY PHONETIC a \"\"", "200 result=0"),
        ("SAY DATE 0 \"\"", "200 result=0"),
        ("SAY TIME 0 \"\"", "200 result=0"),
        ("SAY DATETIME 0 \"\" A", "200 result=0"),
        ("SET AUTOHANGUP 0", "200 result=0"),
        ("SET CALLERID 101", "200 result=1"),
        ("SET MUSIC ON default", "200 result=0"),
        ("SET MUSIC OFF", "200 result=0"),
        ("SET CONTEXT default", "200 result=0"),
        ("SET EXTENSION 7", "200 result=0"),
        ("SET PRIORITY 1", "200 result=0"),
        ("SET PRIORITY nowhere", "520-Invalid command syntax.  Proper usage follows:"),
        ("VERBOSE \"a b\" 1", "200 result=1"),
        ("HANGUP NONE/1", "200 result=-1"),
        ("ASYNCAGI BREAK", "200 result=0"),
        ("RECEIVE TEXT 100", "200 result=-1"),
        ("SEND TEXT x", "200 result=0"),
        ("TDD MODE on", "200 result=0"),
        ("EXEC NoOp", "200 result=0"),
        ("EXEC System ls", "200 result=-2"),
        ("FLY", "510 Invalid or unknown command"),
    ] {
        assert_eq!(program.ask(line), expected, "{line}");
        tried.push(line);
        while expected.starts_with("520-") && !program.line().starts_with("520 ") {}
    }
    let lines = ami.event("VarSet", |told| told.get("Variable") == "LINES");
    assert_eq!(lines.get("Value"), "a  Event: Fake");
    assert!(!ami.told().iter().any(|told| told.get("Event") == "Fake"));
    for command in COMMANDS {
        assert!(tried.iter().any(|line| line.starts_with(command)), "{command} was not tried");
    }
    program.say("WAIT FOR DIGIT 10000");
    press(&rest, "1", "1");
    assert_eq!(program.line(), "200 result=49");
    let mut events = system.socket("/ws");
    program.say("STREAM FILE long 5#");
    events.expect_event("playback_started", "1");
    press(&rest, "1", "25");
    let line = program.line();
    assert!(line.starts_with("200 result=53 endpos="), "2 does not interrupt it: {line}");
    program.say("RECORD FILE mine wav # 10000");
    events.expect_event("recording_started", "1");
    press(&rest, "1", "#");
    let line = program.line();
    assert!(line.starts_with("200 result=35 (dtmf) endpos="), "{line}");
    program.say("STREAM FILE long \"\"");
    events.expect_event("playback_started", "1");
    rest.hook("1", false);
    assert_eq!(program.line(), "200 result=-1");
    assert_eq!(program.line(), "HANGUP");
    assert_eq!(program.ask("ANSWER").split(' ').next(), Some("511"));
    assert_eq!(program.ask("GET VARIABLE GAVE"), "200 result=1 (given)");
    drop(program);
    rest.calls_become(0);

    // Where it may not connect, the plan goes on; as where no scripts are run.
    let ends_with = |number: &str, code: u64| {
        until_true(&format!("the end of {number}"), GENEROUS, || {
            let calls = rest.get("/v1/calls").expect_json(200);
            let last = &calls["calls"][0];
            last["to"] == format!("app:{number}@default") && last["cause"]["code"] == code
        });
        rest.hook("1", false);
        rest.calls_become(0);
    };
    for number in ["405", "407"] {
        dials(&rest, "1", number);
        ends_with(number, 21);
    }
    // A program whose line never ends is given up.
    dials(&rest, "1", "406");
    let mut program = Program::accept(&listener);
    program.say(&"x".repeat(9000));
    ends_with("406", 21);
    // So is one that is not heard of for as long as is configured.
    dials(&rest, "1", "406");
    let silent = Program::accept(&listener);
    ends_with("406", 21);
    drop(silent);
    // One that goes at once has done what it wanted.
    dials(&rest, "1", "406");
    drop(Program::accept(&listener));
    ends_with("406", 16);
    // One that hangs ends with the call; so does one that answers nothing any more.
    dials(&rest, "1", "406");
    let mut program = Program::accept(&listener);
    rest.hook("1", false);
    assert_eq!(program.line(), "HANGUP");
    rest.calls_become(0);
    drop(program);
    let (dialling, listening) = (&rest, &listener);
    dials(dialling, "1", "406");
    let (silent, _) = listening.accept().expect("a connection that nobody reads");
    rest.hook("1", false);
    rest.calls_become(0);
    drop(silent);
}
