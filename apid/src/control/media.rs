//! RTP of SIP lines: what was opened, what was agreed on, how it is doing.

use super::{MediaAnswer, RemoteMedia};
use crate::call::DigitTruth;
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
    /// How the phone sends digits in this call.
    pub(super) digits: DigitTruth,
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
        rtcp_mux: media.rtcp_mux,
        srtp: media.srtp,
    }
}

/// How RTP is doing.
pub(super) fn statistics(row: &RtpRow) -> MediaStatistics {
    let ms = |us: u32| f64::from(us) / 1000.0;
    let round_trip_ms = row.round_trip_us.map(ms);
    let here_ms = f64::from(row.depth_ms) + f64::from(FRAME_MS);
    let mos = |hundredths: u16| f64::from(hundredths) / 100.0;
    MediaStatistics {
        packets: row.received,
        packets_sent: row.sent,
        lost: row.lost,
        late: row.late,
        jitter_ms: ms(row.jitter_us),
        round_trip_ms,
        mos: row.quality.map(|quality| mos(quality.call_mos)),
        one_way_delay_ms: round_trip_ms.map(|round_trip| round_trip / 2.0 + here_ms),
        mos_recent: row.quality.map(|quality| mos(quality.recent_mos)),
        duplicates: row.duplicates,
        concealed_ms: row.concealed_ms,
        buffer_ms: row.depth_ms,
        stretched_ms: row.stretched_ms,
        shortened_ms: row.shortened_ms,
        drift_ppm: row.drift_ppm,
        far_loss_percent: row.far_end.map(|far| f64::from(far.fraction_lost) * 100.0 / 256.0),
        far_jitter_ms: row.far_end.map(|far| ms(far.jitter_us)),
        srtp: row.srtp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phones_order_of_laws_decides_among_ours() {
        let media = RemoteMedia {
            remote: None,
            laws: vec![Law::A, Law::Mu],
            telephone_event: None,
            wants_audio: true,
            sends_audio: true,
            rtcp_mux: false,
            srtp: None,
        };
        assert_eq!(common_law(&media, &[Law::Mu, Law::A]), Some(Law::A));
        assert_eq!(common_law(&media, &[Law::Mu]), Some(Law::Mu));
        assert_eq!(common_law(&RemoteMedia { laws: vec![Law::A], ..media }, &[Law::Mu]), None);
    }
}
