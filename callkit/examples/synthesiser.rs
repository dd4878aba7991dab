//! An instrument: 1 to 9 are notes that die away, 0 is a drone, * is silence, # ends.

use std::f64::consts::TAU;
use tipring_callkit::{Call, Digits, Outcome, run};

/// Semitones over 220 Hz.
const STEPS: [i32; 9] = [0, 2, 4, 5, 7, 9, 11, 12, 14];

fn note(key: usize) -> impl FnMut(f64) -> Option<f64> {
    let hz = 220.0 * 2f64.powf(f64::from(STEPS[key - 1]) / 12.0);
    move |t| (t < 2.0).then(|| 0.3 * (-2.0 * t).exp() * (TAU * hz * t).sin())
}

async fn handler(call: Call) -> Outcome {
    let mut sounding = Vec::new();
    loop {
        let key = call.collect_digits(Digits::count(1).with_type_ahead()).await?;
        match key.parse::<usize>() {
            Ok(0) => sounding.push(call.play_with(|t| Some(0.1 * (TAU * 110.0 * t).sin())).await?),
            Ok(key) => sounding.push(call.play_with(note(key)).await?),
            Err(_) if key == "*" => {
                for sound in sounding.drain(..) {
                    sound.cancel().await?;
                }
            }
            Err(_) if key == "#" => return Ok(()),
            Err(_) => {}
        }
    }
}

#[tokio::main]
async fn main() -> Outcome {
    run(handler).await
}
