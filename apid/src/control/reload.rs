//! What lifted phones do, read anew while calls run.

use super::access::need;
use super::{Control, Refused, lock};
use crate::auth::{Caller, Scope};
use crate::call::{DialPlan, LinePlan};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What can be dialled, and what lifted phones do.
#[derive(Clone, Debug, Default)]
pub struct Plans {
    /// By line.
    pub lines: BTreeMap<String, LinePlan>,
    /// Numbers of a dial plan that everybody has, tried last.
    pub everybody: DialPlan,
}

/// Reads what lifted phones do from wherever it is configured; the reason where that is wrong.
pub type ReadPlans = Arc<dyn Fn() -> Result<Plans, String> + Send + Sync>;

impl Control {
    /// Reads dial plans, hotlines and applications of lines anew; calls that run are not touched.
    /// What is wrong is refused as a whole, and the old plans stay. Needs `admin`.
    ///
    /// # Errors
    /// `Forbidden`, `Configuration` with file, line and reason.
    pub async fn reload(&self, caller: &Caller) -> Result<(), Refused> {
        need(caller, Scope::Admin)?;
        self.reload_plans().await
    }

    /// As [`Control::reload`], for who started this process.
    ///
    /// # Errors
    /// As there.
    pub async fn reload_plans(&self) -> Result<(), Refused> {
        let read = self.0.read_plans.clone();
        let read = tokio::task::spawn_blocking(move || read()).await;
        let read = read.unwrap_or_else(|_| Err("it could not be read".to_owned()));
        match read {
            Ok(plans) => {
                tracing::info!(lines = plans.lines.len(), "dial plans read anew");
                lock(&self.0.switch).set_line_plans(plans.lines, plans.everybody);
                Ok(())
            }
            Err(reason) => {
                let message = format!("dial plans and certificates stay as they were: {reason}");
                self.report_error(None, "configuration_refused", &message);
                Err(Refused::Configuration(reason))
            }
        }
    }
}
