//! What can be set of a line while it is in use.

use serde::{Deserialize, Serialize};
use tipring_shm_proto::settings as engine;
use tipring_shm_proto::units::{TenthDb, TenthDbm0};
use utoipa::ToSchema;

/// The settings of a line, all of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LineSettings {
    /// Whose tones the phone hears: ISO 3166-1, lower case (`us`, `uk`, `de` …).
    pub country: String,
    /// How a phone is told who calls.
    pub caller_id: CallerIdType,
    /// What counts as a digit.
    pub dtmf: DtmfSettings,
    /// What counts as speech.
    pub voice: VoiceSettings,
    /// The echo of what the phone hears is taken out of what it says.
    pub echo_canceller: bool,
    /// Of what the phone says, −20 to 12.
    pub rx_gain_db: f32,
    /// Of what the phone hears, −20 to 12.
    pub tx_gain_db: f32,
    /// Speech of the phone is slowly brought to −19 dBm0, by 12 dB at most.
    pub automatic_gain: bool,
    /// Peaks are kept below −3 dBFS, both ways.
    pub limiter: bool,
}

/// Body of `PATCH /v1/lines/{id}/settings`: what is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LineSettingsPatch {
    /// Whose tones the phone hears: ISO 3166-1, lower case (`us`, `uk`, `de` …).
    pub country: Option<String>,
    /// How a phone is told who calls.
    pub caller_id: Option<CallerIdType>,
    /// What counts as a digit.
    pub dtmf: Option<DtmfSettings>,
    /// What counts as speech.
    pub voice: Option<VoiceSettings>,
    /// Take the echo of what the phone hears out of what it says.
    pub echo_canceller: Option<bool>,
    /// Of what the phone says, −20 to 12.
    pub rx_gain_db: Option<f32>,
    /// Of what the phone hears, −20 to 12.
    pub tx_gain_db: Option<f32>,
    /// Bring speech of the phone slowly to −19 dBm0, by 12 dB at most.
    pub automatic_gain: Option<bool>,
    /// Keep peaks below −3 dBFS, both ways.
    pub limiter: Option<bool>,
}

/// How a phone is told who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallerIdType {
    /// Not at all.
    Off,
    /// Bell 202 after the first ring, name and number (GR-30).
    Bellcore,
    /// Bell 202 after the first ring, number only.
    BellcoreSingle,
    /// V.23 after the first ring (EN 300 659-1).
    EtsiAfterRing,
    /// V.23 before the first ring, after a dual tone.
    EtsiDualTone,
    /// V.23 before the first ring, after line reversal and a dual tone (SIN 227).
    EtsiLineReversal,
    /// DTMF before the first ring, `A` number `C`.
    Dtmf,
    /// DTMF before the first ring, after line reversal, `D` number `C`.
    DtmfLineReversal,
    /// DTMF before the first ring, number `#`.
    DtmfHash,
}

/// What counts as a digit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DtmfSettings {
    /// Whose limits (ITU-T Q.24).
    pub profile: DtmfProfile,
    /// The weakest tone that counts, −45 to −20; null, or none, is the profile's own.
    #[serde(default)]
    pub weakest_dbm0: Option<f32>,
}

/// Whose limits a digit has to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DtmfProfile {
    /// AT&T, TIA-464.
    Att,
    /// NTT.
    Ntt,
    /// ETSI ES 201 235-3.
    Etsi,
}

/// What counts as speech.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VoiceSettings {
    /// Above the line's noise, 3 to 30.
    pub above_noise_db: f32,
    /// Nothing softer counts, −60 to −20.
    pub weakest_dbm0: f32,
    /// So long without speech is its end, 100 to 3000.
    pub offset_ms: u16,
    /// So long is a pause in which the person may have finished, 100 to 3000.
    pub provisional_end_ms: u16,
    /// So long is the end of what the person had to say, 100 to 5000.
    pub final_end_ms: u16,
}

impl LineSettingsPatch {
    /// What `settings` become; a field with its allowed values where one is out of its range.
    pub(crate) fn applied(
        &self,
        mut settings: engine::LineSettings,
    ) -> Result<engine::LineSettings, (&'static str, String)> {
        if let Some(country) = &self.country {
            let code = country.to_ascii_lowercase();
            settings.country = <[u8; 2]>::try_from(code.as_bytes())
                .map_err(|_| ("country", "two letters of ISO 3166-1 are allowed".to_owned()))?;
        }
        if let Some(caller_id) = self.caller_id {
            settings.caller_id = caller_id.into();
        }
        if let Some(dtmf) = &self.dtmf {
            settings.dtmf = engine::DtmfSettings {
                profile: dtmf.profile.into(),
                weakest: dtmf.weakest_dbm0.map(|dbm0| TenthDbm0(tenths(dbm0))),
            };
            if let Some(TenthDbm0(level)) = settings.dtmf.weakest {
                within("dtmf.weakest_dbm0", level, &engine::DtmfSettings::WEAKEST)?;
            }
        }
        if let Some(voice) = &self.voice {
            settings.voice = voice.checked()?;
        }
        for (field, db, gain) in [
            ("rx_gain_db", self.rx_gain_db, &mut settings.rx_gain),
            ("tx_gain_db", self.tx_gain_db, &mut settings.tx_gain),
        ] {
            if let Some(db) = db {
                *gain = TenthDb(tenths(db));
                within(field, gain.0, &engine::LineSettings::GAINS)?;
            }
        }
        for (on, setting) in [
            (self.echo_canceller, &mut settings.echo_canceller),
            (self.automatic_gain, &mut settings.automatic_gain),
            (self.limiter, &mut settings.limiter),
        ] {
            *setting = on.unwrap_or(*setting);
        }
        Ok(settings)
    }
}

