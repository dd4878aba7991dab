//! What an HT80x is told: P-values of each port, by model. Taken from public templates and traces;
//! nobody has tried them on the hardware here.

use crate::config::Secret;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

/// A model: how many ports it has, and what only it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// One port.
    Ht801,
    /// Two ports.
    Ht802,
    /// Two ports, firmware of the second generation.
    Ht802V2,
}

impl Model {
    /// Ports for telephones.
    pub const fn ports(self) -> usize {
        match self {
            Self::Ht801 => 1,
            Self::Ht802 | Self::Ht802V2 => 2,
        }
    }
}

/// One port and the account behind it.
#[derive(Clone, Debug)]
pub struct Port {
    /// User name.
    pub user: String,
    /// Shown to others.
    pub name: String,
    /// Password.
    pub password: Secret,
}

/// One device.
#[derive(Clone, Debug)]
pub struct Device {
    /// Twelve lower-case hexadecimal digits.
    pub mac: String,
    /// Which.
    pub model: Model,
    /// Where it shall register.
    pub server: SocketAddr,
    /// In order; never more than the model has.
    pub ports: Vec<Port>,
    /// Dialled as soon as a handset is lifted.
    pub auto_dial: Option<String>,
    /// Its telephones have dials.
    pub pulse: bool,
    /// Read by us for its hook states.
    pub snmp_community: Option<Secret>,
    /// Where it is, if that is known: for SNMP.
    pub address: Option<IpAddr>,
    /// P-values of the user's own, over ours.
    pub own: BTreeMap<String, String>,
}

/// P-values that are passwords.
const SECRET: [&str; 4] = ["P34", "P734", "P2", "P21902"];

/// Whether a P-value must not be shown.
pub(super) fn is_secret(p_value: &str) -> bool {
    SECRET.contains(&p_value)
}

/// P-values of one port: (purpose, first port, second port, value). The value is the same for both
/// ports; what differs stands in [`settings_of`].
const OF_A_PORT: &[(&str, &str, &str)] = &[
    ("P271", "P401", "1"), // account active; first, or older firmware saves nothing else
    ("P130", "P830", "0"), // UDP
    ("P31", "P731", "1"),  // register
    ("P32", "P732", "5"),  // for five minutes
    ("P81", "P752", "1"),  // unregister at a reboot
    ("P109", "P813", "0"), // no calls without a registration
    ("P2397", "P2497", "1"), // OPTIONS as a keep-alive
    ("P2398", "P2498", "30"), // every so many seconds
    ("P20501", "P20502", "0"), // no random SIP port
    ("P20505", "P20506", "0"), // no random RTP port
    ("P291", "P460", "1"), // symmetric RTP
    ("P850", "P860", "101"), // digits by RFC 4733,
    ("P851", "P861", "102"), // else by INFO,
    ("P852", "P862", "100"), // else in the audio
    ("P79", "P779", "101"), // payload type
    ("P28794", "P28795", "0"), // never by INFO as well
    ("P4424", "P4425", "1"), // hook flash on,
    ("P251", "P811", "300"), // from so many ms
    ("P252", "P812", "1100"), // to so many
    ("P74", "P774", "1"),  // sent to us
    ("P191", "P751", "0"), // no star codes in the adapter
    ("P91", "P791", "1"),  // no call waiting
    ("P37", "P737", "2"),  // 20 ms
    ("P50", "P750", "0"),  // no silence suppression
    ("P133", "P831", "1"), // adaptive jitter buffer,
    ("P132", "P832", "0"), // short
    ("P2395", "P2495", "0"), // we refresh sessions
    ("P99", "P709", "1"),  // asks for waiting messages
    ("P258", "P449", "1"), // takes calls for its own user only
];

/// Codec slots: all PCMU or PCMA, which shrinks its offer to G.711.
const CODECS: [[&str; 8]; 2] = [
    ["P57", "P58", "P59", "P60", "P61", "P62", "P46", "P98"],
    ["P757", "P758", "P759", "P760", "P761", "P762", "P814", "P815"],
];

