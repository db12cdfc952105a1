//! Changing roles, the rules that give them, and what they grant.
//! Never lets inheritance run in a circle, never leaves a rule without its role, and never gives what the giver lacks.

use super::{
    AssignmentRule, Criterion, Grants, Permissions, Role, RuleActor, RuleScope,
    consistency::{grants_fit, inheritance_ends, must, rule_fits},
};
use crate::{
    domain::{
        access::{Allowed, Denied, Stopped},
        action::{
            Asks, CreateAssignmentRule, CreateRole, DeleteAssignmentRule, DeleteGrants, DeleteRole, SetGrants,
            UpdateAssignmentRule, UpdateRole,
        },
        event::{EventKind, Subject},
        id::{AssignmentRuleId, GrantsId, Ids, RoleId},
        refusal::Refusal,
        state::{Change, Draft, State},
        template::{ItemType, SignOffConfiguration},
        tenant::Tenant,
        text::{FieldKey, Name, Slug},
    },
    limits::{ROLES_MAX, RULE_PARTS_MAX, RULES_OF_SCOPE_MAX},
};
use std::{collections::BTreeMap, sync::Arc};

/// What a new role is.
#[derive(Clone, Debug)]
pub struct NewRole {
    /// Its short name.
    pub slug: Slug,
    /// What people call it.
    pub name: Name,
    /// See [`Role::audits`].
    pub audits: bool,
}

/// What changes of a role; what is not named stays.
#[derive(Clone, Debug, Default)]
pub struct RoleChange {
    /// The revision that the caller has read.
    pub expected_revision: u64,
    /// Its new name.
    pub name: Option<Name>,
    /// See [`Role::audits`].
    pub audits: Option<bool>,
}

/// What a new assignment rule is.
#[derive(Clone, Debug)]
pub struct NewRule {
    /// The role that it gives.
    pub role: RoleId,
    /// Where it holds.
    pub scope: RuleScope,
    /// To whom it gives the role.
    pub actors: Vec<RuleActor>,
    /// What must hold of the item, all of it.
    pub criteria: Vec<Criterion>,
}

/// What changes of an assignment rule; what is not named stays.
#[derive(Clone, Debug, Default)]
pub struct RuleChange {
    /// The revision that the caller has read.
    pub expected_revision: u64,
    /// The role that it gives from now on.
    pub role: Option<RoleId>,
    /// To whom it gives the role from now on.
    pub actors: Option<Vec<RuleActor>>,
    /// What must hold of the item from now on.
    pub criteria: Option<Vec<Criterion>>,
}

/// The grants of a type, or the defaults, as they shall be; what is not named stays, and is empty where there are
/// none yet.
#[derive(Clone, Debug, Default)]
pub struct GrantsChange {
    /// The type; none for the defaults.
    pub item_type: Option<ItemType>,
    /// The revision that the caller has read; 0 where there are none yet.
    pub expected_revision: u64,
    /// What everyone may do.
    pub everyone: Option<Permissions>,
    /// What each role may do.
    pub roles: Option<BTreeMap<RoleId, Permissions>>,
    /// See [`Grants::inherits_types`].
    pub inherits_types: Option<Vec<ItemType>>,
    /// See [`Grants::inherits_parent`].
    pub inherits_parent: Option<bool>,
    /// See [`Grants::inherits_fields`].
    pub inherits_fields: Option<Vec<FieldKey>>,
}

impl<A, T> Allowed<'_, A, T> {
    /// Whoever gives a role that reads everything, people included, reads that much herself.
    fn may_let_audit(&self, audits: bool) -> Result<(), Denied> {
        if !audits || self.view().oversees(&self.caller()?) {
            return Ok(());
        }
        Err(Denied::Forbidden("administrator, to give a role that audits"))
    }

    fn may_give_role(&self, role: RoleId) -> Result<(), Stopped> {
        let role = self.state().role(role).ok_or_else(|| Refusal::Unknown { path: "roleId".to_owned() })?;
        Ok(self.may_let_audit(role.audits)?)
    }
}

fn few_enough(path: &str, values: usize, most: usize) -> Result<(), Refusal> {
    if values <= most { Ok(()) } else { Err(Refusal::TooManyValues { path: path.to_owned(), values, most }) }
}

impl Allowed<'_, CreateRole, Tenant> {
    /// Makes a role, which nobody has yet and which grants nothing yet.
    ///
    /// # Errors
    /// `ALREADY_EXISTS`, `TOO_MANY_VALUES`; `Forbidden` for a role that audits and a caller who does not.
    pub fn create_role(self, new: NewRole, ids: &dyn Ids) -> Result<Change<Arc<Role>>, Stopped> {
        self.may_let_audit(new.audits)?;
        let roles = &self.state().tables.roles;
        few_enough("slug", roles.len() + 1, ROLES_MAX)?;
        if roles.values().any(|role| role.slug == new.slug) {
            return Err(Refusal::AlreadyExists { what: "role", name: new.slug.to_string() }.into());
        }
        let NewRole { slug, name, audits } = new;
        let role = Role { id: RoleId::new(ids), revision: 1, slug, name, audits };
        let told = EventKind::RoleCreated { name: role.name.clone(), audits };
        let subject = Subject::Access(role.id.uuid());
        let mut draft = self.draft();
        let role = draft.put(role, subject, told);
        Ok(draft.done(role))
    }
}

