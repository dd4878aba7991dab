//! Conferences: who sits there, nobody hears one of them, one leaves.

use super::{Context, Message, Packet, list};
use crate::channel::Channel;
use crate::view::{Conference, ConferenceMember};
use std::sync::Arc;

fn rooms(context: &Context) -> Vec<Conference> {
    context.control.conferences(&context.caller).unwrap_or_default()
}

fn yes(on: bool) -> &'static str {
    if on { "Yes" } else { "No" }
}

pub(super) fn list_rooms(context: &Context) -> Vec<Message> {
    let rooms = rooms(context);
    if rooms.is_empty() {
        return vec![Message::error("No active conferences.")];
    }
    let event = |room: &Conference| {
        Message::event("ConfbridgeListRooms")
            .with("Conference", &room.name)
            .with("Parties", room.members.len())
            .with("Marked", 0)
            .with("Locked", "No")
            .with("Muted", "No")
    };
    let events = rooms.iter().map(event).collect();
    list("Confbridge conferences will follow", events, "ConfbridgeListRoomsComplete")
}

pub(super) fn list_members(context: &Context, packet: &Packet) -> Vec<Message> {
    let room = match room(context, packet) {
        Ok(room) => room,
        Err(why) => return vec![why],
    };
    let event = |member: &ConferenceMember| {
        let channel = context.channels.of_line(&member.line)?;
        Some(
            Message::event("ConfbridgeList")
                .with("Conference", &room.name)
                .with("CallerIDNum", &channel.caller.number)
                .with("CallerIDName", &channel.caller.name)
                .with("Channel", &channel.name)
                .with("Admin", "No")
                .with("MarkedUser", "No")
                .with("Muted", yes(member.muted))
                .with("Talking", yes(member.speaking)),
        )
    };
    let events = room.members.iter().filter_map(event).collect();
    list("Confbridge user list will follow", events, "ConfbridgeListComplete")
}

fn room(context: &Context, packet: &Packet) -> Result<Conference, Message> {
    let name = packet.get("Conference");
    if name.is_empty() {
        return Err(Message::error("No Conference name provided."));
    }
    let rooms = rooms(context);
    if rooms.is_empty() {
        return Err(Message::error("No active conferences."));
    }
    let found = rooms.into_iter().find(|room| room.name == name);
    found.ok_or_else(|| Message::error("No Conference by that name found."))
}

/// The members an action is about: `Channel`, or all of them.
fn members(context: &Context, packet: &Packet) -> Result<Vec<(Conference, Arc<Channel>)>, Message> {
    let room = room(context, packet)?;
    let name = packet.get("Channel");
    if name.is_empty() {
        return Err(Message::error("No channel name provided."));
    }
    let sits = |channel: &Arc<Channel>| room.members.iter().any(|m| m.line == channel.line);
    let found: Vec<Arc<Channel>> = if name.eq_ignore_ascii_case("all") {
        room.members.iter().filter_map(|m| context.channels.of_line(&m.line)).collect()
    } else {
        context.channel(name).filter(sits).into_iter().collect()
    };
    if found.is_empty() {
        return Err(Message::error("No Channel by that name found in Conference."));
    }
    Ok(found.into_iter().map(|channel| (room.clone(), channel)).collect())
}

pub(super) fn kick(context: &Context, packet: &Packet) -> Message {
    let members = match members(context, packet) {
        Ok(members) => members,
        Err(why) => return why,
    };
    for (room, channel) in members {
        // One that has left meanwhile has left.
        let _ = context.control.leave_conference(&context.caller, &room.name, &channel.line);
    }
    Message::success().with("Message", "User kicked")
}

pub(super) async fn mute(context: &Context, packet: &Packet, on: bool) -> Message {
    let members = match members(context, packet) {
        Ok(members) => members,
        Err(why) => return why,
    };
    for (room, channel) in members {
        let (name, line) = (&room.name, &channel.line);
        if context.control.mute_member(&context.caller, name, line, on).await.is_err() {
            return Message::error("No Channel by that name found in Conference.");
        }
        context.channels.set_muted(&channel.unique_id, (on, channel.muted.1));
    }
    Message::success().with("Message", if on { "User muted" } else { "User unmuted" })
}
