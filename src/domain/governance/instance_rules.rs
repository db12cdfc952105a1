//! Instance rules: set for the tenant or for the children of one item, and which of them is in effect.
//! Never applies a rule: `automatic` does, when an object is reported.

use super::{InstanceRule, InstanceRules};
use crate::domain::{
    access::{Allowed, Basis, Denied, Resource, Stopped, View},
    action::{Need, ReadItem, ReadTenant, SetChildRules, SetInstanceRules},
    event::{EventKind, Subject},
    id::{InstanceRulesId, ItemId, SourceObjectId},
    item::{Item, usable_template},
    refusal::{Refusal, revision_must_be},
    source::SourceKind,
    state::{Change, Draft, State},
    tenant::Tenant,
};
use std::{collections::BTreeMap, sync::Arc};

/// Rules that replace those that are there.
#[derive(Clone, Debug)]
pub struct NewRules {
    /// The revision that the caller has read; 0 while there are none.
    pub expected_revision: u64,
    /// The rules; nothing happens to kinds that are not listed, unless a rule further up says otherwise.
    pub rules: BTreeMap<SourceKind, InstanceRule>,
}

/// The rule that holds for an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EffectiveRule {
    /// What happens.
    pub rule: InstanceRule,
    /// Who says so.
    pub origin: RuleOrigin,
}

/// Where a rule comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleOrigin {
    /// The rules for the children of this item.
    Item(ItemId),
    /// The tenant's rules.
    Tenant,
    /// No rule speaks of the kind, so nothing happens.
    None,
}

/// The rule for a kind of object below `parent`: that of the nearest governed object above it, else the tenant's.
pub(in crate::domain) fn effective_rule(
    state: &State,
    kind: SourceKind,
    parent: Option<SourceObjectId>,
) -> EffectiveRule {
    let rule_in = |rules: InstanceRulesId| state.find::<InstanceRules>(rules)?.rules.get(&kind).copied();
    let mut above = parent.and_then(|parent| state.source_object(parent));
    while let Some(source) = above {
        let item = source.item();
        if let Some((item, rule)) = item.and_then(|item| Some((item, rule_in(of_item(item))?))) {
            return EffectiveRule { rule, origin: RuleOrigin::Item(item) };
        }
        above = source.parent.and_then(|parent| state.source_object(parent));
    }
    match rule_in(of_tenant(state)) {
        Some(rule) => EffectiveRule { rule, origin: RuleOrigin::Tenant },
        None => EffectiveRule { rule: InstanceRule::Nothing, origin: RuleOrigin::None },
    }
}

const fn of_item(item: ItemId) -> InstanceRulesId {
    InstanceRulesId::from_uuid(item.uuid())
}

const fn of_tenant(state: &State) -> InstanceRulesId {
    InstanceRulesId::from_uuid(state.tenant_id().uuid())
}

/// The rules under an id, at revision 0 while nobody has set any.
fn rules(state: &State, id: InstanceRulesId) -> Arc<InstanceRules> {
    let none = || Arc::new(InstanceRules { id, revision: 0, rules: BTreeMap::new() });
    state.find(id).cloned().unwrap_or_else(none)
}

/// Checks that rules speak of `kinds` only, and that their templates can be used.
pub(super) fn rules_must_fit(
    view: View<'_>,
    path: &str,
    kinds: &[SourceKind],
    rules: &BTreeMap<SourceKind, InstanceRule>,
) -> Result<(), Refusal> {
    for (kind, rule) in rules {
        let path = format!("{path}.{}", kind.as_str());
        kind_must_be_among(&path, kinds, *kind)?;
        match rule {
            InstanceRule::Govern(template) | InstanceRule::Recommend(template) => {
                usable_template(view, &path, *template, kind.item_type())?;
            }
            InstanceRule::Hide | InstanceRule::Nothing => {}
        }
    }
    Ok(())
}