impl Allowed<'_, UpdateRole, Role> {
    /// Changes a role; whoever has it keeps it.
    ///
    /// # Errors
    /// `REVISION_CONFLICT`, `NOTHING_TO_SAVE`; `Forbidden` as for a new role.
    pub fn update_role(self, change: RoleChange) -> Result<Change<Arc<Role>>, Stopped> {
        Refusal::unless_at(self.revision, change.expected_revision)?;
        if change.name.is_none() && change.audits.is_none() {
            return Err(Refusal::NothingToSave {}.into());
        }
        let old = &**self.record();
        let name = change.name.unwrap_or_else(|| old.name.clone());
        let next = Role { name, audits: change.audits.unwrap_or(old.audits), ..old.clone() };
        self.may_let_audit(next.audits && !old.audits)?;
        let mut draft = self.draft();
        if next == *old {
            return Ok(draft.done(Arc::clone(self.record())));
        }
        let told = EventKind::RoleUpdated { name: next.name.clone(), audits: next.audits };
        let role = draft.put(Role { revision: old.revision + 1, ..next }, Subject::Access(old.id.uuid()), told);
        Ok(draft.done(role))
    }
}

impl Allowed<'_, DeleteRole, Role> {
    /// Deletes a role that nothing gives, grants or asks for any more.
    ///
    /// # Errors
    /// `REVISION_CONFLICT`, `ROLE_IN_USE`.
    pub fn delete_role(self, expected_revision: u64) -> Result<Change<RoleId>, Stopped> {
        Refusal::unless_at(self.revision, expected_revision)?;
        let (id, state) = (self.id, self.state());
        let rules = state.tables.assignment_rules.values().filter(|rule| rule.role == id).count();
        let grants = state.tables.grants.values().filter(|grants| grants.roles.contains_key(&id)).count();
        let steps = state.tables.templates.values().flat_map(|template| &template.steps);
        let reviews = steps.filter_map(|step| step.sign_off.as_deref());
        let reviews = reviews.chain(state.tables.sign_offs.values().map(|sign_off| &*sign_off.configuration));
        let reviews = reviews.filter(|review| asks_for(review, id)).count();
        if rules + grants + reviews > 0 {
            return Err(Refusal::RoleInUse { rules, grants, reviews }.into());
        }
        let mut draft = self.draft();
        let told = EventKind::RoleDeleted { name: self.name.clone() };
        draft.remove(&**self.record(), Subject::Access(id.uuid()), told);
        Ok(draft.done(id))
    }
}

/// Whether whoever has the role reviews or decides.
fn asks_for(review: &SignOffConfiguration, role: RoleId) -> bool {
    let groups = review.feedback_groups.iter().map(|group| &group.members);
    groups.chain([&review.approvers]).any(|members| members.roles.contains(&role))
}

impl<A: Asks<T>, T> Allowed<'_, A, T> {
    /// The change that stores a rule, once everything that it names is there.
    fn rule_put(&self, rule: AssignmentRule, told: EventKind) -> Result<Change<Arc<AssignmentRule>>, Stopped> {
        few_enough("actors", rule.actors.len(), RULE_PARTS_MAX)?;
        few_enough("criteria", rule.criteria.len(), RULE_PARTS_MAX)?;
        self.may_give_role(rule.role)?;
        rule_fits(self.state(), "", &rule)?;
        let subject = Subject::Access(rule.id.uuid());
        let mut draft = self.draft();
        let rule = draft.put(rule, subject, told);
        Ok(draft.done(rule))
    }
}

impl Allowed<'_, CreateAssignmentRule, Tenant> {
    /// Makes a rule that gives a role.
    ///
    /// # Errors
    /// `UNKNOWN_OBJECT`, `WRONG_SHAPE`, `TOO_MANY_VALUES`; `Forbidden` for a role that audits.
    pub fn create_rule(self, new: NewRule, ids: &dyn Ids) -> Result<Change<Arc<AssignmentRule>>, Stopped> {
        let NewRule { role, scope, actors, criteria } = new;
        if let RuleScope::Item(item) = scope {
            must(self.state().item(item).is_some(), || "scope.item".to_owned())?;
        }
        few_enough("scope", self.state().rules_of(scope).count() + 1, RULES_OF_SCOPE_MAX)?;
        let rule = AssignmentRule { id: AssignmentRuleId::new(ids), revision: 1, role, scope, actors, criteria };
        self.rule_put(rule, EventKind::AssignmentRuleCreated { role })
    }
}

