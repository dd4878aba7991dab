//! `tipring-engine`: reads its configuration and starts.

use nix::unistd::User;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tipring_engine::config::{Config, ConfigError};
use tipring_engine::startup;

const HELP: &str = "\
tipring-engine: the real-time half of Tipring

Usage: tipring-engine [--config FILE] [--socket PATH] [--attach-user NAME] [--check-config]

  --config FILE    read FILE (YAML); without it two simulated phones and 64 SIP lines
  --socket PATH    where tipring-apid attaches; wins over the file
  --attach-user NAME  a user who may attach, besides root, the engine's own and those of the file
  --check-config   check the configuration, say so, start nothing
  --version        print the version
  --help           print this

Environment, winning over the file: RTP_PORT_MIN RTP_PORT_MAX LOG_LEVEL DAHDI_DEVICE
";

enum Request {
    Run { config: Config },
    Check,
    Print(String),
}

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)) {
        Ok(Request::Print(text)) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Ok(Request::Check) => {
            println!("the configuration is valid");
            ExitCode::SUCCESS
        }
        Ok(Request::Run { config }) => match startup::run(&config) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("tipring-engine: {error}");
                ExitCode::FAILURE
            }
        },
        Err(error) => {
            eprintln!("tipring-engine: {error}");
            ExitCode::from(2)
        }
    }
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Request, ConfigError> {
    let mut file = None;
    let mut socket = None;
    let mut attach_users = Vec::new();
    let mut check_only = false;
    while let Some(arg) = args.next() {
        let mut value = |what: &str| {
            args.next().map(PathBuf::from).ok_or_else(|| ConfigError(format!("{arg} needs {what}")))
        };
        match arg.as_str() {
            "--config" => file = Some(value("a file")?),
            "--socket" => socket = Some(value("a path")?),
            "--attach-user" => attach_users.push(uid_of(&value("a user's name")?)?),
            "--check-config" => check_only = true,
            "--help" | "-h" => return Ok(Request::Print(HELP.into())),
            "--version" | "-V" => {
                return Ok(Request::Print(format!(
                    "tipring-engine {}\n",
                    env!("CARGO_PKG_VERSION")
                )));
            }
            _ => return Err(ConfigError(format!("{arg} is not known; --help lists what is"))),
        }
    }
    let mut config = Config::load(file.as_deref(), |name| std::env::var(name).ok())?;
    if socket.is_some() {
        config.socket = socket;
    }
    config.attach_uids.extend(attach_users);
    Ok(if check_only { Request::Check } else { Request::Run { config } })
}

fn uid_of(name: &Path) -> Result<u32, ConfigError> {
    let known = name.to_str().and_then(|name| User::from_name(name).ok().flatten());
    let unknown = || ConfigError(format!("--attach-user {}: no such user", name.display()));
    known.map(|user| user.uid.as_raw()).ok_or_else(unknown)
}
