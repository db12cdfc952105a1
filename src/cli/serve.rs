//! `countersign serve`: the organisations of a data directory, until the process is asked to end.
//! Never knows a password: the first administrator sets one with a link that works once.

use super::{
    machine::{asked_to_end, machine},
    progress::progress,
    settings::{Flags, Settings},
};
use crate::{
    app::App,
    graphql::{self, Api},
    http,
    store::{Machine, Store},
};
use std::{error::Error, io::Write, net::SocketAddr, path::Path, pin::Pin};
use tokio::net::TcpListener;

/// How to serve.
///
/// Every setting is a flag, a variable and a line of the file, in this order of precedence; `countersign config show`
/// prints what holds.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    flags: Flags,
    /// Print one line of JSON instead of sentences.
    #[arg(long)]
    json: bool,
}

/// A server that listens, and the store under it.
pub(super) struct Started {
    pub(super) app: App,
    store: Store,
    listener: TcpListener,
    asked_to_end: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Where it listens.
    pub(super) address: SocketAddr,
}

/// Opens the store and the port; nothing is answered yet.
pub(super) async fn start(listen: SocketAddr, data_dir: &Path, machine: Machine) -> Result<Started, Box<dyn Error>> {
    let path = data_dir.to_path_buf();
    let listener = TcpListener::bind(listen).await.map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    let address = listener.local_addr()?;
    // A start that has to rebuild the index takes a while; whoever asks meanwhile hears that.
    let machine = Machine { progress: progress("rebuilding the index"), ..machine };
    let (listener, store) = http::not_ready(listener, async move {
        let store = tokio::task::spawn_blocking(move || Store::open(&path, &machine)).await??;
        Ok::<_, Box<dyn Error>>(store)
    })
    .await?;
    let store = store?;
    // Whoever asks after the first answer, or while the demo signs everyone in, is not to find the default handler.
    let asked_to_end = Box::pin(asked_to_end()?);
    let app = App::open(store.clone()).await?;
    Ok(Started { app, store, listener, asked_to_end, address })
}

impl Started {
    /// Answers until the process is asked to end, then closes the store.
    pub(super) async fn serve(self, options: http::Options) -> Result<(), Box<dyn Error>> {
        let Self { app, store, listener, asked_to_end, .. } = self;
        http::serve(listener, Api::new(app, &graphql::Options::default())?, options, asked_to_end).await?;
        tokio::task::spawn_blocking(move || store.close()).await?;
        Ok(())
    }
}

/// What the settings say of the server beside its store.
pub(super) fn options(settings: &Settings) -> http::Options {
    http::Options { allowed_origins: settings.allow_origin.clone(), ..http::Options::default() }
}

/// Prints to standard output; a reader that has gone away does not stop the server.
pub(super) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).ok();
}

/// Serves a data directory.
pub(super) fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let settings = arguments.flags.begin()?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let started = start(settings.listen, &settings.data_dir, machine()).await?;
        let base = format!("http://{}", started.address);
        let links = started.app.first_links().await?;
        if arguments.json {
            let links: Vec<_> = links
                .iter()
                .map(|link| {
                    serde_json::json!({
                        "organisation": link.organisation,
                        "email": link.email,
                        "setPassword": format!("{base}/set-password?token={}", link.token),
                    })
                })
                .collect();
            say(&serde_json::json!({ "url": base, "links": links }).to_string());
        } else {
            say(&format!("Countersign serves {} at {base}", settings.data_dir.display()));
            say(&format!("  API         {base}/graphql"));
            say(&format!("  playground  {base}/playground"));
            for link in &links {
                say(&format!(
                    "\n{} of the organisation {} has no password yet. Set it within 60 minutes at",
                    link.email, link.organisation
                ));
                say(&format!("  {base}/set-password?token={}", link.token));
            }
            say("\nTo look around first, stop this and run: countersign demo");
        }
        started.serve(options(&settings)).await
    })
}
