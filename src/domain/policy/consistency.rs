//! Whether a rule or a set of grants fits its tenant: what it names is there, and inheritance comes to an end.
//! Never decides who may do what, and never repairs anything: the first thing that does not fit is refused.

use super::{AssignmentRule, Criterion, Grants, RuleActor, RuleScope};
use crate::domain::{
    id::{ApiKeyId, GroupId, ItemId, RoleId, UserId},
    refusal::Refusal,
    state::State,
    template::{FieldDefinition, FieldShape, ItemType, Template},
    text::{FieldKey, StepKey},
};
use std::borrow::Borrow;

/// What a rule or a set of grants can name: of a tenant, or of what one is founded with.
pub(in crate::domain) trait Surroundings {
    /// Whether there is such a user.
    fn has_user(&self, id: UserId) -> bool;
    /// Whether there is such a group.
    fn has_group(&self, id: GroupId) -> bool;
    /// Whether there is such a role.
    fn has_role(&self, id: RoleId) -> bool;
    /// Whether there is such an API key.
    fn has_key(&self, id: ApiKeyId) -> bool;
    /// The type of an item that is there.
    fn type_of(&self, id: ItemId) -> Option<ItemType>;
    /// Every template.
    fn templates(&self) -> Vec<&Template>;
}

impl Surroundings for State {
    fn has_user(&self, id: UserId) -> bool {
        self.user(id).is_some()
    }

    fn has_group(&self, id: GroupId) -> bool {
        self.group(id).is_some()
    }

    fn has_role(&self, id: RoleId) -> bool {
        self.role(id).is_some()
    }

    fn has_key(&self, id: ApiKeyId) -> bool {
        self.api_key(id).is_some()
    }

    fn type_of(&self, id: ItemId) -> Option<ItemType> {
        self.item(id).map(|item| item.item_type)
    }

    fn templates(&self) -> Vec<&Template> {
        self.tables.templates.values().map(AsRef::as_ref).collect()
    }
}

/// # Errors
/// `UNKNOWN_OBJECT` at `path` unless it holds.
pub(in crate::domain) fn must(holds: bool, path: impl FnOnce() -> String) -> Result<(), Refusal> {
    if holds { Ok(()) } else { Err(Refusal::Unknown { path: path() }) }
}

fn templates_of(known: &impl Surroundings, item_type: Option<ItemType>) -> impl Iterator<Item = &Template> {
    known.templates().into_iter().filter(move |template| item_type.is_none_or(|wanted| wanted == template.item_type))
}

fn fields<'k>(known: &'k impl Surroundings, item_type: Option<ItemType>, key: &FieldKey) -> Vec<&'k FieldDefinition> {
    templates_of(known, item_type).filter_map(|template| template.field(key.as_str())).collect()
}

/// Whether some template of the type, or of any, has this step.
pub(in crate::domain) fn has_step(known: &impl Surroundings, item_type: Option<ItemType>, step: &StepKey) -> bool {
    templates_of(known, item_type).any(|template| template.step(step).is_some())
}

/// A field that some template of the type has (of any type, for the defaults), of that shape.
///
/// # Errors
/// `UNKNOWN_OBJECT`, `WRONG_SHAPE`.
pub(in crate::domain) fn field_of(
    known: &impl Surroundings,
    path: &str,
    item_type: Option<ItemType>,
    key: &FieldKey,
    shape: Option<&FieldShape>,
) -> Result<(), Refusal> {
    let found = fields(known, item_type, key);
    must(!found.is_empty(), || path.to_owned())?;
    let Some(wanted) = shape else { return Ok(()) };
    match found.iter().find(|field| field.shape != *wanted) {
        Some(other) => Err(wrong_shape(path.to_owned(), wanted, &other.shape)),
        None => Ok(()),
    }
}

/// A value of another shape than a place needs.
pub(in crate::domain) fn wrong_shape(path: String, wanted: &FieldShape, found: &FieldShape) -> Refusal {
    Refusal::ValueOfWrongShape { path, wanted: wanted.label().to_owned(), found: found.label() }
}

