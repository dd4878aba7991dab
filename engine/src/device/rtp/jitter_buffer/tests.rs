//! Rules of the module above, in virtual time.

use super::*;
use proptest::prelude::*;

const FIRST: u32 = 0xFFFF_FF00;

/// A loud frame that tells its number: near full scale in both laws.
fn sound(number: u32) -> u8 {
    (number % 32) as u8
}

struct Ear {
    buffer: JitterBuffer,
    frame: Companded,
}

impl Ear {
    fn new() -> Self {
        let frame = Companded { law: Law::Mu, octets: [0xEE; FRAME_SAMPLES] };
        Self { buffer: JitterBuffer::new(), frame }
    }

    fn packet(&mut self, number: u32) -> Inserted {
        let payload = [sound(number); FRAME_SAMPLES];
        self.buffer.insert(FIRST.wrapping_add(number * 160), Law::Mu, &payload)
    }

    fn take(&mut self) -> Heard {
        self.buffer.take(&mut self.frame)
    }

    /// Takes frames of a stream that goes on, one packet a frame, `from` on.
    fn stream(&mut self, from: u32, frames: u32) -> Vec<Heard> {
        let step = |number| {
            self.packet(number);
            self.take()
        };
        (from..from + frames).map(step).collect()
    }

    fn slack_of(&self, number: u32) -> i32 {
        FIRST.wrapping_add(number * 160).wrapping_sub(self.buffer.playing.unwrap()) as i32
    }
}

#[test]
fn the_first_packet_plays_after_40_ms_and_over_the_wrap() {
    let mut ear = Ear::new();
    assert_eq!(ear.take(), Heard::Nothing);
    for number in 0..50 {
        assert_eq!(ear.packet(number), Inserted::Kept);
        let heard = ear.take();
        if number < 2 {
            assert_eq!(heard, Heard::Nothing, "{number}");
        } else {
            assert_eq!(heard, Heard::Frame, "{number}");
            assert_eq!(ear.frame.octets, [sound(number - 2); FRAME_SAMPLES]);
        }
    }
    assert_eq!(ear.buffer.depth_ms(), 40);
}

#[test]
fn every_packet_time_gives_whole_frames() {
    for packet_ms in [10, 20, 30, 40, 60, 100, 200] {
        let mut ear = Ear::new();
        let payload = vec![3; packet_ms * 8];
        let (mut given, mut frames) = (0, 0);
        for tick in 0..500usize {
            // A packet is sent when it is full.
            while (given + 1) * packet_ms <= tick * 20 {
                let timestamp = FIRST.wrapping_add((given * packet_ms * 8) as u32);
                assert_eq!(ear.buffer.insert(timestamp, Law::A, &payload), Inserted::Kept);
                given += 1;
            }
            let heard = ear.take();
            frames += usize::from(heard == Heard::Frame);
            assert!(heard == Heard::Frame || frames == 0, "{packet_ms} ms, tick {tick}");
        }
        assert_eq!(ear.frame.law, Law::A);
        assert!(frames > 480, "{packet_ms} ms: {frames}");
    }
}

#[test]
fn a_loss_is_missing_once() {
    let mut ear = Ear::new();
    ear.stream(0, 10);
    ear.take();
    let heard = ear.stream(11, 10);
    assert_eq!(heard.iter().filter(|heard| **heard == Heard::Missing).count(), 1);
    assert_eq!(heard.iter().filter(|heard| **heard == Heard::Frame).count(), 9);
}

#[test]
fn a_lost_10_ms_packet_costs_its_frame() {
    let mut ear = Ear::new();
    let mut heard = Vec::new();
    for number in 0..40u32 {
        if number != 21 {
            ear.buffer.insert(number * 80, Law::Mu, &[0; 80]);
        }
        if number % 2 == 1 {
            heard.push(ear.take());
        }
    }
    assert_eq!(heard.iter().filter(|heard| **heard == Heard::Missing).count(), 1);
}

