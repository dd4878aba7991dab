//! Speech: text becomes audio by `espeak-ng`, a process of its own (it is GPL and never linked).
//!
//! The text goes to its standard input, without control characters (`espeak-ng` takes commands
//! from them). Callers choose a voice from the list that it prints itself and two numbers within
//! bounds; nothing else of theirs reaches its command line. How many run, for how long, and how
//! much they may write is bounded; what was spoken lately is kept.

mod cache;

use cache::{Cache, Key};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::sync::{OnceCell, Semaphore};

/// The program.
const PROGRAM: &str = "espeak-ng";
/// Longest text, characters.
pub const TEXT_MAX: usize = 2000;
/// Words a minute.
pub const SPEED_WPM: std::ops::RangeInclusive<u16> = 80..=450;
/// Of `espeak-ng`, 50 being its middle.
pub const PITCH: std::ops::RangeInclusive<u8> = 0..=99;
/// What one run may write: five minutes at 22 050 samples a second.
const OUTPUT_MAX: u64 = 5 * 60 * 22_050 * 2;

/// How to speak where a request does not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpeechSettings {
    /// Name of a voice.
    pub voice: String,
    /// Words a minute.
    pub speed_wpm: u16,
    /// Of `espeak-ng`.
    pub pitch: u8,
    /// A run is ended after that, and so is waiting for one's turn.
    pub timeout: Duration,
    /// Runs at once.
    pub running_max: usize,
    /// Of audio that is kept.
    pub cache_bytes: usize,
}

impl Default for SpeechSettings {
    fn default() -> Self {
        Self {
            voice: "en-us".to_owned(),
            speed_wpm: 160,
            pitch: 50,
            timeout: Duration::from_secs(10),
            running_max: 2,
            cache_bytes: 16 * 1024 * 1024,
        }
    }
}

/// What to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Utterance {
    /// The words.
    pub text: String,
    /// As one of [`Speech::voices`].
    pub voice: Option<String>,
    /// Words a minute, [`SPEED_WPM`].
    pub speed_wpm: Option<u16>,
    /// [`PITCH`].
    pub pitch: Option<u8>,
}

/// A voice that is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voice {
    /// What callers choose it by: its language, as `en-gb`.
    pub name: String,
    /// For people.
    pub title: String,
}

/// Why nothing was spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpeechError {
    /// `espeak-ng` is not installed, or does not start.
    Missing,
    /// There is nothing to say, or too much.
    Text(String),
    /// There is no such voice.
    Voice(String),
    /// Speed or pitch is out of range.
    Range(&'static str, String),
    /// Too many speak already.
    Busy,
    /// It took too long.
    TimedOut,
    /// What it said is too long, or no audio.
    Failed,
}

impl std::fmt::Display for SpeechError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing => f.write_str("espeak-ng is not installed"),
            Self::Text(reason) | Self::Voice(reason) | Self::Range(_, reason) => {
                f.write_str(reason)
            }
            Self::Busy => f.write_str("too many texts are being spoken"),
            Self::TimedOut => f.write_str("speaking took too long"),
            Self::Failed => f.write_str("espeak-ng gave no audio, or more than five minutes"),
        }
    }
}

/// Makes speech. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Speech(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: SpeechSettings,
    turns: Semaphore,
    voices: OnceCell<Vec<Voice>>,
    cache: Mutex<Cache>,
}

impl Speech {
    /// Starts nothing yet.
    pub fn new(settings: SpeechSettings) -> Self {
        let turns = Semaphore::new(settings.running_max);
        let cache = Mutex::new(Cache::new(settings.cache_bytes));
        Self(Arc::new(Shared { settings, turns, voices: OnceCell::new(), cache }))
    }

    /// Voices that are installed, as `espeak-ng` lists them; asked once.
    ///
    /// # Errors
    /// `Missing`, `Busy`, `TimedOut`.
    pub async fn voices(&self) -> Result<&[Voice], SpeechError> {
        let listed = self.0.voices.get_or_try_init(|| async {
            let octets = self.run(&["--voices"], "").await?;
            Ok(voices_of(&String::from_utf8_lossy(&octets)))
        });
        listed.await.map(Vec::as_slice)
    }