impl VoiceSettings {
    fn checked(&self) -> Result<engine::VoiceSettings, (&'static str, String)> {
        use engine::VoiceSettings as Theirs;
        let above_noise = tenths(self.above_noise_db);
        within("voice.above_noise_db", above_noise, &Theirs::ABOVE_NOISE)?;
        let weakest = tenths(self.weakest_dbm0);
        within("voice.weakest_dbm0", weakest, &Theirs::WEAKEST)?;
        for (field, ms, range) in [
            ("voice.offset_ms", self.offset_ms, Theirs::PAUSE_MS),
            ("voice.provisional_end_ms", self.provisional_end_ms, Theirs::PAUSE_MS),
            ("voice.final_end_ms", self.final_end_ms, Theirs::FINAL_END_MS),
        ] {
            if !range.contains(&ms) {
                return Err((field, format!("allowed is {} to {}", range.start(), range.end())));
            }
        }
        Ok(Theirs {
            above_noise: TenthDb(above_noise),
            weakest: TenthDbm0(weakest),
            offset_ms: self.offset_ms,
            provisional_end_ms: self.provisional_end_ms,
            final_end_ms: self.final_end_ms,
        })
    }
}

/// Saturates; not a number is 0.
fn tenths(value: f32) -> i16 {
    (value * 10.0).round() as i16
}

fn within(
    field: &'static str,
    tenths: i16,
    range: &std::ops::RangeInclusive<i16>,
) -> Result<(), (&'static str, String)> {
    if range.contains(&tenths) {
        return Ok(());
    }
    let [least, most] = [range.start(), range.end()].map(|tenths| f32::from(*tenths) / 10.0);
    Err((field, format!("allowed is {least} to {most}")))
}

impl From<&engine::LineSettings> for LineSettings {
    fn from(theirs: &engine::LineSettings) -> Self {
        let voice = theirs.voice;
        let tenth = |tenths: i16| f32::from(tenths) / 10.0;
        Self {
            country: String::from_utf8_lossy(&theirs.country).into_owned(),
            caller_id: theirs.caller_id.into(),
            dtmf: DtmfSettings {
                profile: theirs.dtmf.profile.into(),
                weakest_dbm0: theirs.dtmf.weakest.map(|level| tenth(level.0)),
            },
            voice: VoiceSettings {
                above_noise_db: tenth(voice.above_noise.0),
                weakest_dbm0: tenth(voice.weakest.0),
                offset_ms: voice.offset_ms,
                provisional_end_ms: voice.provisional_end_ms,
                final_end_ms: voice.final_end_ms,
            },
            echo_canceller: theirs.echo_canceller,
            rx_gain_db: tenth(theirs.rx_gain.0),
            tx_gain_db: tenth(theirs.tx_gain.0),
            automatic_gain: theirs.automatic_gain,
            limiter: theirs.limiter,
        }
    }
}

/// The same names on both sides.
macro_rules! same_names {
    ($ours:ident: $($name:ident),+) => {
        impl From<$ours> for engine::$ours {
            fn from(ours: $ours) -> Self {
                match ours { $($ours::$name => Self::$name),+ }
            }
        }
        impl From<engine::$ours> for $ours {
            fn from(theirs: engine::$ours) -> Self {
                match theirs { $(engine::$ours::$name => Self::$name),+ }
            }
        }
    };
}

same_names!(CallerIdType: Off, Bellcore, BellcoreSingle, EtsiAfterRing, EtsiDualTone,
    EtsiLineReversal, Dtmf, DtmfLineReversal, DtmfHash);
same_names!(DtmfProfile: Att, Ntt, Etsi);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_stays() {
        let before = engine::LineSettings::of_country(*b"us");
        let patch: LineSettingsPatch =
            serde_json::from_str(r#"{"country": "DE", "rx_gain_db": -3.5, "limiter": true}"#)
                .unwrap();
        let after = patch.applied(before).unwrap();
        let expected = engine::LineSettings {
            rx_gain: TenthDb(-35),
            limiter: true,
            ..engine::LineSettings::of_country(*b"de")
        };
        assert_eq!(after, expected);
        assert!((LineSettings::from(&after).rx_gain_db + 3.5).abs() < 1e-6);
    }

    #[test]
    fn a_value_out_of_range_is_named_with_what_is_allowed() {
        let refused = |text: &str| {
            let patch: LineSettingsPatch = serde_json::from_str(text).unwrap();
            patch.applied(engine::LineSettings::of_country(*b"us")).unwrap_err().0
        };
        assert_eq!(refused(r#"{"country": "germany"}"#), "country");
        assert_eq!(refused(r#"{"tx_gain_db": 12.1}"#), "tx_gain_db");
        assert_eq!(
            refused(r#"{"dtmf": {"profile": "etsi", "weakest_dbm0": -50}}"#),
            "dtmf.weakest_dbm0"
        );
        let voice = r#"{"voice": {"above_noise_db": 6, "weakest_dbm0": -50, "offset_ms": 99,
            "provisional_end_ms": 200, "final_end_ms": 700}}"#;
        assert_eq!(refused(voice), "voice.offset_ms");
    }
}
