//! What lifted phones do: dial plans, hotlines, applications. All of it can be read anew while calls
//! run.

use super::check::{at, row};
use super::{Config, ConfigError, Name};
use crate::call::{
    DIAL_MAX, DialPlan, Lifted, LinePlan, Services, SocketEnd, Switch, Target, When,
};
use crate::control::Plans;
use crate::plan::{self, Dialplan};
use crate::stream::Address;
use serde::Deserialize;
use serde_saphyr::Spanned;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// The value of `extensions` that names the plan of the demonstration.
const DEMONSTRATION: &str = "demonstration";
/// The context whose numbers everybody has.
const EVERYBODY: &str = "default";

/// One row of a dial plan.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanRow {
    /// A number, or a pattern beginning with `_`.
    pub dial: Spanned<String>,
    /// What it reaches: `line:ID`, `line:ID&ID`, `number:DIGITS`, `trunk:NAME`, `app:NAME`, `app:ws://…`,
    /// `conference:NAME`, `context:NAME`, `echo`, `dial_tone`.
    pub to: Spanned<String>,
    /// At these times only: `times,days of the week,days of the month,months[,time zone]`.
    #[serde(default)]
    pub when: Option<Spanned<String>>,
}

/// `lifted` of a line: one of these; nothing is dial tone and the numbers that everybody has.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LiftedConfig {
    /// Dial tone, and this dial plan, or context of `extensions`, before the numbers that everybody has.
    pub plan: Option<Spanned<String>>,
    /// Reaches this at once; as [`PlanRow::to`].
    pub hotline: Option<Spanned<String>>,
    /// Belongs to this application, which is told by events and commands by the API.
    pub app: Option<Spanned<Name>>,
    /// No dial tone; programs are told what happens, and nothing else is done.
    pub events: bool,
}

/// Everything that can be dialled.
#[derive(Clone, Debug)]
pub struct LoadedPlans {
    /// What each line's phone does when it is lifted.
    pub lines: BTreeMap<String, LinePlan>,
    /// What `extensions` says; without it empty.
    pub dialplan: Arc<Dialplan>,
}

impl LoadedPlans {
    /// As calls know them.
    pub fn plans(&self) -> Plans {
        Plans { lines: self.lines.clone(), everybody: self.dialplan.numbers(EVERYBODY) }
    }
}

impl Config {
    /// What each line's phone does when it is lifted, and what `extensions` says. Reads its files.
    ///
    /// # Errors
    /// [`ConfigError`] with file and line.
    pub fn plans(&self, path: &Path) -> Result<LoadedPlans, ConfigError> {
        let dialplan = match &self.extensions {
            None => Ok(Dialplan::default()),
            Some(name) if name == DEMONSTRATION => {
                plan::read_text(include_str!("demonstration.conf"), Path::new("demonstration.conf"))
            }
            Some(name) => plan::read(&path.parent().unwrap_or(Path::new("")).join(name)),
        };
        let dialplan = dialplan.map_err(|error| ConfigError(error.to_string()))?;
        let lines = self.line_plans(path, &dialplan)?;
        Ok(LoadedPlans { lines, dialplan: Arc::new(dialplan) })
    }

    fn line_plans(
        &self,
        path: &Path,
        dialplan: &Dialplan,
    ) -> Result<BTreeMap<String, LinePlan>, ConfigError> {
        let mut plans: BTreeMap<&str, DialPlan> =
            dialplan.contexts.keys().map(|name| (name.as_str(), dialplan.numbers(name))).collect();
        for (name, rows) in &self.dial_plans {
            plans.insert(name.as_str(), self.dial_plan(rows, path, dialplan)?);
        }
        let named = |name: &Spanned<String>| {
            plans.get(name.value.as_str()).cloned().ok_or_else(|| {
                let known: Vec<&str> = plans.keys().copied().collect();
                let name = &name.value;
                let there = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                format!("`{name}` is no dial plan; under dial_plans there are: {there}")
            })
        };
        let mut all = BTreeMap::new();
        for line in &self.lines {
            let services = line.services();
            if line.lifted.is_none() && services == Services::default() {
                continue;
            }
            let lifted = line.lifted.clone().unwrap_or_default();
            let plan = match (&lifted.plan, &lifted.hotline, &lifted.app, lifted.events) {
                (Some(name), None, None, false) => LinePlan {
                    plan: named(name).map_err(|reason| at(path, row(name), &reason))?,
                    ..LinePlan::default()
                },
                (None, Some(to), None, false) => {
                    let target = self.target(&to.value, dialplan);
                    let target = target.map_err(|why| at(path, row(to), &why))?;
                    if matches!(target, Target::Trunk(_)) {
                        let reason = "a trunk needs a number that was dialled; name it in a plan";
                        return Err(at(path, row(to), reason));
                    }
                    LinePlan { lifted: Lifted::Hotline(target), ..LinePlan::default() }
                }
                (None, None, Some(app), false) => {
                    let target = Target::Application(app.value.as_str().to_owned());
                    LinePlan { lifted: Lifted::Hotline(target), ..LinePlan::default() }
                }
                (None, None, None, true) => {
                    LinePlan { lifted: Lifted::Events, ..LinePlan::default() }
                }
                (None, None, None, false) if line.lifted.is_none() => LinePlan::default(),
                _ => {
                    let reason = "`lifted` has exactly one of plan, hotline, app, events: true";
                    return Err(at(path, row(&line.id), reason));
                }
            };
            all.insert(line.id.value.as_str().to_owned(), LinePlan { services, ..plan });
        }
        for account in &self.sip.accounts {
            let Some(name) = &account.plan else { continue };
            let plan = named(name).map_err(|reason| at(path, row(name), &reason))?;
            let user = account.user.value.as_str().to_owned();
            all.insert(user, LinePlan { plan, ..LinePlan::default() });
        }
        Ok(all)
    }

