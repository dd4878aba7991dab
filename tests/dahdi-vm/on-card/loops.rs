//! A whole engine with the card, its frame loops ticked by hand.

use crate::channel::{Channel, OFF_HOOK, ON_HOOK};
use crate::guard;
use crate::rig::Rig;
use tipring_engine::config::{Config, Dahdi, DahdiLine};
use tipring_shm_proto::command::{
    Cadence, CallerId, Command, Digits, Hook, PlayPath, PlaySource, ProgressTone, StopOn,
};
use tipring_shm_proto::event::LineEvent;
use tipring_shm_proto::units::{PlaybackId, TenthDb, Text32};

/// Every command that a line on a card takes, a handset that is lifted and put down, and the channel
/// given back and opened anew.
pub(crate) fn every_command(port: u16, phone: u16) {
    let line = DahdiLine { channel: Some(port), ..DahdiLine::default() };
    let dahdi = Dahdi { lines: vec![line], buffers: 8, ..Dahdi::default() };
    let config = Config { simulated_lines: 0, rtp_lines: 2, dahdi, ..Config::default() };
    let mut rig = Rig::of(config, guard);
    // After the two for SIP phones.
    let line = 2;
    rig.wait_for(line, |event| matches!(event, LineEvent::DeviceBack));
    let handset = Channel::open(phone.into()).expect("the telephone's channel");
    let caller = CallerId { number: Text32::new("5551234"), name: Text32::new("Ada") };
    let cadence = Cadence::new(&[400, 800]).expect("a cadence");
    rig.do_it(line, Command::Polarity { reversed: true });
    rig.do_it(line, Command::Polarity { reversed: false });
    rig.do_it(line, Command::MessageWaiting { messages: 2 });
    rig.do_it(line, Command::Ring { cadence, timeout_ms: 60_000, caller });
    handset.hook(OFF_HOOK).expect("a handset");
    rig.wait_for(line, |event| matches!(event, LineEvent::HookChanged { hook: Hook::Off, .. }));
    for tone in [ProgressTone::Dial, ProgressTone::Congestion, ProgressTone::Howler] {
        rig.do_it(line, Command::Tone(Some(tone)));
    }
    rig.do_it(line, Command::Tone(None));
    let digits = Digits::new("1*#").expect("digits");
    rig.do_it(line, Command::Dtmf { digits, on_ms: 60, off_ms: 60 });
    rig.wait_for(line, |event| matches!(event, LineEvent::DtmfSent));
    let playback = PlaybackId(1);
    rig.do_it(
        line,
        Command::StartPlayback {
            slot: 0,
            playback,
            path: PlayPath::Line,
            source: PlaySource::Ring,
            gain: TenthDb(0),
            stop_on: StopOn { digit: true, voice: true },
        },
    );
    for _ in 0..20 {
        rig.period();
    }
    rig.do_it(line, Command::Echo(true));
    rig.do_it(line, Command::Echo(false));
    rig.do_it(line, Command::HangUp);
    handset.hook(ON_HOOK).expect("a handset");
    rig.wait_for(line, |event| matches!(event, LineEvent::HookChanged { hook: Hook::On, .. }));
    rig.do_it(line, Command::Reset);
    rig.wait_for(line, |event| matches!(event, LineEvent::DeviceLost));
    rig.wait_for(line, |event| matches!(event, LineEvent::DeviceBack));
}
