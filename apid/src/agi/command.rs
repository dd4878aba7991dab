//! Command lines and what they ask for.

use super::Reply;
use super::words::{LINE_MAX, split};
use std::time::Duration;

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Say {
    /// Letters and signs.
    Alpha(String),
    /// Digits one by one.
    Digits(String),
    /// A number.
    Number(i64),
    /// The spelling alphabet.
    Phonetic(String),
    /// Day, month, year of a time.
    Date(i64),
    /// Hour and minute of a time.
    Time(i64),
    /// A time by a format, in a zone.
    DateTime(i64, String, String),
}

/// What a command asks for. Escape digits interrupt it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `ANSWER`.
    Answer,
    /// `ASYNCAGI BREAK`.
    Break,
    /// `CHANNEL STATUS [channel]`.
    ChannelStatus(Option<String>),
    /// `CONTROL STREAM FILE`.
    ControlStream {
        /// Prompts.
        files: String,
        /// They interrupt it.
        escape: String,
        /// Where it jumps to and fro, ms.
        skip: Duration,
        /// Forwards, backwards, pause.
        keys: [Option<char>; 3],
    },
    /// `DATABASE GET`.
    DatabaseGet(String, String),
    /// `DATABASE PUT`.
    DatabasePut(String, String, String),
    /// `DATABASE DEL`.
    DatabaseDelete(String, String),
    /// `DATABASE DELTREE`.
    DatabaseDeleteTree(String, String),
    /// `EXEC application data`.
    Execute(String, String),
    /// `GET DATA`.
    GetData {
        /// Prompts.
        files: String,
        /// For each digit.
        timeout: Duration,
        /// Most digits.
        count: usize,
    },
    /// `GET OPTION`.
    GetOption {
        /// Prompts.
        files: String,
        /// What is an option.
        escape: String,
        /// After the prompts; `None` where none is given.
        timeout: Option<Duration>,
    },
    /// `GET VARIABLE`.
    GetVariable(String),
    /// `GET FULL VARIABLE expression [channel]`.
    GetFullVariable(String, Option<String>),
    /// `GOSUB context extension priority [arguments]`.
    Gosub(String, String, String, String),
    /// `HANGUP [channel]`.
    HangUp(Option<String>),
    /// `NOOP`.
    NoOp,
    /// `RECEIVE CHAR`: there is no text on a telephone.
    ReceiveChar,
    /// `RECEIVE TEXT`: as little.
    ReceiveText,
    /// `RECORD FILE`.
    Record {
        /// Prompt that it becomes.
        file: String,
        /// `wav`.
        format: String,
        /// They end it.
        escape: String,
        /// Longest; `None` is as long as it may be.
        longest: Option<Duration>,
        /// A beep first.
        beep: bool,
        /// Silence that ends it.
        silence: Option<Duration>,
    },
    /// `SAY …`.
    Say(Say, String),
    /// `SEND IMAGE`, `SEND TEXT`: a telephone shows none.
    Send,
    /// `SET AUTOHANGUP seconds`; zero is none.
    AutoHangUp(Duration),
    /// `SET CALLERID`.
    SetCaller(String),
    /// `SET CONTEXT`.
    SetContext(String),
    /// `SET EXTENSION`.
    SetExtension(String),
    /// `SET MUSIC ON|OFF [class]`.
    Music(bool, String),
    /// `SET PRIORITY`.
    SetPriority(String),
    /// `SET VARIABLE`.
    SetVariable(String, String),
    /// `STREAM FILE`.
    Stream {
        /// Prompts.
        files: String,
        /// They interrupt it.
        escape: String,
        /// Begins there, samples.
        offset: u64,
    },
    /// `TDD MODE`: no telephone here has it.
    TextPhone,
    /// `VERBOSE message [level]`.
    Verbose(String),
    /// `WAIT FOR DIGIT`; `None` waits for ever.
    WaitForDigit(Option<Duration>),
    /// `SPEECH …`: there is no recogniser.
    Speech,
}

