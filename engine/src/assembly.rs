//! What a configuration means in lines, frame loops and shared memory.

use crate::config::Config;
use crate::device::AnyDevice;
use crate::device::rtp::Rtp;
use crate::device::simulated::Simulated;
use crate::dsp::tone_plan;
use crate::frame_loop::FrameLoop;
use crate::frame_loop::orders::{self, Order, Report};
use crate::frame_loop::slot::Slot;
use crate::supervisor::LoopEnd;
use rtrb::RingBuffer;
use std::time::SystemTime;
use tipring_shm_proto::command::{Law, LineKind};
use tipring_shm_proto::units::{Generation, LineId, LoopId, Text32};
use tipring_shm_proto::{Dimensions, Uplink};

/// An engine that does not tick yet.
#[derive(Debug)]
pub struct Assembly {
    /// Its memory.
    pub uplink: Uplink,
    /// The supervisor's end of each loop.
    pub ends: Vec<LoopEnd>,
    /// The loops.
    pub frame_loops: Vec<FrameLoop>,
}

/// Makes everything; allocates all that the frame loops will ever use.
///
/// # Errors
/// The shared memory cannot be made.
pub fn assemble(config: &Config) -> std::io::Result<Assembly> {
    let plan = plan_lines(config);
    let loops = 1 + usize::from(config.rtp_loops);
    let dimensions = Dimensions { loops: loops as u8, lines: plan.len() as u16 };
    let uplink = Uplink::create(dimensions, generation())?;
    let tones = tone_plan::of_country(&config.country).expect("checked with the configuration");
    let law = Law::from(config.companding);
    let ends_and_loops = (0..loops).map(|index| {
        let id = LoopId(index as u8);
        let own: Vec<&Planned> = plan.iter().filter(|p| p.frame_loop == index).collect();
        let slots = own.iter().map(|p| {
            let device = match p.kind {
                LineKind::Sim => AnyDevice::Simulated(Simulated::new(law)),
                LineKind::Dahdi | LineKind::Rtp => AnyDevice::Rtp(Rtp::new()),
            };
            Slot::new(p.id, p.label, id, p.kind, device, tones, law, &uplink)
        });
        let slots = slots.collect();
        let (orders_in, orders_out) = RingBuffer::<Order>::new(orders::CAPACITY);
        let (reports_in, reports_out) = RingBuffer::<Report>::new(orders::CAPACITY);
        let lines = own.iter().map(|p| p.id).collect();
        let end = LoopEnd { orders: orders_in, reports: reports_out, lines };
        (end, FrameLoop::new(id, slots, &uplink, orders_out, reports_in))
    });
    let (ends, frame_loops) = ends_and_loops.unzip();
    Ok(Assembly { uplink, ends, frame_loops })
}

/// One line to be.
#[derive(Clone, Copy, Debug)]
struct Planned {
    id: LineId,
    label: Text32,
    kind: LineKind,
    frame_loop: usize,
}

/// Simulated lines first, on the first loop; RTP lines dealt out to the others.
fn plan_lines(config: &Config) -> Vec<Planned> {
    let simulated = (0..config.simulated_lines).map(|i| (i, LineKind::Sim, 0));
    let loops = usize::from(config.rtp_loops);
    let rtp = (0..config.rtp_lines).map(|i| (i, LineKind::Rtp, 1 + usize::from(i) % loops));
    let all = simulated.chain(rtp).enumerate();
    all.map(|(index, (i, kind, frame_loop))| {
        let family = if kind == LineKind::Sim { "sim" } else { "rtp" };
        let label = Text32::new(&format!("{family}/{}", i + 1));
        Planned { id: LineId(index as u16), label, kind, frame_loop }
    })
    .collect()
}

fn generation() -> Generation {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Generation(since_epoch.map_or(1, |t| t.as_nanos() as u64))
}
