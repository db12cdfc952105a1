//! `countersign doctor`: whether a data directory and the configuration are as they should be, one line for each.
//! Never changes anything.

use super::{
    machine::machine,
    progress::progress,
    serve::say,
    settings::{DataDirectory, Problem, Resolved, variables_unread},
};
use crate::store::doctor::{Examined, Finding, Health, examine};
use serde_json::{Value, json};
use std::error::Error;

/// What to look at.
///
/// Each line says ok, warning or problem, and what to do. Ends with 1 where there is a problem. The server may be
/// running.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    data: DataDirectory,
    /// Read the whole journal, however long it is, and open a copy of the index.
    #[arg(long)]
    full: bool,
    /// Print one object of JSON instead of lines.
    #[arg(long)]
    json: bool,
}

/// Looks at everything.
pub(super) fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let resolved = arguments.data.resolved();
    let mut findings = configuration(&resolved);
    let data = resolved.data_dir();
    let examined = Examined { data: &data, now: machine().clock.now(), full: arguments.full };
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

/// Everything in the file and in our variables must be read, and be what is read from it.
fn configuration(resolved: &Resolved) -> Vec<Finding> {
    let unread = variables_unread();
    let finding = |problem: &Problem| {
        Finding::problem("configuration", format!("{}: {}", problem.place, problem.what), problem.remedy.clone())
    };
    let findings: Vec<_> = resolved.problems.iter().chain(&unread).map(finding).collect();
    if !findings.is_empty() {
        return findings;
    }
    let file = resolved.file.as_ref().map(|file| format!("{} can be read, and ", file.display())).unwrap_or_default();
    vec![Finding::ok("configuration", format!("{file}every COUNTERSIGN_ variable that is set is read"))]
}
