//! Digits, letters, numbers and times as prompts.

use super::super::arguments;
use super::session::Stop;
use super::session::{Outcome, Ran, Session};
use super::sound::Heard;
use std::time::{SystemTime, UNIX_EPOCH};
use time::{OffsetDateTime, UtcOffset};

/// Signs that are said at most.
const SIGNS_MAX: usize = 200;

/// One prompt for each digit and sign.
pub(super) fn digits(text: &str) -> Vec<String> {
    let name = |sign: char| match sign {
        '0'..='9' => Some(format!("digits/{sign}")),
        '*' => Some("digits/star".to_owned()),
        '#' => Some("digits/pound".to_owned()),
        '-' => Some("digits/minus".to_owned()),
        _ => None,
    };
    text.chars().take(SIGNS_MAX).filter_map(name).collect()
}

/// One prompt for each letter, digit and sign.
pub(super) fn letters(text: &str) -> Vec<String> {
    let name = |sign: char| match sign.to_ascii_lowercase() {
        digit @ '0'..='9' => Some(format!("digits/{digit}")),
        letter @ 'a'..='z' => Some(format!("letters/{letter}")),
        '*' => Some("letters/asterisk".to_owned()),
        '#' => Some("digits/pound".to_owned()),
        '-' => Some("letters/dash".to_owned()),
        '.' => Some("letters/dot".to_owned()),
        '@' => Some("letters/at".to_owned()),
        ' ' => Some("letters/space".to_owned()),
        '/' => Some("letters/slash".to_owned()),
        '+' => Some("letters/plus".to_owned()),
        '=' => Some("letters/equals".to_owned()),
        '!' => Some("letters/exclaimation-point".to_owned()),
        '$' => Some("letters/dollar".to_owned()),
        _ => None,
    };
    text.chars().take(SIGNS_MAX).filter_map(name).collect()
}

/// The spelling alphabet.
pub(super) fn phonetic(text: &str) -> Vec<String> {
    let name = |sign: char| match sign.to_ascii_lowercase() {
        letter @ 'a'..='z' => vec![format!("phonetic/{letter}_p")],
        other => letters(&other.to_string()),
    };
    text.chars().take(SIGNS_MAX).flat_map(name).collect()
}

/// A number in English, below 10^9.
pub(super) fn number(value: i64) -> Vec<String> {
    let mut words = Vec::new();
    if value < 0 {
        words.push("digits/minus".to_owned());
    }
    let mut value = value.unsigned_abs();
    if value >= 1_000_000_000 {
        words.extend(digits(&value.to_string()));
        return words;
    }
    if value == 0 {
        words.push("digits/0".to_owned());
    }
    for (unit, name) in [(1_000_000, "digits/million"), (1000, "digits/thousand")] {
        if value >= unit {
            words.extend(below_thousand(value / unit));
            words.push(name.to_owned());
            value %= unit;
        }
    }
    words.extend(below_thousand(value));
    words
}

fn below_thousand(mut value: u64) -> Vec<String> {
    let mut words = Vec::new();
    if value >= 100 {
        words.push(format!("digits/{}", value / 100));
        words.push("digits/hundred".to_owned());
        value %= 100;
    }
    if value > 20 {
        words.push(format!("digits/{}", value / 10 * 10));
        value %= 10;
    }
    if value > 0 {
        words.push(format!("digits/{value}"));
    }
    words
}

/// A day of the month.
fn ordinal(day: u8) -> Vec<String> {
    match day {
        1..=20 | 30 => vec![format!("digits/h-{day}")],
        _ => vec![format!("digits/{}", day / 10 * 10), format!("digits/h-{}", day % 10)],
    }
}

/// A time by a format: `A` day of the week, `B` month, `d e` day, `Y` year, `I l` hour of twelve,
/// `H k` of twenty-four, `M` minute, `P p` before or after noon, `S` second, `Q q` the date, `R`
/// hour and minute, `T` with seconds. What stands between `'…'` is a prompt.
pub(super) fn moment(seconds: i64, format: &str) -> Result<Vec<String>, String> {
    let time = OffsetDateTime::from_unix_timestamp(seconds)
        .map_err(|_| format!("`{seconds}` is no time"))?
        .to_offset(UtcOffset::UTC);
    let minutes = |value: u8| match value {
        0 => Vec::new(),
        1..=9 => vec!["digits/oh".to_owned(), format!("digits/{value}")],
        _ => number(i64::from(value)),
    };
    let mut words = Vec::new();
    let mut signs = format.chars();
    while let Some(sign) = signs.next() {
        match sign {
            '\'' => words.push(signs.by_ref().take_while(|sign| *sign != '\'').collect()),
            'A' | 'a' => {
                let day = time.weekday().number_days_from_sunday();
                words.push(format!("digits/day-{day}"));
            }
            'B' | 'b' | 'h' => words.push(format!("digits/mon-{}", u8::from(time.month()) - 1)),
            'd' | 'e' => words.extend(ordinal(time.day())),
            'm' => words.extend(ordinal(u8::from(time.month()))),
            'Y' => words.extend(number(i64::from(time.year()))),
            'I' | 'l' => words.extend(number(i64::from((time.hour() + 11) % 12 + 1))),
            'H' | 'k' => words.extend(number(i64::from(time.hour()))),
            'M' => words.extend(minutes(time.minute())),
            'S' => words.extend(minutes(time.second())),
            'P' | 'p' => {
                words.push(if time.hour() < 12 { "digits/a-m" } else { "digits/p-m" }.to_owned());
            }
            'Q' | 'q' => words.extend(moment(seconds, "ABdY")?),
            'R' => words.extend(moment(seconds, "HM")?),
            'T' => words.extend(moment(seconds, "HMS")?),
            ' ' => {}
            other => return Err(format!("`{other}` in a format of time is not known")),
        }
    }
    Ok(words)
}

