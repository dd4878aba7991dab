//! Times of the day, week, month and year, as `GotoIfTime` has them:
//! `times,days of the week,days of the month,months[,time zone]`, each `*`, one, a range, or several of
//! them joined by `&`. Ranges hold at both ends, and may go round: `22:00-06:00`, `fri-mon`.

use jiff::tz::TimeZone;
use std::str::FromStr;
use std::time::SystemTime;

const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const MINUTES: u16 = 24 * 60;

/// When something holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct When {
    /// Of the day, the first and the last one.
    minutes: Vec<(u16, u16)>,
    /// Of the week, from Sunday on.
    weekdays: Vec<(u16, u16)>,
    /// Of the month, from 1 on.
    days: Vec<(u16, u16)>,
    /// From 1 on.
    months: Vec<(u16, u16)>,
    zone: TimeZone,
}

impl When {
    /// Whether it holds then.
    pub fn holds(&self, at: SystemTime) -> bool {
        let Ok(at) = jiff::Timestamp::try_from(at) else { return false };
        let at = at.to_zoned(self.zone.clone());
        let whole = |value: i8| u16::try_from(value).unwrap_or_default();
        let minute = whole(at.hour()) * 60 + whole(at.minute());
        within(&self.minutes, minute)
            && within(&self.weekdays, whole(at.weekday().to_sunday_zero_offset()))
            && within(&self.days, whole(at.day()))
            && within(&self.months, whole(at.month()))
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split([',', '|']).map(str::trim).collect();
        let form = "times,days of the week,days of the month,months[,time zone]";
        if parts.len() > 5 || text.trim().is_empty() {
            return Err(format!("`{text}` is no time; it is {form}"));
        }
        let part = |at: usize| parts.get(at).copied().filter(|part| !part.is_empty());
        let all = |at: usize| part(at).unwrap_or("*");
        let zone = match part(4) {
            None => TimeZone::system(),
            Some(name) => {
                TimeZone::get(name).map_err(|_| format!("`{name}` is no time zone known here"))?
            }
        };
        Ok(Self {
            minutes: ranges(all(0), minute)?,
            weekdays: ranges(all(1), |text| named(text, &DAYS, 0, "day of the week"))?,
            days: ranges(all(2), day)?,
            months: ranges(all(3), |text| named(text, &MONTHS, 1, "month"))?,
            zone,
        })
    }
}

fn within(ranges: &[(u16, u16)], value: u16) -> bool {
    ranges.iter().any(|&(first, last)| {
        if first <= last {
            (first..=last).contains(&value)
        } else {
            value >= first || value <= last
        }
    })
}

fn ranges(
    text: &str,
    one: impl Fn(&str) -> Result<u16, String>,
) -> Result<Vec<(u16, u16)>, String> {
    if text == "*" {
        return Ok(vec![(0, u16::MAX)]);
    }
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Ok((one(first.trim())?, one(last.trim())?))
    };
    text.split('&').map(range).collect()
}

fn minute(text: &str) -> Result<u16, String> {
    let read = || {
        let (hour, minute) = text.split_once(':')?;
        let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
        let at = hour.checked_mul(60)?.checked_add(minute)?;
        (minute < 60 && at < MINUTES).then_some(at)
    };
    read().ok_or_else(|| format!("`{text}` is no time of day, 00:00 to 23:59"))
}

fn day(text: &str) -> Result<u16, String> {
    let day = text.parse().ok().filter(|day| (1..=31).contains(day));
    day.ok_or_else(|| format!("`{text}` is no day of the month, 1 to 31"))
}

fn named(text: &str, names: &[&str], first: u16, what: &str) -> Result<u16, String> {
    let at = names.iter().position(|name| name.eq_ignore_ascii_case(text));
    let at = at.and_then(|at| u16::try_from(at).ok());
    at.map(|at| at + first).ok_or_else(|| format!("`{text}` is no {what}: {}", names.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn holds(when: &str, unix: u64) -> bool {
        let when: When = when.parse().unwrap();
        when.holds(SystemTime::UNIX_EPOCH + Duration::from_secs(unix))
    }

    /// Sunday, 9 September 2001, 01:46:40 UTC.
    const THEN: u64 = 1_000_000_000;

    #[test]
    fn every_part_is_asked() {
        for (when, expected) in [
            ("*,*,*,*,UTC", true),
            ("01:46-01:46,sun,9,sep,UTC", true),
            ("01:46,sun,9,sep,UTC", true),
            ("01:47-02:00,*,*,*,UTC", false),
            ("22:00-06:00,fri-mon,*,*,UTC", true),
            ("*,mon-sat,*,*,UTC", false),
            ("*,mon&SUN,*,*,UTC", true),
            ("*,*,1-8&10-31,*,UTC", false),
            ("*,*,*,oct-aug,UTC", false),
            ("*|*|*|Sep-Nov|UTC", true),
            // There it is 03:46 in summer.
            ("03:00-04:00,*,*,*,Europe/Rome", true),
            ("01:00-02:00,*,*,*,Europe/Rome", false),
        ] {
            assert_eq!(holds(when, THEN), expected, "{when}");
        }
        // A day later the last minute of a range still holds, and the next does not.
        assert!(holds("00:00-01:46,mon,*,*,UTC", THEN + 86_400 + 19));
        assert!(!holds("00:00-01:46,mon,*,*,UTC", THEN + 86_400 + 20));
    }

    #[test]
    fn what_is_no_time_is_told() {
        for (when, reason) in [
            ("", "it is times,"),
            ("a,b,c,d,e,f", "it is times,"),
            ("24:00", "no time of day"),
            ("9-17", "no time of day"),
            ("*,someday", "no day of the week"),
            ("*,*,32", "no day of the month"),
            ("*,*,*,13", "no month"),
            ("*,*,*,*,Mars/Olympus", "no time zone"),
        ] {
            let error = when.parse::<When>().unwrap_err();
            assert!(error.contains(reason), "{when}: {error}");
        }
    }
}
