//! Conferences: whoever sits there hears the sum of the others, and never himself.
//!
//! *What it does.* A seat is the far end of a line's [crossing](crate::crossing), whatever loop that
//! line is in. [`Conferences::mix`] takes a frame of each seat and hands each the sum of those
//! that it is to hear. A line leaves by dropping its end: its seat is free with the next mix.
//!
//! *How it works.* Those that everybody hears are added once, exactly; a seat gets that sum less
//! its own part, which is exact too, and what is whispered to it. One voice alone passes bit by
//! bit; sums are bent by the mixer's knee, so that nothing clips ([`soften`]).
//!
//! # Real-time contract
//! Every room and seat is allocated by [`Conferences::new`]. A mix neither allocates, frees nor
//! waits; ends of seats that were left go to the supervisor to be dropped.

use super::orders::Discard;
use super::outside::Outside;
use super::{PHASES, ROOM_FOR_REPORTS};
use crate::crossing::{Crossed, CrossingEnd};
use crate::dsp::limiter::soften;
use crate::dsp::sample::rounded;
use crate::frame::{Linear, SILENCE};
use tipring_shm_proto::command::{HeardBy, Refusal};
use tipring_shm_proto::counters::Counter;
use tipring_shm_proto::units::{ConferenceId, FRAME_SAMPLES, LineId};

/// See the module.
#[derive(Debug, Default)]
pub struct Conferences(Vec<Room>);

#[derive(Debug)]
struct Room {
    /// Never longer than its capacity.
    seats: Vec<Seat>,
}

#[derive(Debug)]
struct Seat {
    line: LineId,
    heard_by: HeardBy,
    end: CrossingEnd,
    /// What its line says in this frame; `None` where there is nothing of it.
    says: Option<Linear>,
}

impl Conferences {
    /// So many of them, each with so many seats. Allocates.
    pub fn new(rooms: u16, seats: u16) -> Self {
        let room = || Room { seats: Vec::with_capacity(usize::from(seats)) };
        Self((0..rooms).map(|_| room()).collect())
    }

    /// Gives a line a seat.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] where there is no such conference, [`Refusal::Full`] where it has no
    /// free seat; and the end, to be dropped elsewhere.
    pub(super) fn sit(
        &mut self,
        conference: ConferenceId,
        line: LineId,
        heard_by: HeardBy,
        end: CrossingEnd,
    ) -> Result<(), (Refusal, CrossingEnd)> {
        let Some(room) = self.0.get_mut(usize::from(conference.0)) else {
            return Err((Refusal::Malformed, end));
        };
        if room.seats.len() == room.seats.capacity() {
            return Err((Refusal::Full, end));
        }
        room.seats.push(Seat { line, heard_by, end, says: None });
        Ok(())
    }

    /// One frame of every conference whose turn it is in this phase.
    pub(super) fn mix(&mut self, phase: usize, outside: &mut Outside) {
        for room in self.0.iter_mut().skip(phase).step_by(PHASES) {
            room.listen(outside);
            room.speak(outside);
        }
    }
}

impl Room {
    /// Takes what everybody says, and back the seats of those who have left.
    fn listen(&mut self, outside: &mut Outside) {
        let mut index = 0;
        while let Some(seat) = self.seats.get_mut(index) {
            let mut frame = SILENCE;
            match seat.end.receive(&mut frame) {
                Crossed::Frame { dropped } => {
                    outside.count(Counter::bridge_dropped_frames_total, u64::from(dropped));
                    seat.says = Some(frame);
                }
                Crossed::Empty => seat.says = None,
                // Where nobody can be told, the seat waits for the next frame.
                Crossed::Gone if !outside.has_room(ROOM_FOR_REPORTS) => seat.says = None,
                Crossed::Gone => {
                    let seat = self.seats.swap_remove(index);
                    outside.discard(Discard::Crossing(seat.end));
                    continue;
                }
            }
            index += 1;
        }
    }

    /// Hands each what it is to hear.
    fn speak(&mut self, outside: &mut Outside) {
        let mut sum = Sum::default();
        for seat in self.seats.iter().filter(|seat| seat.heard_by == HeardBy::Everybody) {
            sum.add(seat.says.as_ref());
        }
        for index in 0..self.seats.len() {
            let own = &self.seats[index];
            let mut others = sum;
            if own.heard_by == HeardBy::Everybody {
                others.take_out(own.says.as_ref());
            }
            let to_own = HeardBy::Only(own.line);
            for (other, seat) in self.seats.iter().enumerate() {
                if seat.heard_by == to_own && other != index {
                    others.add(seat.says.as_ref());
                }
            }
            if !self.seats[index].end.send(&others.frame()) {
                outside.count(Counter::bridge_dropped_frames_total, 1);
            }
        }
    }
}

