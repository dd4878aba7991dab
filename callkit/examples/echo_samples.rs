//! Gives back each sample half a second later.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tipring_callkit::{Call, Outcome, run};

const DELAY: usize = 4000;

fn lock(queue: &Mutex<VecDeque<f32>>) -> MutexGuard<'_, VecDeque<f32>> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn handler(call: Call) -> Outcome {
    let waiting = Arc::new(Mutex::new(VecDeque::from(vec![0.0f32; DELAY])));
    let taken = waiting.clone();
    let next = move || lock(&taken).pop_front().unwrap_or(0.0);
    call.play_with(move |_| Some(f64::from(next()))).await?;
    let keep = |said: &[f32]| {
        lock(&waiting).extend(said);
        true
    };
    call.record_with(keep).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Outcome {
    run(handler).await
}
