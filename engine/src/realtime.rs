//! What a frame loop's thread asks of the kernel before its first tick: FIFO scheduling, one
//! processor, no page that is not there. Where a privilege is missing the engine runs without it
//! and says what that costs.

use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};
use std::time::Duration;
use thread_priority::{
    RealtimeThreadSchedulePolicy, ScheduleParams, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};
use tipring_shm_proto::units::Nanos;

/// Stack that a frame loop may use without a fault, octets.
const PREFAULTED_STACK: usize = 256 * 1024;

/// A privilege that is missing; the text names what to grant.
#[derive(Debug, PartialEq, Eq)]
pub struct Shortfall(pub String);

/// CLOCK_MONOTONIC. No system call where the vDSO serves it.
pub fn now() -> Nanos {
    let t = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("CLOCK_MONOTONIC always exists");
    Nanos(t.tv_sec() as u64 * 1_000_000_000 + t.tv_nsec() as u64)
}

/// Sleeps until `deadline`; returns at once if that has passed.
pub fn sleep_until(deadline: Nanos) {
    let request = Duration::from_nanos(deadline.0).into();
    let flags = ClockNanosleepFlags::TIMER_ABSTIME;
    while clock_nanosleep(ClockId::CLOCK_MONOTONIC, flags, &request) == Err(nix::Error::EINTR) {}
}

/// Locks everything mapped now and later, so that no frame waits for a page.
///
/// # Errors
/// Without CAP_IPC_LOCK and with too small an RLIMIT_MEMLOCK.
pub fn lock_memory() -> Result<(), Shortfall> {
    // The soft limit may be raised to the hard one by anybody.
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_MEMLOCK) {
        let _ = setrlimit(Resource::RLIMIT_MEMLOCK, hard, hard);
    }
    mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE).map_err(|e| {
        Shortfall(format!(
            "memory is not locked ({e}): a frame may wait for a page; grant LimitMEMLOCK=infinity"
        ))
    })
}

/// Touches the stack that the loop will use.
#[expect(clippy::large_stack_arrays, reason = "to be large is its purpose")]
pub fn prefault_stack() {
    let mut stack = [0_u8; PREFAULTED_STACK];
    for page in stack.chunks_mut(4096) {
        page[0] = 1;
    }
    std::hint::black_box(&stack);
}

/// Gives the calling thread SCHED_FIFO with `priority`.
///
/// # Errors
/// Without CAP_SYS_NICE and with too small an RLIMIT_RTPRIO.
pub fn schedule_fifo(priority: u8) -> Result<(), Shortfall> {
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    let params = ScheduleParams { sched_priority: i32::from(priority) };
    let params = thread_priority::ThreadPriority::from_posix(params);
    set_thread_priority_and_policy(thread_native_id(), params, policy).map_err(|e| {
        Shortfall(format!(
            "no SCHED_FIFO ({e:?}): frames may be late under load; grant LimitRTPRIO={priority}"
        ))
    })
}

/// Binds the calling thread to one processor.
///
/// # Errors
/// The processor does not exist or is not ours.
pub fn pin(cpu: usize) -> Result<(), Shortfall> {
    if core_affinity::set_for_current(core_affinity::CoreId { id: cpu }) {
        Ok(())
    } else {
        Err(Shortfall(format!("not bound to processor {cpu}: it is not this process's to use")))
    }
}

/// Where the loops run: with two processors or fewer all share the last one, else each takes one
/// from the end; `None` with a single processor, where no thread may be FIFO.
pub fn placement(loops: usize, wanted: Option<usize>) -> Option<Vec<usize>> {
    let cpus: Vec<usize> = core_affinity::get_core_ids()?.into_iter().map(|c| c.id).collect();
    place(&cpus, loops, wanted)
}

fn place(cpus: &[usize], loops: usize, wanted: Option<usize>) -> Option<Vec<usize>> {
    let (&last, rest) = cpus.split_last()?;
    if rest.is_empty() {
        return None;
    }
    if let Some(cpu) = wanted {
        return Some(vec![cpu; loops]);
    }
    if rest.len() < 2 {
        return Some(vec![last; loops]);
    }
    // The first processor is left to everybody else.
    let usable: Vec<usize> = cpus[1..].iter().rev().copied().collect();
    Some((0..loops).map(|i| usable[i % usable.len()]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_share_the_last_of_two_processors_and_one_has_no_fifo() {
        assert_eq!(place(&[0], 2, None), None);
        assert_eq!(place(&[0, 1], 3, None), Some(vec![1, 1, 1]));
        assert_eq!(place(&[0, 1, 2, 3], 2, None), Some(vec![3, 2]));
        assert_eq!(place(&[0, 1, 2, 3], 2, Some(2)), Some(vec![2, 2]));
    }

    #[test]
    fn sleeping_until_the_past_returns_and_until_the_future_does_not_return_early() {
        sleep_until(Nanos(0));
        let deadline = Nanos(now().0 + 2_000_000);
        sleep_until(deadline);
        assert!(now() >= deadline);
    }
}
