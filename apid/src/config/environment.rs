//! Environment variables, which win over the file. Those of the engine (`RTP_PORT_MIN`,
//! `RTP_PORT_MAX`, `DAHDI_DEVICE`) are read there.

use super::{Bounded, Config, ConfigError};
use std::str::FromStr;

impl Config {
    /// Applies what `lookup` finds. Of two names for one thing, the shorter wins.
    ///
    /// # Errors
    /// [`ConfigError`] naming the variable and what is allowed.
    pub fn apply_environment(
        &mut self,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<(), ConfigError> {
        let environment = Environment(lookup);
        environment.set(&["SIP_SERVER_HOST"], &mut self.sip.host)?;
        environment.set(&["SIP_SERVER_PORT"], &mut self.sip.port)?;
        environment.set(&["API_HOST", "DAHDI_API_HOST"], &mut self.api.host)?;
        environment.set(&["API_PORT", "DAHDI_API_REST_PORT"], &mut self.api.port)?;
        if let Some(port) = environment.get(&["WS_PORT", "DAHDI_API_WS_PORT"])? {
            self.api.ws_port = Some(port);
        }
        environment.set(&["AMI_HOST"], &mut self.ami.host)?;
        environment.set(&["AMI_PORT"], &mut self.ami.port)?;
        if let Some(port) = environment.get(&["HANDLER_PORT"])? {
            self.handler.port = Some(port);
        }
        environment.set(&["LOG_LEVEL"], &mut self.logging.level)?;
        // Seconds, as the older API had it.
        if let Some(seconds) = environment.get::<Bounded<1, 600>>(&["API_TIMEOUT"])? {
            self.api.request_timeout_ms = Bounded::of(seconds.get() * 1000);
        }
        Ok(())
    }
}

struct Environment<L>(L);

impl<L: Fn(&str) -> Option<String>> Environment<L> {
    fn get<T: FromStr<Err = String>>(&self, names: &[&str]) -> Result<Option<T>, ConfigError> {
        for name in names {
            match (self.0)(name) {
                Some(text) if !text.is_empty() => {
                    return text
                        .parse()
                        .map(Some)
                        .map_err(|reason| ConfigError(format!("environment: {name}: {reason}")));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    fn set<T: FromStr<Err = String>>(
        &self,
        names: &[&str],
        place: &mut T,
    ) -> Result<(), ConfigError> {
        if let Some(value) = self.get(names)? {
            *place = value;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use tipring_logging::Level;

    fn with(variables: &[(&str, &str)]) -> Result<Config, super::ConfigError> {
        let mut config = Config::demonstration();
        config.apply_environment(|name| {
            variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
        })?;
        Ok(config)
    }

    #[test]
    fn sip_server_host() {
        let config = with(&[("SIP_SERVER_HOST", "10.1.2.3")]).unwrap();
        assert_eq!(config.sip.host.to_string(), "10.1.2.3");
    }

    #[test]
    fn sip_server_port() {
        assert_eq!(with(&[("SIP_SERVER_PORT", "5070")]).unwrap().sip.port.number(), 5070);
    }

    #[test]
    fn api_host() {
        assert_eq!(with(&[("API_HOST", "0.0.0.0")]).unwrap().api.host.to_string(), "0.0.0.0");
        assert!(with(&[("API_HOST", "localhost")]).unwrap().api.host.is_loopback());
    }

    #[test]
    fn dahdi_api_host_gives_way_to_api_host() {
        let both = [("DAHDI_API_HOST", "10.0.0.1"), ("API_HOST", "10.0.0.2")];
        assert_eq!(with(&both[..1]).unwrap().api.host.to_string(), "10.0.0.1");
        assert_eq!(with(&both).unwrap().api.host.to_string(), "10.0.0.2");
    }

    #[test]
    fn api_port() {
        assert_eq!(with(&[("API_PORT", "9000")]).unwrap().api.port.number(), 9000);
        assert_eq!(with(&[("DAHDI_API_REST_PORT", "9001")]).unwrap().api.port.number(), 9001);
    }

    #[test]
    fn ws_port() {
        assert_eq!(with(&[("WS_PORT", "9002")]).unwrap().api.ws_port.unwrap().number(), 9002);
        let older = with(&[("DAHDI_API_WS_PORT", "9003")]).unwrap();
        assert_eq!(older.api.ws_port.unwrap().number(), 9003);
    }

    #[test]
    fn ami_host() {
        assert_eq!(with(&[("AMI_HOST", "10.1.2.3")]).unwrap().ami.host.to_string(), "10.1.2.3");
    }

    #[test]
    fn ami_port() {
        assert_eq!(with(&[("AMI_PORT", "5039")]).unwrap().ami.port.number(), 5039);
    }

    #[test]
    fn handler_port() {
        let config = with(&[("HANDLER_PORT", "9004")]).unwrap();
        assert_eq!(config.handler.address().unwrap().port(), 9004);
    }

    #[test]
    fn log_level() {
        assert_eq!(with(&[("LOG_LEVEL", "DEBUG")]).unwrap().logging.level, Level::Debug);
    }

    #[test]
    fn api_timeout_is_in_seconds() {
        assert_eq!(with(&[("API_TIMEOUT", "5")]).unwrap().api.request_timeout_ms.get(), 5000);
    }

    #[test]
    fn a_wrong_value_names_the_variable_and_what_is_allowed() {
        let error = with(&[("API_PORT", "http")]).unwrap_err().to_string();
        assert!(error.contains("API_PORT") && error.contains("1 to 65535"), "{error}");
        let error = with(&[("LOG_LEVEL", "loud")]).unwrap_err().to_string();
        assert!(error.contains("LOG_LEVEL") && error.contains("warn"), "{error}");
    }
}
