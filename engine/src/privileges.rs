//! What a start as root brings along and the engine does not need: capabilities (capabilities(7)), which
//! are given up before its first thread. Under systemd there are none to begin with.
//!
//! Two of them can be had otherwise: real-time priority and locked memory are granted as limits, which
//! a thread keeps that has no capability. Only what no limit would grant is kept.

use caps::{CapSet, Capability, CapsHashSet};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};

/// Highest priority that the configuration takes.
const PRIORITY: rlim_t = 80;

/// Gives up what the calling thread has, and with it every thread that it starts; whether there was
/// anything. No program that could be started would get it back.
///
/// # Errors
/// In words; the engine then runs with more than it needs.
pub fn drop_capabilities() -> Result<bool, String> {
    let fault = |error| format!("capabilities of a start as root are not given up: {error}");
    let had = caps::read(None, CapSet::Permitted).map_err(|e| fault(e.to_string()))?;
    if had.is_empty() {
        return Ok(false);
    }
    let instead = [
        (Resource::RLIMIT_MEMLOCK, nix::sys::resource::RLIM_INFINITY, Capability::CAP_IPC_LOCK),
        (Resource::RLIMIT_RTPRIO, PRIORITY, Capability::CAP_SYS_NICE),
    ];
    let needed = instead.into_iter().filter(|&(limit, value, _)| !raise(limit, value));
    let kept: CapsHashSet =
        needed.map(|(_, _, capability)| capability).filter(|c| had.contains(c)).collect();
    let dropped = caps::clear(None, CapSet::Bounding)
        .and_then(|()| caps::clear(None, CapSet::Ambient))
        .and_then(|()| caps::clear(None, CapSet::Inheritable))
        .and_then(|()| caps::set(None, CapSet::Effective, &kept))
        .and_then(|()| caps::set(None, CapSet::Permitted, &kept));
    dropped.map_err(|e| fault(e.to_string()))?;
    prctl::set_no_new_privs().map_err(|e| fault(e.to_string()))?;
    Ok(true)
}

/// Whether the limit is at least `value`, now or since it was raised.
fn raise(limit: Resource, value: rlim_t) -> bool {
    getrlimit(limit)
        .is_ok_and(|(soft, hard)| soft >= value || setrlimit(limit, value, hard.max(value)).is_ok())
}
