//! What single fields cost and how many rows they answer, where that is not what every other field's is: one table.
//! Never counts: `cost` does. A name that the schema does not have is refused when the server starts.

/// What an operation costs before its first field: the credential, the document, the answer.
pub(in crate::graphql) const OPERATION: u64 = 10;

/// What a field costs that only looks something up.
pub(super) const FIELD: u64 = 1;

/// What a mutation costs beside the fields of its answer: a turn of the writer, and its share of a sync.
pub(super) const MUTATION: u64 = 100;

/// What a subscription costs to begin: a reader of the log, for as long as it lasts.
pub(super) const SUBSCRIPTION: u64 = 100;

/// What counting a list costs: up to 1,000 rows are looked at, and none is answered.
pub(super) const TOTAL: u64 = 200;

/// How many rows a list without pages is taken to have.
pub(super) const LIST_ROWS: u64 = 10;

/// How many wrappings a type of this schema has at most (`[T!]!`): what clients ask for inside of those is null.
pub(super) const WRAPPINGS_MAX: u64 = 3;

/// Fields that take more than a look-up.
pub(super) const WEIGHTS: &[(&str, u64)] = &[
    // Every right of the object, with every ground for it.
    ("Query.explainAccess", 50),
    // Every rule of the organisation, for each row and type.
    ("Query.authorizationMatrix", 200),
    ("Authorization.onTypes", 200),
    // All sign-offs are looked at.
    ("Query.myReviewTasks", 100),
    // Pages of the log: up to 10,000 commits are read where a filter leaves most of them out.
    ("Query.events", 500),
    ("Query.timeline", 500),
    ("User.activity", 200),
    ("GovernedItem.timeline", 50),
    // All that lies below the item.
    ("GovernedItem.deletionPreview", 200),
    // A password is hashed for tens of milliseconds; how often that happens is the business of `app/throttle.rs`.
    ("Mutation.signIn", 500),
    ("Mutation.setPassword", 500),
    ("Mutation.changePassword", 500),
];

/// Lists without pages that are longer or shorter than others.
pub(super) const LISTS: &[(&str, u64)] = &[
    ("GovernedItem.children", 25),
    ("GovernedItem.steps", 5),
    ("Group.members", 25),
    ("Query.myReviewTasks", 25),
    ("Authorization.onTypes", 5),
];

/// Fields that do something for each row of their input: in which argument the rows stand, under which key, and what
/// each costs.
pub(super) const INPUTS: &[(&str, &[&str], u64)] = &[
    ("Query.nodes", &["ids"], 1),
    ("Mutation.syncSourceObjects", &["input", "objects"], 20),
    ("Mutation.deleteSourceObjects", &["input", "objects"], 20),
    ("Mutation.createUsers", &["input", "users"], 20),
    ("Mutation.updateUsers", &["input", "users"], 20),
    ("Mutation.deleteUsers", &["input", "users"], 20),
];

/// Lists that have as many rows as the input of the field above, or the page of the connection above.
pub(super) const ROWS_OF_PARENT: &[&str] = &["edges", "nodes", "results"];
