//! Functions that need nothing but their arguments and variables.

use super::arguments;
use super::expression::{evaluate, is_true};
use super::substitute::Scope;
use crate::call::When;
use regex_lite::RegexBuilder;
use std::time::SystemTime;

/// Every function there is, those of the channel included.
pub const FUNCTIONS: &[&str] = &[
    "CALLERID",
    "CDR",
    "CHANNEL",
    "CONNECTEDLINE",
    "CUT",
    "DB",
    "DB_DELETE",
    "DB_EXISTS",
    "DIALPLAN_EXISTS",
    "EVAL",
    "EXISTS",
    "FILTER",
    "GLOBAL",
    "IF",
    "IFTIME",
    "ISNULL",
    "LEN",
    "MATH",
    "QUOTE",
    "RAND",
    "REGEX",
    "STRFTIME",
    "TIMEOUT",
    "TOLOWER",
    "TOUPPER",
    "URIDECODE",
    "URIENCODE",
];

/// The value of a function of this file; `None` where it is another's.
pub(super) fn pure(name: &str, data: &str, scope: &dyn Scope) -> Option<Result<String, String>> {
    let flag = |holds: bool| Ok(u8::from(holds).to_string());
    Some(match name {
        "LEN" => Ok(data.chars().count().to_string()),
        "TOUPPER" => Ok(data.to_uppercase()),
        "TOLOWER" => Ok(data.to_lowercase()),
        "QUOTE" => Ok(format!("\"{}\"", data.replace('\\', "\\\\").replace('"', "\\\""))),
        "ISNULL" => flag(data.is_empty()),
        "EXISTS" => flag(!data.is_empty()),
        "EVAL" => Ok(super::substitute::expand(data, scope, &mut Vec::new())),
        "IF" => condition(data),
        "IFTIME" => time(data),
        "MATH" => evaluate(data.split(',').next().unwrap_or_default()),
        "REGEX" => regex(data),
        "FILTER" => Ok(filter(data)),
        "CUT" => field(data, scope),
        "URIENCODE" => Ok(encode(data)),
        "URIDECODE" => Ok(decode(data)),
        _ => return None,
    })
}

/// `condition?one:other`.
fn condition(data: &str) -> Result<String, String> {
    let (condition, values) = data.split_once('?').ok_or("IF is IF(condition?one:other)")?;
    let (one, other) = values.split_once(':').unwrap_or((values, ""));
    Ok(if is_true(condition) { one } else { other }.to_owned())
}

/// `times,days of the week,days of the month,months[,time zone]?one:other`.
fn time(data: &str) -> Result<String, String> {
    let (when, values) = data.split_once('?').ok_or("IFTIME is IFTIME(times?one:other)")?;
    let holds = when.parse::<When>()?.holds(SystemTime::now());
    condition(&format!("{}?{values}", u8::from(holds)))
}

/// `"pattern" text`.
fn regex(data: &str) -> Result<String, String> {
    let form = "REGEX is REGEX(\"pattern\" text)";
    let (pattern, text) =
        data.trim_start().strip_prefix('"').ok_or(form)?.split_once('"').ok_or(form)?;
    let regex = RegexBuilder::new(pattern).size_limit(256 * 1024).build();
    let regex = regex.map_err(|error| format!("`{pattern}` is no regular expression: {error}"))?;
    Ok(u8::from(regex.is_match(text.strip_prefix(' ').unwrap_or(text))).to_string())
}

/// `allowed,text`, where `0-9` is a range.
fn filter(data: &str) -> String {
    let (allowed, text) = data.split_once(',').unwrap_or((data, ""));
    let signs: Vec<char> = allowed.chars().collect();
    let within = |sign: char| {
        let mut at = 0;
        while at < signs.len() {
            if signs.get(at + 1) == Some(&'-') && at + 2 < signs.len() {
                if (signs[at]..=signs[at + 2]).contains(&sign) {
                    return true;
                }
                at += 3;
            } else {
                if signs[at] == sign {
                    return true;
                }
                at += 1;
            }
        }
        false
    };
    text.chars().filter(|sign| within(*sign)).collect()
}

