//! How a subscription goes on behind what its client heard last, where the transport says so and not the document.
//! Never reads a cursor: the subscription does.

use async_graphql::{
    Name, Positioned, Value,
    parser::types::{DocumentOperations, ExecutableDocument, OperationType, Selection},
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
        for selection in &mut operation.node.selection_set.node.items {
            let Selection::Field(field) = &mut selection.node else { continue };
            let place = field.pos;
            let arguments = &mut field.node.arguments;
            match arguments.iter_mut().find(|(name, _)| name.node == "after") {
                Some((_, value)) => match value.node.clone().into_const_with(Err::<Value, Name>) {
                    Err(variable) => resumed.variables.push(variable),
                    Ok(_) => {
                        value.node = Value::from(last).into_value();
                        resumed.is_changed = true;
                    }
                },
                None => {
                    let value = Positioned::new(Value::from(last).into_value(), place);
                    arguments.push((Positioned::new(Name::new("after"), place), value));
                    resumed.is_changed = true;
                }
            }
        }
    }
    resumed
}
