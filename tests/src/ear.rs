//! A simulated telephone in somebody's hand: lifted, dialled with, listened and spoken to.

use crate::rest::Rest;
use crate::signal::{find, samples, to_bytes};
use crate::socket::Socket;
use crate::system::System;
use crate::wait::{GENEROUS, until_true};
use serde_json::{Value, json};

/// A lifted telephone; put down when dropped.
#[derive(Debug)]
pub struct Ear {
    rest: Rest,
    line: String,
    audio: Socket,
}

impl Ear {
    /// Lifts the telephone of `line`, dials, and waits until the call is answered.
    #[track_caller]
    pub fn dial(system: &System, line: &str, number: &str) -> Self {
        let ear = Self::lift(system, line);
        ear.press(number);
        until_true("an answer", GENEROUS, || {
            let calls = ear.rest.get("/v1/calls").expect_json(200);
            let ours = |call: &Value| {
                call["state"] == "connected" && call["legs"][0]["line"] == ear.line.as_str()
            };
            calls["calls"].as_array().is_some_and(|calls| calls.iter().any(ours))
        });
        ear
    }

    /// Lifts the telephone of `line`.
    #[track_caller]
    pub fn lift(system: &System, line: &str) -> Self {
        let rest = system.rest();
        rest.hook(line, true);
        let audio = system.socket(&format!("/v1/sim/{line}/audio"));
        Self { rest, line: line.to_owned(), audio }
    }

    /// Presses keys.
    #[track_caller]
    pub fn press(&self, digits: &str) {
        let body = json!({ "digits": digits });
        self.rest.post(&format!("/v1/sim/{}/dial", self.line), &body).check(202);
    }

    /// Speaks.
    pub fn say(&self, speech: &[i16]) {
        for piece in speech.chunks(8000) {
            self.audio.send_octets(to_bytes(piece));
        }
    }

    /// Everything that was heard.
    pub fn heard(&self) -> Vec<i16> {
        self.audio.audio()
    }

    /// Waits until the last 100 ms that were heard are a tone of `hz`.
    #[track_caller]
    pub fn hears_tone(&self, hz: f64) {
        until_true(&format!("{hz} Hz"), GENEROUS, || self.now(hz).is_some_and(|part| part > 0.9));
    }

    /// Waits until a key's two tones (ITU-T Q.23) were heard for 40 ms.
    #[track_caller]
    pub fn hears_key(&self, key: char) {
        const KEYS: &str = "123A456B789C*0#D";
        let at = KEYS.find(key).expect("a key");
        let (low, high) =
            ([697.0, 770.0, 852.0, 941.0][at / 4], [1209.0, 1336.0, 1477.0, 1633.0][at % 4]);
        let both = |piece: &[i16]| {
            let has = |hz| share(piece, hz).is_some_and(|part| part > 0.25);
            has(low) && has(high)
        };
        until_true(&format!("key {key}"), GENEROUS, || {
            self.heard().chunks_exact(samples(40)).any(both)
        });
    }

    /// Waits until the last 100 ms that were heard are silent.
    #[track_caller]
    pub fn hears_nothing(&self) {
        until_true("silence", GENEROUS, || {
            let heard = self.heard();
            heard.len() > samples(100)
                && heard[heard.len() - samples(100)..].iter().all(|&s| s.abs() < 100)
        });
    }

    /// What is heard in the next `ms`, with what was heard before.
    #[track_caller]
    pub fn hears_for(&self, ms: usize) -> Vec<i16> {
        self.audio.audio_of(self.heard().len() / 8 + ms)
    }

    /// Waits until the middle of some speech has been heard, nothing of it missing.
    ///
    /// # Panics
    /// If it is not within a minute; says how near it came.
    #[track_caller]
    pub fn hears(&self, speech: &[i16]) {
        let (middle, half) = (speech.len() / 2, samples(300).min(speech.len() / 2));
        let core = &speech[middle - half..middle + half];
        let (begin, mut best) = (std::time::Instant::now(), 0.0f64);
        while best <= 0.9 {
            assert!(begin.elapsed() < GENEROUS, "not heard; at best {best:.2} of it");
            self.hears_for(200);
            best = best.max(find(core, &self.heard()).map_or(0.0, |found| found.score));
        }
    }

    /// How much of the power of the last 100 ms is at `hz`; `None` of silence.
    pub fn now(&self, hz: f64) -> Option<f64> {
        let heard = self.heard();
        let last = heard.get(heard.len().checked_sub(samples(100))?..)?;
        share(last, hz)
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        let body = json!({ "off": false });
        let path = format!("/v1/sim/{}/hook", self.line);
        let json = [("Content-Type", "application/json")];
        let _ = self.rest.try_send("POST", &path, &json, body.to_string().as_bytes());
    }
}

/// Waits until a call to `end` is over.
#[track_caller]
pub fn ends(system: &System, end: &str) {
    let rest = system.rest();
    until_true(&format!("the end of a call to {end}"), GENEROUS, || {
        let calls = rest.get("/v1/calls").expect_json(200);
        let over = |call: &Value| call["to"] == end && call["state"] == "ended";
        calls["calls"].as_array().is_some_and(|calls| calls.iter().any(over))
    });
}

/// How much of the power of `audio` is at `hz`; `None` of silence.
pub fn share(audio: &[i16], hz: f64) -> Option<f64> {
    let (mut real, mut imaginary, mut power) = (0.0, 0.0, 0.0);
    for (at, &sample) in audio.iter().enumerate() {
        let (angle, x) = (std::f64::consts::TAU * hz * at as f64 / 8000.0, f64::from(sample));
        real += x * angle.cos();
        imaginary += x * angle.sin();
        power += x * x;
    }
    let count = audio.len() as f64;
    (power / count > 10_000.0).then(|| 2.0 * (real * real + imaginary * imaginary) / count / power)
}
