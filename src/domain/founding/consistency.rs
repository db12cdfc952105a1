//! Whether a founding fits together: nothing twice, nothing that points nowhere, somebody who administers.
//! Never repairs anything: the first thing that does not fit is refused with its path.

use super::{
    Founding,
    definition::{memberships, unique, wrong_shape},
};
use crate::domain::{
    governance::InstanceRule,
    id::{ApiKeyId, GroupId, RoleId, SourceNodeId, TemplateId, UserId},
    identity::{KeyOwner, Scope, Standing, parse_email},
    policy::{AssignmentRule, Criterion, Grants, RuleActor, RuleScope},
    refusal::Refusal,
    template::{FieldDefinition, FieldShape, ItemType, Membership, Template, TemplateStatus},
    text::{FieldKey, StepKey},
};
use std::collections::BTreeSet;

/// The ids that a founding brings, each once.
struct Known<'f> {
    founding: &'f Founding,
    users: BTreeSet<UserId>,
    groups: BTreeSet<GroupId>,
    roles: BTreeSet<RoleId>,
    keys: BTreeSet<ApiKeyId>,
    nodes: BTreeSet<SourceNodeId>,
}

impl Founding {
    /// Checks that everything in it fits together.
    ///
    /// # Errors
    /// The first thing that stands there twice, that points nowhere or that breaks a rule, with its path.
    pub fn check(&self) -> Result<(), Refusal> {
        let known = Known::of(self)?;
        self.check_names()?;
        known.people()?;
        for (n, template) in self.templates.iter().enumerate() {
            known.template(&format!("templates.{n}"), template)?;
        }
        for (n, rule) in self.assignment_rules.iter().enumerate() {
            known.rule(&format!("assignment_rules.{n}"), rule)?;
        }
        for (n, grants) in self.grants.iter().enumerate() {
            known.grants(&format!("grants.{n}"), grants)?;
        }
        known.api_keys()?;
        known.infrastructures()?;
        known.instance_rules()
    }

    /// Whatever people tell apart by its name has one of its own.
    fn check_names(&self) -> Result<(), Refusal> {
        unique("user", self.users.iter().map(|user| &user.email))?;
        unique("group", self.groups.iter().map(|group| &group.name))?;
        unique("role", self.roles.iter().map(|role| &role.slug))?;
        unique("source node", self.source_nodes.iter().map(|node| &node.slug))?;
        unique("infrastructure", self.infrastructures.iter().map(|infrastructure| &infrastructure.slug))?;
        let scopes = self.grants.iter().map(|grants| grants.item_type.map_or("default", ItemType::label));
        unique("set of grants", scopes)?;
        for item_type in ItemType::ALL {
            unique("template", self.templates_of(item_type).map(|template| &template.name))?;
        }
        Ok(())
    }

    fn templates_of(&self, item_type: ItemType) -> impl Iterator<Item = &Template> {
        self.templates.iter().filter(move |template| template.item_type == item_type)
    }
}

fn must(holds: bool, path: impl FnOnce() -> String) -> Result<(), Refusal> {
    if holds { Ok(()) } else { Err(Refusal::Unknown { path: path() }) }
}

impl<'f> Known<'f> {
    fn of(founding: &'f Founding) -> Result<Self, Refusal> {
        unique("assignment rule", founding.assignment_rules.iter().map(|rule| rule.id))?;
        unique("set of grants", founding.grants.iter().map(|grants| grants.id))?;
        unique("template", founding.templates.iter().map(|template| template.id))?;
        unique("infrastructure", founding.infrastructures.iter().map(|infrastructure| infrastructure.id))?;
        Ok(Self {
            founding,
            users: unique("user", founding.users.iter().map(|user| user.id))?,
            groups: unique("group", founding.groups.iter().map(|group| group.id))?,
            roles: unique("role", founding.roles.iter().map(|role| role.id))?,
            keys: unique("API key", founding.api_keys.iter().map(|key| key.id))?,
            nodes: unique("source node", founding.source_nodes.iter().map(|node| node.id))?,
        })
    }

