//! The command line: what the binary can be told, and how it answers.
//! Never holds an operation: it opens the store, starts the server, and prints.

mod audit;
mod backup;
mod compact;
mod config;
mod demo;
mod doctor;
mod export;
mod import;
mod logs;
mod machine;
mod offline;
mod progress;
mod reindex;
mod restore;
mod serve;
mod settings;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

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
    Serve(serve::Arguments),
    /// Serve the tutorial's organisation, with everyone signed in; on this machine only.
    Demo(demo::Arguments),
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
    /// Show what the server is told, and by whom.
    #[command(subcommand)]
    Config(config::Arguments),
    /// Print the schema as text.
    Schema,
}

/// The exit code for a command line or a configuration that cannot be understood (`EX_USAGE` of sysexits.h).
const EXIT_USAGE: u8 = 64;
/// Does what the command line says.
pub fn run() -> ExitCode {
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
        Command::Config(arguments) => config::run(&arguments),
        Command::Schema => {
            print!("{}", crate::graphql::sdl());
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("countersign: {why}");
            if why.is::<settings::Problems>() { ExitCode::from(EXIT_USAGE) } else { ExitCode::FAILURE }
        }
    }
}
