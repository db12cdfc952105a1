//! The command line: what the binary can be told, and how it answers.
//! Never holds an operation: it opens the store, starts the server, and prints.

mod audit;
mod backup;
mod compact;
mod demo;
mod doctor;
mod export;
mod import;
mod machine;
mod offline;
mod progress;
mod reindex;
mod restore;
mod serve;

use clap::{Parser, Subcommand};
use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

/// Governs AI initiatives from the first idea to production.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the organisations in a data directory; the first start makes it, with one organisation.
    Serve(ServeArguments),
    /// Serve the tutorial's organisation, with everyone signed in; on this machine only.
    Demo(DemoArguments),
    /// Back up what a server holds, also while it runs.
    Backup(backup::Arguments),
    /// Make a data directory from a backup.
    Restore(restore::Arguments),
    /// Look whether a data directory and its surroundings are as they should be.
    Doctor(doctor::Arguments),
    /// Write one organisation's whole history to a file, and its key to another.
    Export(export::Arguments),
    /// Bring an organisation from another server.
    Import(import::Arguments),
    /// Make the index anew from the journal. Stop the server first.
    Reindex(reindex::Arguments),
    /// Check the log, sign where it stands, and prove what is in it; also while the server runs.
    #[command(subcommand)]
    Audit(audit::Arguments),
    /// Give disk space back: cut old history behind a signed base, and rebuild the index. Stop the server first.
    Compact(compact::Arguments),
    /// Print the schema as text.
    Schema,
}

/// How to serve.
#[derive(Debug, clap::Args)]
struct ServeArguments {
    /// Where to listen; port 0 takes a free one and prints it.
    #[arg(long, env = "COUNTERSIGN_LISTEN", default_value = "127.0.0.1:4280")]
    listen: SocketAddr,
    /// Where everything is kept; made where it is missing.
    #[arg(long, env = "COUNTERSIGN_DATA_DIR", default_value = "countersign-data")]
    data_dir: PathBuf,
    /// Print one line of JSON instead of sentences.
    #[arg(long)]
    json: bool,
}

/// How to show.
#[derive(Debug, clap::Args)]
struct DemoArguments {
    /// Where to listen, on this machine only; port 0 takes a free one and prints it.
    #[arg(long, env = "COUNTERSIGN_LISTEN", default_value = "127.0.0.1:4280")]
    listen: SocketAddr,
    /// Where everything is kept; a directory that is removed afterwards where nothing is named.
    #[arg(long, env = "COUNTERSIGN_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Print one line of JSON, with the address and everyone's credentials, instead of sentences.
    #[arg(long)]
    json: bool,
}

/// The exit code for a command line that cannot be understood (`EX_USAGE` of sysexits.h).
const EXIT_USAGE: u8 = 64;
/// Does what the command line says.
pub fn run() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_env("COUNTERSIGN_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(told) => {
            let asked_for_help = !told.use_stderr();
            // Whoever has gone away reads neither help nor error.
            told.print().ok();
            return if asked_for_help { ExitCode::SUCCESS } else { ExitCode::from(EXIT_USAGE) };
        }
    };
    let done = match command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Backup(arguments) => backup::run(&arguments),
        Command::Restore(arguments) => restore::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Import(arguments) => import::run(&arguments),
        Command::Reindex(arguments) => reindex::run(&arguments),
        Command::Audit(arguments) => audit::run(&arguments),
        Command::Compact(arguments) => compact::run(&arguments),
        Command::Schema => {
            print!("{}", crate::graphql::sdl());
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("countersign: {why}");
            ExitCode::FAILURE
        }
    }
}