impl Allowed<'_, UpdateAssignmentRule, AssignmentRule> {
    /// Changes what a rule gives, to whom and when; where it holds stays.
    ///
    /// # Errors
    /// `REVISION_CONFLICT`, `NOTHING_TO_SAVE`, and as for a new rule.
    pub fn update_rule(self, change: RuleChange) -> Result<Change<Arc<AssignmentRule>>, Stopped> {
        Refusal::unless_at(self.revision, change.expected_revision)?;
        if change.role.is_none() && change.actors.is_none() && change.criteria.is_none() {
            return Err(Refusal::NothingToSave {}.into());
        }
        let old = &**self.record();
        let next = AssignmentRule {
            role: change.role.unwrap_or(old.role),
            actors: change.actors.unwrap_or_else(|| old.actors.clone()),
            criteria: change.criteria.unwrap_or_else(|| old.criteria.clone()),
            ..old.clone()
        };
        if next == *old {
            return Ok(self.draft().done(Arc::clone(self.record())));
        }
        let role = next.role;
        let next = AssignmentRule { revision: old.revision + 1, ..next };
        self.rule_put(next, EventKind::AssignmentRuleUpdated { role })
    }
}

impl Allowed<'_, DeleteAssignmentRule, AssignmentRule> {
    /// Deletes a rule: whoever had the role by it alone has it no longer.
    ///
    /// # Errors
    /// `REVISION_CONFLICT`.
    pub fn delete_rule(self, expected_revision: u64) -> Result<Change<AssignmentRuleId>, Stopped> {
        Refusal::unless_at(self.revision, expected_revision)?;
        let mut draft = self.draft();
        let told = EventKind::AssignmentRuleDeleted { role: self.role };
        draft.remove(&**self.record(), Subject::Access(self.id.uuid()), told);
        Ok(draft.done(self.id))
    }
}

/// Checks that inheritance still comes to an end after a change.
fn must_end(draft: &Draft) -> Result<(), Refusal> {
    let state: &State = draft.next();
    inheritance_ends(state, "", |item_type| state.grants(item_type).map(AsRef::as_ref))
}

impl Allowed<'_, SetGrants, Tenant> {
    /// Sets what everyone and each role may do on items of a type, or where a type has no grants of its own.
    ///
    /// # Errors
    /// `REVISION_CONFLICT`, `UNKNOWN_OBJECT`, `WRONG_SHAPE`, `INHERITANCE_CYCLE`.
    pub fn set_grants(self, change: GrantsChange, ids: &dyn Ids) -> Result<Change<Arc<Grants>>, Stopped> {
        let all = &self.state().tables.grants;
        let old = all.values().find(|grants| grants.item_type == change.item_type);
        Refusal::unless_at(old.map_or(0, |old| old.revision), change.expected_revision)?;
        let before = old.map_or_else(
            || Grants {
                id: GrantsId::new(ids),
                revision: 0,
                item_type: change.item_type,
                everyone: Permissions::default(),
                roles: BTreeMap::new(),
                inherits_types: vec![],
                inherits_parent: false,
                inherits_fields: vec![],
            },
            |old| (**old).clone(),
        );
        let mut next = before.clone();
        next.everyone = change.everyone.unwrap_or(next.everyone);
        next.roles = change.roles.unwrap_or(next.roles);
        next.inherits_types = change.inherits_types.unwrap_or(next.inherits_types);
        next.inherits_parent = change.inherits_parent.unwrap_or(next.inherits_parent);
        next.inherits_fields = change.inherits_fields.unwrap_or(next.inherits_fields);
        let mut draft = self.draft();
        if let Some(old) = old.filter(|old| ***old == next) {
            return Ok(draft.done(Arc::clone(old)));
        }
        next.revision = before.revision + 1;
        grants_fit(self.state(), "", &next)?;
        let subject = Subject::Access(next.id.uuid());
        let grants = draft.put(next, subject, EventKind::GrantsSet { item_type: change.item_type });
        must_end(&draft)?;
        Ok(draft.done(grants))
    }
}

impl Allowed<'_, DeleteGrants, Grants> {
    /// Deletes the grants of a type: from now on the defaults hold for it; without defaults nobody but those who
    /// manage may do anything.
    ///
    /// # Errors
    /// `REVISION_CONFLICT`, `INHERITANCE_CYCLE` where the defaults would bring one.
    pub fn delete_grants(self, expected_revision: u64) -> Result<Change<GrantsId>, Stopped> {
        Refusal::unless_at(self.revision, expected_revision)?;
        let mut draft = self.draft();
        let told = EventKind::GrantsDeleted { item_type: self.item_type };
        draft.remove(&**self.record(), Subject::Access(self.id.uuid()), told);
        must_end(&draft)?;
        Ok(draft.done(self.id))
    }
}
