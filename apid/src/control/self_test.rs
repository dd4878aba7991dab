//! Self-tests of a line: it is rung, or a tone and digits go to its phone, and what the engine gave to
//! the device and had back from it is measured. Who holds the handset hears them.

use super::access::Attached;
use super::refused::invalid;
use super::{Control, PlayOptions, PlaySource, Refused};
use crate::auth::{Caller, Scope};
use crate::engine_link::{Tap, TapItem};
use crate::self_test::{
    DIGITS, Frame, TONE_DBM0, TONE_HZ, TONE_MS, digits, level_dbm0, sine_dbm0, tone_in,
};
use crate::view::{
    CadenceChoice, RingRequest, SelfTest, SelfTestReport, SelfTestResult, SignalQuality, Timestamp,
    ToneRequest, ToneStep,
};
use std::time::Duration;
use tipring_shm_proto::command::LineState;
use tokio::time::{Instant, sleep, timeout_at};

/// The bell rings for so long.
const RING: Duration = Duration::from_millis(900);
/// How often the line is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(50);
/// Frames that are listened to before the tone, from its beginning, and from that of the digits: as
/// long as they last and half a second.
const QUIET_FRAMES: usize = 20;
const TONE_FRAMES: usize = TONE_MS as usize / 20 + 25;
const DIGIT_FRAMES: usize = DIGITS.len() * 10 + 25;
/// Of the tone's frames this many must have been given to the device.
const LEAST_FRAMES: usize = 45;
/// A phone that was put down meanwhile is not waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// What comes back below this is not told from noise, dBm0.
const LEAST_DBM0: f32 = -60.0;

/// What was given to the device and came from it.
#[derive(Default)]
struct Heard {
    sent: Vec<Frame>,
    returned: Vec<Frame>,
}

impl SelfTestResult {
    fn of(test: SelfTest, passed: bool, did: String) -> Self {
        Self {
            test,
            passed,
            did,
            sent_dbm0: None,
            returned_dbm0: None,
            sent_digits: None,
            returned_digits: None,
            voltage_before: None,
            voltage_ringing: None,
        }
    }
}

impl Control {
    /// Makes `tests`, or those that the line's state allows, one after the other. Needs `control`.
    ///
    /// # Errors
    /// `Invalid` for no test or more than three, `LineBusy` and `WrongState` where the handset is not
    /// as the test needs it, and as [`Control::stop_ring`].
    pub async fn self_test(
        &self,
        caller: &Caller,
        line: &str,
        tests: Option<Vec<SelfTest>>,
    ) -> Result<SelfTestReport, Refused> {
        let at = self.attached(caller, Scope::Control, line)?;
        let tests = match (tests, at.row.state.value) {
            (Some(tests), _) if (1..=3).contains(&tests.len()) => tests,
            (Some(_), _) => return Err(invalid("tests", "1 to 3 of ring, tone, dtmf are allowed")),
            (None, LineState::OnHook) => vec![SelfTest::Ring],
            (None, LineState::OffHook) => vec![SelfTest::Tone, SelfTest::Dtmf],
            (None, state) => return Err(Refused::WrongState { state: state.into() }),
        };
        let mut results = Vec::new();
        let mut signal_quality = None;
        for test in tests {
            results.push(match test {
                SelfTest::Ring => self.test_ring(caller, line).await?,
                SelfTest::Tone => {
                    let (result, quality) = self.test_tone(caller, line, &at).await?;
                    signal_quality = Some(quality);
                    result
                }
                SelfTest::Dtmf => self.test_digits(caller, line, &at).await?,
            });
        }
        Ok(SelfTestReport {
            line: line.to_owned(),
            passed: results.iter().all(|result| result.passed),
            tests: results,
            signal_quality,
            timestamp: Timestamp::now(),
        })
    }