#[test]
fn a_late_packet_deepens_the_buffer_and_is_played() {
    let mut ear = Ear::new();
    ear.stream(0, 10);
    for _ in 0..3 {
        ear.take();
    }
    assert_eq!(ear.packet(10), Inserted::Grown);
    assert_eq!(ear.buffer.depth_ms(), 60);
    assert_eq!(ear.take(), Heard::Frame);
    assert_eq!(ear.frame.octets, [sound(10); FRAME_SAMPLES]);
}

#[test]
fn the_buffer_grows_to_120_ms_and_no_further() {
    let mut ear = Ear::new();
    ear.stream(0, 10);
    for _ in 0..8 {
        ear.take();
    }
    assert_eq!(ear.slack_of(10), -960);
    assert_eq!(ear.packet(10), Inserted::Late);
    assert_eq!(ear.buffer.depth_ms(), 120);
    assert_eq!(ear.packet(11), Inserted::Late);
    assert_eq!(ear.packet(12), Inserted::Kept);
    assert_eq!(ear.buffer.depth_ms(), 120);
}

#[test]
fn calm_shortens_the_buffer_again() {
    let mut ear = Ear::new();
    ear.stream(0, 10);
    for _ in 0..5 {
        ear.take();
    }
    for number in 10..15 {
        ear.packet(number);
    }
    let heard = ear.stream(15, 500);
    assert!(heard.iter().all(|heard| *heard == Heard::Frame), "{heard:?}");
    assert_eq!(ear.buffer.depth_ms(), 100);
    ear.stream(515, 6000);
    assert_eq!(ear.buffer.depth_ms(), 40);
    assert_eq!(ear.buffer.dropped(), 3);
}

#[test]
fn a_network_that_has_become_slower_leaves_room_for_its_jitter() {
    let mut ear = Ear::new();
    ear.stream(0, 10);
    for _ in 0..7 {
        ear.take();
    }
    // 140 ms slower from here on, and after a while each tenth packet another 40 ms.
    ear.stream(10, 1000);
    let mut late = 0;
    for number in 1010..3000 {
        if number % 10 != 0 {
            late += u32::from(ear.packet(number) != Inserted::Kept);
        }
        if number % 10 == 2 {
            late += u32::from(ear.packet(number - 2) != Inserted::Kept);
        }
        ear.take();
    }
    assert!(late <= 2, "{late}");
    assert!((40..=100).contains(&ear.buffer.depth_ms()), "{}", ear.buffer.depth_ms());
}

#[test]
fn frames_are_dropped_where_they_are_quiet() {
    let mut ear = Ear::new();
    ear.stream(0, 10);
    ear.buffer.excess = 1;
    ear.stream(10, 5);
    assert_eq!(ear.buffer.dropped(), 0);
    for number in 15..20 {
        ear.buffer.insert(FIRST.wrapping_add(number * 160), Law::Mu, &[0xFF; FRAME_SAMPLES]);
        ear.take();
    }
    assert_eq!((ear.buffer.dropped(), ear.buffer.excess), (1, 0));
}

#[test]
fn silence_by_agreement_is_not_missing_and_keeps_its_length() {
    let mut ear = Ear::new();
    ear.stream(0, 10);
    ear.buffer.handle_quiet(FIRST.wrapping_add(10 * 160));
    let heard: Vec<_> = (0..60).map(|_| ear.take()).collect();
    assert_eq!(&heard[..2], [Heard::Frame; 2]);
    assert_eq!(&heard[2..], [Heard::Nothing; 58]);
    // The next talkspurt: 60 frames later by timestamp and by clock.
    let heard = ear.stream(70, 4);
    assert_eq!(heard, [Heard::Nothing, Heard::Nothing, Heard::Frame, Heard::Frame]);
    assert_eq!(ear.frame.octets, [sound(71); FRAME_SAMPLES]);
}

#[test]
fn silence_half_a_clock_away_is_not_believed() {
    let mut ear = Ear::new();
    ear.stream(0, 10);
    let playing = ear.buffer.playing.unwrap();
    ear.buffer.handle_quiet(playing.wrapping_add(1 << 31));
    assert_eq!(ear.stream(11, 4)[..3], [Heard::Frame, Heard::Frame, Heard::Missing]);
}

