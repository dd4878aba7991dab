//! Channels as lists.

use super::{Context, Message, Packet, list};
use crate::channel::Channel;
use std::sync::Arc;

fn seconds(channel: &Channel) -> u64 {
    channel.created_at.0.elapsed().map_or(0, |age| age.as_secs())
}

fn bridged(context: &Context, channel: &Channel) -> Option<Arc<Channel>> {
    context.channels.find(channel.bridged_with.as_deref()?)
}

pub(super) fn core_show_channels(context: &Context) -> Vec<Message> {
    let entry = |channel: Arc<Channel>| {
        let seconds = seconds(&channel);
        let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let other = bridged(context, &channel);
        let (name, id) = other.map(|o| (o.name.clone(), o.unique_id.clone())).unwrap_or_default();
        Message::event("CoreShowChannel")
            .with("Channel", &channel.name)
            .with("UniqueID", &channel.unique_id)
            .with("Linkedid", &channel.linked_id)
            .with("Context", &channel.position.context)
            .with("Extension", &channel.position.exten)
            .with("Exten", &channel.position.exten)
            .with("Priority", channel.position.priority)
            .with("ChannelState", channel.state.number())
            .with("ChannelStateDesc", channel.state.text())
            .with("Application", &channel.application)
            .with("ApplicationData", &channel.data)
            .with("CallerIDnum", &channel.caller.number)
            .with("CallerIDname", &channel.caller.name)
            .with("ConnectedLineNum", &channel.connected.number)
            .with("ConnectedLineName", &channel.connected.name)
            .with("Duration", format_args!("{h:02}:{m:02}:{s:02}"))
            .with("AccountCode", &channel.account)
            .with("BridgedChannel", name)
            .with("BridgedUniqueID", id)
    };
    let events = context.channels.all().into_iter().map(entry).collect();
    list("Channels will follow", events, "CoreShowChannelsComplete")
}

pub(super) fn status(context: &Context, packet: &Packet) -> Vec<Message> {
    let name = packet.get("Channel");
    let channels = if name.is_empty() {
        context.channels.all()
    } else if let Some(channel) = context.channel(name) {
        vec![channel]
    } else {
        return vec![Message::error("No such channel")];
    };
    let names: Vec<&str> =
        packet.get("Variables").split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let entry = |channel: Arc<Channel>| {
        let other = bridged(context, &channel);
        let (name, id) = other.map(|o| (o.name.clone(), o.unique_id.clone())).unwrap_or_default();
        let message = Message::event("Status")
            .with("Privilege", "Call")
            .with("Channel", &channel.name)
            .with("CallerIDNum", &channel.caller.number)
            .with("CallerIDName", &channel.caller.name)
            .with("ConnectedLineNum", &channel.connected.number)
            .with("ConnectedLineName", &channel.connected.name)
            .with("Accountcode", &channel.account)
            .with("ChannelState", channel.state.number())
            .with("ChannelStateDesc", channel.state.text())
            .with("Context", &channel.position.context)
            .with("Extension", &channel.position.exten)
            .with("Priority", channel.position.priority)
            .with("Seconds", seconds(&channel))
            .with("BridgedChannel", name)
            .with("BridgedUniqueid", id)
            .with("Uniqueid", &channel.unique_id)
            .with("Linkedid", &channel.linked_id);
        names.iter().fold(message, |message, name| {
            let value = context.channels.program().value(Some(&channel), name);
            message.with("Variable", format_args!("{name}={value}"))
        })
    };
    let events = channels.into_iter().map(entry).collect();
    list("Channel status will follow", events, "StatusComplete")
}
