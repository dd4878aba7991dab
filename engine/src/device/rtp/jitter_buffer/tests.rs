//! Rules of the module above, in virtual time.

use super::*;
use proptest::prelude::*;

const FIRST: u32 = 0xFFFF_FF00;

/// A loud frame that tells its number: near full scale in both laws.
fn sound(number: u32) -> u8 {
    (number % 32) as u8
}

/// Who plays what the buffer gives: a tick is 20 ms, and half a pitch period comes or goes in each
/// where the buffer wants it.
struct Ear {
    buffer: JitterBuffer,
    frame: Companded,
    tick: u32,
    held: u32,
}

impl Ear {
    fn new() -> Self {
        let frame = Companded { law: Law::Mu, octets: [0xEE; FRAME_SAMPLES] };
        Self { buffer: JitterBuffer::new(), frame, tick: 0, held: 0 }
    }

    fn now(&self) -> Nanos {
        Nanos(u64::from(self.tick) * FRAME_NS)
    }

    /// A packet that came `early_ms` before this tick.
    fn early_packet(&mut self, number: u32, early_ms: u64) -> Inserted {
        let payload = [sound(number); FRAME_SAMPLES];
        let arrived = Nanos(self.now().0.saturating_sub(early_ms * 1_000_000));
        let timestamp = FIRST.wrapping_add(number * 160);
        self.buffer.handle_tick(self.now());
        self.buffer.insert(arrived, timestamp, Law::Mu, &payload).0
    }

    fn packet(&mut self, number: u32) -> Inserted {
        self.early_packet(number, 0)
    }

    /// A tick without time-scaling.
    fn take(&mut self) -> Heard {
        self.buffer.handle_tick(self.now());
        self.buffer.pace(0);
        self.tick += 1;
        self.buffer.take(&mut self.frame)
    }

    /// A tick with it; what was heard of the frames that it took.
    fn play(&mut self) -> Vec<Heard> {
        self.buffer.handle_tick(self.now());
        self.play_on()
    }

    /// The same in a tick that began already.
    fn play_on(&mut self) -> Vec<Heard> {
        let pace = self.buffer.pace(self.held);
        let hastens = matches!(pace, Pace::Faster | Pace::Hurry);
        let mut heard = Vec::new();
        while self.held < if hastens { 280 } else { 160 } {
            heard.push(self.buffer.take(&mut self.frame));
            self.held += 160;
        }
        match pace {
            Pace::Faster => self.held -= 40,
            Pace::Hurry => self.held -= 80,
            Pace::Slower => self.held += 40,
            Pace::Steady => {}
        }
        self.held -= 160;
        self.tick += 1;
        heard
    }

