//! Whether a founding fits together: nothing twice, nothing that points nowhere, somebody who administers.
//! Never repairs anything: the first thing that does not fit is refused with its path.

use super::{
    Founding,
    definition::{memberships, unique},
};
use crate::domain::{
    governance::InstanceRule,
    id::{ApiKeyId, GroupId, ItemId, RoleId, SourceNodeId, TemplateId, UserId},
    identity::{KeyOwner, Scope, Standing, parse_email},
    policy::consistency::{Surroundings, field_of, grants_fit, has_step, in_force, inheritance_ends, must, rule_fits},
    refusal::Refusal,
    template::{FieldShape, ItemType, Membership, Template, TemplateStatus},
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
            rule_fits(&known, &format!("assignment_rules.{n}"), rule)?;
        }
        for (n, grants) in self.grants.iter().enumerate() {
            grants_fit(&known, &format!("grants.{n}"), grants)?;
        }
        let grants_of = |item_type| in_force(self.grants.iter(), item_type);
        inheritance_ends(&known, "grants", grants_of)?;
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

impl Surroundings for Known<'_> {
    fn has_user(&self, id: UserId) -> bool {
        self.users.contains(&id)
    }

    fn has_group(&self, id: GroupId) -> bool {
        self.groups.contains(&id)
    }

    fn has_role(&self, id: RoleId) -> bool {
        self.roles.contains(&id)
    }

    fn has_key(&self, id: ApiKeyId) -> bool {
        self.keys.contains(&id)
    }

    /// A tenant is founded without items.
    fn type_of(&self, _: ItemId) -> Option<ItemType> {
        None
    }

    fn templates(&self) -> Vec<&Template> {
        self.founding.templates.iter().collect()
    }
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
            field_of(self, &path, Some(ItemType::GovernedProject), field, Some(&FieldShape::Person))
        })
    }

    fn template_with(&self, id: TemplateId) -> Option<&'f Template> {
        self.founding.templates.iter().find(|template| template.id == id)
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
                let known = ItemType::ALL.into_iter().any(|item_type| has_step(self, Some(item_type), step));
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
