//! What a DTMF receiver accepts and refuses, by administration.
//!
//! *Sources.* ITU-T Q.24 table A-1, columns AT&T (TIA-464 asks the same) and NTT; the reference
//! receiver of ETSI ES 201 235-3 V1.3.1. Where a clause says from where on a receiver shall
//! accept and from where on it shall refuse, the limit here lies between the two.
//!
//! | | `att` | `ntt` | `etsi` |
//! |---|---|---|---|
//! | frequency | ±1.5 %, ±3.5 % | ±1.8 %, ±3.0 % | ±(1.5 % + 2 Hz), – |
//! | level of a tone, dBm0 | 0 to −25, −55 | −3 to −24, −29 | −4 to −30, below |
//! | twist, high over low | −8 to +4 dB | ±5 dB | ±6 dB |
//! | length | 40, 23 ms | 40, 24 ms | 40, 20 ms |
//! | pause that separates | 40 ms | 30 ms | 40 ms |
//! | interruption that does not | 10 ms | 10 ms | 20 ms |

use crate::dsp::level;
use tipring_shm_proto::settings::{DtmfProfile, DtmfSettings};
use tipring_shm_proto::units::TenthDbm0;

/// The limits of one receiver.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DtmfLimits {
    /// Mean square of the weakest tone of a digit.
    pub(super) weakest: f32,
    /// High over low, in power: of a digit's mean.
    pub(super) twist: [f32; 2],
    /// Largest relative deviation of a frequency.
    pub(super) deviation: f32,
    /// Hops of 2.5 ms without a hit that end a digit: 10 ms of silence give 5, 40 ms give 17.
    pub(super) end_gap: u32,
}

/// −9.8 to +5.8 dB: between −8 and −12, +4 and +12; 1.95 % lies between 1.5 and 3.5, and near what
/// is to be accepted, for what speaks is seldom so near.
const ATT: DtmfLimits =
    DtmfLimits { weakest: 0.0, twist: [0.105, 3.8], deviation: 0.0195, end_gap: 12 };
/// ±6.5 dB; 2.4 % lies between 1.8 and 3.0; 30 ms of silence give 11 hops at least.
const NTT: DtmfLimits = DtmfLimits { twist: [0.224, 4.47], deviation: 0.024, end_gap: 10, ..ATT };
/// ±7.5 dB; 1.5 % and 2 Hz are 1.8 % of the lowest tone.
const ETSI: DtmfLimits = DtmfLimits { twist: [0.178, 5.62], deviation: 0.024, ..ATT };

impl DtmfLimits {
    /// Those of a profile, whose sensitivity `weakest` replaces.
    pub fn of(settings: DtmfSettings) -> Self {
        let (limits, its_own) = match settings.profile {
            DtmfProfile::Att => (ATT, TenthDbm0(-400)),
            DtmfProfile::Ntt => (NTT, TenthDbm0(-265)),
            DtmfProfile::Etsi => (ETSI, TenthDbm0(-315)),
        };
        let peak = level::peak(settings.weakest.unwrap_or(its_own));
        Self { weakest: peak * peak / 2.0, ..limits }
    }
}
