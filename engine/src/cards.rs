//! Lines on DAHDI cards, as an ordinary thread sees them: which there are, opening and closing
//! their channels, looking after what a frame loop cannot ask without waiting.
//!
//! A channel that cannot be opened is tried again and again: it may not be configured yet, held by
//! another program, unplugged. Nothing here ends because of a card.

use crate::config::Dahdi;
use crate::device::dahdi::inventory::{Address, Inventory};
use crate::device::dahdi::ioctl::Channel;
use crate::device::dahdi::open::{self, OpenChannel, OpenError, Setup, Watched};
use crate::frame_loop::orders::Order;
use std::path::PathBuf;
use tipring_shm_proto::line_table::{DahdiFault, DahdiRow};
use tipring_shm_proto::units::{LineId, Nanos, Text32};

/// Between two tries to open channels, ms.
const RETRY_MS: u32 = 250;
/// Between two looks at one channel or another, ms: a driver may wait for its card meanwhile.
const LOOK_MS: u32 = 50;
/// Cards that have a frame loop of their own; what is on more shares the last one.
const MAX_CARDS: usize = 4;

/// Where the kernel shows its cards.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// `/dev/dahdi`.
    pub nodes: PathBuf,
    /// `/sys/bus/dahdi_spans/devices`.
    pub spans: PathBuf,
}

impl Default for Kernel {
    fn default() -> Self {
        Self {
            nodes: PathBuf::from(open::NODES),
            spans: PathBuf::from(crate::device::dahdi::inventory::SPANS),
        }
    }
}

/// One line on a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardLine {
    /// The engine's name for it.
    pub label: Text32,
    /// Its channel.
    pub address: Address,
    /// Which of the card loops serves it, from 0.
    pub card: usize,
    /// Nobody named it: it waits for a card that may never come, and nobody is told so.
    pub spare: bool,
}

/// The lines that the configuration means: those that it names, and where it says `auto` every FXS
/// port that is there, or spare lines where none is.
pub fn plan(config: &Dahdi, kernel: &Kernel) -> Vec<CardLine> {
    let mut named: Vec<(String, Address)> =
        config.lines.iter().map(|line| (line.label(), line.address())).collect();
    let wanted = named.len();
    let inventory = Inventory::read(&kernel.spans);
    if config.auto {
        let taken: Vec<u16> = named.iter().filter_map(|(_, a)| inventory.channel(a)).collect();
        let control = open::control(&kernel.nodes);
        let found = control.map(|control| inventory.fxs_channels(&control)).unwrap_or_default();
        let spare = 1..=if found.is_empty() { config.spare_lines } else { 0 };
        let channels = found.into_iter().chain(spare).filter(|channel| !taken.contains(channel));
        named.extend(
            channels.map(|channel| (format!("dahdi/{channel}"), inventory.address(channel))),
        );
    }
    let mut cards: Vec<Option<String>> = Vec::new();
    let lines = named.into_iter().enumerate().map(|(place, (label, address))| {
        let card = inventory.card(&address);
        let index = cards.iter().position(|known| *known == card).unwrap_or_else(|| {
            cards.push(card);
            cards.len() - 1
        });
        let (card, spare) = (index.min(MAX_CARDS - 1), place >= wanted);
        CardLine { label: Text32::new(&label), address, card, spare }
    });
    lines.collect()
}

/// One line, and its channel while it has one.
#[derive(Debug)]
struct Place {
    line: LineId,
    label: Text32,
    address: Address,
    spare: bool,
    /// Its frame loop has the channel; this is ours.
    watched: Option<Watched>,
    /// Last told to its frame loop.
    row: Option<DahdiRow>,
}

/// What is to be done about a line.
#[derive(Debug)]
pub enum Work {
    /// Give this to its frame loop.
    Order(LineId, Order),
    /// Worth a log line.
    Say(String),
    /// Its channel cannot be opened, for another reason than before, which this says.
    Refused(LineId, String),
}

/// See the module.
#[derive(Debug, Default)]
pub struct Cards {
    kernel: Kernel,
    setup: Option<Setup>,
    places: Vec<Place>,
    tried_at: Option<Nanos>,
    looked_at: Option<Nanos>,
    next_look: usize,
}

impl Cards {
    /// Over lines that have no channel yet.
    pub fn new(kernel: Kernel, setup: Setup, lines: Vec<(LineId, CardLine)>) -> Self {
        let places = lines.into_iter().map(|(line, CardLine { label, address, spare, .. })| {
            Place { line, label, address, spare, watched: None, row: None }
        });
        Self { kernel, setup: Some(setup), places: places.collect(), ..Self::default() }
    }

    /// What is due.
    pub fn work(&mut self, now: Nanos) -> Vec<Work> {
        let mut work = Vec::new();
        let due = |at: Option<Nanos>, every_ms| at.is_none_or(|at| now.ms_since(at) >= every_ms);
        if due(self.tried_at, RETRY_MS) && self.places.iter().any(|p| p.watched.is_none()) {
            self.tried_at = Some(now);
            self.open_missing(&mut work);
        }
        if due(self.looked_at, LOOK_MS) {
            self.looked_at = Some(now);
            self.look_at_one(&mut work);
        }
        work
    }

