//! How bells ring: as in the line's country, by name, or as clients compose it themselves.
//!
//! *Sources.* Countries: ITU-T E.180 supplement 2, as dahdi-tools `zonedata.c` and Asterisk
//! `indications.conf.sample` give them. Distinctive ringing: GR-506, as telephones name it in Alert-Info
//! (`Bellcore-dr1`), and what Cisco's telephones call `Bellcore-r1`: from the second on they differ.

use super::Refused;
use crate::view::CadenceChoice;

/// On and off in turn, ms.
type Times = &'static [u16];

/// The ordinary ring, which is the country's.
const NORMAL: &str = "normal";

/// By name: first those that older clients of the phone APIs know.
const NAMED: [(&str, Times); 19] = [
    ("distinctive1", &[500, 500, 500, 500, 2000, 4000]),
    ("distinctive2", &[500, 500, 2000, 500, 500, 4000]),
    // As much as the engine lets a bell bear: 60 %.
    ("continuous", &[5000, 3400]),
    ("single", &[500, 60_000]),
    ("timer", &[200, 200, 200, 200, 200, 4000]),
    ("urgent", &[300, 300]),
    ("bellcore-dr1", &[2000, 4000]),
    ("bellcore-dr2", &[800, 400, 800, 4000]),
    ("bellcore-dr3", &[400, 200, 400, 200, 800, 4000]),
    ("bellcore-dr4", &[300, 200, 1000, 200, 300, 4000]),
    // One splash: who asks for it rings for less than 6 s.
    ("bellcore-dr5", &[500, 5500]),
    ("bellcore-r1", &[2000, 4000]),
    ("bellcore-r2", &[300, 200, 1000, 200, 300, 4000]),
    ("bellcore-r3", &[800, 400, 800, 4000]),
    ("bellcore-r4", &[400, 200, 300, 200, 800, 4000]),
    ("bellcore-r5", &[200, 200, 200, 200, 200, 200, 1000, 4000]),
    ("bellcore-r6", &[200, 400, 200, 400, 200, 4000]),
    ("bellcore-r7", &[400, 200, 400, 200, 400, 4000]),
    ("bellcore-r8", &[250, 9750]),
];

/// By country: those for which the engine has tones.
#[rustfmt::skip]
const COUNTRIES: [([u8; 2], Times); 30] = [
    (*b"us", &[2000, 4000]),
    (*b"uk", &[400, 200, 400, 2000]),
    (*b"de", &[1000, 4000]),
    (*b"fr", &[1500, 3500]),
    (*b"it", &[1000, 4000]),
    (*b"es", &[1500, 3000]),
    (*b"nl", &[1000, 4000]),
    (*b"be", &[1000, 3000]),
    (*b"ch", &[1000, 4000]),
    (*b"at", &[1000, 5000]),
    (*b"se", &[1000, 5000]),
    (*b"no", &[1000, 4000]),
    (*b"dk", &[1000, 4000]),
    (*b"fi", &[1000, 4000]),
    (*b"pl", &[1000, 4000]),
    (*b"pt", &[1000, 5000]),
    (*b"cz", &[1000, 4000]),
    (*b"ru", &[1000, 4000]),
    (*b"tr", &[2000, 4000]),
    (*b"au", &[400, 200, 400, 2000]),
    (*b"nz", &[400, 200, 400, 2000]),
    (*b"jp", &[1000, 2000]),
    (*b"cn", &[1000, 4000]),
    (*b"in", &[400, 200, 400, 2000]),
    (*b"il", &[1000, 3000]),
    (*b"sg", &[400, 200, 400, 2000]),
    (*b"za", &[400, 200, 400, 2000]),
    (*b"br", &[1000, 4000]),
    (*b"mx", &[2000, 4000]),
    (*b"ar", &[1000, 4500]),
];

/// Times of a cadence; empty is [`of_country`].
pub(super) fn cadence(choice: Option<&CadenceChoice>) -> Result<Vec<u16>, Refused> {
    let refused = || {
        let names: Vec<&str> = NAMED.iter().map(|(name, _)| *name).collect();
        let reason = format!(
            "allowed are {NORMAL}, {} or [on_ms, off_ms, …], 2 to 16 times of 100 or more, each on_ms at \
             most 5000, and all together at most 60 % on",
            names.join(", ")
        );
        Refused::Invalid { field: "cadence", reason }
    };
    match choice {
        None => Ok(Vec::new()),
        Some(CadenceChoice::Name(name)) if name.eq_ignore_ascii_case(NORMAL) => Ok(Vec::new()),
        Some(CadenceChoice::Name(name)) => NAMED
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, times)| times.to_vec())
            .ok_or_else(refused),
        Some(CadenceChoice::OnOffMs(times)) if bearable(times) => Ok(times.clone()),
        Some(CadenceChoice::OnOffMs(_)) => Err(refused()),
    }
}

/// How telephones ring in a country (ISO 3166-1, lower case; the engine's names); as in the United States
/// where that is not known.
pub(super) fn of_country(country: [u8; 2]) -> Times {
    let found = COUNTRIES.iter().find(|(known, _)| *known == country);
    found.map_or(&[2000, 4000], |(_, times)| times)
}

/// Within what the engine lets ears and ring generators bear.
fn bearable(times: &[u16]) -> bool {
    let sum = |times: &mut dyn Iterator<Item = &u16>| times.map(|ms| u32::from(*ms)).sum::<u32>();
    let on = sum(&mut times.iter().step_by(2));
    (2..=16).contains(&times.len())
        && times.len().is_multiple_of(2)
        && times.iter().all(|ms| *ms >= 100)
        && times.iter().step_by(2).all(|on_ms| *on_ms <= 5000)
        && on * 100 <= sum(&mut times.iter()) * 60
}

/// Name of what [`cadence`] gave; `custom` for what is none of ours.
pub(super) fn name(times: &[u16]) -> &'static str {
    if times.is_empty() {
        return NORMAL;
    }
    NAMED.iter().find(|(_, known)| *known == times).map_or("custom", |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_name_by_times_and_as_in_the_country() {
        let named = |name: &str| cadence(Some(&CadenceChoice::Name(name.to_owned())));
        assert_eq!(named("URGENT").unwrap(), [300, 300]);
        assert_eq!(named("Bellcore-dr3").unwrap(), [400, 200, 400, 200, 800, 4000]);
        assert!(named("loud").is_err() && named("Bellcore-dr9").is_err());
        let times = CadenceChoice::OnOffMs(vec![400, 2000]);
        assert_eq!(cadence(Some(&times)).unwrap(), [400, 2000]);
        assert!(cadence(Some(&CadenceChoice::OnOffMs(vec![5000, 100]))).is_err());
        for ordinary in [cadence(None), named("Normal")] {
            assert_eq!(name(&ordinary.unwrap()), "normal");
        }
        assert_eq!((name(&[300, 300]), name(&[1, 2])), ("urgent", "custom"));
        assert_eq!(of_country(*b"uk"), [400, 200, 400, 2000]);
        assert_eq!(of_country(*b"us"), of_country(*b"xx"));
    }

    #[test]
    fn the_engine_rings_all_of_them() {
        assert!(NAMED.iter().all(|(_, times)| bearable(times)));
        assert!(COUNTRIES.iter().all(|(_, times)| bearable(times)));
    }
}
