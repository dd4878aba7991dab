//! Tip-ring voltage: what a line has, what an idle one should have.

use super::access::kind;
use super::{Control, Refused};
use crate::auth::{Caller, Scope};
use crate::engine_link::wall;
use crate::view::{LineKind, Voltage, VoltageStatus};
use tipring_shm_proto::command::LineState;
use tipring_shm_proto::line_table::LineRow;

/// Between which voltages, V whatever their sign, nothing is wrong with a line whose handset is down.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VoltageLimits {
    /// Below, the battery is weak, or not there.
    pub low: f64,
    /// Above, the line is not fed as it should be.
    pub high: f64,
}

impl VoltageLimits {
    /// Ringing and loop current change the voltage of a line that is in use, which is normal.
    pub(super) fn judge(&self, state: LineState, volts: Option<f64>) -> VoltageStatus {
        match volts.map(f64::abs) {
            None => VoltageStatus::Unknown,
            Some(_) if matches!(state, LineState::Ringing | LineState::OffHook) => {
                VoltageStatus::Normal
            }
            Some(volts) if volts < self.low => VoltageStatus::Low,
            Some(volts) if volts > self.high => VoltageStatus::High,
            Some(_) => VoltageStatus::Normal,
        }
    }
}

impl Control {
    /// Tip-ring voltage, or why there is none. Needs `read`.
    ///
    /// # Errors
    /// `EngineAway`, and as [`Control::line`].
    pub fn voltage(&self, caller: &Caller, line: &str) -> Result<Voltage, Refused> {
        let at = self.attached(caller, Scope::Read, line)?;
        let voltage = at.row.millivolts.map(|mv| f64::from(mv) / 1000.0);
        let reason = voltage.is_none().then(|| why_none(kind(&at.entry, Some(&at.row)), &at.row));
        let card = at.row.dahdi.as_ref().map(super::card::diagnostics);
        Ok(Voltage {
            voltage,
            status: self.voltage_limits().judge(at.row.state.value, voltage),
            tip_voltage: card.as_ref().and_then(|card| card.tip_voltage),
            ring_voltage: card.as_ref().and_then(|card| card.ring_voltage),
            battery_voltage: card.as_ref().and_then(|card| card.battery_voltage),
            reason,
            timestamp: wall(at.row.written_at),
        })
    }

    /// What an idle line should have.
    pub fn voltage_limits(&self) -> VoltageLimits {
        self.0.voltage_limits
    }
}

fn why_none(kind: LineKind, row: &LineRow) -> String {
    let fault = row.dahdi.as_ref().and_then(|row| super::card::diagnostics(row).fault);
    match (kind, fault) {
        (LineKind::Sip, _) => "a SIP line ends in a phone or an ATA, which tells no voltage".into(),
        (_, Some(fault)) => format!("the line has no channel: {fault}"),
        _ => "the card's driver tells no voltage (WCTDM_GET_STATS)".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tipring_shm_proto::line_table::{DahdiFault, DahdiRow};
    use tipring_shm_proto::units::{LoopId, Nanos, Text32};

    #[test]
    fn an_idle_line_is_judged_and_one_in_use_is_not() {
        use LineState::{OffHook, OnHook, Ringing};
        let limits = VoltageLimits { low: 42.5, high: 56.5 };
        let idle = |volts| limits.judge(OnHook, Some(volts));
        assert_eq!([-48.0, 48.0, -42.5, -56.5].map(idle), [VoltageStatus::Normal; 4]);
        assert_eq!([-42.4, 0.0, 42.4].map(idle), [VoltageStatus::Low; 3]);
        assert_eq!([-56.6, 90.0].map(idle), [VoltageStatus::High; 2]);
        assert_eq!(limits.judge(OffHook, Some(-7.5)), VoltageStatus::Normal);
        assert_eq!(limits.judge(Ringing, Some(-90.0)), VoltageStatus::Normal);
        assert_eq!(limits.judge(OnHook, None), VoltageStatus::Unknown);
    }

    #[test]
    fn none_has_its_reason() {
        let label = Text32::new("dahdi/3");
        let at_rest = |dahdi| {
            let row = LineRow::at_rest(
                label,
                tipring_shm_proto::command::LineKind::Dahdi,
                LoopId(2),
                Nanos(0),
            );
            LineRow { dahdi: Some(dahdi), ..row }
        };
        let gone = at_rest(DahdiRow::without(DahdiFault::Removed));
        assert!(why_none(LineKind::Dahdi, &gone).contains("the card is gone"));
        let open = at_rest(DahdiRow { fault: None, ..DahdiRow::without(DahdiFault::Removed) });
        assert!(why_none(LineKind::Dahdi, &open).contains("WCTDM_GET_STATS"));
        assert!(why_none(LineKind::Sip, &open).contains("SIP"));
    }
}
