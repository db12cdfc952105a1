//! The server as a process: on a core of its own, with the processor time and the memory that it takes.
//! Reads Linux's `/proc`; never runs elsewhere.

use crate::{machine::Fault, server::Addresses};
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tokio::time::Instant;

/// The core that the server runs on.
const SERVER_CORE: &str = "0";
/// The core that the load runs on.
const LOAD_CORE: &str = "1";

/// `/proc` counts processor time in hundredths of a second, whatever the kernel's own clock does.
const TICKS_A_SECOND: f64 = 100.0;

/// A running server.
pub(crate) struct Server {
    child: Child,
    pub(crate) addresses: Addresses,
    /// How long it took from the start of the process until it listened.
    pub(crate) started_in: Duration,
}

impl Server {
    /// Starts this program again as the server of a data set.
    pub(crate) fn start(directory: &Path) -> Result<Self, Fault> {
        let begun = Instant::now();
        let mut child = Command::new("taskset")
            .args(["-c", SERVER_CORE])
            .arg(std::env::current_exe()?)
            .arg("serve")
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("the server has no output")?).read_line(&mut line)?;
        let addresses = serde_json::from_str(&line).map_err(|error| format!("the server did not start: {error}"))?;
        Ok(Self { child, addresses, started_in: begun.elapsed() })
    }

    /// The processor time that it has taken, in seconds: user and system.
    pub(crate) fn processor_seconds(&self) -> Result<f64, Fault> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The second field is the program's name, which may hold spaces.
        let (_, fields) = stat.rsplit_once(')').ok_or("/proc is not Linux's")?;
        let mut ticks = fields.split_whitespace().skip(11).map(str::parse::<f64>);
        let (user, system) = (ticks.next().ok_or("no user time")??, ticks.next().ok_or("no system time")??);
        Ok((user + system) / TICKS_A_SECOND)
    }

    /// Its resident memory, in bytes.
    pub(crate) fn resident_bytes(&self) -> Result<u64, Fault> {
        resident_bytes(&self.child.id().to_string())
    }

    /// Ends it as an operator does, and waits until its store is closed.
    pub(crate) fn stop(mut self) -> Result<(), Fault> {
        drop(self.child.stdin.take());
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("the server ended with {status}").into()) }
    }
}

/// The resident memory of a process, in bytes; this one is called `self`.
pub(crate) fn resident_bytes(process: &str) -> Result<u64, Fault> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<u64>()? * 1_024)
}

/// Puts this process on the load's core.
pub(crate) fn pin() -> Result<(), Fault> {
    let process = std::process::id().to_string();
    let pinned = Command::new("taskset").args(["-pc", LOAD_CORE, &process]).stdout(Stdio::null()).status()?;
    if pinned.success() { Ok(()) } else { Err("taskset could not pin the load to its core".into()) }
}

/// How busy the machine is, whoever makes it so: the load averages.
pub(crate) fn load_averages() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}
