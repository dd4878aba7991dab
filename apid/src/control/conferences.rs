//! Conferences: look, have lines sit down, mute them, have them leave.

use super::access::need;
use super::refused::invalid;
use super::{Control, Refused, lock, moment};
use crate::auth::{Caller, Scope};
use crate::call::{CallRecord, News, Role, Seat, Switch};
use crate::hub::NoticeBody;
use crate::view::{Call, Conference, ConferenceMember, ConferenceRequest, MemberRole};
use std::collections::BTreeMap;

impl Control {
    /// Conferences in which somebody sits whom the caller may see. Needs `read`.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn conferences(&self, caller: &Caller) -> Result<Vec<Conference>, Refused> {
        need(caller, Scope::Read)?;
        Ok(self.conferences_with(None, |line| caller.sees(line)))
    }

    /// One of them. Needs `read`.
    ///
    /// # Errors
    /// `Forbidden`, `NoSuchConference`.
    pub fn conference(&self, caller: &Caller, name: &str) -> Result<Conference, Refused> {
        need(caller, Scope::Read)?;
        let mut found = self.conferences_with(Some(name), |line| caller.sees(line));
        found.pop().ok_or(Refused::NoSuchConference)
    }

    /// Has a line sit down in a conference, which begins with it where nobody sits there. A line in
    /// a call leaves it, one that is not lifted rings first. Needs `control`, and `audio` to listen
    /// in or to whisper.
    ///
    /// # Errors
    /// `NoSuchLine`; `NoSuchConference` where somebody sits there whom the caller may not see;
    /// `Invalid`; `CallState` with the reason, as that it is full; and as [`Control::ring`].
    pub async fn join_conference(
        &self,
        caller: &Caller,
        name: &str,
        request: ConferenceRequest,
    ) -> Result<Call, Refused> {
        check_name(name)?;
        let at = self.attached(caller, Scope::Control, &request.line)?;
        let role = self.role(caller, &request)?;
        self.check_sees_all(caller, name)?;
        let line = at.entry.id;
        let ring = self.ring_order(None, request.caller_id, request.timeout_ms)?;
        self.settle(&[&line]).await;
        self.let_clear(&line).await;
        let mut switch = lock(&self.0.switch);
        let seated = switch.confer(&line, name, role, ring, moment(&self.0));
        let (call, actions) =
            seated.map_err(|cause| Refused::CallState(cause.text().to_owned()))?;
        self.apply(&mut switch, actions);
        switch.call(call).map(CallRecord::view).ok_or(Refused::NoSuchCall)
    }

    /// Nobody hears a line in its conference, or they do again. Needs `control`.
    ///
    /// # Errors
    /// `NoSuchConference`, `NoSuchLine` where it does not sit there, and as [`Control::mute`].
    pub async fn mute_member(
        &self,
        caller: &Caller,
        name: &str,
        line: &str,
        muted: bool,
    ) -> Result<ConferenceMember, Refused> {
        need(caller, Scope::Control)?;
        self.member(caller, name, line)?;
        self.mute(caller, line, muted, false).await?;
        self.member(caller, name, line)
    }

    /// Has a line leave its conference: a plan goes on with it, any other call is over. Needs
    /// `control`.
    ///
    /// # Errors
    /// `NoSuchConference`, `NoSuchLine` where it does not sit there.
    pub fn leave_conference(&self, caller: &Caller, name: &str, line: &str) -> Result<(), Refused> {
        need(caller, Scope::Control)?;
        self.member(caller, name, line)?;
        let mut switch = lock(&self.0.switch);
        let left = switch.leave_conference(line, name, moment(&self.0));
        let actions = left.map_err(|_| Refused::NoSuchLine)?;
        self.apply(&mut switch, actions);
        Ok(())
    }

    /// Has everybody leave a conference, which is over then. Needs `control`.
    ///
    /// # Errors
    /// `NoSuchConference`, also where somebody sits there whom the caller may not see.
    pub fn end_conference(&self, caller: &Caller, name: &str) -> Result<(), Refused> {
        need(caller, Scope::Control)?;
        self.check_sees_all(caller, name)?;
        for member in self.conference(caller, name)?.members {
            // Whoever has left meanwhile has left.
            let _ = self.leave_conference(caller, name, &member.line);
        }
        Ok(())
    }

    /// What clients are told when the person at a line begins or ceases to speak.
    pub(super) fn speaks_in_conference(
        switch: &Switch,
        line: &str,
        speaking: bool,
    ) -> Option<NoticeBody> {
        let seat = switch.call(switch.call_of(line)?)?.seat.as_ref()?;
        let heard = seat.role == Role::Speaks && !seat.muted;
        let conference = seat.name.clone();
        heard.then_some(NoticeBody::ConferenceSpeaking { conference, speaking })
    }

    /// Nobody sits there whom the caller may not see.
    pub(super) fn check_sees_all(&self, caller: &Caller, name: &str) -> Result<(), Refused> {
        let switch = lock(&self.0.switch);
        let all = switch.sitting(Some(name)).flat_map(CallRecord::lines).all(|l| caller.sees(l));
        if all { Ok(()) } else { Err(Refused::NoSuchConference) }
    }

    fn member(&self, caller: &Caller, name: &str, line: &str) -> Result<ConferenceMember, Refused> {
        let mut found = self.conferences_with(Some(name), |line| caller.sees(line));
        let conference = found.pop().ok_or(Refused::NoSuchConference)?;
        let mut members = conference.members.into_iter();
        members.find(|member| member.line == line).ok_or(Refused::NoSuchLine)
    }

    fn role(&self, caller: &Caller, request: &ConferenceRequest) -> Result<Role, Refused> {
        let role = match (request.role, &request.whispers_to) {
            (MemberRole::Speaks, None) => return Ok(Role::Speaks),
            (MemberRole::Listens, None) => Role::Listens,
            (MemberRole::Whispers, Some(line)) if *line != request.line => {
                self.entry(caller, line)?;
                Role::Whispers(line.clone())
            }
            _ => {
                let reason = "the line that hears it, with the role `whispers` and no other";
                return Err(invalid("whispers_to", reason));
            }
        };
        need(caller, Scope::Audio)?;
        Ok(role)
    }

    fn conferences_with(&self, name: Option<&str>, sees: impl Fn(&str) -> bool) -> Vec<Conference> {
        let mut found: BTreeMap<String, Vec<ConferenceMember>> = BTreeMap::new();
        let switch = lock(&self.0.switch);
        for record in switch.sitting(name) {
            let (Some(seat), Some(line)) = (&record.seat, record.lines().next()) else { continue };
            if sees(line) {
                let member = self.view_member(record, seat, line);
                found.entry(seat.name.clone()).or_default().push(member);
            }
        }
        found.into_iter().map(|(name, members)| Conference { name, members }).collect()
    }

    fn view_member(&self, record: &CallRecord, seat: &Seat, line: &str) -> ConferenceMember {
        let (role, whispers_to) = match &seat.role {
            Role::Speaks => (MemberRole::Speaks, None),
            Role::Listens => (MemberRole::Listens, None),
            Role::Whispers(to) => (MemberRole::Whispers, Some(to.clone())),
        };
        let heard = role == MemberRole::Speaks && !seat.muted;
        ConferenceMember {
            line: line.to_owned(),
            call_id: record.number.to_string(),
            role,
            whispers_to,
            muted: seat.muted,
            speaking: heard && self.row_of(line).is_some_and(|row| row.voice),
            joined_at: seat.joined_at,
        }
    }
}

/// What clients are told of who sits where; `None` where it is no news of that.
pub(super) fn notice_of(news: &News) -> Option<(&CallRecord, NoticeBody)> {
    let (News::JoinedConference(record)
    | News::MutedInConference(record)
    | News::LeftConference(record)) = news
    else {
        return None;
    };
    let seat = record.seat.as_ref()?;
    let conference = seat.name.clone();
    let body = match news {
        News::JoinedConference(_) => NoticeBody::ConferenceJoined { conference },
        News::MutedInConference(_) => NoticeBody::ConferenceMuted { conference, muted: seat.muted },
        _ => NoticeBody::ConferenceLeft { conference },
    };
    Some((&**record, body))
}

/// Whether a conference may be called so.
pub(super) fn check_name(name: &str) -> Result<(), Refused> {
    if Switch::is_conference(name) {
        return Ok(());
    }
    Err(invalid("name", "a conference's name has 1 to 64 of A-Z a-z 0-9 _ . -"))
}
