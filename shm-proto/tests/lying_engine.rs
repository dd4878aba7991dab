//! The other way round: apid trusts the engine with calls, but not with its own life. Whatever
//! the uplink holds, attaching fails with a reason, or reading goes on without a panic.
#![cfg(not(loom))]

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::time::Duration;
use tipring_shm_proto::command::{Command, Request};
use tipring_shm_proto::layout::{DownlinkLayout, PAGE_BYTES, UplinkLayout};
use tipring_shm_proto::units::*;
use tipring_shm_proto::*;

const DIMENSIONS: Dimensions = Dimensions { loops: 2, lines: 3 };

/// xorshift64*: the same bytes in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

/// A sealed memory file with these bytes.
fn sealed(bytes: &[u8], uplink: bool) -> OwnedFd {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let file = File::from(memfd_create("lying-engine", flags).unwrap());
    file.write_all_at(bytes, 0).unwrap();
    let mut seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
    if uplink {
        seals |= SealFlag::F_SEAL_FUTURE_WRITE;
    }
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).unwrap();
    file.into()
}

/// What honest segments begin with.
fn headers() -> [Vec<u8>; 2] {
    let uplink = Uplink::create(DIMENSIONS, Generation(1)).unwrap();
    uplink.set_ready();
    let downlink = Downlink::create(&uplink, Attachment(1)).unwrap();
    [uplink.fd(), downlink.fd()].map(|fd| {
        let mut bytes = vec![0; PAGE_BYTES];
        let file = File::from(fd.try_clone_to_owned().unwrap());
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    })
}

#[test]
fn reading_a_lie_ends() {
    let [up_header, down_header] = headers();
    let mut random = Random(0x7469_7072_696e_6711);
    for round in 0..60 {
        let mut up = up_header.clone();
        let rest = (UplinkLayout::of(DIMENSIONS).size - up.len()) / 8;
        up.extend((0..rest).flat_map(|_| {
            let word = random.next();
            match round % 3 {
                0 => word,
                // Cursors of this attachment, plausible or nearly.
                1 => (1 << 32) | (word % 1300),
                _ => word % 130,
            }
            .to_le_bytes()
        }));
        let mut down = down_header.clone();
        down.resize(DownlinkLayout::of(DIMENSIONS).size, 0);
        let map = EngineMap::attach(sealed(&up, true), sealed(&down, false)).unwrap();
        for number in 0..DIMENSIONS.loops {
            let mut events = map.event_reader(LoopId(number));
            let mut commands = map.command_writer(LoopId(number));
            map.counters(LoopId(number));
            for id in 0..1100 {
                let _ = events.take();
                events.resync();
                events.has_news();
                let (id, generation, line) = (CommandId(id), map.generation(), LineId(0));
                let command = Command::StopRing;
                let _ = commands.send(&Request { id, generation, line, command });
            }
        }
        for number in 0..DIMENSIONS.lines {
            let line = LineId(number);
            let _ = map.line(line);
            for direction in [Direction::Rx, Direction::Tx] {
                let mut audio = map.audio_reader(line, direction);
                for _ in 0..200 {
                    audio.has_news();
                    audio.next();
                }
            }
            for slot in 0..4 {
                let mut play = map.play_writer(line, slot);
                for _ in 0..200 {
                    let _ = play.audio(PlaybackId(1), &[1; 160]);
                    assert!(play.queued() <= layout::PLAY_SLOTS as u32);
                }
            }
        }
        map.heartbeat();
        map.wait(Duration::from_micros(1), || false);
    }
}

#[test]
fn a_header_that_lies_is_refused() {
    let [up_header, down_header] = headers();
    let whole = |header: &[u8], size: usize| {
        let mut bytes = header.to_vec();
        bytes.resize(size, 0);
        bytes
    };
    let (up_size, down_size) =
        (UplinkLayout::of(DIMENSIONS).size, DownlinkLayout::of(DIMENSIONS).size);
    let (up, down) = (whole(&up_header, up_size), whole(&down_header, down_size));
    assert!(EngineMap::attach(sealed(&up, true), sealed(&down, false)).is_ok());

    // Every word that says something, each by each: other than it is, it is refused. The
    // generation and the attachment may be any, but the attachment not 0.
    for (uplink, word) in [(true, 0), (true, 1), (true, 3), (true, 4), (true, 5)]
        .into_iter()
        .chain([0, 1, 2, 3, 4].map(|word| (false, word)))
    {
        for value in [0, u64::MAX, 1 << 40, u64::from(LAYOUT_VERSION) + 1] {
            if !uplink && word == 2 && (1..1 << 32).contains(&value) {
                continue;
            }
            let (mut up, mut down) = (up.clone(), down.clone());
            let segment = if uplink { &mut up } else { &mut down };
            segment[word * 8..word * 8 + 8].copy_from_slice(&value.to_le_bytes());
            let attached = EngineMap::attach(sealed(&up, true), sealed(&down, false));
            assert!(attached.is_err(), "uplink {uplink}, word {word}, value {value:#x}");
        }
    }

    // Sizes that do not go with the header.
    for (up_by, down_by) in [(4096, 0), (0, 4096), (1, 0), (0, 1)] {
        let (up, down) = (whole(&up, up_size + up_by), whole(&down, down_size + down_by));
        let attached = EngineMap::attach(sealed(&up, true), sealed(&down, false));
        assert!(matches!(attached, Err(AttachError::Inconsistent)));
    }
    let short = EngineMap::attach(sealed(&up[..8], true), sealed(&down, false));
    assert!(matches!(short, Err(AttachError::Inconsistent)));
    // The seals of the other kind.
    let open = EngineMap::attach(sealed(&up, false), sealed(&down, false));
    assert!(matches!(open, Err(AttachError::NotSealed)));
}
