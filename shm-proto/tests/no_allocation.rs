//! Nothing that a frame loop calls allocates, whatever lies in the downlink.
#![cfg(not(loom))]

use assert_no_alloc::{AllocDisabler, assert_no_alloc, reset_violation_count, violation_count};
use std::fs::File;
use std::os::unix::fs::FileExt;
use tipring_shm_proto::command::{Command, LineKind, Outcome, Request};
use tipring_shm_proto::counters::Counter;
use tipring_shm_proto::event::{Event, LineEvent, Stamped};
use tipring_shm_proto::layout::{DownlinkLayout, PAGE_BYTES};
use tipring_shm_proto::line_table::LineRow;
use tipring_shm_proto::units::*;
use tipring_shm_proto::*;

#[global_allocator]
static ALLOCATOR: AllocDisabler = AllocDisabler;

const DIMENSIONS: Dimensions = Dimensions { loops: 1, lines: 1 };

#[test]
fn nothing_allocates_on_a_frame_loop() {
    let uplink = Uplink::create(DIMENSIONS, Generation(1)).unwrap();
    uplink.set_ready();
    let (frame_loop, line) = (LoopId(0), LineId(0));
    let mut events = uplink.event_writer(frame_loop);
    let mut audio = uplink.audio_writer(line);
    let mut rows = uplink.line_writer(line);
    let counters = uplink.counters(frame_loop);
    let label = Text32::new("sim/1");
    let row = LineRow::at_rest(label, LineKind::Sim, frame_loop, Nanos(1));
    let event = Event::Line { line, event: LineEvent::RingStarted };
    let event = Stamped { at: Nanos(1), event };

    // Good commands; then garbage of several kinds; then nothing but full rings.
    for round in 0..40_u64 {
        let downlink = Downlink::create(&uplink, Attachment(round as u32 + 1)).unwrap();
        let [up, down] = [uplink.fd(), downlink.fd()].map(|fd| fd.try_clone_to_owned().unwrap());
        let file = File::from(downlink.fd().try_clone_to_owned().unwrap());
        let map = EngineMap::attach(up, down).unwrap();
        let mut commands = map.command_writer(frame_loop);
        let mut play = map.play_writer(line, 0);
        for n in 0..100 {
            let (id, generation) = (CommandId(n), Generation(1));
            let command = Command::Tag(n);
            commands.send(&Request { id, generation, line, command }).unwrap();
            play.audio(PlaybackId(1), &[1; 160]).unwrap();
        }
        if round > 0 {
            let layout = DownlinkLayout::of(DIMENSIONS);
            let from = if round % 4 == 0 { PAGE_BYTES } else { layout.commands };
            let mut seed = round;
            let garbage: Vec<u8> = (0..(layout.size - from) / 8)
                .flat_map(|_| {
                    seed ^= seed << 13;
                    seed ^= seed >> 7;
                    seed ^= seed << 17;
                    let small = round % 2 == 1;
                    (if small { seed % 130 } else { seed }).to_le_bytes()
                })
                .collect();
            file.write_all_at(&garbage, from as u64).unwrap();
        }
        let cursor = downlink.event_cursor(frame_loop);
        let mut taker = downlink.command_reader(frame_loop);
        let mut player = downlink.play_reader(line, 0);
        let mut former = None;
        reset_violation_count();
        assert_no_alloc(|| {
            former = events.attach(cursor);
            for _ in 0..2000 {
                match taker.take(&mut events) {
                    Ok(Taken::Command(request, reservation)) => {
                        events.answer(reservation, Nanos(1), request.id, Outcome::Done);
                    }
                    Ok(Taken::Malformed(id, reservation)) => {
                        events.answer(reservation, Nanos(1), id, Outcome::Done);
                    }
                    Ok(Taken::Nothing) | Err(_) => {}
                }
                let _ = player.take();
                let (level, flags) = (TenthDbm0::SILENCE, FrameFlags::VOICE);
                audio.publish(Direction::Tx, Nanos(1), level, flags, &[1; 160]);
                rows.publish(&row);
                events.publish(&event);
                counters.add(Counter::ticks_total, 1);
                let _ = events.finish_wake(true);
            }
            let _ = player.flush();
        });
        assert_eq!(violation_count(), 0, "round {round}");
        drop(former);
    }
}
