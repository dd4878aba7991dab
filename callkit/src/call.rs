//! A call, as its handler holds it.

use crate::Error;
use crate::client::{Body, Client, segment};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::{broadcast, watch};
use tokio::task::AbortHandle;
use tokio_tungstenite::tungstenite::Message;

/// Events that one who waits may be behind.
const EVENTS: usize = 256;

/// A call with one phone. Cheap to clone; all clones are the same call.
#[derive(Clone, Debug)]
pub struct Call(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    client: Client,
    id: String,
    line: String,
    events: broadcast::Sender<Arc<Value>>,
    state: watch::Receiver<State>,
    /// It is in other hands, by our own wish.
    handed_on: watch::Sender<bool>,
    following: AbortHandle,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Rings,
    Talks,
    Over,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.following.abort();
    }
}

impl Call {
    /// Follows what happens in a call.
    pub(crate) async fn open(client: Client, id: &str, line: &str) -> Result<Self, Error> {
        let types = "call_*,playback_ended,recording_ended";
        let mut socket =
            client.socket(&format!("/v1/events?lines={}&types={types}", segment(line))).await?;
        // What happened before we listened.
        let now = client.ask_json("GET", &format!("/v1/calls/{id}"), Body::Nothing).await?;
        let (tell_state, state) = watch::channel(state_of(&now));
        let (events, _) = broadcast::channel(EVENTS);
        let (tell, own, ends) = (events.clone(), id.to_owned(), now["to"].clone());
        let (handed_on, handed) = watch::channel(false);
        let following = tokio::spawn(async move {
            while let Some(Ok(message)) = socket.next().await {
                let Message::Text(text) = message else { continue };
                let Ok(event) = serde_json::from_str::<Value>(&text) else { continue };
                if event["call"]["id"] == own.as_str() {
                    // Somebody else may have taken it from us.
                    let left = event["call"]["to"] != ends && !*handed.borrow();
                    let state = if left { State::Over } else { state_of(&event["call"]) };
                    tell_state.send_replace(state);
                }
                // Nobody need be waiting.
                let _ = tell.send(Arc::new(event));
            }
            tell_state.send_replace(State::Over);
        });
        let (id, line, following) = (id.to_owned(), line.to_owned(), following.abort_handle());
        Ok(Self(Arc::new(Shared { client, id, line, events, state, handed_on, following })))
    }

    /// Names it.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// The line whose phone it is with.
    pub fn line(&self) -> &str {
        &self.0.line
    }

    /// Ends it; nothing happens where it is over.
    ///
    /// # Errors
    /// As [`Error`] says, but for a call that is over.
    pub async fn hangup(&self) -> Result<(), Error> {
        let path = format!("/v1/calls/{}", self.0.id);
        match self.ask("DELETE", &path, Body::Nothing).await {
            Ok(_) | Err(Error::Refused { status: 404, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Connects the phone with a number, and leaves.
    ///
    /// # Errors
    /// [`Error::Refused`] with 404 where nobody has it, with 409 where it cannot be had.
    pub async fn transfer(&self, number: &str) -> Result<(), Error> {
        let path = format!("/v1/calls/{}/transfer", self.0.id);
        self.hand_on(&path, json!({ "to": number })).await
    }

    /// Connects the phone with that of another call that a program holds, and leaves both.
    ///
    /// # Errors
    /// [`Error::Refused`] with 409 where one of them is over, or not held by a program.
    pub async fn bridge(&self, other: &Self) -> Result<(), Error> {
        let path = format!("/v1/calls/{}/bridge", self.0.id);
        other.0.handed_on.send_replace(true);
        let bridged = self.hand_on(&path, json!({ "with": other.0.id })).await;
        other.0.handed_on.send_replace(bridged.is_ok());
        bridged
    }

    async fn hand_on(&self, path: &str, body: Value) -> Result<(), Error> {
        // Before it is done, so that its events are not taken for somebody else's doing.
        self.0.handed_on.send_replace(true);
        let done = self.ask("POST", path, Body::Json(body)).await;
        self.0.handed_on.send_replace(done.is_ok());
        done.map(|_| ())
    }

    /// Waits until the phone hung up, or somebody else took the call.
    pub async fn over(&self) {
        let mut state = self.0.state.clone();
        // Nobody to tell is an end too.
        let _ = state.wait_for(|state| *state == State::Over).await;
    }

    /// Waits until it is over, or in other hands by our own wish.
    pub(crate) async fn gone(&self) {
        let mut handed_on = self.0.handed_on.subscribe();
        tokio::select! {
            () = self.over() => {}
            _ = handed_on.wait_for(|handed_on| *handed_on) => {}
        }
    }

    /// Waits until the phone is lifted.
    pub(crate) async fn answered(&self) -> Result<(), Error> {
        let mut state = self.0.state.clone();
        let reached = state.wait_for(|state| *state != State::Rings).await;
        match reached.map(|state| *state) {
            Ok(State::Talks) => Ok(()),
            _ => Err(Error::Over),
        }
    }

    /// Whether there is something left to be ended by us.
    pub(crate) fn is_ours(&self) -> bool {
        !*self.0.handed_on.borrow() && *self.0.state.borrow() != State::Over
    }

    /// What happens from now on.
    pub(crate) fn events(&self) -> broadcast::Receiver<Arc<Value>> {
        self.0.events.subscribe()
    }

    /// Asks something; JSON comes back.
    pub(crate) async fn ask(
        &self,
        method: &'static str,
        path: &str,
        body: Body,
    ) -> Result<Value, Error> {
        self.0.client.ask_json(method, path, body).await
    }

    /// A path of the line.
    pub(crate) fn line_path(&self, rest: &str) -> String {
        format!("/v1/lines/{}/{rest}", segment(self.line()))
    }

    pub(crate) fn client(&self) -> &Client {
        &self.0.client
    }
}

/// Waits for an event that fits.
pub(crate) async fn event(
    events: &mut broadcast::Receiver<Arc<Value>>,
    fits: impl Fn(&Value) -> bool,
) -> Result<Arc<Value>, Error> {
    loop {
        match events.recv().await {
            Ok(event) if fits(&event) => return Ok(event),
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return Err(Error::Over),
        }
    }
}

fn state_of(call: &Value) -> State {
    match call["state"].as_str() {
        Some("ringing") => State::Rings,
        Some("connected" | "held") => State::Talks,
        _ => State::Over,
    }
}
