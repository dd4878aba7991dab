//! `engine.yml` and the environment: what the engine is to be, checked before anything starts.

use crate::device::dahdi::inventory::Address;
use crate::line::{HookTiming, PhaseTiming};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use tipring_logging::Logging;
use tipring_shm_proto::command::Law;
use tipring_shm_proto::layout::MAX_LINES;
use tipring_shm_proto::socket_path::{Side, default_socket};

/// `engine.yml`. Every key may be left out.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Unix socket on which apid attaches; `None` is [`default_socket`]'s.
    pub socket: Option<PathBuf>,
    /// User ids besides root and the engine's own that may attach.
    pub attach_uids: Vec<u32>,
    /// Simulated telephones, 0 to 128; with those for SIP no more than 1024. Two without a file, to
    /// begin with; none where a file does not ask for them.
    #[serde(default)]
    pub simulated_lines: u16,
    /// Lines for SIP phones, 0 to 960.
    pub rtp_lines: u16,
    /// Frame loops that share the RTP lines, 1 to 8.
    pub rtp_loops: u8,
    /// Conferences that can take place at once, 0 to 64.
    pub conferences: u16,
    /// Lines that one of them takes, 2 to 128.
    pub conference_members: u16,
    /// UDP ports for RTP; the even ones are used (RFC 3550 §11).
    pub rtp_ports: PortRange,
    /// Tone plan and ring cadence, ISO 3166 two-letter code.
    pub country: String,
    /// Companding of simulated lines.
    pub companding: Companding,
    /// A handset that is left lifted.
    pub left_off_hook: LeftOffHook,
    /// Scheduling of the frame loops.
    pub realtime: Realtime,
    /// Lines on DAHDI cards. None without a file; every one that is there where a file does not
    /// say otherwise.
    #[serde(default = "every_port")]
    pub dahdi: Dahdi,
    /// The engine's own log lines.
    pub logging: Logging,
}

/// What a lifted handset hears that nobody wants: dial tone, congestion tone, the howler (receiver off
/// hook), which 0 leaves out and which only handsets on a loop hear, then nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LeftOffHook {
    /// Dial tone without a digit, 1000 to 120 000 ms.
    pub dial_tone_ms: u32,
    /// Congestion tone, 1000 to 600 000 ms.
    pub congestion_ms: u32,
    /// The howler, 0 to 600 000 ms.
    pub howler_ms: u32,
}

impl Default for LeftOffHook {
    fn default() -> Self {
        let PhaseTiming { dial_tone_ms, congestion_ms, howler_ms, .. } = PhaseTiming::default();
        Self { dial_tone_ms, congestion_ms, howler_ms }
    }
}

impl LeftOffHook {
    /// For the line rules.
    pub fn phases(self) -> PhaseTiming {
        let Self { dial_tone_ms, congestion_ms, howler_ms } = self;
        PhaseTiming { dial_tone_ms, congestion_ms, howler_ms, ..PhaseTiming::default() }
    }

    fn check(self) -> Result<(), (&'static str, &'static str)> {
        if !(1000..=120_000).contains(&self.dial_tone_ms) {
            return Err(("left_off_hook.dial_tone_ms", "1000 to 120000"));
        }
        if !(1000..=600_000).contains(&self.congestion_ms) {
            return Err(("left_off_hook.congestion_ms", "1000 to 600000"));
        }
        if self.howler_ms > 600_000 {
            return Err(("left_off_hook.howler_ms", "0 to 600000"));
        }
        Ok(())
    }
}

