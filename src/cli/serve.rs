//! `countersign serve`: the organisations of a data directory, until the process is asked to end.
//! Never knows a password: the first administrator sets one with a link that works once.

use super::{
    machine::{asked_to_end, asked_to_look, connections_max, machine},
    progress::progress,
    settings::{Flags, Settings},
};
use crate::{
    app::{App, Budgets},
    graphql::{self, Api, TrustedDocument},
    http::{self, Bounds, CertificateFiles, Tls},
    store::{Machine, Store},
};
use std::{error::Error, fmt::Display, io::Write, net::SocketAddr, path::Path, pin::Pin, sync::Arc, time::Duration};
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
    /// Where it says how it does.
    metrics: Option<(TcpListener, SocketAddr)>,
}

async fn bind(listen: SocketAddr) -> Result<(TcpListener, SocketAddr), Box<dyn Error>> {
    let listener = TcpListener::bind(listen).await.map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Opens the store and the port; nothing is answered yet.
pub(super) async fn start(
    settings: &Settings,
    data_dir: &Path,
    machine: Machine,
    tls: Option<Tls>,
) -> Result<Started, Box<dyn Error>> {
    let path = data_dir.to_path_buf();
    let (listener, address) = bind(settings.listen).await?;
    let metrics = match settings.metrics_listen {
        Some(listen) => Some(bind(listen).await?),
        None => None,
    };
    // A start that has to rebuild the index takes a while; whoever asks meanwhile hears that.
    let machine = Machine { progress: progress("rebuilding the index"), ..machine };
    let (listener, store) = http::not_ready(listener, tls, bounds(settings)?, &settings.trusted_proxy, async move {
        let store = tokio::task::spawn_blocking(move || Store::open(&path, &machine)).await??;
        Ok::<_, Box<dyn Error>>(store)
    })
    .await?;
    let store = store?;
    // Whoever asks after the first answer, or while the demo signs everyone in, is not to find the default handler.
    let asked_to_end = Box::pin(asked_to_end()?);
    let app = App::open(store.clone()).await?;
    Ok(Started { app, store, listener, asked_to_end, address, metrics })
}

impl Started {
    /// Where it says how it does, if it does.
    pub(super) fn metrics(&self) -> Option<String> {
        self.metrics.as_ref().map(|(_, address)| format!("http://{address}/metrics"))
    }

    /// Answers until the process is asked to end, then closes the store.
    pub(super) async fn serve(self, api: &graphql::Options, options: http::Options) -> Result<(), Box<dyn Error>> {
        let Self { app, store, listener, asked_to_end, metrics, .. } = self;
        let api = Api::new(app, api)?;
        let watched = metrics.map(|(listener, _)| {
            tokio::spawn(http::serve_metrics(listener, api.clone(), Arc::clone(&options.metrics)))
        });
        http::serve(listener, api, options, asked_to_end).await;
        if let Some(watched) = watched {
            watched.abort();
        }
        tokio::task::spawn_blocking(move || store.close()).await?;
        Ok(())
    }
}

/// What the settings say of the server beside its store.
pub(super) fn options(settings: &Settings) -> Result<http::Options, Box<dyn Error>> {
    Ok(http::Options {
        allowed_origins: settings.allow_origin.clone(),
        trusted_proxies: settings.trusted_proxy.clone(),
        metrics: Arc::new(http::Metrics::new(Duration::from_millis(settings.slow_operation_milliseconds))),
        bounds: bounds(settings)?,
        ..http::Options::default()
    })
}

/// How many connections there may be.
fn bounds(settings: &Settings) -> Result<Bounds, String> {
    let bounds = Bounds::of(connections_max(settings.connections)?);
    let of_address = settings.connections_of_address.and_then(|asked| usize::try_from(asked).ok());
    Ok(Bounds { connections_of_address_max: of_address.unwrap_or(bounds.connections_of_address_max), ..bounds })
}

/// What the settings say of the API.
pub(super) fn api(settings: &Settings) -> Result<graphql::Options, Box<dyn Error>> {
    let (principal, organisation) = (settings.budget_principal, settings.budget_organisation);
    let budgets = Budgets { principal, organisation, address: settings.budget_address };
    let documents = match &settings.documents {
        None => vec![],
        Some(file) => {
            let told = |why: &dyn Display| format!("the documents of {} cannot be taken: {why}", file.display());
            let text = std::fs::read_to_string(file).map_err(|error| told(&error))?;
            TrustedDocument::read_all(&text).map_err(|error| told(&error))?
        }
    };
    let (introspection, only_trusted) = (settings.introspection, settings.documents_only);
    Ok(graphql::Options { budgets, introspection, documents, only_trusted })
}

/// Prints to standard output; a reader that has gone away does not stop the server.
pub(super) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).ok();
}

/// The certificate, where one is named: read again when its files change, and at once on SIGHUP.
fn certificate(settings: &Settings) -> Result<Option<Tls>, Box<dyn Error>> {
    // The settings have one only with the other.
    let (Some(certificate), Some(key)) = (&settings.tls_cert, &settings.tls_key) else { return Ok(None) };
    let tls = Tls::open(CertificateFiles { certificate: certificate.clone(), key: key.clone() })?;
    let (mut asked, looked) = (asked_to_look()?, tls.clone());
    tokio::spawn(async move {
        while asked.recv().await.is_some() {
            looked.look_now();
        }
    });
    Ok(Some(tls))
}

/// Serves a data directory.
pub(super) fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let settings = arguments.flags.begin()?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let (api, tls) = (api(&settings)?, certificate(&settings)?);
        let started = start(&settings, &settings.data_dir, machine(), tls.clone()).await?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let base = format!("{scheme}://{}", started.address);
        let links = started.app.first_links().await?;
        let metrics = started.metrics();
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
            say(&serde_json::json!({ "url": base, "metrics": metrics, "links": links }).to_string());
        } else {
            say(&format!("Countersign serves {} at {base}", settings.data_dir.display()));
            say(&format!("  API         {base}/graphql"));
            say(&format!("  playground  {base}/playground"));
            if let Some(metrics) = &metrics {
                say(&format!("  metrics     {metrics}"));
            }
            for link in &links {
                say(&format!(
                    "\n{} of the organisation {} has no password yet. Set it within 60 minutes at",
                    link.email, link.organisation
                ));
                say(&format!("  {base}/set-password?token={}", link.token));
            }
            say("\nTo look around first, stop this and run: countersign demo");
        }
        started.serve(&api, http::Options { tls, ..options(&settings)? }).await
    })
}
