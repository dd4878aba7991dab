//! What an account may use: which numbers it may call, how often and how long a day. Keeps a stolen
//! password from becoming a bill.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const DAY_MS: u64 = 86_400_000;

/// What an account may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    /// Numbers, and beginnings of numbers that end in a full stop; `None` is every number.
    pub numbers: Option<Vec<String>>,
    /// Calls that it begins in a day (UTC).
    pub calls_per_day: Option<u32>,
    /// Minutes of calls that it began in a day (UTC).
    pub minutes_per_day: Option<u32>,
}

impl Allowance {
    /// Whether the account may call this number.
    pub fn permits(&self, number: &str) -> bool {
        self.numbers.as_ref().is_none_or(|allowed| {
            allowed.iter().any(|entry| match entry.strip_suffix('.') {
                Some(beginning) => number.starts_with(beginning),
                None => number == entry,
            })
        })
    }
}

/// What an account has used on its latest day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    day: u64,
    calls: u32,
    talked_ms: u64,
}

impl Usage {
    fn turn_to(&mut self, now_ms: u64) {
        if self.day != now_ms / DAY_MS {
            *self = Self { day: now_ms / DAY_MS, ..Self::default() };
        }
    }

    /// Whether one more call may begin.
    pub fn permits(&mut self, allowance: &Allowance, now_ms: u64) -> bool {
        self.turn_to(now_ms);
        allowance.calls_per_day.is_none_or(|most| self.calls < most)
            && self.left_ms(allowance) != Some(0)
    }

    /// A call begins. Gives when it has to end because all minutes are used, ms since 1970.
    pub fn begin(&mut self, allowance: &Allowance, now_ms: u64) -> Option<u64> {
        self.turn_to(now_ms);
        self.calls += 1;
        self.left_ms(allowance).map(|left_ms| now_ms + left_ms)
    }

    /// It ended. What lay before midnight is of yesterday.
    pub fn end(&mut self, began_ms: u64, now_ms: u64) {
        self.turn_to(now_ms);
        self.talked_ms += now_ms.saturating_sub(began_ms.max(self.day * DAY_MS));
    }

    fn left_ms(&self, allowance: &Allowance) -> Option<u64> {
        let most_ms = u64::from(allowance.minutes_per_day?) * 60_000;
        Some(most_ms.saturating_sub(self.talked_ms))
    }
}

/// Follows the calls that accounts begin.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Meter {
    usage: BTreeMap<String, Usage>,
    running: BTreeMap<String, Running>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Running {
    call_id: String,
    began_ms: u64,
    ends_ms: Option<u64>,
}

impl Meter {
    /// Whether this account may begin one more call.
    pub fn permits(&mut self, account: &str, allowance: &Allowance, now_ms: u64) -> bool {
        if *allowance == Allowance::default() {
            return true;
        }
        self.usage.entry(account.to_owned()).or_default().permits(allowance, now_ms)
    }

    /// Takes note of the answered calls there are, each as account, allowance and Call-ID: those
    /// that are new have begun, those that are missing have ended. Returns whether any did.
    pub fn follow<'a>(
        &mut self,
        calls: impl Iterator<Item = (&'a str, &'a Allowance, &'a str)>,
        now_ms: u64,
    ) -> bool {
        let mut before = std::mem::take(&mut self.running);
        let mut changed = false;
        for (account, allowance, call_id) in calls {
            let known = before.remove(account).filter(|running| running.call_id == call_id);
            let running = known.unwrap_or_else(|| {
                changed = true;
                let usage = self.usage.entry(account.to_owned()).or_default();
                let ends_ms = usage.begin(allowance, now_ms);
                Running { call_id: call_id.to_owned(), began_ms: now_ms, ends_ms }
            });
            self.running.insert(account.to_owned(), running);
        }
        for (account, running) in before {
            changed = true;
            self.usage.entry(account).or_default().end(running.began_ms, now_ms);
        }
        changed
    }

    /// Accounts whose minutes are used up in the middle of a call.
    pub fn over(&self, now_ms: u64) -> impl Iterator<Item = &str> {
        let over = move |running: &Running| running.ends_ms.is_some_and(|at| at <= now_ms);
        self.running.iter().filter(move |(_, running)| over(running)).map(|(a, _)| a.as_str())
    }

    /// When the first such call has to end, ms since 1970.
    pub fn next_end_ms(&self) -> Option<u64> {
        self.running.values().filter_map(|running| running.ends_ms).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_by_list_and_beginning() {
        let numbers = Some(vec!["600".to_owned(), "0049.".to_owned()]);
        let allowance = Allowance { numbers, ..Allowance::default() };
        for (number, may) in
            [("600", true), ("6001", false), ("60", false), ("004930", true), ("0044", false)]
        {
            assert_eq!(allowance.permits(number), may, "{number}");
        }
        assert!(Allowance::default().permits("00900123"));
        let none = Allowance { numbers: Some(vec![]), ..Allowance::default() };
        assert!(!none.permits("1"));
    }

    #[test]
    fn calls_and_minutes_are_of_a_day() {
        let allowance =
            Allowance { calls_per_day: Some(3), minutes_per_day: Some(2), numbers: None };
        let mut usage = Usage::default();
        let noon = 1000 * DAY_MS + DAY_MS / 2;
        assert!(usage.permits(&allowance, noon));
        assert_eq!(usage.begin(&allowance, noon), Some(noon + 120_000));
        usage.end(noon, noon + 90_000);
        assert_eq!(usage.begin(&allowance, noon + 100_000), Some(noon + 130_000));
        usage.end(noon + 100_000, noon + 130_000);
        assert!(!usage.permits(&allowance, noon + 130_000), "no minutes left");
        let midnight = 1001 * DAY_MS;
        assert!(usage.permits(&allowance, midnight));
        for _ in 0..3 {
            usage.begin(&allowance, midnight);
        }
        assert!(!usage.permits(&allowance, midnight + 1), "no calls left");
        // Over midnight: only what is of today counts.
        let mut usage = Usage::default();
        usage.begin(&allowance, midnight - 600_000);
        usage.end(midnight - 600_000, midnight + 60_000);
        assert_eq!(usage.left_ms(&allowance), Some(60_000));
    }

    #[test]
    fn the_meter_follows_calls() {
        let allowance = Allowance { minutes_per_day: Some(1), ..Allowance::default() };
        let mut meter = Meter::default();
        let noon = 1000 * DAY_MS;
        let call = [("phone1", &allowance, "c1")];
        assert!(meter.follow(call.into_iter(), noon) && !meter.follow(call.into_iter(), noon + 5));
        assert_eq!(meter.next_end_ms(), Some(noon + 60_000));
        assert_eq!(meter.over(noon + 59_999).count(), 0);
        assert_eq!(meter.over(noon + 60_000).collect::<Vec<_>>(), ["phone1"]);
        assert!(meter.follow(std::iter::empty(), noon + 60_000));
        assert!(!meter.permits("phone1", &allowance, noon + 60_001));
        assert!(meter.permits("phone2", &allowance, noon + 60_001));
        let text = serde_json::to_string(&meter).unwrap();
        let mut next: Meter = serde_json::from_str(&text).unwrap();
        assert!(!next.permits("phone1", &allowance, noon + 60_001), "after a restart");
    }
}