    /// What is said, 8 kHz.
    ///
    /// # Errors
    /// [`SpeechError`].
    pub async fn say(&self, utterance: &Utterance) -> Result<Arc<[i16]>, SpeechError> {
        let key = self.key_of(utterance).await?;
        if let Some(known) = self.cache().get(&key) {
            return Ok(known);
        }
        let (speed, pitch) = (key.speed_wpm.to_string(), key.pitch.to_string());
        let arguments =
            ["-b", "1", "--stdin", "--stdout", "-v", &key.voice, "-s", &speed, "-p", &pitch];
        let wav = self.run(&arguments, &key.text).await?;
        let decoded = tokio::task::spawn_blocking(move || crate::audio_format::decode_wav(&wav));
        let samples: Arc<[i16]> = match decoded.await {
            Ok(Ok(samples)) => samples.into(),
            _ => return Err(SpeechError::Failed),
        };
        self.cache().keep(key, samples.clone());
        Ok(samples)
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        // Nothing in there can panic half-way through a change.
        self.0.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn key_of(&self, utterance: &Utterance) -> Result<Key, SpeechError> {
        let text = utterance.text.replace(char::is_control, " ").trim().to_owned();
        if text.is_empty() || text.chars().count() > TEXT_MAX {
            let reason = format!("allowed are 1 to {TEXT_MAX} characters");
            return Err(SpeechError::Text(reason));
        }
        let settings = &self.0.settings;
        let speed_wpm = utterance.speed_wpm.unwrap_or(settings.speed_wpm);
        if !SPEED_WPM.contains(&speed_wpm) {
            return Err(SpeechError::Range("speed_wpm", "allowed is 80 to 450".to_owned()));
        }
        let pitch = utterance.pitch.unwrap_or(settings.pitch);
        if !PITCH.contains(&pitch) {
            return Err(SpeechError::Range("pitch", "allowed is 0 to 99".to_owned()));
        }
        let wanted = utterance.voice.as_deref().unwrap_or(&settings.voice);
        let voices = self.voices().await?;
        let voice = voices.iter().find(|voice| voice.name.eq_ignore_ascii_case(wanted));
        let Some(voice) = voice else {
            let names: Vec<&str> = voices.iter().map(|voice| voice.name.as_str()).collect();
            let reason = format!("`{wanted}` is no voice; there are {}", names.join(", "));
            return Err(SpeechError::Voice(reason));
        };
        Ok(Key { voice: voice.name.clone(), speed_wpm, pitch, text })
    }

    /// What the program writes.
    async fn run(&self, arguments: &[&str], text: &str) -> Result<Vec<u8>, SpeechError> {
        let run = async {
            let turn = self.0.turns.acquire().await;
            let _turn = turn.map_err(|_| SpeechError::Busy)?;
            tokio::time::timeout(self.0.settings.timeout, spoken(arguments, text))
                .await
                .unwrap_or(Err(SpeechError::TimedOut))
        };
        // Once for its turn and once for its run.
        tokio::time::timeout(self.0.settings.timeout * 2, run)
            .await
            .unwrap_or(Err(SpeechError::Busy))
    }
}

/// Runs the program. It is killed when this future is dropped.
async fn spoken(arguments: &[&str], text: &str) -> Result<Vec<u8>, SpeechError> {
    let mut child = Command::new(PROGRAM)
        .args(arguments)
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|_| SpeechError::Missing)?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (Some(mut stdin), Some(stdout)) = (stdin, stdout) else {
        return Err(SpeechError::Missing);
    };
    let feed = async {
        // One that has heard enough closes its end; what it says then tells.
        let _ = stdin.write_all(text.as_bytes()).await;
        drop(stdin);
    };
    let mut octets = Vec::new();
    let mut limited = stdout.take(OUTPUT_MAX + 1);
    let (read, ()) = tokio::join!(limited.read_to_end(&mut octets), feed);
    if read.is_err() || octets.len() as u64 > OUTPUT_MAX {
        return Err(SpeechError::Failed);
    }
    match child.wait().await {
        Ok(status) if status.success() => Ok(octets),
        _ => Err(SpeechError::Failed),
    }
}

/// Of the table `Pty Language Age/Gender VoiceName File …`, the first of each language.
fn voices_of(table: &str) -> Vec<Voice> {
    let mut voices: Vec<Voice> = Vec::new();
    for row in table.lines().skip(1) {
        let columns: Vec<&str> = row.split_whitespace().collect();
        let (Some(name), Some(title)) = (columns.get(1), columns.get(3)) else { continue };
        let plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
        if plain && !voices.iter().any(|voice| voice.name == *name) {
            voices.push(Voice { name: (*name).to_owned(), title: title.replace('_', " ") });
        }
    }
    voices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn voices_are_read_from_the_programs_table() {
        let table = "Pty Language       Age/Gender VoiceName          File    Other Languages\n \
                     5  af              --/M      Afrikaans          gmw/af  \n \
                     2  en-gb           --/M      English_(Great_Britain) gmw/en (en 2)\n \
                     5  en-gb           --/M      Again gmw/x\n \
                     5  --help          --/M      Evil  gmw/x\n \
                     5\n";
        let voices = voices_of(table);
        assert_eq!(voices.len(), 2);
        assert_eq!(voices[1].name, "en-gb");
        assert_eq!(voices[1].title, "English (Great Britain)");
    }

    #[tokio::test]
    async fn what_is_out_of_range_never_reaches_the_program() {
        let speech = Speech::new(SpeechSettings::default());
        let utterance = |text: &str| Utterance { text: text.to_owned(), ..Utterance::default() };
        for text in ["", " \n\u{1} ", &"x".repeat(TEXT_MAX + 1)] {
            assert!(matches!(speech.say(&utterance(text)).await, Err(SpeechError::Text(_))));
        }
        let fast = Utterance { speed_wpm: Some(9000), ..utterance("hello") };
        assert!(matches!(speech.say(&fast).await, Err(SpeechError::Range("speed_wpm", _))));
        let shrill = Utterance { pitch: Some(100), ..utterance("hello") };
        assert!(matches!(speech.say(&shrill).await, Err(SpeechError::Range("pitch", _))));
    }

    #[tokio::test]
    async fn an_option_is_no_voice() {
        let speech = Speech::new(SpeechSettings::default());
        for voice in ["--help", "en -w /tmp/x", "../../etc/passwd", ""] {
            let voice = Some(voice.to_owned());
            let asked = Utterance { text: "hello".to_owned(), voice, ..Utterance::default() };
            match speech.say(&asked).await {
                Err(SpeechError::Voice(reason)) => assert!(reason.contains("there are")),
                // Where the program is not installed there is no list either.
                Err(SpeechError::Missing) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}
