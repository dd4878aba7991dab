//! The engine's own back end and frame loop on the real driver, in the guest: `on-card PORT PHONE` with
//! the numbers of a free FXS channel and of the FXO channel that is wired to it. Keeps the promises of
//! `engine/tests/device_conformance.rs` and `engine/tests/frame_loops/no_allocation.rs`, which have no
//! card; leaves with the first that is broken. Pulls the card out, and plugs it in again, unconfigured.

#[path = "../telephone/channel.rs"]
#[allow(dead_code, reason = "telephones do more than is needed here")]
mod channel;
mod device;
mod loops;
#[path = "../../../engine/tests/frame_loops/rig.rs"]
#[allow(dead_code, reason = "the engine's own tests do more than is needed here")]
mod rig;

use assert_no_alloc::{AllocDisabler, assert_no_alloc, violation_count};
use std::process::ExitCode;

/// Samples of a block: 20 ms.
const BLOCK: usize = 160;

#[global_allocator]
static ALLOCATOR: AllocDisabler = AllocDisabler;

/// Runs what must not allocate.
fn guard(work: &mut dyn FnMut()) {
    assert_no_alloc(work);
}

/// Allocations where there should be none so far.
fn violations() -> u32 {
    violation_count()
}

/// One command to the fake card.
fn card(command: &str) {
    std::fs::write("/dev/fakefxs", command).expect("the fake card");
}

fn main() -> ExitCode {
    let number = |text: Option<String>| text.and_then(|text| text.parse::<u16>().ok());
    let mut arguments = std::env::args().skip(1);
    let (Some(port), Some(phone)) = (number(arguments.next()), number(arguments.next())) else {
        eprintln!("on-card: numbers of an FXS channel and of its telephone");
        return ExitCode::from(2);
    };
    let seen = violations();
    guard(&mut || {
        std::hint::black_box(vec![0_u8; 100]);
    });
    assert!(violations() > seen, "the guard sees an allocation");
    let before = violations();
    device::audio_keeps_its_order(port, phone);
    device::every_order_is_answered(port, phone);
    device::a_drop_is_waited_for(port, phone);
    device::any_order_of_calls_is_survived(port, phone);
    loops::every_command(port, phone);
    device::a_card_that_is_pulled(port);
    assert_eq!(violations(), before, "allocations on the way");
    println!("kept: order, answers, waits, any order of calls, a pulled card; no allocation");
    ExitCode::SUCCESS
}