#[test]
fn a_loss_before_silence_is_missing() {
    let mut ear = Ear::new();
    ear.stream(0, 10);
    ear.take();
    ear.buffer.handle_quiet(FIRST.wrapping_add(11 * 160));
    let heard: Vec<_> = (0..4).map(|_| ear.take()).collect();
    assert_eq!(heard, [Heard::Frame, Heard::Missing, Heard::Nothing, Heard::Nothing]);
}

#[test]
fn a_sender_that_falls_silent_without_a_word_is_missed_for_120_ms() {
    let mut ear = Ear::new();
    ear.stream(0, 10);
    let heard: Vec<_> = (0..20).map(|_| ear.take()).collect();
    assert_eq!(heard.iter().filter(|heard| **heard == Heard::Missing).count(), 6);
    assert_eq!(heard[8..], [Heard::Nothing; 12]);
    // It goes on where it was, 400 ms late: played anew from there, as at the beginning.
    assert_eq!(ear.packet(10), Inserted::Kept);
    assert_eq!(ear.slack_of(10), 320);
    assert_eq!(ear.buffer.depth_ms(), 40);
}

#[test]
fn a_queue_that_the_network_let_go_of_is_trimmed() {
    let mut ear = Ear::new();
    ear.stream(0, 10);
    for number in 10..24 {
        ear.packet(number);
    }
    assert!(ear.slack_of(23) <= TRIM_SLACK, "{}", ear.slack_of(23));
    let heard = ear.stream(24, 200);
    assert!(heard.iter().all(|heard| *heard == Heard::Frame));
    assert!(ear.slack_of(224) <= 320 + FRAME, "{}", ear.slack_of(224));
}

#[test]
fn a_step_of_more_than_500_ms_starts_anew() {
    for step in [4001 + 320, u32::MAX / 2, 0_u32.wrapping_sub(5000)] {
        let mut ear = Ear::new();
        ear.stream(0, 10);
        let timestamp = FIRST.wrapping_add(1600).wrapping_add(step);
        assert_eq!(ear.buffer.insert(timestamp, Law::Mu, &[9; 160]), Inserted::Reset);
        assert_eq!(
            [ear.take(), ear.take(), ear.take()],
            [Heard::Nothing, Heard::Nothing, Heard::Frame]
        );
        assert_eq!(ear.frame.octets, [9; FRAME_SAMPLES]);
    }
}

#[test]
fn clocks_that_differ_cost_a_frame_now_and_then() {
    // 100 ppm and more, either way: one packet too many or too few each 500 frames.
    let mut ear = Ear::new();
    let mut number = 0;
    let mut heard = [0; 3];
    for tick in 0..20_000u32 {
        let packets = match (tick / 10_000, tick % 500) {
            (0, 499) => 2,
            (1, 499) => 0,
            _ => 1,
        };
        for _ in 0..packets {
            ear.packet(number);
            number += 1;
        }
        heard[ear.take() as usize] += 1;
        assert!(tick < 10 || ear.slack_of(number) <= TRIM_SLACK + FRAME, "tick {tick}");
    }
    assert!(heard[Heard::Frame as usize] > 19_900, "{heard:?}");
}

#[test]
fn a_frame_of_two_laws_is_missing() {
    let mut ear = Ear::new();
    ear.buffer.insert(0, Law::Mu, &[0; 80]);
    ear.buffer.insert(80, Law::A, &[0; 240]);
    let heard: Vec<_> = (0..4).map(|_| ear.take()).collect();
    assert_eq!(heard[2..], [Heard::Missing, Heard::Frame]);
    assert_eq!(ear.frame.law, Law::A);
}

