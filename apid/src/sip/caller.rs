//! Who calls, as SIP says it, and how the phone shall ring.

use super::address::{NameAddr, Uri, escape_user, quote};
use super::message::Headers;
use crate::view::CallerIdView;
use std::net::SocketAddr;

/// Who a message says is calling, in the order of trust: P-Asserted-Identity (RFC 3325),
/// Remote-Party-ID, From. Only for peers whose word counts. A caller who withholds the number has
/// none.
pub(super) fn caller_of(headers: &Headers) -> CallerIdView {
    let withheld = headers.get("Privacy").is_some_and(|privacy| {
        privacy.split([';', ',']).any(|word| matches!(word.trim(), "id" | "user" | "header"))
    });
    let private = |value: &NameAddr| {
        value.param("privacy").is_some_and(|p| !p.is_empty() && !p.eq_ignore_ascii_case("off"))
    };
    let found = ["P-Asserted-Identity", "Remote-Party-ID", "From"].into_iter().find_map(|name| {
        let usable =
            |value: &NameAddr| Uri::parse(&value.uri).is_some_and(|uri| uri.user.is_some());
        headers.list(name).filter_map(NameAddr::parse).find(usable)
    });
    let Some(found) = found.filter(|value| !withheld && !private(value)) else {
        return CallerIdView::default();
    };
    let user = Uri::parse(&found.uri).and_then(|uri| uri.user).unwrap_or_default();
    if user.eq_ignore_ascii_case("anonymous") {
        return CallerIdView::default();
    }
    let shown = |text: &str, octets: usize| {
        let mut text: String = text.chars().filter(|c| !c.is_control()).collect();
        while text.len() > octets {
            text.pop();
        }
        text
    };
    CallerIdView {
        number: shown(&user, 32),
        name: shown(found.display.as_deref().unwrap_or(""), 32),
    }
}

/// Names the caller in our INVITE: From and P-Asserted-Identity, or nobody (RFC 3323, RFC 3325).
pub(super) fn name_caller(
    headers: &mut Headers,
    caller: &CallerIdView,
    here: SocketAddr,
    tag: &str,
) {
    let number = caller.number.trim();
    let name = match caller.name.trim() {
        "" => String::new(),
        name => quote(name) + " ",
    };
    if number.is_empty() {
        headers.push("From", format!("{name}<sip:anonymous@{here}>;tag={tag}"));
        return;
    }
    let value = format!("{name}<sip:{}@{here}>", escape_user(number));
    headers.push("From", format!("{value};tag={tag}"));
    headers.push("P-Asserted-Identity", value);
}

/// Cadences that phones know by name (Bellcore GR-506 distinctive ringing), on and off in ms.
const DISTINCTIVE: [(&str, &[u16]); 4] = [
    ("Bellcore-dr2", &[800, 400, 800, 4000]),
    ("Bellcore-dr3", &[400, 200, 400, 200, 800, 4000]),
    ("Bellcore-dr4", &[300, 200, 1000, 200, 300, 4000]),
    ("Bellcore-dr5", &[500]),
];

/// Value of Alert-Info for a cadence: the named one with as many bursts that is nearest to it.
/// `None` for one burst and a pause: that is how every phone rings by itself.
pub(super) fn alert_info(cadence_ms: &[u16]) -> Option<String> {
    let bursts = cadence_ms.len().div_ceil(2);
    let distance = |named: &[u16]| -> u32 {
        let pairs = named.iter().zip(cadence_ms);
        pairs.map(|(a, b)| u32::from(a.abs_diff(*b))).sum()
    };
    let fits = DISTINCTIVE.iter().filter(|(_, named)| {
        named.len().div_ceil(2) == bursts && named.len() % 2 == cadence_ms.len() % 2
    });
    let (name, _) = fits.min_by_key(|(_, named)| distance(named))?;
    // The address is a form that phones match against; nobody fetches it.
    Some(format!("<http://127.0.0.1/{name}>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(lines: &[(&str, &str)]) -> (String, String) {
        let mut headers = Headers::default();
        for (name, value) in lines {
            headers.push(name, *value);
        }
        let caller = caller_of(&headers);
        (caller.number, caller.name)
    }

    #[test]
    fn asserted_before_remote_party_before_from() {
        let from = ("From", "\"F\" <sip:1@h>;tag=a");
        let rpid = ("Remote-Party-ID", "\"R\" <sip:2@h>;party=calling;privacy=off");
        let pai = ("P-Asserted-Identity", "<tel:+49123>, \"P\" <sip:3@h>");
        assert_eq!(caller(&[from]), ("1".into(), "F".into()));
        assert_eq!(caller(&[from, rpid]), ("2".into(), "R".into()));
        assert_eq!(caller(&[from, rpid, pai]), ("+49123".into(), String::new()));
        assert_eq!(caller(&[from, ("P-Asserted-Identity", "<sip:h>")]), ("1".into(), "F".into()));
    }

    #[test]
    fn withheld_is_nobody() {
        let nobody = (String::new(), String::new());
        let from = ("From", "\"F\" <sip:1@h>;tag=a");
        assert_eq!(caller(&[from, ("Privacy", "id;critical")]), nobody);
        assert_eq!(caller(&[("Remote-Party-ID", "<sip:2@h>;privacy=full"), from]), nobody);
        assert_eq!(caller(&[("From", "\"A\" <sip:Anonymous@anonymous.invalid>;tag=a")]), nobody);
        let long = format!("\"{}\" <sip:1@h>", "ü".repeat(40));
        assert_eq!(caller(&[("From", &long)]).1, "ü".repeat(16));
    }

    #[test]
    fn a_cadence_has_a_name_where_phones_know_one() {
        let name = |cadence: &[u16]| alert_info(cadence);
        assert_eq!(name(&[2000, 4000]), None);
        assert_eq!(name(&[1000, 4000]), None);
        assert_eq!(name(&[800, 400, 800, 4000]).unwrap(), "<http://127.0.0.1/Bellcore-dr2>");
        assert_eq!(name(&[400, 200, 400, 2000]).unwrap(), "<http://127.0.0.1/Bellcore-dr2>");
        assert_eq!(
            name(&[300, 200, 900, 200, 300, 4000]).unwrap(),
            "<http://127.0.0.1/Bellcore-dr4>"
        );
        assert_eq!(
            name(&[400, 200, 400, 200, 700, 3000]).unwrap(),
            "<http://127.0.0.1/Bellcore-dr3>"
        );
        assert_eq!(name(&[400]).unwrap(), "<http://127.0.0.1/Bellcore-dr5>");
        assert_eq!(name(&[]), None);
        assert_eq!(name(&[1; 16]), None);
    }
}
