//! `countersign doctor`: whether a data directory and the configuration are as they should be, one line for each.
//! Never changes anything.

use super::{Cli, machine::machine, progress::progress, serve::say};
use crate::store::doctor::{Examined, Finding, Health, examine};
use clap::CommandFactory;
use serde_json::{Value, json};
use std::{collections::BTreeSet, error::Error, path::PathBuf};

/// What to look at.
///
/// Each line says ok, warning or problem, and what to do. Ends with 1 where there is a problem. The server may be
/// running.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// What the server keeps its data in.
    #[arg(long, env = "COUNTERSIGN_DATA_DIR", default_value = "countersign-data")]
    data_dir: PathBuf,
    /// Read the whole journal, however long it is, and open a copy of the index.
    #[arg(long)]
    full: bool,
    /// Print one object of JSON instead of lines.
    #[arg(long)]
    json: bool,
}

/// Variables that are read elsewhere than by a flag.
const OTHER_VARIABLES: [&str; 1] = ["COUNTERSIGN_LOG"];

/// Looks at everything.
pub(super) fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let mut findings = configuration();
    let examined = Examined { data: &arguments.data_dir, now: machine().clock.now(), full: arguments.full };
    findings.extend(examine(examined, &*progress("verifying the journal")));
    let problems = findings.iter().filter(|finding| finding.health == Health::Problem).count();
    if arguments.json {
        let findings: Vec<_> = findings.iter().map(shown).collect();
        say(&json!({ "problems": problems, "findings": findings }).to_string());
    } else {
        findings.iter().for_each(|finding| say(&line(finding)));
    }
    if problems == 0 { Ok(()) } else { Err(format!("{problems} problems were found").into()) }
}

const fn word(health: Health) -> &'static str {
    match health {
        Health::Ok => "ok",
        Health::Warning => "warning",
        Health::Problem => "problem",
    }
}

fn line(finding: &Finding) -> String {
    let Finding { check, health, found, remedy } = finding;
    let remedy = if remedy.is_empty() { String::new() } else { format!("; {remedy}") };
    format!("{:<8} {check:<14} {found}{remedy}", word(*health))
}

fn shown(finding: &Finding) -> Value {
    let Finding { check, health, found, remedy } = finding;
    json!({ "check": check, "health": word(*health), "found": found, "remedy": remedy })
}

/// Every variable of ours that is set must be one that is read, and hold what is read from it.
fn configuration() -> Vec<Finding> {
    let mut command = Cli::command();
    command.build();
    let arguments = command.get_subcommands().flat_map(clap::Command::get_arguments);
    let named = arguments.filter_map(|argument| argument.get_env()?.to_str().map(str::to_owned));
    let known: BTreeSet<String> = named.chain(OTHER_VARIABLES.map(str::to_owned)).collect();
    let mut findings = vec![];
    for (name, value) in std::env::vars() {
        if name.starts_with("COUNTERSIGN_") && !known.contains(&name) {
            let similar = |one: &&String| strsim::damerau_levenshtein(one, &name);
            let nearest = known.iter().min_by_key(similar).map(String::as_str).unwrap_or_default();
            let found = format!("{name} is set, and nothing reads it");
            findings.push(Finding::problem("configuration", found, format!("did you mean {nearest}?")));
        }
        let parsed = match name.as_str() {
            "COUNTERSIGN_LISTEN" => value.parse::<std::net::SocketAddr>().err().map(|error| error.to_string()),
            "COUNTERSIGN_LOG" => tracing_subscriber::EnvFilter::try_new(&value).err().map(|error| error.to_string()),
            _ => None,
        };
        if let Some(why) = parsed {
            let found = format!("{name} is {value:?}: {why}");
            findings.push(Finding::problem("configuration", found, "correct or unset it"));
        }
    }
    if findings.is_empty() {
        findings.push(Finding::ok("configuration", "every COUNTERSIGN_ variable that is set is read"));
    }
    findings
}