/// Lines on DAHDI cards.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dahdi {
    /// Every channel that is signalled as `fxoks` is a line.
    #[serde(default = "yes")]
    pub auto: bool,
    /// Lines of `auto` where there is no card yet when the engine starts, 0 to 64: for channels 1
    /// and up.
    pub spare_lines: u16,
    /// Lines by their channel, besides those of `auto`; at most 64.
    pub lines: Vec<DahdiLine>,
    /// Blocks of 20 ms that a card holds each way, 2 to 32.
    pub buffers: u8,
    /// Longest flash, 250 to 2000 ms; `None` is the country's. A hang-up is known so much later.
    pub flash_max_ms: Option<u16>,
    /// Telephones dial with pulses; else a single pulse is a recall.
    pub pulse_dialling: bool,
    /// Gains in the kernel, before the engine hears anything, −20 to +12 dB; `None` is none.
    pub gain_db: Option<CardGain>,
}

/// One line on a card: a channel by its number, or a port by its card.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DahdiLine {
    /// Number of the channel, 1 to 1023.
    pub channel: Option<u16>,
    /// Hardware id of the card, or `@` and its location.
    pub card: Option<String>,
    /// Port of that card, from 1.
    pub port: Option<u16>,
}

/// Gains of channels, dB.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardGain {
    /// Of what the phone says.
    pub from_phone: f32,
    /// Of what it hears.
    pub to_phone: f32,
}

fn every_port() -> Dahdi {
    Dahdi { auto: true, ..Dahdi::default() }
}

fn yes() -> bool {
    true
}

impl Default for Dahdi {
    fn default() -> Self {
        Self {
            auto: false,
            spare_lines: 32,
            lines: Vec::new(),
            buffers: 2,
            flash_max_ms: None,
            pulse_dialling: true,
            gain_db: None,
        }
    }
}

impl Dahdi {
    /// `DAHDI_DEVICE`: `auto`, or a channel as `3` or `/dev/dahdi/3`.
    fn name(&mut self, device: &str) -> Result<(), ConfigError> {
        if device == "auto" {
            self.auto = true;
            return Ok(());
        }
        let number = device.strip_prefix("/dev/dahdi/").unwrap_or(device);
        let channel = number.parse().map_err(|_| {
            ConfigError(format!("DAHDI_DEVICE={device}: auto, /dev/dahdi/N or N is allowed"))
        })?;
        let line = DahdiLine { channel: Some(channel), ..DahdiLine::default() };
        if !self.lines.contains(&line) {
            self.lines.push(line);
        }
        Ok(())
    }

    /// There may be lines on cards.
    pub fn is_used(&self) -> bool {
        self.auto || !self.lines.is_empty()
    }

    /// How the loops of telephones of `country` are understood.
    pub fn hook(&self, country: &str) -> HookTiming {
        let usual = HookTiming::of_country(country);
        HookTiming {
            pulse_dialling: self.pulse_dialling,
            flash_max_ms: self.flash_max_ms.map_or(usual.flash_max_ms, u32::from),
            ..usual
        }
    }

    fn check(&self) -> Result<(), (&'static str, &'static str)> {
        if self.spare_lines > 64 {
            return Err(("dahdi.spare_lines", "0 to 64"));
        }
        if self.lines.len() > 64 {
            return Err(("dahdi.lines", "64 lines"));
        }
        for line in &self.lines {
            let named = match (line.channel, &line.card, line.port) {
                (Some(channel), None, None) => (1..=1023).contains(&channel),
                (None, Some(card), Some(port)) => !card.is_empty() && port > 0,
                _ => false,
            };
            if !named {
                return Err(("dahdi.lines", "{channel: 1 to 1023} or {card: ID, port: N}"));
            }
        }
        if !(2..=32).contains(&self.buffers) {
            return Err(("dahdi.buffers", "2 to 32"));
        }
        if self.flash_max_ms.is_some_and(|ms| !(250..=2000).contains(&ms)) {
            return Err(("dahdi.flash_max_ms", "250 to 2000"));
        }
        let sane = |db: f32| (-20.0..=12.0).contains(&db);
        if self.gain_db.is_some_and(|gain| !sane(gain.from_phone) || !sane(gain.to_phone)) {
            return Err(("dahdi.gain_db", "-20 to 12"));
        }
        Ok(())
    }
}

