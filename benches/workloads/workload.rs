//! The workloads: what is asked, of whom, about what. Documents travel whole with each request, as from most clients.
//! Never the same caller and object twice in a row: both are drawn by seeded chance.

use crate::{
    data::{Organisation, Project, World},
    load::request,
    machine::{Chance, Fault},
};
use serde_json::{Value, json};

/// One project with its steps, source object, bundles with their sign-offs, and reviewers.
const PROJECT: &str = r#"query Project($id: ID!) {
  node(id: $id) {
    ... on GovernedItem {
      id revision itemType name createdAt changedAt
      steps { key status }
      sourceObjects { id kind key name description validationStatus }
      children(itemType: GOVERNED_BUNDLE) { id name step(key: "review") { status signOff { id status } } }
      business: field(key: "reviewers_business") { ...people }
      approvers: field(key: "final_approvers") { ...people }
    }
  }
}
fragment people on FieldValue { ... on ListValue { values { ... on PersonValue { user { id name } } } } }"#;

/// A page of the bundle registry with the project of each bundle.
const REGISTRY: &str = "query Registry($first: Int!, $after: String) {
  bundleRegistry(first: $first, after: $after) {
    nodes { id revision name createdAt ongoingStep { key } parent { id name } }
    pageInfo { hasNextPage endCursor }
  }
}";

/// The first bundles of one project, as a filter of the registry.
const UNDER: &str = "query Under($id: ID!) {
  bundleRegistry(first: 20, filter: { under: $id }) { nodes { id name ongoingStep { key } } }
}";

/// Who asks.
const VIEWER: &str = "{ viewer { user { id name } } }";

/// Asks for feedback and tells two reviewers.
const FEEDBACK: &str = "mutation Ask($input: RequestFeedbackInput!) {
  requestFeedback(input: $input) { userErrors { code } signOff { id status } cursor }
}";

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Read {
    /// One project.
    Q1,
    /// A registry page of 50 bundles.
    Q2,
    /// The same with 100 bundles: twice the rows.
    Q2Twice,
    /// The page of 50 that begins after four fifths of the list.
    Q2Deep,
    /// The first 20 bundles of one project by a filter of the registry.
    Q2Under,
    /// Who asks.
    Q3,
}

impl Read {
    pub(crate) const ALL: [Self; 6] = [Self::Q1, Self::Q2, Self::Q2Twice, Self::Q2Deep, Self::Q2Under, Self::Q3];

    /// What the report calls it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Q1 => "Q1",
            Self::Q2 => "Q2",
            Self::Q2Twice => "Q2-twice",
            Self::Q2Deep => "Q2-deep",
            Self::Q2Under => "Q2-under",
            Self::Q3 => "Q3",
        }
    }

    /// Whether the naive server answers it.
    pub(crate) const fn is_naive_too(self) -> bool {
        matches!(self, Self::Q1 | Self::Q2 | Self::Q2Twice | Self::Q3)
    }

    fn body(self, tenant: &Organisation, project: &Project) -> Value {
        match self {
            Self::Q1 => json!({ "query": PROJECT, "variables": { "id": project.id } }),
            Self::Q2 => json!({ "query": REGISTRY, "variables": { "first": 50 } }),
            Self::Q2Twice => json!({ "query": REGISTRY, "variables": { "first": 100 } }),
            Self::Q2Deep => json!({ "query": REGISTRY, "variables": { "first": 50, "after": tenant.deep } }),
            Self::Q2Under => json!({ "query": UNDER, "variables": { "id": project.id } }),
            Self::Q3 => json!({ "query": VIEWER }),
        }
    }

    /// So many questions with the credentials of who asks them, each of a random person about a random project of hers.
    pub(crate) fn asked(self, world: &World, count: usize) -> Result<Vec<(String, Value)>, Fault> {
        let mut chance = Chance::new(17);
        let one = |_| {
            let tenant = chance.one_of(&world.tenants).ok_or("the world is empty")?;
            let person = chance.one_of(&tenant.people).ok_or("an organisation without people")?;
            let project = chance.one_of(&tenant.projects).ok_or("an organisation without projects")?;
            Ok((person.clone(), self.body(tenant, project)))
        };
        (0..count).map(one).collect()
    }

    /// The same as HTTP requests.
    pub(crate) fn requests(self, world: &World, path: &str, count: usize) -> Result<Vec<Vec<u8>>, Fault> {
        let asked = self.asked(world, count)?.into_iter();
        Ok(asked.map(|(person, body)| request(path, &person, &body.to_string())).collect())
    }
}

/// One request for feedback for every sign-off that nobody has asked for, in random order; at most so many.
pub(crate) fn mutations(world: &World, path: &str, count: usize) -> Vec<Vec<u8>> {
    let mut chance = Chance::new(29);
    let mut all: Vec<(&Organisation, &Project, &String)> = world
        .tenants
        .iter()
        .flat_map(|tenant| tenant.projects.iter().map(move |project| (tenant, project)))
        .flat_map(|(tenant, project)| project.untouched.iter().map(move |sign_off| (tenant, project, sign_off)))
        .collect();
    for n in (1..all.len()).rev() {
        all.swap(n, chance.below(n + 1));
    }
    let asked = all.into_iter().take(count).filter_map(|(tenant, project, sign_off)| {
        let notify = json!([{ "group": "business", "users": project.reviewers }]);
        let input = json!({ "signOffId": sign_off, "notify": notify });
        let body = json!({ "query": FEEDBACK, "variables": { "input": input } }).to_string();
        Some(request(path, chance.one_of(&tenant.builders)?, &body))
    });
    asked.collect()
}

/// How many scalars an answer holds.
pub(crate) fn scalars(value: &Value) -> usize {
    match value {
        Value::Array(values) => values.iter().map(scalars).sum(),
        Value::Object(fields) => fields.values().map(scalars).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 1,
    }
}
