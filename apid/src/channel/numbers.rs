//! Where there is no dial plan but the switch's own numbers: context `default`, priority 1.

use super::model::Channel;
use super::program::{ProgramError, Start};
use crate::auth::Caller;
use crate::control::{Control, Others};

/// Lets channels reach the numbers that everybody can dial.
#[derive(Clone, Debug)]
pub struct Numbers {
    control: Control,
    caller: Caller,
}

impl Numbers {
    /// Over control.
    pub fn new(control: Control) -> Self {
        Self { control, caller: Caller::everything("channels") }
    }

    fn number<'a>(&self, start: &'a Start) -> Result<&'a str, ProgramError> {
        let Start::At { context, exten, priority } = start else {
            return Err(ProgramError::NoSuchApplication);
        };
        let known = context == "default" && priority == "1";
        if known && self.control.reaches(&self.caller, exten) {
            Ok(exten)
        } else {
            Err(ProgramError::NoSuchExtension)
        }
    }
}

impl Numbers {
    /// Whether there is such a number.
    ///
    /// # Errors
    /// `NoSuchExtension`, `NoSuchApplication`.
    pub fn check(&self, start: &Start) -> Result<(), ProgramError> {
        self.number(start).map(|_| ())
    }

    /// Has a channel reach it instead of whatever it does.
    ///
    /// # Errors
    /// As [`Numbers::check`]; `NoSuchChannel` where it cannot be taken.
    pub fn start(
        &self,
        channel: &Channel,
        start: &Start,
        others: Others,
    ) -> Result<(), ProgramError> {
        let number = self.number(start)?;
        let redirected = self.control.redirect_line(&self.caller, &channel.line, number, others);
        redirected.map_err(|_| ProgramError::NoSuchChannel)
    }
}
