//! Calls: who talks to whom. Sans-IO: inputs and the time go in, actions come out; nothing here
//! opens, sleeps or reads a clock.
//!
//! A line takes part in one call at a time. A lifted analog line that has dialled nothing yet is
//! in none: it becomes one when what it dialled reaches somebody, or nobody.

mod action;
mod adopt;
mod application;
mod beside;
mod cause;
mod claim;
mod conference;
mod consult;
mod dial_plan;
mod dialling;
mod digits;
mod diversion;
mod ending;
mod group;
mod inputs;
mod join;
mod kept;
mod lifted;
mod media;
mod pattern;
mod record;
mod settings;
mod switch;
mod take;
mod transfer;
mod trunk;
mod when;
#[cfg(test)]
mod tests;

pub use action::{Action, Input, News, Order};
pub use adopt::LineNow;
pub use cause::Cause;
pub use claim::ClaimRefused;
pub use conference::{Role, Seat};
pub use consult::Consults;
pub use dial_plan::{DialPlan, Match, Target};
pub use digits::{DigitTruth, DigitWay};
pub use group::DIAL_MAX;
pub use kept::Keeper;
pub use lifted::{Lifted, LinePlan, Services};
pub use media::{MediaAnswer, MediaOffer, RemoteMedia};
pub use pattern::{Fit, Pattern};
pub use record::{CallNumber, CallRecord, Ends, LegRecord, Moment, SocketEnd, Stage};
pub use settings::{Busy, RingOrder, SwitchConfig, Trunk};
pub use switch::Switch;
pub use take::Others;
pub use transfer::TransferTo;
pub use when::When;
