//! Conferences, as clients see them.

use super::{CallerIdView, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who hears a line in a conference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MemberRole {
    /// Everybody else.
    #[default]
    Speaks,
    /// Nobody: it listens in.
    Listens,
    /// One line only.
    Whispers,
}

/// Body of `POST /v1/conferences/{name}/members`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConferenceRequest {
    /// Which line.
    pub line: String,
    /// `speaks` where none is given.
    #[serde(default)]
    pub role: MemberRole,
    /// With `whispers`: the line that hears it.
    pub whispers_to: Option<String>,
    /// Shown by a phone that rings first.
    pub caller_id: Option<CallerIdView>,
    /// How long it rings, 1 to 600 000; as configured where none is given.
    pub timeout_ms: Option<u32>,
}

/// Somebody who sits in a conference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ConferenceMember {
    /// Which line.
    pub line: String,
    /// The call in which it sits there.
    pub call_id: String,
    /// Who hears it.
    pub role: MemberRole,
    /// The line that it whispers to.
    pub whispers_to: Option<String>,
    /// Nobody hears it, for now.
    pub muted: bool,
    /// Its person speaks, and is heard.
    pub speaking: bool,
    /// Since then.
    pub joined_at: Timestamp,
}

/// A conference. There is one as long as somebody sits there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Conference {
    /// Its name.
    pub name: String,
    /// Those whom the caller may see, in the order in which their calls began.
    pub members: Vec<ConferenceMember>,
}
