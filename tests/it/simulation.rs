//! The simulation: the store's real commit path, in steps, over a disk that fails, is cut off and forgets what was not
//! synced, compared after every start with what was acknowledged. Everything follows from a seed.
//! Never leaves a failed seed behind: it goes to `simulation/seeds.txt`, which always runs first.

mod command;
mod model;
pub(crate) mod random;
mod recovery;
mod run;

use run::{Counts, Run};
use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// How many seeds a run of all tests takes; `COUNTERSIGN_SEEDS` names another number.
const SEEDS: u64 = 2_000;
/// How many operations each of them is long.
const OPERATIONS: u64 = 500;

/// Seeds that failed once, one a line, each with what it found.
const FAILED_ONCE: &str = include_str!("simulation/seeds.txt");

fn number(variable: &str) -> Option<u64> {
    let value = env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} is {value:?}, where a number belongs")))
}

/// The seeds to run: the one that was asked for, or those that failed once and then as many as were asked for.
fn seeds() -> Vec<u64> {
    if let Some(seed) = number("COUNTERSIGN_SEED") {
        return vec![seed];
    }
    let lines = FAILED_ONCE.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let failed_once = lines.map(|line| line.split_whitespace().next().unwrap().parse().unwrap());
    failed_once.chain(1..=number("COUNTERSIGN_SEEDS").unwrap_or(SEEDS)).collect()
}

/// Runs a seed; says what is wrong, and how to see it again.
fn run(seed: u64) -> Result<(u64, Counts), String> {
    let ran = catch_unwind(AssertUnwindSafe(|| Run::seed(seed, OPERATIONS)));
    let ran = ran.unwrap_or_else(|_| Err("it panicked, see above".to_owned()));
    let again = format!("COUNTERSIGN_SEED={seed} cargo test --locked --test it -- simulation::every_seed");
    ran.map_err(|wrong| format!("seed {seed}: {wrong}\n  again: {again}"))
}

impl Counts {
    fn add(&mut self, other: &Self) {
        let sums = [
            (&mut self.operations, other.operations),
            (&mut self.commits, other.commits),
            (&mut self.several_in_a_group, other.several_in_a_group),
            (&mut self.refused, other.refused),
            (&mut self.full, other.full),
            (&mut self.unknown, other.unknown),
            (&mut self.unknown_done, other.unknown_done),
            (&mut self.repeated, other.repeated),
            (&mut self.loads, other.loads),
            (&mut self.stops, other.stops),
            (&mut self.kills, other.kills),
            (&mut self.power_cuts, other.power_cuts),
            (&mut self.failed_starts, other.failed_starts),
        ];
        for (sum, more) in sums {
            *sum += more;
        }
    }
}

#[test]
fn every_seed_ends_with_what_was_acknowledged() {
    let seeds = seeds();
    let next = AtomicUsize::new(0);
    let (counts, wrong) = (Mutex::new(Counts::default()), Mutex::new(vec![]));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match run(*seed) {
                        Ok((_, counted)) => counts.lock().unwrap().add(&counted),
                        Err(failed) => {
                            // The first few say what is wrong.
                            next.fetch_add(seeds.len() / 5, Ordering::Relaxed);
                            wrong.lock().unwrap().push(failed);
                        }
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let counts = counts.into_inner().unwrap();
    println!("{} seeds: {counts:?}", seeds.len());
    if seeds.len() >= 100 {
        let Counts { several_in_a_group, full, unknown, unknown_done, repeated, loads, .. } = counts;
        let Counts { stops, kills, power_cuts, failed_starts, .. } = counts;
        let rare = [several_in_a_group, full, unknown_done, unknown - unknown_done, repeated, loads];
        let ends = [stops, kills, power_cuts, failed_starts];
        assert!(rare.iter().chain(&ends).all(|count| *count > 0), "something never happened: {counts:?}");
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 1..=10 {
        let (first, second) = (run(seed).unwrap(), run(seed).unwrap());
        assert_eq!(first, second, "seed {seed}");
    }
    assert_ne!(run(1).unwrap().0, run(2).unwrap().0);
}