/// Everything a device shall be told, as P-value and value.
pub fn settings_of(device: &Device) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut set = |p: &str, value: &str| drop(all.insert(p.to_owned(), value.to_owned()));
    let server = device.server.to_string();
    for (at, port) in device.ports.iter().enumerate() {
        let pick = |first: &'static str, second: &'static str| if at == 0 { first } else { second };
        for (first, second, value) in OF_A_PORT {
            set(pick(first, second), value);
        }
        for (slot, p) in CODECS[at].iter().enumerate() {
            set(p, if slot % 2 == 0 { "0" } else { "8" });
        }
        set(pick("P47", "P747"), &server);
        set(pick("P48", "P748"), "");
        set(pick("P35", "P735"), &port.user);
        set(pick("P36", "P736"), &port.user);
        set(pick("P34", "P734"), port.password.reveal());
        set(pick("P3", "P703"), &port.name);
        if device.model == Model::Ht802V2 {
            set(pick("P4060", "P4061"), &port.user); // one source has the user there
        }
        set(pick("P20521", "P20522"), if device.pulse { "1" } else { "0" });
        if let Some(number) = &device.auto_dial {
            set(pick("P71", "P771"), number);
            set(pick("P4045", "P4046"), "0");
        }
    }
    if device.model.ports() > device.ports.len() && device.model != Model::Ht801 {
        set("P401", "0");
    }
    if let Some(community) = &device.snmp_community {
        for (p, value) in [("P21896", "1"), ("P21904", "2"), ("P21903", "161")] {
            set(p, value);
        }
        set("P21902", community.reveal());
    }
    all.extend(device.own.clone());
    all
}

/// The file that the device asks for (`cfg<mac>.xml`).
pub fn to_xml(device: &Device) -> String {
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<gs_provision version=\"1\">\n\
         <mac>{}</mac>\n<config version=\"1\">\n",
        device.mac
    );
    // Account active comes first: older firmware saves nothing of an account that is not.
    let settings = settings_of(device);
    let (first, rest): (Vec<_>, Vec<_>) =
        settings.iter().partition(|(p, _)| matches!(p.as_str(), "P271" | "P401"));
    for (p, value) in first.into_iter().chain(rest) {
        let _ = writeln!(xml, "<{p}>{}</{p}>", escaped(value));
    }
    xml + "</config>\n</gs_provision>\n"
}

fn escaped(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::provisioning) fn device() -> Device {
        let port = |user: &str| Port {
            user: user.into(),
            name: format!("{user} & <son>"),
            password: Secret::of("hush-hush"),
        };
        Device {
            mac: "c074ad112233".into(),
            model: Model::Ht802,
            server: "192.168.1.10:5060".parse().unwrap(),
            ports: vec![port("kitchen"), port("workshop")],
            auto_dial: Some("100".into()),
            pulse: true,
            snmp_community: None,
            address: None,
            own: [("P4429".into(), "25".into()), ("P32".into(), "2".into())].into(),
        }
    }

    #[test]
    fn every_port_has_what_it_needs() {
        let all = settings_of(&device());
        for (p, value) in [
            ("P271", "1"),
            ("P401", "1"),
            ("P47", "192.168.1.10:5060"),
            ("P747", "192.168.1.10:5060"),
            ("P35", "kitchen"),
            ("P735", "workshop"),
            ("P34", "hush-hush"),
            ("P57", "0"),
            ("P758", "8"),
            ("P20522", "1"),
            ("P771", "100"),
            ("P4429", "25"),
            ("P32", "2"),
        ] {
            assert_eq!(all.get(p).map(String::as_str), Some(value), "{p}");
        }
        let one = Device { ports: device().ports[..1].to_vec(), ..device() };
        assert_eq!(settings_of(&one)["P401"], "0", "the other port is off");
        let v2 = Device { model: Model::Ht802V2, ..device() };
        assert_eq!(settings_of(&v2)["P4061"], "workshop");
        assert!(!settings_of(&device()).contains_key("P21896"), "no SNMP unless it is wanted");
    }

    #[test]
    fn the_file_is_well_formed_and_begins_with_the_accounts() {
        let xml = to_xml(&device());
        assert!(xml.contains("<mac>c074ad112233</mac>"));
        assert!(xml.contains("<P3>kitchen &amp; &lt;son&gt;</P3>"), "{xml}");
        let at = |what: &str| xml.find(what).unwrap();
        assert!(at("<P401>") < at("<P109>") && at("<P271>") < at("<P401>"));
        assert_eq!(xml.matches("<P").count(), xml.matches("</P").count());
    }
}