    async fn test_ring(&self, caller: &Caller, line: &str) -> Result<SelfTestResult, Refused> {
        let volts = |at: &Attached| at.row.millivolts.map(|mv| f64::from(mv) / 1000.0);
        let before = volts(&self.attached(caller, Scope::Control, line)?);
        let cadence = Some(CadenceChoice::OnOffMs(vec![1000, 4000]));
        let request = RingRequest { cadence, caller_id: None, timeout_ms: Some(5000) };
        self.ring(caller, line, request).await?;
        let end = Instant::now() + RING;
        let (mut rang, mut answered, mut highest) = (false, false, None::<f64>);
        while Instant::now() < end && !answered {
            sleep(LOOK).await;
            let at = self.attached(caller, Scope::Control, line)?;
            rang |= at.row.state.value == LineState::Ringing;
            answered = at.row.state.value == LineState::OffHook;
            let now = volts(&at).filter(|_| !answered);
            highest =
                [highest, now].into_iter().flatten().max_by(|a, b| a.abs().total_cmp(&b.abs()));
        }
        if !answered {
            // It may be lifted, or be lost, just now.
            let _ = self.stop_ring(caller, line).await;
        }
        let did = match (rang, answered) {
            (_, true) => "rang the bell, and the phone was lifted".to_owned(),
            (true, false) => format!("rang the bell for {} ms", RING.as_millis()),
            (false, false) => "asked for the bell, which did not ring".to_owned(),
        };
        let result = SelfTestResult::of(SelfTest::Ring, rang || answered, did);
        Ok(SelfTestResult { voltage_before: before, voltage_ringing: highest, ..result })
    }

    async fn test_tone(
        &self,
        caller: &Caller,
        line: &str,
        at: &Attached,
    ) -> Result<(SelfTestResult, SignalQuality), Refused> {
        let mut tap = self.0.link.tap(at.engine, true, true).ok_or(Refused::EngineAway)?;
        self.attached(caller, Scope::Control, line)?.need_off_hook()?;
        let quiet = hear(&mut tap, QUIET_FRAMES).await?;
        let tone = PlaySource::Tone(ToneRequest::Step(ToneStep {
            frequency_hz: vec![TONE_HZ],
            level_dbm0: Some(TONE_DBM0),
            duration_ms: TONE_MS,
            modulation_hz: None,
        }));
        self.play(caller, line, tone, PlayOptions::default()).await?;
        let heard = hear(&mut tap, TONE_FRAMES).await?;
        let noise_level_dbm0 = level_dbm0(&quiet.returned);
        let Some((range, count)) = tone_in(&heard.sent) else {
            let did = format!("asked for {TONE_HZ} Hz, of which nothing reached the device");
            let quality = SignalQuality {
                signal_level_dbm0: noise_level_dbm0,
                noise_level_dbm0,
                snr_db: None,
            };
            return Ok((SelfTestResult::of(SelfTest::Tone, false, did), quality));
        };
        let hz = f32::from(TONE_HZ);
        let returned = sine_dbm0(&heard.returned[range.clone()], hz);
        let returned_dbm0 = (returned > LEAST_DBM0).then_some(returned);
        let quality = SignalQuality {
            signal_level_dbm0: level_dbm0(&heard.returned[range.clone()]),
            noise_level_dbm0,
            snr_db: returned_dbm0.map(|level| level - noise_level_dbm0),
        };
        let did = format!("sent {TONE_HZ} Hz for {} ms", count * 20);
        let result = SelfTestResult {
            sent_dbm0: Some(sine_dbm0(&heard.sent[range], hz)),
            returned_dbm0,
            ..SelfTestResult::of(SelfTest::Tone, count >= LEAST_FRAMES, did)
        };
        Ok((result, quality))
    }

    async fn test_digits(
        &self,
        caller: &Caller,
        line: &str,
        at: &Attached,
    ) -> Result<SelfTestResult, Refused> {
        let mut tap = self.0.link.tap(at.engine, true, true).ok_or(Refused::EngineAway)?;
        self.dtmf(caller, line, DIGITS, None, None).await?;
        let heard = hear(&mut tap, DIGIT_FRAMES).await?;
        let sent = digits(&heard.sent);
        let did = format!("sent the digits {DIGITS}");
        Ok(SelfTestResult {
            returned_digits: Some(digits(&heard.returned)),
            ..SelfTestResult {
                sent_digits: Some(sent.clone()),
                ..SelfTestResult::of(SelfTest::Dtmf, sent == DIGITS, did)
            }
        })
    }
}

/// So many frames from now on, or those that came until nobody waits any more.
async fn hear(tap: &mut Tap, frames: usize) -> Result<Heard, Refused> {
    let mut heard = Heard::default();
    let end = Instant::now() + PATIENCE;
    while heard.sent.len() < frames {
        match timeout_at(end, tap.next()).await {
            Ok(TapItem::Frame { rx: Some(rx), tx: Some(tx), .. }) => {
                heard.sent.push(tx);
                heard.returned.push(rx);
            }
            Ok(TapItem::Frame { .. } | TapItem::Lost(_)) => {}
            Ok(TapItem::Gone) => return Err(Refused::EngineAway),
            Err(_) => break,
        }
    }
    Ok(heard)
}
