//! `countersign demo`: the tutorial's organisations with everyone signed in, on this machine only.
//! Never listens where another machine could reach it.

use super::{
    DemoArguments,
    serve::{Started, say, start},
};
use crate::{
    app::demo::{self, FIXTURES, Signed},
    http::{self, playground},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::{error::Error, path::PathBuf};

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

impl Drop for Directory {
    fn drop(&mut self) {
        if self.temporary {
            // What cannot be removed stays in the system's own place for temporary files.
            std::fs::remove_dir_all(&self.path).ok();
        }
    }
}

/// Serves the demo.
pub(super) fn run(arguments: &DemoArguments) -> Result<(), Box<dyn Error>> {
    if !arguments.listen.ip().is_loopback() {
        return Err("the demo signs everyone in, so it listens on this machine only: use --listen 127.0.0.1:0".into());
    }
    let directory = match &arguments.data_dir {
        Some(path) => Directory { path: path.clone(), temporary: false },
        None => {
            let path = std::env::temp_dir().join(format!("countersign-demo-{}", std::process::id()));
            Directory { path, temporary: true }
        }
    };
    tokio::runtime::Runtime::new()?.block_on(async {
        let started = start(arguments.listen, &directory.path).await?;
        let everyone = sign_in(&started).await?;
        let base = format!("http://{}", started.address);
        say(&if arguments.json { everyone.json(&base).to_string() } else { everyone.sentences(&base) });
        let demo = playground::Session { people: everyone.people(), tabs: tabs()? };
        started.serve(http::Options { demo: Some(demo), ..http::Options::default() }).await
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
