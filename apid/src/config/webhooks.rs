//! Addresses to which is posted what happens.

use super::check::{at, row};
use super::{ConfigError, Secret};
use crate::control::{WebhookFormat, WebhookSettings};
use crate::event_json::phone_api;
use crate::hub::Filter;
use serde::Deserialize;
use serde_saphyr::Spanned;
use std::path::Path;

/// One of `webhooks`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Where to.
    pub url: Spanned<String>,
    /// Signs what is posted.
    pub secret: Secret,
    /// Sent as `Authorization: Bearer`, where it is given.
    #[serde(default)]
    pub bearer: Option<Secret>,
    /// Only what concerns these lines, where any are given.
    #[serde(default)]
    pub lines: Vec<String>,
    /// Only these types, `call_*` meaning all that begin so, where any are given.
    #[serde(default)]
    pub types: Vec<String>,
    /// In whose words.
    #[serde(default)]
    pub format: WebhookFormat,
}

impl WebhookConfig {
    /// Refuses what is no address, and types that do not exist.
    pub(super) fn check(&self, path: &Path) -> Result<(), ConfigError> {
        let url = &self.url.value;
        if !url.starts_with("https://") && !url.starts_with("http://") {
            let reason = format!("`{url}` is no address; allowed are http:// and https://");
            return Err(at(path, row(&self.url), &reason));
        }
        let filter = Filter { lines: Vec::new(), types: self.types.clone() };
        let unknown = match self.format {
            WebhookFormat::Events => filter.unknown_type(),
            WebhookFormat::PhoneApi => {
                let known = |kind: &&String| phone_api::TYPES.contains(&kind.as_str());
                self.types.iter().find(|kind| !known(kind)).map(String::as_str)
            }
        };
        match unknown {
            Some(kind) => {
                let reason = format!("`{kind}` is no type of event; docs/api.md lists them");
                Err(at(path, row(&self.url), &reason))
            }
            None => Ok(()),
        }
    }

    /// For control.
    pub fn settings(&self) -> WebhookSettings {
        WebhookSettings {
            url: self.url.value.clone(),
            secret: self.secret.reveal().to_owned(),
            bearer: self.bearer.as_ref().map(|bearer| bearer.reveal().to_owned()),
            lines: self.lines.clone(),
            types: self.types.clone(),
            format: self.format,
        }
    }
}
