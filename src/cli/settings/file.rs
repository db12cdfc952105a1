//! The file of settings: TOML, one line for each setting. What is wrong with it is told by line and column.
//! Never decides what a setting means.

use super::{
    Setting, TABLE, setting,
    sources::{Problem, nearest},
    value::Kind,
};
use std::{
    fs,
    path::{Path, PathBuf},
};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// Where a file is looked for when none is named.
pub(super) const PLACES: [&str; 2] = ["countersign.toml", "/etc/countersign/countersign.toml"];

/// A setting's values, and where in the file they stand.
pub(super) struct Line {
    pub(super) setting: &'static Setting,
    pub(super) texts: Vec<String>,
    pub(super) place: String,
}

/// The file that is read when none is named.
pub(super) fn found() -> Option<PathBuf> {
    // One that is there and cannot be looked at is read, so that this is told.
    PLACES.iter().map(PathBuf::from).find(|path| path.try_exists().unwrap_or(true))
}

/// Reads a file; everything that is wrong with it is told at once.
pub(super) fn read(path: &Path) -> (Vec<Line>, Vec<Problem>) {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            let remedy = "correct it, or name another with --config";
            return (vec![], vec![Problem::new(path.display().to_string(), error.to_string(), remedy)]);
        }
    };
    let place = |at: usize| {
        let before = text.get(..at).unwrap_or(&text);
        let line = before.matches('\n').count().saturating_add(1);
        let column = before.chars().rev().take_while(|one| *one != '\n').count().saturating_add(1);
        format!("{}:{line}:{column}", path.display())
    };
    let (table, errors) = DeTable::parse_recoverable(&text);
    let mut problems: Vec<Problem> = errors
        .iter()
        .map(|error| {
            let at = error.span().map_or(0, |span| span.start);
            Problem::new(place(at), error.message().to_owned(), "the file is TOML: one `name = value` a line")
        })
        .collect();
    if !problems.is_empty() {
        return (vec![], problems);
    }
    let mut lines = vec![];
    let mut entries: Vec<_> = table.get_ref().iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    for (name, value) in entries {
        let Some(setting) = setting(name.get_ref()) else {
            let remedy = format!("did you mean {}?", nearest(name.get_ref(), TABLE.iter().map(|setting| setting.key)));
            let what = format!("there is no setting {}", name.get_ref());
            problems.push(Problem::new(place(name.span().start), what, &remedy));
            continue;
        };
        let at = place(value.span().start);
        match texts(setting, value) {
            Ok(texts) => match (setting.check)(&texts) {
                Ok(()) => lines.push(Line { setting, texts, place: at }),
                Err(why) => problems.push(Problem::value(at, setting.key, &texts, &why)),
            },
            Err(wanted) => {
                let what = format!("{} must be {wanted} here", setting.key);
                problems.push(Problem::new(at, what, &format!("write {}", example(setting))));
            }
        }
    }
    (lines, problems)
}

/// A value as text, as it would stand in a variable; otherwise what it should be.
fn texts(setting: &Setting, value: &Spanned<DeValue<'_>>) -> Result<Vec<String>, String> {
    let word = match setting.kind {
        Kind::String => "a string",
        Kind::Integer => "a whole number",
        Kind::Boolean => "true or false",
    };
    match value.get_ref() {
        value if setting.many => {
            let text = |value: &Spanned<DeValue<'_>>| scalar(setting.kind, value.get_ref());
            let texts = value.as_array().and_then(|values| values.iter().map(text).collect());
            texts.ok_or_else(|| format!("a list, each {word}"))
        }
        value => scalar(setting.kind, value).map(|text| vec![text]).ok_or_else(|| word.to_owned()),
    }
}

fn scalar(kind: Kind, value: &DeValue<'_>) -> Option<String> {
    match kind {
        Kind::String => value.as_str().map(str::to_owned),
        Kind::Integer => {
            value.as_integer().filter(|number| number.radix() == 10).map(|number| number.as_str().to_owned())
        }
        Kind::Boolean => value.as_bool().map(|switch| switch.to_string()),
    }
}

/// How a line of the setting looks.
fn example(setting: &Setting) -> String {
    let one = match (setting.kind, setting.default) {
        (Kind::String, "") => "\"…\"".to_owned(),
        (Kind::String, default) => format!("{default:?}"),
        (Kind::Integer, "") => "1".to_owned(),
        (Kind::Boolean, "") => "true".to_owned(),
        (Kind::Integer | Kind::Boolean, default) => default.to_owned(),
    };
    if setting.many { format!("{} = [{one}]", setting.key) } else { format!("{} = {one}", setting.key) }
}
