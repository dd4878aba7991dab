//! Records what is said until a key is pressed, and plays it.

use std::time::Duration;
use tipring_callkit::{Call, Outcome, Record, run};

async fn handler(call: Call) -> Outcome {
    let record = Record::at_most(Duration::from_mins(10)).after_beep().until_digit();
    let said = call.record(record).await?;
    println!("{:.1} s recorded", said.len() as f64 / f64::from(tipring_callkit::RATE));
    call.play_pcm(&said).await?.finished().await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Outcome {
    run(handler).await
}
