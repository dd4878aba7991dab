//! Tones by name, and what clients compose themselves.

use super::Refused;
use super::refused::invalid;
use crate::view::{ToneRequest, ToneStep};
use tipring_shm_proto::command::{ToneSpec, ToneStep as EngineStep};
use tipring_shm_proto::units::TenthDbm0;

/// Level of a tone that names none, tenths of a dBm0.
const LEVEL: i16 = -130;

/// Tones by name: North American (ITU-T E.180 Supp. 2), frequencies in Hz, level in tenths of a
/// dBm0, time in ms. The last flag: over and over.
type Named = (&'static str, &'static [([u16; 2], i16, u32)], bool);
const TONES: [Named; 12] = [
    ("dial", &[([350, 440], -130, 60_000)], true),
    ("ringback", &[([440, 480], -190, 2000), ([0, 0], 0, 4000)], true),
    ("busy", &[([480, 620], -240, 500), ([0, 0], 0, 500)], true),
    ("congestion", &[([480, 620], -240, 250), ([0, 0], 0, 250)], true),
    (
        "special_information",
        &[([950, 0], -130, 330), ([1400, 0], -130, 330), ([1800, 0], -130, 330), ([0, 0], 0, 1000)],
        true,
    ),
    // Bellcore SR-2275: which announcement follows is told by the first two.
    ("sit_intercept", &sit([914, 1371], [274, 274]), false),
    ("sit_vacant_code", &sit([985, 1371], [380, 274]), false),
    ("sit_reorder", &sit([914, 1429], [274, 380]), false),
    ("sit_no_circuit", &sit([985, 1429], [380, 380]), false),
    ("howler", &[([1400, 2060], -60, 100), ([0, 0], 0, 100)], true),
    ("beep", &[([1000, 0], -130, 200)], false),
    ("call_waiting", &[([440, 0], -130, 300)], false),
];

const fn sit(hz: [u16; 2], ms: [u32; 2]) -> [([u16; 2], i16, u32); 3] {
    [([hz[0], 0], -240, ms[0]), ([hz[1], 0], -240, ms[1]), ([1777, 0], -240, 380)]
}

/// What the engine is to play.
pub(super) fn spec(request: &ToneRequest, looped: bool) -> Result<ToneSpec, Refused> {
    let (steps, repeat) = match request {
        ToneRequest::Name(text) => by_text(text)?,
        ToneRequest::Step(step) => (vec![engine_step(step)?], 1),
        ToneRequest::Steps(steps) => {
            let all: Result<Vec<_>, _> = steps.steps.iter().map(engine_step).collect();
            (all?, steps.repeat.unwrap_or(1))
        }
    };
    if !(1..=8).contains(&steps.len()) {
        return Err(invalid("tone", "allowed are 1 to 8 steps"));
    }
    let silence = EngineStep { hz: [0, 0], level: TenthDbm0(0), ms: 1, modulation_hz: 0 };
    let mut all = [silence; 8];
    all[..steps.len()].copy_from_slice(&steps);
    Ok(ToneSpec { len: steps.len() as u8, steps: all, repeat: if looped { 0 } else { repeat } })
}

fn engine_step(step: &ToneStep) -> Result<EngineStep, Refused> {
    let level = step.level_dbm0.map_or(LEVEL, |level| (level * 10.0).round() as i16);
    let mut hz = [0; 2];
    if step.frequency_hz.len() > 2 {
        return Err(invalid("tone.frequency_hz", "at most two sines"));
    }
    hz[..step.frequency_hz.len()].copy_from_slice(&step.frequency_hz);
    checked(EngineStep {
        hz,
        level: TenthDbm0(level),
        ms: step.duration_ms,
        modulation_hz: step.modulation_hz.unwrap_or(0),
    })
}

