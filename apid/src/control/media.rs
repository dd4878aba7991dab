//! RTP of SIP lines: what was opened, what was agreed on, how it is doing.

use super::{MediaAnswer, RemoteMedia};
use crate::view::MediaStatistics;
use tipring_shm_proto::command::{Law, RtpMedia};
use tipring_shm_proto::line_table::RtpRow;
use tipring_shm_proto::units::FRAME_MS;

/// Payload type of telephone-event in our own offers (RFC 4733; 101 is what everybody uses).
pub(super) const TELEPHONE_EVENT: u8 = 101;

/// RTP that is open on a SIP line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LineMedia {
    pub(super) port: u16,
    pub(super) law: Law,
    pub(super) telephone_event: Option<u8>,
}

impl LineMedia {
    pub(super) fn answer(self) -> MediaAnswer {
        MediaAnswer { port: self.port, law: self.law, telephone_event: self.telephone_event }
    }
}

/// The first of the phone's laws that the line takes.
pub(super) fn common_law(media: &RemoteMedia, ours: &[Law]) -> Option<Law> {
    media.laws.iter().copied().find(|law| ours.is_empty() || ours.contains(law))
}

/// What the engine is to do for the phone's description.
pub(super) fn rtp(media: &RemoteMedia, law: Law) -> RtpMedia {
    RtpMedia {
        remote: media.remote.map(Into::into),
        law,
        telephone_event: media.telephone_event,
        send: media.wants_audio,
        receive: media.sends_audio,
    }
}

/// How RTP is doing. The score is the E-model's (ITU-T G.107) for G.711 with concealment (G.113
/// appendix I: Bpl 25.1), from random loss and the delay known here.
pub(super) fn statistics(row: &RtpRow) -> MediaStatistics {
    let expected = row.received + row.lost;
    let heard = row.received > 0;
    let loss_percent =
        if expected == 0 { 0.0 } else { (row.lost + row.late) as f64 * 100.0 / expected as f64 };
    let delay_ms = f64::from(row.depth_ms) + f64::from(FRAME_MS);
    MediaStatistics {
        packets: row.received,
        packets_sent: row.sent,
        lost: row.lost,
        late: row.late,
        jitter_ms: f64::from(row.jitter_us) / 1000.0,
        round_trip_ms: None,
        mos: heard.then(|| mos(loss_percent, delay_ms)),
        one_way_delay_ms: None,
    }
}

fn mos(loss_percent: f64, delay_ms: f64) -> f64 {
    let late_ms = (delay_ms - 177.3).max(0.0);
    let delay = 0.024 * delay_ms + 0.11 * late_ms;
    let loss = 95.0 * loss_percent / (loss_percent + 25.1);
    let r = (93.2 - delay - loss).clamp(0.0, 100.0);
    let mos = 1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6;
    (mos.clamp(1.0, 4.5) * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_falls_with_loss_and_delay() {
        assert!((mos(0.0, 40.0) - 4.39).abs() < 0.05, "{}", mos(0.0, 40.0));
        assert!(mos(5.0, 40.0) < mos(1.0, 40.0));
        assert!(mos(0.0, 400.0) < mos(0.0, 40.0));
        assert!(mos(100.0, 1000.0) >= 1.0);
    }

    #[test]
    fn the_phones_order_of_laws_decides_among_ours() {
        let media = RemoteMedia {
            remote: None,
            laws: vec![Law::A, Law::Mu],
            telephone_event: None,
            wants_audio: true,
            sends_audio: true,
        };
        assert_eq!(common_law(&media, &[Law::Mu, Law::A]), Some(Law::A));
        assert_eq!(common_law(&media, &[Law::Mu]), Some(Law::Mu));
        assert_eq!(common_law(&RemoteMedia { laws: vec![Law::A], ..media }, &[Law::Mu]), None);
    }
}
