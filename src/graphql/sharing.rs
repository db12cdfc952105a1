//! What subscribers have in common: one document without what only says where to begin, and what was told of it lately.
//! Never shares what an answer shows by somebody's rights: only documents that select nothing but recorded facts.

use super::{
    listening::Told,
    root_field::{chosen, chosen_mut},
};
use crate::{
    app::StreamItem,
    domain::id::TenantId,
    limits::{TOLD_BYTES_MAX, TOLD_MAX},
};
use async_graphql::{
    Name, Positioned, Request, Value, Variables,
    parser::types::{
        Directive, ExecutableDocument, Field, FragmentDefinition, OperationDefinition, Selection, SelectionSet,
    },
};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError, Weak},
};
use tokio::sync::OnceCell;

/// The fields that say the same to everyone who may read the event: what was recorded, and never an object. Whoever may
/// not read the event is not told of it at all. What is not in this list is worded for each subscriber.
const FACTS: [(&str, &[&str]); 2] = [
    ("EventEdge", &["cursor"]),
    (
        "TimelineEvent",
        &[
            "action",
            "at",
            "attribute",
            "code",
            "comment",
            "contentDigest",
            "cursor",
            "cycle",
            "decision",
            "deploymentId",
            "feedbackStatus",
            "groups",
            "kind",
            "name",
            "number",
        ],
    ),
];

/// A subscription's document, as everyone who sent it hears it.
pub(super) struct Operation {
    document: ExecutableDocument,
    name: Option<String>,
    variables: Variables,
    /// Whether it selects recorded facts only.
    of_facts: bool,
    told: Mutex<VecDeque<(Moment, Cell)>>,
}

type Cell = Arc<OnceCell<Arc<Told>>>;

/// What is told, of one organisation's log.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Moment {
    is_event: bool,
    number: u64,
    events: u32,
}

/// The operations that somebody listens to.
#[derive(Default)]
pub(super) struct Operations {
    known: Mutex<HashMap<[u8; 32], Weak<Operation>>>,
}

impl Operations {
    /// The operation of a request that was found valid, one for all who sent the same; none where the document has not
    /// the operation that it names.
    pub(super) fn shared(&self, tenant: TenantId, mut request: Request) -> Option<Arc<Operation>> {
        let mut document = request.parsed_query().ok()?.clone();
        let name = request.operation_name;
        let variables = without_beginning(&mut document, name.as_deref(), request.variables)?;
        let digest = digest(tenant, &document, name.as_deref(), &variables)?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(operation) = known.get(&digest).and_then(Weak::upgrade) {
            return Some(operation);
        }
        let of_facts = chosen(&document, name.as_deref()).is_some_and(|operation| selects_facts(&document, operation));
        let operation = Arc::new(Operation { document, name, variables, of_facts, told: Mutex::default() });
        if known.len() == known.capacity() {
            known.retain(|_, operation| operation.strong_count() > 0);
        }
        known.insert(digest, Arc::downgrade(&operation));
        Some(operation)
    }
}

impl Operation {
    /// The request that words one thing that is to be told.
    pub(super) fn request(&self) -> Request {
        let mut request = Request::new(String::new()).variables(self.variables.clone());
        request.operation_name.clone_from(&self.name);
        request.set_parsed_query(self.document.clone());
        request
    }

    /// Where the words of what is told lie that are the same for all; none where each has his own.
    pub(super) fn words(self: &Arc<Self>, item: &StreamItem) -> Option<Cell> {
        let moment = match item {
            StreamItem::Event(recorded, _) if self.of_facts => {
                Moment { is_event: true, number: recorded.position.number, events: recorded.position.events }
            }
            StreamItem::Event(..) => return None,
            // Says how far one has heard everything, and nothing else.
            StreamItem::Checkpoint(at) => Moment { is_event: false, number: at.number, events: at.events },
        };
        // Whoever is alone with his document keeps nothing for others.
        if Arc::strong_count(self) == 1 {
            return None;
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, words)) = told.iter().rev().find(|(known, _)| *known == moment) {
            return Some(Arc::clone(words));
        }
        let bytes = |told: &VecDeque<(Moment, Cell)>| -> usize {
            told.iter().filter_map(|(_, words)| words.get()).map(|told| told.json.len()).sum()
        };
        while told.len() >= TOLD_MAX || bytes(&told) > TOLD_BYTES_MAX {
            told.pop_front();
        }
        let words = Cell::default();
        told.push_back((moment, Arc::clone(&words)));
        Some(words)
    }
}

