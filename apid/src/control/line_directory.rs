//! Which lines there are: what clients call them, what the engine calls them.

use crate::config::{Codec, Config, TrunkConfig};
use std::collections::{BTreeMap, HashMap};
use tipring_shm_proto::command::{Law, LineKind};
use tipring_shm_proto::line_table::{DahdiFault, LineRow};
use tipring_shm_proto::units::LineId;

/// One line.
#[derive(Clone, Debug)]
pub struct LineEntry {
    /// Name in every route.
    pub id: String,
    /// For people.
    pub name: String,
    /// The engine's name for it.
    pub label: String,
    /// A SIP account, not a device of the engine's own.
    pub sip: bool,
    /// Number to dial.
    pub extension: Option<String>,
    /// Of a SIP line, in order of preference.
    pub laws: Vec<Law>,
    /// Its row in the engine that is attached.
    pub engine: Option<LineId>,
}

/// All lines, in the order of the configuration; then those that the engine has beyond it.
#[derive(Clone, Debug, Default)]
pub struct LineDirectory {
    entries: Vec<LineEntry>,
    by_id: HashMap<String, usize>,
    by_engine: HashMap<LineId, usize>,
}

impl LineDirectory {
    /// From the configuration. `rtp_lines` says which SIP account has which of the engine's RTP
    /// lines; those that are new are given the first that are free.
    pub fn new(config: &Config, rtp_lines: &mut BTreeMap<String, u16>) -> Self {
        let mut directory = Self::default();
        for line in &config.lines {
            let id = line.id.value.as_str();
            directory.add(LineEntry {
                id: id.to_owned(),
                name: line.name.clone().unwrap_or_else(|| format!("Line {id}")),
                label: line.engine.value.clone(),
                sip: false,
                extension: line.extension.as_ref().map(|n| n.value.as_str().to_owned()),
                laws: Vec::new(),
                engine: None,
            });
        }
        let trunk_lines: Vec<(&TrunkConfig, String)> = config
            .sip
            .trunks
            .iter()
            .flat_map(|trunk| trunk.lines().into_iter().map(move |line| (trunk, line)))
            .collect();
        rtp_lines.retain(|user, _| {
            config.sip.accounts.iter().any(|account| account.user.value.as_str() == user)
                || trunk_lines.iter().any(|(_, line)| line == user)
        });
        for account in &config.sip.accounts {
            let id = account.user.value.as_str();
            let label = rtp_label(id, rtp_lines);
            directory.add(LineEntry {
                id: id.to_owned(),
                name: account.name.clone().unwrap_or_else(|| id.to_owned()),
                label,
                sip: true,
                extension: account.extension.as_ref().map(|n| n.value.as_str().to_owned()),
                laws: laws(&account.codecs),
                engine: None,
            });
        }
        for (trunk, id) in trunk_lines {
            directory.add(LineEntry {
                name: format!("Trunk {id}"),
                label: rtp_label(&id, rtp_lines),
                id,
                sip: true,
                extension: None,
                laws: laws(&trunk.codecs),
                engine: None,
            });
        }
        directory
    }

    fn add(&mut self, entry: LineEntry) {
        self.by_id.insert(entry.id.clone(), self.entries.len());
        self.entries.push(entry);
    }

    /// All lines.
    pub fn entries(&self) -> impl Iterator<Item = &LineEntry> {
        self.entries.iter()
    }

    /// One line.
    pub fn get(&self, id: &str) -> Option<&LineEntry> {
        self.by_id.get(id).map(|index| &self.entries[*index])
    }

    /// The line that the engine means.
    pub fn of_engine(&self, line: LineId) -> Option<&LineEntry> {
        self.by_engine.get(&line).map(|index| &self.entries[*index])
    }

    /// Learns the engine's lines; gives those that are new.
    pub fn attach(&mut self, rows: &[(LineId, LineRow)]) -> Vec<LineEntry> {
        self.detach();
        // One that the configuration names is there, if only to say why it has no channel.
        let is_named = |row: &LineRow| self.entries.iter().any(|e| e.label == row.label.as_str());
        let there: Vec<_> =
            rows.iter().filter(|(_, row)| is_named(row) || !is_spare(row)).collect();
        there.into_iter().filter_map(|(line, row)| self.learn(*line, row)).collect()
    }