    fn dial_plan(
        &self,
        rows: &[PlanRow],
        path: &Path,
        dialplan: &Dialplan,
    ) -> Result<DialPlan, ConfigError> {
        let mut plan = DialPlan::default();
        for PlanRow { dial, to, when } in rows {
            let target = self.target(&to.value, dialplan);
            let target = target.map_err(|reason| at(path, row(to), &reason))?;
            let when = when.as_ref().map(|when| {
                when.value.parse::<When>().map_err(|reason| at(path, row(when), &reason))
            });
            let when = when.transpose()?;
            if dial.value.starts_with('_') {
                let pattern = dial.value.parse();
                let pattern = pattern.map_err(|reason: String| at(path, row(dial), &reason))?;
                plan.add_pattern(pattern, when, target);
                continue;
            }
            let number = dial.value.parse::<super::Number>();
            let number = number.map_err(|reason| at(path, row(dial), &reason))?;
            match when {
                Some(when) => plan.add_at(number.as_str(), when, target),
                None => plan.add(number.as_str(), target),
            }
        }
        Ok(plan)
    }

    fn target(&self, text: &str, dialplan: &Dialplan) -> Result<Target, String> {
        let allowed = "allowed are line:ID, line:ID&ID, number:DIGITS, trunk:NAME, app:NAME, \
                       app:ws://…, conference:NAME, context:NAME, echo, dial_tone";
        match text.split_once(':') {
            None if text == "echo" => Ok(Target::Echo),
            None if text == "dial_tone" => Ok(Target::DialTone),
            Some(("line", ids)) => {
                let unknown = |id: &&str| {
                    !self.lines.iter().any(|line| line.id.value.as_str() == *id)
                        && !self.sip.accounts.iter().any(|a| a.user.value.as_str() == *id)
                };
                let ids: Vec<&str> = ids.split('&').collect();
                if let Some(id) = ids.iter().find(|id| unknown(id)) {
                    return Err(format!("`{text}`: there is no line `{id}` in this file"));
                }
                match ids[..] {
                    [id] => Ok(Target::Line(id.to_owned())),
                    _ if ids.len() > DIAL_MAX => {
                        Err(format!("`{text}`: at most {DIAL_MAX} lines ring at once"))
                    }
                    _ => Ok(Target::Group(ids.into_iter().map(str::to_owned).collect())),
                }
            }
            Some(("trunk", name)) => {
                let is = |trunk: &super::TrunkConfig| trunk.name.value.as_str() == name;
                if self.sip.trunks.iter().any(is) {
                    Ok(Target::Trunk(name.to_owned()))
                } else {
                    Err(format!("`{text}`: there is no trunk `{name}` under sip.trunks"))
                }
            }
            Some(("number", digits)) => self
                .number(digits)
                .ok_or_else(|| format!("`{text}`: nothing has the number `{digits}`")),
            Some(("app", url)) if SocketEnd::is_url(url) => {
                url.parse::<Address>().map_err(|reason| format!("`{text}`: {reason}"))?;
                Ok(Target::Socket(url.to_owned()))
            }
            Some(("conference", name)) if Switch::is_conference(name) => {
                Ok(Target::Conference(name.to_owned()))
            }
            Some(("context", name)) if dialplan.contexts.contains_key(name) => {
                Ok(Target::Plan(name.to_owned()))
            }
            Some(("context", name)) => {
                Err(format!("`{text}`: there is no context `{name}` in the file of `extensions`"))
            }
            Some(("app", name)) if name.parse::<Name>().is_ok() => {
                Ok(Target::Application(name.to_owned()))
            }
            _ => Err(format!("`{text}` can be reached by nobody; {allowed}")),
        }
    }

    /// Whether something has this number, for everybody.
    pub(super) fn is_number(&self, digits: &str) -> bool {
        self.number(digits).is_some()
    }

