//! To whom the schema describes itself, and to whom the engine offers names for misspelt ones.

use super::{client::Caller, way::WAYS, world::World};
use countersign::graphql::{Introspection, Options};
use serde_json::json;

/// What graphql-js 16 asks for with every option of `getIntrospectionQuery` on.
pub const FULL: &str = "
    query IntrospectionQuery {
      __schema {
        description
        queryType { name kind }
        mutationType { name kind }
        subscriptionType { name kind }
        types { ...FullType }
        directives { name description isRepeatable locations args(includeDeprecated: true) { ...InputValue } }
      }
    }
    fragment FullType on __Type {
      kind name description specifiedByURL isOneOf
      fields(includeDeprecated: true) {
        name description
        args(includeDeprecated: true) { ...InputValue }
        type { ...TypeRef }
        isDeprecated deprecationReason
      }
      inputFields(includeDeprecated: true) { ...InputValue }
      interfaces { ...TypeRef }
      enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
      possibleTypes { ...TypeRef }
    }
    fragment InputValue on __InputValue {
      name description type { ...TypeRef } defaultValue isDeprecated deprecationReason
    }
    fragment TypeRef on __Type {
      kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType {
        kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } } }
    }";

const SCHEMA: &str = "{ __schema { queryType { name } } }";

async fn shown(world: &mut World, introspection: Introspection) {
    world.api = Options { introspection, ..world.api.clone() };
    world.restart().await;
}

async fn status(caller: &Caller, query: &str) -> u16 {
    let request = caller.http.post(format!("http://{}/graphql", caller.address)).json(&json!({ "query": query }));
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_is_described_to_those_who_are_signed_in() {
    let mut world = World::new().await;
    let asked = [
        SCHEMA,
        "{ __type(name: \"User\") { name } }",
        "{ harmless: __schema { queryType { name } } }",
        "{ ...A } fragment A on Query { ...B } fragment B on Query { ... on Query { __type(name: \"User\") { name } } }",
        "{ viewer { user { id } } __schema { types { name } } }",
        FULL,
    ];
    let told = "Sign in first: this server describes its schema to those who are signed in.";
    for query in asked {
        for way in WAYS {
            for nobody in [world.stranger(), world.with_credential("a forger", Some("forged"))] {
                let answer = nobody.ask_by(way, query, json!({})).await;
                // A socket that presents what is not valid is not opened at all.
                if answer.code() == "closed: 4403" {
                    continue;
                }
                answer.refused("UNAUTHENTICATED");
                let message = answer.body["errors"][0]["message"].as_str().unwrap();
                let stream = message == "The credential is not valid any more.";
                assert!(message.starts_with(told) || stream, "{way:?} {query}: {message}");
                assert!(answer.body.get("data").is_none(), "{way:?} {query}: {:#}", answer.body);
            }
            for caller in [world.ann(), world.design_1(), world.operator()] {
                caller.ask_by(way, query, json!({})).await.refused("ok");
            }
        }
        assert_eq!(status(&world.stranger(), query).await, 401);
    }
    // Whoever leaves it out asks for nothing of it, and the name of a type is in every client's queries.
    let left_out = "query($with: Boolean!) { __typename __schema @include(if: $with) { queryType { name } } }";
    world.stranger().ask(left_out, json!({ "with": false })).await.done();
    world.stranger().ask("{ __typename }", json!({})).await.done();

    shown(&mut world, Introspection::Everyone).await;
    world.stranger().ask(FULL, json!({})).await.done();
    shown(&mut world, Introspection::Nobody).await;
    for caller in [world.stranger(), world.ann()] {
        let answer = caller.ask(SCHEMA, json!({})).await;
        answer.refused("FORBIDDEN");
        let message = answer.body["errors"][0]["message"].as_str().unwrap();
        assert_eq!(message, "This server describes its schema to nobody. Print it with: countersign schema");
        caller.ask("{ __typename }", json!({})).await.done();
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_offered_to_those_who_are_signed_in() {
    let world = World::new().await;
    let misspelt = [
        ("{ viewr { user { id } } }", "Unknown field \"viewr\" on type \"Query\"."),
        ("{ governedItems(firs: 3) { nodes { id } } }", "Unknown argument \"firs\" on field"),
    ];
    for (query, told) in misspelt {
        for way in WAYS {
            let said = async |caller: Caller| {
                let body = caller.ask_by(way, query, json!({})).await.refused("GRAPHQL_VALIDATION_FAILED").body.clone();
                body["errors"].as_array().unwrap().iter().map(|error| error["message"].to_string()).collect::<String>()
            };
            let (known, stranger) = (said(world.ann()).await, said(world.stranger()).await);
            let told = told.replace('"', "\\\"");
            assert!(known.contains(&told) && known.contains("Did you mean"), "{way:?} {query}: {known}");
            assert!(stranger.contains(&told) && !stranger.contains("id you mean"), "{way:?} {query}: {stranger}");
        }
    }
    world.end().await;
}
