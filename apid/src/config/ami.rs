//! The manager interface: who may log in, from where, and what for.

use super::check::{at, row};
use super::values::{Bounded, Cidr, Host, Name, Port, Secret};
use super::{Config, ConfigError, Tls};
use crate::ami::{AmiSettings, AmiUser, Classes, Dialect, Filter};
use serde::Deserialize;
use serde_saphyr::Spanned;
use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

/// `ami`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ami {
    /// Address to listen on.
    pub host: Host,
    /// TCP port.
    pub port: Port,
    /// TLS from the first octet on, as Asterisk's `tlsenable`.
    pub tls: Option<Tls>,
    /// Connections at once; more are closed at once.
    pub max_connections: Bounded<1, 10_000>,
    /// Wrong secrets of one address, within ten minutes, that ban it.
    pub ban_after: Bounded<1, 10_000>,
    /// How long a ban lasts, s.
    pub ban_s: Bounded<1, 2_592_000>,
    /// Who may log in; without any the port is not opened.
    pub users: Vec<AmiUserConfig>,
}

impl Default for Ami {
    fn default() -> Self {
        Self {
            host: Host::LOOPBACK,
            port: Port::of(5038),
            tls: None,
            max_connections: Bounded::of(100),
            ban_after: Bounded::of(10),
            ban_s: Bounded::of(600),
            users: Vec::new(),
        }
    }
}

/// One of `ami.users`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AmiUserConfig {
    /// Name to log in with.
    pub user: Spanned<Name>,
    /// Without one a secret is made, and kept where those of devices are.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// Classes of events it is told.
    #[serde(default = "all")]
    pub read: Vec<Spanned<String>>,
    /// Classes of actions it may send.
    #[serde(default = "all")]
    pub write: Vec<Spanned<String>>,
    /// Addresses it may come from; all where none is given.
    #[serde(default)]
    pub permit: Vec<Cidr>,
    /// Whose shapes it is told.
    #[serde(default)]
    pub dialect: AmiDialect,
    /// Which events it is told, of those of its classes: text of the event, `!` for those that it
    /// is not.
    #[serde(default)]
    pub event_filters: Vec<Spanned<String>>,
}

fn all() -> Vec<Spanned<String>> {
    let nowhere = serde_saphyr::Location::UNKNOWN;
    vec![Spanned { value: "all".to_owned(), referenced: nowhere, defined: nowhere }]
}

/// Whose shapes a program for Asterisk expects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AmiDialect {
    /// Asterisk 1.8 to 11.
    #[default]
    Legacy,
    /// Asterisk 12 and later.
    Modern,
    /// One behind the other.
    Both,
}

impl Ami {
    /// Refuses classes and filters that are none, and users given twice.
    pub(super) fn check(&self, path: &Path) -> Result<(), ConfigError> {
        let mut names = HashSet::new();
        for user in &self.users {
            let name = user.user.value.as_str();
            if !names.insert(name) {
                let reason = format!("AMI user `{name}` stands there twice");
                return Err(at(path, row(&user.user), &reason));
            }
            for class in user.read.iter().chain(&user.write) {
                let parsed: Result<Classes, String> = class.value.parse();
                parsed.map_err(|reason| at(path, row(class), &reason))?;
            }
            for filter in &user.event_filters {
                let added = Filter::default().add(&filter.value);
                added.map_err(|reason| {
                    at(path, row(filter), &format!("`{}`: {reason}", filter.value))
                })?;
            }
        }
        Ok(())
    }

    /// Users without a secret of their own, as the file of made secrets knows them.
    pub fn without_secret(&self) -> Vec<String> {
        let without = self.users.iter().filter(|user| user.secret.is_none());
        without.map(made_name).collect()
    }
}

/// In the file of made secrets.
fn made_name(user: &AmiUserConfig) -> String {
    format!("ami:{}", user.user.value.as_str())
}

impl Config {
    /// For `ami`; `None` where nobody may log in. `made` are the secrets of those without one.
    pub fn ami_settings(&self, made: &BTreeMap<String, Secret>) -> Option<AmiSettings> {
        let users: Vec<AmiUser> =
            self.ami.users.iter().map(|user| self::user(user, made)).collect();
        (!users.is_empty()).then(|| AmiSettings {
            listen: SocketAddr::new(self.ami.host.0, self.ami.port.number()),
            max_connections: self.ami.max_connections.get() as usize,
            tls: None,
            ban_after: self.ami.ban_after.get() as u32,
            ban_s: self.ami.ban_s.get() as u32,
            max_calls: self.calls.max_calls.get() as usize,
            users,
        })
    }
}

fn user(user: &AmiUserConfig, made: &BTreeMap<String, Secret>) -> AmiUser {
    let classes = |names: &[Spanned<String>]| {
        let known = names.iter().filter_map(|name| name.value.parse().ok());
        known.fold(Classes::NONE, Classes::with)
    };
    let mut filter = Filter::default();
    for pattern in &user.event_filters {
        // Those that are none were refused.
        let _ = filter.add(&pattern.value);
    }
    let secret = user.secret.as_ref().or_else(|| made.get(&made_name(user)));
    let permit = user.permit.clone();
    AmiUser {
        name: user.user.value.as_str().to_owned(),
        secret: secret.map(|secret| secret.reveal().to_owned()).unwrap_or_default(),
        read: classes(&user.read),
        write: classes(&user.write),
        permit: Arc::new(move |address: IpAddr| {
            permit.is_empty() || permit.iter().any(|range| range.contains(address))
        }),
        dialect: match user.dialect {
            AmiDialect::Legacy => Dialect::Legacy,
            AmiDialect::Modern => Dialect::Modern,
            AmiDialect::Both => Dialect::Both,
        },
        filter,
    }
}
