//! `/status`, `/voltage` and `/diagnostics` as the older phone APIs show them, and their one event
//! socket's name.

use super::State;
use super::access::Who;
use super::compat::LineQuery;
use super::problem::Problem;
use crate::auth::Caller;
use crate::control::VoltageLimits;
use crate::hub::{Delivery, Filter, NoticeBody};
use crate::view::{Call, CallState, Hook, Line, LineState, Phase, Timestamp, VoltageStatus};
use actix_web::get;
use actix_web::web::{Data, Json, Query};
use futures_util::FutureExt as _;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// Digits shown in `dtmf_history`.
const HISTORY: usize = 32;

/// Format of audio.
#[derive(Debug, Serialize, ToSchema)]
struct AudioFormatInfo {
    sample_rate: u32,
    channels: u8,
    bit_depth: u8,
}

/// Calls since apid's start, as far as they are held.
#[derive(Debug, Default, Serialize, ToSchema)]
struct CallStatistics {
    total_calls: usize,
    successful_calls: usize,
    failed_calls: usize,
    /// Seconds.
    average_duration: f64,
    last_call_timestamp: Option<Timestamp>,
    dtmf_digits_received: usize,
}

/// State of the phone, for clients of the older APIs and a little more.
#[derive(Debug, Serialize, ToSchema)]
struct Status {
    /// `idle`, `off_hook`, `ringing`, `in_call`, `error`, `initializing`.
    state: &'static str,
    /// V.
    line_voltage: Option<f64>,
    last_dtmf: Option<String>,
    /// Oldest first.
    dtmf_history: Vec<String>,
    is_voice_active: bool,
    audio_format: AudioFormatInfo,
    call_stats: CallStatistics,
    error_message: Option<String>,
    last_update: Timestamp,
    /// The line's id.
    line: String,
    off_hook: bool,
    last_digit: Option<String>,
    /// Somebody takes its audio.
    streaming: bool,
}

/// State of the phone.
#[utoipa::path(
    tag = "older phone APIs",
    params(LineQuery),
    responses((status = 200, description = "State of the phone", body = Status))
)]
#[get("/status")]
async fn get_status(
    state: Data<State>,
    who: Who,
    query: Query<LineQuery>,
) -> Result<Json<Status>, Problem> {
    let id = query.into_inner().resolve(&state, &who.0)?;
    let line = state.control.line(&who.0, &id)?;
    let dtmf = digits_held(&state, &who.0, &id)?;
    let calls = state.control.calls(&who.0)?;
    let calls: Vec<&Call> = calls.iter().filter(|call| concerns(call, &id)).collect();
    let streams = state.control.streams(&who.0).unwrap_or_default();
    let voltage = state.control.voltage(&who.0, &id).ok().and_then(|voltage| voltage.voltage);
    Ok(Json(Status {
        state: word_for(&line),
        line_voltage: voltage,
        last_dtmf: dtmf.last().cloned(),
        is_voice_active: line.voice,
        audio_format: AudioFormatInfo { sample_rate: 8000, channels: 1, bit_depth: 16 },
        call_stats: statistics(&calls, dtmf.len()),
        dtmf_history: dtmf[dtmf.len().saturating_sub(HISTORY)..].to_vec(),
        error_message: match line.state {
            LineState::Offline => Some("the line is offline".to_owned()),
            LineState::Fault => Some("the device reports a fault".to_owned()),
            _ => None,
        },
        last_update: Timestamp::now(),
        off_hook: line.hook == Hook::Off,
        last_digit: line.last_digit,
        streaming: streams.iter().any(|stream| stream.line == id),
        line: id,
    }))
}

fn word_for(line: &Line) -> &'static str {
    match line.state {
        LineState::OnHook => "idle",
        LineState::Ringing => "ringing",
        LineState::OffHook => match (line.phase, &line.call_id) {
            (Some(Phase::Talking | Phase::Held), Some(_)) => "in_call",
            _ => "off_hook",
        },
        LineState::Offline | LineState::Fault => "error",
    }
}

fn concerns(call: &Call, line: &str) -> bool {
    call.legs.iter().any(|leg| leg.line.as_deref() == Some(line))
}

/// The digits of this line that the hub still holds, oldest first.
fn digits_held(state: &State, caller: &Caller, line: &str) -> Result<Vec<String>, Problem> {
    let filter = Filter { lines: vec![line.to_owned()], types: vec!["dtmf".to_owned()] };
    let mut listener = state.control.listen(caller, filter, Some(0), "status")?;
    let mut digits = Vec::new();
    while let Some(delivery) = listener.next().now_or_never() {
        if let Delivery::Notice(notice) = delivery
            && let NoticeBody::Dtmf { digit, .. } = notice.body
        {
            digits.push(digit.to_string());
        }
    }
    Ok(digits)
}

