//! The registry, shared by everybody who reads it and writes to it.

use super::calls::Lookup;
use super::model::{Channel, Position};
use super::news::{ChannelNews, NewsBody, Told};
use super::program::{NoProgram, Program};
use super::registry::{Expected, Note, Registry};
use super::variables::{VariableError, Variables};
use crate::hub::Notice;
use crate::view::{Call, CallerIdView, Timestamp};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::broadcast;

/// News that wait for the slowest reader; one who is slower is told how many it missed.
pub const HELD_NEWS: usize = 8192;

struct Shared {
    registry: Mutex<Registry>,
    news: broadcast::Sender<Arc<Told>>,
    program: OnceLock<Arc<dyn Program>>,
}

/// All channels. Cheap to clone. None of its methods waits.
#[derive(Clone)]
pub struct Channels(Arc<Shared>);

impl std::fmt::Debug for Channels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channels").field("registry", &self.0.registry).finish_non_exhaustive()
    }
}

impl Default for Channels {
    fn default() -> Self {
        let (news, _) = broadcast::channel(HELD_NEWS);
        Self(Arc::new(Shared { registry: Mutex::default(), news, program: OnceLock::new() }))
    }
}

impl Channels {
    fn lock(&self) -> MutexGuard<'_, Registry> {
        // Nothing of the registry can panic half-way through a change.
        self.0.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells news while the registry is locked, so that all hear of them in the same order.
    fn send(&self, news: Vec<ChannelNews>) {
        for news in news {
            // Nobody may be listening.
            let _ = self.0.news.send(Told::new(news));
        }
    }

    pub(super) fn take(&self, notice: &Notice, lookup: &dyn Lookup) {
        let mut registry = self.lock();
        self.send(registry.handle(notice, lookup));
    }

    pub(super) fn resync(&self, calls: &[Call], lookup: &dyn Lookup) {
        let mut registry = self.lock();
        self.send(registry.resync(calls, Timestamp::now(), lookup));
    }