    /// Takes frames of a stream that goes on, one packet a frame, `from` on.
    fn stream(&mut self, from: u32, frames: u32) -> Vec<Heard> {
        let step = |number| {
            self.packet(number);
            self.take()
        };
        (from..from + frames).map(step).collect()
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
fn what_a_packet_waited_for_its_tick_counts() {
    let mut ear = Ear::new();
    ear.tick = 1;
    ear.early_packet(0, 19);
    assert_eq!((ear.take(), ear.take()), (Heard::Nothing, Heard::Frame));
    assert_eq!(ear.buffer.depth_ms(), 39);
}

#[test]
fn packets_that_come_about_when_their_tick_reads_starve_nobody() {
    let mut ear = Ear::new();
    let mut heard = Vec::new();
    // Each seventh packet comes just after its tick has read.
    let misses_its_tick = |number: u32| number % 7 == 6;
    for number in 0..500u32 {
        let now = ear.now().0;
        ear.buffer.handle_tick(ear.now());
        for number in number.saturating_sub(1)..=number {
            let arrived_ns = match (misses_its_tick(number), number == ear.tick) {
                (false, true) => now + 300_000,
                (true, false) => now - FRAME_NS + 600_000,
                _ => continue,
            };
            let timestamp = FIRST.wrapping_add(number * 160);
            let payload = [sound(number); FRAME_SAMPLES];
            ear.buffer.insert(Nanos(arrived_ns), timestamp, Law::Mu, &payload);
        }
        heard.extend(ear.play_on());
    }
    let missing = heard.iter().filter(|heard| **heard == Heard::Missing).count();
    assert_eq!(missing, 0);
}

#[test]
fn every_packet_time_gives_whole_frames() {
    for packet_ms in [10, 20, 30, 40, 60, 100, 200] {
        let mut ear = Ear::new();
        let payload = vec![3; packet_ms * 8];
        let (mut given, mut frames) = (0, 0);
        for tick in 0..500usize {
            // A packet is sent when it is full.
            ear.buffer.handle_tick(ear.now());
            while (given + 1) * packet_ms <= tick * 20 {
                let timestamp = FIRST.wrapping_add((given * packet_ms * 8) as u32);
                let arrived = Nanos(((given + 1) * packet_ms * 1_000_000) as u64);
                let (inserted, _) = ear.buffer.insert(arrived, timestamp, Law::A, &payload);
                assert_eq!(inserted, Inserted::Kept);
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
fn late_audio_that_nothing_followed_is_played_and_the_depth_returns() {
    let mut ear = Ear::new();
    for number in 0..100 {
        ear.packet(number);
        ear.play();
    }
    // Nothing for 100 ms, then all of it at once.
    let mut missing = 0;
    for _ in 0..5 {
        missing += ear.play().iter().filter(|heard| **heard == Heard::Missing).count();
    }
    let late: Vec<_> = (100..105).map(|number| ear.packet(number)).collect();
    assert_eq!(late[0], Inserted::Grown);
    assert_eq!(late[1..], [Inserted::Kept; 4]);
    assert!(missing >= 3, "{missing}");
    let mut heard = Vec::new();
    for number in 105..600 {
        ear.packet(number);
        heard.extend(ear.play());
    }
    assert!(heard.iter().all(|heard| *heard == Heard::Frame), "nothing is lost: {heard:?}");
    assert!(ear.buffer.depth_ms() <= 60, "{}", ear.buffer.depth_ms());
}

#[test]
fn late_audio_that_was_passed_over_is_not_played_again() {
    let mut ear = Ear::new();
    ear.stream(0, 10);
    ear.take();
    ear.stream(11, 3);
    assert_eq!(ear.packet(10), Inserted::Late);
    assert_eq!(ear.stream(14, 5), [Heard::Frame; 5]);
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
    ear.buffer.handle_quiet((playing as u32).wrapping_add(1 << 31));
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
    assert_eq!([ear.take(), ear.take(), ear.take()][2], Heard::Frame);
    assert_eq!(ear.frame.octets, [sound(10); FRAME_SAMPLES]);
}

#[test]
fn a_step_of_more_than_500_ms_starts_anew() {
    for step in [4001 + 320, u32::MAX / 2, 0_u32.wrapping_sub(5000)] {
        let mut ear = Ear::new();
        ear.stream(0, 10);
        let timestamp = FIRST.wrapping_add(1600).wrapping_add(step);
        let (inserted, _) = ear.buffer.insert(ear.now(), timestamp, Law::Mu, &[9; 160]);
        assert_eq!(inserted, Inserted::Reset);
        assert_eq!(
            [ear.take(), ear.take(), ear.take()],
            [Heard::Nothing, Heard::Nothing, Heard::Frame]
        );
        assert_eq!(ear.frame.octets, [9; FRAME_SAMPLES]);
    }
}

#[test]
fn a_frame_of_two_laws_is_missing() {
    let mut ear = Ear::new();
    ear.buffer.insert(Nanos(0), 0, Law::Mu, &[0; 80]);
    ear.buffer.insert(Nanos(0), 80, Law::A, &[0; 240]);
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
        let mut ear = Ear::new();
        for tick in 0..fates.len() as u32 + 2 {
            ear.buffer.handle_tick(ear.now());
            for (number, (delay, fate)) in fates.iter().enumerate() {
                let arrives = number as u32 * 20 + delay;
                if *fate > 0 && arrives.div_ceil(20) == tick {
                    let timestamp = first.wrapping_add(number as u32 * 160);
                    let payload = [sound(number as u32); FRAME_SAMPLES];
                    let arrived = Nanos(u64::from(arrives) * 1_000_000);
                    let (inserted, _) = ear.buffer.insert(arrived, timestamp, Law::Mu, &payload);
                    prop_assert_eq!(inserted, Inserted::Kept);
                }
            }
            let heard = ear.take();
            let due = tick.checked_sub(2).map(|due| (due, fates[due as usize].1 > 0));
            match due {
                Some((due, true)) => {
                    prop_assert_eq!(heard, Heard::Frame);
                    prop_assert_eq!(ear.frame.octets, [sound(due); FRAME_SAMPLES]);
                }
                Some((_, false)) => prop_assert_ne!(heard, Heard::Frame),
                None => prop_assert_eq!(heard, Heard::Nothing),
            }
        }
    }

    #[test]
    fn no_stream_panics_or_holds_more_than_its_ring(
        steps in prop::collection::vec(
            (any::<u32>(), 0..2000usize, 0..7u8, any::<bool>(), any::<u64>()), 0..400),
    ) {
        let mut buffer = JitterBuffer::new();
        let mut frame = Companded { law: Law::Mu, octets: [0; FRAME_SAMPLES] };
        let (mut near, mut now) = (0u32, Nanos(0));
        for (random, len, what, is_near, leap) in steps {
            let timestamp = if is_near { near.wrapping_add(random % 3000) } else { random };
            let law = if random % 2 == 0 { Law::Mu } else { Law::A };
            match what {
                0 => buffer.handle_quiet(timestamp),
                1 | 2 => { buffer.take(&mut frame); }
                3 => {
                    // Our own clock: up to thirteen days since start.
                    now = if is_near { Nanos(now.0 + FRAME_NS) } else { Nanos(leap >> 14) };
                    buffer.handle_tick(now);
                    buffer.pace(random % 640);
                }
                _ => { buffer.insert(now, timestamp, law, &vec![0; len]); }
            }
            near = timestamp;
            buffer.depth_ms();
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
        while let Some((ms, number)) = arrivals.next_if(|(ms, _)| *ms <= tick * 20) {
            ear.early_packet(number, u64::from(tick * 20 - ms));
        }
        let heard = ear.play();
        if tick >= 3000 {
            unheard += heard.iter().filter(|heard| **heard != Heard::Frame).count() as u32;
            depth += u32::from(ear.buffer.depth_ms());
        }
    }
    (unheard * 1000 / 12_000, depth / 12_000)
}

#[test]
fn usual_networks_cost_less_than_a_hundredth_and_little_delay() {
    type Network = (&'static str, fn(u32) -> u32, u32);
    let table: [Network; 5] = [
        ("a wire", |_| 3, 40),
        ("a house: 0 to 15 ms", |random| random % 16, 50),
        ("radio: 0 to 30 ms, each 100th 60 ms", |r| if r % 100 == 0 { 60 } else { r % 31 }, 100),
        ("far away: 80 to 130 ms", |random| 80 + random % 51, 95),
        ("bad: 0 to 100 ms", |random| random % 101, 145),
    ];
    for (name, delay_ms, most_depth_ms) in table {
        let (unheard, depth_ms) = play_through(delay_ms);
        eprintln!("{name}: {unheard}/1000 unheard, {depth_ms} ms deep");
        assert!(unheard <= 10, "{name}: {unheard}/1000 unheard");
        assert!(depth_ms <= most_depth_ms, "{name}: {depth_ms} ms deep");
    }
}

#[test]
fn no_network_deepens_the_buffer_beyond_300_ms() {
    let (_, depth_ms) = play_through(|random| random % 401);
    assert!((200..=310).contains(&depth_ms), "{depth_ms}");
}