    /// What has this number, for everybody.
    fn number(&self, digits: &str) -> Option<Target> {
        let is = |number: &super::Number| number.as_str() == digits;
        if self.numbers.echo.as_ref().is_some_and(is) {
            return Some(Target::Echo);
        }
        if self.numbers.dial_tone.as_ref().is_some_and(is) {
            return Some(Target::DialTone);
        }
        let lines = self.lines.iter().map(|line| (&line.extension, &line.id));
        let accounts = self.sip.accounts.iter().map(|account| (&account.extension, &account.user));
        lines
            .chain(accounts)
            .find(|(extension, _)| extension.as_ref().is_some_and(|number| is(&number.value)))
            .map(|(_, id)| Target::Line(id.value.as_str().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    fn plans(text: &str) -> Result<BTreeMap<String, LinePlan>, String> {
        let path = Path::new("apid.yml");
        let config = Config::parse(text, path).map_err(|error| error.to_string())?;
        config.plans(path).map(|plans| plans.lines).map_err(|error| error.to_string())
    }

    #[test]
    fn each_line_has_its_own() {
        let plans = plans(
            "dial_plans:\n  house:\n    - {dial: \"0\", to: \"number:102\"}\n    \
             - {dial: _7XX, to: app:menu}\nlines:\n  \
             - {id: \"1\", engine: sim/1, lifted: {plan: house}}\n  \
             - {id: \"2\", engine: sim/2, extension: \"102\", lifted: {hotline: echo}}\n  \
             - {id: \"3\", engine: sim/3, lifted: {app: booth}}\n  \
             - {id: \"4\", engine: sim/4, lifted: {events: true}}\n  \
             - {id: \"5\", engine: sim/5}\n  \
             - {id: \"6\", engine: sim/6, call_waiting: true}\n",
        )
        .unwrap();
        let house = &plans["1"];
        assert_eq!(house.lifted, Lifted::Dials);
        assert_eq!(house.plan.target("0", SystemTime::now()), Some(&Target::Line("2".to_owned())));
        let menu = Target::Application("menu".to_owned());
        assert_eq!(house.plan.target("755", SystemTime::now()), Some(&menu));
        assert_eq!(plans["2"].lifted, Lifted::Hotline(Target::Echo));
        let booth = Target::Application("booth".to_owned());
        assert_eq!(plans["3"].lifted, Lifted::Hotline(booth));
        assert_eq!(plans["4"].lifted, Lifted::Events);
        assert!(!plans.contains_key("5"));
        assert_eq!(plans["6"].lifted, Lifted::Dials);
        assert_eq!(plans["6"].services, Services { call_waiting: true, three_way: false });
    }

    #[test]
    fn what_is_wrong_is_refused_with_its_line() {
        let lines = "lines:\n  - {id: \"1\", engine: sim/1, lifted: {plan: house}}\n";
        for (text, expected) in [
            (lines.to_owned(), ["apid.yml:2", "no dial plan"]),
            (
                format!("dial_plans:\n  house:\n    - {{dial: _9NQ, to: echo}}\n{lines}"),
                ["apid.yml:3", "no pattern"],
            ),
            (
                format!(
                    "dial_plans:\n  house:\n    - {{dial: \"9\", to: echo, when: noon}}\n{lines}"
                ),
                ["apid.yml:3", "no time of day"],
            ),
            (
                format!("dial_plans:\n  house:\n    - {{dial: 9a, to: echo}}\n{lines}"),
                ["apid.yml:3", "cannot be dialled"],
            ),
            (
                format!("dial_plans:\n  house:\n    - {{dial: \"9\", to: \"line:7\"}}\n{lines}"),
                ["apid.yml:3", "no line `7`"],
            ),
            (
                format!("dial_plans:\n  house:\n    - {{dial: \"9\", to: \"line:1&7\"}}\n{lines}"),
                ["apid.yml:3", "no line `7`"],
            ),
            (
                format!("dial_plans:\n  house:\n    - {{dial: \"9\", to: \"number:5\"}}\n{lines}"),
                ["apid.yml:3", "nothing has the number"],
            ),
            (
                format!("dial_plans:\n  house:\n    - {{dial: \"9\", to: rome}}\n{lines}"),
                ["apid.yml:3", "reached by nobody"],
            ),
            (
                format!("dial_plans:\n  house:\n    - {{dial: \"9\", to: \"context:x\"}}\n{lines}"),
                ["apid.yml:3", "no context `x`"],
            ),
            (
                format!(
                    "dial_plans:\n  house:\n    - {{dial: \"9\", to: \"conference:a b\"}}\n{lines}"
                ),
                ["apid.yml:3", "reached by nobody"],
            ),
            (
                "lines:\n  - {id: \"1\", engine: sim/1, lifted: {events: true, app: x}}\n"
                    .to_owned(),
                ["apid.yml:2", "exactly one"],
            ),
        ] {
            let error = plans(&text).unwrap_err();
            assert!(expected.iter().all(|part| error.contains(part)), "{text}: {error}");
        }
    }
}
