//! The settings: where each may stand, which source overrules which, and what is said of one that is wrong.
//! Never reads the settings of the machine that runs the tests: the environment is empty, the directory its own.

use super::command::text;
use serde_json::Value;
use std::{collections::BTreeSet, path::Path};
use tokio::process::Command;

/// What a command answers in a directory with these variables: exit code, standard output, standard error.
pub async fn told(directory: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.env_clear().envs(variables.iter().copied()).current_dir(directory).args(arguments);
    let done = command.output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (done.status.code().unwrap(), text(done.stdout), text(done.stderr))
}

/// Every setting as `config show` tells it.
pub async fn settings(directory: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Vec<Value> {
    let arguments = [&["config", "show", "-o", "json"], arguments].concat();
    let (code, said, complained) = told(directory, variables, &arguments).await;
    assert_eq!((code, complained.as_str()), (0, ""), "{said}");
    serde_json::from_str::<Value>(&said).unwrap()["settings"].as_array().unwrap().clone()
}

fn named<'a>(settings: &'a [Value], name: &str) -> &'a Value {
    settings.iter().find(|setting| setting["name"] == name).unwrap()
}

fn word<'a>(setting: &'a Value, field: &str) -> &'a str {
    setting[field].as_str().unwrap()
}

/// A value that a setting takes: its default, or one of its kind; and the same as it stands in a file.
fn sample(setting: &Value) -> (String, String) {
    let default = &setting["default"];
    match (default, word(setting, "wanted")) {
        (Value::String(_) | Value::Number(_) | Value::Bool(_), _) => {
            (default.as_str().map_or_else(|| default.to_string(), str::to_owned), default.to_string())
        }
        (Value::Array(_), "an address or a network, as 192.0.2.0/24") => {
            ("192.0.2.0/24,::1".to_owned(), r#"["192.0.2.0/24", "::1"]"#.to_owned())
        }
        (Value::Array(_), "an origin, as https://example.org") => (
            "https://a.example,https://b.example:8443".to_owned(),
            r#"["https://a.example", "https://b.example:8443"]"#.to_owned(),
        ),
        (Value::Null, "a path") => ("/tmp/some where".to_owned(), "\"/tmp/some where\"".to_owned()),
        (_, "an address with a port, as 127.0.0.1:4280") => ("127.0.0.1:1".to_owned(), "\"127.0.0.1:1\"".to_owned()),
        (Value::Null, "a whole number") => ("7".to_owned(), "7".to_owned()),
        (_, wanted) => panic!("say here what {wanted} looks like: {setting}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_setting_is_a_flag_a_variable_and_a_line_of_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let (directory, file) = (directory.path(), directory.path().join("some.toml"));
    let all = settings(directory, &[], &[]).await;
    assert!(all.len() >= 4 && all.iter().all(|setting| setting["origin"] == "the default"), "{all:?}");
    let (_, help, _) = told(directory, &[], &["serve", "--help"]).await;
    for setting in &all {
        let (name, flag, variable) = (word(setting, "name"), word(setting, "flag"), word(setting, "variable"));
        let (sample, line) = sample(setting);
        assert!(help.contains(&format!("{flag} ")) || help.contains(&format!("{flag}[")), "{flag}: {help}");
        std::fs::write(&file, format!("# A comment.\n{name} = {line}\n")).unwrap();
        let at = format!("{}:2:{}", file.display(), name.len() + 4);
        let from_file = settings(directory, &[], &["--config", text(&file)]).await;
        assert_eq!(named(&from_file, name)["origin"], at.as_str());
        let from_variable = settings(directory, &[(variable, &sample)], &["--config", text(&file)]).await;
        assert_eq!(named(&from_variable, name)["origin"], format!("the variable {variable}"));
        let flags = ["--config", text(&file), &format!("{flag}={sample}")];
        let from_flag = settings(directory, &[(variable, &sample)], &flags).await;
        assert_eq!(named(&from_flag, name)["origin"], format!("the flag {flag}"));
        // However it was told, it is the same.
        let value = serde_json::from_str::<Value>(&line).unwrap();
        for told in [from_file, from_variable, from_flag] {
            assert_eq!(named(&told, name)["value"], value);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_can_be_read_again_and_says_where_it_came_from() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    // Found without being named.
    let file = "listen = \"127.0.0.1:1\"\ndata_dir = \"from-file\"\nallow_origin = ['https://EXAMPLE.org']\n";
    std::fs::write(directory.join("countersign.toml"), file).unwrap();
    let variables = [("COUNTERSIGN_DATA_DIR", "from-variable"), ("COUNTERSIGN_LOG", "info")];
    let (code, shown, _) = told(directory, &variables, &["config", "show", "--origin", "--log", "error"]).await;
    let shown: Vec<_> = shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(code, 0);
    for expected in [
        "listen = \"127.0.0.1:1\" # countersign.toml:1:10",
        "data_dir = \"from-variable\" # the variable COUNTERSIGN_DATA_DIR",
        "log = \"error\" # the flag --log",
        "log_format = \"text\" # the default",
        "slow_operation_milliseconds = 1000 # the default",
        "# metrics_listen is not set # the default",
        "allow_origin = [\"https://EXAMPLE.org\"] # countersign.toml:3:16",
    ] {
        assert!(shown.iter().any(|line| line == expected), "{expected} is not in {shown:#?}");
    }
    let (_, plain, _) = told(directory, &variables, &["config", "show"]).await;
    let again = directory.join("again.toml");
    std::fs::write(&again, &plain).unwrap();
    let (code, shown_again, complained) = told(directory, &[], &["config", "show", "--config", text(&again)]).await;
    assert_eq!((code, shown_again), (0, plain), "{complained}");
    // The variable names a file as the flag does, and the flag goes before it.
    let named = [("COUNTERSIGN_CONFIG", text(&again))];
    let (_, shown, _) = told(directory, &named, &["config", "show", "--origin"]).await;
    assert!(shown.contains("again.toml:1:10"), "{shown}");
    let (_, shown, _) = told(directory, &named, &["config", "show", "--origin", "--config", "countersign.toml"]).await;
    assert!(shown.contains("countersign.toml:1:10"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_wrong_is_told_at_once_with_its_place_and_the_nearest_name() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let wrong =
        "listn = \"127.0.0.1:1\"\n\n  data_dir = 5\nlisten = \"here\"\nallow_origin = [\"https://a.example/path\"]\n";
    std::fs::write(directory.join("countersign.toml"), wrong).unwrap();
    let serve = ["serve", "--data-dir", "never-made", "--log", "x=y=z"];
    let expected = "countersign: the configuration cannot be used
  countersign.toml:1:1: there is no setting listn; did you mean listen?
  countersign.toml:3:14: data_dir must be a string here; write data_dir = \"countersign-data\"
  countersign.toml:4:10: listen is \"here\": it must be an address with a port, as 127.0.0.1:4280; correct or remove it
  countersign.toml:5:16: allow_origin is \"https://a.example/path\": it must be http:// or https:// and a host, with a port where it is not the usual one, and no path; correct or remove it
  the environment: COUNTERSIGN_LISTEN is \"there\": it must be an address with a port, as 127.0.0.1:4280; correct or remove it
  the command line: --log is \"x=y=z\": error parsing level filter: expected one of \"off\", \"error\", \"warn\", \"info\", \"debug\", \"trace\", or a number 0-5; correct or remove it
";
    for command in [&serve[..], &["config", "show", "--log", "x=y=z"]] {
        let (code, _, complained) = told(directory, &[("COUNTERSIGN_LISTEN", "there")], command).await;
        assert_eq!((code, complained.as_str()), (64, expected));
    }
    assert!(!directory.join("never-made").exists(), "a server that refuses its settings made a directory");

    for (file, told_of_it) in [
        ("listen = \n", "countersign.toml:1:10: "),
        ("listen = \"127.0.0.1:1\"\nlisten = \"127.0.0.1:2\"\n", "countersign.toml:2:1: "),
        (
            "allow_origin = \"https://a.example\"\n",
            "countersign.toml:1:16: allow_origin must be a list, each a string here",
        ),
        ("listen = \"\"\n", "countersign.toml:1:10: listen is \"\": it must not be empty"),
        ("connections = 0x10\n", "countersign.toml:1:15: connections must be a whole number here"),
        ("allow_origin = [\"ftp://a.example\"]\n", "it must be http:// or https:// and a host"),
        ("allow_origin = [\"https://b@a.example\"]\n", "it must be http:// or https:// and a host"),
    ] {
        std::fs::write(directory.join("countersign.toml"), file).unwrap();
        let (code, _, complained) = told(directory, &[], &["config", "show"]).await;
        assert!(code == 64 && complained.contains(told_of_it), "{file:?}: {complained}");
    }
    let (code, _, complained) = told(directory, &[], &["config", "show", "--config", "missing.toml"]).await;
    assert!(code == 64 && complained.contains("missing.toml: No such file"), "{complained}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_together_is_told_with_the_place_of_each_and_nothing_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    std::fs::write(directory.join("countersign.toml"), "tls_cert = \"a.crt\"\ndocuments_only = true\n").unwrap();
    let serve = ["serve", "--data-dir", "never-made", "--connections", "0"];
    let expected = "countersign: the configuration cannot be used
  countersign.toml:1:12: tls_cert names a certificate without its key; name its key, too, with tls_key
  countersign.toml:2:18: documents_only executes nothing but a file's; name the file with documents
  the command line: connections is 0, and then nobody could connect; name 1 or more
  the environment: connections_of_address is 0, and then nobody could connect; name 1 or more
";
    let (code, _, complained) = told(directory, &[("COUNTERSIGN_CONNECTIONS_OF_ADDRESS", "0")], &serve).await;
    assert_eq!((code, complained.as_str()), (64, expected));
    let only_a_key = [("COUNTERSIGN_TLS_KEY", "a.key"), ("COUNTERSIGN_DOCUMENTS_ONLY", "false")];
    std::fs::remove_file(directory.join("countersign.toml")).unwrap();
    let (code, _, complained) = told(directory, &only_a_key, &serve[..3]).await;
    assert!(code == 64 && complained.contains("the environment: tls_key names a key without its"), "{complained}");
    assert!(!directory.join("never-made").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn other_commands_find_the_data_directory_in_the_file_and_tell_misspelt_variables() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    std::fs::write(directory.join("countersign.toml"), "data_dir = \"of-the-file\"\n").unwrap();
    let (code, _, complained) = told(directory, &[("COUNTERSIGN_LISTN", "x")], &["compact"]).await;
    assert_eq!(code, 1);
    assert!(complained.contains("there is no data directory of-the-file"), "{complained}");
    assert!(complained.contains("COUNTERSIGN_LISTN is set, and nothing reads it; did you mean COUNTERSIGN_LISTEN?"));
    let (_, found, _) = told(directory, &[], &["doctor"]).await;
    assert!(found.contains("countersign.toml can be read"), "{found}");
    std::fs::write(directory.join("countersign.toml"), "data_dirr = \"of-the-file\"\n").unwrap();
    let (code, found, _) = told(directory, &[], &["doctor"]).await;
    assert!(code == 1 && found.contains("countersign.toml:1:1: there is no setting data_dirr"), "{found}");
    // The demo is never made of what a server keeps.
    let (code, _, complained) = told(directory, &[], &["demo", "--listen", "0.0.0.0:0"]).await;
    assert!(code == 1 && complained.contains("listens on this machine only"), "{complained}");
}

/// The first column of the tables of docs/operations.md that begin with this heading.
pub fn documented(heading: &str) -> Vec<Vec<String>> {
    let document = include_str!("../../docs/operations.md");
    let table = document.split_once(heading).unwrap().1;
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_setting_is_documented_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path(), &[], &[]).await;
    let expected = settings.iter().map(|setting| {
        let default = match &setting["default"] {
            Value::String(text) => format!("`{text}`"),
            Value::Null => "none".to_owned(),
            Value::Array(values) if values.is_empty() => "none".to_owned(),
            other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => format!("`{other}`"),
        };
        vec![format!("`{}`", word(setting, "name")), default, word(setting, "description").to_owned()]
    });
    assert_eq!(documented("| setting | default | |"), expected.collect::<Vec<_>>());
}

/// The example of docs/operations.md in this language.
fn example(language: &str) -> &'static str {
    let (_, found) = include_str!("../../docs/operations.md").split_once(&format!("```{language}\n")).unwrap();
    found.split_once("```").unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_file_and_the_documented_container_are_understood_whole() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    std::fs::write(directory.join("countersign.toml"), example("toml")).unwrap();
    let said = |settings: &[Value]| {
        let said = settings.iter().filter(|setting| setting["origin"] != "the default");
        said.map(|setting| (word(setting, "name").to_owned(), setting["value"].clone())).collect::<Vec<_>>()
    };
    let of_file = said(&settings(directory, &[], &[]).await);
    let lines = example("toml").lines().map(|line| line.split_once(" = ").unwrap().0);
    assert_eq!(of_file.iter().map(|(name, _)| name.as_str()).collect::<BTreeSet<_>>(), lines.collect());
    std::fs::remove_file(directory.join("countersign.toml")).unwrap();

    let line = example("dockerfile").lines().find_map(|line| line.strip_prefix("ENV ")).unwrap();
    let variables: Vec<_> = line.split(' ').map(|variable| variable.split_once('=').unwrap()).collect();
    let of_container = said(&settings(directory, &variables, &[]).await);
    assert_eq!(of_container.len(), variables.len());
    for (name, value) in variables {
        let name = name.strip_prefix("COUNTERSIGN_").unwrap().to_lowercase();
        assert!(of_container.contains(&(name, value.into())), "{value}: {of_container:?}");
    }
}
