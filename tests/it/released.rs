//! Every released format has a store here that each build must open, verify and answer from as the build did that
//! made it: `fixtures/stores/VERSION.tar.zst`, with its answers in `VERSION.json`. They are never made again.
//! `COUNTERSIGN_RECORD_STORE=0.2.0 cargo test --test it -- released` makes one for a new format.

use super::{demo::Demo, walkthrough::walk};
use serde_json::{Map, Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Who asks what; the answers hold nothing that a later start adds.
const QUESTIONS: [(&str, &str); 6] = [
    (
        "ann",
        "{ governedItems(first: 50) { nodes { id name revision archived steps { key status } \
        fields { key value { ... on TextValue { text } ... on IntegerValue { integer } } } } } }",
    ),
    (
        "ann",
        "{ bundleRegistry(first: 50) { nodes { id name step(key: \"review\") { signOff { id status cycle \
        feedback { author { name } group status comment } \
        finalReview { author { name } decision comment contentDigest } } } } } }",
    ),
    (
        "ann",
        "{ modelRegistry(first: 50) { nodes { id name sourceObjects { key governanceStatus validationStatus } } } }",
    ),
    (
        "dep",
        "{ deployments(first: 50) { nodes { id status governanceHealth confirmation { by { name } reason } \
        infrastructure { slug policy } sourceObject { key } } } }",
    ),
    (
        "aud",
        "{ timeline(first: 100, orderBy: OLDEST_FIRST, kinds: [ITEM_CREATED, FIELD_CHANGED, STEP_STARTED, \
        STEP_FINISHED, FEEDBACK_REQUESTED, FINAL_APPROVAL_REQUESTED, DECIDED]) { nodes { kind at actor { name } step decision } } }",
    ),
    ("admin", "{ users(first: 50) { nodes { id name email } } templates(first: 50) { nodes { id name status } } }"),
];

fn stores() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/stores")
}

async fn answers(demo: &Demo) -> Value {
    let mut answers = Map::new();
    for (who, query) in QUESTIONS {
        let answer = demo.caller(who).ask(query, json!({})).await;
        answers.insert(format!("{who}: {query}"), answer.done().body["data"].clone());
    }
    Value::Object(answers)
}

/// Makes the store of a format that is released now.
async fn record(version: &str) {
    let file = stores().join(format!("{version}.tar.zst"));
    assert!(!file.exists(), "{} is never made again", file.display());
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut demo = Demo::start(&data).await;
    walk(&demo).await;
    demo.stop().await;
    fs::create_dir_all(stores()).unwrap();
    let mut archive = tar::Builder::new(zstd::Encoder::new(fs::File::create(&file).unwrap(), 19).unwrap());
    archive.mode(tar::HeaderMode::Deterministic);
    archive.append_dir_all("data", &data).unwrap();
    archive.into_inner().unwrap().finish().unwrap();
    let mut demo = Demo::start(&data).await;
    let text = serde_json::to_string_pretty(&answers(&demo).await).unwrap();
    fs::write(stores().join(format!("{version}.json")), text + "\n").unwrap();
    demo.stop().await;
}

fn unpacked(file: &Path, into: &Path) -> PathBuf {
    let packed = zstd::Decoder::new(fs::File::open(file).unwrap()).unwrap();
    tar::Archive::new(packed).unpack(into).unwrap();
    into.join("data")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_released_format_opens_answers_and_verifies() {
    if let Some(version) = std::env::var_os("COUNTERSIGN_RECORD_STORE") {
        record(version.to_str().unwrap()).await;
    }
    let mut seen = 0;
    for entry in fs::read_dir(stores()).unwrap() {
        let file = entry.unwrap().path();
        let Some(version) = file.file_name().unwrap().to_str().unwrap().strip_suffix(".tar.zst") else { continue };
        seen += 1;
        assert!(file.metadata().unwrap().len() < 200_000, "{version} is too large to be kept for ever");
        let written = fs::read_to_string(stores().join(format!("{version}.json"))).unwrap();
        let written: Value = serde_json::from_str(&written).unwrap();
        for with_index in [true, false] {
            let directory = tempfile::tempdir().unwrap();
            let data = unpacked(&file, directory.path());
            if !with_index {
                fs::remove_dir_all(data.join("index")).unwrap();
            }
            let mut demo = Demo::start(&data).await;
            let found = answers(&demo).await;
            for (question, answer) in written.as_object().unwrap() {
                assert_eq!(&found[question], answer, "{version}, {question}");
            }
            demo.stop().await;
            assert_eq!(countersign::store::check(&data).unwrap().problems, Vec::<String>::new(), "{version}");
        }
    }
    assert!(seen > 0, "no released format has a store");
}
