//! The fields that a subscription begins with, wherever in its document they stand: the specification collects them from
//! fragments too, and the engine does not.
//! Never decides whether the document is valid: the engine's rules do, on what was sent.

use async_graphql::{
    InputType, Name, Positioned, Value, Variables,
    parser::types::{
        Directive, DocumentOperations, ExecutableDocument, Field, FragmentDefinition, OperationDefinition,
        OperationType, Selection, SelectionSet,
    },
};
use std::collections::{BTreeSet, HashMap};

/// The type whose fields they are.
pub(super) const SUBSCRIPTION: &str = "Subscription";

/// The operation of a name; the first where none is named.
pub(super) fn chosen<'d>(
    document: &'d ExecutableDocument,
    name: Option<&str>,
) -> Option<&'d Positioned<OperationDefinition>> {
    match (&document.operations, name) {
        (DocumentOperations::Single(operation), _) => Some(operation),
        (DocumentOperations::Multiple(operations), Some(name)) => operations.get(name),
        (DocumentOperations::Multiple(operations), None) => operations.values().next(),
    }
}

/// The same, to be changed.
pub(super) fn chosen_mut<'d>(
    document: &'d mut ExecutableDocument,
    name: Option<&str>,
) -> Option<&'d mut Positioned<OperationDefinition>> {
    match (&mut document.operations, name) {
        (DocumentOperations::Single(operation), _) => Some(operation),
        (DocumentOperations::Multiple(operations), Some(name)) => operations.get_mut(name),
        (DocumentOperations::Multiple(operations), None) => operations.values_mut().next(),
    }
}

/// Has a subscription select its fields directly, each response name once.
pub(super) fn gather(document: &mut ExecutableDocument, name: Option<&str>, variables: &Variables) {
    let Some(operation) = chosen(document, name).filter(|operation| operation.node.ty == OperationType::Subscription)
    else {
        return;
    };
    let mut gathering = Gathering { fragments: &document.fragments, variables, seen: BTreeSet::new(), fields: vec![] };
    gathering.collect(&operation.node.selection_set.node);
    let fields = gathering.fields.into_iter().map(|field| Positioned::new(Selection::Field(field.clone()), field.pos));
    let fields = fields.collect();
    if let Some(operation) = chosen_mut(document, name) {
        operation.node.selection_set.node.items = fields;
    }
    // They stand nowhere any more; what only they name must not tell two subscriptions apart.
    document.fragments.retain(|_, fragment| !is_of_root(fragment));
}

/// Whether a fragment holds fields that a subscription may begin with.
pub(super) fn is_of_root(fragment: &Positioned<FragmentDefinition>) -> bool {
    fragment.node.type_condition.node.on.node == SUBSCRIPTION
}

/// `CollectFields` of the specification.
struct Gathering<'d> {
    fragments: &'d HashMap<Name, Positioned<FragmentDefinition>>,
    variables: &'d Variables,
    /// A fragment counts once, however often it is named.
    seen: BTreeSet<&'d Name>,
    fields: Vec<Positioned<Field>>,
}

impl<'d> Gathering<'d> {
    fn collect(&mut self, selections: &'d SelectionSet) {
        for selection in &selections.items {
            if self.skips(selection.node.directives()) {
                continue;
            }
            match &selection.node {
                Selection::Field(field) => self.take(field),
                Selection::InlineFragment(inline) => self.collect(&inline.node.selection_set.node),
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name.node;
                    if let Some(fragment) = self.fragments.get(name)
                        && self.seen.insert(name)
                    {
                        self.collect(&fragment.node.selection_set.node);
                    }
                }
            }
        }
    }

    fn take(&mut self, field: &Positioned<Field>) {
        let key = &field.node.response_key().node;
        match self.fields.iter_mut().find(|taken| taken.node.response_key().node == *key) {
            // The rules have seen to it that they are of one name and have the same arguments.
            Some(taken) => {
                taken.node.selection_set.node.items.extend(field.node.selection_set.node.items.iter().cloned());
            }
            None => {
                let mut field = field.clone();
                field.node.directives.retain(|directive| condition(directive).is_none());
                self.fields.push(field);
            }
        }
    }

    /// Whether `@skip` or `@include` leaves a selection out, as the engine decides it.
    fn skips(&self, directives: &[Positioned<Directive>]) -> bool {
        directives.iter().filter_map(|directive| Some((directive, condition(directive)?))).any(|(directive, wanted)| {
            let given = directive.node.get_argument("if").map(|value| value.node.clone());
            let value = given.map(|value| value.into_const_with(|name| self.variables.get(&name).cloned().ok_or(())));
            let value = value.and_then(Result::ok).unwrap_or(Value::Null);
            bool::parse(Some(value)).unwrap_or_default() != wanted
        })
    }
}

/// The value with which a directive keeps what it stands at; none where it is not one that decides that.
fn condition(directive: &Positioned<Directive>) -> Option<bool> {
    match directive.node.name.node.as_str() {
        "include" => Some(true),
        "skip" => Some(false),
        _ => None,
    }
}