impl DahdiLine {
    /// The engine's name for it.
    pub fn label(&self) -> String {
        match (&self.card, self.port, self.channel) {
            (Some(card), Some(port), _) => format!("dahdi/{card}/{port}"),
            (_, _, channel) => format!("dahdi/{}", channel.unwrap_or(0)),
        }
    }

    /// Its channel.
    pub fn address(&self) -> Address {
        match (&self.card, self.port) {
            (Some(card), Some(port)) => Address::Port { card: card.clone(), port },
            _ => Address::Channel(self.channel.unwrap_or(0)),
        }
    }
}

/// An inclusive range of UDP ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortRange {
    /// First.
    pub min: u16,
    /// Last.
    pub max: u16,
}

/// ITU-T G.711 law.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Companding {
    /// µ-law.
    Mu,
    /// A-law.
    A,
}

impl From<Companding> for Law {
    fn from(companding: Companding) -> Self {
        match companding {
            Companding::Mu => Self::Mu,
            Companding::A => Self::A,
        }
    }
}

/// Scheduling of the frame loops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Realtime {
    /// SCHED_FIFO priority, 1 to 80.
    pub priority: u8,
    /// Processor for all frame loops; `None` takes the last ones, one a loop where there are more
    /// than two.
    pub cpu: Option<usize>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            socket: None,
            attach_uids: Vec::new(),
            simulated_lines: 2,
            rtp_lines: 64,
            rtp_loops: 1,
            conferences: 16,
            conference_members: 32,
            rtp_ports: PortRange { min: 10_000, max: 20_000 },
            country: "us".into(),
            companding: Companding::Mu,
            left_off_hook: LeftOffHook::default(),
            realtime: Realtime::default(),
            dahdi: Dahdi::default(),
            logging: Logging::default(),
        }
    }
}

impl Default for Realtime {
    fn default() -> Self {
        Self { priority: 50, cpu: None }
    }
}

