//! The walk-through, as a newcomer pastes it: every step of `fixtures/walkthrough.json`, in its order, against the
//! demo of the real binary, answers what is written there; and the README shows exactly these steps.
//! `COUNTERSIGN_RECORD=1` writes variables and answers into the file, and the file's steps into the README: read the
//! difference, and say in the commit why each changed line is right.

use super::{client::Caller, demo::Demo};
use async_graphql::Value as Json;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::task::JoinHandle;

#[derive(Serialize, Deserialize)]
struct Walkthrough {
    about: String,
    steps: Vec<Step>,
}

#[derive(Serialize, Deserialize)]
struct Step {
    title: String,
    #[serde(rename = "as")]
    acting: String,
    query: String,
    variables: Json,
    /// Where a variable comes from: its place, and the operation with the place in its data.
    takes: BTreeMap<String, String>,
    #[serde(default)]
    answer: Json,
}

/// Sends a step's operation; the answer keeps the order in which it was written, and leaves out where in the
/// document an error stands and what the operation costs.
async fn send(caller: &Caller, step: &Step) -> Json {
    let body = serde_json::json!({ "query": step.query, "variables": step.variables.clone().into_json().unwrap() });
    let request = caller.http.post(format!("http://{}/graphql", caller.address));
    let request = request.bearer_auth(caller.credential.as_ref().unwrap()).json(&body);
    let text = request.send().await.unwrap().text().await.unwrap();
    let mut answer: Json = serde_json::from_str(&text).unwrap();
    if let Json::Object(answer) = &mut answer {
        answer.shift_remove("extensions");
    }
    if let Some(Json::List(errors)) = within_mut(&mut answer, "/errors") {
        for error in errors {
            if let Json::Object(error) = error {
                error.shift_remove("locations");
            }
        }
    }
    answer
}

/// Listens with a step's subscription, until its first event has come.
async fn listen(caller: Caller, step: &Step) -> JoinHandle<Option<Json>> {
    let variables = step.variables.clone().into_json().unwrap();
    let mut subscription = caller.subscribe(&step.query, variables).await;
    let field = root_field(&step.query).to_owned();
    tokio::spawn(async move {
        let edge = subscription.next(Duration::from_secs(60)).await?;
        Some(Json::from_json(serde_json::json!({ "data": { field: edge } })).unwrap())
    })
}

/// The name of a document's operation.
fn name(query: &str) -> &str {
    query.split_whitespace().nth(1).unwrap().split(['(', '{']).next().unwrap()
}

/// The first field of a document.
fn root_field(query: &str) -> &str {
    query.split_once('{').unwrap().1.split_whitespace().next().unwrap()
}

fn within<'v>(value: &'v Json, pointer: &str) -> Option<&'v Json> {
    pointer.split('/').filter(|part| !part.is_empty()).try_fold(value, |value, part| match value {
        Json::Object(fields) => fields.get(part),
        Json::List(values) => values.get(part.parse::<usize>().ok()?),
        Json::Null | Json::Number(_) | Json::String(_) | Json::Boolean(_) | Json::Binary(_) | Json::Enum(_) => None,
    })
}

fn within_mut<'v>(value: &'v mut Json, pointer: &str) -> Option<&'v mut Json> {
    pointer.split('/').filter(|part| !part.is_empty()).try_fold(value, |value, part| match value {
        Json::Object(fields) => fields.get_mut(part),
        Json::List(values) => values.get_mut(part.parse::<usize>().ok()?),
        Json::Null | Json::Number(_) | Json::String(_) | Json::Boolean(_) | Json::Binary(_) | Json::Enum(_) => None,
    })
}

impl Step {
    /// The variables with what earlier steps answered.
    fn filled(&self, answers: &HashMap<String, Json>) -> Json {
        let mut variables = self.variables.clone();
        for (place, from) in &self.takes {
            let (operation, pointer) = from.split_once('/').unwrap();
            let answer = answers.get(operation).unwrap_or_else(|| panic!("{}: there is no {operation}", self.title));
            let found = within(answer, "/data").and_then(|data| within(data, pointer));
            let found = found.unwrap_or_else(|| panic!("{}: nothing at {from} in {answer}", self.title));
            let target = within_mut(&mut variables, place).unwrap_or_else(|| panic!("{}: no {place}", self.title));
            *target = found.clone();
        }
        variables
    }
}

/// Goes through the whole walk-through in a demo that has just begun.
pub async fn walk(demo: &Demo) {
    let text = fs::read_to_string(path("fixtures/walkthrough.json")).unwrap();
    walked(demo, &serde_json::from_str(&text).unwrap()).await;
}

