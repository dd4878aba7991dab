//! A tick never allocates or frees: not for any device, command, fault of the peer, or full ring.

use crate::rig::Rig;
use assert_no_alloc::{AllocDisabler, assert_no_alloc, violation_count};
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tipring_shm_proto::command::*;
use tipring_shm_proto::event::LineEvent;
use tipring_shm_proto::units::{ConferenceId, Endpoint, PlaybackId, TenthDb, TenthDbm0, Text32};

#[global_allocator]
static ALLOCATOR: AllocDisabler = AllocDisabler;

fn guard(tick: &mut dyn FnMut()) {
    assert_no_alloc(tick);
}

fn violations() -> u32 {
    violation_count()
}

/// The count is the process's: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

const LOOPBACK: [u8; 16] = Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets();

fn media(remote: Option<Endpoint>) -> RtpMedia {
    RtpMedia {
        remote,
        law: Law::Mu,
        telephone_event: Some(101),
        send: true,
        receive: true,
        rtcp_mux: false,
        srtp: None,
    }
}

fn tone(ms: u32) -> ToneSpec {
    let step = ToneStep { hz: [440, 0], level: TenthDbm0(-100), ms, modulation_hz: 0 };
    ToneSpec { len: 1, steps: [step; 8], repeat: 1 }
}

fn playback(id: u64, slot: u8, path: PlayPath, source: PlaySource) -> Command {
    let (gain, stop_on) = (TenthDb(0), StopOn { digit: true, voice: true });
    Command::StartPlayback { slot, playback: PlaybackId(id), path, source, gain, stop_on }
}

/// Every command once where it is legal, and once where it is not, on both kinds of device.
fn everything(rig: &mut Rig) {
    let digits = Digits::new("1*#").unwrap();
    let caller = CallerId { number: Text32::new("5551234"), name: Text32::new("Ada") };
    let bell =
        Command::Ring { cadence: Cadence::new(&[400, 800]).unwrap(), timeout_ms: 1500, caller };
    let lift = |off| Command::Sim(SimAction::Hook { off, bounce_ms: 9 });
    let hook = |hook| Command::ReportHook { hook, source: HookSource::Signalling };

    rig.do_it(0, bell);
    rig.wait_for(0, |e| matches!(e, LineEvent::RingStopped { .. }));
    rig.do_it(0, bell);
    rig.do_it(0, lift(true));
    rig.wait_for(0, |e| matches!(e, LineEvent::HookChanged { hook: Hook::Off, .. }));
    rig.do_it(1, lift(true));
    rig.wait_for(1, |e| matches!(e, LineEvent::HookChanged { hook: Hook::Off, .. }));
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let remote = Some(peer.local_addr().unwrap().into());
    let key = SrtpKey { key: [1; 16], salt: [2; 14] };
    let keys = SrtpKeys { suite: SrtpSuite::Aes128HmacSha1Tag80, ours: key, theirs: key };
    for (line, srtp) in [(2, None), (3, Some(keys))] {
        let media = RtpMedia { srtp, ..media(remote) };
        let open = Command::OpenRtp { media, local_ip: LOOPBACK };
        assert!(matches!(rig.ask(line, open), Outcome::RtpOpened { .. }));
        rig.do_it(line, hook(Hook::Off));
    }
    for line in 0..4 {
        for tone in [ProgressTone::Dial, ProgressTone::Busy, ProgressTone::Howler] {
            rig.do_it(line, Command::Tone(Some(tone)));
        }
        rig.do_it(line, Command::Tone(None));
        rig.do_it(line, Command::Dtmf { digits, on_ms: 60, off_ms: 60 });
        rig.wait_for(line, |e| matches!(e, LineEvent::DtmfSent));
        rig.do_it(line, playback(1, 0, PlayPath::Line, PlaySource::Tone(tone_of(line))));
        rig.do_it(line, playback(2, 1, PlayPath::Line, PlaySource::Ring));
        feed(rig, line, 1, 2);
        rig.wait_for(line, |e| matches!(e, LineEvent::Mark { .. }));
        let stop = Command::StopPlayback { playback: PlaybackId(2) };
        assert!(matches!(rig.ask(line, stop), Outcome::Flushed { .. }));
        rig.do_it(line, Command::Echo(true));
        rig.do_it(line, Command::Mute { spoken: true, heard: true });
        rig.do_it(line, Command::Echo(false));
        rig.do_it(line, Command::Flash);
        rig.do_it(line, Command::Tag(7));
    }
    for line in 0..4 {
        rig.do_it(line, confer(0));
    }
    for _ in 0..20 {
        rig.period();
    }
    for line in 0..4 {
        rig.ask(line, confer(1));
        rig.do_it(line, Command::Unbridge);
    }
    rig.do_it(0, Command::Bridge { peer: tipring_shm_proto::units::LineId(2) });
    rig.do_it(1, Command::Bridge { peer: tipring_shm_proto::units::LineId(3) });
    for _ in 0..20 {
        rig.period();
    }
    rig.do_it(0, Command::Hold(true));
    rig.do_it(0, Command::Hold(false));
    rig.do_it(0, Command::Unbridge);
    rig.wait_for(2, |e| matches!(e, LineEvent::BridgeEnded { .. }));
    rig.do_it(2, Command::UpdateRtp { media: media(None) });
    rig.do_it(0, playback(9, 3, PlayPath::Microphone, PlaySource::Tone(tone(100))));
    for action in [
        SimAction::DialTones { digits, on_ms: 50, off_ms: 50 },
        SimAction::Flash { ms: 300 },
        SimAction::DialPulses { digits: Digits::new("12").unwrap() },
        SimAction::Voltage(-30_000),
        SimAction::Temperature(700),
        SimAction::Alarm(true),
        SimAction::Alarm(false),
    ] {
        rig.do_it(0, Command::Sim(action));
        for _ in 0..150 {
            rig.period();
        }
    }
    for line in [2, 3] {
        rig.do_it(line, Command::HangUp);
        rig.do_it(line, Command::CloseRtp);
        rig.do_it(line, Command::Reset);
    }
    rig.do_it(1, Command::HangUp);
    rig.do_it(0, Command::Sim(SimAction::Fail(true)));
    rig.wait_for(0, |e| matches!(e, LineEvent::DeviceLost));
    rig.do_it(0, Command::Sim(SimAction::Fail(false)));
    rig.wait_for(0, |e| matches!(e, LineEvent::DeviceBack));
    for line in [0, 1] {
        rig.do_it(line, lift(false));
    }
    // Nothing of this is legal now.
    for line in 0..4 {
        for command in [
            Command::StopRing,
            Command::HangUp,
            Command::Echo(true),
            Command::Mute { spoken: true, heard: true },
            Command::KeepDigits(true),
            Command::CallWaiting { caller },
            Command::Hold(true),
            Command::Bridge { peer: tipring_shm_proto::units::LineId(999) },
            confer(0),
            confer(999),
            Command::StopPlayback { playback: PlaybackId(77) },
        ] {
            rig.ask(line, command);
        }
    }
}

