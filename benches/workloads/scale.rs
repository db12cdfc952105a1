//! Scale: many organisations stored, some of them loaded. What an item weighs in memory, how long a restart takes, and
//! how fast the index is rebuilt. Each figure comes from a process of its own, whose memory nothing else has used.
//! Never more than one data set on the disk, and none at all where the disk has no room for it.

use crate::{
    data::{self, Size, World},
    load,
    machine::{Fault, machine, now},
    process, syncs,
    workload::Read,
};
use clap::Args;
use countersign::{
    app::App,
    graphql::{self, Api},
    http,
    store::{Progress, Store},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{net::TcpListener, sync::oneshot, time::Instant};

/// How large the data set is, and how much of it is loaded.
#[derive(Args)]
pub(crate) struct Scale {
    /// Organisations.
    #[arg(long, default_value_t = 1_000)]
    tenants: usize,
    /// Items of all of them together.
    #[arg(long, default_value_t = 1_000_000)]
    items: usize,
    /// How many organisations are loaded.
    #[arg(long, default_value_t = 100)]
    loaded: usize,
    /// Keep the data set in this directory, and use what is there.
    #[arg(long)]
    data: Option<PathBuf>,
}

/// Of each project: itself and so many bundles are items.
const BUNDLES: usize = 24;
const USERS: usize = 10;
/// What an item takes on the disk at most, journal and index together, with what must stay free besides.
const DISK_BYTES_OF_ITEM: u64 = 10_000;
const DISK_BYTES_FREE: u64 = 2_000_000_000;

/// What one start came to.
#[derive(Serialize, Deserialize)]
pub(crate) struct Start {
    opened_seconds: f64,
    answered_seconds: f64,
    /// Opened; half of the organisations loaded; all of them. In bytes.
    resident: [u64; 3],
    loading_seconds: f64,
    loaded: usize,
}

/// What rebuilding the index came to.
#[derive(Serialize, Deserialize)]
pub(crate) struct Rebuilt {
    seconds: f64,
    journal_bytes: u64,
    resident: u64,
}

/// Builds, restarts, loads, rebuilds, and prints what came out.
pub(crate) fn run(scale: &Scale) -> Result<(), Fault> {
    let temporary = tempfile::tempdir()?;
    let directory = scale.data.as_deref().unwrap_or(temporary.path());
    println!("load averages before: {}", process::load_averages());
    let projects = (scale.items / scale.tenants.max(1) / (BUNDLES + 1)).max(1);
    let items = scale.tenants * projects * (BUNDLES + 1);
    if !directory.join("world.json").exists() {
        make(directory, scale.tenants, projects, items)?;
    }
    let (journal, index) = (size(&directory.join("data/journal"))?, size(&directory.join("data/index"))?);
    println!("on disk: journal {:.0} MB, index {:.0} MB", megabytes(journal), megabytes(index));
    let starts = ["first", "second, warm"];
    for which in starts {
        let start: Start = part(directory, "loads", &[scale.loaded.to_string()])?;
        print(which, &start, projects * (BUNDLES + 1));
    }
    let rebuilt: Rebuilt = part(directory, "rebuilds", &[])?;
    let commits = syncs::records(directory)? as f64;
    println!(
        "index rebuilt in {:.1} s: {:.0} commits/s, {:.0} items/s, {:.0} MB/s of journal; {:.0} MB resident",
        rebuilt.seconds,
        commits / rebuilt.seconds,
        items as f64 / rebuilt.seconds,
        megabytes(rebuilt.journal_bytes) / rebuilt.seconds,
        megabytes(rebuilt.resident)
    );
    println!("load averages after: {}", process::load_averages());
    Ok(())
}

fn make(directory: &Path, tenants: usize, projects: usize, items: usize) -> Result<(), Fault> {
    std::fs::create_dir_all(directory)?;
    let (wanted, free) = (items as u64 * DISK_BYTES_OF_ITEM + DISK_BYTES_FREE, free_bytes(directory)?);
    if wanted > free {
        return Err(format!("{items} items want {wanted} bytes of disk, and {free} are free; use --items").into());
    }
    let begun = Instant::now();
    let made = Command::new(std::env::current_exe()?)
        .arg("makes")
        .arg(directory)
        .args([tenants.to_string(), projects.to_string()])
        .status()?;
    if !made.success() {
        return Err("the data set could not be built".into());
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!("{items} items over {tenants} organisations: made in {seconds:.0} s, {:.0}/s", items as f64 / seconds);
    Ok(())
}

fn print(which: &str, start: &Start, items_of_tenant: usize) {
    // The index fills its cache while the first half is loaded; the second half costs what its items cost.
    let [opened, half, all] = start.resident;
    let others = ((start.loaded - start.loaded / 2) * items_of_tenant).max(1);
    println!(
        "{which} start: store open after {:.2} s, first answer after {:.2} s; {:.0} MB resident, {:.0} MB with {} organisations",
        start.opened_seconds,
        start.answered_seconds,
        megabytes(opened),
        megabytes(all),
        start.loaded
    );
    println!(
        "  {:.0} bytes a loaded item with its sign-off, source object and indexes; {:.1} ms to load an organisation of {items_of_tenant} items and answer",
        all.saturating_sub(half) as f64 / others as f64,
        1_000.0 * start.loading_seconds / start.loaded.saturating_sub(1).max(1) as f64
    );
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Has a part of the run done by a process of its own.
fn part<T: DeserializeOwned>(directory: &Path, name: &str, arguments: &[String]) -> Result<T, Fault> {
    let mut command = Command::new(std::env::current_exe()?);
    let output = command.arg(name).arg(directory).args(arguments).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("the part {name} ended with {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Makes the data set; of each organisation only one person and one project are listed.
pub(crate) async fn makes(directory: &Path, tenants: usize, projects: usize) -> Result<(), Fault> {
    let size = Size { tenants, projects, bundles: BUNDLES, users: USERS };
    data::build(directory, size, |organisation| {
        organisation.builders.truncate(1);
        organisation.people.truncate(1);
        organisation.projects.truncate(1);
        organisation.projects.iter_mut().for_each(|project| project.untouched.clear());
    })
    .await
}

/// Starts over the data set as a server does, answers one request, then one of each organisation to be loaded.
pub(crate) async fn loads(directory: &Path, organisations: usize, begun: Instant) -> Result<Start, Fault> {
    let store = open(directory, None).await?;
    let opened_seconds = begun.elapsed().as_secs_f64();
    let resident_opened = process::resident_bytes("self")?;
    let app = App::open(store.clone()).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel();
    let served = tokio::spawn(http::serve(
        listener,
        Api::new(app, &graphql::Options::default())?,
        http::Options::default(),
        async move {
            stopped.await.ok();
        },
    ));
    let mut tenants = data::read(directory)?.tenants;
    tenants.truncate(organisations);
    let (mut answered_seconds, mut half, mut loading) = (0.0, 0, begun);
    let organisations = tenants.len();
    for (n, tenant) in tenants.into_iter().enumerate() {
        if n == organisations / 2 {
            half = process::resident_bytes("self")?;
        }
        let asked = Read::Q2.requests(&World { tenants: vec![tenant] }, "/graphql", 1)?.concat();
        let answer = load::ask(address, &asked).await?;
        if !load::is_done(&answer) {
            return Err(format!("answered {}", String::from_utf8_lossy(&answer)).into());
        }
        if n == 0 {
            answered_seconds = begun.elapsed().as_secs_f64();
            loading = Instant::now();
        }
    }
    let start = Start {
        opened_seconds,
        answered_seconds,
        resident: [resident_opened, half, process::resident_bytes("self")?],
        loading_seconds: loading.elapsed().as_secs_f64(),
        // The platform's own organisation, which holds the list of the others, is not counted.
        loaded: store.loaded_tenants().saturating_sub(1),
    };
    stop.send(()).ok();
    served.await?;
    tokio::task::spawn_blocking(move || store.close()).await?;
    Ok(start)
}

/// Counts the bytes of the journal that were read.
#[derive(Default)]
struct Counted(AtomicU64);

impl Progress for Counted {
    fn reached(&self, bytes: u64, _: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }
}

/// Rebuilds the index from the journal.
pub(crate) async fn rebuilds(directory: &Path) -> Result<Rebuilt, Fault> {
    std::fs::remove_dir_all(directory.join("data/index"))?;
    let (begun, counted) = (Instant::now(), Arc::new(Counted::default()));
    let store = open(directory, Some(Arc::clone(&counted) as _)).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let resident = process::resident_bytes("self")?;
    tokio::task::spawn_blocking(move || store.close()).await?;
    Ok(Rebuilt { seconds, journal_bytes: counted.0.load(Ordering::Relaxed), resident })
}

async fn open(directory: &Path, progress: Option<Arc<dyn Progress>>) -> Result<Store, Fault> {
    // Ids that no earlier run made.
    let mut machine = machine(u64::try_from(now().milliseconds())?);
    machine.progress = progress.unwrap_or(machine.progress);
    let data = directory.join("data");
    Ok(tokio::task::spawn_blocking(move || Store::open(&data, &machine)).await??)
}

/// The bytes of all files below a directory.
fn size(directory: &Path) -> Result<u64, Fault> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.metadata()?;
        bytes += if kind.is_dir() { size(&entry.path())? } else { kind.len() };
    }
    Ok(bytes)
}

/// What is free where the data set will lie, as `df` says.
fn free_bytes(directory: &Path) -> Result<u64, Fault> {
    let output = Command::new("df").args(["--output=avail", "-B1"]).arg(directory).output()?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().nth(1).ok_or("df says nothing")?.trim().parse()?)
}
