//! Documents that were asked before: they are answered as if they were new, whatever variables come with them.

mod generated;
mod variables;

use super::{
    client::Caller,
    introspection::Introspection,
    machine::{CountedIds, HandClock, machine},
    simulation::random::Random,
    world::World,
};
use countersign::{
    app::App,
    graphql::{self, Api, TrustedDocument},
    store::Store,
};
use generated::{Generated, Known};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// How many operations are made up; each is asked three times.
const OPERATIONS: usize = 2_000;

/// Status and body of the answer to a request, without what says how much is left to spend.
async fn said(caller: &Caller, request: &Value) -> (u16, Value) {
    let asked = caller.http.post(format!("http://{}/graphql", caller.address)).json(request);
    let asked = match &caller.credential {
        Some(credential) => asked.bearer_auth(credential),
        None => asked,
    };
    let answered = asked.send().await.unwrap();
    (answered.status().as_u16(), answered.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_before_is_answered_as_if_it_were_new() {
    let world = World::new().await;
    let project = super::store::something(&world).await;
    let (ann, stranger) = (world.ann(), world.stranger());
    let schema = Introspection::of(&ann).await;
    let known = Known { schema: &schema, ids: vec![project, world.template("GOVERNED_BUNDLE").await] };
    let mut random = Random::new(5);
    let mut came_to: BTreeMap<String, usize> = BTreeMap::new();
    for number in 0..OPERATIONS {
        let Generated { text, mut variables, is_mutation } = Generated::new(&known, &mut random);
        // A stranger's changes change nothing; what they hold is looked at all the same.
        let caller = if is_mutation { &stranger } else { &ann };
        for again in 0..3 {
            // A comment makes it another text, which nobody has asked before.
            let new = format!("{text}\n# {number}, {again}");
            let asked = said(caller, &json!({ "query": text, "variables": variables })).await;
            let expected = said(caller, &json!({ "query": new, "variables": variables })).await;
            assert_eq!(asked, expected, "operation {number}, time {again}:\n{text}\n{variables}");
            let code = expected.1.pointer("/errors/0/extensions/code").and_then(Value::as_str).unwrap_or("none");
            *came_to.entry(code.to_owned()).or_default() += 1;
            generated::change(&known, &mut random, &mut variables);
        }
    }
    println!("{came_to:?}, {} documents kept", world.documents_kept());
    for code in ["none", "GRAPHQL_VALIDATION_FAILED", "BAD_REQUEST", "NOT_FOUND", "UNAUTHENTICATED"] {
        assert!(came_to.get(code).is_some_and(|count| *count > 20), "{code} came too seldom: {came_to:?}");
    }
    assert!(world.documents_kept() > OPERATIONS / 10, "few documents were kept: {}", world.documents_kept());
    world.end().await;
}

/// The request with the digest of a document instead of the document.
fn by_digest(text: &str) -> Value {
    json!({ "extensions": { "persistedQuery": { "version": 1, "sha256Hash": digest(text) } } })
}

fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn code(said: &(u16, Value)) -> &str {
    said.1.pointer("/errors/0/extensions/code").and_then(Value::as_str).unwrap_or("none")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_asked_by_its_digest_once_it_was_asked_whole() {
    let world = World::new().await;
    let ann = world.ann();
    let text = "query Mine { viewer { user { name } } }";
    let unknown = said(&ann, &by_digest(text)).await;
    assert_eq!((unknown.0, code(&unknown)), (200, "PERSISTED_QUERY_NOT_FOUND"));
    assert_eq!(unknown.1["errors"][0]["message"], "PersistedQueryNotFound", "the words that clients wait for");
    let mut whole = by_digest(text);
    whole["query"] = json!(text);
    let answered = said(&ann, &whole).await;
    assert_eq!(answered.1["data"]["viewer"]["user"]["name"], "Ann Builder", "{answered:?}");
    assert_eq!(said(&ann, &by_digest(text)).await, answered);
    // Over GET, too; and whoever asks is asked who he is.
    let extensions = by_digest(text)["extensions"].to_string();
    let escaped: String = extensions.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let got = ann.http.get(format!("http://{}/graphql?extensions={escaped}", ann.address));
    let got = got.bearer_auth(ann.credential.as_deref().unwrap()).send().await.unwrap();
    assert_eq!(got.json::<Value>().await.unwrap(), answered.1);
    assert_eq!(code(&said(&world.stranger(), &by_digest(text)).await), "UNAUTHENTICATED");
    for (version, hash) in [(2, digest(text)), (1, digest(text) + "00"), (1, "x".repeat(64))] {
        let extension = json!({ "version": version, "sha256Hash": hash });
        let refused = said(&ann, &json!({ "extensions": { "persistedQuery": extension } })).await;
        assert_eq!(code(&refused), "BAD_REQUEST", "{extension}");
    }
    // The digest of another document is not taken for this one's, and nothing that is not valid is kept.
    whole["query"] = json!("{ viewer { user { id } } }");
    assert_eq!(code(&said(&ann, &whole).await), "BAD_REQUEST");
    let wrong = "{ misspelt }";
    let mut whole = by_digest(wrong);
    whole["query"] = json!(wrong);
    assert_eq!(code(&said(&ann, &whole).await), "GRAPHQL_VALIDATION_FAILED");
    assert_eq!(code(&said(&ann, &by_digest(wrong)).await), "PERSISTED_QUERY_NOT_FOUND");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trusted_documents_are_asked_by_their_ids_and_nothing_else_where_the_operator_says_so() {
    let text = "query Mine($with: Boolean = true) { viewer { user { name @include(if: $with) } } }";
    let other = "{ viewer { user { name } } }";
    let id = format!("sha256:{}", digest(text));
    let documents = TrustedDocument::read_all(&json!({ id.as_str(): text }).to_string()).unwrap();
    let mut world = World::new().await;
    world.api.documents = documents;
    world.restart().await;
    let by_id = json!({ "documentId": id });
    let answered = said(&world.ann(), &by_id).await;
    assert_eq!(answered.1["data"]["viewer"]["user"]["name"], "Ann Builder", "{answered:?}");
    let unknown = said(&world.ann(), &json!({ "documentId": format!("sha256:{}", digest(other)) })).await;
    assert_eq!(code(&unknown), "NOT_FOUND");
    assert_eq!(code(&said(&world.ann(), &json!({ "query": other })).await), "none");

    world.api.only_trusted = true;
    world.restart().await;
    let ann = world.ann();
    for trusted in [by_id, by_digest(text), json!({ "query": text })] {
        assert_eq!(said(&ann, &trusted).await, answered, "{trusted}");
    }
    // What does not fit its variables is told as ever.
    let misfit = said(&ann, &json!({ "documentId": id, "variables": { "with": 7 } })).await;
    assert_eq!(code(&misfit), "GRAPHQL_VALIDATION_FAILED");
    for refused in [json!({ "query": other }), by_digest(other), json!({ "query": "{ __schema { types { name } } }" })]
    {
        assert_eq!(code(&said(&ann, &refused).await), "FORBIDDEN", "{refused}");
    }
    let mut heard = ann.subscribe("subscription { events { cursor } }", Value::Null).await;
    heard.ended("FORBIDDEN").await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_trusted_documents_that_is_wrong_is_told_by_the_document() {
    let why = |file: Value| TrustedDocument::read_all(&file.to_string()).unwrap_err().to_string();
    let wrong = why(json!({ "sha256:00": "{ viewer { user { name } } }" }));
    assert!(
        wrong.starts_with("sha256:00 is not the SHA-256 digest of the document under it; that is sha256:"),
        "{wrong}"
    );
    assert!(why(json!([1])).starts_with("it is neither an object of documents by their ids"));
    // Apollo's manifests are read as well.
    let body = "{ misspelt }";
    let operation = json!({ "id": digest(body), "name": "Mine", "type": "query", "body": body });
    let manifest = json!({ "format": "apollo-persisted-query-manifest", "version": 1, "operations": [operation] });
    let documents = TrustedDocument::read_all(&manifest.to_string()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let machine = machine(&HandClock::new(), CountedIds::from(1));
    let app = App::open(Store::open(directory.path(), &machine).unwrap()).await.unwrap();
    let refused = Api::new(app, &graphql::Options { documents, ..graphql::Options::default() }).err().unwrap();
    let expected =
        format!("the document {} cannot be executed: Unknown field \"misspelt\" on type \"Query\".", digest(body));
    assert_eq!(refused.to_string(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_costs_too_much_to_look_at_is_refused_by_the_limit_that_it_exceeds() {
    let world = World::new().await;
    let ann = world.ann();
    let deep = |levels: usize| format!("{{ viewer {}name{} }}", "{ user ".repeat(levels), " }".repeat(levels));
    let nested = |levels: usize| format!("{{ a(x: {}{}) }}", "[".repeat(levels), "]".repeat(levels));
    let aliased = |count: usize| (0..count).map(|n| format!("a{n}: name ")).collect::<String>();
    let many = [
        (deep(40), "selects fields of fields more than 30 levels deep"),
        (format!("{{ viewer {{ user {{ {} }} }} }}", aliased(501)), "has more than 500 aliases"),
        (format!("{{ {} }}", "viewer { user { id } } ".repeat(101)), "asks more than 100 fields of the schema's root"),
        (
            format!("{{ viewer {{ user {{ {} }} }} }}", "name @skip(if: false) ".repeat(201)),
            "has more than 200 directives",
        ),
        (
            format!("query {} {{ viewer {{ user {{ id }} }} }}", "@skip(if: false) ".repeat(201)),
            "has more than 200 directives",
        ),
        (format!("{{ {} }}", "x ".repeat(1_999)), "has more than 2000 tokens"),
        (nested(63), "nests more than 64 levels deep"),
        // A text that does not end hides nothing behind its line.
        (format!("{{ a(x: \"\n{}", "[".repeat(65)), "nests more than 64 levels deep"),
        (
            format!(
                "{{ viewer {{ user {{ {} {} }} }} }} fragment A on User {{ {} }}",
                "...A ".repeat(48),
                "name @skip(if: false) ".repeat(100),
                "name ".repeat(100)
            ),
            "selects more than 5000 fields",
        ),
    ];
    for (document, why) in many {
        let refused = said(&ann, &json!({ "query": document })).await;
        let message = refused.1["errors"][0]["message"].as_str().unwrap();
        assert_eq!(code(&refused), "LIMIT_EXCEEDED", "{message}");
        assert!(message.contains(why), "{message}");
    }
    let within = format!("{{ viewer {{ user {{ {} }} }} }}", aliased(300));
    // Nor are brackets counted that stand in a comment or a text.
    let brackets = "[".repeat(100);
    for text in [format!("\"\\\"{brackets}\""), format!("\"\"\"\\\"\"\"{brackets}\"\"\"")] {
        let quoted = format!("# {brackets}\n{{ governedItems(filter: {{ text: {text} }}) {{ nodes {{ id }} }} }}");
        assert_eq!(code(&said(&ann, &json!({ "query": quoted })).await), "none", "{quoted}");
    }
    assert_eq!(code(&said(&ann, &json!({ "query": nested(62) })).await), "GRAPHQL_VALIDATION_FAILED");
    assert_eq!(code(&said(&ann, &json!({ "query": within })).await), "none");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_of_documents_has_its_limit() {
    let world = World::new().await;
    let ann = world.ann();
    for number in 0..6 {
        let document = format!("{{ __typename }} # {number}{}", "x".repeat(100_000));
        assert_eq!(code(&said(&ann, &json!({ "query": document })).await), "none");
    }
    // Of half a million bytes.
    assert!(world.documents_kept() <= 5, "{} documents are kept", world.documents_kept());
    world.end().await;
}