fn checked(step: EngineStep) -> Result<EngineStep, Refused> {
    if step.hz.iter().any(|hz| *hz != 0 && !(20..=3800).contains(hz)) {
        return Err(invalid("tone.frequency_hz", "allowed is 20 to 3800"));
    }
    if !(-600..=0).contains(&step.level.0) {
        return Err(invalid("tone.level_dbm0", "allowed is -60 to 0"));
    }
    if !(1..=600_000).contains(&step.ms) {
        return Err(invalid("tone.duration_ms", "allowed is 1 to 600000"));
    }
    if !step.in_range() {
        let allowed = "allowed is 0 to 200, less than either sine, and 3800 together with it";
        return Err(invalid("tone.modulation_hz", allowed));
    }
    Ok(step)
}

/// A name, or steps as `HZ[+HZ][*HZ][@DBM0]/MS[,…]`: one or two sines, what modulates them, their
/// level, a time; 0 Hz is a pause.
fn by_text(text: &str) -> Result<(Vec<EngineStep>, u16), Refused> {
    if let Some((_, steps, forever)) = TONES.iter().find(|(name, ..)| *name == text) {
        let step = |(hz, level, ms): &([u16; 2], i16, u32)| EngineStep {
            hz: *hz,
            level: TenthDbm0(*level),
            ms: *ms,
            modulation_hz: 0,
        };
        return Ok((steps.iter().map(step).collect(), u16::from(!forever)));
    }
    let steps: Option<Vec<EngineStep>> = text.split(',').map(step_of_text).collect();
    let Some(steps) = steps else {
        let names: Vec<&str> = TONES.iter().map(|(name, ..)| *name).collect();
        return Err(Refused::Invalid {
            field: "tone",
            reason: format!(
                "`{text}` is no tone; allowed are {} or HZ[+HZ][*HZ][@DBM0]/MS[,…] as 440@-20/1000",
                names.join(", ")
            ),
        });
    };
    let steps: Result<Vec<_>, _> = steps.into_iter().map(checked).collect();
    Ok((steps?, 1))
}

fn step_of_text(text: &str) -> Option<EngineStep> {
    let (sound, ms) = text.trim().split_once('/')?;
    let (sines, level) = sound.split_once('@').unwrap_or((sound, "-13"));
    let level: f32 = level.parse().ok()?;
    let (sines, modulation) = sines.split_once('*').unwrap_or((sines, "0"));
    let mut hz = [0; 2];
    for (index, sine) in sines.split('+').enumerate() {
        *hz.get_mut(index)? = sine.parse().ok()?;
    }
    Some(EngineStep {
        hz,
        level: TenthDbm0((level * 10.0).round() as i16),
        ms: ms.parse().ok()?,
        modulation_hz: modulation.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_tone_is_in_the_engines_range() {
        for (name, ..) in TONES {
            let tone = spec(&ToneRequest::Name(name.to_owned()), false).unwrap();
            for step in &tone.steps[..usize::from(tone.len)] {
                checked(*step).unwrap();
            }
        }
    }

    #[test]
    fn a_tone_can_be_written_in_one_line() {
        let request = ToneRequest::Name("440+480@-20/2000,0/4000".to_owned());
        let tone = spec(&request, false).unwrap();
        assert_eq!((tone.len, tone.repeat), (2, 1));
        assert_eq!(tone.steps[0].hz, [440, 480]);
        assert_eq!(tone.steps[0].level, TenthDbm0(-200));
        assert_eq!(tone.steps[1].hz, [0, 0]);
        assert_eq!(spec(&request, true).unwrap().repeat, 0);
        let modulated = ToneRequest::Name("425*24@-20/400".to_owned());
        let step = spec(&modulated, false).unwrap().steps[0];
        assert_eq!((step.hz, step.modulation_hz), ([425, 0], 24));
        for wrong in [
            "loud",
            "100*100/9",
            "425*201/9",
            "3790*20/9",
            "10/100",
            "440@3/100",
            "440/0",
            "1+2+3/100",
            "",
        ] {
            assert!(spec(&ToneRequest::Name(wrong.to_owned()), false).is_err(), "{wrong}");
        }
    }
}