/// A frame under addition: with 16 bits each, far more voices than there are lines fit.
#[derive(Clone, Copy)]
struct Sum {
    samples: [i32; FRAME_SAMPLES],
    voices: u16,
}

impl Default for Sum {
    fn default() -> Self {
        Self { samples: [0; FRAME_SAMPLES], voices: 0 }
    }
}

impl Sum {
    fn add(&mut self, frame: Option<&Linear>) {
        let Some(frame) = frame else { return };
        self.voices += 1;
        self.samples.iter_mut().zip(frame).for_each(|(sum, own)| *sum += i32::from(*own));
    }

    fn take_out(&mut self, frame: Option<&Linear>) {
        let Some(frame) = frame else { return };
        self.voices -= 1;
        self.samples.iter_mut().zip(frame).for_each(|(sum, own)| *sum -= i32::from(*own));
    }

    fn frame(&self) -> Linear {
        if self.voices <= 1 {
            // One voice, or none: it fits as it is.
            return self.samples.map(|sample| sample as i16);
        }
        self.samples.map(|sample| rounded(soften(sample as f32)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crossing::pair;

    const HERE: ConferenceId = ConferenceId(0);

    /// Lines 0, 1, 2 … in one conference, each saying its value; what each hears then.
    fn heard(seats: &[(i16, HeardBy)]) -> Vec<i16> {
        let mut room = Conferences::new(1, seats.len() as u16);
        let mut lines = Vec::new();
        for (index, &(value, heard_by)) in seats.iter().enumerate() {
            let (mut line, end) = pair();
            assert!(line.send(&[value; FRAME_SAMPLES]));
            assert!(room.sit(HERE, LineId(index as u16), heard_by, end).is_ok());
            lines.push(line);
        }
        let uplink = uplink();
        let mut outside = outside(&uplink);
        room.mix(0, &mut outside);
        let hears = |mut line: CrossingEnd| {
            let mut frame = SILENCE;
            assert_eq!(line.receive(&mut frame), Crossed::Frame { dropped: 0 });
            assert!(frame.iter().all(|&sample| sample == frame[0]));
            frame[0]
        };
        lines.into_iter().map(hears).collect()
    }

    fn uplink() -> tipring_shm_proto::Uplink {
        let dimensions = tipring_shm_proto::Dimensions { loops: 1, lines: 1 };
        let generation = tipring_shm_proto::units::Generation(1);
        tipring_shm_proto::Uplink::create(dimensions, generation).unwrap()
    }

    fn outside(uplink: &tipring_shm_proto::Uplink) -> Outside {
        let (reports, _) = rtrb::RingBuffer::new(64);
        Outside::new(tipring_shm_proto::units::LoopId(0), uplink, reports)
    }

    #[test]
    fn each_hears_exactly_the_others() {
        let all = HeardBy::Everybody;
        assert_eq!(heard(&[(1, all), (20, all), (300, all)]), [320, 301, 21]);
        assert_eq!(heard(&[(7, all)]), [0]);
        // One voice passes whole, however loud; two never wrap round.
        assert_eq!(heard(&[(i16::MIN, all), (0, all)])[1], i16::MIN);
        assert!(heard(&[(30_000, all), (30_000, all), (0, all)])[2] > 30_000);
        assert!(heard(&[(-30_000, all), (-30_000, all), (0, all)])[2] < -30_000);
    }

    #[test]
    fn who_listens_in_is_not_heard_and_a_whisper_reaches_one() {
        let (all, nobody, first) = (HeardBy::Everybody, HeardBy::Nobody, HeardBy::Only(LineId(0)));
        assert_eq!(heard(&[(1, all), (20, all), (300, nobody)]), [20, 1, 21]);
        assert_eq!(heard(&[(1, all), (20, all), (300, first)]), [320, 1, 21]);
    }

    #[test]
    fn a_seat_is_free_when_its_line_has_left_and_no_more_sit_than_may() {
        let uplink = uplink();
        let mut outside = outside(&uplink);
        let mut rooms = Conferences::new(2, 2);
        let sit = |rooms: &mut Conferences, conference| {
            let (line, end) = pair();
            let sat = rooms.sit(ConferenceId(conference), LineId(0), HeardBy::Everybody, end);
            sat.map(|()| line).map_err(|(refusal, _)| refusal)
        };
        let first = sit(&mut rooms, 0).unwrap();
        let _second = sit(&mut rooms, 0).unwrap();
        assert_eq!(sit(&mut rooms, 0).unwrap_err(), Refusal::Full);
        let _other = sit(&mut rooms, 1).unwrap();
        assert_eq!(sit(&mut rooms, 2).unwrap_err(), Refusal::Malformed);
        drop(first);
        rooms.mix(0, &mut outside);
        assert!(sit(&mut rooms, 0).is_ok());
    }
}
