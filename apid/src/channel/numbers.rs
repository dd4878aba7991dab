//! Where there is no dial plan but the switch's own numbers: context `default`, priority 1.

use super::model::Channel;
use super::program::{AgiCommand, Program, ProgramError, Start};
use crate::auth::Caller;
use crate::control::{Control, TransferTo};
use async_trait::async_trait;

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

#[async_trait]
impl Program for Numbers {
    fn check(&self, start: &Start) -> Result<(), ProgramError> {
        self.number(start).map(|_| ())
    }

    async fn start(&self, channel: &Channel, start: Start) -> Result<(), ProgramError> {
        let to = TransferTo::Number(self.number(&start)?.to_owned());
        let call = self.control.call(&self.caller, &channel.call_id);
        let call = call.map_err(|_| ProgramError::NoSuchChannel)?;
        // Whoever it talks with is hung up on, as nothing says where that one should go on.
        let other = call.legs.iter().find_map(|leg| {
            let line = leg.line.as_deref().filter(|line| *line != channel.line)?;
            (leg.state != crate::view::LegState::Ended).then_some(line)
        });
        let handed = self.control.transfer_call(&self.caller, &call.id, other, &to).await;
        handed.map(|_| ()).map_err(|_| ProgramError::NoSuchChannel)
    }

    fn queue_agi(&self, _channel: &Channel, _command: AgiCommand) -> Result<(), ProgramError> {
        Err(ProgramError::NotInAgi)
    }
}
