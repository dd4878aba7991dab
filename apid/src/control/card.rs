//! Lines on a DAHDI card: what is known of their channels, and what only they can do.

use super::access::kind;
use super::{Control, Refused};
use crate::auth::{Caller, Scope};
use crate::view::DahdiDiagnostics;
use tipring_shm_proto::command::{Command, LineKind};
use tipring_shm_proto::line_table::{DahdiFault, DahdiRow};

/// `DAHDI_SIG_FXOKS`, which every FXS port has.
const FXOKS: u32 = 0x1020;
/// `DAHDI_ALARM_*` (dahdi/user.h).
const ALARMS: [(u32, &str); 6] =
    [(1, "recover"), (2, "loopback"), (4, "yellow"), (8, "red"), (16, "blue"), (32, "not_open")];

impl Control {
    /// Exchanges tip and ring of a line on a card, or puts them back. Needs `control`.
    ///
    /// # Errors
    /// `WrongKind` for a line that is on no card, `WrongState` while it rings or is offline,
    /// `Device` where the card cannot, and as [`Control::stop_ring`].
    pub async fn set_polarity(
        &self,
        caller: &Caller,
        line: &str,
        reversed: bool,
    ) -> Result<(), Refused> {
        self.order_card(caller, line, Command::Polarity { reversed }).await
    }

    /// Lights the lamp of a telephone on a card for so many messages; 0 puts it out. Needs
    /// `control`.
    ///
    /// # Errors
    /// As [`Control::set_polarity`].
    pub async fn set_messages_waiting(
        &self,
        caller: &Caller,
        line: &str,
        messages: u16,
    ) -> Result<(), Refused> {
        self.order_card(caller, line, Command::MessageWaiting { messages }).await
    }

    async fn order_card(
        &self,
        caller: &Caller,
        line: &str,
        command: Command,
    ) -> Result<(), Refused> {
        let at = self.attached(caller, Scope::Control, line)?;
        if at.row.kind != LineKind::Dahdi {
            return Err(Refused::WrongKind { kind: kind(&at.entry, Some(&at.row)) });
        }
        self.ask(at.engine, command).await.map(|_| ())
    }
}

/// The channel as clients see it.
pub(super) fn diagnostics(row: &DahdiRow) -> DahdiDiagnostics {
    let is_there = row.channel != 0;
    let text = |text: &str| is_there.then(|| text.to_owned());
    let volts = |millivolts: Option<i32>| millivolts.map(|mv| f64::from(mv) / 1000.0);
    let signalling =
        if row.signalling == FXOKS { "fxoks".to_owned() } else { format!("{:#x}", row.signalling) };
    DahdiDiagnostics {
        channel: is_there.then_some(row.channel),
        span: is_there.then_some(row.span),
        position: is_there.then_some(row.position),
        span_name: text(row.span_name.as_str()),
        card: text(row.card.as_str()),
        signalling: text(&signalling),
        span_alarms: alarms(row.span_alarms),
        channel_alarms: alarms(row.channel_alarms),
        tip_voltage: volts(row.volts.map(|volts| volts.tip)),
        ring_voltage: volts(row.volts.map(|volts| volts.ring)),
        battery_voltage: volts(row.volts.map(|volts| volts.battery)),
        fault: row.fault.map(|fault| why(fault).to_owned()),
    }
}

fn alarms(bits: u32) -> Vec<String> {
    ALARMS.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| (*name).to_owned()).collect()
}

/// In words, with what mends it.
const fn why(fault: DahdiFault) -> &'static str {
    match fault {
        DahdiFault::NoDriver => "DAHDI is not loaded on the engine's machine",
        DahdiFault::Permission => "the engine may not open the card's nodes",
        DahdiFault::Version => "the kernel's DAHDI is none that the engine knows",
        DahdiFault::NoChannel => "there is no such channel or card",
        DahdiFault::NotConfigured => "the channel is not configured: run dahdi_cfg",
        DahdiFault::WrongSignalling => "the channel is not signalled as fxoks",
        DahdiFault::NoToneZone => "no tone zone is loaded",
        DahdiFault::Busy => "another program holds the channel",
        DahdiFault::Removed => "the card is gone",
        DahdiFault::Kernel => "the kernel refuses the channel",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tipring_shm_proto::line_table::LineVolts;
    use tipring_shm_proto::units::Text32;

    #[test]
    fn a_channel_is_shown_as_dahdi_scan_shows_it() {
        let row = DahdiRow {
            channel: 3,
            span: 1,
            position: 3,
            signalling: FXOKS,
            span_alarms: 12,
            span_name: Text32::new("WCTDM/0"),
            card: Text32::new("Wildcard TDM410P"),
            volts: Some(LineVolts { tip: -2632, ring: -48_128, battery: -51_136 }),
            fault: None,
            ..DahdiRow::without(DahdiFault::Kernel)
        };
        let shown = diagnostics(&row);
        assert_eq!((shown.channel, shown.signalling.as_deref()), (Some(3), Some("fxoks")));
        assert_eq!(shown.span_alarms, ["yellow", "red"]);
        assert_eq!((shown.ring_voltage, shown.fault), (Some(-48.128), None));
    }

    #[test]
    fn a_line_without_a_channel_says_why() {
        let shown = diagnostics(&DahdiRow::without(DahdiFault::NotConfigured));
        assert_eq!((shown.channel, shown.card), (None, None));
        assert!(shown.fault.unwrap().contains("dahdi_cfg"));
    }
}