    /// Learns one line of the engine; gives it if it is new.
    pub fn learn(&mut self, line: LineId, row: &LineRow) -> Option<LineEntry> {
        let label = row.label.as_str();
        if let Some(index) = self.entries.iter().position(|entry| entry.label == label) {
            self.entries[index].engine = Some(line);
            self.by_engine.insert(line, index);
            return None;
        }
        if row.kind == LineKind::Rtp {
            return None;
        }
        let number = label.rsplit('/').next().unwrap_or(label);
        let id = if self.by_id.contains_key(number) {
            label.replace('/', "-")
        } else {
            number.to_owned()
        };
        self.by_engine.insert(line, self.entries.len());
        let entry = LineEntry {
            name: format!("Line {id}"),
            id,
            label: label.to_owned(),
            sip: false,
            extension: None,
            laws: Vec::new(),
            engine: Some(line),
        };
        self.add(entry.clone());
        Some(entry)
    }

    /// The engine is gone.
    pub fn detach(&mut self) {
        self.by_engine.clear();
        for entry in &mut self.entries {
            entry.engine = None;
        }
    }
}

/// A line that the engine keeps for a channel that was never there: to clients there is none, until
/// its card is plugged in.
fn is_spare(row: &LineRow) -> bool {
    let fault = row.dahdi.and_then(|dahdi| dahdi.fault);
    matches!(fault, Some(DahdiFault::NoChannel | DahdiFault::NoDriver))
}

/// The engine's name for the RTP line that an account has had, or gets now.
fn rtp_label(id: &str, rtp_lines: &mut BTreeMap<String, u16>) -> String {
    let number = rtp_lines.get(id).copied().unwrap_or_else(|| {
        let free =
            (1..u16::MAX).find(|n| !rtp_lines.values().any(|taken| taken == n)).unwrap_or(u16::MAX);
        rtp_lines.insert(id.to_owned(), free);
        free
    });
    format!("rtp/{number}")
}

fn laws(codecs: &[Codec]) -> Vec<Law> {
    let law = |codec: &Codec| match codec {
        Codec::Pcmu => Law::Mu,
        Codec::Pcma => Law::A,
    };
    codecs.iter().map(law).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tipring_shm_proto::line_table::DahdiRow;
    use tipring_shm_proto::units::{LoopId, Nanos, Text32};

    #[test]
    fn a_line_without_a_card_is_none_until_the_card_is_there() {
        let label = Text32::new("dahdi/3");
        let mut row = LineRow::at_rest(label, LineKind::Dahdi, LoopId(2), Nanos(0));
        row.dahdi = Some(DahdiRow::without(DahdiFault::NoChannel));
        let mut directory = LineDirectory::default();
        assert!(directory.attach(&[(LineId(9), row)]).is_empty());
        assert!(directory.of_engine(LineId(9)).is_none());
        row.dahdi = Some(DahdiRow::without(DahdiFault::NotConfigured));
        assert_eq!(directory.learn(LineId(9), &row).unwrap().id, "3");
        assert!(directory.learn(LineId(9), &row).is_none(), "known by now");
        assert_eq!(directory.attach(&[(LineId(9), row)]).len(), 0);
        row.dahdi = Some(DahdiRow::without(DahdiFault::NoChannel));
        assert_eq!(directory.attach(&[(LineId(9), row)]).len(), 0);
        assert!(directory.of_engine(LineId(9)).is_some(), "it says why it has no channel");
    }

    #[test]
    fn an_account_keeps_its_rtp_line_when_others_come_and_go() {
        let mut rtp_lines = BTreeMap::from([("phone3".to_owned(), 1), ("gone".to_owned(), 2)]);
        let directory = LineDirectory::new(&Config::demonstration(), &mut rtp_lines);
        assert_eq!(directory.get("phone3").unwrap().label, "rtp/1");
        assert_eq!(directory.get("phone1").unwrap().label, "rtp/2");
        assert_eq!(directory.get("phone2").unwrap().label, "rtp/3");
        assert_eq!(directory.get("phone4").unwrap().label, "rtp/4");
        assert!(!rtp_lines.contains_key("gone"));
    }
}