/// Runs every step; answers what the file would say if it were recorded now.
async fn walked(demo: &Demo, written: &Walkthrough) -> Walkthrough {
    let (mut answers, mut listening) = (HashMap::new(), vec![]);
    let mut steps = vec![];
    for (n, step) in written.steps.iter().enumerate() {
        let Step { title, acting, query, takes, .. } = step;
        let mut step = Step {
            title: title.clone(),
            acting: acting.clone(),
            query: query.clone(),
            variables: step.filled(&answers),
            takes: takes.clone(),
            answer: Json::Null,
        };
        let caller = demo.caller(acting);
        if query.starts_with("subscription") {
            listening.push((n, listen(caller, &step).await));
        } else {
            step.answer = send(&caller, &step).await;
            answers.insert(name(query).to_owned(), step.answer.clone());
        }
        steps.push(step);
    }
    for (n, event) in listening {
        let event = tokio::time::timeout(Duration::from_secs(5), event).await;
        steps[n].answer = event.unwrap_or_else(|_| panic!("{}: nothing was heard", steps[n].title)).unwrap().unwrap();
    }
    Walkthrough { about: written.about.clone(), steps }
}

fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

fn recording() -> bool {
    std::env::var_os("COUNTERSIGN_RECORD").is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_step_answers_as_written() {
    let text = fs::read_to_string(path("fixtures/walkthrough.json")).unwrap();
    let mut written: Walkthrough = serde_json::from_str(&text).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let demo = Demo::start(&directory.path().join("data")).await;
    let found = walked(&demo, &written).await;
    if recording() {
        let found: Json = serde_json::from_str(&serde_json::to_string(&found).unwrap()).unwrap();
        fs::write(path("fixtures/walkthrough.json"), pretty(&found, 0, 116) + "\n").unwrap();
        written = serde_json::from_str(&fs::read_to_string(path("fixtures/walkthrough.json")).unwrap()).unwrap();
    } else {
        for (written, found) in written.steps.iter().zip(&found.steps) {
            assert_eq!(written.variables, found.variables, "{}: other variables are written", written.title);
            assert_eq!(written.answer, found.answer, "{}: another answer is written", written.title);
        }
    }
    the_readme_shows(&written);
}

const BEGIN: &str = "<!-- The steps of fixtures/walkthrough.json, written by tests/it/walkthrough.rs. -->\n";
const END: &str = "<!-- The end of the steps. -->";

fn the_readme_shows(walkthrough: &Walkthrough) {
    let readme = fs::read_to_string(path("README.md")).unwrap();
    let (before, rest) = readme.split_once(BEGIN).expect("the README has the place where the steps begin");
    let (shown, after) = rest.split_once(END).expect("the README has the place where the steps end");
    let wanted: String = walkthrough.steps.iter().map(section).collect();
    if recording() {
        fs::write(path("README.md"), [before, BEGIN, &wanted, END, after].concat()).unwrap();
    } else {
        for (shown, wanted) in shown.split("\n### ").zip(wanted.split("\n### ")) {
            assert_eq!(shown, wanted, "the README shows another step than the file; record it");
        }
        assert_eq!(shown, wanted, "the README shows other steps than the file; record them");
    }
}

/// A step as the README shows it.
fn section(step: &Step) -> String {
    let mut text = format!("\n### {}\nas `{}`\n```graphql\n{}\n```\n", step.title, step.acting, step.query);
    if within(&step.variables, "").is_some_and(|variables| *variables != Json::Object(Default::default())) {
        write!(text, "Variables:\n```json\n{}\n```\n", pretty(&step.variables, 0, 110)).unwrap();
    }
    write!(text, "{}:\n```json\n{}\n```\n", heard(step), pretty(&step.answer, 0, 110)).unwrap();
    text
}

fn heard(step: &Step) -> &'static str {
    if step.query.starts_with("subscription") { "Hears" } else { "Answer" }
}

/// JSON in the order in which it was written: on one line where it fits, else one value a line.
fn pretty(value: &Json, indent: usize, width: usize) -> String {
    let flat = flat(value);
    if flat.len() + indent <= width {
        return flat;
    }
    let inner = " ".repeat(indent + 2);
    let outer = " ".repeat(indent);
    let (open, lines, close) = match value {
        Json::Object(fields) => {
            let line = |(name, value): (&async_graphql::Name, &Json)| {
                format!("{inner}\"{name}\": {}", pretty(value, indent + 2, width))
            };
            ("{", fields.iter().map(line).collect::<Vec<_>>(), "}")
        }
        Json::List(values) => {
            let line = |value| format!("{inner}{}", pretty(value, indent + 2, width));
            ("[", values.iter().map(line).collect(), "]")
        }
        Json::Null | Json::Number(_) | Json::String(_) | Json::Boolean(_) | Json::Binary(_) | Json::Enum(_) => {
            return flat;
        }
    };
    format!("{open}\n{}\n{outer}{close}", lines.join(",\n"))
}

fn flat(value: &Json) -> String {
    match value {
        Json::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| format!("\"{name}\": {}", flat(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        Json::List(values) => format!("[{}]", values.iter().map(flat).collect::<Vec<_>>().join(", ")),
        Json::Null | Json::Number(_) | Json::String(_) | Json::Boolean(_) | Json::Binary(_) | Json::Enum(_) => {
            serde_json::to_string(value).unwrap()
        }
    }
}
