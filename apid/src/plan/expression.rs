//! `$[…]`: arithmetic, comparisons and patterns over text.
//!
//! From the weakest to the strongest: `? ::`, `|`, `&`, `= == != < > <= >=`, `+ -`, `* / %`,
//! `=~ :`, `~~`, `- !`. What looks like a number is one; an empty text and 0 are false. Quotes keep
//! a text together. A pattern (`=~`, and `:` at the beginning of the text) gives its first group,
//! else the length of what it found.

use regex_lite::RegexBuilder;

/// Longest expression, octets.
const LENGTH_MAX: usize = 8 * 1024;
/// Parentheses and signs within each other.
const DEEP_MAX: usize = 64;
/// A compiled pattern, octets.
const PATTERN_MAX: usize = 256 * 1024;

/// The value of an expression without variables.
///
/// # Errors
/// What is wrong with it.
pub fn evaluate(text: &str) -> Result<String, String> {
    if text.len() > LENGTH_MAX {
        return Err("the expression is too long".to_owned());
    }
    if text.trim().is_empty() {
        return Ok(String::new());
    }
    let mut parser = Parser { tokens: tokens(text)?, at: 0, deep: 0 };
    let value = parser.choice()?;
    match parser.tokens.get(parser.at) {
        None => Ok(value),
        Some(token) => Err(format!("`{}` is not expected there", token.text())),
    }
}

/// Whether a value is true: neither empty nor zero.
pub fn is_true(value: &str) -> bool {
    let value = value.trim();
    !value.is_empty() && value.parse::<f64>().is_ok_and(|number| number != 0.0)
        || value.parse::<f64>().is_err() && !value.is_empty()
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Operator(&'static str),
    Text(String),
}

impl Token {
    fn text(&self) -> &str {
        match self {
            Self::Operator(text) => text,
            Self::Text(text) => text,
        }
    }
}

/// Longer ones first.
const OPERATORS: [&str; 21] = [
    "==", "!=", "<=", ">=", "=~", "~~", "::", "=", "<", ">", "+", "-", "*", "/", "%", "|", "&",
    "!", "(", ")", "?",
];

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if first == '"' {
            let end = rest[1..].find('"').ok_or("a quote is not closed")?;
            found.push(Token::Text(rest[1..=end].to_owned()));
            rest = &rest[end + 2..];
        } else if let Some(operator) = OPERATORS.iter().find(|o| rest.starts_with(**o)) {
            found.push(Token::Operator(operator));
            rest = &rest[operator.len()..];
        } else if first == ':' {
            found.push(Token::Operator(":"));
            rest = &rest[1..];
        } else {
            let ends = |(at, c): (usize, char)| {
                c.is_whitespace()
                    || matches!(c, '"' | ':')
                    || OPERATORS.iter().any(|o| rest[at..].starts_with(o))
            };
            let end = rest.char_indices().find(|&place| ends(place));
            let end = end.map_or(rest.len(), |(at, _)| at);
            found.push(Token::Text(rest[..end].to_owned()));
            rest = &rest[end..];
        }
        rest = rest.trim_start();
    }
    Ok(found)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    deep: usize,
}

