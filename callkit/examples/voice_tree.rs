//! A menu that can be interrupted by pressing a key.

use std::time::Duration;
use tipring_callkit::{Call, Digits, Outcome, run};

const MENU: &str = "Press 1 for a tone, 2 for the workshop, star to leave.";

async fn handler(call: Call) -> Outcome {
    loop {
        let menu = call.say(MENU).until_digit().await?;
        let key = call.collect_digits(Digits::count(1).of("12*")).await?;
        menu.cancel().await?;
        match key.as_str() {
            "1" => {
                let tone = call.play_tone(425, Duration::from_millis(500)).await?;
                tone.finished().await?;
            }
            "2" => return Ok(call.transfer("102").await?),
            _ => break,
        }
    }
    call.say("Goodbye.").await?.finished().await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Outcome {
    run(handler).await
}
