//! Keeps a spoken memo under each number, for as long as the program runs: dial a number and #, speak,
//! press a key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tipring_callkit::{Call, Digits, Outcome, Record, run};

type Memos = Arc<Mutex<HashMap<String, Vec<f32>>>>;

async fn handler(call: Call, memos: Memos) -> Outcome {
    call.say("Dial the number of your memo, then hash.").until_digit().await?;
    let number = call.collect_digits(Digits::until("#").of("0123456789#")).await?;
    let kept = memos.lock().unwrap_or_else(PoisonError::into_inner).get(&number).cloned();
    if let Some(memo) = kept {
        call.play_pcm(&memo).await?.finished().await?;
    } else if !number.is_empty() {
        call.say("Speak after the tone, then press a key.").await?.finished().await?;
        let record = Record::at_most(Duration::from_mins(2)).after_beep().until_digit();
        let memo = call.record(record).await?;
        memos.lock().unwrap_or_else(PoisonError::into_inner).insert(number, memo);
        call.say("Thank you.").await?.finished().await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Outcome {
    let memos = Memos::default();
    run(move |call| handler(call, memos.clone())).await
}
