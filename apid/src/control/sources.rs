//! Where audio to play comes from: what a request says becomes samples.

use super::access::need;
use super::refused::invalid;
use super::{Control, Refused};
use crate::auth::{Caller, Scope};
use crate::fetch::FetchError;
use crate::sounds::{NoSound, Sound, tune};
use crate::speech::{SpeechError, Utterance, Voice};
use crate::view::ToneRequest;
use std::sync::Arc;

/// What to play.
#[derive(Clone, Debug, PartialEq)]
pub enum PlaySource {
    /// Made by the engine.
    Tone(ToneRequest),
    /// A prompt by its name: a WAV file of the sounds folder without `.wav`, never a path out of
    /// it; one that is missing is spoken, where that is configured.
    Prompt(String),
    /// Music while somebody waits: the prompt `moh/CLASS`, else a tune of our own.
    Music(String),
    /// A complete WAV file of any rate, width and channels.
    Wav(Vec<u8>),
    /// Linear, 8 kHz, mono.
    Pcm(Vec<i16>),
    /// A WAV file to be fetched.
    Url(String),
    /// To be spoken.
    Say(Utterance),
}

/// Speech, 8 kHz mono.
pub type Spoken = Arc<[i16]>;

impl Control {
    /// Samples of everything but a tone, which the engine makes itself.
    pub(super) async fn samples_of(&self, source: PlaySource) -> Result<Arc<[i16]>, Refused> {
        let samples = match source {
            PlaySource::Tone(_) => return Err(invalid("tone", "the engine makes tones")),
            PlaySource::Pcm(samples) => samples.into(),
            PlaySource::Wav(octets) => decode("audio", octets).await?,
            PlaySource::Prompt(name) => self.prompt(name).await?,
            PlaySource::Music(class) => self.music(&class).await?,
            PlaySource::Url(url) => {
                let octets = self.0.fetcher.get(&url).await.map_err(not_fetched)?;
                decode("url", octets).await?
            }
            PlaySource::Say(utterance) => {
                self.0.speech.say(&utterance).await.map_err(|error| unspoken(&error))?
            }
        };
        if samples.is_empty() {
            return Err(invalid("audio", "there is not one sample in it"));
        }
        Ok(samples)
    }

    async fn music(&self, class: &str) -> Result<Arc<[i16]>, Refused> {
        let name = format!("moh/{class}");
        if self.has_prompt(&name).await { self.prompt(name).await } else { Ok(tune().into()) }
    }

    async fn prompt(&self, name: String) -> Result<Arc<[i16]>, Refused> {
        let sounds = self.0.sounds.clone();
        let found = tokio::task::spawn_blocking(move || sounds.find(&name)).await;
        match found.unwrap_or(Err(NoSound::Missing)) {
            Ok(Sound::Wav(octets)) => decode("prompt", octets).await,
            Ok(Sound::Made(samples)) => Ok(samples.into()),
            Ok(Sound::Words(text)) => {
                let utterance = Utterance { text, ..Utterance::default() };
                match self.0.speech.say(&utterance).await {
                    // A machine that cannot speak has no such prompt.
                    Err(SpeechError::Missing) => Err(Refused::NoSuchPrompt),
                    spoken => spoken.map_err(|error| unspoken(&error)),
                }
            }
            Err(NoSound::Name) => {
                Err(invalid("prompt", "a name, or folder/name, without dots in front"))
            }
            Err(NoSound::Missing) => Err(Refused::NoSuchPrompt),
        }
    }

    /// Samples of a prompt.
    ///
    /// # Errors
    /// `NoSuchPrompt`, `Invalid`.
    pub async fn prompt_samples(&self, name: &str) -> Result<Spoken, Refused> {
        self.prompt(name.to_owned()).await
    }

    /// Opens a connection to an address that somebody else gave, by the fetcher's rules.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn connect_out(
        &self,
        host: &str,
        port: u16,
    ) -> Result<tokio::net::TcpStream, FetchError> {
        self.0.fetcher.connect(host, port).await
    }

    /// Whether there is a recorded prompt of that name.
    pub async fn has_prompt(&self, name: &str) -> bool {
        let (sounds, name) = (self.0.sounds.clone(), name.to_owned());
        let found = tokio::task::spawn_blocking(move || sounds.find(&name)).await;
        matches!(found, Ok(Ok(Sound::Wav(_))))
    }

    /// Keeps a recording that has ended as the prompt `name`.
    ///
    /// # Errors
    /// `NoSuchRecording`, `Storage`.
    pub async fn save_prompt(&self, recording: &str, name: &str) -> Result<(), Refused> {
        let mut audio = self.recorded_audio(&Caller::everything("plan"), recording).await?;
        let (sounds, name) = (self.0.sounds.clone(), name.to_owned());
        let kept = tokio::task::spawn_blocking(move || {
            let mut octets = Vec::new();
            while let Some(piece) = audio.next_piece().map_err(|error| error.to_string())? {
                octets.extend(piece);
            }
            sounds.keep(&name, &octets)
        });
        let kept = kept.await.unwrap_or_else(|_| Err("it could not be written".to_owned()));
        kept.map_err(Refused::Storage)
    }

    /// Speaks to nobody: gives what would be heard. Needs `control`.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid`, `NotInstalled`, `Full` while too many texts are
    /// spoken.
    pub async fn speech(&self, caller: &Caller, utterance: &Utterance) -> Result<Spoken, Refused> {
        need(caller, Scope::Control)?;
        self.0.speech.say(utterance).await.map_err(|error| unspoken(&error))
    }

    /// Voices that are installed. Needs `read`.
    ///
    /// # Errors
    /// `Forbidden`, `NotInstalled`.
    pub async fn voices(&self, caller: &Caller) -> Result<Vec<Voice>, Refused> {
        need(caller, Scope::Read)?;
        self.0.speech.voices().await.map(<[Voice]>::to_vec).map_err(|error| unspoken(&error))
    }
}

fn unspoken(error: &SpeechError) -> Refused {
    let reason = error.to_string();
    match error {
        SpeechError::Missing => Refused::NotInstalled("espeak-ng"),
        SpeechError::Busy => Refused::Full { what: "texts spoken at once" },
        SpeechError::Voice(_) => Refused::Invalid { field: "voice", reason },
        SpeechError::Range(field, _) => Refused::Invalid { field, reason },
        SpeechError::Text(_) | SpeechError::TimedOut | SpeechError::Failed => {
            Refused::Invalid { field: "say", reason }
        }
    }
}

fn not_fetched(error: FetchError) -> Refused {
    match error {
        FetchError::Busy => Refused::Full { what: "audio fetched at once" },
        other => Refused::Invalid { field: "url", reason: other.to_string() },
    }
}

/// Converts off the asynchronous threads.
async fn decode(field: &'static str, octets: Vec<u8>) -> Result<Arc<[i16]>, Refused> {
    let decoded = tokio::task::spawn_blocking(move || crate::audio_format::decode_wav(&octets));
    match decoded.await {
        Ok(Ok(samples)) => Ok(samples.into()),
        Ok(Err(error)) => Err(Refused::Invalid { field, reason: error.to_string() }),
        Err(_) => Err(invalid(field, "the WAV could not be converted")),
    }
}
