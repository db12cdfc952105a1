//! The real binary as a process: started as it is or through another program, asked whether it is ready, ended by
//! its process id. Never outlives the test that started it.

use super::client::Caller;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::{
    ffi::{OsStr, OsString},
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    task::JoinHandle,
    time::{Instant, timeout},
};

/// How long anything of a process is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that was started, whatever it has come to.
pub struct Process {
    child: Child,
    began: Instant,
    lines: Lines<BufReader<ChildStdout>>,
    said: Arc<Mutex<String>>,
    listening: JoinHandle<()>,
}

/// A server that answers.
pub struct Server {
    process: Process,
    hello: Value,
    /// From the start of the process to its first `/readyz` of 200.
    pub ready: Duration,
    http: reqwest::Client,
}

/// How a process ended: its exit code, if it was not killed, and what it said on standard error.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub said: String,
}

/// The credentials of everyone of the demo's organisation; they are good for a day, across restarts.
#[derive(Clone)]
pub struct People(Value);

impl Process {
    /// Starts `countersign demo` or `serve` over a directory; `through` is a program that ends up as that process.
    pub fn start(through: &[OsString], verb: &str, data: &Path) -> Self {
        let binary = OsStr::new(env!("CARGO_BIN_EXE_countersign"));
        let words = ["--listen", "127.0.0.1:0", "--json", "--data-dir"].map(OsStr::new);
        let mut line = through.iter().map(OsString::as_os_str).chain([binary, OsStr::new(verb)]).chain(words);
        let began = Instant::now();
        let mut command = Command::new(line.next().unwrap());
        // The server is not told what this run was.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("COUNTERSIGN_")) {
            command.env_remove(name);
        }
        let mut child = command
            .args(line)
            .arg(data)
            .env("NO_COLOR", "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said = Arc::new(Mutex::new(String::new()));
        let (mut stderr, into) = (child.stderr.take().unwrap(), Arc::clone(&said));
        let listening = tokio::spawn(async move {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = stderr.read(&mut bytes).await {
                into.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..read]));
            }
        });
        Self { child, began, lines, said, listening }
    }

    /// Waits until it answers, or has ended.
    pub async fn serving(mut self) -> Result<Server, Ended> {
        let hello = timeout(PATIENCE, self.lines.next_line()).await.expect("a start that ends").unwrap();
        let Some(hello) = hello else { return Err(self.ended().await) };
        let http = reqwest::Client::new();
        let mut server =
            Server { process: self, hello: serde_json::from_str(&hello).unwrap(), ready: Duration::ZERO, http };
        while server.readiness().await.is_none_or(|(status, _)| status != 200) {
            if server.process.child.try_wait().unwrap().is_some() {
                return Err(server.process.ended().await);
            }
            assert!(server.process.began.elapsed() < PATIENCE, "it never became ready: {}", server.said());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        server.ready = server.process.began.elapsed();
        Ok(server)
    }

    /// SIGKILL, and the end.
    pub async fn kill(mut self) -> Ended {
        self.child.start_kill().ok();
        self.ended().await
    }

    pub fn signal(&self, signal: Signal) {
        let id = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).unwrap()));
        // One that has ended already needs no signal.
        id.map(|id| kill_process(id, signal).ok());
    }

    /// Waits for the end.
    pub async fn ended(mut self) -> Ended {
        let status = timeout(PATIENCE, self.child.wait()).await.expect("a process that ends").unwrap();
        timeout(PATIENCE, &mut self.listening).await.expect("its last words").unwrap();
        Ended { code: status.code(), said: self.said.lock().unwrap().clone() }
    }
}

impl Server {
    /// Serves what is in a directory.
    pub async fn serve(data: &Path) -> Self {
        let started = Process::start(&[], "serve", data).serving().await;
        started.unwrap_or_else(|ended| panic!("{} cannot be opened: {ended:?}", data.display()))
    }

    /// Serves the demo from a new directory: the only start that says everyone's credentials.
    pub async fn demo(data: &Path) -> (Self, People) {
        let server = Process::start(&[], "demo", data).serving().await.unwrap();
        let people = server.people();
        (server, people)
    }

    /// Everyone, as the demo said when it started.
    pub fn people(&self) -> People {
        People(self.hello["organisations"]["acme"].clone())
    }

    /// Somebody of the organisation: a person, or the key of a node.
    pub fn caller(&self, people: &People, name: &str) -> Caller {
        let credential = people.0["people"].get(name).or_else(|| people.0["keys"].get(name));
        let credential = credential.unwrap_or_else(|| panic!("nobody is called {name}")).as_str().unwrap();
        let address = self.hello["url"].as_str().unwrap().trim_start_matches("http://").to_owned();
        Caller { name: "somebody of the demo", credential: Some(credential.into()), address, http: self.http.clone() }
    }

    /// What `/readyz` answers: status and reason; none when nothing answers.
    pub async fn readiness(&self) -> Option<(u16, String)> {
        let answer = self.http.get(format!("{}/readyz", self.hello["url"].as_str().unwrap())).send().await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.child.id().expect("it runs")
    }

    /// What it has said on standard error so far.
    pub fn said(&self) -> String {
        self.process.said.lock().unwrap().clone()
    }

    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    pub async fn kill(self) -> Ended {
        self.process.kill().await
    }

    pub async fn ended(self) -> Ended {
        self.process.ended().await
    }

    /// SIGTERM, and the end: code 0 in time.
    pub async fn stop(self) {
        self.signal(Signal::TERM);
        let ended = self.ended().await;
        assert_eq!(ended.code, Some(0), "it did not stop cleanly: {}", ended.said);
    }
}