    /// The frame loop has given up a channel: it is gone, or to be opened anew.
    pub fn close(&mut self, line: LineId, channel: Channel) {
        drop(channel);
        if let Some(place) = self.places.iter_mut().find(|place| place.line == line) {
            place.watched = None;
            // At once: after a reset it is there.
            self.tried_at = None;
        }
    }

    fn open_missing(&mut self, work: &mut Vec<Work>) {
        let Some(setup) = self.setup else { return };
        let inventory = Inventory::read(&self.kernel.spans);
        // Without the driver none of them is there: one look tells.
        let driver = open::control(&self.kernel.nodes);
        for place in self.places.iter_mut().filter(|place| place.watched.is_none()) {
            let opened = driver.as_ref().map_err(|error| *error).and_then(|control| {
                let fault = |fault| OpenError { fault, trouble: None };
                let number =
                    inventory.channel(&place.address).ok_or(fault(DahdiFault::NoChannel))?;
                // Whoever took it now would lose it again within a second.
                if control.is_leaving(number).unwrap_or(false) {
                    return Err(fault(DahdiFault::Removed));
                }
                let channel = open::open(&self.kernel.nodes, number, &setup)?;
                // From now on it is known by its place, should it return under another number.
                place.address = inventory.address(number);
                Ok(channel)
            });
            place.take(opened, work);
        }
    }

    /// One of those that are open, each in its turn.
    fn look_at_one(&mut self, work: &mut Vec<Work>) {
        let count = self.places.len();
        for step in 0..count {
            let index = (self.next_look + step) % count;
            let place = &mut self.places[index];
            let Some(watched) = &place.watched else { continue };
            self.next_look = index + 1;
            // What cannot be looked at is gone; its frame loop finds out by itself.
            if let Some(row) = watched.look() {
                place.tell(row, work);
            }
            return;
        }
    }
}

impl Place {
    fn take(&mut self, opened: Result<OpenChannel, OpenError>, work: &mut Vec<Work>) {
        let label = self.label.as_str();
        match opened {
            Ok(OpenChannel { opened, watched }) => {
                let row = watched.look().unwrap_or(DahdiRow::without(DahdiFault::Removed));
                let (card, span) = (row.card.as_str(), row.span_name.as_str());
                let text = format!("{label}: channel {} on {card} ({span})", row.channel);
                work.push(Work::Say(text));
                work.push(Work::Order(self.line, Order::Channel { line: self.line, opened, row }));
                // Its voltages are news to the line, which forgot those of the channel it lost.
                work.push(Work::Order(self.line, Order::Describe { line: self.line, row }));
                (self.watched, self.row) = (Some(watched), Some(row));
            }
            Err(error) => {
                let row = DahdiRow::without(error.fault);
                let missing = matches!(error.fault, DahdiFault::NoChannel | DahdiFault::NoDriver);
                let never_there = self.spare && self.row.is_none();
                // That its card leaves was told already.
                let has_left = self.row == Some(DahdiRow::without(DahdiFault::Removed));
                let known = missing && (never_there || has_left);
                if self.row != Some(row) && !known {
                    let place = open::name(&self.address);
                    let text = format!("{label}: {place}: {error}");
                    work.push(Work::Refused(self.line, text));
                }
                self.tell(row, work);
            }
        }
    }

    fn tell(&mut self, row: DahdiRow, work: &mut Vec<Work>) {
        if self.row.replace(row) != Some(row) {
            work.push(Work::Order(self.line, Order::Describe { line: self.line, row }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DahdiLine;

    fn nowhere() -> Kernel {
        let nowhere = PathBuf::from("/nonexistent");
        Kernel { nodes: nowhere.clone(), spans: nowhere }
    }

    #[test]
    fn without_a_card_there_are_the_lines_that_are_named_and_spare_ones() {
        let named = DahdiLine { channel: Some(2), ..DahdiLine::default() };
        let config = Dahdi { auto: true, spare_lines: 3, lines: vec![named], ..Dahdi::default() };
        let labels: Vec<String> =
            plan(&config, &nowhere()).iter().map(|line| line.label.as_str().to_owned()).collect();
        assert_eq!(labels, ["dahdi/2", "dahdi/1", "dahdi/3"]);
        assert_eq!(plan(&Dahdi { auto: false, ..config }, &nowhere()).len(), 1);
    }

    #[test]
    fn what_is_missing_is_told_once_and_tried_again() {
        let (label, address) = (Text32::new("dahdi/1"), Address::Channel(1));
        let named = CardLine { label, address, card: 0, spare: false };
        let spare = CardLine { spare: true, ..named.clone() };
        let setup = Setup { buffers: 2, flash_ms: 1000, gains: None };
        let mut cards = Cards::new(nowhere(), setup, vec![(LineId(7), named), (LineId(8), spare)]);
        let work = cards.work(Nanos(0));
        assert!(
            matches!(&work[..], [
                Work::Refused(LineId(7), text),
                Work::Order(LineId(7), Order::Describe { row, .. }),
                Work::Order(LineId(8), _),
            ] if row.fault == Some(DahdiFault::NoDriver) && text.starts_with("dahdi/1: ")),
            "{work:?}"
        );
        assert!(cards.work(Nanos(0).after_ms(RETRY_MS)).is_empty());
        assert_eq!(cards.tried_at, Some(Nanos(0).after_ms(RETRY_MS)));
    }
}
