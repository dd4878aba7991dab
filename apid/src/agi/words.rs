//! A command line as words.

/// Longest line, octets.
pub(super) const LINE_MAX: usize = 4096;
/// Most words.
const WORDS_MAX: usize = 128;

/// Splits at blanks outside of quotes; a backslash keeps the sign behind it.
pub(super) fn split(line: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let (mut quoted, mut open) = (false, false);
    let mut signs = line.chars();
    while let Some(sign) = signs.next() {
        if !quoted && sign.is_whitespace() {
            open = false;
            continue;
        }
        if !open {
            if words.len() >= WORDS_MAX {
                break;
            }
            words.push(String::new());
            open = true;
        }
        let Some(word) = words.last_mut() else { break };
        match sign {
            '"' => quoted = !quoted,
            '\\' => word.extend(signs.next()),
            other => word.push(other),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_separated_by_blanks_unless_they_are_quoted() {
        assert_eq!(split("  STREAM FILE  hello \"\" 0 "), ["STREAM", "FILE", "hello", "", "0"]);
        assert_eq!(
            split("SET VARIABLE x \"a \\\"b\\\" c\""),
            ["SET", "VARIABLE", "x", "a \"b\" c"]
        );
        assert_eq!(split("a\\ b c"), ["a b", "c"]);
        assert!(split("").is_empty());
        assert_eq!(split(&"x ".repeat(999)).len(), WORDS_MAX);
    }
}