proptest! {
    #[test]
    fn what_arrives_within_the_depth_is_heard_in_order(
        first: u32,
        fates in prop::collection::vec((0..=40u32, 0..8u8), 1..80),
    ) {
        // Packet n arrives at 20 n ms plus its delay, or never (0). The first is in time.
        let mut fates = fates;
        fates[0] = (0, 1);
        let mut buffer = JitterBuffer::new();
        let mut frame = Companded { law: Law::Mu, octets: [0; FRAME_SAMPLES] };
        for tick in 0..fates.len() as u32 + 2 {
            for (number, (delay, fate)) in fates.iter().enumerate() {
                let arrives = number as u32 * 20 + delay;
                if *fate > 0 && arrives.div_ceil(20) == tick {
                    let timestamp = first.wrapping_add(number as u32 * 160);
                    let payload = [sound(number as u32); FRAME_SAMPLES];
                    prop_assert_eq!(buffer.insert(timestamp, Law::Mu, &payload), Inserted::Kept);
                }
            }
            let heard = buffer.take(&mut frame);
            let due = tick.checked_sub(2).map(|due| (due, fates[due as usize].1 > 0));
            match due {
                Some((due, true)) => {
                    prop_assert_eq!(heard, Heard::Frame);
                    prop_assert_eq!(frame.octets, [sound(due); FRAME_SAMPLES]);
                }
                Some((_, false)) => prop_assert_ne!(heard, Heard::Frame),
                None => prop_assert_eq!(heard, Heard::Nothing),
            }
        }
    }

    #[test]
    fn no_stream_panics_or_deepens_the_buffer_without_bound(
        steps in prop::collection::vec((any::<u32>(), 0..2000usize, 0..6u8, any::<bool>()), 0..400),
    ) {
        let mut buffer = JitterBuffer::new();
        let mut frame = Companded { law: Law::Mu, octets: [0; FRAME_SAMPLES] };
        let mut near = 0u32;
        for (random, len, what, is_near) in steps {
            let timestamp = if is_near { near.wrapping_add(random % 3000) } else { random };
            let law = if random % 2 == 0 { Law::Mu } else { Law::A };
            match what {
                0 => buffer.handle_quiet(timestamp),
                1 | 2 => { buffer.take(&mut frame); }
                _ => { buffer.insert(timestamp, law, &vec![0; len]); }
            }
            near = timestamp;
            prop_assert!(buffer.depth_ms() <= 160);
        }
    }
}

/// Plays 5 min of packets that are each delayed by `delay_ms(random)`; the share of frames of
/// the last 4 min that were not heard, in 1/1000, and the mean depth, ms.
fn play_through(delay_ms: impl Fn(u32) -> u32) -> (u32, u32) {
    let mut ear = Ear::new();
    let mut random = 1u32;
    let mut arrivals: Vec<(u32, u32)> = (0..15_000)
        .map(|number| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (number * 20 + delay_ms(random >> 8), number)
        })
        .collect();
    arrivals.sort_unstable();
    let mut arrivals = arrivals.into_iter().peekable();
    let (mut unheard, mut depth) = (0, 0);
    for tick in 0..15_000 {
        while let Some((_, number)) = arrivals.next_if(|(ms, _)| *ms <= tick * 20) {
            ear.packet(number);
        }
        let heard = ear.take();
        if tick >= 3000 {
            unheard += u32::from(heard != Heard::Frame);
            depth += u32::from(ear.buffer.depth_ms());
        }
    }
    (unheard * 1000 / 12_000, depth / 12_000)
}

#[test]
fn usual_networks_cost_less_than_a_hundredth_and_little_delay() {
    type Network = (&'static str, fn(u32) -> u32, u32);
    let table: [Network; 4] = [
        ("a wire", |_| 3, 40),
        ("a house: 0 to 15 ms", |random| random % 16, 60),
        ("radio: 0 to 30 ms, each 100th 60 ms", |r| if r % 100 == 0 { 60 } else { r % 31 }, 100),
        ("far away: 80 to 130 ms", |random| 80 + random % 51, 100),
    ];
    for (name, delay_ms, most_depth_ms) in table {
        let (unheard, depth_ms) = play_through(delay_ms);
        assert!(unheard <= 10, "{name}: {unheard}/1000 unheard");
        assert!(depth_ms <= most_depth_ms, "{name}: {depth_ms} ms deep");
    }
}
