//! What a configuration means in lines, frame loops and shared memory.

use crate::cards::{self, CardLine, Cards, Kernel};
use crate::codec::g711;
use crate::config::{CardGain, Config};
use crate::device::AnyDevice;
use crate::device::dahdi;
use crate::device::dahdi::ioctl::Gains;
use crate::device::dahdi::open::{LawGains, Setup};
use crate::device::rtp::Rtp;
use crate::device::simulated::Simulated;
use crate::dsp::tone_plan;
use crate::frame_loop::orders::{self, Order, Report};
use crate::frame_loop::slot::Slot;
use crate::frame_loop::{Conferences, FrameLoop, Pacing};
use crate::line::LineConfig;
use crate::supervisor::LoopEnd;
use rtrb::RingBuffer;
use std::time::SystemTime;
use tipring_shm_proto::command::{Law, LineKind};
use tipring_shm_proto::units::{Generation, LineId, LoopId, Text32};
use tipring_shm_proto::{Dimensions, Uplink};

/// The loop that mixes conferences, whatever loops their lines are in: one of a timer.
pub const CONFERENCE_LOOP: usize = 0;

/// An engine that does not tick yet.
#[derive(Debug)]
pub struct Assembly {
    /// Its memory.
    pub uplink: Uplink,
    /// The supervisor's end of each loop.
    pub ends: Vec<LoopEnd>,
    /// The loops.
    pub frame_loops: Vec<FrameLoop>,
    /// Lines on cards, whose channels are not open yet.
    pub cards: Cards,
}

/// Makes everything; allocates all that the frame loops will ever use.
///
/// # Errors
/// The shared memory cannot be made.
pub fn assemble(config: &Config) -> std::io::Result<Assembly> {
    let kernel = Kernel::default();
    let on_cards = cards::plan(&config.dahdi, &kernel);
    let plan = plan_lines(config, &on_cards);
    let card_loops = on_cards.iter().map(|line| line.card + 1).max().unwrap_or(0);
    let timed_loops = 1 + usize::from(config.rtp_loops);
    let loops = timed_loops + card_loops;
    let dimensions = Dimensions { loops: loops as u8, lines: plan.len() as u16 };
    let uplink = Uplink::create(dimensions, generation())?;
    let tones = tone_plan::of_country(&config.country).expect("checked with the configuration");
    let law = Law::from(config.companding);
    let hook = config.dahdi.hook(&config.country);
    let phases = config.left_off_hook.phases();
    let ends_and_loops = (0..loops).map(|index| {
        let id = LoopId(index as u8);
        let own: Vec<&Planned> = plan.iter().filter(|p| p.frame_loop == index).collect();
        let slots = own.iter().map(|p| {
            let device = match p.kind {
                LineKind::Sim => AnyDevice::Simulated(Simulated::new(law)),
                LineKind::Rtp => AnyDevice::Rtp(Rtp::new()),
                LineKind::Dahdi => AnyDevice::Dahdi(dahdi::Dahdi::new()),
            };
            let rules = match p.kind {
                LineKind::Sim | LineKind::Rtp => LineConfig { phases, ..LineConfig::default() },
                LineKind::Dahdi => LineConfig { hook, phases },
            };
            Slot::new(p.id, p.label, id, p.kind, rules, device, tones, law, &uplink)
        });
        let slots = slots.collect();
        let (orders_in, orders_out) = RingBuffer::<Order>::new(orders::CAPACITY);
        let (reports_in, reports_out) = RingBuffer::<Report>::new(orders::CAPACITY);
        let lines = own.iter().map(|p| p.id).collect();
        let end = LoopEnd { orders: orders_in, reports: reports_out, lines };
        let pacing = if index < timed_loops { Pacing::Timer } else { Pacing::Card };
        let conferences = if index == CONFERENCE_LOOP {
            Conferences::new(config.conferences, config.conference_members)
        } else {
            Conferences::default()
        };
        (end, FrameLoop::new(id, pacing, slots, conferences, &uplink, orders_out, reports_in))
    });
    let (ends, frame_loops) = ends_and_loops.unzip();
    let first = plan.len() - on_cards.len();
    let ids = plan[first..].iter().map(|planned| planned.id);
    let cards = Cards::new(kernel, card_setup(config), ids.zip(on_cards).collect());
    Ok(Assembly { uplink, ends, frame_loops, cards })
}

fn card_setup(config: &Config) -> Setup {
    let of_law = |gain: CardGain, law| {
        let table = |db: f32| g711::louder(law, (db * 10.0).round() as i16);
        Gains::new(table(gain.from_phone), table(gain.to_phone))
    };
    let both = |gain| LawGains { mu: of_law(gain, Law::Mu), a: of_law(gain, Law::A) };
    Setup {
        buffers: config.dahdi.buffers,
        flash_ms: config.dahdi.hook(&config.country).flash_max_ms as u16,
        gains: config.dahdi.gain_db.map(both),
    }
}

/// One line to be.
#[derive(Clone, Copy, Debug)]
struct Planned {
    id: LineId,
    label: Text32,
    kind: LineKind,
    frame_loop: usize,
}

/// Simulated lines first, on the first loop; RTP lines dealt out to the others; then lines on
/// cards, each card on a loop of its own.
fn plan_lines(config: &Config, on_cards: &[CardLine]) -> Vec<Planned> {
    let numbered = |family: &str, i: u16| Text32::new(&format!("{family}/{}", i + 1));
    let simulated = (0..config.simulated_lines).map(|i| (numbered("sim", i), LineKind::Sim, 0));
    let rtp_loops = usize::from(config.rtp_loops);
    let rtp = (0..config.rtp_lines)
        .map(|i| (numbered("rtp", i), LineKind::Rtp, 1 + usize::from(i) % rtp_loops));
    let cards =
        on_cards.iter().map(|line| (line.label, LineKind::Dahdi, 1 + rtp_loops + line.card));
    let all = simulated.chain(rtp).chain(cards).enumerate();
    all.map(|(index, (label, kind, frame_loop))| Planned {
        id: LineId(index as u16),
        label,
        kind,
        frame_loop,
    })
    .collect()
}

fn generation() -> Generation {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Generation(since_epoch.map_or(1, |t| t.as_nanos() as u64))
}
