//! Rounds and what they come to: medians over rounds, and ratios within each round.
//! Never compares two numbers of different rounds.

use crate::{
    load::{Outcome, Requests, run},
    machine::Fault,
    process::Server,
};
use std::{net::SocketAddr, time::Duration};

/// One of several servers that are asked the same.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) requests: Requests,
}

/// How long and how often is measured.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    pub(crate) duration: Duration,
    pub(crate) connections: usize,
}

/// One target in one round.
struct Round {
    outcome: Outcome,
    /// The server's processor time for one request, in microseconds.
    processor: f64,
}

/// The middle of some numbers.
fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Asks every target in turn, so often as planned, beginning with another one each time; prints a line for each.
/// The first target is what the others are compared with.
pub(crate) async fn measure(server: &Server, what: &str, targets: &[Target], plan: Plan) -> Result<(), Fault> {
    let mut rounds: Vec<Vec<Round>> = targets.iter().map(|_| vec![]).collect();
    for target in targets {
        // Caches fill, tenants load, connections are made.
        run(target.address, &target.requests, plan.connections, plan.duration / 4).await?;
    }
    for round in 0..plan.rounds {
        for turn in 0..targets.len() {
            let at = (round + turn) % targets.len();
            let (Some(target), Some(taken)) = (targets.get(at), rounds.get_mut(at)) else { continue };
            let before = server.processor_seconds()?;
            let outcome = run(target.address, &target.requests, plan.connections, plan.duration).await?;
            let spent = server.processor_seconds()? - before;
            let processor = spent * 1e6 / (outcome.rate() * outcome.seconds).max(1.0);
            taken.push(Round { outcome, processor });
        }
    }
    let Some(first) = rounds.first() else { return Ok(()) };
    for (target, taken) in targets.iter().zip(&rounds) {
        line(what, target.name, plan.connections, taken, first);
    }
    Ok(())
}

/// The head of the table.
pub(crate) fn head() {
    println!(
        "{:<9} {:<16} {:>5} {:>9} {:>19} {:>10} {:>8} {:>8} {:>10} {:>11}",
        "workload",
        "target",
        "conns",
        "req/s",
        "(least - most)",
        "CPU us/req",
        "p50 us",
        "p99 us",
        "x of first",
        "CPU of first"
    );
}

fn line(what: &str, target: &str, connections: usize, taken: &[Round], first: &[Round]) {
    let rates: Vec<f64> = taken.iter().map(|round| round.outcome.rate()).collect();
    let least = rates.iter().copied().fold(f64::INFINITY, f64::min);
    let most = rates.iter().copied().fold(0.0, f64::max);
    let processor = median(taken.iter().map(|round| round.processor).collect());
    let pairs = || taken.iter().zip(first);
    let rate_ratio = median(pairs().map(|(own, other)| own.outcome.rate() / other.outcome.rate()).collect());
    // The work of one request of the first target, as a share of this one's: what the rates would say undisturbed.
    let processor_ratio = median(pairs().map(|(own, other)| other.processor / own.processor).collect());
    let middle = taken.get(taken.len() / 2).map(|round| (round.outcome.within(500), round.outcome.within(990)));
    let (half, nearly_all) = middle.unwrap_or_default();
    println!(
        "{what:<9} {target:<16} {connections:>5} {:>9.0} {:>19} {processor:>10.1} {half:>8} {nearly_all:>8} {rate_ratio:>10.3} {processor_ratio:>11.3}",
        median(rates),
        format!("({least:.0} - {most:.0})"),
    );
}