fn confer(conference: u16) -> Command {
    let conference = ConferenceId(conference);
    Command::Confer { conference, heard_by: HeardBy::Everybody }
}

fn tone_of(line: u16) -> ToneSpec {
    tone(20 + u32::from(line) * 15)
}

fn feed(rig: &mut Rig, line: u16, slot: u8, id: u64) {
    let apid = rig.apid.as_ref().unwrap();
    let mut prompt = apid.map.play_writer(tipring_shm_proto::units::LineId(line), slot);
    for _ in 0..4 {
        prompt.audio(PlaybackId(id), &[1000; 130]).unwrap();
    }
    prompt.mark(PlaybackId(id), tipring_shm_proto::units::MarkId(5)).unwrap();
    for _ in 0..30 {
        prompt.audio(PlaybackId(id), &[-1000; 160]).unwrap();
    }
}

#[test]
fn the_guard_sees_an_allocation() {
    let _alone = alone();
    let before = violations();
    guard(&mut || {
        std::hint::black_box(vec![0_u8; 100]);
    });
    assert!(violations() > before);
}

#[test]
fn no_device_and_no_command_allocates_in_a_tick() {
    let _alone = alone();
    let mut rig = Rig::new(guard);
    let before = violations();
    everything(&mut rig);
    for _ in 0..1000 {
        rig.period();
    }
    assert_eq!(violations(), before);
}

#[test]
fn an_apid_that_leaves_or_never_reads_costs_no_allocation() {
    let _alone = alone();
    let mut rig = Rig::new(guard);
    let before = violations();
    rig.do_it(0, Command::Sim(SimAction::Hook { off: true, bounce_ms: 0 }));
    rig.wait_for(0, |e| matches!(e, LineEvent::HookChanged { hook: Hook::Off, .. }));
    rig.do_it(0, playback(2, 1, PlayPath::Line, PlaySource::Ring));
    feed(&mut rig, 0, 1, 2);
    // Commands pile up and their answers are not read: the event ring fills.
    for i in 0..3000_u64 {
        rig.send(tipring_shm_proto::units::LineId(0), Command::Tag(i));
        rig.tick();
    }
    rig.apid = None;
    for _ in 0..50 {
        rig.period();
    }
    rig.attach();
    still_works(&mut rig);
    assert_eq!(violations(), before);
}

fn still_works(rig: &mut Rig) {
    rig.do_it(0, Command::Tone(Some(ProgressTone::Busy)));
    rig.do_it(0, Command::Sim(SimAction::Hook { off: false, bounce_ms: 0 }));
    rig.wait_for(0, |e| matches!(e, LineEvent::HookChanged { hook: Hook::On, .. }));
}
