//! What the clients sent and what they were told, and whether a server still says so.
//! Never guesses: a command without an answer may have been done or not, and is asked again under its key.

use super::{
    load::{self, LAST},
    server::{People, Server},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

/// One bundle and how far it has come: its commands are numbered from 0, and each moves it by one level.
#[derive(Clone, Debug, Default)]
pub struct Bundle {
    /// The text that its second command writes, in characters.
    pub text: usize,
    /// Its siblings in the batch that reports it; empty when it comes alone.
    pub batch: String,
    /// How many commands were sent.
    pub sent: usize,
    /// How many of them were answered with success.
    pub done: usize,
    /// The item that governs it, once it was told.
    pub item: String,
    /// Its sign-off, once it was told.
    pub sign_off: String,
    /// The revision of its item, as it was told last.
    pub revision: i64,
}

/// All bundles by key, and which command each commit belongs to.
#[derive(Clone, Default)]
pub struct Ledger(Arc<Mutex<Book>>);

#[derive(Clone, Default)]
pub struct Book {
    pub bundles: BTreeMap<String, Bundle>,
    numbers: BTreeMap<u64, String>,
}

impl Ledger {
    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap()
    }

    /// What must be there of an earlier moment, and may be there of a later one.
    pub fn between(before: Book, mut after: Book) -> Self {
        for (key, bundle) in &mut after.bundles {
            bundle.done = before.bundles.get(key).map_or(0, |before| before.done);
        }
        Self(Arc::new(Mutex::new(after)))
    }

    pub fn bundle(&self, key: &str) -> Bundle {
        self.book().bundles[key].clone()
    }

    /// How many commands were acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.book().bundles.values().map(|bundle| bundle.done).sum()
    }

    /// Notes what a command was answered for the first time: each commit has a number of its own.
    pub fn told(&self, key: &str, number: u64) {
        let what = format!("{key}, command {}", self.bundle(key).done);
        let before = self.book().numbers.insert(number, what.clone());
        assert_eq!(before, None, "two commands were answered with one commit's number, {number}: {what}");
    }

    /// Compares, and settles what had no answer by sending it again under its key; answers how many commands that were.
    pub async fn check(&self, server: &Server, people: &People, when: &str) -> usize {
        let mut settled = 0;
        self.compare(server, people, when).await;
        let open =
            |book: &Book| book.bundles.iter().find(|(_, bundle)| bundle.done < bundle.sent).map(|(key, _)| key.clone());
        // A batch settles all of its bundles at once.
        while let Some(key) = { open(&self.book()) } {
            let told = load::send(server, people, self, &key).await;
            assert!(told.is_ok(), "{when}: {key}, sent again, was answered {told:?}");
            settled += 1;
        }
        settled
    }

    /// Compares with what a server shows: every acknowledged command is there, wholly; one without an answer is there
    /// wholly or not at all.
    pub async fn compare(&self, server: &Server, people: &People, when: &str) {
        let shown = shown(server, people).await;
        let bundles = self.book().bundles.clone();
        let unknown: BTreeSet<&String> = shown.keys().filter(|key| !bundles.contains_key(*key)).collect();
        assert!(unknown.is_empty(), "{when}: nobody reported {unknown:?}");
        let mut batches: BTreeMap<&String, BTreeSet<bool>> = BTreeMap::new();
        let node = server.caller(people, "design-1-sync");
        for (key, bundle) in &bundles {
            let level = match shown.get(key) {
                Some(item) => level(key, bundle, item, when),
                None => 0,
            };
            assert!(level >= bundle.done, "{when}: {key} was acknowledged to {} and is at {level}", bundle.done);
            assert!(
                level <= bundle.sent,
                "{when}: {key} was refused or never sent beyond {} and is at {level}",
                bundle.sent
            );
            if !bundle.batch.is_empty() {
                batches.entry(&bundle.batch).or_default().insert(level > 0);
            }
            if level == 0 && bundle.sent > 0 {
                let query = "query($key: String!) { sourceObject(kind: BUNDLE, key: $key) { governanceStatus } }";
                let answer = node.ask(query, json!({ "key": key })).await;
                assert_eq!(answer.code(), "NOT_FOUND", "{when}: {key} is there without its item");
            }
        }
        let halved: Vec<_> = batches.iter().filter(|(_, there)| there.len() > 1).collect();
        assert!(halved.is_empty(), "{when}: batches are there by half: {halved:?}");
    }
}

/// Every governed bundle of the project, by key.
async fn shown(server: &Server, people: &People) -> BTreeMap<String, Value> {
    let ann = server.caller(people, "ann");
    let query = "query($after: String) { bundleRegistry(first: 100, after: $after) {
        nodes { name revision sourceObjects { key } fields { value { ... on TextValue { text } } }
            step(key: \"review\") { status signOff { status } } }
        pageInfo { hasNextPage endCursor } } }";
    let (mut found, mut after) = (BTreeMap::new(), Value::Null);
    loop {
        let page = ann.ask(query, json!({ "after": after })).await;
        for node in page.at("/bundleRegistry/nodes").as_array().unwrap() {
            let key =
                node["sourceObjects"][0]["key"].as_str().unwrap_or_else(|| panic!("an item without source: {node}"));
            assert!(found.insert(key.to_owned(), node.clone()).is_none(), "{key} is governed twice");
        }
        if page.at("/bundleRegistry/pageInfo/hasNextPage") == false {
            return found;
        }
        after = page.at("/bundleRegistry/pageInfo/endCursor");
    }
}

/// How far an item has come. What no number of commands leads to was done by half.
fn level(key: &str, bundle: &Bundle, item: &Value, when: &str) -> usize {
    let text = item["fields"].as_array().unwrap().iter().find_map(|field| field["value"]["text"].as_str());
    let (step, status) = (item["step"]["status"].as_str(), item["step"]["signOff"]["status"].as_str());
    let level = (1..=LAST).find(|level| {
        let renamed = *level >= 2;
        item["name"] == load::name(key, renamed)
            && text.unwrap_or_default() == if renamed { load::text(key, bundle.text) } else { String::new() }
            && step == Some(if *level >= 3 { "ONGOING" } else { "NOT_STARTED" })
            && status == Some(["NOT_STARTED", "WAITING_FOR_APPROVAL", "APPROVED"][level.saturating_sub(3)])
            && item["revision"].as_i64() >= Some(if *level >= 3 { 3 } else { i64::try_from(*level).unwrap() })
    });
    level.unwrap_or_else(|| panic!("{when}: {key} is there by half: {item}"))
}
