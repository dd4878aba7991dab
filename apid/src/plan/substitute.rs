//! `${…}` and `$[…]` in the arguments of a step become text.

use super::expression;

/// Longest text that comes of it, octets.
pub const TEXT_MAX: usize = 8 * 1024;
/// Within each other.
const DEEP_MAX: usize = 16;

/// What variables and functions give.
pub trait Scope {
    /// A variable; `None` where it is not set.
    fn variable(&self, name: &str) -> Option<String>;
    /// A function of the channel, the database, the clock.
    ///
    /// # Errors
    /// Why it has no value.
    fn function(&self, name: &str, arguments: &str) -> Result<String, String>;
}

/// The text with everything in it replaced. What has no value leaves nothing behind, and its reason
/// goes to `complaints`.
pub fn expand(text: &str, scope: &dyn Scope, complaints: &mut Vec<String>) -> String {
    let mut out = deep(text, scope, complaints, DEEP_MAX);
    if out.len() > TEXT_MAX {
        complaints.push(format!("cut after {TEXT_MAX} octets"));
        let mut end = TEXT_MAX;
        while !out.is_char_boundary(end) {
            end -= 1;
        }
        out.truncate(end);
    }
    out
}

fn deep(text: &str, scope: &dyn Scope, complaints: &mut Vec<String>, left: usize) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let (open, close) = match rest.as_bytes().get(1) {
            Some(b'{') => ('{', '}'),
            Some(b'[') => ('[', ']'),
            _ => {
                out.push('$');
                rest = &rest[1..];
                continue;
            }
        };
        let inside = &rest[2..];
        let (Some(end), true) = (closing(inside, open, close), left > 0) else {
            complaints.push(format!("`{rest}` is not closed, or too deep"));
            return out;
        };
        let inner = deep(&inside[..end], scope, complaints, left - 1);
        let value = if open == '[' { expression::evaluate(&inner) } else { value(&inner, scope) };
        match value {
            Ok(value) => out.push_str(&value),
            Err(reason) => complaints.push(reason),
        }
        rest = &inside[end + 1..];
        if out.len() > TEXT_MAX {
            return out;
        }
    }
    out.push_str(rest);
    out
}

fn closing(text: &str, open: char, close: char) -> Option<usize> {
    let mut deep = 1;
    let end = text.char_indices().find(|(_, sign)| {
        if *sign == open {
            deep += 1;
        } else if *sign == close {
            deep -= 1;
        }
        deep == 0
    });
    end.map(|(at, _)| at)
}

/// `NAME`, `NAME(arguments)`, either with `:offset` or `:offset:length` behind.
fn value(text: &str, scope: &dyn Scope) -> Result<String, String> {
    let (name, arguments, behind) = match text.split_once('(') {
        Some((name, rest)) if !name.contains(':') => {
            let end = rest.rfind(')').ok_or_else(|| format!("`{text}`: a `(` is not closed"))?;
            (name, Some(&rest[..end]), &rest[end + 1..])
        }
        _ => {
            let end = text.find(':').unwrap_or(text.len());
            (&text[..end], None, &text[end..])
        }
    };
    let value = match arguments {
        Some(arguments) => match super::functions::pure(name, arguments, scope) {
            Some(value) => value?,
            None => scope.function(name, arguments)?,
        },
        None => scope.variable(name).unwrap_or_default(),
    };
    let mut part = behind.strip_prefix(':').unwrap_or("").splitn(2, ':');
    let bound = |text: Option<&str>| text.and_then(|text| text.trim().parse::<i64>().ok());
    Ok(match bound(part.next()) {
        None => value,
        Some(offset) => cut(&value, offset, bound(part.next())),
    })
}

/// From `offset` on, which counts from the end where it is negative, `length` signs, or all but the
/// last so many where that is negative.
fn cut(value: &str, offset: i64, length: Option<i64>) -> String {
    let signs: Vec<char> = value.chars().collect();
    let all = signs.len() as i64;
    let from = if offset < 0 { (all + offset).max(0) } else { offset.min(all) };
    let to = match length {
        None => all,
        Some(length) if length < 0 => (all + length).max(from),
        Some(length) => from.saturating_add(length).min(all),
    };
    signs[from as usize..to as usize].iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Few;

    impl Scope for Few {
        fn variable(&self, name: &str) -> Option<String> {
            let value = match name {
                "EXTEN" => "0301234",
                "NAME" => "EXTEN",
                "n" => "2",
                "LOOP" => "${LOOP}",
                _ => return None,
            };
            Some(value.to_owned())
        }
        fn function(&self, name: &str, arguments: &str) -> Result<String, String> {
            match name {
                "CALLERID" => Ok(format!("<{arguments}>")),
                other => Err(format!("no function {other}")),
            }
        }
    }

    fn plain(text: &str) -> String {
        expand(text, &Few, &mut Vec::new())
    }

    #[test]
    fn variables_parts_of_them_and_functions() {
        for (text, value) in [
            ("SIP/${EXTEN}", "SIP/0301234"),
            ("${EXTEN:1}", "301234"),
            ("${EXTEN:-4}", "1234"),
            ("${EXTEN:1:3}", "301"),
            ("${EXTEN:0:-2}", "03012"),
            ("${EXTEN:99}", ""),
            ("${EXTEN:-99:2}", "03"),
            ("${${NAME}}", "0301234"),
            ("${EXTEN:${n}}", "01234"),
            ("${NOTHING}x", "x"),
            ("$[${n} + 1]", "3"),
            ("$[${LEN(${EXTEN})} > 3]", "1"),
            ("${CALLERID(num)}", "<num>"),
            ("${CALLERID(num):1:3}", "num"),
            ("${LOOP}", "${LOOP}"),
            ("5$ and $", "5$ and $"),
        ] {
            assert_eq!(plain(text), value, "{text}");
        }
    }

    #[test]
    fn what_has_no_value_is_told() {
        for text in ["${NONE(x)}", "$[1 / 0]", "${LEN(x}", "${open", &"${".repeat(40)] {
            let mut complaints = Vec::new();
            expand(text, &Few, &mut complaints);
            assert_eq!(complaints.len(), 1, "{text}: {complaints:?}");
        }
        let long = "${EXTEN}".repeat(4000);
        assert!(plain(&long).len() <= TEXT_MAX);
    }
}
