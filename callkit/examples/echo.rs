//! Records two seconds after the tone and plays them back, until the caller hangs up.

use std::time::Duration;
use tipring_callkit::{Call, Outcome, Record, run};

async fn handler(call: Call) -> Outcome {
    loop {
        call.play_tone(1000, Duration::from_millis(200)).await?.finished().await?;
        let said = call.record(Record::at_most(Duration::from_secs(2))).await?;
        call.play_pcm(&said).await?.finished().await?;
    }
}

#[tokio::main]
async fn main() -> Outcome {
    run(handler).await
}
