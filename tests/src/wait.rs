//! Waiting for what must happen, with a generous limit instead of a fixed pause.

use std::time::{Duration, Instant};

/// How long a test waits for what should take milliseconds: this machine may be busy, and one that
/// it emulates stands still meanwhile.
pub const GENEROUS: Duration = Duration::from_mins(1);

/// Asks again and again until `question` has an answer.
///
/// # Panics
/// If there is none within `limit`; `what` says what was waited for.
pub fn until<T>(what: &str, limit: Duration, mut question: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = question() {
            return answer;
        }
        assert!(begin.elapsed() < limit, "waited {limit:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(30));
    }
}

/// Like [`until`], for a condition.
///
/// # Panics
/// If it does not hold within `limit`.
pub fn until_true(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    until(what, limit, || condition().then_some(()));
}

/// Lets time pass because the test is about a duration (a call that is held, a timer that must
/// not fire), not because something is expected to be ready after it.
pub fn for_duration(duration: Duration) {
    std::thread::sleep(duration);
}
