//! Sends a picture by slow-scan television: colour bars in Martin M1 (VIS code 44), which takes two
//! minutes. Hold a telephone to a receiver such as QSSTV, or record the call and decode the file.

use std::f64::consts::TAU;
use tipring_callkit::{Call, Outcome, RATE, run};

const LINES: usize = 256;
const COLUMNS: usize = 320;
const COLOUR_MS: f64 = 146.432;
const VIS_CODE: u8 = 44;

/// Green, blue or red of the picture, from 0 to 1: bars from white to black that get darker
/// downwards.
fn pixel(row: usize, column: usize, colour: usize) -> f64 {
    let bar = 7 - column * 8 / COLUMNS;
    let light = 1.0 - row as f64 / LINES as f64 / 2.0;
    // The bits of a bar: blue, red, green.
    light * (bar >> [2, 0, 1][colour] & 1) as f64
}

/// Calibration and VIS code: frequencies in Hz and how long they last, in ms.
fn header() -> Vec<(f64, f64)> {
    let mut tones = vec![(1900.0, 300.0), (1200.0, 10.0), (1900.0, 300.0), (1200.0, 30.0)];
    let parity = VIS_CODE.count_ones() & 1 == 1;
    let bits = (0..7).map(|bit| VIS_CODE >> bit & 1 == 1).chain([parity]);
    tones.extend(bits.map(|bit| (if bit { 1100.0 } else { 1300.0 }, 30.0)));
    tones.push((1200.0, 30.0));
    tones
}

/// One line: sync, then green, blue and red, from 1500 Hz for black to 2300 Hz for white.
fn line(row: usize) -> Vec<(f64, f64)> {
    let mut tones = vec![(1200.0, 4.862), (1500.0, 0.572)];
    for colour in 0..3 {
        let hz = |column| 1500.0 + 800.0 * pixel(row, column, colour);
        tones.extend((0..COLUMNS).map(|column| (hz(column), COLOUR_MS / COLUMNS as f64)));
        tones.push((1500.0, 0.572));
    }
    tones
}

/// One sine whose frequency changes and whose phase does not jump.
fn samples() -> impl Iterator<Item = f64> + Send {
    let tones = header().into_iter().chain((0..LINES).flat_map(line));
    let (mut end, mut at, mut phase) = (0.0, 0.0, 0.0);
    tones.flat_map(move |(hz, ms)| {
        end += ms * f64::from(RATE) / 1000.0;
        let mut made = Vec::new();
        while at < end {
            phase += TAU * hz / f64::from(RATE);
            at += 1.0;
            made.push(0.5 * f64::sin(phase));
        }
        made
    })
}

async fn handler(call: Call) -> Outcome {
    let mut coming = samples();
    call.play_with(move |_| coming.next()).await?.finished().await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Outcome {
    run(handler).await
}