/// `variable,separator,fields`, fields as `2`, `2-`, `1-3`, several joined by `&`.
fn field(data: &str, scope: &dyn Scope) -> Result<String, String> {
    let form = || "CUT is CUT(variable,separator,fields)".to_owned();
    let [name, separator, range]: [String; 3] =
        arguments::split(data, 3).try_into().map_err(|_| form())?;
    let value = scope.variable(&name).unwrap_or_default();
    let separator = separator.chars().next().unwrap_or('-');
    let fields: Vec<&str> = value.split(separator).collect();
    let mut chosen: Vec<&str> = Vec::new();
    for part in range.split('&') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str, otherwise: usize| match text.trim() {
            "" => Ok(otherwise),
            text => text.parse::<usize>().map_err(|_| form()),
        };
        let (from, to) = (number(from, 1)?.max(1), number(to, fields.len())?);
        chosen.extend(fields.iter().take(to).skip(from - 1).copied());
    }
    Ok(chosen.join(&separator.to_string()))
}

/// What RFC 3986 §2.3 does not leave alone, by percent signs.
fn encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || b"-_.~".contains(&octet) {
            out.push(char::from(octet));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(out, "%{octet:02X}");
        }
    }
    out
}

/// Back; what is no text any more is made one.
pub(crate) fn decode(text: &str) -> String {
    let octets = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < octets.len() {
        let hex = text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (octets[at], hex) {
            (b'%', Some(octet)) => {
                out.push(octet);
                at += 3;
            }
            (octet, _) => {
                out.push(octet);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct One;

    impl Scope for One {
        fn variable(&self, name: &str) -> Option<String> {
            (name == "X").then(|| "SIP-201-0001".to_owned())
        }
        fn function(&self, name: &str, _: &str) -> Result<String, String> {
            Err(name.to_owned())
        }
    }

    #[test]
    fn functions_of_text() {
        for (name, data, value) in [
            ("LEN", "äb", "2"),
            ("TOUPPER", "ab", "AB"),
            ("TOLOWER", "AB", "ab"),
            ("ISNULL", "", "1"),
            ("EXISTS", "", "0"),
            ("IF", "1?a:b", "a"),
            ("IF", "0?a:b", "b"),
            ("IF", "?a", ""),
            ("IFTIME", "*,*,*,*?a:b", "a"),
            ("IFTIME", "00:00-23:59,sun-sat,1-31,jan-dec,UTC?a:b", "a"),
            ("MATH", "2*21,int", "42"),
            ("REGEX", "\"^[0-9]+$\" 12", "1"),
            ("REGEX", "\"^[0-9]+$\" x2", "0"),
            ("FILTER", "0-9*,a1-b*2", "1*2"),
            ("CUT", "X,-,2", "201"),
            ("CUT", "X,-,2-", "201-0001"),
            ("CUT", "X,-,1&3", "SIP-0001"),
            ("URIENCODE", "a b:=\n", "a%20b%3A%3D%0A"),
            ("URIDECODE", "a%20b%3a%zz%", "a b:%zz%"),
            ("EVAL", "${X}", "SIP-201-0001"),
        ] {
            assert_eq!(pure(name, data, &One), Some(Ok(value.to_owned())), "{name}({data})");
            assert!(FUNCTIONS.contains(&name));
        }
        assert!(pure("DB", "a/b", &One).is_none());
        for (name, data) in
            [("IF", "x"), ("IFTIME", "x?a"), ("REGEX", "x"), ("CUT", "X"), ("CUT", "X,-,y")]
        {
            assert!(pure(name, data, &One).is_some_and(|value| value.is_err()), "{name}");
        }
    }
}
