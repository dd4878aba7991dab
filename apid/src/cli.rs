//! The command line.

use crate::auth::{Scope, Scopes, create_token};
use crate::config::{Config, ConfigError, LoadedPlans};
use crate::import;
use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};

/// REST, WebSocket and SIP for telephones: the unprivileged half of Tipring.
///
/// Environment, winning over the file: SIP_SERVER_HOST SIP_SERVER_PORT AMI_HOST AMI_PORT API_HOST API_PORT WS_PORT
/// LOG_LEVEL DAHDI_API_HOST DAHDI_API_REST_PORT DAHDI_API_WS_PORT API_TIMEOUT.
#[derive(Debug, Parser)]
#[command(name = "tipring-apid", version)]
pub struct Args {
    /// Configuration (YAML); without it a demonstration on loopback.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Check the configuration, say so, start nothing.
    #[arg(long)]
    pub check_config: bool,
    /// Where tipring-engine is attached.
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Where calls, registrations and tokens are kept.
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Turn the file of an older phone API into ours on standard output.
    #[arg(long, value_name = "FILE")]
    pub import: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tokens of the API.
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a token and print it once; only its hash is kept.
    Create {
        /// Whose it is.
        name: String,
        /// read, control, audio or admin; repeated for several.
        #[arg(long = "scope", required = true, value_parser = parse_scope)]
        scopes: Vec<Scope>,
        /// A line it is limited to; repeated for several.
        #[arg(long = "line")]
        lines: Vec<String>,
    },
}

fn parse_scope(name: &str) -> Result<Scope, String> {
    Scope::from_name(name).ok_or_else(|| "read, control, audio and admin are scopes".to_owned())
}

/// What the command line asks for.
#[derive(Debug)]
pub enum Asked {
    /// To run.
    Run(Box<Config>),
    /// Something else, which is done; to be printed.
    Done(String),
}

impl Args {
    /// The configuration: file, else demonstration; then the environment.
    ///
    /// # Errors
    /// As [`Config::load`], and of a variable.
    pub fn load(&self) -> Result<Config, ConfigError> {
        let mut config =
            self.config.as_deref().map_or_else(|| Ok(Config::demonstration()), Config::load)?;
        config.apply_environment(|name| std::env::var(name).ok())?;
        Ok(config)
    }

    /// What can be dialled and what lifted phones do, as it is written now.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_plans(&self) -> Result<LoadedPlans, ConfigError> {
        let file = self.config.as_deref().unwrap_or(Path::new("the demonstration"));
        self.load()?.plans(file)
    }

    /// The state directory: as given, else the system's if it can be written, else the user's.
    pub fn state_dir(&self) -> PathBuf {
        self.state_dir.clone().unwrap_or_else(default_state_dir)
    }

    /// Does what is not running.
    ///
    /// # Errors
    /// What is wrong, for the person at the terminal.
    pub fn handle(&self) -> Result<Asked, String> {
        if let Some(file) = &self.import {
            return import_file(file).map(Asked::Done);
        }
        let config = self.load().map_err(|error| error.to_string())?;
        if let Some(Command::Token { command: TokenCommand::Create { name, scopes, lines } }) =
            &self.command
        {
            let file = config.tokens_file(&self.state_dir());
            let scopes: Scopes = scopes.iter().copied().collect();
            let lines = (!lines.is_empty()).then(|| lines.clone());
            let token = create_token(&file, name, scopes, lines)
                .map_err(|error| format!("{}: {error}", file.display()))?;
            return Ok(Asked::Done(format!("{token}\n")));
        }
        if self.check_config {
            // Tokens are no part of it: they may be made yet.
            config.check_exposure(true).map_err(|error| error.to_string())?;
            return Ok(Asked::Done("the configuration is valid\n".to_owned()));
        }
        Ok(Asked::Run(Box::new(config)))
    }
}

fn import_file(file: &Path) -> Result<String, String> {
    let text =
        std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let imported = import::import(&text).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut out = format!("# apid.yml\n{}", imported.apid);
    if !imported.engine.is_empty() {
        out.push_str("\n# engine.yml\n");
        for line in imported.engine.lines() {
            out.push_str("# ");
            out.push_str(line);
            out.push('\n');
        }
    }
    if !imported.left_out.is_empty() {
        out.push_str("\n# Without a counterpart here:\n");
        for key in &imported.left_out {
            out.push_str("# ");
            out.push_str(key);
            out.push('\n');
        }
    }
    Ok(out)
}

fn default_state_dir() -> PathBuf {
    let system = Path::new("/var/lib/tipring");
    let probe = system.join(".writable");
    if std::fs::write(&probe, b"").is_ok() {
        let _ = std::fs::remove_file(&probe);
        return system.to_owned();
    }
    let home = |name: &str| std::env::var_os(name).map(PathBuf::from);
    home("XDG_STATE_HOME")
        .or_else(|| home("HOME").map(|home| home.join(".local/state")))
        .unwrap_or_else(|| PathBuf::from("/tmp"))
        .join("tipring")
}
