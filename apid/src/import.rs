//! `--import FILE`: turns the YAML files of two older phone APIs into ours, and names what has no
//! counterpart here.

use serde_json::Value;
use std::fmt::Write;

/// What became of an older file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// `apid.yml`.
    pub apid: String,
    /// `engine.yml`; empty where nothing of it was in the file.
    pub engine: String,
    /// One sentence for each key that has no counterpart.
    pub left_out: Vec<String>,
}

/// Turns the text of an older file into ours.
///
/// # Errors
/// It is no YAML, or no mapping; the text says where.
pub fn import(text: &str) -> Result<Imported, String> {
    let value: Value = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    let Value::Object(sections) = value else {
        return Err("a mapping with sections such as `server` is expected".to_owned());
    };
    let mut into = Importer::default();
    for (section, value) in &sections {
        into.walk(section, value);
    }
    Ok(into.finish())
}

#[derive(Default)]
struct Importer {
    api: Vec<(&'static str, String)>,
    sip: Vec<(&'static str, String)>,
    security: Vec<(&'static str, String)>,
    logging: Vec<(&'static str, String)>,
    rtp_min: Option<u64>,
    rtp_max: Option<u64>,
    phone_host: Option<String>,
    phone_auth: bool,
    phone_user: Option<String>,
    phone_password: Option<String>,
    codec: Option<&'static str>,
    left_out: Vec<String>,
}

impl Importer {
    fn walk(&mut self, path: &str, value: &Value) {
        if let Value::Object(keys) = value {
            for (key, value) in keys {
                self.walk(&format!("{path}.{key}"), value);
            }
        } else if let Err(why) = self.leaf(path, value) {
            self.left_out.push(format!("{path}: {why}"));
        }
    }

    fn leaf(&mut self, path: &str, value: &Value) -> Result<(), String> {
        match path {
            "server.host" => {
                let host = quoted(value)?;
                self.api.push(("host", host.clone()));
                self.sip.push(("host", host));
            }
            "server.rest_port" => self.api.push(("port", number(value)?.to_string())),
            "server.websocket_port" => self.api.push(("ws_port", number(value)?.to_string())),
            "server.sip_port" => self.sip.push(("port", number(value)?.to_string())),
            "ht802.host" => self.phone_host = Some(quoted(value)?),
            "ht802.auth_enabled" => self.phone_auth = value.as_bool().ok_or("true or false")?,
            "ht802.credentials.username" => self.phone_user = Some(quoted(value)?),
            "ht802.credentials.password" => self.phone_password = Some(quoted(value)?),
            "audio.sample_rate" => fixed(value, 8000, "audio is 8 kHz")?,
            "audio.bit_depth" => fixed(value, 16, "samples have 16 bits")?,
            "audio.channels" => fixed(value, 1, "a line is mono")?,
            "audio.codec" => self.codec = Some(codec(value)?),
            "audio.rtp_ports.min" => self.rtp_min = Some(number(value)?),
            "audio.rtp_ports.max" => self.rtp_max = Some(number(value)?),
            "logging.level" => {
                let level: tipring_logging::Level = text(value)?.parse()?;
                self.logging.push(("level", level.name().to_owned()));
            }
            "logging.format" => {
                let json = text(value)?.eq_ignore_ascii_case("json");
                self.logging.push(("format", if json { "json" } else { "text" }.to_owned()));
            }
            "logging.output" => self.logging.push(("output", log_output(text(value)?)?)),
            "logging.rotation" => self.logging.push(("rotation", rotation(text(value)?)?.into())),
            "logging.retention" => {
                let kept = leading_number(value).ok_or("how many files to keep is expected")?;
                self.logging.push(("retention_files", kept.clamp(1, 1000).to_string()));
            }
            "api.rate_limit" => {
                let limit = leading_number(value).ok_or("requests a minute are expected")?;
                self.api.push(("rate_limit_per_minute", limit.to_string()));
            }
            "api.timeout" => self.api.push(("request_timeout_ms", milliseconds(value)?)),
            "api.max_connections" => {
                self.api.push(("max_connections", number(value)?.to_string()));
            }
            "websocket.ping_interval" => self.api.push(("ping_interval_ms", milliseconds(value)?)),
            "websocket.ping_timeout" => self.api.push(("ping_timeout_ms", milliseconds(value)?)),
            "websocket.max_message_size" => {
                self.api.push(("max_message_bytes", number(value)?.to_string()));
            }
            "security.allowed_origins" => self.origins(path, value),
            "security.api_tokens" => {
                return Err("tokens are kept as hashes here; make new ones with \
                            `tipring-apid token create`"
                    .to_owned());
            }
            "dahdi.device" | "dahdi.control" | "dahdi.channel" | "dahdi.audio" => {
                return Err("the engine finds its lines itself".to_owned());
            }
            "server.workers" | "audio.buffer_size" | "dahdi.buffer_size" => {
                return Err("sized by the program itself".to_owned());
            }
            _ => return Err("is not known".to_owned()),
        }
        Ok(())
    }

    fn origins(&mut self, path: &str, value: &Value) {
        let given = value.as_array().map(Vec::as_slice).unwrap_or_default();
        let (every, named): (Vec<_>, Vec<_>) = given.iter().partition(|o| **o == "*");
        if !every.is_empty() {
            self.left_out.push(format!("{path}: `*` would let any web page use the phones"));
        }
        if !named.is_empty() {
            self.security.push((
                "allowed_origins",
                named.into_iter().cloned().collect::<Value>().to_string(),
            ));
        }
    }

    fn finish(mut self) -> Imported {
        let mut account = String::new();
        if let Some(host) = &self.phone_host {
            let codecs = self.codec.map_or(String::new(), |codec| format!(", codecs: [{codec}]"));
            let user = self.phone_user.clone().unwrap_or_else(|| "\"ht802\"".to_owned());
            let proof = match &self.phone_password {
                Some(password) if self.phone_auth => {
                    format!("password: {password}, algorithms: [md5]")
                }
                _ => format!("host: {host}, auth: none"),
            };
            let _ = writeln!(account, "  accounts:\n    - {{user: {user}, {proof}{codecs}}}");
        } else if self.codec.is_some() {
            self.left_out.push("audio.codec: is set for each account here".to_owned());
        }
        let mut apid = String::new();
        let sections = [
            ("api", &self.api, ""),
            ("sip", &self.sip, account.as_str()),
            ("security", &self.security, ""),
            ("logging", &self.logging, ""),
        ];
        for (name, keys, rest) in sections {
            if keys.is_empty() && rest.is_empty() {
                continue;
            }
            let _ = writeln!(apid, "{name}:");
            for (key, value) in keys {
                let _ = writeln!(apid, "  {key}: {value}");
            }
            apid.push_str(rest);
        }
        let engine = match (self.rtp_min, self.rtp_max) {
            (None, None) => String::new(),
            (min, max) => format!(
                "rtp_ports: {{min: {}, max: {}}}\n",
                min.unwrap_or(10_000),
                max.unwrap_or(20_000)
            ),
        };
        Imported { apid, engine, left_out: self.left_out }
    }
}

fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| "a text is expected".to_owned())
}

/// A JSON string is a YAML string.
fn quoted(value: &Value) -> Result<String, String> {
    text(value).map(|text| Value::from(text).to_string())
}

fn number(value: &Value) -> Result<u64, String> {
    value.as_u64().ok_or_else(|| "a number is expected".to_owned())
}

/// Of `100`, `100/minute`, `30 days`.
fn leading_number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let text = value.as_str()?.trim();
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        text[..end].parse().ok()
    })
}

