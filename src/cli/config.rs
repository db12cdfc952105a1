//! `countersign config show`: what every setting is, and who said so.
//! Never shows a secret: no setting holds one.

use super::{
    serve::say,
    settings::{Flags, Kind, Problems, Resolved, Setting, Source, TABLE, flag, variable},
};
use clap::ValueEnum;
use serde_json::{Value, json};
use std::error::Error;

/// What to show.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Arguments {
    /// Print every setting as it holds here, as a file that could be read again; ends with 64 where one is wrong.
    Show(Show),
}

/// What to show, and how.
#[derive(Debug, clap::Args)]
pub(super) struct Show {
    #[command(flatten)]
    flags: Flags,
    /// Say where each value came from.
    #[arg(long)]
    origin: bool,
    /// Print lines of TOML, or one object of JSON with everything there is to know of each setting.
    #[arg(short, long, default_value = "toml")]
    output: Output,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    Toml,
    Json,
}

/// Shows it.
pub(super) fn run(Arguments::Show(show): &Arguments) -> Result<(), Box<dyn Error>> {
    let resolved = show.flags.resolved();
    if !resolved.problems.is_empty() {
        return Err(Problems(resolved.problems).into());
    }
    say(&match show.output {
        Output::Toml => {
            TABLE.iter().map(|setting| line(setting, &resolved, show.origin)).collect::<Vec<_>>().join("\n")
        }
        Output::Json => json(&resolved).to_string(),
    });
    Ok(())
}

/// Whether nothing is set, and nothing is there by default.
fn is_absent(setting: &Setting, texts: &[String]) -> bool {
    !setting.many && texts.iter().all(String::is_empty)
}

/// A setting's values as TOML, which writes strings and lists of them as JSON does.
fn value(setting: &Setting, texts: &[String]) -> Value {
    let one = |text: &String| match setting.kind {
        Kind::String => json!(text),
        // What was told was checked; as text it is at least seen.
        Kind::Integer | Kind::Boolean => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
    };
    match texts {
        texts if setting.many => texts.iter().map(one).collect(),
        texts if is_absent(setting, texts) => Value::Null,
        texts => texts.first().map_or(Value::Null, one),
    }
}

fn line(setting: &Setting, resolved: &Resolved, with_origin: bool) -> String {
    let Some(told) = resolved.told(setting.key) else { return String::new() };
    let shown = if is_absent(setting, &told.texts) {
        format!("# {} is not set", setting.key)
    } else {
        format!("{} = {}", setting.key, value(setting, &told.texts))
    };
    if !with_origin {
        return shown;
    }
    format!("{shown:<48} # {}", origin(setting, &told.source))
}

fn origin(setting: &Setting, source: &Source) -> String {
    match source {
        Source::Flag => format!("the flag {}", flag(setting.key)),
        Source::Variable => format!("the variable {}", variable(setting.key)),
        Source::File(place) => place.clone(),
        Source::Default => "the default".to_owned(),
    }
}

fn json(resolved: &Resolved) -> Value {
    let shown = |setting: &Setting| {
        let told = resolved.told(setting.key)?;
        let default = if setting.default.is_empty() { vec![] } else { vec![setting.default.to_owned()] };
        Some(json!({
            "name": setting.key, "value": value(setting, &told.texts), "origin": origin(setting, &told.source),
            "default": value(setting, &default), "wanted": setting.wanted, "flag": flag(setting.key),
            "variable": variable(setting.key), "description": setting.help.trim(),
        }))
    };
    json!({
        "file": resolved.file.as_ref().map(|file| file.display().to_string()),
        "settings": TABLE.iter().filter_map(shown).collect::<Vec<_>>(),
    })
}