/// Takes away where the subscription begins and what it filters, which is decided when it is opened: whoever goes on
/// after another position hears the same words. Answers the variables that are still in use.
fn without_beginning(
    document: &mut ExecutableDocument,
    name: Option<&str>,
    mut variables: Variables,
) -> Option<Variables> {
    let mut used = BTreeSet::new();
    for fragment in document.fragments.values() {
        used_in(&fragment.node.selection_set.node, &mut used);
    }
    let operation = chosen_mut(document, name)?;
    for selection in &mut operation.node.selection_set.node.items {
        if let Selection::Field(field) = &mut selection.node {
            field.node.arguments.clear();
        }
    }
    used_by(&operation.node.directives, &mut used);
    used_in(&operation.node.selection_set.node, &mut used);
    operation.node.variable_definitions.retain(|definition| used.contains(&definition.node.name.node));
    variables.retain(|name, _| used.contains(name));
    Some(variables)
}

fn used_in(selections: &SelectionSet, used: &mut BTreeSet<Name>) {
    for selection in &selections.items {
        used_by(selection.node.directives(), used);
        match &selection.node {
            Selection::Field(field) => {
                for (_, value) in &field.node.arguments {
                    value.node.clone().into_const_with(noted(used)).ok();
                }
                used_in(&field.node.selection_set.node, used);
            }
            Selection::InlineFragment(inline) => used_in(&inline.node.selection_set.node, used),
            Selection::FragmentSpread(_) => {}
        }
    }
}

fn used_by(directives: &[Positioned<Directive>], used: &mut BTreeSet<Name>) {
    for (_, value) in directives.iter().flat_map(|directive| &directive.node.arguments) {
        value.node.clone().into_const_with(noted(used)).ok();
    }
}

/// Notes each variable that a value names; what the value would be is not asked.
fn noted(used: &mut BTreeSet<Name>) -> impl FnMut(Name) -> Result<Value, ()> {
    |name| {
        used.insert(name);
        Ok(Value::Null)
    }
}

/// What makes two operations the same, and never by what a client calls them.
fn digest(
    tenant: TenantId,
    document: &ExecutableDocument,
    name: Option<&str>,
    variables: &Variables,
) -> Option<[u8; 32]> {
    let fragments: BTreeMap<&Name, &Positioned<FragmentDefinition>> = document.fragments.iter().collect();
    let all = serde_json::to_vec(&(chosen(document, name)?, fragments, variables)).ok()?;
    Some(Sha256::new().chain_update(tenant.uuid().as_bytes()).chain_update(all).finalize().into())
}

fn selects_facts(document: &ExecutableDocument, operation: &Positioned<OperationDefinition>) -> bool {
    let [Positioned { node: Selection::Field(root), .. }] = operation.node.selection_set.node.items.as_slice() else {
        return false;
    };
    root.node.name.node == "events" && are_facts(document, &root.node, "EventEdge")
}

/// Whether everything that a field selects of a type is recorded.
fn are_facts(document: &ExecutableDocument, field: &Field, of: &str) -> bool {
    all_facts(document, &field.selection_set.node, of)
}

fn all_facts(document: &ExecutableDocument, selections: &SelectionSet, of: &str) -> bool {
    selections.items.iter().all(|selection| match &selection.node {
        Selection::Field(field) if of == "EventEdge" && field.node.name.node == "node" => {
            are_facts(document, &field.node, "TimelineEvent")
        }
        Selection::Field(field) => is_recorded_fact(of, &field.node.name.node),
        Selection::InlineFragment(inline) => {
            let condition = inline.node.type_condition.as_ref();
            condition.is_none_or(|condition| condition.node.on.node == of)
                && all_facts(document, &inline.node.selection_set.node, of)
        }
        Selection::FragmentSpread(spread) => {
            let fragment = document.fragments.get(&spread.node.fragment_name.node);
            fragment.is_some_and(|fragment| {
                fragment.node.type_condition.node.on.node == of
                    && all_facts(document, &fragment.node.selection_set.node, of)
            })
        }
    })
}

/// Whether a field of a type says the same to everyone who may read the event that it is of.
pub fn is_recorded_fact(of: &str, field: &str) -> bool {
    field == "__typename" || FACTS.iter().any(|(known, facts)| *known == of && facts.contains(&field))
}
