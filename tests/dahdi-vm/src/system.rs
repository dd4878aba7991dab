//! Everything at once: Tipring installed and running, and a card that was plugged into it.

use crate::installed::{APID, Api, ENGINE};
use crate::{Card, Installed, Machine};
use serde_json::Value;
use tipring_tests::wait::{GENEROUS, until_true};

/// Emulated time is uneven: a card holds eight blocks instead of two. An emulated processor has better to
/// do than to look after lines that nobody uses, and nobody waits half a minute for the howler.
pub const ENGINE_YML: &str = "rtp_lines: 4\ndahdi: {auto: true, buffers: 8}\n\
    left_off_hook: {congestion_ms: 4000}\n";

/// See the module. Port `n` is line `pN`, extension `10N`.
#[derive(Debug)]
pub struct System<'a> {
    /// Where it runs.
    pub machine: &'a Machine,
    /// What was plugged in.
    pub card: Card<'a>,
    /// Its units and settings.
    pub installed: Installed<'a>,
    /// Its API.
    pub api: Api,
}

impl<'a> System<'a> {
    /// As an installed system meets a card: plugged in while nothing but apid runs. `engine` is
    /// `engine.yml`, `more` of `apid.yml`.
    #[track_caller]
    pub fn plugged(machine: &'a Machine, ports: u16, engine: &str, more: &str) -> Self {
        let card = Card::away(machine, ports);
        let installed = Installed::on(machine);
        installed.configure("engine.yml", engine);
        let api = installed.api(&(lines_yml(ports) + more));
        let asked = machine.try_run(&format!("systemctl is-active {ENGINE}"));
        assert_ne!(asked.0, 0, "nobody asked for the engine yet");
        card.command("plug");
        installed.becomes_active(ENGINE);
        let system = Self { machine, card, installed, api };
        system.all_become("on_hook");
        system
    }

    /// Waits until every port's line is in `state`.
    #[track_caller]
    pub fn all_become(&self, state: &str) {
        let ports = usize::from(self.card.ports);
        until_true(&format!("lines {state}"), GENEROUS, || {
            let Some(answer) = self.api.rest.try_get("/v1/lines") else { return false };
            let ours = |line: &Value| line["id"].as_str().is_some_and(is_port);
            answer.status == 200
                && answer.json()["lines"].as_array().is_some_and(|lines| {
                    let ours: Vec<_> = lines.iter().filter(|line| ours(line)).collect();
                    ours.len() == ports && ours.iter().all(|line| line["state"] == state)
                })
        });
    }

    /// Pulls the card out, and waits until its lines know.
    #[track_caller]
    pub fn unplug(&self) {
        self.card.command("unplug");
        self.all_become("offline");
    }

    /// Plugs it in again, and waits until its lines can be used.
    #[track_caller]
    pub fn plug(&self) {
        self.card.command("plug");
        self.all_become("on_hook");
    }

    /// Stops the engine, does something, starts it again.
    #[track_caller]
    pub fn without_engine(&self, meanwhile: impl FnOnce()) {
        self.machine.run(&format!("systemctl stop {ENGINE}"));
        meanwhile();
        self.installed.start(ENGINE);
    }

    /// How often the machine stood still so far, as its card and the engine count it.
    #[track_caller]
    fn standstills(&self) -> u64 {
        const COUNTED: [&str; 4] = [
            "card_overruns_total",
            "card_underruns_total",
            "card_stalls_total",
            "card_blocks_missing_total",
        ];
        let state = self.card.state();
        let mut words = state.split_whitespace().skip_while(|word| *word != "irqmisses");
        let missed: u64 = words.nth(1).and_then(|n| n.parse().ok()).expect("lost interrupts");
        missed + COUNTED.iter().map(|name| self.api.rest.counter(name)).sum::<u64>()
    }

    /// Attempts something, again as long as the machine stood still in the middle of an attempt that
    /// failed: what was lost then proves nothing. On a machine that ran, one that fails is a failure.
    ///
    /// # Panics
    /// With what went wrong.
    #[track_caller]
    pub fn undisturbed<T>(&self, what: &str, mut attempt: impl FnMut() -> Result<T, String>) -> T {
        for _ in 0..6 {
            let before = self.standstills();
            match attempt() {
                Ok(done) => return done,
                Err(why) => {
                    assert!(self.standstills() > before, "{what}: {why}; nothing stood still");
                    println!("{what}: {why}; the machine stood still: again");
                }
            }
        }
        panic!("{what}: the machine stood still each time");
    }

    /// Main processes of engine and apid.
    #[track_caller]
    pub fn pids(&self) -> (u32, u32) {
        (self.installed.pid(ENGINE), self.installed.pid(APID))
    }

    /// Lines of the engine's journal that contain `text`.
    #[track_caller]
    pub fn told(&self, text: &str) -> usize {
        self.machine.journal(ENGINE).lines().filter(|line| line.contains(text)).count()
    }
}

fn lines_yml(ports: u16) -> String {
    let line = |n| format!("  - {{id: \"p{n}\", engine: dahdi/{n}, extension: \"10{n}\"}}\n");
    format!("lines:\n{}", (1..=ports).map(line).collect::<String>())
}

/// As named by [`lines_yml`].
fn is_port(id: &str) -> bool {
    id.strip_prefix('p').is_some_and(|n| n.parse::<u16>().is_ok())
}
