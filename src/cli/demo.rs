//! `countersign demo`: the tutorial's organisations with everyone signed in, on this machine only.
//! Never listens where another machine could reach it.

use super::{
    machine::{counting_machine, machine},
    serve::{Started, api, options, say, start},
    settings::Flags,
};
use crate::{
    app::demo::{self, FIXTURES, Signed},
    http::{self, playground},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::{
    error::Error,
    io,
    path::{Path, PathBuf},
};

/// How to show.
///
/// It takes the settings of `serve`, but reads no file of them, and keeps everything in a directory that is removed
/// afterwards unless one is named.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    flags: Flags,
    /// Print one line of JSON, with the address and everyone's credentials, instead of sentences.
    #[arg(long)]
    json: bool,
}

/// The steps of the tutorial, which README and playground share.
const WALKTHROUGH: &str = include_str!("../../fixtures/walkthrough.json");

#[derive(Deserialize)]
struct Walkthrough {
    steps: Vec<playground::Tab>,
}

/// Everyone of both organisations.
struct Everyone(Vec<(&'static str, Vec<Signed>)>);

/// A data directory, and whether it is removed at the end.
struct Directory {
    path: PathBuf,
    temporary: bool,
}

impl Directory {
    /// The one that was named, or a new one that is removed at the end.
    fn of(named: Option<&Path>) -> io::Result<Self> {
        if let Some(path) = named {
            return Ok(Self { path: path.to_path_buf(), temporary: false });
        }
        let temporary = std::env::temp_dir();
        for number in 0..1_000 {
            let path = temporary.join(format!("countersign-demo-{}-{number}", std::process::id()));
            match std::fs::create_dir(&path) {
                // What an earlier process of the same number left behind is neither used nor removed.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => return made.map(|()| Self { path, temporary: true }),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Whether nothing was ever kept here.
    fn is_fresh(&self) -> io::Result<bool> {
        match std::fs::read_dir(&self.path) {
            Ok(mut entries) => Ok(entries.next().is_none()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if self.temporary {
            // What cannot be removed stays in the system's own place for temporary files.
            std::fs::remove_dir_all(&self.path).ok();
        }
    }
}

/// Serves the demo.
pub(super) fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let (settings, is_named) = arguments.flags.begin_without_file()?;
    if !settings.listen.ip().is_loopback() {
        return Err("the demo signs everyone in, so it listens on this machine only: use --listen 127.0.0.1:0".into());
    }
    let directory = Directory::of(is_named.then_some(settings.data_dir.as_path()))?;
    // The walk-through shows ids; on a fresh directory they are the ones that its steps meet.
    let machine = if directory.is_fresh()? { counting_machine() } else { machine() };
    tokio::runtime::Runtime::new()?.block_on(async {
        let started = start(&settings, &directory.path, machine, None).await?;
        let everyone = sign_in(&started).await?;
        let base = format!("http://{}", started.address);
        let mut json = everyone.json(&base);
        if let (Some(metrics), Value::Object(fields)) = (started.metrics(), &mut json) {
            fields.insert("metrics".to_owned(), metrics.into());
        }
        say(&if arguments.json { json.to_string() } else { everyone.sentences(&base) });
        let demo = playground::Session { people: everyone.people(), tabs: tabs()? };
        started.serve(&api(&settings)?, http::Options { demo: Some(demo), ..options(&settings)? }).await
    })
}

async fn sign_in(started: &Started) -> Result<Everyone, Box<dyn Error>> {
    let mut everyone = vec![];
    for fixture in FIXTURES {
        everyone.push((fixture.slug, demo::found(&started.app, fixture).await?));
    }
    Ok(Everyone(everyone))
}

fn tabs() -> Result<Vec<playground::Tab>, serde_json::Error> {
    serde_json::from_str::<Walkthrough>(WALKTHROUGH).map(|walkthrough| walkthrough.steps)
}

impl Everyone {
    /// The tutorial's organisation, as the playground's buttons show it; nodes' keys are people there, too.
    fn people(&self) -> Vec<playground::Person> {
        let acme = self.0.iter().filter(|(slug, _)| *slug == "acme").flat_map(|(_, signed)| signed);
        let person = |signed: &Signed| playground::Person {
            handle: signed.handle.clone(),
            name: signed.name.clone(),
            token: signed.credential.clone(),
        };
        acme.map(person).collect()
    }

    /// One object: the address, and each organisation's people and keys by handle.
    fn json(&self, base: &str) -> Value {
        let by_handle = |signed: &[Signed], keys: bool| -> Map<String, Value> {
            let wanted = signed.iter().filter(|signed| signed.is_key == keys);
            wanted.map(|signed| (signed.handle.clone(), json!(signed.credential))).collect()
        };
        let organisation = |(slug, signed): &(&str, Vec<Signed>)| {
            let content = json!({ "people": by_handle(signed, false), "keys": by_handle(signed, true) });
            ((*slug).to_owned(), content)
        };
        let organisations: Map<String, Value> = self.0.iter().map(organisation).collect();
        json!({ "url": base, "organisations": organisations })
    }

    fn sentences(&self, base: &str) -> String {
        let mut lines = vec![
            format!("Countersign shows its tutorial at {base}/playground"),
            format!("  API  {base}/graphql"),
            String::new(),
            "Everyone is signed in; in the playground, one click makes you somebody else. Their credentials,"
                .to_owned(),
            "good for this demo only, go behind \"Authorization: Bearer\":".to_owned(),
        ];
        for (slug, signed) in self.0.iter().filter(|(slug, _)| *slug == "acme") {
            lines.push(format!("\n  {slug}"));
            lines.extend(signed.iter().map(|signed| format!("    {:<14} {}", signed.handle, signed.credential)));
        }
        lines.push(format!(
            "\nTry it:\n  curl {base}/graphql -H 'Content-Type: application/json' -H \"Authorization: Bearer $TOKEN\" \\\n    \
             -d '{{\"query\":\"{{ templates {{ nodes {{ name itemType }} }} }}\"}}'"
        ));
        lines.join("\n")
    }
}
