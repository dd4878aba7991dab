//! What administrators and applications ask of SIP.

use super::access::{kind, need};
use super::{Control, MessagesWaiting, Refused};
use crate::auth::{Caller, Scope};
use crate::view::{Ban, SipTrunk};
use std::net::IpAddr;

impl Control {
    /// Addresses whose SIP gets no answer, the newest first. Needs `admin`.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn bans(&self, caller: &Caller) -> Result<Vec<Ban>, Refused> {
        need(caller, Scope::Admin)?;
        Ok(self.0.signalling.bans())
    }

    /// Our accounts at providers of which the caller may see a line. Needs `read`.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn trunks(&self, caller: &Caller) -> Result<Vec<SipTrunk>, Refused> {
        need(caller, Scope::Read)?;
        let mut trunks = self.0.signalling.trunks();
        trunks.retain(|trunk| trunk.lines.iter().any(|line| caller.sees(line)));
        Ok(trunks)
    }

    /// Ends a ban early. Needs `admin`.
    ///
    /// # Errors
    /// `Forbidden`; `NoSuchBan`.
    pub async fn lift_ban(&self, caller: &Caller, address: &str) -> Result<(), Refused> {
        need(caller, Scope::Admin)?;
        let address: IpAddr = address.parse().map_err(|_| Refused::NoSuchBan)?;
        if !self.signalling().lift_ban(address).await {
            return Err(Refused::NoSuchBan);
        }
        tracing::info!(%address, caller = caller.name, "ban lifted");
        Ok(())
    }

    /// Lets the phone of a SIP line know how many messages wait. Needs `control`.
    ///
    /// # Errors
    /// `Forbidden`, `NoSuchLine`; `WrongKind` for a line that is no SIP phone's.
    pub async fn messages_wait(
        &self,
        caller: &Caller,
        line: &str,
        counts: MessagesWaiting,
    ) -> Result<(), Refused> {
        need(caller, Scope::Control)?;
        let entry = self.entry(caller, line)?;
        if !entry.sip {
            return Err(Refused::WrongKind { kind: kind(&entry, None) });
        }
        self.signalling().messages(line, counts).await;
        Ok(())
    }
}
