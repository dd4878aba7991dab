//! `tipring handler`: the inbound call handler's server and client.

use clap::{Args, Subcommand};
use std::sync::Arc;
use time::OffsetDateTime;
use time::macros::format_description;
use tipring_handler::{Caller, Level, Log, Server, ServerSettings, Timings};
use tokio::net::TcpListener;

/// Clients of the server at once.
const MAX_CLIENTS: usize = 100;

#[derive(Debug, Subcommand)]
pub(crate) enum Handler {
    /// Takes calls: announces each, answers it, echoes its audio, hangs up.
    Server(ServerArguments),
    /// Makes a call: waits for the answer, then sends audio and digits.
    Client(ClientArguments),
}

#[derive(Debug, Args)]
pub(crate) struct ServerArguments {
    /// Address to listen on.
    #[arg(long, default_value = "localhost")]
    host: String,
    /// Port to listen on.
    #[arg(long, default_value_t = 4143)]
    port: u16,
    /// Says more.
    #[arg(long)]
    verbose: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ClientArguments {
    /// Whom to call.
    #[arg(long, default_value = "ws://localhost:4143")]
    url: String,
    /// Sends no digits.
    #[arg(long)]
    no_dtmf: bool,
    /// Hangs up after sending audio.
    #[arg(long)]
    auto_hangup: bool,
    /// Says more.
    #[arg(long)]
    verbose: bool,
}

impl Handler {
    /// Until it is over, or interrupted.
    pub(crate) fn run(self) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        runtime.block_on(async {
            let interrupted = tokio::signal::ctrl_c();
            let work = async {
                match self {
                    Self::Server(arguments) => serve(arguments).await,
                    Self::Client(arguments) => call(arguments).await,
                }
            };
            tokio::select! {
                done = work => done,
                _ = interrupted => Ok(()),
            }
        })
    }
}

async fn serve(arguments: ServerArguments) -> Result<(), String> {
    let ServerArguments { host, port, verbose } = arguments;
    let log = log(verbose);
    let listener = TcpListener::bind((host.as_str(), port)).await;
    let listener = listener.map_err(|error| format!("cannot listen on {host}:{port}: {error}"))?;
    let port = listener.local_addr().map_or(port, |address| address.port());
    log(Level::Info, &format!("WebSocket server listening on ws://{host}:{port}"));
    let settings = ServerSettings {
        timings: Timings::default(),
        ids: false,
        max_clients: MAX_CLIENTS,
        allows: Arc::new(|_| true),
        log,
    };
    Server::new(listener, settings).serve().await;
    Ok(())
}

async fn call(arguments: ClientArguments) -> Result<(), String> {
    let ClientArguments { url, no_dtmf, auto_hangup, verbose } = arguments;
    let caller = Caller { url, dtmf: !no_dtmf, auto_hangup, log: log(verbose) };
    caller.call().await.map_err(|error| error.to_string())
}

/// Lines as `2026-11-21 12:00:00,000 - INFO - …`, UTC.
fn log(verbose: bool) -> Log {
    let least = if verbose { Level::Debug } else { Level::Info };
    Arc::new(move |level, line| {
        if level < least {
            return;
        }
        let format = format_description!(
            "[year]-[month]-[day] [hour]:[minute]:[second],[subsecond digits:3]"
        );
        let now = OffsetDateTime::now_utc().format(format).unwrap_or_default();
        println!("{now} - {} - {line}", level.name());
    })
}