    /// Everything that happens from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Told>> {
        self.0.news.subscribe()
    }

    /// All channels as they are now, and everything that happens after that.
    pub fn all_and_subscribe(&self) -> (Vec<Arc<Channel>>, broadcast::Receiver<Arc<Told>>) {
        let registry = self.lock();
        (registry.all(), self.0.news.subscribe())
    }

    /// All channels, the oldest first.
    pub fn all(&self) -> Vec<Arc<Channel>> {
        self.lock().all()
    }

    /// The channel of a line.
    pub fn of_line(&self, line: &str) -> Option<Arc<Channel>> {
        self.lock().of_line(line)
    }

    /// By unique id, though its call be over while its program finishes.
    pub fn of_id(&self, unique_id: &str) -> Option<Arc<Channel>> {
        self.lock().of_id(unique_id)
    }

    /// A program has this channel until it drops what this gives: what it still tells comes before
    /// the channel's hang-up.
    pub fn hold(&self, unique_id: &str) -> Hold {
        self.lock().hold(unique_id);
        Hold { channels: self.clone(), unique_id: unique_id.to_owned() }
    }

    /// By name, whatever its case, or by unique id.
    pub fn find(&self, name: &str) -> Option<Arc<Channel>> {
        self.lock().find(name)
    }

    /// A variable of a channel, by its unique id.
    pub fn variable(&self, unique_id: &str, name: &str) -> Option<String> {
        self.lock().variables(unique_id)?.get(name).map(str::to_owned)
    }

    /// All variables of a channel, by name.
    pub fn variables(&self, unique_id: &str) -> Vec<(String, String)> {
        let registry = self.lock();
        let variables = registry.variables(unique_id);
        let pairs = variables.into_iter().flat_map(Variables::iter);
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// A global variable.
    pub fn global(&self, name: &str) -> Option<String> {
        self.lock().globals().get(name).map(str::to_owned)
    }

    /// Sets a variable of a channel, by its unique id, or with `None` a global one. An empty value
    /// deletes it.
    ///
    /// # Errors
    /// [`VariableError`]; nothing was changed.
    pub fn set_variable(
        &self,
        unique_id: Option<&str>,
        name: &str,
        value: &str,
    ) -> Result<(), VariableError> {
        let mut registry = self.lock();
        let news = registry.set_variable(unique_id, name, value, Timestamp::now())?;
        self.send(news);
        Ok(())
    }

    /// A channel entered an application at a place in a dial plan.
    pub fn set_position(&self, unique_id: &str, position: Position, application: &str, data: &str) {
        let change = |channel: &mut Channel| {
            channel.position = position;
            application.clone_into(&mut channel.application);
            data.clone_into(&mut channel.data);
        };
        let mut registry = self.lock();
        self.send(registry.update(unique_id, change, NewsBody::Exten, Timestamp::now()));
    }

    /// Changes who calls on a channel.
    pub fn set_caller(&self, unique_id: &str, caller: CallerIdView) {
        let change = |channel: &mut Channel| channel.caller = caller;
        let mut registry = self.lock();
        self.send(registry.update(unique_id, change, NewsBody::CallerId, Timestamp::now()));
    }

    /// Notes something of a channel of which nothing is told.
    pub fn note(&self, unique_id: &str, note: Note, value: &str) {
        self.lock().note(unique_id, note, value);
    }

    /// Notes what of a channel is silenced: what comes from it, what goes to it.
    pub fn set_muted(&self, unique_id: &str, muted: (bool, bool)) {
        self.lock().set_muted(unique_id, muted);
    }

    /// Tells something that changes nothing here: digits sent, AGI, music.
    pub fn tell(&self, unique_id: &str, body: NewsBody) {
        let mut registry = self.lock();
        self.send(registry.update(unique_id, |_| {}, body, Timestamp::now()));
    }

    /// Tells something that concerns no channel.
    pub fn tell_all(&self, body: NewsBody) {
        let registry = self.lock();
        self.send(vec![ChannelNews { at: Timestamp::now(), channel: None, body }]);
        drop(registry);
    }

    /// What the channel is given by which an application calls `line` next; gives the number of
    /// its unique id, after the full stop.
    pub fn expect(&self, line: &str, expected: Expected) -> u64 {
        self.lock().expect(line, expected)
    }

    /// A pair whose `;2` goes through a dial plan: both of it, `;1` first.
    pub fn open_pair(&self, expected: Expected) -> Option<(Arc<Channel>, Arc<Channel>)> {
        let mut registry = self.lock();
        let mut news = Vec::new();
        let pair = registry.open_pair(expected, Timestamp::now(), &mut news);
        self.send(news);
        pair
    }

    /// Both ends of a pair without a telephone, by their unique ids, are answered.
    pub fn pair_answers(&self, waits: &str, dials: &str) {
        let mut registry = self.lock();
        self.send(registry.pair_answers(waits, dials, Timestamp::now()));
    }

    /// The phone of a line, which the end `dials` of a pair has reached, is in the place of the end
    /// `waits`, and both ends are no more.
    pub fn phone_takes_place(&self, line: &str, waits: &str, dials: &str) {
        let mut registry = self.lock();
        self.send(registry.phone_takes_place(line, waits, dials, Timestamp::now()));
    }

    /// An end of a pair without a telephone is over.
    pub fn end_phoneless(&self, unique_id: &str, cause: u8) {
        let mut registry = self.lock();
        self.send(registry.end_phoneless(unique_id, cause, Timestamp::now()));
    }

    /// Nobody calls there.
    pub fn forget_expected(&self, line: &str, serial: u64) {
        self.lock().forget_expected(line, serial);
    }

    /// Who runs dial plans; the first one wins.
    pub fn run_by(&self, program: Arc<dyn Program>) {
        let _ = self.0.program.set(program);
    }

    /// Who runs dial plans.
    pub fn program(&self) -> Arc<dyn Program> {
        self.0.program.get().cloned().unwrap_or_else(|| Arc::new(NoProgram))
    }
}

/// A program has a channel.
#[derive(Debug)]
pub struct Hold {
    channels: Channels,
    unique_id: String,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut registry = self.channels.lock();
        self.channels.send(registry.release(&self.unique_id, Timestamp::now()));
    }
}
