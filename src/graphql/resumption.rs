//! How a subscription goes on behind what its client heard last, where the transport says so and not the document.
//! Never reads a cursor: the subscription does.

use super::root_field::is_of_root;
use async_graphql::{
    Name, Positioned, Value,
    parser::types::{DocumentOperations, ExecutableDocument, Field, OperationType, Selection, SelectionSet},
};

/// What became of a document.
#[derive(Default)]
pub(super) struct Resumed {
    /// The variables that have to hold the cursor.
    pub(super) variables: Vec<Name>,
    /// Whether the document now holds it.
    pub(super) is_changed: bool,
}

/// Sets the argument `after` of every root field of the document's subscriptions; answers the variables that stand
/// there instead of a value.
pub(super) fn begin_after(document: &mut ExecutableDocument, last: &str) -> Resumed {
    let operations: Vec<_> = match &mut document.operations {
        DocumentOperations::Single(operation) => vec![operation],
        DocumentOperations::Multiple(operations) => operations.values_mut().collect(),
    };
    let mut resumed = Resumed::default();
    for operation in operations.into_iter().filter(|operation| operation.node.ty == OperationType::Subscription) {
        resumed.begin(&mut operation.node.selection_set.node, last);
    }
    for fragment in document.fragments.values_mut().filter(|fragment| is_of_root(fragment)) {
        resumed.begin(&mut fragment.node.selection_set.node, last);
    }
    resumed
}

impl Resumed {
    fn begin(&mut self, selections: &mut SelectionSet, last: &str) {
        for selection in &mut selections.items {
            match &mut selection.node {
                Selection::Field(field) => self.begin_field(field, last),
                Selection::InlineFragment(inline) => self.begin(&mut inline.node.selection_set.node, last),
                // Its fragment is one of the document's.
                Selection::FragmentSpread(_) => {}
            }
        }
    }

    fn begin_field(&mut self, field: &mut Positioned<Field>, last: &str) {
        let place = field.pos;
        let arguments = &mut field.node.arguments;
        match arguments.iter_mut().find(|(name, _)| name.node == "after") {
            Some((_, value)) => match value.node.clone().into_const_with(Err::<Value, Name>) {
                Err(variable) => self.variables.push(variable),
                Ok(_) => {
                    value.node = Value::from(last).into_value();
                    self.is_changed = true;
                }
            },
            None => {
                let value = Positioned::new(Value::from(last).into_value(), place);
                arguments.push((Positioned::new(Name::new("after"), place), value));
                self.is_changed = true;
            }
        }
    }
}
