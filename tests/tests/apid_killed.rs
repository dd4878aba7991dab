//! `kill -9` of apid in mid-call, at random moments: both phones still hear each other without a
//! gap; the new apid shows the call and can play into, flush and end it.

use serde_json::json;
use std::time::Duration;
use tipring_tests::baresip::{Baresip, Telephone};
use tipring_tests::signal::{Random, chirps, follow, level_dbm0, samples, wav};
use tipring_tests::system::System;
use tipring_tests::wait;

#[test]
fn phones_go_on_talking_and_the_next_apid_takes_over() {
    let kills = if tipring_tests::soak() { 100 } else { 5 };
    let mut system = System::demonstration();
    let rest = system.rest();
    let length = 60_000 + kills * 4000;
    let (one_says, two_says) = (chirps(91, length), chirps(92, length));
    let one = Baresip::start(&Telephone::new("phone1", &system.sip_address(), one_says.clone()));
    let mut second = Telephone::new("phone2", &system.sip_address(), two_says.clone());
    second.answers = true;
    let two = Baresip::start(&second);
    one.dial("202");
    one.expect_event("CALL_ESTABLISHED");
    let call = rest.calls_become(1).remove(0);
    let id = call["id"].as_str().expect("an id").to_owned();
    wait::until_true("connected", wait::GENEROUS, || {
        rest.get(&format!("/v1/calls/{id}")).json()["state"] == "connected"
    });
    one.heard_of(1000);
    two.heard_of(1000);
    let (from_one, from_two) = (one.heard().len(), two.heard().len());

    let mut random = Random::new(7);
    for kill in 0..kills {
        wait::for_duration(Duration::from_millis(random.between(100.0, 1200.0) as u64));
        system.apid.as_mut().expect("it runs").kill();
        wait::for_duration(Duration::from_millis(random.between(0.0, 400.0) as u64));
        system.start_apid();
        system.ready();
        let shown = rest.get(&format!("/v1/calls/{id}")).expect_json(200);
        assert_eq!(shown["state"], "connected", "after kill {kill}: {shown}");
        assert_eq!(rest.calls_become(1)[0]["id"], id.as_str());
        assert_eq!(rest.line("phone1")["state"], "off_hook");
    }

    // What was heard up to here, on both sides.
    let (to_one, to_two) = (one.heard().len(), two.heard().len());
    for (name, said, heard, from, to) in [
        ("phone1", &two_says, one.heard(), from_one, to_one),
        ("phone2", &one_says, two.heard(), from_two, to_two),
    ] {
        let heard = &heard[from..to];
        let points = follow(said, heard, 100, 50);
        let below = |limit: f64| -> Vec<String> {
            let low = points.iter().filter(|p| p.score < limit);
            low.map(|p| format!("{} ms: {:.2}", p.heard_at / 8, p.score)).collect()
        };
        // Chirps are never silent; a phone that ran out of packets is.
        let silent = heard.chunks_exact(samples(20)).filter(|c| level_dbm0(c) < -45.0).count();
        println!(
            "{name}: {} stretches over {kills} kills, {silent} silent frames, below 0.7: {:?}",
            points.len(),
            below(0.7)
        );
        assert!(points.len() > kills * 4, "{name} heard too little");
        assert_eq!(silent, 0, "{name} heard gaps");
        // The phone's own jitter buffer may slip by a frame when this machine is busy: the stretches
        // over such a slip, which overlap, still resemble what was said.
        assert!(below(0.4).is_empty(), "{name} heard something else at {:?}", below(0.4));
        let slips = points.chunk_by(|a, b| (a.score < 0.7) == (b.score < 0.7));
        let slips = slips.filter(|run| run[0].score < 0.7).count();
        assert!(slips * 100 <= points.len(), "{name} heard gaps at {:?}", below(0.7));
    }

    // Played into, flushed and ended by the new one.
    let prompt = chirps(93, 20_000);
    let before = one.heard().len();
    let answer = rest.post_body("/v1/lines/phone1/play", "audio/wav", &wav(&prompt, 8000, 1));
    let playback = answer.expect_json(202)["playback_id"].as_str().expect("an id").to_owned();
    let heard = one.heard_of(before / 8 + 2500);
    let tail = &heard[heard.len() - samples(1000)..];
    // Mixed with the other phone's speech, so it scores less than alone.
    let found = tipring_tests::signal::find(&tail[..samples(800)], &prompt).expect("audio");
    assert!(found.score > 0.4, "the new apid's prompt in phone1's ear: {found:?}");
    let played = rest.delete(&format!("/v1/lines/phone1/playbacks/{playback}")).expect_json(200);
    assert!(played["played_ms"].as_u64().is_some_and(|ms| ms > 500), "{played}");
    let mut events = system.socket("/ws");
    rest.delete(&format!("/v1/calls/{id}")).check(204);
    events.expect("the call ends", |m| m["type"] == "call_ended");
    one.expect_event("CALL_CLOSED");
    two.expect_event("CALL_CLOSED");
    rest.calls_become(0);
    rest.post("/v1/lines/phone1/play", &json!({"tone": "busy"})).check(409);
}

/// A phone that hangs up while no apid is there: the next one ends the call.
#[test]
fn a_call_on_a_simulated_line_survives_too() {
    let mut system = System::demonstration();
    let rest = system.rest();
    rest.hook("1", true);
    rest.post("/v1/sim/1/dial", &json!({"digits": "102"})).check(202);
    rest.line_becomes("2", "ringing");
    rest.hook("2", true);
    let id = rest.calls_become(1)[0]["id"].clone();
    system.apid.as_mut().expect("it runs").kill();
    system.start_apid();
    system.ready();
    assert_eq!(rest.calls_become(1)[0]["id"], id);
    rest.hook("1", false);
    rest.calls_become(0);
}
