//! The real binary, serving the demo from a directory: for tests that must see the process itself.
//! Ended by its process id, at the latest when it is dropped.

use super::{client::Caller, command::binary};
use serde_json::Value;
use std::{path::Path, process::Stdio};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// A running demo.
pub struct Demo {
    pub process: Child,
    hello: Value,
    http: reqwest::Client,
}

impl Demo {
    /// Starts it on a free port, and waits for the line that says where it serves.
    pub async fn start(data: &Path) -> Self {
        Self::start_with(data, &[], Stdio::inherit()).await
    }

    /// The same with more flags, and what it logs put there.
    pub async fn start_with(data: &Path, flags: &[&str], logs: Stdio) -> Self {
        let mut process = binary()
            .args(["demo", "--listen", "127.0.0.1:0", "--json", "--data-dir"])
            .arg(data)
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(logs)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let hello = lines.next_line().await.unwrap().expect("a line of JSON once it serves");
        Self { process, hello: serde_json::from_str(&hello).unwrap(), http: reqwest::Client::new() }
    }

    /// Ends it as an operator does, and waits until it has closed its store.
    pub async fn stop(&mut self) {
        let id = self.process.id().expect("it runs");
        let asked = Command::new("kill").args(["-TERM", &id.to_string()]).status().await.unwrap();
        assert!(asked.success());
        let ended = tokio::time::timeout(std::time::Duration::from_secs(20), self.process.wait()).await;
        assert!(ended.expect("it ends in time").unwrap().success());
    }

    /// Where it serves; where it says how it does.
    pub fn url(&self, which: &str) -> String {
        self.hello[which].as_str().unwrap().to_owned()
    }

    /// Somebody of Acme: a person or the key of a node.
    pub fn caller(&self, name: &str) -> Caller {
        let acme = &self.hello["organisations"]["acme"];
        let credential = acme["people"].get(name).or_else(|| acme["keys"].get(name));
        let credential = credential.unwrap_or_else(|| panic!("nobody is called {name}")).as_str().unwrap();
        let address = self.hello["url"].as_str().unwrap().trim_start_matches("http://").to_owned();
        Caller { name: "somebody of the demo", credential: Some(credential.into()), address, http: self.http.clone() }
    }
}
