//! The house rules that a machine can hold: floors, sizes, headings, words.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The floors, lowest first: a file imports from its own floor and those before it.
const FLOORS: [&str; 6] = ["domain", "store", "app", "graphql", "http", "cli"];

/// Each external crate has one floor that names it.
const OWNERS: [(&str, &[&str]); 11] = [
    ("sled", &["store"]),
    ("imbl", &["domain"]),
    ("rmp_serde", &["store"]),
    ("chacha20poly1305", &["store"]),
    ("arc_swap", &["store"]),
    ("argon2", &["app"]),
    ("jsonwebtoken", &["app"]),
    ("axum", &["http"]),
    ("clap", &["cli", "main.rs"]),
    ("toml", &["cli"]),
    ("prometheus_client", &["http"]),
];

struct Source {
    path: PathBuf,
    floor: String,
    text: String,
}

fn collect(directory: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

fn sources(root: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(root);
    let mut paths = vec![];
    collect(&root, &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let inside = path.strip_prefix(&root).unwrap();
        let floor = inside.components().next().unwrap().as_os_str().to_str().unwrap();
        let floor = floor.to_owned();
        let text = fs::read_to_string(&path).unwrap();
        Source { path, floor, text }
    };
    paths.into_iter().map(read).collect()
}

fn complain(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

/// The code of a file without its comments.
fn code(source: &Source) -> impl Iterator<Item = (usize, &str)> {
    let lines = source.text.lines().enumerate().map(|(n, line)| (n + 1, line));
    lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

#[test]
fn imports_point_downward_only() {
    let mut found = vec![];
    for source in sources("src") {
        let Some(own) = FLOORS.iter().position(|floor| *floor == source.floor) else { continue };
        for (n, line) in code(&source) {
            for higher in &FLOORS[own + 1..] {
                if line.contains(&format!("crate::{higher}")) || line.trim_start().starts_with(&format!("{higher}::")) {
                    found.push(format!("{}:{n}: {}", source.path.display(), line.trim()));
                }
            }
        }
    }
    complain("a floor imports from a higher one", &found);
}

#[test]
fn every_external_crate_has_its_owner() {
    let mut found = vec![];
    for source in sources("src") {
        for (n, line) in code(&source) {
            for (name, owners) in OWNERS {
                let named =
                    line.contains(&format!("{name}::")) || line.trim_start().starts_with(&format!("use {name}"));
                let inner = line.contains(&format!("_{name}::")) || line.contains(&format!("::{name}::"));
                if named && !inner && !owners.contains(&source.floor.as_str()) {
                    found.push(format!("{}:{n}: {name} belongs to {}", source.path.display(), owners.join(", ")));
                }
            }
        }
    }
    complain("a crate is named outside its floor", &found);
}

#[test]
fn files_are_short_and_say_what_they_hold() {
    let mut found = vec![];
    for source in sources("src").into_iter().chain(sources("tests/it")).chain(sources("tests/torture")) {
        let lines = source.text.lines().count();
        let path = source.path.display();
        if lines > 400 && source.path.to_str().unwrap().contains("/src/") {
            found.push(format!("{path}: {lines} lines; 400 are allowed"));
        }
        let heading = source.text.lines().take_while(|line| line.starts_with("//!")).count();
        if heading == 0 || heading > 12 {
            found.push(format!("{path}: begins with {heading} lines of //!; 1 to 12 are wanted"));
        }
    }
    complain("a file is too long or does not say what it holds", &found);
}

#[test]
fn functions_are_short() {
    let mut found = vec![];
    for source in sources("src") {
        let mut open: Option<(usize, usize, &str)> = None;
        for (n, line) in source.text.lines().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let begins = line.trim_start();
            let is_function = begins.contains("fn ") && begins.ends_with('{') && !begins.starts_with("//");
            match open {
                None if is_function => open = Some((n, indent, begins)),
                Some((from, at, name)) if line.trim_end() == format!("{}}}", " ".repeat(at)) => {
                    if n - from > 70 {
                        found.push(format!("{}:{}: {} lines: {name}", source.path.display(), from + 1, n - from));
                    }
                    open = None;
                }
                _ => {}
            }
        }
    }
    complain("a function has more than 70 lines", &found);
}

#[test]
fn words_that_say_nothing_are_not_names() {
    let mut found = vec![];
    for source in sources("src") {
        for (n, line) in code(&source) {
            let named = ["fn get_", "Manager", "Helper", "mod utils", "mod util;"].iter().any(|word| {
                line.contains(word) && !line.contains("GovernanceManager") && !line.contains("governance manager")
            });
            let bare = line.contains("#[allow(");
            if named || bare {
                found.push(format!("{}:{n}: {}", source.path.display(), line.trim()));
            }
        }
    }
    complain("a name or attribute that the house does not use", &found);
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let mut found = vec![];
    let mut within = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            within = line.ends_with("dependencies]");
        } else if within && !line.trim().is_empty() && !line.starts_with('#') && !line.contains(" # ") {
            found.push(line.to_owned());
        }
    }
    complain("a dependency without a reason", &found);
}
