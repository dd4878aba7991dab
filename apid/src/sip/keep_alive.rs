//! Keeps the way to phones behind a translator open: their router forgets a way that nothing
//! passes, in 30 s or more, and an OPTIONS of ours is something (RFC 5626 §4.4 leaves it to the
//! phone, and many do not).

use super::action::{Action, Actions};
use super::agent::{Agent, PRODUCT, Purpose};

/// Between two to the same phone, ms.
const INTERVAL_MS: u64 = 25_000;
/// Phones asked at once; the next ones a little later.
const AT_ONCE: usize = 16;
/// How much later, ms.
const STEP_MS: u64 = 200;

/// How far the present round has come.
#[derive(Debug, Default)]
pub(super) struct KeepAlive {
    /// Last account that was asked.
    after: String,
    began_ms: u64,
    due_ms: u64,
}

impl Agent {
    /// Asks the next phones, if it is time.
    pub(super) fn handle_keep_alives(&mut self, now_ms: u64, out: &mut Actions) {
        if self.next_keep_alive_ms(now_ms).is_none_or(|due_ms| due_ms > now_ms) {
            return;
        }
        let round = &mut self.keep_alive;
        if round.after.is_empty() {
            round.began_ms = now_ms;
        }
        let next: Vec<String> = self
            .registrar
            .behind_translators(&round.after, now_ms)
            .take(AT_ONCE)
            .map(str::to_owned)
            .collect();
        if let Some(last) = next.last().filter(|_| next.len() == AT_ONCE) {
            round.after.clone_from(last);
            round.due_ms = now_ms + STEP_MS;
        } else {
            round.after.clear();
            round.due_ms = round.began_ms + INTERVAL_MS;
        }
        for line in next {
            let Some((uri, route, to)) = self.reach(&line, now_ms) else { continue };
            let mut options = self.request_to_phone("OPTIONS", &line, &uri, &route, to);
            options.headers.push("User-Agent", PRODUCT);
            let tx = (self.around.new_tx)();
            self.purposes.insert(tx, Purpose::Ending);
            out.push(Action::Send { tx, request: options, to });
        }
    }

    /// When the next phones are asked; `None` where nobody is behind a translator.
    pub(super) fn next_keep_alive_ms(&self, now_ms: u64) -> Option<u64> {
        let any = self.registrar.behind_translators("", now_ms).next().is_some();
        any.then_some(self.keep_alive.due_ms)
    }
}
