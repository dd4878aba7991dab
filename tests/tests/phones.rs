//! What phones that nobody here wrote can do with us, each cell of `docs/phones.md` seen in this
//! run. TIPRING_WRITE_TABLE=1 writes the table; without it the run must show what the table says.

use serde_json::json;
use std::collections::BTreeMap;
use tipring_tests::baresip::{Baresip, Telephone};
use tipring_tests::pjsua::Pjsua;
use tipring_tests::rest::Rest;
use tipring_tests::signal::chirps;
use tipring_tests::system::{System, repository};
use tipring_tests::wait::{GENEROUS, until_true};

const DOES: [&str; 8] = [
    "registers",
    "calls",
    "is called",
    "holds",
    "transfers",
    "digits by RFC 4733",
    "digits by INFO",
    "digits in the audio",
];

/// What was seen of each phone.
type Seen = BTreeMap<&'static str, Vec<&'static str>>;

/// A phone as this test uses it.
trait Phone {
    fn calls(&mut self, number: &str);
    fn answers(&mut self);
    fn holds(&mut self, on: bool);
    fn transfers(&mut self, number: &str);
    fn hangs_up(&mut self);
}

impl Phone for Pjsua {
    fn calls(&mut self, number: &str) {
        self.does(&format!("call {number}"));
    }
    fn answers(&mut self) {
        self.says("incoming");
        self.does("answer");
    }
    fn holds(&mut self, on: bool) {
        self.does(if on { "hold" } else { "resume" });
    }
    fn transfers(&mut self, number: &str) {
        self.does(&format!("transfer {number}"));
    }
    fn hangs_up(&mut self) {
        self.does("hang_up");
    }
}

impl Phone for Baresip {
    fn calls(&mut self, number: &str) {
        self.dial(number);
    }
    fn answers(&mut self) {
        self.expect_event("CALL_INCOMING");
        self.answer();
    }
    fn holds(&mut self, on: bool) {
        self.command(if on { "hold" } else { "resume" }, "");
    }
    fn transfers(&mut self, number: &str) {
        self.command("transfer", &format!("sip:{number}@tipring"));
    }
    fn hangs_up(&mut self) {
        self.hang_up();
    }
}

fn leg_becomes(rest: &Rest, state: &str) {
    until_true(&format!("a leg that is {state}"), GENEROUS, || {
        let calls = rest.get("/v1/calls").expect_json(200);
        calls["calls"].as_array().is_some_and(|calls| {
            let legs = calls.iter().filter_map(|call| call["legs"].as_array());
            legs.flatten().any(|leg| leg["line"] == "phone1" && leg["state"] == state)
        })
    });
}

/// Everything but digits, which each phone sends in its own way.
fn walk(system: &System, phone: &mut impl Phone) -> Vec<&'static str> {
    let rest = system.rest();
    assert_eq!(rest.line("phone1")["registered"], true);
    // It calls a line, holds it and hands it over to another.
    phone.calls("101");
    rest.line_becomes("1", "ringing");
    rest.hook("1", true);
    rest.line_becomes("phone1", "off_hook");
    leg_becomes(&rest, "connected");
    phone.holds(true);
    leg_becomes(&rest, "held");
    phone.holds(false);
    leg_becomes(&rest, "connected");
    phone.transfers("102");
    rest.line_becomes("2", "ringing");
    rest.hook("2", true);
    until_true("the two others talk", GENEROUS, || rest.line("2")["phase"] == "talking");
    rest.line_becomes("phone1", "on_hook");
    rest.hook("2", false);
    rest.hook("1", false);
    rest.calls_become(0);
    // It is called.
    rest.post("/v1/lines/phone1/ring", &json!({})).check(202);
    phone.answers();
    rest.line_becomes("phone1", "off_hook");
    phone.hangs_up();
    rest.calls_become(0);
    DOES[..5].to_vec()
}

/// In a call to 600: what `press` does is heard as 1, 5, 9, once each, by the way that is meant.
fn digits<P: Phone>(system: &System, phone: &mut P, source: &str, press: impl FnOnce(&mut P)) {
    let rest = system.rest();
    let mut events = system.socket("/ws");
    phone.calls("600");
    rest.line_becomes("phone1", "off_hook");
    leg_becomes(&rest, "connected");
    press(phone);
    for digit in ["1", "5", "9"] {
        let event = events.expect("a digit", |m| m["type"] == "dtmf" && m["line"] == "phone1");
        assert_eq!((&event["digit"], &event["source"]), (&digit.into(), &source.into()), "{event}");
    }
    phone.hangs_up();
    rest.calls_become(0);
}

fn with_pjsua() -> Vec<&'static str> {
    let system = System::demonstration();
    let mut phone = Pjsua::start(&system, "phone1", "secret");
    let mut did = walk(&system, &mut phone);
    digits(&system, &mut phone, "telephone_event", |phone| phone.does("keys rfc4733 159"));
    // The other ways count where no telephone-event was agreed on.
    phone.does("no_events");
    digits(&system, &mut phone, "info", |phone| phone.does("keys info 159"));
    digits(&system, &mut phone, "dtmf", |phone| phone.does("keys audio 159"));
    did.extend(&DOES[5..]);
    did
}

fn with_baresip() -> Vec<&'static str> {
    let system = System::demonstration();
    let mut telephone = Telephone::new("phone1", &system.sip_address(), chirps(51, 90_000));
    telephone.answers = false;
    let mut phone = Baresip::start(&telephone);
    let mut did = walk(&system, &mut phone);
    digits(&system, &mut phone, "telephone_event", |phone| phone.press("159"));
    did.push(DOES[5]);
    did
}

#[test]
fn do_what_the_table_says() {
    let mut seen = Seen::new();
    seen.insert("baresip 1.0.0", with_baresip());
    seen.insert("pjsua2 2.15.1", with_pjsua());
    seen.insert("linphone-daemon", Vec::new());
    let (text, path) = (table(&seen), repository().join("docs/phones.md"));
    if std::env::var_os("TIPRING_WRITE_TABLE").is_some() {
        std::fs::write(&path, &text).expect("written");
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), text);
}

fn table(seen: &Seen) -> String {
    let mut text = String::from(
        "# Phones\n\nWhat these did in a run of `tests/tests/phones.rs`, which writes this table. An empty \
         cell was\nnot tried, or the phone has no way to do it from a script.\n\n| phone |",
    );
    for does in DOES {
        text.extend([" ", does, " |"]);
    }
    text += "\n|---|";
    text += &"---|".repeat(DOES.len());
    text.push('\n');
    for (phone, did) in seen {
        text.extend(["| ", phone, " |"]);
        for does in DOES {
            text += if did.contains(&does) { " yes |" } else { "  |" };
        }
        text.push('\n');
    }
    text
}
