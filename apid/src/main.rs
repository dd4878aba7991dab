//! `tipring-apid`.

use clap::Parser;
use std::process::ExitCode;
use std::sync::Arc;
use tipring_apid::cli::{Args, Asked};
use tipring_apid::{log, startup};
use tipring_shm_proto::socket_path::{Side, default_socket};

fn main() -> ExitCode {
    match begin() {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            // Whoever started us reads standard error, wherever the log goes.
            eprintln!("tipring-apid: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn begin() -> Result<(), String> {
    let args = Args::parse();
    let config = match args.handle()? {
        Asked::Done(text) => {
            print!("{text}");
            return Ok(());
        }
        Asked::Run(config) => config,
    };
    let _log = log::start(&config.logging)?;
    let socket = args.socket.clone().unwrap_or_else(|| default_socket(Side::Apid));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let state_dir = args.state_dir();
    let read_plans = Arc::new(move || args.load_plans().map_err(|error| error.to_string()));
    let run = startup::run(&config, &state_dir, &socket, read_plans);
    // Boxed: it holds every service of the process.
    let result = runtime.block_on(Box::pin(run));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    result
}
