//! Says hello and hangs up.

use tipring_callkit::{Call, Outcome, run};

async fn handler(call: Call) -> Outcome {
    println!("call {} on line {}", call.id(), call.line());
    call.say("Hello! This is a computer, speaking to you by telephone.").await?.finished().await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Outcome {
    run(handler).await
}