fn milliseconds(value: &Value) -> Result<String, String> {
    let seconds = value.as_f64().filter(|s| (0.0..=86_400.0).contains(s));
    let seconds = seconds.ok_or("seconds are expected")?;
    Ok(((seconds * 1000.0).round() as u64).to_string())
}

fn fixed(value: &Value, only: u64, why: &str) -> Result<(), String> {
    if value.as_u64() == Some(only) {
        Ok(())
    } else {
        Err(format!("{why} inside; files and streams are converted"))
    }
}

fn codec(value: &Value) -> Result<&'static str, String> {
    match text(value)?.to_ascii_uppercase().as_str() {
        "PCMU" | "ULAW" | "G711U" => Ok("pcmu"),
        "PCMA" | "ALAW" | "G711A" => Ok("pcma"),
        other => Err(format!("{other} is not spoken; pcmu and pcma are")),
    }
}

fn log_output(output: &str) -> Result<String, String> {
    match output {
        "stdout" | "stderr" | "console" | "journal" => Ok("journal".to_owned()),
        file if file.starts_with('/') => Ok(Value::from(file).to_string()),
        _ => Err("`stdout` or an absolute path is expected".to_owned()),
    }
}

fn rotation(text: &str) -> Result<&'static str, String> {
    let text = text.to_ascii_lowercase();
    if text.contains("hour") {
        Ok("hourly")
    } else if ["day", "daily", "midnight", "00:00"].iter().any(|word| text.contains(word)) {
        Ok("daily")
    } else {
        Err("files are rotated daily or hourly here, not by size".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::path::Path;

    #[test]
    fn a_sip_phone_api_file_becomes_ours() {
        let older = "
server: {host: 127.0.0.1, rest_port: 8100, websocket_port: 8101, sip_port: 5070, workers: 4}
ht802:
  host: 192.168.1.100
  auth_enabled: true
  credentials: {username: attic, password: 'a long: one'}
audio:
  sample_rate: 8000
  bit_depth: 16
  channels: 2
  codec: PCMA
  buffer_size: 160
  rtp_ports: {min: 12000, max: 12100}
logging: {level: INFO, format: json, output: stdout, rotation: 1 day, retention: 30 days}
";
        let imported = import(older).unwrap();
        let config = Config::parse(&imported.apid, Path::new("imported")).unwrap();
        assert_eq!(config.api.port.get(), 8100);
        assert_eq!(config.sip.accounts.len(), 1, "{}", imported.apid);
        assert_eq!(imported.engine, "rtp_ports: {min: 12000, max: 12100}\n");
        let left_out: Vec<_> =
            imported.left_out.iter().filter_map(|s| s.split(':').next()).collect();
        assert_eq!(left_out, ["audio.buffer_size", "audio.channels", "server.workers"]);
    }

    #[test]
    fn a_dahdi_phone_api_file_becomes_ours_and_tokens_are_named() {
        let older = "
server: {host: 127.0.0.1, rest_port: 8000, websocket_port: 8001}
dahdi: {device: /dev/dahdi, control: ctl, channel: 1, audio: pcm, buffer_size: 320}
api: {rate_limit: 100/minute, timeout: 30, max_connections: 1000}
websocket: {ping_interval: 30, ping_timeout: 10, max_message_size: 1048576}
security: {allowed_origins: ['*', 'https://phones.example'], api_tokens: [abc]}
logging: {level: debug, rotation: 500 MB}
colour: blue
";
        let imported = import(older).unwrap();
        let config = Config::parse(&imported.apid, Path::new("imported")).unwrap();
        assert_eq!(config.security.allowed_origins, ["https://phones.example"]);
        let named = imported.left_out.join("\n");
        for key in [
            "dahdi.device",
            "security.allowed_origins",
            "security.api_tokens",
            "logging.rotation",
            "colour",
        ] {
            assert!(named.contains(key), "{key} in {named}");
        }
        assert!(!named.contains("abc"), "a secret is not repeated");
    }

    #[test]
    fn what_is_no_mapping_is_refused() {
        assert!(import("- 1\n- 2\n").unwrap_err().contains("mapping"));
    }
}
