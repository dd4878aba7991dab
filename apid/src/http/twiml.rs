//! The few words of TwiML with which programs update a running call.

/// Longest document.
const LENGTH_MAX: usize = 4000;

/// What a call shall do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// Be over.
    HangUp,
    /// Reach this number.
    Dial(String),
    /// Reach the application at this URL.
    Stream(String),
}

/// The first verb of a `<Response>`; what follows it is never reached.
///
/// # Errors
/// What is wrong, and what is allowed.
pub(super) fn parse(document: &str) -> Result<Verb, String> {
    let allowed = "allowed are <Hangup/>, <Reject/>, <Dial>NUMBER</Dial>, \
                   <Connect><Stream url=\"ws://…\"/></Connect> in a <Response>";
    if document.len() > LENGTH_MAX {
        return Err(format!("TwiML has at most {LENGTH_MAX} octets"));
    }
    let mut pieces = Pieces { rest: document };
    match pieces.next_tag() {
        Some(tag) if tag.name == "Response" => {}
        _ => return Err(format!("it does not begin with <Response>; {allowed}")),
    }
    let verb = pieces.next_tag().ok_or_else(|| format!("it says nothing; {allowed}"))?;
    match verb.name {
        "Hangup" | "Reject" | "/Response" => Ok(Verb::HangUp),
        "Dial" => {
            let mut number = pieces.text();
            if number.is_empty() && pieces.next_tag().is_some_and(|tag| tag.name == "Number") {
                number = pieces.text();
            }
            let dialled = number.strip_prefix('+').unwrap_or(number);
            let fits = |c: char| c.is_ascii_digit() || c == '*' || c == '#';
            if dialled.is_empty() || dialled.len() > 32 || !dialled.chars().all(fits) {
                return Err(format!("<Dial> names no number; {allowed}"));
            }
            Ok(Verb::Dial(dialled.to_owned()))
        }
        "Connect" => {
            let stream = pieces.next_tag().filter(|tag| tag.name == "Stream");
            let url = stream.and_then(|tag| tag.attribute("url"));
            url.map(Verb::Stream).ok_or_else(|| format!("<Connect> has no <Stream url>; {allowed}"))
        }
        other => {
            let name: String = other.chars().take(20).collect();
            Err(format!("<{name}> is not built; {allowed}"))
        }
    }
}

struct Pieces<'a> {
    rest: &'a str,
}

struct Tag<'a> {
    name: &'a str,
    attributes: &'a str,
}

impl<'a> Pieces<'a> {
    /// The next tag that is no declaration and no comment.
    fn next_tag(&mut self) -> Option<Tag<'a>> {
        loop {
            let (_, from) = self.rest.split_once('<')?;
            if let Some(comment) = from.strip_prefix("!--") {
                self.rest = comment.split_once("-->")?.1;
                continue;
            }
            let (inside, rest) = from.split_once('>')?;
            self.rest = rest;
            if inside.starts_with(['?', '!']) {
                continue;
            }
            let inside = inside.strip_suffix('/').unwrap_or(inside).trim();
            let (name, attributes) =
                inside.split_once(|c: char| c.is_whitespace()).unwrap_or((inside, ""));
            return Some(Tag { name, attributes });
        }
    }

    /// What stands before the next tag.
    fn text(&self) -> &'a str {
        self.rest.split('<').next().unwrap_or_default().trim()
    }
}

impl Tag<'_> {
    fn attribute(&self, name: &str) -> Option<String> {
        let mut rest = self.attributes;
        loop {
            let (key, value) = rest.split_once('=')?;
            let value = value.trim_start();
            let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
            let (value, after) = value[1..].split_once(quote)?;
            if key.trim() == name {
                return Some(value.replace("&amp;", "&").trim().to_owned());
            }
            rest = after;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_verb_counts() {
        for (document, verb) in [
            ("<Response><Hangup/></Response>", Verb::HangUp),
            ("<Response></Response>", Verb::HangUp),
            (
                "<?xml version=\"1.0\"?>\n<Response>\n <!-- <Say/> --><Dial>101</Dial></Response>",
                Verb::Dial("101".to_owned()),
            ),
            (
                "<Response><Dial timeout=\"5\"><Number>+49123</Number></Dial></Response>",
                Verb::Dial("49123".to_owned()),
            ),
            (
                "<Response><Connect><Stream name='a' url=\"ws://h/?a=1&amp;b=2\"/></Connect>",
                Verb::Stream("ws://h/?a=1&b=2".to_owned()),
            ),
        ] {
            assert_eq!(parse(document), Ok(verb), "{document}");
        }
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let long = "x".repeat(5000);
        for (document, reason) in [
            ("", "does not begin"),
            ("<Say>hello</Say>", "does not begin"),
            ("<Response><Say>hello</Say></Response>", "<Say> is not built"),
            ("<Response><Dial>sip:a@b</Dial></Response>", "no number"),
            ("<Response><Dial><Client>a</Client></Dial></Response>", "no number"),
            ("<Response><Connect><Stream/></Connect></Response>", "no <Stream url>"),
            ("<Response><Connect><Stream url=ws/></Connect></Response>", "no <Stream url>"),
            ("<Response", "does not begin"),
            ("<Response>", "says nothing"),
            (long.as_str(), "at most"),
        ] {
            let error = parse(document).unwrap_err();
            assert!(error.contains(reason), "{document}: {error}");
        }
    }
}
