//! What one request takes in instructions, counted by valgrind: the same figure whatever else the machine does.
//! In one process and without a network: from the request's text to the answer's. Never a measure of time.

use crate::{
    data,
    machine::{Fault, machine},
    workload::Read,
};
use countersign::{
    app::{App, Budgets},
    graphql::{self, Api, Asked},
    store::Store,
};
use serde_json::Value;
use std::{path::Path, process::Command};

/// How many requests come before those that are counted: organisations are loaded then, and tables filled.
const BEFORE: usize = 40;
/// How many are counted.
const COUNTED: usize = 100;

/// Whether a document was asked before.
const DOCUMENTS: [(&str, bool); 2] = [("again", false), ("anew", true)];

/// Counts each of the reads, with documents that were asked before and with such that were not.
pub(crate) fn run(directory: &Path, wanted: impl Fn(&str) -> bool) -> Result<(), Fault> {
    println!("{:<10} {:<6} {:>22}", "", "asked", "instructions/request");
    for read in Read::ALL.into_iter().filter(|read| wanted(read.name())) {
        for (asked, is_new) in DOCUMENTS {
            let (none, some) = (counted(directory, read, is_new, 0)?, counted(directory, read, is_new, COUNTED)?);
            println!("{:<10} {asked:<6} {:>22}", read.name(), some.saturating_sub(none) / COUNTED as u64);
        }
    }
    Ok(())
}

/// How many instructions a process takes that answers so many requests.
fn counted(directory: &Path, read: Read, is_new: bool, times: usize) -> Result<u64, Fault> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(std::env::current_exe()?);
    valgrind.arg("answers").arg(directory).args([read.name(), &is_new.to_string(), &times.to_string()]);
    let said = valgrind.output().map_err(|error| format!("valgrind (package valgrind): {error}"))?;
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    let collected = said.lines().find_map(|line| line.split_once("Collected : "));
    let (_, count) = collected.ok_or_else(|| format!("valgrind counted nothing: {said}"))?;
    Ok(count.trim().parse()?)
}

/// Answers so many requests, and some before.
pub(crate) async fn answers(directory: &Path, read: &str, is_new: bool, times: usize) -> Result<(), Fault> {
    let read = Read::ALL.into_iter().find(|known| known.name() == read).ok_or("no such workload")?;
    let (data, world) = (directory.join("data"), data::read(directory)?);
    let store = Store::open(&data, &machine(7))?;
    let api =
        Api::new(App::open(store.clone()).await?, &graphql::Options { budgets: Budgets::NONE, ..Default::default() })?;
    for (n, (credential, mut body)) in read.asked(&world, BEFORE + times)?.into_iter().enumerate() {
        if let Some(Value::String(query)) = body.get_mut("query").filter(|_| is_new) {
            query.push_str(&format!(" # {n}"));
        }
        let asked: Asked = serde_json::from_str(&body.to_string())?;
        let admitted = api.admit(asked).map_err(|refused| refused.message)?;
        let answered = api.request(Some(&credential), None, admitted).await;
        let said = serde_json::to_vec(&answered.response)?;
        if !answered.response.errors.is_empty() || said.is_empty() {
            return Err(format!("{} is answered {}", read.name(), String::from_utf8_lossy(&said)).into());
        }
    }
    drop(api);
    store.close();
    Ok(())
}