/// `STRFTIME(seconds,zone,format)`, in UTC.
pub(super) fn strftime(data: &str) -> Result<String, String> {
    use std::fmt::Write as _;
    let arguments = arguments::split(data, 3);
    let text = |at: usize| arguments.get(at).map(|text| text.trim()).unwrap_or_default();
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let seconds = if text(0).is_empty() { now() as i64 } else { text(0).parse().unwrap_or(0) };
    if !matches!(text(1), "" | "UTC" | "GMT") {
        return Err(format!("STRFTIME knows UTC, not `{}`", text(1)));
    }
    let time = OffsetDateTime::from_unix_timestamp(seconds).map_err(|error| error.to_string())?;
    let format = if text(2).is_empty() { "%c" } else { text(2) };
    let mut out = String::new();
    let mut signs = format.chars();
    while let Some(sign) = signs.next() {
        if sign != '%' {
            out.push(sign);
            continue;
        }
        let (month, day) = (u8::from(time.month()), time.day());
        let (hour, minute, second) = (time.hour(), time.minute(), time.second());
        // Writing to a text cannot fail.
        let _ = match signs.next().unwrap_or('%') {
            'Y' => write!(out, "{}", time.year()),
            'm' => write!(out, "{month:02}"),
            'd' => write!(out, "{day:02}"),
            'H' => write!(out, "{hour:02}"),
            'M' => write!(out, "{minute:02}"),
            'S' => write!(out, "{second:02}"),
            's' => write!(out, "{seconds}"),
            'j' => write!(out, "{:03}", time.ordinal()),
            'A' => write!(out, "{}", time.weekday()),
            'B' => write!(out, "{}", time.month()),
            'F' => write!(out, "{}-{month:02}-{day:02}", time.year()),
            'T' => write!(out, "{hour:02}:{minute:02}:{second:02}"),
            'R' => write!(out, "{hour:02}:{minute:02}"),
            'c' => write!(
                out,
                "{} {} {day} {hour:02}:{minute:02}:{second:02} {}",
                time.weekday(),
                time.month(),
                time.year()
            ),
            '%' => write!(out, "%"),
            other => return Err(format!("`%{other}` in a format of time is not known")),
        };
    }
    Ok(out)
}

impl Session {
    /// Says prompts; a digit of `escape` ends it.
    pub(super) async fn say(&mut self, prompts: &[String], escape: &str) -> Result<Heard, Stop> {
        self.play_files(&prompts.join("&"), escape).await
    }

    pub(super) async fn app_say(&mut self, name: &str, data: &str) -> Ran {
        let arguments = arguments::split(data, 4);
        let text = |at: usize| arguments.get(at).map(|text| text.trim()).unwrap_or_default();
        let prompts = match name {
            "SayDigits" => Ok(digits(text(0))),
            "SayAlpha" => Ok(letters(text(0))),
            "SayNumber" => {
                let value = text(0).parse().map_err(|_| format!("`{}` is no number", text(0)));
                value.map(number)
            }
            _ => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH);
                let now = now.map_or(0, |since| since.as_secs() as i64);
                let seconds = text(0).parse().unwrap_or(now);
                let format = if text(2).is_empty() { "ABdY 'digits/at' IMp" } else { text(2) };
                if matches!(text(1), "" | "UTC" | "GMT") {
                    moment(seconds, format)
                } else {
                    Err(format!("times are said in UTC, not in `{}`", text(1)))
                }
            }
        };
        self.answer().await?;
        match prompts {
            Ok(prompts) => {
                self.say(&prompts, "").await?;
            }
            Err(reason) => self.complaint(&reason),
        }
        Ok(Outcome::Next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(prompts: &[String]) -> String {
        prompts.join(" ").replace("digits/", "")
    }

    #[test]
    fn numbers_digits_and_letters() {
        for (value, words) in [
            (0, "0"),
            (13, "13"),
            (20, "20"),
            (42, "40 2"),
            (100, "1 hundred"),
            (1234, "1 thousand 2 hundred 30 4"),
            (-5, "minus 5"),
            (2_000_001, "2 million 1"),
        ] {
            assert_eq!(said(&number(value)), words);
        }
        assert_eq!(said(&number(i64::MIN)).split(' ').count(), 20);
        assert_eq!(said(&digits("1*#x-")), "1 star pound minus");
        assert_eq!(letters("aB1"), ["letters/a", "letters/b", "digits/1"]);
        assert_eq!(phonetic("a1"), ["phonetic/a_p", "digits/1"]);
        assert_eq!(digits(&"1".repeat(999)).len(), SIGNS_MAX);
    }

    #[test]
    fn times() {
        // 2001-09-09, a Sunday, 01:46:40.
        let at = 1_000_000_000;
        let words = moment(at, "ABdY 'digits/at' IMp").unwrap();
        assert_eq!(said(&words), "day-0 mon-8 h-9 2 thousand 1 at 1 40 6 a-m");
        assert_eq!(said(&moment(at, "HMS").unwrap()), "1 40 6 40");
        assert!(moment(at, "x").is_err());
        assert_eq!(strftime("1000000000,,%F %T"), Ok("2001-09-09 01:46:40".to_owned()));
        assert!(strftime("0,Europe/Rome,%F").is_err());
        assert!(strftime("0,,%Q").is_err());
    }
}
