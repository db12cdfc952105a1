//! What the machine can do to the real binary: kill it, cut its power, fail its calls, fill its disk, stop it.
//! `cargo test --test torture` runs the gate's rounds; `cargo test --test torture -- --rounds 2000 crash` as many
//! as are named, `--seed N` other ones. Whatever needs more than the machine has is ignored, and says why.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test that meets something unexpected is to fail there and then, and modules share what they need"
)]

#[path = "../it/client.rs"]
#[expect(dead_code, reason = "the integration tests use the rest")]
mod client;
mod crash;
mod fault;
mod full_disk;
mod hostile;
mod ledger;
mod load;
mod mount;
mod power;
mod sandbox;
mod server;
mod shutdown;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::process::ExitCode;

/// How much is asked of each test.
#[derive(Clone, Copy)]
pub struct Plan {
    /// How many rounds, where somebody named a number.
    pub rounds: Option<usize>,
    /// What moments and samples are drawn from.
    pub seed: u64,
}

impl Plan {
    /// The rounds that were named, or the gate's.
    pub fn rounds_or(self, gate: usize) -> usize {
        self.rounds.unwrap_or(gate)
    }

    /// Draws moments and samples.
    pub fn random(self) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.seed)
    }
}

/// What came of a test: it held, or this machine cannot tell and why.
pub enum Came {
    /// It held.
    Held,
    /// This machine cannot tell, and why.
    Ignored(String),
}

fn main() -> ExitCode {
    if let Some(code) = sandbox::enter() {
        return code;
    }
    let (plan, rest) = plan(std::env::args());
    let mut arguments = Arguments::from_iter(rest);
    // Each measures, or fills the machine: one after the other.
    arguments.test_threads = Some(1);
    let trials = vec![
        trial("crash", plan, crash::crash),
        trial("faults", plan, fault::faults),
        trial("failed_sync", plan, fault::failed_sync),
        trial("full_disk", plan, full_disk::full_disk),
        trial("hostile", plan, hostile::hostile),
        trial("power", plan, power::power),
        trial("shutdown", plan, shutdown::shutdown),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Takes this harness's own options out of the arguments.
fn plan(arguments: impl Iterator<Item = String>) -> (Plan, Vec<String>) {
    let (mut plan, mut rest, mut arguments) = (Plan { rounds: None, seed: 1 }, vec![], arguments);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|text| text.parse::<u64>().ok()).expect("a number");
        match argument.as_str() {
            "--rounds" => plan.rounds = Some(usize::try_from(number()).unwrap()),
            "--seed" => plan.seed = number(),
            _ => rest.push(argument),
        }
    }
    (plan, rest)
}

fn trial(name: &str, plan: Plan, test: impl AsyncFnOnce(Plan) -> Came + Send + 'static) -> Trial {
    let named = name.to_owned();
    Trial::ignorable_test(name, move || -> Result<Completion, Failed> {
        let runtime = tokio::runtime::Runtime::new()?;
        Ok(match runtime.block_on(test(plan)) {
            Came::Held => Completion::Completed,
            Came::Ignored(why) => {
                println!("SKIPPED: {named}: {why}");
                Completion::ignored_with(why)
            }
        })
    })
}
