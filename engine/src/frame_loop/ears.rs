//! What a line hears in its phone's audio: its level.

use crate::dsp::bounded::Bounded;
use crate::dsp::level;
use crate::frame::Linear;
use tipring_shm_proto::units::TenthDbm0;

/// Listens to one line.
#[derive(Debug)]
pub(super) struct Listener;

/// What one frame held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listened {
    pub(super) level: TenthDbm0,
    pub(super) clipped: bool,
    pub(super) voice: Option<bool>,
    pub(super) digits: Bounded<DtmfEvent, 4>,
}

/// A digit in the audio.
#[derive(Clone, Copy, Debug)]
pub(super) enum DtmfEvent {
    Begin { digit: u8 },
    End { digit: u8, duration_ms: u16, level: TenthDbm0 },
}

impl Listener {
    pub(super) fn new() -> Self {
        Self
    }
    pub(super) fn shed(&mut self, _: bool) {}
    pub(super) fn rest(&mut self) {}
    pub(super) fn set_in_band_digits(&mut self, _: bool) {}
    pub(super) fn listen(&mut self, rx: &mut Linear, _: bool, _: &Linear) -> Listened {
        let level = level::measure(rx);
        let (level, clipped) = (level.dbm0, level.clipped);
        Listened { level, clipped, voice: None, digits: Bounded::new() }
    }
}