/// # Errors
/// `WRONG_SHAPE` for a kind that cannot lie there.
pub(super) fn kind_must_be_among(path: &str, kinds: &[SourceKind], kind: SourceKind) -> Result<(), Refusal> {
    if kinds.contains(&kind) {
        return Ok(());
    }
    let kinds: Vec<_> = kinds.iter().map(|kind| kind.as_str()).collect();
    let wanted = if kinds.is_empty() { "left out".to_owned() } else { format!("one of {}", kinds.join(", ")) };
    Err(Refusal::ValueOfWrongShape { path: path.to_owned(), wanted, found: kind.as_str() })
}

/// Adds rules to those for the children of an item; a kind that is there already is replaced.
pub(super) fn add_child_rules(draft: &mut Draft, item: ItemId, added: BTreeMap<SourceKind, InstanceRule>) {
    let mut all = rules(draft.next(), of_item(item)).rules.clone();
    all.extend(added);
    put(draft, of_item(item), Subject::Item(item), all);
}

fn put(
    draft: &mut Draft,
    id: InstanceRulesId,
    subject: Subject,
    new: BTreeMap<SourceKind, InstanceRule>,
) -> Arc<InstanceRules> {
    let old = rules(draft.next(), id);
    if old.revision > 0 && old.rules == new {
        return old;
    }
    let next = InstanceRules { id, revision: old.revision + 1, rules: new };
    draft.put(next, subject, EventKind::InstanceRulesChanged {})
}

impl Resource for InstanceRules {
    /// The tenant's rules are there for whoever is signed in, an item's for those who read the item.
    fn may(&self, need: Need, view: View<'_>) -> Result<Basis, Denied> {
        let state = view.state();
        if self.id == of_tenant(state) {
            return state.tenant().ok_or(Denied::NotFound)?.may(need, view);
        }
        state.item(ItemId::from_uuid(self.id.uuid())).ok_or(Denied::NotFound)?.may(need, view)
    }
}

impl Allowed<'_, SetInstanceRules, Tenant> {
    /// Replaces the tenant's rules; what was reported before stays as it is.
    ///
    /// # Errors
    /// `REVISION_CONFLICT`, or a template that cannot be used.
    pub fn set_instance_rules(self, new: NewRules) -> Result<Change<Arc<InstanceRules>>, Stopped> {
        let id = of_tenant(self.state());
        revision_must_be(rules(self.state(), id).revision, new.expected_revision)?;
        rules_must_fit(self.view(), "rules", &SourceKind::ALL, &new.rules)?;
        let mut draft = self.draft();
        let rules = put(&mut draft, id, Subject::Tenant, new.rules);
        Ok(draft.done(rules))
    }
}

impl Allowed<'_, SetChildRules, Item> {
    /// Replaces the rules for what is reported below the item's source objects.
    ///
    /// # Errors
    /// `REVISION_CONFLICT`, `WRONG_SHAPE` for a kind that cannot lie below it, or a template that cannot be used.
    pub fn set_child_rules(self, new: NewRules) -> Result<Change<Arc<InstanceRules>>, Stopped> {
        self.must_be_live()?;
        let id = of_item(self.id);
        revision_must_be(rules(self.state(), id).revision, new.expected_revision)?;
        let kinds = SourceKind::of_item_type(self.item_type).map(SourceKind::below).unwrap_or_default();
        rules_must_fit(self.view(), "rules", kinds, &new.rules)?;
        let mut draft = self.draft();
        let rules = put(&mut draft, id, Subject::Item(self.id), new.rules);
        Ok(draft.done(rules))
    }
}

impl Allowed<'_, ReadTenant, Tenant> {
    /// The tenant's rules; at revision 0 while nobody has set any.
    pub fn instance_rules(&self) -> Arc<InstanceRules> {
        rules(self.state(), of_tenant(self.state()))
    }
}

impl Allowed<'_, ReadItem, Item> {
    /// The rules for what is reported below the item; at revision 0 while nobody has set any.
    pub fn child_rules(&self) -> Arc<InstanceRules> {
        rules(self.state(), of_item(self.id))
    }
}
