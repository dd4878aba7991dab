//! Three tones, then four digits: 1234 is the password.

use std::time::Duration;
use tipring_callkit::{Call, Digits, Outcome, run};

async fn handler(call: Call) -> Outcome {
    for hz in [440, 550, 660] {
        call.play_tone(hz, Duration::from_millis(200)).await?.finished().await?;
    }
    while call.collect_digits(Digits::count(4)).await? != "1234" {
        call.say("wrong").await?.finished().await?;
    }
    call.say("password correct").await?.finished().await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Outcome {
    run(handler).await
}
