//! Who sits in which conference, as a program for Asterisk is told.

use super::news::{ChannelNews, NewsBody};
use super::registry::{Out, Registry};
use crate::hub::NoticeBody;
use crate::view::Timestamp;

/// What happens in a conference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InConference {
    /// It begins; without a channel.
    Starts,
    /// A channel sits down.
    Joins,
    /// Nobody hears a channel, or they do again.
    Mutes(bool),
    /// A channel's person speaks, or ceased.
    Talks(bool),
    /// A channel sits there no more.
    Leaves,
    /// It is over; without a channel.
    Ends,
}

impl Registry {
    /// Something happened in a conference; `false` where `body` is nothing of that kind.
    pub(super) fn conference_news(
        &mut self,
        line: &str,
        body: &NoticeBody,
        at: Timestamp,
        out: &mut Out,
    ) -> bool {
        let (name, what) = match body {
            NoticeBody::ConferenceJoined { conference } => (conference, InConference::Joins),
            NoticeBody::ConferenceMuted { conference, muted } => {
                (conference, InConference::Mutes(*muted))
            }
            NoticeBody::ConferenceSpeaking { conference, speaking } => {
                (conference, InConference::Talks(*speaking))
            }
            NoticeBody::ConferenceLeft { conference } => (conference, InConference::Leaves),
            _ => return false,
        };
        let as_a_whole = |what| ChannelNews {
            at,
            channel: None,
            body: NewsBody::Conference { name: name.clone(), what, members: 0 },
        };
        let seats = self.conferences.entry(name.clone()).or_default();
        match what {
            InConference::Joins => {
                if seats.is_empty() {
                    out.push(as_a_whole(InConference::Starts));
                }
                seats.insert(line.to_owned());
            }
            InConference::Leaves => {
                seats.remove(line);
            }
            _ => {}
        }
        let members = seats.len();
        if members == 0 {
            self.conferences.remove(name);
        }
        self.tell(line, NewsBody::Conference { name: name.clone(), what, members }, at, out);
        if members == 0 && what == InConference::Leaves {
            out.push(as_a_whole(InConference::Ends));
        }
        true
    }
}
