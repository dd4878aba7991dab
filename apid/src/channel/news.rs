//! What can happen to channels. Text exists in one file per surface only.

use super::model::Channel;
use crate::view::Timestamp;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// Something happened to a channel.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelNews {
    /// When.
    pub at: Timestamp,
    /// The channel as it is after that; `None` where it concerns none.
    pub channel: Option<Arc<Channel>>,
    /// What.
    pub body: NewsBody,
}

/// Forms that news are put into.
const FORMS: usize = 3;

/// News on their way to many at once: what those make of them in the same form is made once.
#[derive(Debug)]
pub struct Told {
    news: ChannelNews,
    texts: [OnceLock<Vec<String>>; FORMS],
}

impl Told {
    pub(super) fn new(news: ChannelNews) -> Arc<Self> {
        Arc::new(Self { news, texts: Default::default() })
    }

    /// The texts of a form, 0 to 2: `make` is asked for them where nobody was before.
    pub fn texts(&self, form: usize, make: impl FnOnce(&ChannelNews) -> Vec<String>) -> &[String] {
        self.texts[form].get_or_init(|| make(&self.news))
    }
}

impl Deref for Told {
    type Target = ChannelNews;
    fn deref(&self) -> &ChannelNews {
        &self.news
    }
}

/// What became of dialling another channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Answered.
    Answer,
    /// Busy.
    Busy,
    /// Nobody answered.
    NoAnswer,
    /// The caller gave up.
    Cancel,
    /// Cannot be reached.
    Unavailable,
    /// Refused, or out of resources.
    Congestion,
}

impl Outcome {
    /// `DIALSTATUS`.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Answer => "ANSWER",
            Self::Busy => "BUSY",
            Self::NoAnswer => "NOANSWER",
            Self::Cancel => "CANCEL",
            Self::Unavailable => "CHANUNAVAIL",
            Self::Congestion => "CONGESTION",
        }
    }

    /// Of a channel that was never answered.
    pub const fn of_code(code: u8) -> Self {
        match code {
            17 => Self::Busy,
            18 | 19 => Self::NoAnswer,
            16 => Self::Cancel,
            1 | 3 | 20 | 27 | 28 => Self::Unavailable,
            _ => Self::Congestion,
        }
    }
}

/// What a call was, when it is over.
#[derive(Clone, Debug, PartialEq)]
pub struct CallDetail {
    /// Who called, number and name.
    pub source: crate::view::CallerIdView,
    /// Number that was wanted.
    pub destination: String,
    /// Context of that.
    pub context: String,
    /// Channel that called, or the only one.
    pub channel: String,
    /// Channel that was called; empty for none.
    pub destination_channel: String,
    /// Last application and what it was given.
    pub application: (String, String),
    /// Beginning.
    pub started_at: Timestamp,
    /// Answer.
    pub answered_at: Option<Timestamp>,
    /// End.
    pub ended_at: Timestamp,
    /// Why it ended (ITU-T Q.850).
    pub cause: u8,
    /// Unique id of `channel`.
    pub unique_id: String,
    /// Account code of `channel`.
    pub account: String,
    /// What was noted for the record.
    pub user_field: String,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq)]
