//! How everything is.

use super::{Line, MediaStatistics, SipDiagnostics, Timestamp};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use utoipa::ToSchema;

/// A playback that is running.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Playback {
    /// Names it.
    pub playback_id: String,
    /// Handed to the device so far.
    pub played_ms: u64,
}

/// The channel of a line on a DAHDI card, as `dahdi_scan` shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DahdiDiagnostics {
    /// Number of the channel; null while there is none.
    pub channel: Option<u16>,
    /// Number of its span.
    pub span: Option<u16>,
    /// Position in the span, from 1.
    pub position: Option<u16>,
    /// Name of the span, as its driver gives it.
    pub span_name: Option<String>,
    /// The card.
    pub card: Option<String>,
    /// `fxoks`, or the number of another signalling.
    pub signalling: Option<String>,
    /// Alarms of the span: `red`, `yellow`, `blue`, `recover`, `loopback`, `not_open`.
    pub span_alarms: Vec<String>,
    /// Alarms of the channel.
    pub channel_alarms: Vec<String>,
    /// Tip wire against ground, V; null where the driver does not tell.
    pub tip_voltage: Option<f64>,
    /// Ring wire against ground, V.
    pub ring_voltage: Option<f64>,
    /// Battery that feeds the loop, V.
    pub battery_voltage: Option<f64>,
    /// Why there is no channel, and what mends it.
    pub fault: Option<String>,
}

/// What is known of one line's inside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LineDiagnostics {
    /// The line.
    pub line: Line,
    /// The engine's name for it; null while there is no engine.
    pub device: Option<String>,
    /// The frame loop that serves it.
    pub frame_loop: Option<u8>,
    /// Number to dial.
    pub extension: Option<String>,
    /// The line it is bridged with.
    pub bridged_with: Option<String>,
    /// The phone hears itself.
    pub echo: bool,
    /// Tip-ring voltage, V.
    pub voltage: Option<f64>,
    /// Of the card.
    pub temperature_celsius: Option<f64>,
    /// The card raises an alarm.
    pub alarm: bool,
    /// Running now.
    pub playbacks: Vec<Playback>,
    /// Of its RTP.
    pub media: Option<MediaStatistics>,
    /// Depth of its jitter buffer.
    pub jitter_buffer_ms: Option<u16>,
    /// Local RTP port.
    pub rtp_port: Option<u16>,
    /// Digits of this call that came by another way than the one that counts.
    pub digits_ignored: Option<u32>,
    /// SIP registration, where that applies.
    pub registration: Option<Registration>,
    /// Its channel, where it is on a card.
    pub dahdi: Option<DahdiDiagnostics>,
}

/// Registration of a SIP account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Registration {
    /// Calls can be sent there.
    pub registered: bool,
    /// Where to.
    pub contact: Option<String>,
    /// Until when; null for a fixed account.
    pub expires_at: Option<Timestamp>,
    /// What the phone calls itself.
    pub user_agent: Option<String>,
}

/// The attachment to the engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EngineDiagnostics {
    /// Attached now.
    pub attached: bool,
    /// Names the engine's start.
    pub generation: Option<String>,
    /// Attached or away since.
    pub since: Timestamp,
    /// Attachments since apid's start.
    pub attachments: u64,
    /// Age of the engine's last sign of life.
    pub heartbeat_age_ms: Option<u64>,
    /// Its socket.
    pub socket: String,
    /// Commands without an answer yet.
    pub commands_pending: usize,
    /// Commands that were not answered in time.
    pub commands_timed_out: u64,
    /// Times the line table was read anew because events were dropped.
    pub resyncs: u64,
    /// Its frame loops.
    pub frame_loops: Vec<FrameLoopDiagnostics>,
}

/// Counters of a frame loop, by name, since the engine's start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FrameLoopDiagnostics {
    /// Index.
    pub frame_loop: u8,
    /// Every counter the engine keeps.
    pub counters: std::collections::BTreeMap<String, u64>,
}

/// A port apid has opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PortDiagnostics {
    /// `http`, `websocket`, `sip_udp`, `sip_tcp`, `sip_tls`, `sip_ws`, `sip_wss`, `ami`, `handler`.
    pub service: String,
    /// Address it listens on.
    pub address: String,
    /// By TLS.
    pub encrypted: bool,
    /// What whoever runs this should mend.
    pub warning: Option<String>,
}

impl PortDiagnostics {
    /// A port. Whoever sees the network reads tokens, secrets and audio where it is not
    /// encrypted; on loopback nobody does.
    pub fn new(service: &str, address: SocketAddr, encrypted: bool) -> Self {
        let exposed = !encrypted && !address.ip().to_canonical().is_loopback();
        let section = match service {
            "http" | "websocket" => Some("api"),
            "ami" => Some("ami"),
            // Telephones without TLS are the rule; theirs stands beside it.
            _ => None,
        };
        let warning = section.filter(|_| exposed).map(|section| {
            format!(
                "others reach {address}, and whoever is between reads tokens and secrets: \
                 configure `{section}.tls`"
            )
        });
        Self { service: service.to_owned(), address: address.to_string(), encrypted, warning }
    }
}

/// A client that listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClientDiagnostics {
    /// `events`, `audio` or `ami`.
    pub kind: String,
    /// Who it is: token name.
    pub caller: String,
    /// Where it is.
    pub remote: String,
    /// The line, for audio.
    pub line: Option<String>,
    /// Connected since.
    pub since: Timestamp,
    /// Messages waiting for it; octets, for `ami`.
    pub queued: usize,
    /// Age of the oldest message waiting for it.
    pub oldest_age_ms: u64,
    /// Messages it missed.
    pub missed: u64,
}

/// The whole system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Diagnostics {
    /// Version of apid.
    pub version: String,
    /// apid's start.
    pub started_at: Timestamp,
    /// Since then.
    pub uptime_ms: u64,
    /// The other process.
    pub engine: EngineDiagnostics,
    /// Everything that is open.
    pub ports: Vec<PortDiagnostics>,
    /// Everything that is a line.
    pub lines: Vec<LineDiagnostics>,
    /// Everybody who listens on a WebSocket or is connected to AMI.
    pub clients: Vec<ClientDiagnostics>,
    /// Calls that are not over.
    pub calls: usize,
    /// Sequence number of the last event.
    pub last_event_seq: u64,
    /// SIP; null where none is configured, and for a caller limited to lines.
    pub sip: Option<SipDiagnostics>,
}

/// Whether calls can be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Readiness {
    /// Everything is in order.
    pub ready: bool,
    /// What is not.
    pub reasons: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_port_that_others_reach_is_warned_of() {
        let warning = |service, address: &str, encrypted| {
            PortDiagnostics::new(service, address.parse().unwrap(), encrypted).warning
        };
        let warned = warning("http", "192.168.1.10:8000", false).unwrap();
        assert!(warned.contains("192.168.1.10:8000") && warned.contains("`api.tls`"), "{warned}");
        assert!(warning("websocket", "[::]:8001", false).unwrap().contains("`api.tls`"));
        assert!(warning("ami", "0.0.0.0:5038", false).unwrap().contains("`ami.tls`"));
        for (service, address, encrypted) in [
            ("http", "192.168.1.10:8000", true),
            ("http", "127.0.0.1:8000", false),
            ("ami", "[::ffff:127.0.0.1]:5038", false),
            ("sip_udp", "192.168.1.10:5060", false),
        ] {
            assert_eq!(warning(service, address, encrypted), None, "{service} {address}");
        }
    }
}
