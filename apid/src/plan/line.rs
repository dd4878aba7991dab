//! One line of a plan's file: what it is, without what it means.

/// Longest line, octets.
pub(super) const LINE_MAX: usize = 8 * 1024;

/// What a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// `[name]`.
    Section(&'a str),
    /// `key => value` or `key = value`.
    Assignment(&'a str, &'a str),
    /// `#name rest`.
    Directive(&'a str, &'a str),
    /// Nothing.
    Nothing,
}

/// Takes comments out, those over several lines too.
#[derive(Debug, Default)]
pub(super) struct Comments {
    inside: bool,
}

impl Comments {
    /// The line without its comments, `\;` being a semicolon.
    pub(super) fn strip(&mut self, line: &str) -> String {
        let mut kept = String::new();
        let mut rest = line;
        while !rest.is_empty() {
            if self.inside {
                match rest.split_once("--;") {
                    Some((_, behind)) => {
                        self.inside = false;
                        rest = behind;
                    }
                    None => return kept,
                }
                continue;
            }
            match rest.find(';') {
                None => {
                    kept.push_str(rest);
                    break;
                }
                Some(at) if rest[..at].ends_with('\\') => {
                    kept.push_str(&rest[..at - 1]);
                    kept.push(';');
                    rest = &rest[at + 1..];
                }
                // `;--` begins a comment of several lines, `;---` is a rule across the page.
                Some(at) if rest[at..].starts_with(";--") && !rest[at..].starts_with(";---") => {
                    kept.push_str(&rest[..at]);
                    self.inside = true;
                    rest = &rest[at + 3..];
                }
                Some(at) => {
                    kept.push_str(&rest[..at]);
                    break;
                }
            }
        }
        kept
    }
}

/// What a line without comments is.
///
/// # Errors
/// What is wrong with it.
pub(super) fn split(line: &str) -> Result<Line<'_>, String> {
    let line = line.trim();
    if line.is_empty() {
        return Ok(Line::Nothing);
    }
    if let Some(rest) = line.strip_prefix('[') {
        let (name, behind) = rest.split_once(']').ok_or("a `[` is not closed")?;
        return match (name.trim(), behind.trim()) {
            ("", _) => Err("a section without a name".to_owned()),
            // `(+)` adds to a section that is there, as writing it twice does.
            (name, "" | "(+)") => Ok(Line::Section(name)),
            (_, more) => Err(format!("`{more}` behind a section: templates are not built")),
        };
    }
    if let Some(rest) = line.strip_prefix('#') {
        let (name, argument) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        return Ok(Line::Directive(name, argument.trim()));
    }
    let (key, value) = line.split_once('=').ok_or("neither `[section]` nor `key => value`")?;
    let value = value.strip_prefix('>').unwrap_or(value);
    Ok(Line::Assignment(key.trim(), value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_end_a_line_or_hide_several() {
        let mut comments = Comments::default();
        for (line, kept) in [
            ("exten => 1,1,NoOp(a\\;b) ; gone", "exten => 1,1,NoOp(a;b) "),
            (";---- a rule", ""),
            ("before ;-- hidden --; behind", "before  behind"),
            (";-- hidden", ""),
            ("hidden too", ""),
            ("and this --;x", "x"),
        ] {
            assert_eq!(comments.strip(line), kept, "{line}");
        }
    }

    #[test]
    fn a_line_is_a_section_an_assignment_a_directive_or_nothing() {
        assert_eq!(split(" [default] "), Ok(Line::Section("default")));
        assert_eq!(split("[default](+)"), Ok(Line::Section("default")));
        assert_eq!(split("same=>n,NoOp()"), Ok(Line::Assignment("same", "n,NoOp()")));
        assert_eq!(split("A = b=c"), Ok(Line::Assignment("A", "b=c")));
        assert_eq!(split("#include \"x\""), Ok(Line::Directive("include", "\"x\"")));
        assert_eq!(split("  "), Ok(Line::Nothing));
        for wrong in ["[open", "[]", "[a](!)", "words"] {
            assert!(split(wrong).is_err(), "{wrong}");
        }
    }
}
