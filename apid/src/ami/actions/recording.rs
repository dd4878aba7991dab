//! Recordings of calls. They are kept as all recordings are; the file that a program names is not
//! written, and a channel variable says which recording it is.

use super::{Context, Message, Packet};
use crate::view::RecordRequest;

/// Where a channel says which recording is its own.
const VARIABLE: &str = "MIXMONITOR_FILENAME";

pub(super) async fn start(context: &Context, packet: &Packet) -> Message {
    let name = packet.get("Channel");
    if name.is_empty() {
        return Message::error("No channel specified");
    }
    let Some(channel) = context.channel(name) else { return Message::error("No such channel") };
    if !packet.get("Command").is_empty() {
        return Message::error("Could not start monitoring channel: commands are not run");
    }
    let (control, caller) = (&context.control, &context.caller);
    match control.record(caller, &channel.line, RecordRequest::default()).await {
        Err(_) => Message::error("Could not start monitoring channel"),
        Ok(recording) => {
            // A channel that is full of variables is recorded all the same.
            let _ =
                context.channels.set_variable(Some(&channel.unique_id), VARIABLE, &recording.id);
            Message::success().with("MixMonitorID", &recording.id)
        }
    }
}

pub(super) async fn stop(context: &Context, packet: &Packet) -> Message {
    let name = packet.get("Channel");
    if name.is_empty() {
        return Message::error("No channel specified");
    }
    let Some(channel) = context.channel(name) else { return Message::error("No such channel") };
    let of_channel = context.channels.variable(&channel.unique_id, VARIABLE);
    let id = match packet.get("MixMonitorID") {
        "" => of_channel,
        id => Some(id.to_owned()),
    };
    let (control, caller) = (&context.control, &context.caller);
    let running = match &id {
        None => false,
        Some(id) => {
            let recording = control.recording(caller, id).await;
            recording
                .is_ok_and(|recording| recording.state == crate::view::RecordingState::Recording)
        }
    };
    let Some(id) = id.filter(|_| running) else {
        return Message::error("Could not stop monitoring channel");
    };
    // Removing one that runs stops it, and keeps it.
    match control.remove_recording(caller, &id).await {
        Ok(_) => Message::success().with("MixMonitorID", id),
        Err(_) => Message::error("Could not stop monitoring channel"),
    }
}
