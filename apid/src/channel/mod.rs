//! Channels: each line that takes part in a call, as programs written for Asterisk know it: a name,
//! a unique id, a state, a caller, variables and a place in a dial plan.
//!
//! [`Registry`] is sans-IO: what happens to calls goes in, [`ChannelNews`] come out, whoever caused
//! it. [`Channels`] is the same shared: the manager interface renders its news, dial plans and AGI
//! write to it. What runs dial plans implements [`Program`], and `startup` wires it.

mod calls;
mod conference;
mod follow;
mod local;
mod model;
mod news;
mod numbers;
mod program;
mod registry;
mod ring;
mod shared;
#[cfg(test)]
mod tests;
mod variables;

pub use calls::Lookup;
pub use conference::InConference;
pub use follow::follow;
pub use local::{Local, phoneless_call};
pub use model::{Channel, ChannelState, Endpoint, EndpointKind, Position};
pub use news::{CallDetail, ChannelNews, NewsBody, Outcome, Told};
pub use numbers::Numbers;
pub use program::{AgiCommand, Memory, NoProgram, Program, ProgramError, Start};
pub use registry::{Expected, Note, Registry};
pub use ring::{Ringing, Unanswered};
pub use shared::{Channels, HELD_NEWS, Hold};
pub use variables::{VariableError, Variables};
