//! The workloads of the benchmark over HTTP, against the floor and against a naive server: `cargo bench --bench workloads`.
//! See benches/README.md for what is measured and what came out.
//! Never part of the gate: it takes minutes, and its figures mean something on a quiet machine only.

mod data;
mod floor;
mod instructions;
mod load;
mod machine;
mod naive;
mod process;
mod report;
mod rows;
mod scale;
mod server;
mod subscribers;
mod syncs;
mod workload;

use clap::{Parser, Subcommand};
use data::{Size, World};
use load::Requests;
use machine::{Fault, now};
use process::Server;
use report::{Plan, Target, measure};
use serde::Serialize;
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};
use syncs::Window;
use tokio::time::Instant;
use workload::Read;

/// What is measured, and how thoroughly.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    /// A small data set and one short round: shows that everything runs, and measures nothing.
    #[arg(long)]
    smoke: bool,
    /// Keep the data set in this directory, and use what is there.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Rounds; at least five for a figure that is to be believed.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// The length of one round, in milliseconds.
    #[arg(long, default_value_t = 2_000)]
    milliseconds: u64,
    /// Only these workloads: Q1, Q2, Q2-twice, Q2-deep, Q2-under, Q3, M.
    #[arg(long)]
    only: Vec<String>,
    /// Given by `cargo bench`; changes nothing.
    #[arg(global = true, long, hide = true)]
    bench: bool,
}

impl Arguments {
    fn is_wanted(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }
}

/// The processes of a run, which start one another.
#[derive(Subcommand)]
enum Part {
    /// Builds a data set.
    #[command(hide = true)]
    Build { directory: PathBuf, tenants: usize, projects: usize },
    /// Serves one until the standard input ends.
    #[command(hide = true)]
    Serve { directory: PathBuf },
    /// A million items over a thousand organisations: memory, restart, and the rebuilding of the index.
    Scale(scale::Scale),
    /// Thousands who listen: memory, deliveries, and mutations beside them.
    Subscribers(subscribers::Subscribers),
    /// What one read takes in instructions; needs valgrind, and no quiet machine.
    Instructions,
    /// Answers so many reads.
    #[command(hide = true)]
    Answers {
        directory: PathBuf,
        read: String,
        #[arg(action = clap::ArgAction::Set)]
        is_new: bool,
        times: usize,
    },
    /// Makes the data set of `scale`.
    #[command(hide = true)]
    Makes { directory: PathBuf, tenants: usize, projects: usize },
    /// Starts over it.
    #[command(hide = true)]
    Loads { directory: PathBuf, organisations: usize },
    /// Rebuilds its index.
    #[command(hide = true)]
    Rebuilds { directory: PathBuf },
}

/// The connections that read.
const READERS: usize = 16;
/// The connections that write, one measurement each.
const WRITERS: [usize; 3] = [1, 16, 64];
/// How many different requests each read is drawn from.
const DIFFERENT_REQUESTS: usize = 20_000;
/// No run gets further through the mutations than this.
const MUTATIONS_MAX: usize = 200_000;

fn main() -> Result<(), Fault> {
    let begun = Instant::now();
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Runtime::new;
    match &arguments.part {
        Some(Part::Build { directory, tenants, projects }) => {
            let size = Size { tenants: *tenants, projects: *projects, bundles: 25, users: 50 };
            runtime()?.block_on(data::build(directory, size, |_| {}))?;
            rows::Rows::build(&directory.join("naive"), &data::read(directory)?)
        }
        Some(Part::Serve { directory }) => runtime()?.block_on(server::serve(directory)),
        Some(Part::Scale(scale)) => scale::run(scale),
        Some(Part::Subscribers(asked)) => {
            let temporary = tempfile::tempdir()?;
            let directory = arguments.data.as_deref().unwrap_or(temporary.path());
            prepare(directory, &Arguments { smoke: true, ..Arguments::parse() })?;
            process::pin()?;
            let load = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            load.block_on(subscribers::run(directory, asked))
        }
        Some(Part::Instructions) => {
            let temporary = tempfile::tempdir()?;
            let directory = arguments.data.as_deref().unwrap_or(temporary.path());
            prepare(directory, &Arguments { smoke: true, ..Arguments::parse() })?;
            instructions::run(directory, |name| arguments.is_wanted(name))
        }
        Some(Part::Answers { directory, read, is_new, times }) => {
            let one = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            one.block_on(instructions::answers(directory, read, *is_new, *times))
        }
        Some(Part::Makes { directory, tenants, projects }) => {
            runtime()?.block_on(scale::makes(directory, *tenants, *projects))
        }
        Some(Part::Loads { directory, organisations }) => {
            said(&runtime()?.block_on(scale::loads(directory, *organisations, begun))?)
        }
        Some(Part::Rebuilds { directory }) => said(&runtime()?.block_on(scale::rebuilds(directory))?),
        None => {
            let temporary = tempfile::tempdir()?;
            let directory = arguments.data.as_deref().unwrap_or(temporary.path());
            prepare(directory, &arguments)?;
            process::pin()?;
            let load = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            load.block_on(run(directory, &arguments))
        }
    }
}

/// Tells the process that started this one what came out.
fn said(what: &impl Serialize) -> Result<(), Fault> {
    println!("{}", serde_json::to_string(what)?);
    Ok(())
}

