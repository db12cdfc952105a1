//! Variables by the specification: where one may stand, and what it may hold.

use super::{code, said};
use crate::world::World;
use serde_json::{Value, json};

const PAGE: &str = "query Q($n: Int!) { governedItems(first: $n) { nodes { name } } }";
const CHOICE: &str = "query Q($ids: [ID!]!) { nodes(ids: $ids) { id } }";
const KINDS: &str = "query Q($filter: GovernedItemFilter) { governedItems(filter: $filter) { nodes { name } } }";
const GROUP: &str = "mutation Q($input: CreateGroupInput!) { createGroup(input: $input) { userErrors { code } } }";
const FIELDS: &str = "mutation Q($fields: [FieldInput!]) {
    createGovernedProject(input: { templateId: \"a\", name: \"N\", fields: $fields }) { userErrors { code } } }";
const VALUE: &str = "mutation Q($value: FieldValueInput!) { createGovernedProject(
    input: { templateId: \"a\", name: \"N\", fields: [{ key: \"k\", value: $value }] }) { userErrors { code } } }";
const ONE_OF: &str = "The variable $value does not fit: value must have exactly one field, and that not null.";

/// Documents with variables, and what is wrong with them.
fn misfits() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        (PAGE, json!({}), "The variable $n is a Int! and has no value. Send one among the variables."),
        (PAGE, json!({ "n": null }), "The variable $n does not fit: n must be a Int!, and is null."),
        (PAGE, json!({ "n": "7" }), "The variable $n does not fit: n must be a Int!, and is a text."),
        (PAGE, json!({ "n": 2_147_483_648_u64 }), "The variable $n does not fit: n must be a Int!, and is a number."),
        (CHOICE, json!({ "ids": ["a", null] }), "The variable $ids does not fit: ids.1 must be a ID!, and is null."),
        (
            KINDS,
            json!({ "filter": { "and": [{ "signOffStatus": ["DONE"] }] } }),
            "The variable $filter does not fit: filter.and.0.signOffStatus.0 must be one of ",
        ),
        (
            KINDS,
            json!({ "filter": { "colour": "red" } }),
            "The variable $filter does not fit: filter has no field colour: it is a GovernedItemFilter.",
        ),
        (CHOICE, json!({ "ids": [7.5] }), "The variable $ids does not fit: ids.0 must be a ID!, and is a number."),
        (
            CHOICE,
            json!({ "ids": [true] }),
            "The variable $ids does not fit: ids.0 must be a ID!, and is true or false.",
        ),
        (
            GROUP,
            json!({ "input": { "name": 7 } }),
            "The variable $input does not fit: input.name must be a String!, and is a number.",
        ),
        (VALUE, json!({ "value": { "text": "a", "integer": 1 } }), ONE_OF),
        (VALUE, json!({ "value": { "text": null } }), ONE_OF),
        (VALUE, json!({ "value": {} }), ONE_OF),
        (GROUP, json!({ "input": {} }), "The variable $input does not fit: input lacks name, which must be a String!."),
    ]
}

/// Documents whose variables stand where their types do not belong.
const MISPLACED: [(&str, &str); 8] = [
    (
        "query Q($n: String) { governedItems(first: $n) { nodes { name } } }",
        "The variable $n is a String and stands where a Int belongs. Declare it as $n: Int",
    ),
    (
        "query Q($id: ID) { node(id: $id) { id } }",
        "The variable $id is a ID and stands where a ID! belongs. Declare it as $id: ID!",
    ),
    (
        "query Q($id: ID!) { nodes(ids: $id) { id } }",
        "The variable $id is a ID! and stands where a [ID!]! belongs. Declare it as $id: [ID!]!",
    ),
    (
        "query Q($text: ID) { ...inner } fragment inner on Query { governedItems(filter: { text: $text }) { nodes { id } } }",
        "The variable $text is a ID and stands where a String belongs. Declare it as $text: String",
    ),
    (
        "query Q($with: Boolean) { viewer { user { name @include(if: $with) } } }",
        "The variable $with is a Boolean and stands where a Boolean! belongs. Declare it as $with: Boolean!",
    ),
    // A default that is null fills nothing.
    (
        "query Q($with: Boolean = null) { viewer { user { name @include(if: $with) } } }",
        "The variable $with is a Boolean and stands where a Boolean! belongs. Declare it as $with: Boolean!",
    ),
    (
        "query Q($id: ID) { nodes(ids: [\"a\", $id]) { id } }",
        "The variable $id is a ID and stands where a ID! belongs. Declare it as $id: ID!",
    ),
    // What is chosen of several is never null.
    (
        "mutation Q($text: String) { createGovernedProject(input: { templateId: \"a\", name: \"N\", fields: [{ key: \"k\", value: { text: $text } }] }) { userErrors { code } } }",
        "The variable $text is a String and stands where a String! belongs. Declare it as $text: String!",
    ),
];

/// What the specification allows.
fn fitting() -> Vec<(&'static str, Value)> {
    vec![
        (PAGE, json!({ "n": 5, "unused": true })),
        (CHOICE, json!({ "ids": [] })),
        // One value stands for a list of it, and a number for an id.
        (CHOICE, json!({ "ids": 7 })),
        (KINDS, json!({})),
        (KINDS, json!({ "filter": { "signOffStatus": "APPROVED" } })),
        // A default fills a place that must not be empty.
        ("query Q($with: Boolean = true) { viewer { user { name @include(if: $with) } } }", json!({})),
        (FIELDS, json!({})),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_stands_where_its_type_belongs_and_holds_a_value_of_it() {
    let world = World::new().await;
    let ann = world.ann();
    let ask =
        async |query: &str, variables: &Value| said(&ann, &json!({ "query": query, "variables": variables })).await;
    for (query, variables) in fitting() {
        for _ in 0..2 {
            let answered = ask(query, &variables).await;
            assert!(["none", "NOT_FOUND"].contains(&code(&answered)), "{query} {variables}: {answered:?}");
            assert!(answered.1.get("data").is_some(), "{query} {variables}: {answered:?}");
        }
    }
    for (query, variables, why) in misfits() {
        let refused = ask(query, &variables).await;
        let message = refused.1["errors"][0]["message"].as_str().unwrap();
        assert!(message.starts_with(why), "{message}");
        assert_eq!(code(&refused), "GRAPHQL_VALIDATION_FAILED");
        assert_eq!(refused.1["errors"][0]["locations"][0]["line"], 1, "{refused:?}");
        assert_eq!(refused.1.get("data"), None, "{refused:?}");
    }
    // Where a value is missing the rules pass over what stands around it: such a document is not taken for valid.
    let unseen = "query Q($text: String) { governedItems(filter: { text: $text, archived: 7 }) { nodes { id } } }";
    for (time, variables) in [json!({}), json!({}), json!({ "text": "a" })].iter().enumerate() {
        let new = ask(&format!("{unseen} # {time}"), variables).await;
        assert_eq!(ask(unseen, variables).await, new, "time {time}");
    }
    for (query, why) in MISPLACED {
        let given = json!({ "n": "7", "id": "a", "text": "a", "with": true });
        let refused = ask(query, &given).await;
        assert_eq!(code(&refused), "GRAPHQL_VALIDATION_FAILED", "{query}");
        assert_eq!(refused.1.get("data"), None, "{refused:?}");
        // Where the rules of the engine see the value, they say that in their words; without it, it is the variable's type.
        let without = ask(query, &json!({})).await;
        let messages = [&refused, &without].map(|answer| answer.1["errors"][0]["message"].as_str().unwrap_or_default());
        assert!(messages.contains(&why), "{messages:?}");
    }
    world.end().await;
}