pub enum NewsBody {
    /// The channel exists from now on; nothing is told of it earlier.
    New,
    /// Its state changed.
    State,
    /// Its caller became known or was changed.
    CallerId,
    /// A variable was set; without a channel, a global one.
    VarSet {
        /// Name.
        variable: String,
        /// Value.
        value: String,
    },
    /// It entered an application: its position, application and data are new.
    Exten,
    /// It dials another one; without a channel, an application dials.
    DialBegin {
        /// Which.
        destination: Arc<Channel>,
        /// As the dial plan has it, `SIP/202`.
        dial_string: String,
    },
    /// Dialling is over.
    DialEnd {
        /// Which was dialled.
        destination: Arc<Channel>,
        /// What became of it.
        outcome: Outcome,
    },
    /// It hears another one and is heard.
    Link {
        /// Which.
        other: Arc<Channel>,
        /// Names the bridge.
        bridge: String,
    },
    /// Not any more.
    Unlink {
        /// Which.
        other: Arc<Channel>,
        /// Names the bridge.
        bridge: String,
    },
    /// A digit begins.
    DtmfBegin {
        /// `0-9*#A-D`.
        digit: char,
        /// Sent to the phone, rather than received from it.
        sent: bool,
    },
    /// A digit has ended.
    DtmfEnd {
        /// `0-9*#A-D`.
        digit: char,
        /// How long it was.
        duration_ms: u32,
        /// Sent to the phone, rather than received from it.
        sent: bool,
    },
    /// It takes AGI commands from now on.
    AsyncAgiStart {
        /// Environment, lines of `name: value`, an empty one at the end; not encoded.
        env: String,
    },
    /// An AGI command that was queued is done.
    AsyncAgiExec {
        /// As given when it was queued.
        command_id: String,
        /// `ActionID` of the action that queued it, empty for none.
        action_id: String,
        /// `200 result=0` and a line feed; not encoded.
        result: String,
    },
    /// It takes no AGI commands any more.
    AsyncAgiEnd,
    /// An AGI command begins, by whichever way it came.
    AgiExecStart {
        /// The command's words.
        command: String,
        /// Counts commands.
        command_number: u32,
    },
    /// It is done.
    AgiExecEnd {
        /// The command's words.
        command: String,
        /// As in `AgiExecStart`.
        command_number: u32,
        /// 200, 510, 511, 520.
        code: u16,
        /// `Success`, `Failure` or the result line's words.
        result: String,
    },
    /// It and another one, without telephones, are a pair.
    LocalBridge {
        /// The other one, which dials.
        other: Arc<Channel>,
        /// Whom.
        local: super::Local,
    },
    /// A phone takes its place, and its pair is no more; told of in the words of Asterisk 12 only.
    LocalOptimization {
        /// The other one of the pair.
        other: Arc<Channel>,
        /// The phone's channel as it was before.
        source: Arc<Channel>,
        /// That is done.
        ends: bool,
    },
    /// Its name changed.
    Rename {
        /// Former name.
        old: String,
    },
    /// Something happened to it in a conference, or without a channel to that as a whole.
    Conference {
        /// Its name.
        name: String,
        /// What.
        what: super::InConference,
        /// How many sit there then.
        members: usize,
    },
    /// It hears music, or does not any more.
    MusicOnHold {
        /// From now on.
        on: bool,
        /// Class of music.
        class: String,
    },
    /// It was put on hold, or taken off.
    Hold {
        /// From now on.
        on: bool,
    },
    /// Its phone hangs up.
    HangupRequest,
    /// Somebody had it hung up.
    SoftHangupRequest {
        /// ITU-T Q.850.
        cause: u8,
    },
    /// It is over; nothing is told of it later.
    Hangup {
        /// Why (ITU-T Q.850).
        cause: u8,
    },
    /// Its call is over; without channel.
    Cdr(Box<CallDetail>),
    /// Somebody's own event.
    UserEvent {
        /// Its name.
        event: String,
        /// Its headers.
        headers: Vec<(String, String)>,
    },
    /// What became of an Originate; only for the session that asked.
    OriginateResponse {
        /// Which session.
        session: u64,
        /// Its `ActionID`.
        action_id: String,
        /// Answered.
        success: bool,
        /// Asterisk's number: 0 failure, 1 hung up, 3 no answer, 4 answered, 5 busy, 8 congestion.
        reason: u8,
        /// What was dialled.
        dialled: String,
        /// Where the channel goes on.
        start: super::Start,
        /// Shown to it.
        caller: crate::view::CallerIdView,
    },
    /// A device is not to be rung any more, or may be again; without channel.
    DoNotDisturb {
        /// `DAHDI/1`.
        device: String,
        /// From now on.
        on: bool,
    },
    /// A SIP phone registered, or is not registered any more; without channel.
    Peer {
        /// `SIP/201`.
        peer: String,
        /// Where it can be reached; `None`: unregistered.
        contact: Option<String>,
    },
}