fn statistics(calls: &[&Call], dtmf_digits_received: usize) -> CallStatistics {
    let ended = || calls.iter().filter(|call| call.state == CallState::Ended);
    let seconds: Vec<f64> = calls
        .iter()
        .filter_map(|call| call.ended_at?.0.duration_since(call.answered_at?.0).ok())
        .map(|duration| duration.as_secs_f64())
        .collect();
    CallStatistics {
        total_calls: calls.len(),
        successful_calls: calls.iter().filter(|call| call.answered_at.is_some()).count(),
        failed_calls: ended().filter(|call| call.answered_at.is_none()).count(),
        average_duration: if seconds.is_empty() {
            0.0
        } else {
            seconds.iter().sum::<f64>() / seconds.len() as f64
        },
        last_call_timestamp: calls.iter().map(|call| call.started_at).max(),
        dtmf_digits_received,
    }
}

/// Tip-ring voltage.
#[derive(Debug, Serialize, ToSchema)]
struct CompatVoltage {
    /// V; null where the driver tells none.
    voltage: Option<f64>,
    status: VoltageStatus,
    timestamp: Timestamp,
    /// What is normal for an idle line, V.
    min_voltage: f64,
    /// What is normal for an idle line, V.
    max_voltage: f64,
}

/// Tip-ring voltage.
#[utoipa::path(
    tag = "older phone APIs",
    params(LineQuery),
    responses((status = 200, description = "Voltage", body = CompatVoltage))
)]
#[get("/voltage")]
async fn get_compat_voltage(
    state: Data<State>,
    who: Who,
    query: Query<LineQuery>,
) -> Result<Json<CompatVoltage>, Problem> {
    let id = query.into_inner().resolve(&state, &who.0)?;
    let reading = state.control.voltage(&who.0, &id)?;
    let VoltageLimits { low, high } = state.control.voltage_limits();
    Ok(Json(CompatVoltage {
        voltage: reading.voltage,
        status: reading.status,
        timestamp: reading.timestamp,
        min_voltage: -high,
        max_voltage: -low,
    }))
}

/// What the hardware can.
#[derive(Debug, Serialize, ToSchema)]
struct Capabilities {
    channels: usize,
    supports_echo_cancel: bool,
    supports_hwgain: bool,
    supports_ring_detect: bool,
    /// V; null where the driver tells none.
    max_ring_voltage: Option<f64>,
    /// V; null where the driver tells none.
    min_idle_voltage: Option<f64>,
}

/// Voltages measured.
#[derive(Debug, Serialize, ToSchema)]
struct VoltageTests {
    /// V.
    idle_voltage: Option<f64>,
    /// V; null: it is not measured.
    ring_voltage: Option<f64>,
}

/// Levels measured.
#[derive(Debug, Serialize, ToSchema)]
struct CompatSignalQuality {
    /// dBm0.
    signal_level: f32,
    /// dBm0; null: it is not measured.
    noise_level: Option<f32>,
    /// dB; null: it is not measured.
    snr: Option<f32>,
    /// Null: it is not measured.
    distortion: Option<f32>,
}

/// Tests made; null: none was made.
#[derive(Debug, Serialize, ToSchema)]
struct FunctionalTests {
    #[serde(rename = "ring_test")]
    ring: Option<bool>,
    #[serde(rename = "audio_test")]
    audio: Option<bool>,
    #[serde(rename = "dtmf_test")]
    dtmf: Option<bool>,
}

/// The hardware's inside.
#[derive(Debug, Serialize, ToSchema)]
struct CompatDiagnostics {
    hardware_present: bool,
    capabilities: Capabilities,
    voltage_tests: VoltageTests,
    signal_quality: CompatSignalQuality,
    functional_tests: FunctionalTests,
}

/// The hardware's inside.
#[utoipa::path(
    tag = "older phone APIs",
    params(LineQuery),
    responses((status = 200, description = "The hardware's inside", body = CompatDiagnostics))
)]
#[get("/diagnostics")]
async fn get_compat_diagnostics(
    state: Data<State>,
    who: Who,
    query: Query<LineQuery>,
) -> Result<Json<CompatDiagnostics>, Problem> {
    let id = query.into_inner().resolve(&state, &who.0)?;
    let inside = state.control.line_diagnostics(&who.0, &id)?;
    let channels = state.control.lines(&who.0)?.len();
    let idle = inside.line.state == LineState::OnHook;
    Ok(Json(CompatDiagnostics {
        hardware_present: inside.device.is_some() && inside.line.state != LineState::Offline,
        capabilities: Capabilities {
            channels,
            supports_echo_cancel: false,
            supports_hwgain: false,
            supports_ring_detect: false,
            max_ring_voltage: None,
            min_idle_voltage: inside.voltage.map(|_| -state.control.voltage_limits().high),
        },
        voltage_tests: VoltageTests {
            idle_voltage: inside.voltage.filter(|_| idle),
            ring_voltage: None,
        },
        signal_quality: CompatSignalQuality {
            signal_level: inside.line.rx_level_dbm0,
            noise_level: None,
            snr: None,
            distortion: None,
        },
        functional_tests: FunctionalTests { ring: None, audio: None, dtmf: None },
    }))
}

/// The routes of this file.
pub(super) fn configure(config: &mut ServiceConfig) {
    config.service(get_status).service(get_compat_voltage).service(get_compat_diagnostics);
}
