//! Answering a number: a handler for each call.

use crate::client::{Client, segment};
use crate::{Call, Error, Outcome};
use futures_util::StreamExt as _;
use serde_json::Value;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;

/// The number that is answered where the environment names none.
const NUMBER: &str = "700";
/// At once.
const MAX_CALLS: usize = 10;
/// After a lost connection.
const AGAIN: Duration = Duration::from_secs(1);

/// Answers the number `TIPRING_EXTENSION` (else 700) of the Tipring that [`Client::from_environment`]
/// finds, as [`Client::answer`] does.
///
/// # Errors
/// When the number cannot be answered: nobody listens there, or it is somebody's.
pub async fn run<F, R>(handler: F) -> Outcome
where
    F: Fn(Call) -> R + Send + Sync + 'static,
    R: Future<Output = Outcome> + Send + 'static,
{
    let number = std::env::var("TIPRING_EXTENSION").unwrap_or_else(|_| NUMBER.to_owned());
    Ok(Client::from_environment()?.answer(&number, handler).await?)
}

impl Client {
    /// Answers a number, ten calls at once, for ever; also again after the connection was lost. Each
    /// call has a task of its own. Standard output says when the number is ours, standard error
    /// what becomes of handlers that fail.
    ///
    /// # Errors
    /// When the number cannot be answered at first.
    pub async fn answer<F, R>(&self, number: &str, handler: F) -> Result<(), Error>
    where
        F: Fn(Call) -> R + Send + Sync + 'static,
        R: Future<Output = Outcome> + Send + 'static,
    {
        let handler = Arc::new(handler);
        let path = format!("/v1/applications/{}?max_calls={MAX_CALLS}", segment(number));
        let mut ever = false;
        loop {
            match self.socket(&path).await {
                Ok(mut socket) => {
                    ever = true;
                    while let Some(Ok(message)) = socket.next().await {
                        let Message::Text(text) = message else { continue };
                        let event = serde_json::from_str::<Value>(&text).unwrap_or_default();
                        self.take(number, &event, &handler);
                    }
                }
                Err(error) if !ever => return Err(error),
                // The old connection may still hold the number.
                Err(_) => {}
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    fn take<F, R>(&self, number: &str, event: &Value, handler: &Arc<F>)
    where
        F: Fn(Call) -> R + Send + Sync + 'static,
        R: Future<Output = Outcome> + Send + 'static,
    {
        let call = &event["call"];
        if event["type"] == "claimed" {
            println!("calls to {number} are answered");
        }
        let here = call["to"] == format!("app:{number}");
        if event["type"] != "call_connected" || !here {
            return;
        }
        let mut legs = call["legs"].as_array().into_iter().flatten();
        let line = legs.find_map(|leg| leg["line"].as_str());
        let (Some(id), Some(line)) = (call["id"].as_str(), line) else { return };
        let (client, id, line) = (self.clone(), id.to_owned(), line.to_owned());
        let handler = handler.clone();
        tokio::spawn(async move {
            match Call::open(client, &id, &line).await {
                Ok(call) => {
                    if let Err(error) = call.hold(&*handler).await {
                        eprintln!("Unhandled error in call handler: {error}");
                    }
                }
                // It was over before we looked.
                Err(Error::Refused { status: 404, .. }) => {}
                Err(error) => eprintln!("call {id} cannot be held: {error}"),
            }
        });
    }
}

impl Call {
    /// Runs `handler` until it ends or the phone hangs up, which drops it where it waits, and ends
    /// the call. [`Client::answer`] does so with every call; calls that [`Client::call`] placed are
    /// the caller's.
    ///
    /// # Errors
    /// What the handler fails with.
    pub async fn hold<F, R>(self, handler: F) -> Outcome
    where
        F: FnOnce(Self) -> R,
        R: Future<Output = Outcome>,
    {
        let outcome = tokio::select! {
            outcome = handler(self.clone()) => outcome,
            () = self.over() => Ok(()),
        };
        if self.is_ours()
            && let Err(error) = self.hangup().await
        {
            eprintln!("call {} cannot be ended: {error}", self.id());
        }
        outcome
    }
}
