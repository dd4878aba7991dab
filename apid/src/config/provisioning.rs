//! `provisioning`: adapters that are set up from here.

use super::{Host, Name, Number, Secret};
use serde::Deserialize;
use serde_saphyr::Spanned;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::str::FromStr;

/// `provisioning`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Provisioning {
    /// Address of ours that devices are told; `sip.host` where none is given.
    pub server: Option<Host>,
    /// Adapters.
    pub devices: Vec<DeviceConfig>,
}

/// One adapter.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceConfig {
    /// As on its label.
    pub mac: Spanned<Mac>,
    /// Which it is.
    #[serde(default)]
    pub model: DeviceModel,
    /// Accounts of its ports, in order. One without a password gets a random one.
    pub accounts: Vec<Name>,
    /// Dialled as soon as a handset is lifted.
    #[serde(default)]
    pub auto_dial: Option<Number>,
    /// Its telephones have dials.
    #[serde(default)]
    pub pulse: bool,
    /// Where it is: for its hook states, with `snmp_community`.
    #[serde(default)]
    pub address: Option<IpAddr>,
    /// Its hook states are read with it.
    #[serde(default)]
    pub snmp_community: Option<Secret>,
    /// P-values of your own, over ours.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
}

/// A model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceModel {
    /// One port.
    Ht801,
    /// Two ports.
    #[default]
    Ht802,
    /// Two ports, second generation.
    Ht802v2,
}

/// A MAC address; separators and case are forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mac(pub String);

impl FromStr for Mac {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let digits: String = text.chars().filter(|c| !matches!(c, ':' | '-')).collect();
        if digits.len() == 12 && digits.bytes().all(|c| c.is_ascii_hexdigit()) {
            Ok(Self(digits.to_ascii_lowercase()))
        } else {
            Err(format!("`{text}` is no MAC address; allowed are 12 hexadecimal digits"))
        }
    }
}

impl<'de> Deserialize<'de> for Mac {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_in_any_form() {
        for text in ["C0:74:AD:11:22:33", "c074ad112233", "c0-74-ad-11-22-33"] {
            assert_eq!(text.parse(), Ok(Mac("c074ad112233".into())));
        }
        assert!("c074ad11223".parse::<Mac>().is_err() && "c074ad11223g".parse::<Mac>().is_err());
    }
}