/// Usages, as they stand in a 520.
const USAGES: &[(&str, &str)] = &[
    ("ANSWER", "Usage: ANSWER\n"),
    ("ASYNCAGI BREAK", "Usage: ASYNCAGI BREAK\n"),
    ("CHANNEL STATUS", "Usage: CHANNEL STATUS [channelname]\n"),
    (
        "CONTROL STREAM FILE",
        "Usage: CONTROL STREAM FILE filename escape_digits [skipms [ffchar [rewchr [pausechr]]]]\n",
    ),
    ("DATABASE DEL", "Usage: DATABASE DEL family key\n"),
    ("DATABASE DELTREE", "Usage: DATABASE DELTREE family [keytree]\n"),
    ("DATABASE GET", "Usage: DATABASE GET family key\n"),
    ("DATABASE PUT", "Usage: DATABASE PUT family key value\n"),
    ("EXEC", "Usage: EXEC application options\n"),
    ("GET DATA", "Usage: GET DATA file [timeout [maxdigits]]\n"),
    ("GET FULL VARIABLE", "Usage: GET FULL VARIABLE variablename [channelname]\n"),
    ("GET OPTION", "Usage: GET OPTION filename escape_digits [timeout]\n"),
    ("GET VARIABLE", "Usage: GET VARIABLE variablename\n"),
    ("GOSUB", "Usage: GOSUB context extension priority [arguments]\n"),
    ("HANGUP", "Usage: HANGUP [channelname]\n"),
    ("NOOP", "Usage: NOOP\n"),
    ("RECEIVE CHAR", "Usage: RECEIVE CHAR timeout\n"),
    ("RECEIVE TEXT", "Usage: RECEIVE TEXT timeout\n"),
    (
        "RECORD FILE",
        "Usage: RECORD FILE filename format escape_digits timeout [offset] [BEEP] [s=silence]\n",
    ),
    ("SAY ALPHA", "Usage: SAY ALPHA string escape_digits\n"),
    ("SAY DATE", "Usage: SAY DATE seconds escape_digits\n"),
    ("SAY DATETIME", "Usage: SAY DATETIME seconds escape_digits [format [timezone]]\n"),
    ("SAY DIGITS", "Usage: SAY DIGITS number escape_digits\n"),
    ("SAY NUMBER", "Usage: SAY NUMBER number escape_digits [gender]\n"),
    ("SAY PHONETIC", "Usage: SAY PHONETIC string escape_digits\n"),
    ("SAY TIME", "Usage: SAY TIME seconds escape_digits\n"),
    ("SEND IMAGE", "Usage: SEND IMAGE image\n"),
    ("SEND TEXT", "Usage: SEND TEXT \"text to send\"\n"),
    ("SET AUTOHANGUP", "Usage: SET AUTOHANGUP seconds\n"),
    ("SET CALLERID", "Usage: SET CALLERID number\n"),
    ("SET CONTEXT", "Usage: SET CONTEXT context\n"),
    ("SET EXTENSION", "Usage: SET EXTENSION extension\n"),
    ("SET MUSIC", "Usage: SET MUSIC ON|OFF [class]\n"),
    ("SET PRIORITY", "Usage: SET PRIORITY priority\n"),
    ("SET VARIABLE", "Usage: SET VARIABLE variablename value\n"),
    ("SPEECH ACTIVATE GRAMMAR", "Usage: SPEECH ACTIVATE GRAMMAR name\n"),
    ("SPEECH CREATE", "Usage: SPEECH CREATE engine\n"),
    ("SPEECH DEACTIVATE GRAMMAR", "Usage: SPEECH DEACTIVATE GRAMMAR name\n"),
    ("SPEECH DESTROY", "Usage: SPEECH DESTROY\n"),
    ("SPEECH LOAD GRAMMAR", "Usage: SPEECH LOAD GRAMMAR name path\n"),
    ("SPEECH RECOGNIZE", "Usage: SPEECH RECOGNIZE prompt timeout [offset]\n"),
    ("SPEECH SET", "Usage: SPEECH SET name value\n"),
    ("SPEECH UNLOAD GRAMMAR", "Usage: SPEECH UNLOAD GRAMMAR name\n"),
    ("STREAM FILE", "Usage: STREAM FILE filename escape_digits [sample offset]\n"),
    ("TDD MODE", "Usage: TDD MODE on|off|mate\n"),
    ("VERBOSE", "Usage: VERBOSE message level\n"),
    ("WAIT FOR DIGIT", "Usage: WAIT FOR DIGIT timeout\n"),
];

