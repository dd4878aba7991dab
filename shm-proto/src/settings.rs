//! How a line sounds, what it listens for, how it announces calls: everything of
//! [`crate::command::Command::LineSettings`].

use crate::units::{TenthDb, TenthDbm0};
use serde::{Deserialize, Serialize};

/// The settings of one line, all of them. A client changes some: apid merges them with the row's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineSettings {
    /// Tones and ordinary ring: ISO 3166-1 code, lower case, of a country for which the engine has a plan.
    pub country: [u8; 2],
    /// How a phone is told who calls.
    pub caller_id: CallerIdType,
    /// What counts as a digit.
    pub dtmf: DtmfSettings,
    /// What counts as speech.
    pub voice: VoiceSettings,
    /// The echo of what the phone hears is taken out of what it says.
    pub echo_canceller: bool,
    /// Of what the phone says, [`LineSettings::GAINS`].
    pub rx_gain: TenthDb,
    /// Of what the phone hears, [`LineSettings::GAINS`].
    pub tx_gain: TenthDb,
    /// What the phone says is slowly brought to −19 dBm0, by 12 dB at most.
    pub automatic_gain: bool,
    /// Peaks are kept below −3 dBFS, both ways, before they clip.
    pub limiter: bool,
}

/// How a phone is told who calls, by the standard and the country that use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CallerIdType {
    /// Not at all.
    Off,
    /// Bell 202 after the first ring, multiple data message (GR-30, GR-31).
    Bellcore,
    /// Bell 202 after the first ring, single data message: number only (GR-30).
    BellcoreSingle,
    /// V.23 after the first ring (EN 300 659-1 §6.1.1).
    EtsiAfterRing,
    /// V.23 before the first ring, after DT-AS (EN 300 659-1 §6.1.2.1).
    EtsiDualTone,
    /// V.23 before the first ring, after line reversal and DT-AS (EN 300 659-1 §6.1.2.3, SIN 227).
    EtsiLineReversal,
    /// DTMF before the first ring, `A` number `C` (ES 200 659-1 annex B).
    Dtmf,
    /// DTMF before the first ring, after line reversal, `D` number `C`.
    DtmfLineReversal,
    /// DTMF before the first ring, number `#` (Denmark of old, the Netherlands).
    DtmfHash,
}

/// Which standard's limits a digit has to keep (ITU-T Q.24 table A-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DtmfProfile {
    /// AT&T, TIA-464.
    Att,
    /// NTT.
    Ntt,
    /// ETSI ES 201 235-3.
    Etsi,
}

/// What counts as a digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DtmfSettings {
    /// Whose limits.
    pub profile: DtmfProfile,
    /// The weakest tone that counts, −45.0 to −20.0 dBm0; `None` is the profile's own.
    pub weakest: Option<TenthDbm0>,
}

/// What counts as speech.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoiceSettings {
    /// Above the line's noise, 3.0 to 30.0 dB.
    pub above_noise: TenthDb,
    /// Nothing softer counts, −60.0 to −20.0 dBm0.
    pub weakest: TenthDbm0,
    /// So long without speech is its end, 100 to 3000 ms.
    pub offset_ms: u16,
    /// So long is a pause in which the person may have finished, 100 to 3000 ms.
    pub provisional_end_ms: u16,
    /// So long is the end of what the person had to say, 100 to 5000 ms.
    pub final_end_ms: u16,
}

impl CallerIdType {
    /// It is sent before the phone rings for the first time.
    pub const fn is_before_ring(self) -> bool {
        match self {
            Self::Off | Self::Bellcore | Self::BellcoreSingle | Self::EtsiAfterRing => false,
            Self::EtsiDualTone
            | Self::EtsiLineReversal
            | Self::Dtmf
            | Self::DtmfLineReversal
            | Self::DtmfHash => true,
        }
    }

    /// It is data (FSK), which a phone that talks can be told too.
    pub const fn has_data(self) -> bool {
        match self {
            Self::Bellcore
            | Self::BellcoreSingle
            | Self::EtsiAfterRing
            | Self::EtsiDualTone
            | Self::EtsiLineReversal => true,
            Self::Off | Self::Dtmf | Self::DtmfLineReversal | Self::DtmfHash => false,
        }
    }

    /// Tip and ring are exchanged from before it until the phone rings no more.
    pub const fn reverses_line(self) -> bool {
        matches!(self, Self::EtsiLineReversal | Self::DtmfLineReversal)
    }
}

impl LineSettings {
    /// Both gains, tenths of a dB.
    pub const GAINS: std::ops::RangeInclusive<i16> = -200..=120;

    /// What a line has before anybody has set anything.
    pub const fn of_country(country: [u8; 2]) -> Self {
        Self {
            country,
            caller_id: CallerIdType::Bellcore,
            dtmf: DtmfSettings { profile: DtmfProfile::Att, weakest: None },
            voice: VoiceSettings {
                above_noise: TenthDb(60),
                weakest: TenthDbm0(-500),
                offset_ms: 300,
                provisional_end_ms: 200,
                final_end_ms: 700,
            },
            echo_canceller: false,
            rx_gain: TenthDb(0),
            tx_gain: TenthDb(0),
            automatic_gain: false,
            limiter: false,
        }
    }

    /// Every value is in the range that its documentation gives; whether there is a plan for the
    /// country only the engine knows.
    pub fn in_range(&self) -> bool {
        let Self { dtmf, voice, rx_gain, tx_gain, .. } = self;
        [rx_gain, tx_gain].iter().all(|gain| Self::GAINS.contains(&gain.0))
            && dtmf.weakest.is_none_or(|level| DtmfSettings::WEAKEST.contains(&level.0))
            && voice.in_range()
    }
}

impl DtmfSettings {
    /// Weakest tone, tenths of a dBm0.
    pub const WEAKEST: std::ops::RangeInclusive<i16> = -450..=-200;
}

impl VoiceSettings {
    /// Above the noise, tenths of a dB.
    pub const ABOVE_NOISE: std::ops::RangeInclusive<i16> = 30..=300;
    /// Weakest speech, tenths of a dBm0.
    pub const WEAKEST: std::ops::RangeInclusive<i16> = -600..=-200;
    /// Offset and provisional end, ms.
    pub const PAUSE_MS: std::ops::RangeInclusive<u16> = 100..=3000;
    /// Final end, ms.
    pub const FINAL_END_MS: std::ops::RangeInclusive<u16> = 100..=5000;

    fn in_range(&self) -> bool {
        Self::ABOVE_NOISE.contains(&self.above_noise.0)
            && Self::WEAKEST.contains(&self.weakest.0)
            && Self::PAUSE_MS.contains(&self.offset_ms)
            && Self::PAUSE_MS.contains(&self.provisional_end_ms)
            && Self::FINAL_END_MS.contains(&self.final_end_ms)
    }
}