/// Builds the data set where there is none, in a process of its own: its memory is gone afterwards.
fn prepare(directory: &Path, arguments: &Arguments) -> Result<(), Fault> {
    if directory.join("world.json").exists() {
        println!("data set: as it lies in {}", directory.display());
        return Ok(());
    }
    std::fs::create_dir_all(directory)?;
    let (tenants, projects) = if arguments.smoke { ("2", "80") } else { ("10", "1000") };
    let begun = Instant::now();
    let mut builder = Command::new(std::env::current_exe()?);
    let built = builder.arg("build").arg(directory).args([tenants, projects]).status()?;
    if !built.success() {
        return Err("the data set could not be built".into());
    }
    println!(
        "data set: {tenants} organisations x {projects} projects x 25 bundles, built in {:.1} s (naive copy included)",
        begun.elapsed().as_secs_f64()
    );
    Ok(())
}

async fn run(directory: &Path, arguments: &Arguments) -> Result<(), Fault> {
    let world = data::read(directory)?;
    let plan = Plan {
        rounds: if arguments.smoke { 1 } else { arguments.rounds },
        duration: Duration::from_millis(if arguments.smoke { 200 } else { arguments.milliseconds }),
        connections: READERS,
    };
    println!("load averages before: {}", process::load_averages());
    let server = Server::start(directory)?;
    println!("server: listening after {:.2} s", server.started_in.as_secs_f64());
    let wanted = |name: &str| arguments.is_wanted(name);
    report::head();
    for read in Read::ALL.into_iter().filter(|read| wanted(read.name())) {
        reads(&server, &world, read, plan).await?;
    }
    let resident = server.resident_bytes()? as f64 / 1e6;
    println!("server: {resident:.0} MB resident after the reads");
    let windows = if wanted("M") { writes(&server, &world, plan).await? } else { vec![] };
    server.stop()?;
    syncs::print(directory, &windows)?;
    println!("load averages after: {}", process::load_averages());
    Ok(())
}

/// Has the floor answer what the product answers.
async fn ready_made(server: &Server, name: &str, request: &[u8]) -> Result<String, Fault> {
    let body = load::ask(server.addresses.product, request).await?;
    if !load::is_done(&body) {
        return Err(format!("{name} is answered {}", String::from_utf8_lossy(&body)).into());
    }
    let put = [
        format!("PUT /{name} HTTP/1.1\r\nhost: floor\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes(),
        body.clone(),
    ];
    load::ask(server.addresses.floor, &put.concat()).await?;
    let scalars = workload::scalars(&serde_json::from_slice::<Value>(&body)?);
    Ok(format!("{name}: {scalars} scalars, {} bytes", body.len()))
}

async fn reads(server: &Server, world: &World, read: Read, plan: Plan) -> Result<(), Fault> {
    let name = read.name();
    let requests = |path: &str| {
        let all = read.requests(world, path, DIFFERENT_REQUESTS)?;
        Ok::<_, Fault>(Requests::Again(Arc::new(all)))
    };
    let sample = read.requests(world, "/graphql", 1)?.concat();
    let said = match ready_made(server, name, &sample).await {
        Ok(said) => said,
        Err(refused) => {
            println!("{name}: not measured, {refused}");
            return Ok(());
        }
    };
    let addresses = server.addresses;
    let mut targets = vec![
        Target { name: "floor", address: addresses.floor, requests: requests(&format!("/{name}"))? },
        Target { name: "product", address: addresses.product, requests: requests("/graphql")? },
    ];
    if read.is_naive_too() {
        targets.push(Target { name: "naive", address: addresses.naive, requests: requests("/graphql")? });
    }
    measure(server, name, &targets, plan).await?;
    println!("{said}");
    Ok(())
}

async fn writes(server: &Server, world: &World, plan: Plan) -> Result<Vec<Window>, Fault> {
    let all = |path: &str| Arc::new(workload::mutations(world, path, MUTATIONS_MAX));
    let (product, floor) = (all("/graphql"), all("/M"));
    // A data set that was used before has sign-offs that were asked already.
    let (mut said, mut asked) = (None, 0);
    for first in product.iter() {
        asked += 1;
        said = ready_made(server, "M", first).await.ok();
        if said.is_some() {
            break;
        }
    }
    let said = said.ok_or("every sign-off of the data set was asked; build a new one")?;
    let (by_product, by_naive) = (Arc::new(AtomicUsize::new(asked)), Arc::new(AtomicUsize::new(asked)));
    let mut windows = vec![];
    for connections in WRITERS {
        let targets = [
            Target { name: "floor", address: server.addresses.floor, requests: Requests::Again(Arc::clone(&floor)) },
            Target {
                name: "product",
                address: server.addresses.product,
                requests: Requests::Once(Arc::clone(&product), Arc::clone(&by_product)),
            },
            Target {
                name: "naive",
                address: server.addresses.naive,
                requests: Requests::Once(Arc::clone(&product), Arc::clone(&by_naive)),
            },
        ];
        let begin = now();
        measure(server, "M", &targets, Plan { connections, ..plan }).await?;
        windows.push(Window { connections, begin, end: now() });
    }
    println!("{said}");
    Ok(windows)
}
