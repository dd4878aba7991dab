//! What an application says into a line: pieces of any length, gathered and bounded.

use crate::auth::Caller;
use crate::control::{Control, Player, PlayerNote, PlayerOptions, Refused};

/// Samples of a frame; fewer wait for the next tick.
const FRAME: usize = 160;

/// What an application says.
pub(super) struct Speech {
    control: Control,
    caller: Caller,
    line: String,
    queue_ms: u32,
    player: Option<Player>,
    gathered: Vec<i16>,
}

impl Speech {
    pub(super) fn new(control: Control, caller: Caller, line: String, queue_ms: u32) -> Self {
        Self { control, caller, line, queue_ms, player: None, gathered: Vec::new() }
    }

    /// Takes samples; gives how many had no room.
    pub(super) async fn say(&mut self, samples: &[i16]) -> Result<usize, Refused> {
        let waiting = self.player.as_ref().map_or(0, |player| player.queued().queued_ms);
        let room_ms = u64::from(self.queue_ms).saturating_sub(waiting);
        let room = (room_ms as usize * 8).saturating_sub(self.gathered.len());
        let taken = samples.len().min(room);
        self.gathered.extend_from_slice(&samples[..taken]);
        if self.gathered.len() >= FRAME {
            self.flush().await?;
        }
        Ok(samples.len() - taken)
    }

    /// Hands on what was gathered.
    pub(super) async fn flush(&mut self) -> Result<(), Refused> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let samples = std::mem::take(&mut self.gathered);
        self.player().await?.write(&samples).map(|_| ())
    }

    /// Asks to be told when what was said so far has been handed to the device.
    pub(super) async fn mark(&mut self, name: &str) -> Result<(), Refused> {
        self.flush().await?;
        self.player().await?.mark(name)
    }

    /// Drops what waits; gives what was played, ms.
    pub(super) async fn clear(&mut self) -> Result<u64, Refused> {
        self.gathered.clear();
        match &self.player {
            Some(player) => Ok(player.clear().await?.played_ms),
            None => Ok(0),
        }
    }

    /// The next mark; waits for it. May be cancelled without loss.
    pub(super) async fn next_mark(&mut self) -> (String, u64) {
        loop {
            let Some(player) = &mut self.player else { return std::future::pending().await };
            match player.next_note().await {
                PlayerNote::Mark { name, played_ms } => return (name, played_ms),
                // What is said next is given a new one.
                PlayerNote::Ended => self.player = None,
            }
        }
    }

    async fn player(&mut self) -> Result<&mut Player, Refused> {
        if self.player.is_none() {
            let options = PlayerOptions { microphone: false, max_queued_ms: self.queue_ms };
            let player = self.control.open_player(&self.caller, &self.line, options).await?;
            return Ok(self.player.insert(player));
        }
        Ok(self.player.as_mut().expect("it was looked at"))
    }
}
