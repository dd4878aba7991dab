//! What a program is told before it may ask for anything.

use std::fmt::Write as _;

/// What a program is told of its channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// `async`, or the URL.
    pub request: String,
    /// Path and query of the URL; only over the network.
    pub script: Option<String>,
    /// Name.
    pub channel: String,
    /// As `en`.
    pub language: String,
    /// What the channel's name begins with.
    pub kind: String,
    /// Unique id.
    pub unique_id: String,
    /// Who calls.
    pub caller_number: String,
    /// Who calls, for people.
    pub caller_name: String,
    /// What was dialled.
    pub dialled: String,
    /// Where in the plan.
    pub context: String,
    /// Where in the plan.
    pub extension: String,
    /// Where in the plan.
    pub priority: u32,
    /// Account code.
    pub account: String,
    /// `agi_arg_1` and on.
    pub arguments: Vec<String>,
}

impl Environment {
    /// Lines of `name: value`, an empty one at the end. Clients split at `: `, so that no value has
    /// that, nor a line's end; an empty one keeps its blank.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let mut add = |name: &str, value: &str| {
            // Writing to a text cannot fail.
            let _ = writeln!(out, "agi_{name}: {}", plain(value));
        };
        if let Some(script) = &self.script {
            add("network", "yes");
            add("network_script", script);
        }
        let unknown =
            |text: &str| if text.is_empty() { "unknown".to_owned() } else { text.to_owned() };
        add("request", &self.request);
        add("channel", &self.channel);
        add("language", &self.language);
        add("type", &self.kind);
        add("uniqueid", &self.unique_id);
        add("version", concat!("Tipring ", env!("CARGO_PKG_VERSION")));
        add("callerid", &unknown(&self.caller_number));
        add("calleridname", &unknown(&self.caller_name));
        add("callingpres", "0");
        add("callingani2", "0");
        add("callington", "0");
        add("callingtns", "0");
        add("dnid", &unknown(&self.dialled));
        add("rdnis", "unknown");
        add("context", &self.context);
        add("extension", &self.extension);
        add("priority", &self.priority.to_string());
        add("enhanced", "0.0");
        add("accountcode", &self.account);
        add("threadid", "0");
        for (number, argument) in (1..).zip(&self.arguments) {
            add(&format!("arg_{number}"), argument);
        }
        out.push('\n');
        out
    }
}

fn plain(value: &str) -> String {
    let one_line: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let parts: Vec<&str> = one_line.split(':').collect();
    let behind = parts.iter().skip(1).map(|part| part.trim_start());
    std::iter::once(parts[0]).chain(behind).collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_exactly_one_separator_whatever_the_values_are() {
        let environment = Environment {
            request: "async".to_owned(),
            caller_name: "Evil: \r\nagi_channel: x".to_owned(),
            priority: 1,
            arguments: vec!["a: b: c".to_owned(), String::new()],
            ..Environment::default()
        };
        let text = environment.text();
        let (body, end) = text.split_at(text.len() - 1);
        assert_eq!(end, "\n");
        for line in body.lines() {
            assert_eq!(line.split(": ").count(), 2, "{line}");
        }
        assert!(text.starts_with("agi_request: async\nagi_channel: \n"));
        assert!(text.contains("agi_enhanced: 0.0\nagi_accountcode: \nagi_threadid: 0\nagi_arg_1: a:b:c\nagi_arg_2: \n\n"));
        let network = Environment { script: Some("hello.agi?x=1".to_owned()), ..environment };
        assert!(
            network.text().starts_with("agi_network: yes\nagi_network_script: hello.agi?x=1\n")
        );
    }
}