/// Checks that whatever a rule names is there; `path` is its place in the input, empty for the input itself.
///
/// # Errors
/// `UNKNOWN_OBJECT`, `WRONG_SHAPE`, each with its path.
pub(in crate::domain) fn rule_fits(
    known: &impl Surroundings,
    path: &str,
    rule: &AssignmentRule,
) -> Result<(), Refusal> {
    let at = |place: String| if path.is_empty() { place } else { format!("{path}.{place}") };
    must(known.has_role(rule.role), || at("role".to_owned()))?;
    let item_type = match rule.scope {
        RuleScope::Type(item_type) => Some(item_type),
        RuleScope::Item(item) => known.type_of(item),
    };
    must(item_type.is_some(), || at("scope".to_owned()))?;
    for (n, actor) in rule.actors.iter().enumerate() {
        let place = at(format!("actors.{n}"));
        match actor {
            RuleActor::User(user) => must(known.has_user(*user), || place)?,
            RuleActor::Group(group) => must(known.has_group(*group), || place)?,
            RuleActor::Key(key) => must(known.has_key(*key), || place)?,
            RuleActor::Field(key) => field_of(known, &place, item_type, key, Some(&FieldShape::Person))?,
        }
    }
    for (n, criterion) in rule.criteria.iter().enumerate() {
        let place = at(format!("criteria.{n}"));
        match criterion {
            Criterion::TemplateIs(id) => must(known.templates().iter().any(|template| template.id == *id), || place)?,
            Criterion::FieldIs(key, _) => field_of(known, &place, item_type, key, None)?,
            Criterion::ActiveStep(step) => must(has_step(known, item_type, step), || place)?,
            Criterion::ItemExists | Criterion::ItemDeleted => {}
        }
    }
    Ok(())
}

/// Checks that whatever a set of grants names is there; `path` as in [`rule_fits`].
///
/// # Errors
/// `UNKNOWN_OBJECT`, `WRONG_SHAPE`, each with its path.
pub(in crate::domain) fn grants_fit(known: &impl Surroundings, path: &str, grants: &Grants) -> Result<(), Refusal> {
    let at = |place: String| if path.is_empty() { place } else { format!("{path}.{place}") };
    let roles = grants.roles.iter().enumerate();
    let roles = roles.map(|(n, (role, permissions))| (at(format!("roles.{n}")), Some(*role), permissions));
    for (place, role, permissions) in roles.chain([(at("everyone".to_owned()), None, &grants.everyone)]) {
        must(role.is_none_or(|role| known.has_role(role)), || place.clone())?;
        for key in permissions.field_exceptions.keys() {
            field_of(known, &format!("{place}.field_exceptions.{key}"), grants.item_type, key, None)?;
        }
    }
    for key in &grants.inherits_fields {
        let place = at(format!("inherits_fields.{key}"));
        field_of(known, &place, grants.item_type, key, None)?;
        let found = fields(known, grants.item_type, key);
        let mut shapes = found.iter().map(|field| &field.shape);
        let other = shapes.find(|shape| !matches!(shape, FieldShape::Reference(_)));
        if let Some(other) = other {
            return Err(wrong_shape(place, &FieldShape::Reference(ItemType::GovernedProject), other));
        }
    }
    Ok(())
}

/// The grants that hold for a type: its own, or the defaults.
pub(in crate::domain) fn in_force<'g, G: Borrow<Grants>>(
    all: impl Iterator<Item = &'g G>,
    item_type: ItemType,
) -> Option<&'g G> {
    let mut holding = None;
    for grants in all {
        let of = grants.borrow().item_type;
        if of == Some(item_type) {
            return Some(grants);
        }
        holding = holding.or_else(|| of.is_none().then_some(grants));
    }
    holding
}

/// Checks that no type inherits its own roles over others: then inheritance is as deep as there are types at most.
///
/// # Errors
/// `INHERITANCE_CYCLE`, naming the type.
pub(in crate::domain) fn inheritance_ends<'g>(
    known: &impl Surroundings,
    path: &str,
    grants_of: impl Fn(ItemType) -> Option<&'g Grants>,
) -> Result<(), Refusal> {
    let sources = |item_type: ItemType| -> Vec<ItemType> {
        let Some(grants) = grants_of(item_type) else { return vec![] };
        let parent = item_type.parent().filter(|_| grants.inherits_parent);
        let named = grants.inherits_fields.iter().flat_map(|key| fields(known, Some(item_type), key));
        let referenced =
            named.filter_map(|field| if let FieldShape::Reference(to) = field.shape { Some(to) } else { None });
        grants.inherits_types.iter().copied().chain(parent).chain(referenced).collect()
    };
    for start in ItemType::ALL {
        let (mut reached, mut open) = (vec![], sources(start));
        while let Some(next) = open.pop() {
            if next == start {
                return Err(Refusal::InheritanceCycle { path: path.to_owned(), item_type: start });
            }
            if !reached.contains(&next) {
                reached.push(next);
                open.extend(sources(next));
            }
        }
    }
    Ok(())
}
