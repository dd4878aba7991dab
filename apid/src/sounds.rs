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
}

/// Why there is no such prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSound {
    /// It is no name, or would lead out of the folder.
    Name,
    /// There is none.
    Missing,
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
    /// The prompt `name` (`hello`, `digits/1`): `hello.wav`, else the words in `hello.txt`, else,
    /// where that is wanted, the name itself as words. Reads files: not for an asynchronous
    /// thread.
    ///
    /// # Errors
    /// [`NoSound`].
    pub fn find(&self, name: &str) -> Result<Sound, NoSound> {
        let plain = !name.is_empty()
            && name.len() <= 200
            && name.split('/').all(|part| !part.is_empty() && !part.starts_with('.'))
            && !name.contains(['\\', '\0']);
        if !plain {
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
        if self.speak_missing {
            return Ok(Sound::Words(name.replace(['-', '_', '/'], " ")));
        }
        Err(NoSound::Missing)
    }
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
        assert_eq!(speaking.find("../hello"), Err(NoSound::Name));
        let _ = std::fs::remove_dir_all(base);
    }
}
