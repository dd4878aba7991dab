//! Prompts by name: WAV files of the sounds folders, words for those that nobody has recorded.

use std::path::{Path, PathBuf};

/// Longest file that is read.
const FILE_MAX: u64 = 64 * 1024 * 1024;
/// Longest text beside the prompts.
const TEXT_MAX: u64 = 8 * 1024;

/// What a prompt is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sound {
    /// A WAV file.
    Wav(Vec<u8>),
    /// To be spoken.
    Words(String),
    /// Made here, linear, 8 kHz, mono.
    Made(Vec<i16>),
}

/// Why there is no such prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSound {
    /// It is no name, or would lead out of the folder.
    Name,
    /// There is none.
    Missing,
}

/// A tune of eight notes, 8 kHz, to be played over and over.
pub(crate) fn tune() -> Vec<i16> {
    const NOTES_HZ: [f64; 8] = [392.0, 493.9, 587.3, 493.9, 523.3, 659.3, 784.0, 659.3];
    const NOTE: usize = 3200;
    let mut samples = Vec::with_capacity(NOTES_HZ.len() * NOTE);
    for hz in NOTES_HZ {
        for index in 0..NOTE {
            let part = index as f64 / NOTE as f64;
            // Struck and fading, without a click at either end.
            let loudness = (part * 40.0).min(1.0) * (1.0 - part);
            let phase = index as f64 / 8000.0 * hz * std::f64::consts::TAU;
            samples.push((phase.sin() * loudness * 4000.0) as i16);
        }
    }
    samples
}

/// Where prompts are. The first folder that has one gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sounds {
    /// Folders, in the order in which they are asked.
    pub folders: Vec<PathBuf>,
    /// One that is nowhere is spoken.
    pub speak_missing: bool,
}

impl Sounds {
    /// Keeps a WAV file as the prompt `name` of the first folder; one that is there is replaced.
    /// Writes files: not for an asynchronous thread.
    ///
    /// # Errors
    /// The reason.
    pub fn keep(&self, name: &str, octets: &[u8]) -> Result<(), String> {
        let folder = self.folders.first().ok_or("there is no folder of prompts")?;
        if !is_plain(name) {
            return Err("a prompt has a name, or folder/name, without dots in front".to_owned());
        }
        let file = folder.join(format!("{name}.wav"));
        let told = |error: std::io::Error| error.to_string();
        std::fs::create_dir_all(folder).map_err(told)?;
        let root = folder.canonicalize().map_err(told)?;
        let parent = file.parent().unwrap_or(folder);
        // Where it leads is looked at before anything is made there.
        let there = parent.ancestors().find(|path| path.exists()).unwrap_or(folder);
        if !there.canonicalize().map_err(told)?.starts_with(&root) {
            return Err("it would lead out of the folder of prompts".to_owned());
        }
        std::fs::create_dir_all(parent).map_err(told)?;
        let beside = parent.join(format!(".{:x}.part", std::process::id()));
        std::fs::write(&beside, octets).map_err(told)?;
        std::fs::rename(&beside, &file).map_err(told)
    }

    /// The prompt `name` (`hello`, `digits/1`): `hello.wav`, else the words in `hello.txt`, else,
    /// where that is wanted, the name itself as words. `silence/1` to `silence/10` and `beep` are made
    /// where there is no file of that name. Reads files: not for an asynchronous
    /// thread.
    ///
    /// # Errors
    /// [`NoSound`].
    pub fn find(&self, name: &str) -> Result<Sound, NoSound> {
        if !is_plain(name) {
            return Err(NoSound::Name);
        }
        for folder in &self.folders {
            if let Some(octets) = read_within(folder, &format!("{name}.wav"), FILE_MAX) {
                return Ok(Sound::Wav(octets));
            }
            if let Some(octets) = read_within(folder, &format!("{name}.txt"), TEXT_MAX) {
                return Ok(Sound::Words(String::from_utf8_lossy(&octets).into_owned()));
            }
        }
        if let Some(samples) = made(name) {
            return Ok(Sound::Made(samples));
        }
        if self.speak_missing {
            return Ok(Sound::Words(words(name)));
        }
        Err(NoSound::Missing)
    }
}

/// A name that leads nowhere else.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 200
        && name.split('/').all(|part| !part.is_empty() && !part.starts_with('.'))
        && !name.contains(['\\', '\0'])
}

/// Pauses of so many seconds, and the tone before a recording.
fn made(name: &str) -> Option<Vec<i16>> {
    if name == "beep" {
        // 1000 Hz at about -13 dBm0, 200 ms.
        let sine = |n: u32| (f64::from(n) * std::f64::consts::TAU / 8.0).sin() * 5090.0;
        return Some((0..1600).map(|n| sine(n) as i16).collect());
    }
    let seconds: usize = name.strip_prefix("silence/")?.parse().ok()?;
    (1..=10).contains(&seconds).then(|| vec![0; seconds * 8000])
}

