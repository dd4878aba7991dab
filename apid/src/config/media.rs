//! What is played, spoken and fetched.

use super::values::{Bounded, Cidr};
use crate::fetch::FetchSettings;
use crate::sounds::Sounds;
use crate::speech::SpeechSettings;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Where Debian's packages `asterisk-core-sounds-*-wav` put their files.
const DEBIAN_SOUNDS: &str = "/usr/share/asterisk/sounds/en";

/// `sounds`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SoundsConfig {
    /// WAV files that can be played by name; `sounds` in the state directory where none is given.
    pub folder: Option<PathBuf>,
    /// Asked after it, in this order.
    pub also: Vec<PathBuf>,
    /// A prompt that is nowhere is spoken: its name as words.
    pub speak_missing: bool,
}

impl Default for SoundsConfig {
    fn default() -> Self {
        Self { folder: None, also: vec![PathBuf::from(DEBIAN_SOUNDS)], speak_missing: true }
    }
}

impl SoundsConfig {
    /// The folders, with `state_dir` for what is left out.
    pub fn sounds(&self, state_dir: &Path) -> Sounds {
        let own = self.folder.clone().unwrap_or_else(|| state_dir.join("sounds"));
        let folders = std::iter::once(own).chain(self.also.iter().cloned()).collect();
        Sounds { folders, speak_missing: self.speak_missing }
    }
}

/// `speech`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpeechConfig {
    /// Where a request names no voice; `espeak-ng --voices` lists them.
    pub voice: String,
    /// Words a minute.
    pub speed_wpm: Bounded<80, 450>,
    /// Of `espeak-ng`.
    pub pitch: Bounded<0, 99>,
    /// A text that takes longer to speak is given up.
    pub timeout_ms: Bounded<100, 60_000>,
    /// Texts spoken at once.
    pub max_running: Bounded<1, 64>,
    /// Of speech that is kept.
    pub cache_bytes: Bounded<0, 1_073_741_824>,
}

impl Default for SpeechConfig {
    fn default() -> Self {
        Self {
            voice: "en-us".to_owned(),
            speed_wpm: Bounded::of(160),
            pitch: Bounded::of(50),
            timeout_ms: Bounded::of(10_000),
            max_running: Bounded::of(2),
            cache_bytes: Bounded::of(16 * 1024 * 1024),
        }
    }
}

impl SpeechConfig {
    /// For the synthesiser.
    pub fn settings(&self) -> SpeechSettings {
        SpeechSettings {
            voice: self.voice.clone(),
            speed_wpm: self.speed_wpm.get() as u16,
            pitch: self.pitch.get() as u8,
            timeout: self.timeout_ms.ms(),
            running_max: self.max_running.get() as usize,
            cache_bytes: self.cache_bytes.get() as usize,
        }
    }
}

/// `fetch`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FetchConfig {
    /// Take `http://` too, not only `https://`.
    pub plain_http: bool,
    /// The only hosts allowed, `*.example.org` meaning all below; empty allows every one.
    pub hosts: Vec<String>,
    /// Private networks that may be reached all the same.
    pub private: Vec<Cidr>,
    /// A longer body is refused.
    pub max_bytes: Bounded<1024, 1_073_741_824>,
    /// For all of it.
    pub timeout_ms: Bounded<100, 60_000>,
}

impl Default for FetchConfig {
    fn default() -> Self {
        Self {
            plain_http: true,
            hosts: Vec::new(),
            private: Vec::new(),
            max_bytes: Bounded::of(16 * 1024 * 1024),
            timeout_ms: Bounded::of(10_000),
        }
    }
}

impl FetchConfig {
    /// For the fetcher.
    pub fn settings(&self) -> FetchSettings {
        FetchSettings {
            plain_http: self.plain_http,
            hosts: self.hosts.clone(),
            private: self.private.clone(),
            bytes_max: self.max_bytes.get(),
            timeout: self.timeout_ms.ms(),
        }
    }
}