/// What is wrong with the configuration; its text names file, line or variable, and what is
/// allowed.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError(pub String);

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// The file, or the defaults where none is named; then the environment, which wins.
    ///
    /// # Errors
    /// A file that cannot be read or holds an unknown key or a value out of range; a variable
    /// with a value out of range.
    pub fn load(
        file: Option<&Path>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let mut text = String::new();
        let mut config = match file {
            None => Self::default(),
            Some(path) => {
                text = std::fs::read_to_string(path)
                    .map_err(|e| ConfigError(format!("{}: {e}", path.display())))?;
                if text.lines().all(|line| line.trim().is_empty() || line.starts_with('#')) {
                    Self { simulated_lines: 0, dahdi: every_port(), ..Self::default() }
                } else {
                    serde_saphyr::from_str(&text)
                        .map_err(|e| ConfigError(format!("{}: {e}", path.display())))?
                }
            }
        };
        config.apply_environment(variable)?;
        let origin = file.map_or_else(|| "configuration".into(), |p| p.display().to_string());
        config.check(&origin, &text)?;
        Ok(config)
    }

    fn apply_environment(
        &mut self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<(), ConfigError> {
        let port = |name: &str, into: &mut u16| match variable(name) {
            None => Ok(()),
            Some(text) => text.parse().map(|port| *into = port).map_err(|_| {
                ConfigError(format!("{name}={text}: a UDP port, 1024 to 65535, is allowed"))
            }),
        };
        port("RTP_PORT_MIN", &mut self.rtp_ports.min)?;
        port("RTP_PORT_MAX", &mut self.rtp_ports.max)?;
        if let Some(device) = variable("DAHDI_DEVICE") {
            self.dahdi.name(&device)?;
        }
        if let Some(text) = variable("LOG_LEVEL") {
            self.logging.level =
                text.parse().map_err(|reason| ConfigError(format!("LOG_LEVEL: {reason}")))?;
        }
        Ok(())
    }

    /// Checks what a type cannot. `text` is the file, to name the line; the environment may have
    /// set a value that stands in no line.
    fn check(&self, origin: &str, text: &str) -> Result<(), ConfigError> {
        let refuse = |key: &str, allowed: &str| {
            let name = key.rsplit('.').next().and_then(|k| k.split(' ').next()).unwrap_or(key);
            let here = |line: &str| line.trim_start().starts_with(&format!("{name}:"));
            let line = text.lines().position(here);
            let line = line.map(|index| format!(" line {}:", index + 1)).unwrap_or_default();
            Err(ConfigError(format!("{origin}:{line} {key}: {allowed} is allowed")))
        };
        if self.simulated_lines > 128 {
            return refuse("simulated_lines", "0 to 128");
        }
        if self.rtp_lines > 960 {
            return refuse("rtp_lines", "0 to 960");
        }
        if self.simulated_lines + self.rtp_lines > MAX_LINES {
            return refuse("simulated_lines + rtp_lines", "1024 or less");
        }
        if self.simulated_lines + self.rtp_lines == 0 && !self.dahdi.is_used() {
            return refuse("simulated_lines + rtp_lines", "1 or more, or lines of dahdi,");
        }
        if let Err((key, allowed)) = self.left_off_hook.check().and_then(|()| self.dahdi.check()) {
            return refuse(key, allowed);
        }
        if !(1..=8).contains(&self.rtp_loops) {
            return refuse("rtp_loops", "1 to 8");
        }
        if self.conferences > 64 {
            return refuse("conferences", "0 to 64");
        }
        if !(2..=128).contains(&self.conference_members) {
            return refuse("conference_members", "2 to 128");
        }
        let PortRange { min, max } = self.rtp_ports;
        if min < 1024 || max < min {
            return refuse("rtp_ports", "1024 <= min <= max");
        }
        if !(1..=80).contains(&self.realtime.priority) {
            return refuse("realtime.priority", "1 to 80");
        }
        if crate::dsp::tone_plan::of_country(&self.country).is_none() {
            let known: Vec<_> = crate::dsp::tone_plan::countries().collect();
            return refuse("country", &format!("one of {}", known.join(", ")));
        }
        Ok(())
    }

    /// Where apid attaches.
    pub fn socket_path(&self) -> PathBuf {
        self.socket.clone().unwrap_or_else(|| default_socket(Side::Engine))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(_: &str) -> Option<String> {
        None
    }

    fn from_text(text: &str) -> Result<Config, ConfigError> {
        let dir = std::env::temp_dir().join(format!("tipring-config-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join(format!("{:x}.yml", text.len() * 31 + text.as_ptr() as usize));
        std::fs::write(&path, text).unwrap();
        let config = Config::load(Some(&path), nothing);
        std::fs::remove_file(&path).unwrap();
        config
    }

    #[test]
    fn nothing_configured_is_two_simulated_phones() {
        let config = Config::load(None, nothing).unwrap();
        assert_eq!((config.simulated_lines, config.rtp_lines), (2, 64));
    }

    #[test]
    fn the_sample_says_what_holds_without_it() {
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("engine.yml");
        assert_eq!(Config::load(Some(&sample), nothing).unwrap(), Config::default());
    }

    #[test]
    fn logs_are_set_as_in_apid_yml() {
        let config = from_text("logging: {output: /a/e.log, rotation: hourly, format: json}\n");
        let logging = config.unwrap().logging;
        assert_eq!(logging.output, tipring_logging::Output::File("/a/e.log".into()));
        assert_eq!(logging.rotation, tipring_logging::Rotation::Hourly);
        for (wrong, allowed) in [
            ("output: e.log", "absolute path"),
            ("retention_files: 0", "1 to 1000"),
            ("rotation: weekly", "hourly"),
            ("level: loud", "info"),
        ] {
            let error = from_text(&format!("logging:\n  {wrong}\n")).unwrap_err().0;
            assert!(error.contains(allowed) && error.contains("line 2"), "{error}");
        }
    }

    #[test]
    fn a_file_that_does_not_ask_for_simulated_phones_has_none() {
        for text in ["# nothing\n", "country: de\n"] {
            let config = from_text(text).unwrap();
            assert_eq!((config.simulated_lines, config.rtp_lines), (0, 64), "{text}");
        }
        assert_eq!(from_text("simulated_lines: 1\n").unwrap().simulated_lines, 1);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_the_allowed_ones() {
        let error = from_text("simulated_lines: 1\nrtp_linez: 3\n").unwrap_err().0;
        assert!(error.contains("rtp_linez") && error.contains("line 2"), "{error}");
        assert!(error.contains("rtp_lines"), "{error}");
    }

    #[test]
    fn a_value_out_of_range_is_refused_with_what_is_allowed() {
        assert!(from_text("simulated_lines: 129\n").unwrap_err().0.contains("0 to 128"));
        assert!(from_text("country: xx\n").unwrap_err().0.contains("us"));
        assert!(from_text("companding: b\n").unwrap_err().0.contains("mu"));
        let forgotten = |text: &str| from_text(&format!("left_off_hook: {{{text}}}\n"));
        assert_eq!(forgotten("howler_ms: 0").unwrap().left_off_hook.phases().howler_ms, 0);
        assert!(forgotten("congestion_ms: 0").unwrap_err().0.contains("1000 to 600000"));
        assert!(forgotten("howler_ms: 600001").unwrap_err().0.contains("0 to 600000"));
    }

    #[test]
    fn lines_on_cards_are_named_by_channel_or_by_port() {
        let config = from_text(
            "country: de\ndahdi:\n  lines: [{channel: 3}, {card: \"x-1\", port: 2}]\n  \
             gain_db: {from_phone: -3, to_phone: 1.5}\n",
        )
        .unwrap();
        let labels: Vec<String> = config.dahdi.lines.iter().map(DahdiLine::label).collect();
        assert_eq!(labels, ["dahdi/3", "dahdi/x-1/2"]);
        assert_eq!(config.dahdi.hook(&config.country).flash_max_ms, 300);
        assert!(config.dahdi.auto && from_text("# nothing\n").unwrap().dahdi.auto);
        assert!(!from_text("dahdi: {auto: false}\n").unwrap().dahdi.auto);
        for (wrong, allowed) in [
            ("lines: [{channel: 0}]", "1 to 1023"),
            ("lines: [{card: x}]", "port: N"),
            ("buffers: 1", "2 to 32"),
            ("flash_max_ms: 200", "250 to 2000"),
            ("gain_db: {from_phone: 13, to_phone: 0}", "-20 to 12"),
        ] {
            let error = from_text(&format!("dahdi:\n  {wrong}\n")).unwrap_err().0;
            assert!(error.contains(allowed) && error.contains("line 2"), "{error}");
        }
        let device = |value: &'static str| {
            Config::load(None, move |n| (n == "DAHDI_DEVICE").then(|| value.to_owned()))
        };
        assert!(device("auto").unwrap().dahdi.auto);
        assert!(device("card").unwrap_err().0.contains("DAHDI_DEVICE=card"));
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let variable = |name: &str| match name {
            "RTP_PORT_MIN" => Some("12000".to_owned()),
            "RTP_PORT_MAX" => Some("12010".to_owned()),
            "LOG_LEVEL" => Some("DEBUG".to_owned()),
            "DAHDI_DEVICE" => Some("/dev/dahdi/1".to_owned()),
            _ => None,
        };
        let config = Config::load(None, variable).unwrap();
        assert_eq!(config.rtp_ports, PortRange { min: 12_000, max: 12_010 });
        assert_eq!(config.logging.level, tipring_logging::Level::Debug);
        assert_eq!(config.dahdi.lines[0].address(), Address::Channel(1));
        let wrong = |name: &str| (name == "RTP_PORT_MIN").then(|| "x".to_owned());
        assert!(Config::load(None, wrong).unwrap_err().0.contains("RTP_PORT_MIN=x"));
    }
}
