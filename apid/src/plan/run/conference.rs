//! `ConfBridge`: the caller sits in a conference.

use super::super::arguments;
use super::session::{Outcome, Ran, Session};
use super::wait::Event;
use crate::call::Role;

impl Session {
    /// `name[,bridge profile[,user profile[,menu]]]`; there are no profiles and no menus here.
    pub(super) async fn app_conference(&mut self, data: &str) -> Ran {
        let name = arguments::split(data, 4).first().map(|name| name.trim().to_owned());
        self.answer().await?;
        let sits = self.services.control.plan_confers(
            &self.call,
            name.as_deref().unwrap_or_default(),
            Role::Speaks,
        );
        if let Err(refused) = sits {
            self.complaint(&refused.to_string());
            self.set("CONFBRIDGE_RESULT", "FAILED");
            return Ok(Outcome::Next);
        }
        loop {
            if let Some(Event::DialOver(_)) = self.next(None).await? {
                self.set("CONFBRIDGE_RESULT", "KICKED");
                return Ok(Outcome::Next);
            }
        }
    }
}