/// What is said for a prompt that nobody has recorded.
fn words(name: &str) -> String {
    let days = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
    let months = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    // The folders say what kind of word it is; `h-3` is the third, `day-0` Sunday, `mon-0` January.
    let plain = ["digits/", "letters/"].iter().find_map(|folder| name.strip_prefix(folder));
    let Some(plain) = plain else { return name.replace(['-', '_', '/'], " ") };
    let of = |prefix: &str, names: &[&str]| {
        let number: usize = plain.strip_prefix(prefix)?.parse().ok()?;
        names.get(number).map(|name| (*name).to_owned())
    };
    let third = || {
        let number: u32 = plain.strip_prefix("h-")?.parse().ok()?;
        let end = match (number % 10, number % 100) {
            (_, 11..=13) => "th",
            (1, _) => "st",
            (2, _) => "nd",
            (3, _) => "rd",
            _ => "th",
        };
        Some(format!("{number}{end}"))
    };
    let known = of("day-", &days).or_else(|| of("mon-", &months)).or_else(third);
    known.unwrap_or_else(|| plain.replace(['-', '_'], " "))
}

/// A file of a folder. A link must not lead out of it.
fn read_within(folder: &Path, name: &str, max: u64) -> Option<Vec<u8>> {
    let (root, file) = (folder.canonicalize().ok()?, folder.join(name).canonicalize().ok()?);
    let metadata = file.metadata().ok()?;
    let fits = file.starts_with(root) && metadata.is_file() && metadata.len() <= max;
    fits.then(|| std::fs::read(file).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_never_outside_of_its_folder() {
        let base = std::env::temp_dir().join(format!("tipring-sounds-{}", std::process::id()));
        let folders = vec![base.join("own"), base.join("also")];
        for folder in &folders {
            std::fs::create_dir_all(folder.join("digits")).unwrap();
        }
        std::fs::write(folders[0].join("hello.wav"), b"RIFF").unwrap();
        std::fs::write(folders[1].join("hello.wav"), b"other").unwrap();
        std::fs::write(folders[1].join("digits/1.wav"), b"one").unwrap();
        std::fs::write(folders[0].join("closed.txt"), "We are closed.").unwrap();
        let _ = std::os::unix::fs::symlink("/etc/hostname", folders[0].join("link.wav"));
        let sounds = Sounds { folders, speak_missing: false };
        assert_eq!(sounds.find("hello"), Ok(Sound::Wav(b"RIFF".to_vec())));
        assert_eq!(sounds.find("digits/1"), Ok(Sound::Wav(b"one".to_vec())));
        assert_eq!(sounds.find("closed"), Ok(Sound::Words("We are closed.".to_owned())));
        for outside in ["../hello", "/etc/passwd", "", "a//b", ".hidden"] {
            assert_eq!(sounds.find(outside), Err(NoSound::Name), "{outside}");
        }
        for missing in ["link", "none", "digits"] {
            assert_eq!(sounds.find(missing), Err(NoSound::Missing), "{missing}");
        }
        let speaking = Sounds { speak_missing: true, ..sounds };
        let words = Sound::Words("please hold the line".to_owned());
        assert_eq!(speaking.find("please-hold/the_line"), Ok(words));
        for (name, said) in [
            ("digits/5", "5"),
            ("digits/h-3", "3rd"),
            ("digits/h-11", "11th"),
            ("digits/day-0", "Sunday"),
        ] {
            assert_eq!(speaking.find(name), Ok(Sound::Words(said.to_owned())));
        }
        assert_eq!(speaking.find("silence/2"), Ok(Sound::Made(vec![0; 16_000])));
        assert_eq!(speaking.find("silence/11"), Ok(Sound::Words("silence 11".to_owned())));
        assert!(matches!(speaking.find("beep"), Ok(Sound::Made(_))));
        assert_eq!(speaking.keep("made/note", b"RIFF"), Ok(()));
        assert_eq!(speaking.find("made/note"), Ok(Sound::Wav(b"RIFF".to_vec())));
        let _ = std::os::unix::fs::symlink("/tmp", speaking.folders[0].join("away"));
        for outside in ["../x", "away/x", "", "a/.b"] {
            assert!(speaking.keep(outside, b"RIFF").is_err(), "{outside}");
        }
        assert_eq!(speaking.find("../hello"), Err(NoSound::Name));
        let _ = std::fs::remove_dir_all(base);
    }
}
