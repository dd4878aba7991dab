//! Which settings of a device differ from what we need, from the configuration that its own web
//! page exports: lines `P47=value`, or the XML of `cfg<mac>.xml`.

use super::settings::{Device, is_secret, settings_of};
use std::collections::BTreeMap;

/// Longest configuration that is read, octets.
const LONGEST: usize = 256 * 1024;

/// One setting that is not as it should be. Secrets are not shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// P-value.
    pub setting: String,
    /// What we need.
    pub wanted: String,
    /// What the device has; `None` where its configuration does not say.
    pub found: Option<String>,
}

/// What differs, in order of P-values. A configuration that says nothing of any setting is none:
/// `None`.
pub fn differences(device: &Device, exported: &str) -> Option<Vec<Difference>> {
    let found = read(exported);
    if found.is_empty() {
        return None;
    }
    let shown = |p: &str, value: &str| {
        if is_secret(p) { "(masked)".to_owned() } else { value.to_owned() }
    };
    let differs = settings_of(device).into_iter().filter_map(|(p, wanted)| {
        let has = found.get(&p);
        // Devices do not export their passwords; one that is not there tells nothing.
        if has == Some(&wanted) || (is_secret(&p) && has.is_none_or(String::is_empty)) {
            return None;
        }
        let found = has.map(|value| shown(&p, value));
        Some(Difference { wanted: shown(&p, &wanted), setting: p, found })
    });
    Some(differs.collect())
}

fn read(exported: &str) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    if exported.len() > LONGEST {
        return all;
    }
    let is_p = |name: &str| {
        name.strip_prefix('P')
            .is_some_and(|n| (1..=6).contains(&n.len()) && n.bytes().all(|c| c.is_ascii_digit()))
    };
    for line in exported.lines() {
        if let Some((name, value)) = line.trim().split_once('=')
            && is_p(name.trim())
        {
            all.insert(name.trim().to_owned(), value.trim().to_owned());
        }
    }
    for element in exported.split('<').skip(1) {
        if let Some((name, value)) = element.split_once('>')
            && is_p(name)
        {
            let value =
                value.trim().replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
            all.insert(name.to_owned(), value);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::device;
    use super::super::settings::to_xml;
    use super::*;

    #[test]
    fn our_own_file_differs_in_nothing() {
        assert_eq!(differences(&device(), &to_xml(&device())), Some(vec![]));
    }

    #[test]
    fn what_differs_is_named_and_secrets_are_not() {
        let mut exported = String::new();
        for (p, value) in settings_of(&device()) {
            let value = match p.as_str() {
                "P32" => "60",
                "P34" => "other",
                "P734" => "",
                "P850" => continue,
                _ => &value,
            };
            exported.extend([p.as_str(), " = ", value, "\r\n"]);
        }
        let found = differences(&device(), &exported).unwrap();
        let of = |p: &str| found.iter().find(|d| d.setting == p).unwrap();
        assert_eq!((of("P32").wanted.as_str(), of("P32").found.as_deref()), ("2", Some("60")));
        assert_eq!(of("P850").found, None);
        assert_eq!(of("P34").found.as_deref(), Some("(masked)"));
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(!format!("{found:?}").contains("hush"));
    }

    #[test]
    fn what_is_no_configuration_is_none() {
        for text in ["", "<html>", "P=1\nPx=2", &"P47=1\n".repeat(100_000)] {
            assert_eq!(differences(&device(), text), None);
        }
    }
}