impl Parser {
    fn next_of(&mut self, wanted: &[&'static str]) -> Option<&'static str> {
        match self.tokens.get(self.at) {
            Some(Token::Operator(operator)) if wanted.contains(operator) => {
                self.at += 1;
                Some(operator)
            }
            _ => None,
        }
    }

    fn choice(&mut self) -> Result<String, String> {
        let condition = self.either()?;
        if self.next_of(&["?"]).is_none() {
            return Ok(condition);
        }
        let first = self.nested(Self::choice)?;
        self.next_of(&["::"]).ok_or("`? …` without `:: …`")?;
        let second = self.nested(Self::choice)?;
        Ok(if is_true(&condition) { first } else { second })
    }

    fn either(&mut self) -> Result<String, String> {
        let mut left = self.both()?;
        while self.next_of(&["|"]).is_some() {
            let right = self.both()?;
            left = if is_true(&left) { left } else { right };
        }
        Ok(left)
    }

    fn both(&mut self) -> Result<String, String> {
        let mut left = self.comparison()?;
        while self.next_of(&["&"]).is_some() {
            let right = self.comparison()?;
            left = if is_true(&left) && is_true(&right) { left } else { "0".to_owned() };
        }
        Ok(left)
    }

    fn comparison(&mut self) -> Result<String, String> {
        let mut left = self.sum()?;
        while let Some(operator) = self.next_of(&["==", "=", "!=", "<=", ">=", "<", ">"]) {
            let right = self.sum()?;
            let order = match (left.trim().parse::<f64>(), right.trim().parse::<f64>()) {
                (Ok(left), Ok(right)) => left.total_cmp(&right),
                _ => left.cmp(&right),
            };
            let holds = match operator {
                "==" | "=" => order.is_eq(),
                "!=" => order.is_ne(),
                "<=" => order.is_le(),
                ">=" => order.is_ge(),
                "<" => order.is_lt(),
                _ => order.is_gt(),
            };
            left = u8::from(holds).to_string();
        }
        Ok(left)
    }

    fn sum(&mut self) -> Result<String, String> {
        let mut left = self.product()?;
        while let Some(operator) = self.next_of(&["+", "-"]) {
            let right = self.product()?;
            left = number(&left, &right, |l, r| if operator == "+" { l + r } else { l - r });
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<String, String> {
        let mut left = self.matched()?;
        while let Some(operator) = self.next_of(&["*", "/", "%"]) {
            let right = self.matched()?;
            if operator != "*" && value_of(&right) == 0.0 {
                return Err("a division by zero".to_owned());
            }
            left = number(&left, &right, |l, r| match operator {
                "*" => l * r,
                "/" => l / r,
                _ => l % r,
            });
        }
        Ok(left)
    }

    fn matched(&mut self) -> Result<String, String> {
        let mut left = self.joined()?;
        while let Some(operator) = self.next_of(&["=~", ":"]) {
            let right = self.joined()?;
            left = found(&left, &right, operator == ":")?;
        }
        Ok(left)
    }

    fn joined(&mut self) -> Result<String, String> {
        let mut left = self.single()?;
        while self.next_of(&["~~"]).is_some() {
            left.push_str(&self.single()?);
        }
        Ok(left)
    }

    fn single(&mut self) -> Result<String, String> {
        if self.next_of(&["-"]).is_some() {
            let value = self.nested(Self::single)?;
            return Ok(number("0", &value, |zero, value| zero - value));
        }
        if self.next_of(&["!"]).is_some() {
            let value = self.nested(Self::single)?;
            return Ok(u8::from(!is_true(&value)).to_string());
        }
        if self.next_of(&["("]).is_some() {
            let value = self.nested(Self::choice)?;
            self.next_of(&[")"]).ok_or("a `(` is not closed")?;
            return Ok(value);
        }
        match self.tokens.get(self.at) {
            Some(Token::Text(text)) => {
                let text = text.clone();
                self.at += 1;
                Ok(text)
            }
            // A variable that is not set leaves nothing behind: `$[${X} = 1]`.
            Some(Token::Operator(operator)) if !matches!(*operator, ")" | "::" | "?") => {
                Ok(String::new())
            }
            Some(Token::Operator(operator)) => Err(format!("`{operator}` is not expected there")),
            None => Ok(String::new()),
        }
    }

    fn nested(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<String, String>,
    ) -> Result<String, String> {
        self.deep += 1;
        if self.deep > DEEP_MAX {
            return Err(format!("more than {DEEP_MAX} within each other"));
        }
        let value = inner(self);
        self.deep -= 1;
        value
    }
}

/// What is no number counts as 0.
fn value_of(text: &str) -> f64 {
    text.trim().parse().unwrap_or(0.0)
}

fn number(left: &str, right: &str, operation: impl FnOnce(f64, f64) -> f64) -> String {
    let value = operation(value_of(left), value_of(right));
    // Whole numbers up to 2^53 are exact.
    if value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0 {
        (value as i64).to_string()
    } else {
        value.to_string()
    }
}

fn found(text: &str, pattern: &str, at_start: bool) -> Result<String, String> {
    let pattern = if at_start { format!("^(?:{pattern})") } else { pattern.to_owned() };
    let regex = RegexBuilder::new(&pattern).size_limit(PATTERN_MAX).build();
    let regex = regex.map_err(|error| format!("`{pattern}` is no regular expression: {error}"))?;
    let Some(captures) = regex.captures(text) else {
        let groups = regex.captures_len() > 1;
        return Ok(if groups { String::new() } else { "0".to_owned() });
    };
    Ok(match captures.get(1) {
        Some(group) => group.as_str().to_owned(),
        None => captures.get(0).map_or(0, |all| all.as_str().chars().count()).to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        for (text, value) in [
            ("", ""),
            ("1 + 2 * 3", "7"),
            ("(1+2)*3", "9"),
            ("7 / 2", "3.5"),
            ("7 % 4", "3"),
            ("-3 + 1", "-2"),
            ("10 - 2 - 3", "5"),
            ("2 > 10", "0"),
            ("b > a", "1"),
            ("\"SIP/201\" = \"SIP/201\"", "1"),
            ("\"x\" != \"y\"", "1"),
            (" = 1", "0"),
            ("1 =", "0"),
            ("0 | 5", "5"),
            ("3 | 5", "3"),
            ("3 & 0", "0"),
            ("3 & \"x\"", "3"),
            ("!0", "1"),
            ("!abc", "0"),
            ("1 ? yes :: no", "yes"),
            ("0 ? yes :: no", "no"),
            ("\"abc123\" =~ \"[0-9]+\"", "3"),
            ("\"abc123\" =~ \"([0-9]+)\"", "123"),
            ("\"abc\" =~ \"([0-9]+)\"", ""),
            ("\"abc\" : \"b\"", "0"),
            ("\"abc\" : \"ab\"", "2"),
            ("a ~~ b", "ab"),
            ("1 + (2", "!"),
            ("1 / 0", "!"),
            ("1 2", "!"),
            (")", "!"),
            ("1 ? 2", "!"),
            ("\"open", "!"),
            ("x =~ \"[\"", "!"),
        ] {
            assert_eq!(evaluate(text).unwrap_or_else(|_| "!".to_owned()), value, "{text}");
        }
    }

    #[test]
    fn what_is_deep_or_long_is_refused_and_nothing_panics() {
        assert!(evaluate(&"(".repeat(5000)).is_err());
        assert!(evaluate(&"-".repeat(5000)).is_err());
        assert!(evaluate(&"1".repeat(9000)).is_err());
        for text in ["ä ö", "é:", "\u{1f600}+1", "::", "? ::", "~~~"] {
            let _ = evaluate(text);
        }
    }

    #[test]
    fn empty_and_zero_are_false() {
        for (value, truth) in [("", false), ("0", false), ("0.0", false), (" ", false)] {
            assert_eq!(is_true(value), truth, "{value}");
        }
        for value in ["1", "-1", "abc", "0x"] {
            assert!(is_true(value), "{value}");
        }
    }
}
