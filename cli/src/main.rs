//! The command `tipring`.

mod handler;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Tipring at the terminal.
#[derive(Debug, Parser)]
#[command(name = "tipring", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The WebSocket inbound call handler: a server to try clients with, and a client.
    #[command(subcommand)]
    Handler(handler::Handler),
}

fn main() -> ExitCode {
    let Arguments { command: Command::Handler(command) } = Arguments::parse();
    match command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("tipring: {reason}");
            ExitCode::FAILURE
        }
    }
}
