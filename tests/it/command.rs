//! The binary as a command: what it answers to a command line.
//! Never leaves a process behind.

use std::path::Path;
use tokio::process::Command;

/// The binary, which is not told what this test run was.
pub fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("COUNTERSIGN_")) {
        command.env_remove(name);
    }
    command
}

/// What a command of the binary answered: its exit code and all that it said.
pub async fn countersign(arguments: &[&str]) -> (i32, String) {
    let done = binary().args(arguments).output().await.unwrap();
    let said = [done.stdout, done.stderr].concat();
    (done.status.code().unwrap_or(-1), String::from_utf8(said).unwrap())
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Backs a data directory up; answers the manifest where that was done.
pub async fn back_up(data: &Path, to: &Path, keys: &Path) -> (i32, String) {
    countersign(&["backup", "--data-dir", text(data), "--to", text(to), "--keys-to", text(keys), "--json"]).await
}

/// Restores a backup into a directory.
pub async fn restore(from: &Path, keys: &Path, to: &Path) -> (i32, String) {
    countersign(&["restore", "--from", text(from), "--keys", text(keys), "--data-dir", text(to)]).await
}
