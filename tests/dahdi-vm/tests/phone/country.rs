//! The engine set up otherwise: as in Britain, and with other gains.

use crate::calls::{has_felt, john, names_john};
use serde_json::{Value, json};
use tipring_dahdi_vm::system::ENGINE_YML;
use tipring_dahdi_vm::telephone::Noticed::{Polarity, RingBegins, RingEnds};
use tipring_dahdi_vm::{System, Telephone};
use tipring_tests::signal;
use tipring_tests::wait::{GENEROUS, until_true};

const BRITISH: &str = "country: uk\nrtp_lines: 4\n\
    dahdi: {auto: true, buffers: 8, pulse_dialling: false, gain_db: {from_phone: 6, to_phone: -6}}\n";

pub(crate) fn in_britain(system: &System<'_>) {
    system.without_engine(|| system.installed.configure("engine.yml", BRITISH));
    system.all_become("on_hook");
    announced_before_the_bell(system);
    recalled(system);
    gains(system);
    system.without_engine(|| system.installed.configure("engine.yml", ENGINE_YML));
    system.all_become("on_hook");
}

/// The line is reversed, who calls is heard through the handset that lies, and then it rings twice and
/// twice again.
fn announced_before_the_bell(system: &System<'_>) {
    let System { machine, card, api, .. } = system;
    let rest = &api.rest;
    let mut phone = Telephone::on(machine, card, 1);
    let kind = json!({"caller_id": "etsi_line_reversal"}).to_string();
    let json = [("Content-Type", "application/json")];
    rest.send("PATCH", "/v1/lines/p1/settings", &json, kind.as_bytes()).check(200);
    let ring = json!({"caller_id": john(), "timeout_ms": 60_000});
    until_true("who calls, and then the bell", 2 * GENEROUS, || {
        let from = phone.noticed().len();
        rest.post("/v1/lines/p1/ring", &ring).check(202);
        phone.expect(Polarity);
        let heard = phone.listen(2500);
        let is_told = names_john(&heard, "clip", machine.share().join("clip.wav"));
        if is_told {
            let rings = [
                (RingBegins, 0),
                (RingEnds, 400),
                (RingBegins, 600),
                (RingEnds, 1000),
                (RingBegins, 3000),
            ];
            until_true("two rings in their cadence", GENEROUS, || {
                has_felt(&phone.noticed(), &rings)
            });
        }
        rest.delete("/v1/lines/p1/ring").check(204);
        phone.expect(Polarity);
        rest.line_becomes("p1", "on_hook");
        let felt = phone.noticed().split_off(from);
        assert_eq!(felt[0].1, Polarity, "before the bell: {felt:?}");
        is_told
    });
}

/// A break of 100 ms is a recall and no dialled 1; one of 600 ms, which would be a flash in North America,
/// is a hang-up.
fn recalled(system: &System<'_>) {
    const WANTED: [&str; 5] = ["off_hook", "flash", "on_hook", "off_hook", "on_hook"];
    let mut events = system.api.socket("/ws");
    system.undisturbed("a recall and a hang-up", || {
        let from = events.texts().len();
        // Closed; then open, closed, open, closed, open.
        system.card.contact(1, &[900.0, 100.0, 1200.0, 600.0, 900.0]);
        let is_ours = |m: &Value| m["line"] == "p1";
        for _ in 0..2 {
            events.expect("put down", |m| is_ours(m) && m["type"] == "on_hook");
        }
        system.api.rest.line_becomes("p1", "on_hook");
        let kinds = ["off_hook", "flash", "on_hook", "dtmf"];
        let told = events.texts().split_off(from);
        let told: Vec<&str> = told
            .iter()
            .filter(|m| is_ours(m))
            .filter_map(|m| m["type"].as_str())
            .filter(|kind| kinds.contains(kind))
            .collect();
        if told == WANTED { Ok(()) } else { Err(format!("told {told:?}")) }
    });
}

/// Gains of the configuration are the kernel's: of what is played, and of what the telephone says.
fn gains(system: &System<'_>) {
    let System { machine, card, api, .. } = system;
    let mut phone = Telephone::on(machine, card, 1);
    phone.lift();
    api.rest.line_becomes("p1", "off_hook");
    let tone = json!({"tone": {"frequency_hz": [1000], "level_dbm0": -10, "duration_ms": 20_000}});
    api.rest.post("/v1/lines/p1/play", &tone).check(202);
    let near = |level: f64, wanted: f64| (level - wanted).abs() < 0.7;
    until_true("a tone at -16 dBm0", GENEROUS, || {
        near(signal::level_dbm0(&phone.listen(200)), -16.0)
    });
    api.rest.delete("/v1/lines/p1/playbacks").check(200);
    let ear = api.socket("/v1/lines/p1/audio?format=pcm_s16le&direction=rx");
    phone.say(&signal::sine(1500.0, -20.0, 30_000));
    until_true("a tone at -14 dBm0", GENEROUS, || {
        let heard = ear.audio();
        let last = heard.len().checked_sub(1600).map(|from| signal::level_dbm0(&heard[from..]));
        last.is_some_and(|level| near(level, -14.0))
    });
    phone.put_down();
    api.rest.line_becomes("p1", "on_hook");
}
