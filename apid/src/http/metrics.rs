//! Diagnostics as Prometheus text (exposition format 0.0.4).

use crate::view::{Diagnostics, LineDiagnostics, MediaStatistics};
use std::fmt::{Display, Write as _};

/// The page.
pub(super) fn of(diagnostics: &Diagnostics) -> String {
    let mut page = Page(String::new());
    let engine = &diagnostics.engine;
    page.gauge("tipring_uptime_seconds", "Since apid's start", diagnostics.uptime_ms as f64 / 1e3);
    page.gauge("tipring_engine_attached", "1 while attached", u8::from(engine.attached));
    page.counter("tipring_engine_attachments_total", "Since apid's start", engine.attachments);
    page.counter(
        "tipring_commands_timed_out_total",
        "Commands without an answer in time",
        engine.commands_timed_out,
    );
    page.counter("tipring_resyncs_total", "Line table read anew", engine.resyncs);
    page.gauge("tipring_commands_pending", "Without an answer yet", engine.commands_pending);
    page.gauge("tipring_calls", "Calls that are not over", diagnostics.calls);
    page.counter("tipring_events_total", "Events since apid's start", diagnostics.last_event_seq);
    page.gauge("tipring_websockets", "Clients that listen", diagnostics.clients.len());
    let missed: u64 = diagnostics.clients.iter().map(|client| client.missed).sum();
    page.gauge("tipring_websocket_missed", "Messages present clients missed", missed);

    if let Some(sip) = &diagnostics.sip {
        page.gauge("tipring_sip_bans", "Addresses banned now", sip.bans);
        page.gauge("tipring_sip_transactions", "Requests not answered for good", sip.transactions);
        page.gauge("tipring_sip_connections", "Streams that are open", sip.connections);
        page.head("tipring_sip_turned_away_total", "SIP requests without service", "counter");
        for (cause, count) in &sip.turned_away {
            page.sample("tipring_sip_turned_away_total", &format!("{{cause=\"{cause}\"}}"), count);
        }
    }

    let mut names: Vec<&String> =
        engine.frame_loops.iter().flat_map(|frame_loop| frame_loop.counters.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let metric = format!("tipring_frame_loop_{}", word(name));
        page.head(&metric, "A counter of the engine, since its start", "untyped");
        for frame_loop in &engine.frame_loops {
            if let Some(value) = frame_loop.counters.get(name) {
                let labels = format!("{{frame_loop=\"{}\"}}", frame_loop.frame_loop);
                page.sample(&metric, &labels, value);
            }
        }
    }
    lines(&mut page, &diagnostics.lines);
    page.0
}

/// One number of a line's RTP.
type Reading = fn(&MediaStatistics) -> Option<f64>;

fn lines(page: &mut Page, lines: &[LineDiagnostics]) {
    page.head("tipring_line_state", "1 for the state a line is in", "gauge");
    for line in lines {
        let labels = format!(
            "{{line=\"{}\",kind=\"{}\",state=\"{}\"}}",
            escaped(&line.line.id),
            line.line.kind.name(),
            line.line.state.name()
        );
        page.sample("tipring_line_state", &labels, 1);
    }
    let media: [(&str, &str, Reading); 7] = [
        ("tipring_rtp_packets_received", "RTP packets of the call", |m| Some(m.packets as f64)),
        ("tipring_rtp_packets_sent", "RTP packets of the call", |m| Some(m.packets_sent as f64)),
        ("tipring_rtp_packets_lost", "Packets that never came", |m| Some(m.lost as f64)),
        ("tipring_rtp_packets_late", "Packets that came too late", |m| Some(m.late as f64)),
        ("tipring_rtp_jitter_ms", "Interarrival jitter", |m| Some(m.jitter_ms)),
        ("tipring_rtp_round_trip_ms", "Round trip by RTCP", |m| m.round_trip_ms),
        ("tipring_rtp_mos", "ITU-T G.107 estimate", |m| m.mos),
    ];
    for (name, help, reading) in media {
        page.head(name, help, "gauge");
        for line in lines {
            if let Some(value) = line.media.as_ref().and_then(reading) {
                page.sample(name, &format!("{{line=\"{}\"}}", escaped(&line.line.id)), value);
            }
        }
    }
}

struct Page(String);

impl Page {
    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, help, "gauge");
        self.sample(name, "", value);
    }

    fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, help, "counter");
        self.sample(name, "", value);
    }

    fn head(&mut self, name: &str, help: &str, kind: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}

/// A counter's name as Prometheus allows it.
fn word(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