    fn people(&self) -> Result<(), Refusal> {
        let administers = |standing| matches!(standing, Standing::Administrator | Standing::PlatformOperator);
        if !self.founding.users.iter().any(|user| user.active && administers(user.standing)) {
            return Err(Refusal::LastAdministrator {});
        }
        for (n, user) in self.founding.users.iter().enumerate() {
            // An address is kept as it is compared: whoever founds writes it so.
            if parse_email("email", &user.email).ok().as_ref() != Some(&user.email) {
                return Err(Refusal::EmailNotAllowed { path: format!("users.{n}.email") });
            }
        }
        for (n, group) in self.founding.groups.iter().enumerate() {
            for (m, member) in group.members.iter().enumerate() {
                must(self.users.contains(member), || format!("groups.{n}.members.{m}"))?;
            }
        }
        Ok(())
    }

    fn template(&self, path: &str, template: &Template) -> Result<(), Refusal> {
        template.check(path)?;
        for step in &template.steps {
            let Some(sign_off) = &step.sign_off else { continue };
            for (place, membership) in memberships(sign_off) {
                self.membership(&format!("{path}.steps.{}.sign_off.{place}", step.key), membership)?;
            }
        }
        Ok(())
    }

    fn membership(&self, path: &str, membership: &Membership) -> Result<(), Refusal> {
        for (n, user) in membership.users.iter().enumerate() {
            must(self.users.contains(user), || format!("{path}.users.{n}"))?;
        }
        for (n, group) in membership.groups.iter().enumerate() {
            must(self.groups.contains(group), || format!("{path}.groups.{n}"))?;
        }
        for (n, role) in membership.roles.iter().enumerate() {
            must(self.roles.contains(role), || format!("{path}.roles.{n}"))?;
        }
        let fields = membership.project_fields.iter();
        let mut projects = fields.map(|field| (format!("{path}.project_fields.{field}"), field));
        projects.try_for_each(|(path, field)| {
            self.field(&path, Some(ItemType::GovernedProject), field, Some(&FieldShape::Person))
        })
    }

    /// A field that some template of the type has (of any type, for the defaults), of that shape.
    fn field(
        &self,
        path: &str,
        item_type: Option<ItemType>,
        key: &FieldKey,
        shape: Option<&FieldShape>,
    ) -> Result<(), Refusal> {
        let found = self.fields(item_type, key);
        must(!found.is_empty(), || path.to_owned())?;
        let Some(wanted) = shape else { return Ok(()) };
        match found.iter().find(|field| field.shape != *wanted) {
            Some(other) => Err(wrong_shape(path.to_owned(), wanted, &other.shape)),
            None => Ok(()),
        }
    }