/// Names of all commands.
pub fn names() -> impl Iterator<Item = &'static str> {
    USAGES.iter().map(|(name, _)| *name)
}

/// How a command is written.
pub(super) fn usage(name: &str) -> Option<&'static str> {
    USAGES.iter().find(|(known, _)| *known == name).map(|(_, usage)| *usage)
}

/// What a line asks for.
///
/// # Errors
/// The answer, where it asks for nothing.
pub fn parse(line: &str) -> Result<Command, Reply> {
    if line.len() > LINE_MAX {
        return Err(Reply::Unknown);
    }
    let words = split(line);
    // The longest name that the line begins with: `GET FULL VARIABLE` is not `GET VARIABLE`.
    let begins = |name: &str| {
        let mut given = words.iter();
        name.split(' ').all(|part| given.next().is_some_and(|word| word.eq_ignore_ascii_case(part)))
    };
    let known = USAGES.iter().filter(|(name, _)| begins(name));
    let (name, usage) = known.max_by_key(|(name, _)| name.len()).ok_or(Reply::Unknown)?;
    let given = &words[name.split(' ').count()..];
    of(name, given).ok_or(Reply::Usage(usage))
}

fn ms(text: Option<&String>) -> Option<i64> {
    text?.trim().parse().ok()
}

fn duration(ms: i64) -> Duration {
    Duration::from_millis(ms.clamp(0, 86_400_000) as u64)
}

