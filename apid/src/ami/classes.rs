//! Privilege classes: what a user may be told (`read`) and may do (`write`).

use std::str::FromStr;

/// A set of classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Classes(u32);

macro_rules! classes {
    ($($constant:ident $bit:literal $name:literal,)+) => {
        impl Classes {
            $(#[doc = concat!("`", $name, "`.")] pub const $constant: Self = Self(1 << $bit);)+
            /// Names of all, in the order of their bits.
            pub const NAMES: &'static [(&'static str, Self)] = &[$(($name, Self::$constant),)+];
        }
    };
}

classes! {
    SYSTEM 0 "system",
    CALL 1 "call",
    LOG 2 "log",
    VERBOSE 3 "verbose",
    COMMAND 4 "command",
    AGENT 5 "agent",
    USER 6 "user",
    CONFIG 7 "config",
    DTMF 8 "dtmf",
    REPORTING 9 "reporting",
    CDR 10 "cdr",
    DIALPLAN 11 "dialplan",
    ORIGINATE 12 "originate",
    AGI 13 "agi",
    HOOK 14 "hookresponse",
    CC 15 "cc",
    AOC 16 "aoc",
    TEST 17 "test",
    SECURITY 18 "security",
    MESSAGE 19 "message",
}

impl Classes {
    /// None.
    pub const NONE: Self = Self(0);
    /// All.
    pub const ALL: Self = Self((1 << 20) - 1);

    /// Both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What both have.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether they have one in common.
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// `call,all`; `<none>` where nothing is needed.
    pub fn privilege(self) -> String {
        if self.is_empty() {
            return "<none>".to_owned();
        }
        let names = Self::NAMES.iter().filter(|(_, class)| self.meets(*class));
        names.map(|(name, _)| *name).chain(["all"]).collect::<Vec<_>>().join(",")
    }

    /// An event mask: `on`, `off`, or classes with commas between.
    pub fn of_mask(mask: &str) -> Option<Self> {
        match mask.trim().to_ascii_lowercase().as_str() {
            "on" | "all" | "true" | "yes" | "y" | "t" | "1" | "-1" => Some(Self::ALL),
            "off" | "none" | "false" | "no" | "n" | "f" | "0" => Some(Self::NONE),
            list => list
                .split(',')
                .map(|name| name.trim().parse())
                .try_fold(Self::NONE, |set, class: Result<Self, String>| {
                    class.ok().map(|class| set.with(class))
                }),
        }
    }
}

impl FromStr for Classes {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self::ALL);
        }
        let known = Self::NAMES.iter().find(|(name, _)| *name == text);
        known.map(|(_, class)| *class).ok_or_else(|| {
            let names: Vec<&str> = Self::NAMES.iter().map(|(name, _)| *name).collect();
            format!("`{text}` is no class; allowed are all, {}", names.join(", "))
        })
    }
}