    fn fields(&self, item_type: Option<ItemType>, key: &FieldKey) -> Vec<&'f FieldDefinition> {
        let templates = self.founding.templates.iter();
        let templates = templates.filter(|template| item_type.is_none_or(|wanted| wanted == template.item_type));
        templates.filter_map(|template| template.field(key.as_str())).collect()
    }

    fn rule(&self, path: &str, rule: &AssignmentRule) -> Result<(), Refusal> {
        must(self.roles.contains(&rule.role), || format!("{path}.role"))?;
        let item_type = match rule.scope {
            RuleScope::Type(item_type) => item_type,
            // A tenant is founded without items.
            RuleScope::Item(_) => return Err(Refusal::Unknown { path: format!("{path}.scope") }),
        };
        for (n, actor) in rule.actors.iter().enumerate() {
            let place = format!("{path}.actors.{n}");
            match actor {
                RuleActor::User(user) => must(self.users.contains(user), || place)?,
                RuleActor::Group(group) => must(self.groups.contains(group), || place)?,
                RuleActor::Key(key) => must(self.keys.contains(key), || place)?,
                RuleActor::Field(key) => self.field(&place, Some(item_type), key, Some(&FieldShape::Person))?,
            }
        }
        for (n, criterion) in rule.criteria.iter().enumerate() {
            let place = format!("{path}.criteria.{n}");
            match criterion {
                Criterion::TemplateIs(id) => must(self.template_with(*id).is_some(), || place)?,
                Criterion::FieldIs(key, _) => self.field(&place, Some(item_type), key, None)?,
                Criterion::ActiveStep(step) => must(self.has_step(item_type, step), || place)?,
                Criterion::ItemExists | Criterion::ItemDeleted => {}
            }
        }
        Ok(())
    }

    fn template_with(&self, id: TemplateId) -> Option<&'f Template> {
        self.founding.templates.iter().find(|template| template.id == id)
    }

    fn has_step(&self, item_type: ItemType, step: &StepKey) -> bool {
        self.founding.templates_of(item_type).any(|template| template.step(step).is_some())
    }

    fn grants(&self, path: &str, grants: &Grants) -> Result<(), Refusal> {
        let roles = grants.roles.iter().enumerate();
        let roles = roles.map(|(n, (role, permissions))| (format!("{path}.roles.{n}"), Some(*role), permissions));
        for (place, role, permissions) in roles.chain([(format!("{path}.everyone"), None, &grants.everyone)]) {
            must(role.is_none_or(|role| self.roles.contains(&role)), || place.clone())?;
            for key in permissions.field_exceptions.keys() {
                self.field(&format!("{place}.field_exceptions.{key}"), grants.item_type, key, None)?;
            }
        }
        for key in &grants.inherits_fields {
            let place = format!("{path}.inherits_fields.{key}");
            self.field(&place, grants.item_type, key, None)?;
            let fields = self.fields(grants.item_type, key);
            let mut shapes = fields.iter().map(|field| &field.shape);
            let other = shapes.find(|shape| !matches!(shape, FieldShape::Reference(_)));
            if let Some(other) = other {
                return Err(wrong_shape(place, &FieldShape::Reference(ItemType::GovernedProject), other));
            }
        }
        Ok(())
    }

    fn api_keys(&self) -> Result<(), Refusal> {
        for (n, key) in self.founding.api_keys.iter().enumerate() {
            let path = format!("api_keys.{n}");
            match key.owner {
                KeyOwner::Node(node) => must(self.nodes.contains(&node), || format!("{path}.node"))?,
                KeyOwner::User(user) => {
                    must(self.users.contains(&user), || format!("{path}.user"))?;
                    if key.scopes.contains(&Scope::Sync) || key.scopes.contains(&Scope::ReadStatus) {
                        return Err(Refusal::ScopeNeedsNode { path: format!("{path}.scopes") });
                    }
                }
            }
        }
        Ok(())
    }

    fn infrastructures(&self) -> Result<(), Refusal> {
        for infrastructure in &self.founding.infrastructures {
            let path = format!("infrastructures.{}", infrastructure.slug);
            for (m, group) in infrastructure.grants.keys().enumerate() {
                must(self.groups.contains(group), || format!("{path}.grants.{m}"))?;
            }
            if let Some(step) = &infrastructure.required_step {
                let known = ItemType::ALL.into_iter().any(|item_type| self.has_step(item_type, step));
                must(known, || format!("{path}.required_step"))?;
            }
        }
        Ok(())
    }

    fn instance_rules(&self) -> Result<(), Refusal> {
        let Some(rules) = &self.founding.instance_rules else { return Ok(()) };
        must(rules.id.uuid() == self.founding.tenant.id.uuid(), || "instance_rules.id".to_owned())?;
        for (kind, rule) in &rules.rules {
            let wanted = kind.item_type();
            let id = match rule {
                InstanceRule::Govern(template) | InstanceRule::Recommend(template) => *template,
                InstanceRule::Hide | InstanceRule::Nothing => continue,
            };
            let unknown = || Refusal::Unknown { path: format!("instance_rules.rules.{}", wanted.label()) };
            let template = self.template_with(id).ok_or_else(unknown)?;
            let name = template.name.clone();
            match template.status {
                TemplateStatus::Draft | TemplateStatus::Archived => {
                    return Err(Refusal::TemplateNotActive { template: name });
                }
                TemplateStatus::Active if template.item_type != wanted => {
                    let found = template.item_type;
                    return Err(Refusal::TemplateOfWrongType { template: name, wanted, found });
                }
                TemplateStatus::Active => {}
            }
        }
        Ok(())
    }
}
