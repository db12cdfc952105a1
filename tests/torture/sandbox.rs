//! A mount and process namespace of this run's own, where the machine lets it have one: whatever is mounted,
//! attached or started in it ends with it, however it ends.
//! Never changes what the rest of the machine sees.

use std::{
    env,
    process::{Command, ExitCode},
};

/// Says to the run inside the sandbox that it is there.
const INSIDE: &str = "COUNTERSIGN_TORTURE_SANDBOX";

/// Runs this program again inside of a sandbox, and answers how it ended; none when this is the inside, or there is none.
pub fn enter() -> Option<ExitCode> {
    if exists() {
        end_when_asked();
        return None;
    }
    let unshare = |program: &str| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--", program]);
        command
    };
    let probe = unshare("true").output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        return None;
    }
    let status = unshare(env::current_exe().unwrap().to_str().unwrap())
        .args(env::args_os().skip(1))
        .env(INSIDE, "1")
        .status()
        .unwrap();
    Some(ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1)))
}

/// Whether this run may mount what it likes.
pub fn exists() -> bool {
    env::var_os(INSIDE).is_some()
}

/// The first process of a namespace ignores the signals that it does not ask for.
fn end_when_asked() {
    std::thread::spawn(|| {
        use tokio::signal::unix::{SignalKind, signal};
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        runtime.block_on(async {
            let mut terminated = signal(SignalKind::terminate()).unwrap();
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminated.recv() => {}
            }
        });
        std::process::exit(130);
    });
}