/// `None` where the words are not what the usage says.
fn of(name: &str, given: &[String]) -> Option<Command> {
    let word = |at: usize| given.get(at).cloned();
    let or_empty = |at: usize| given.get(at).cloned().unwrap_or_default();
    let within = |least: usize, most: usize| (least..=most).contains(&given.len());
    let key = |at: usize| given.get(at).and_then(|text| text.chars().next());
    let fits = match name {
        "ANSWER" | "ASYNCAGI BREAK" | "SPEECH DESTROY" => within(0, 0),
        "CHANNEL STATUS" | "HANGUP" => within(0, 1),
        "CONTROL STREAM FILE" => within(2, 7),
        "DATABASE DELTREE" | "GET FULL VARIABLE" | "SET MUSIC" | "VERBOSE" => within(1, 2),
        "DATABASE PUT" => within(3, 3),
        "EXEC" => within(1, usize::MAX),
        "GET DATA" => within(1, 3),
        "GET OPTION" | "SAY NUMBER" | "STREAM FILE" | "SPEECH RECOGNIZE" => within(2, 3),
        "GOSUB" => within(3, 4),
        "NOOP" => true,
        "RECORD FILE" => within(4, 7),
        "SAY DATETIME" => within(2, 4),
        "DATABASE DEL"
        | "DATABASE GET"
        | "SAY ALPHA"
        | "SAY DATE"
        | "SAY DIGITS"
        | "SAY PHONETIC"
        | "SAY TIME"
        | "SET VARIABLE"
        | "SPEECH LOAD GRAMMAR"
        | "SPEECH SET" => within(2, 2),
        _ => within(1, 1),
    };
    if !fits {
        return None;
    }
    let number = |at: usize| ms(given.get(at));
    Some(match name {
        "ANSWER" => Command::Answer,
        "ASYNCAGI BREAK" => Command::Break,
        "CHANNEL STATUS" => Command::ChannelStatus(word(0)),
        "CONTROL STREAM FILE" => Command::ControlStream {
            files: word(0)?,
            escape: word(1)?,
            skip: duration(number(2).unwrap_or(3000)),
            keys: [key(3).or(Some('#')), key(4).or(Some('*')), key(5)],
        },
        "DATABASE GET" => Command::DatabaseGet(word(0)?, word(1)?),
        "DATABASE PUT" => Command::DatabasePut(word(0)?, word(1)?, word(2)?),
        "DATABASE DEL" => Command::DatabaseDelete(word(0)?, word(1)?),
        "DATABASE DELTREE" => Command::DatabaseDeleteTree(word(0)?, or_empty(1)),
        "EXEC" => Command::Execute(word(0)?, given[1..].join(" ")),
        "GET DATA" => Command::GetData {
            files: word(0)?,
            timeout: duration(number(1).filter(|ms| *ms > 0).unwrap_or(6000)),
            count: number(2).and_then(|n| usize::try_from(n).ok()).unwrap_or(1024).clamp(1, 1024),
        },
        "GET OPTION" => Command::GetOption {
            files: word(0)?,
            escape: word(1)?,
            timeout: number(2).map(duration),
        },
        "GET VARIABLE" => Command::GetVariable(word(0)?),
        "GET FULL VARIABLE" => Command::GetFullVariable(word(0)?, word(1)),
        "GOSUB" => Command::Gosub(word(0)?, word(1)?, word(2)?, or_empty(3)),
        "HANGUP" => Command::HangUp(word(0)),
        "NOOP" => Command::NoOp,
        "RECEIVE CHAR" => Command::ReceiveChar,
        "RECEIVE TEXT" => Command::ReceiveText,
        "RECORD FILE" => Command::Record {
            file: word(0)?,
            format: word(1)?,
            escape: word(2)?,
            longest: match number(3)? {
                forever if forever < 0 => None,
                time => Some(duration(time)),
            },
            beep: given[4..].iter().any(|word| word.eq_ignore_ascii_case("beep")),
            silence: given[4..].iter().find_map(|word| {
                let seconds: i64 = word.strip_prefix("s=")?.parse().ok()?;
                (seconds > 0).then(|| duration(seconds.saturating_mul(1000)))
            }),
        },
        "SAY ALPHA" => Command::Say(Say::Alpha(word(0)?), word(1)?),
        "SAY DIGITS" => Command::Say(Say::Digits(word(0)?), word(1)?),
        "SAY NUMBER" => Command::Say(Say::Number(number(0)?), word(1)?),
        "SAY PHONETIC" => Command::Say(Say::Phonetic(word(0)?), word(1)?),
        "SAY DATE" => Command::Say(Say::Date(number(0)?), word(1)?),
        "SAY TIME" => Command::Say(Say::Time(number(0)?), word(1)?),
        "SAY DATETIME" => {
            Command::Say(Say::DateTime(number(0)?, or_empty(2), or_empty(3)), word(1)?)
        }
        "SEND IMAGE" | "SEND TEXT" => Command::Send,
        "SET AUTOHANGUP" => Command::AutoHangUp(duration(number(0)?.saturating_mul(1000))),
        "SET CALLERID" => Command::SetCaller(word(0)?),
        "SET CONTEXT" => Command::SetContext(word(0)?),
        "SET EXTENSION" => Command::SetExtension(word(0)?),
        "SET MUSIC" => match word(0)?.to_ascii_lowercase().as_str() {
            "on" => Command::Music(true, or_empty(1)),
            "off" => Command::Music(false, or_empty(1)),
            _ => return None,
        },
        "SET PRIORITY" => Command::SetPriority(word(0)?),
        "SET VARIABLE" => Command::SetVariable(word(0)?, word(1)?),
        "STREAM FILE" => Command::Stream {
            files: word(0)?,
            escape: word(1)?,
            offset: number(2).and_then(|n| u64::try_from(n).ok()).unwrap_or(0),
        },
        "TDD MODE" => Command::TextPhone,
        "VERBOSE" => Command::Verbose(word(0)?),
        "WAIT FOR DIGIT" => Command::WaitForDigit(match number(0)? {
            forever if forever < 0 => None,
            time => Some(duration(time)),
        }),
        _ => Command::Speech,
    })
}

