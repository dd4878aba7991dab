//! Which channels there are, and on which card: what `dahdi_scan` would list. Read from sysfs,
//! where a card has its hardware id, and from `/dev/dahdi/ctl`, without opening a channel.
//!
//! A channel's number depends on what was plugged in before it. A card's hardware id, or its
//! location where it has none, and the position of a port on it do not.

use super::ioctl::{Control, SIGNALLING_FXOKS};
use std::path::{Path, PathBuf};

/// Where the kernel lists spans.
pub const SPANS: &str = "/sys/bus/dahdi_spans/devices";
/// Most channels that are looked at.
const MAX_CHANNELS: u16 = 1024;

/// Which channel a line has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// By its number.
    Channel(u16),
    /// By its place.
    Port {
        /// Hardware id of the card, or `@` and its location.
        card: String,
        /// From 1, over all spans of the card.
        port: u16,
    },
}

/// One span of a card.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Span {
    card: String,
    local: u16,
    first_channel: u16,
    channels: u16,
}

/// The spans of this machine, by card and place on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory(Vec<Span>);

impl Inventory {
    /// Reads `spans` ([`SPANS`]); empty where there is none.
    pub fn read(spans: &Path) -> Self {
        let entries = std::fs::read_dir(spans).into_iter().flatten().flatten();
        let mut found: Vec<Span> = entries.filter_map(|entry| span(&entry.path())).collect();
        found.sort_by(|a, b| (&a.card, a.local).cmp(&(&b.card, b.local)));
        Self(found)
    }

    /// The number that a channel has now.
    pub fn channel(&self, address: &Address) -> Option<u16> {
        match address {
            Address::Channel(number) => Some(*number),
            Address::Port { card, port } => {
                let mut before = 0;
                for span in self.0.iter().filter(|span| span.card == *card) {
                    if *port > before && *port <= before + span.channels {
                        return Some(span.first_channel + (port - before) - 1);
                    }
                    before += span.channels;
                }
                None
            }
        }
    }

    /// Its place; the number itself where sysfs does not know it.
    pub fn address(&self, channel: u16) -> Address {
        let mut before = 0;
        let mut card = "";
        for span in &self.0 {
            if span.card != card {
                (card, before) = (&span.card, 0);
            }
            let last = span.first_channel + (span.channels - 1);
            if (span.first_channel..=last).contains(&channel) {
                let port = before + (channel - span.first_channel) + 1;
                return Address::Port { card: span.card.clone(), port };
            }
            before += span.channels;
        }
        Address::Channel(channel)
    }

    /// The card that a channel is on.
    pub fn card(&self, address: &Address) -> Option<String> {
        match address {
            Address::Port { card, .. } => Some(card.clone()),
            Address::Channel(number) => match self.address(*number) {
                Address::Port { card, .. } => Some(card),
                Address::Channel(_) => None,
            },
        }
    }

    /// Every channel that is signalled as an FXS port must be.
    pub fn fxs_channels(&self, control: &Control) -> Vec<u16> {
        let mut channels: Vec<u16> = if self.0.is_empty() {
            // Numbers have no gaps but those that unplugged cards left.
            (1..=MAX_CHANNELS).collect()
        } else {
            self.0.iter().flat_map(|s| s.first_channel..s.first_channel + s.channels).collect()
        };
        channels.sort_unstable();
        channels.retain(|number| {
            control.params(*number).is_ok_and(|params| params.signalling == SIGNALLING_FXOKS)
        });
        channels
    }
}

/// One folder of [`SPANS`]: the span, and the card above it.
fn span(folder: &Path) -> Option<Span> {
    let real = folder.canonicalize().ok()?;
    let number = |name: &str| text(&real, name)?.parse::<u16>().ok();
    let device = real.parent()?;
    let card = text(device, "hardware_id")
        .or_else(|| text(device, "location").map(|location| format!("@{location}")))?;
    // A span without channels has not been given any yet.
    let (first_channel, channels) = (number("basechan")?, number("channels")?);
    let sane = first_channel > 0 && channels > 0 && channels <= MAX_CHANNELS;
    let ends = first_channel.checked_add(channels).is_some();
    let local = number("local_spanno").unwrap_or(1);
    (sane && ends).then_some(Span { card, local, first_channel, channels })
}

/// One line; `None` where it is empty.
fn text(folder: &Path, name: &str) -> Option<String> {
    let path: PathBuf = folder.join(name);
    let text = std::fs::read_to_string(path).ok()?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hardware id, location, and for each span its first channel and how many it has.
    type Card<'a> = (&'a str, &'a str, &'a [(u16, u16)]);

    /// Cards as sysfs shows them: a folder each, their spans in it, links to those elsewhere.
    fn machine(name: &str, cards: &[Card]) -> PathBuf {
        let root = std::env::temp_dir().join(format!("tipring-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&root);
        let links = root.join("spans");
        std::fs::create_dir_all(&links).unwrap();
        let mut number = 0;
        for (index, (id, location, spans)) in cards.iter().enumerate() {
            let card = root.join(format!("card{index}"));
            for (local, (first, channels)) in spans.iter().enumerate() {
                number += 1;
                let span = card.join(format!("span-{number}"));
                std::fs::create_dir_all(&span).unwrap();
                for (attribute, value) in [
                    ("basechan", *first),
                    ("channels", *channels),
                    ("local_spanno", local as u16 + 1),
                ] {
                    std::fs::write(span.join(attribute), format!("{value}\n")).unwrap();
                }
                std::os::unix::fs::symlink(&span, links.join(format!("span-{number}"))).unwrap();
            }
            std::fs::write(card.join("hardware_id"), format!("{id}\n")).unwrap();
            std::fs::write(card.join("location"), format!("{location}\n")).unwrap();
        }
        root
    }

    fn port(card: &str, port: u16) -> Address {
        Address::Port { card: card.to_owned(), port }
    }

    #[test]
    fn a_port_keeps_its_place_whatever_number_it_has() {
        let root = machine(
            "inventory",
            &[("", "PCI Bus 01 Slot 02", &[(5, 4)]), ("xpp-1", "usb", &[(9, 8), (17, 2)])],
        );
        let inventory = Inventory::read(&root.join("spans"));
        let slot = "@PCI Bus 01 Slot 02";
        assert_eq!(inventory.channel(&port(slot, 1)), Some(5));
        assert_eq!(inventory.channel(&port(slot, 4)), Some(8));
        assert_eq!(inventory.channel(&port(slot, 5)), None);
        assert_eq!(inventory.channel(&port(slot, 0)), None);
        assert_eq!(inventory.channel(&port("xpp-1", 9)), Some(17));
        assert_eq!(inventory.channel(&port("xpp-1", 11)), None);
        assert_eq!(inventory.channel(&Address::Channel(99)), Some(99));
        assert_eq!(inventory.address(18), port("xpp-1", 10));
        assert_eq!(inventory.address(99), Address::Channel(99));
        assert_eq!(inventory.card(&Address::Channel(6)).as_deref(), Some(slot));
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn what_is_no_span_is_left_out() {
        let root = machine("strange", &[("a", "b", &[(0, 4)]), ("c", "d", &[(65_535, 4)])]);
        std::fs::create_dir(root.join("spans/span-9")).unwrap();
        assert_eq!(Inventory::read(&root.join("spans")), Inventory::default());
        assert_eq!(Inventory::read(&root.join("nothing")), Inventory::default());
        std::fs::remove_dir_all(root).unwrap();
    }
}
