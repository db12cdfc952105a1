//! Whether a template fits together: its fields, scores, steps and sign-offs name only what is there.
//! Never looks at other templates or at people; `consistency` does.

use crate::domain::{
    policy::consistency::wrong_shape,
    refusal::Refusal,
    template::{FieldDefinition, FieldShape, Membership, SignOffConfiguration, StepDefinition, Template},
    text::FieldKey,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    sync::Arc,
};

/// The first of these names that stands there twice.
pub(super) fn unique<T: Ord + Display>(
    what: &'static str,
    names: impl IntoIterator<Item = T>,
) -> Result<BTreeSet<T>, Refusal> {
    let mut seen = BTreeSet::new();
    for name in names {
        if seen.contains(&name) {
            return Err(Refusal::AlreadyExists { what, name: name.to_string() });
        }
        seen.insert(name);
    }
    Ok(seen)
}

impl Template {
    /// Checks that the template fits together; `path` is its place in the input.
    ///
    /// # Errors
    /// The first field, category or step that stands there twice, that is not there, or of another shape than needed.
    pub fn check(&self, path: &str) -> Result<(), Refusal> {
        unique("field", self.fields.iter().map(|field| &field.key))?;
        unique("step", self.steps.iter().map(|step| &step.key))?;
        for field in &self.fields {
            self.check_field(&format!("{path}.fields.{}", field.key), field)?;
        }
        // A field is shown with one step.
        unique("field of a step", self.steps.iter().flat_map(|step| &step.fields))?;
        self.steps.iter().try_for_each(|step| self.check_step(&format!("{path}.steps.{}", step.key), step))
    }

    fn check_field(&self, path: &str, field: &FieldDefinition) -> Result<(), Refusal> {
        if field.assigns_roles && field.shape != FieldShape::Person {
            return Err(wrong_shape(path.to_owned(), &FieldShape::Person, &field.shape));
        }
        match &field.shape {
            FieldShape::Category(categories) => {
                if categories.is_empty() {
                    return Err(Refusal::CategoryUnknown { path: path.to_owned(), allowed: String::new() });
                }
                unique("category", categories).map(drop)
            }
            FieldShape::Integer { min, max } if min > max => {
                Err(Refusal::NumberOutOfRange { path: path.to_owned(), min: *min, max: *max })
            }
            FieldShape::Score { from, scores } => self.check_score(path, from, scores),
            FieldShape::Text
            | FieldShape::Boolean
            | FieldShape::Integer { .. }
            | FieldShape::Date
            | FieldShape::Link
            | FieldShape::Reference(_)
            | FieldShape::Person => Ok(()),
        }
    }

    /// Every category has its score, and nothing else has one.
    fn check_score(&self, path: &str, from: &FieldKey, scores: &BTreeMap<Arc<str>, i64>) -> Result<(), Refusal> {
        let rated = self.known(path, from)?;
        let FieldShape::Category(categories) = &rated.shape else {
            return Err(wrong_shape(format!("{path}.{from}"), &FieldShape::Category(vec![]), &rated.shape));
        };
        if let Some(unknown) = scores.keys().find(|scored| !categories.contains(scored)) {
            let path = format!("{path}.scores.{unknown}");
            return Err(Refusal::CategoryUnknown { path, allowed: categories.join(", ") });
        }
        match categories.iter().find(|category| !scores.contains_key(*category)) {
            Some(missing) => Err(Refusal::Unknown { path: format!("{path}.scores.{missing}") }),
            None => Ok(()),
        }
    }

    fn check_step(&self, path: &str, step: &StepDefinition) -> Result<(), Refusal> {
        for field in &step.fields {
            self.known(&format!("{path}.fields"), field)?;
        }
        for field in &step.required_fields {
            self.known(&format!("{path}.required_fields"), field)?;
        }
        let Some(sign_off) = &step.sign_off else { return Ok(()) };
        unique("feedback group", sign_off.feedback_groups.iter().map(|group| &group.key))?;
        for (place, membership) in memberships(sign_off) {
            for field in &membership.own_fields {
                self.people(&format!("{path}.sign_off.{place}.own_fields"), field)?;
            }
        }
        Ok(())
    }

    /// The field of this key.
    pub(super) fn known(&self, path: &str, key: &FieldKey) -> Result<&FieldDefinition, Refusal> {
        let unknown = || Refusal::UnknownField { path: format!("{path}.{key}"), template: self.name.clone() };
        self.field(key.as_str()).ok_or_else(unknown)
    }

    /// The field of this key, which holds people.
    pub(super) fn people(&self, path: &str, key: &FieldKey) -> Result<(), Refusal> {
        let field = self.known(path, key)?;
        if field.shape == FieldShape::Person {
            return Ok(());
        }
        Err(wrong_shape(format!("{path}.{key}"), &FieldShape::Person, &field.shape))
    }
}

/// The memberships of a sign-off, each with its place in it.
pub(super) fn memberships(sign_off: &SignOffConfiguration) -> Vec<(String, &Membership)> {
    let groups = sign_off.feedback_groups.iter();
    let groups = groups.map(|group| (format!("feedback_groups.{}.members", group.key), &group.members));
    groups.chain([("approvers".to_owned(), &sign_off.approvers)]).collect()
}
