//! Results as they are written.

/// The answer to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// `200 result=N`.
    Result(i64),
    /// `200 result=N (text)`.
    Text(i64, String),
    /// `200 result=TEXT`: digits of `GET DATA`.
    Digits(String),
    /// `200 result=TEXT (timeout)`.
    DigitsTimeout(String),
    /// `200 result=N endpos=N`.
    EndPos(i64, u64),
    /// `200 result=N (reason) endpos=N`.
    Recorded(i64, &'static str, u64),
    /// `200 result=N WORDS`.
    Words(i64, &'static str),
    /// `510`: there is no such command.
    Unknown,
    /// `511`: the channel is dead, and the command needs one that is not.
    Dead,
    /// `520`: with the usage.
    Usage(&'static str),
}

impl Reply {
    /// The usage of a command that is known, but not what it was given.
    pub fn usage(name: &str) -> Self {
        super::command::usage(name).map_or(Self::Unknown, Self::Usage)
    }

    /// As it is written, with the line's end.
    pub fn text(&self) -> String {
        match self {
            Self::Result(value) => format!("200 result={value}\n"),
            Self::Text(value, text) => format!("200 result={value} ({})\n", one_line(text)),
            Self::Digits(digits) => format!("200 result={digits}\n"),
            Self::DigitsTimeout(digits) => format!("200 result={digits} (timeout)\n"),
            Self::EndPos(value, at) => format!("200 result={value} endpos={at}\n"),
            Self::Recorded(value, why, at) => format!("200 result={value} ({why}) endpos={at}\n"),
            Self::Words(value, words) => format!("200 result={value} {words}\n"),
            Self::Unknown => "510 Invalid or unknown command\n".to_owned(),
            Self::Dead => {
                "511 Command Not Permitted on a dead channel or intercept routine\n".to_owned()
            }
            Self::Usage(usage) => format!(
                "520-Invalid command syntax.  Proper usage follows:\n{usage}\n520 End of proper usage.\n"
            ),
        }
    }

    /// Status code.
    pub const fn code(&self) -> u16 {
        match self {
            Self::Unknown => 510,
            Self::Dead => 511,
            Self::Usage(_) => 520,
            _ => 200,
        }
    }
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_what_asterisk_writes() {
        for (reply, text) in [
            (Reply::Result(0), "200 result=0\n"),
            (Reply::Text(1, "X\nY".to_owned()), "200 result=1 (X Y)\n"),
            (Reply::Digits("123".to_owned()), "200 result=123\n"),
            (Reply::DigitsTimeout(String::new()), "200 result= (timeout)\n"),
            (Reply::EndPos(52, 480), "200 result=52 endpos=480\n"),
            (Reply::Recorded(35, "dtmf", 0), "200 result=35 (dtmf) endpos=0\n"),
            (Reply::Unknown, "510 Invalid or unknown command\n"),
        ] {
            assert_eq!(reply.text(), text);
        }
        let usage = Reply::Usage("Usage: X\n");
        assert_eq!(
            usage.text(),
            "520-Invalid command syntax.  Proper usage follows:\nUsage: X\n\n520 End of proper usage.\n"
        );
    }
}