impl Command {
    /// Whether it needs a channel that has not hung up.
    pub const fn needs_life(&self) -> bool {
        !matches!(
            self,
            Self::Break
                | Self::ChannelStatus(_)
                | Self::DatabaseGet(..)
                | Self::DatabasePut(..)
                | Self::DatabaseDelete(..)
                | Self::DatabaseDeleteTree(..)
                | Self::Execute(..)
                | Self::GetVariable(_)
                | Self::GetFullVariable(..)
                | Self::HangUp(_)
                | Self::NoOp
                | Self::SetContext(_)
                | Self::SetExtension(_)
                | Self::SetPriority(_)
                | Self::SetVariable(..)
                | Self::Verbose(_)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_known_and_has_its_usage() {
        for name in names() {
            let too_much = format!("{name}{}", " x".repeat(99));
            match parse(&too_much) {
                Err(Reply::Usage(usage)) => assert!(usage.starts_with(&format!("Usage: {name}"))),
                Ok(Command::NoOp | Command::Execute(..)) => {}
                other => panic!("{name}: {other:?}"),
            }
        }
        for line in ["", "FLY", "GET", "SAY NOTHING", "SPEECH", &"X ".repeat(4000)] {
            assert_eq!(parse(line), Err(Reply::Unknown), "{line}");
        }
    }

    #[test]
    fn words_are_what_the_usage_says() {
        let file = |offset| Command::Stream {
            files: "hello".to_owned(),
            escape: "12#".to_owned(),
            offset,
        };
        assert_eq!(parse("STREAM FILE hello 12#"), Ok(file(0)));
        assert_eq!(parse("stream file \"hello\" \"12#\" 800"), Ok(file(800)));
        let execute = Command::Execute("Playback".to_owned(), "hello-world".to_owned());
        assert_eq!(parse("EXEC Playback hello-world"), Ok(execute));
        assert_eq!(parse("WAIT FOR DIGIT -1"), Ok(Command::WaitForDigit(None)));
        let second = Duration::from_secs(1);
        assert_eq!(parse("WAIT FOR DIGIT 1000"), Ok(Command::WaitForDigit(Some(second))));
        assert!(matches!(parse("WAIT FOR DIGIT soon"), Err(Reply::Usage(_))));
        assert!(matches!(parse("SET MUSIC LOUD"), Err(Reply::Usage(_))));
        let full = Command::GetFullVariable("${X}".to_owned(), None);
        assert_eq!(parse("GET FULL VARIABLE ${X}"), Ok(full));
        assert_eq!(
            parse("RECORD FILE a wav # -1 BEEP s=2"),
            Ok(Command::Record {
                file: "a".to_owned(),
                format: "wav".to_owned(),
                escape: "#".to_owned(),
                longest: None,
                beep: true,
                silence: Some(Duration::from_secs(2)),
            })
        );
        assert_eq!(
            parse("GET DATA enter-code"),
            Ok(Command::GetData {
                files: "enter-code".to_owned(),
                timeout: Duration::from_secs(6),
                count: 1024,
            })
        );
        assert!(parse("ANSWER").unwrap().needs_life() && !parse("NOOP x").unwrap().needs_life());
    }
}
