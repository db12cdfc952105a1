//! Pages of registries: every window of every order is the slice of the whole list that it should be.
//! Never trusts a page alone: each is compared with the list, read at once.

use super::{client::Caller, operations::digest, world::World};
use serde_json::{Value, json};

const QUERY: &str =
    "query($filter: GovernedItemFilter, $order: GovernedItemOrder, $first: Int, $after: String, $last: Int,
    $before: String) { bundleRegistry(filter: $filter, orderBy: $order, first: $first, after: $after, last: $last,
    before: $before) { totalCount { count isMore } edges { cursor node { name } } pageInfo { hasNextPage hasPreviousPage } } }";

/// A project with so many governed bundles; some of the names are equal but for their case.
async fn bundles(world: &World, project: &str, count: usize) -> String {
    let template = world.template("GOVERNED_PROJECT").await;
    let item = world.ann().create_project(&template, project).await.text("/createGovernedProject/item/id");
    let mut objects = vec![json!({ "kind": "PROJECT", "key": project, "name": project })];
    objects.extend((0..count).map(|n| {
        let key = format!("{project}-{n}");
        let digest = digest(&key);
        json!({ "kind": "BUNDLE", "key": key, "name": format!("{project} {}", n % 5), "parentKey": project, "contentDigest": digest })
    }));
    let source = world.design_1().sync(json!(objects)).await.text("/syncSourceObjects/results/0/sourceObject/id");
    let existing = json!([{ "kind": "BUNDLE", "templateId": world.template("GOVERNED_BUNDLE").await }]);
    let govern = json!({ "sourceObjectId": source, "itemId": item, "existingChildren": existing });
    world.ann().govern(govern).await.done();
    item
}

async fn page(caller: &Caller, filter: &Value, order: &str, window: Value) -> Value {
    let mut variables = json!({ "filter": filter, "order": order });
    variables.as_object_mut().unwrap().extend(window.as_object().unwrap().clone());
    caller.ask(QUERY, variables).await.at("/bundleRegistry")
}

/// What a window of a list must answer.
fn slice(all: &[Value], after: Option<usize>, before: Option<usize>, size: usize, from_end: bool) -> Value {
    let begin = after.map_or(0, |row| row + 1);
    let end = before.unwrap_or(all.len()).max(begin);
    let (begin, end) =
        if from_end { (end.saturating_sub(size).max(begin), end) } else { (begin, end.min(begin + size)) };
    let flags = json!({ "hasNextPage": end < all.len(), "hasPreviousPage": begin > 0 });
    json!({ "totalCount": { "count": all.len(), "isMore": false }, "edges": &all[begin..end], "pageInfo": flags })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_window_of_a_registry_is_a_slice_of_it() {
    let world = World::new().await;
    let first = bundles(&world, "ONE", 9).await;
    bundles(&world, "TWO", 4).await;
    let ann = world.ann();
    let orders = ["CREATED_ASCENDING", "CREATED_DESCENDING", "NAME_ASCENDING", "NAME_DESCENDING", "CHANGED_DESCENDING"];
    for (filter, rows) in [(Value::Null, 13), (json!({ "under": first }), 9), (json!({ "text": "o 1" }), 1)] {
        for order in orders {
            let whole = page(&ann, &filter, order, json!({ "first": 100 })).await;
            let all = whole["edges"].as_array().unwrap().clone();
            assert_eq!(all.len(), rows, "{order} of {filter}");
            let places = [None, Some(0), Some(rows / 2), Some(rows - 1)];
            for (after, before) in places.iter().flat_map(|after| places.map(|before| (*after, before))) {
                for (size, from_end) in [(0, false), (2, false), (20, false), (2, true), (20, true)] {
                    let cursor = |row: Option<usize>| row.map(|row| all[row]["cursor"].clone());
                    let mut window = json!({ "after": cursor(after), "before": cursor(before) });
                    window[if from_end { "last" } else { "first" }] = json!(size);
                    // Two ends that have crossed leave nothing, and what is said of their outside is nobody's matter.
                    if after.zip(before).is_some_and(|(after, before)| after >= before) {
                        assert_eq!(page(&ann, &filter, order, window).await["edges"], json!([]));
                        continue;
                    }
                    let expected = slice(&all, after, before, size, from_end);
                    let said = page(&ann, &filter, order, window.clone()).await;
                    assert_eq!(said, expected, "{order} of {filter}, {window}");
                }
            }
        }
    }
    world.end().await;
}
