//! Founding a tenant: everything that it begins with, in one change; and entering it in the platform's directory.
//! Never adds to a tenant that exists, and never founds one with something that points nowhere.

mod consistency;
mod definition;

use super::{
    access::{Allowed, Denied, Stopped, View},
    action::{Action, CreateTenant, Need},
    event::{EventKind, Subject},
    governance::InstanceRules,
    identity::{ApiKey, Group, SourceNode, User},
    infrastructure::Infrastructure,
    policy::{AssignmentRule, Grants, Role},
    record::Entity,
    refusal::Refusal,
    state::{Change, Draft},
    template::Template,
    tenant::{Tenant, TenantEntry},
};
use std::sync::Arc;

/// What a tenant begins with.
#[derive(Clone, Debug)]
pub struct Founding {
    /// The tenant itself.
    pub tenant: Tenant,
    /// Its people, an active administrator or platform operator among them.
    pub users: Vec<User>,
    /// Its groups.
    pub groups: Vec<Group>,
    /// Its roles.
    pub roles: Vec<Role>,
    /// Who has which role.
    pub assignment_rules: Vec<AssignmentRule>,
    /// What each role may do.
    pub grants: Vec<Grants>,
    /// Its templates.
    pub templates: Vec<Template>,
    /// Its source nodes.
    pub source_nodes: Vec<SourceNode>,
    /// The keys of nodes and people.
    pub api_keys: Vec<ApiKey>,
    /// Its infrastructures.
    pub infrastructures: Vec<Infrastructure>,
    /// What happens to newly reported objects; nothing where there are no rules.
    pub instance_rules: Option<InstanceRules>,
}

impl Founding {
    /// A tenant with nothing in it, to be filled: it cannot be founded without an administrator.
    pub const fn new(tenant: Tenant) -> Self {
        Self {
            tenant,
            users: vec![],
            groups: vec![],
            roles: vec![],
            assignment_rules: vec![],
            grants: vec![],
            templates: vec![],
            source_nodes: vec![],
            api_keys: vec![],
            infrastructures: vec![],
            instance_rules: None,
        }
    }
}

/// Founds the tenant of a state in which nothing has happened yet.
///
/// # Errors
/// `Forbidden` unless the caller operates the platform; `ALREADY_EXISTS` when the tenant is founded;
/// otherwise the first thing in the founding that does not fit, with its path.
pub fn found(view: View<'_>, founding: Founding) -> Result<Change<Arc<Tenant>>, Stopped> {
    if !view.caller()?.operates() {
        return Err(Denied::Forbidden(Need::Operate.right()).into());
    }
    if let Some(tenant) = view.state().tenant() {
        return Err(Refusal::AlreadyExists { what: "tenant", name: tenant.slug.to_string() }.into());
    }
    if founding.tenant.id != view.state().tenant_id() {
        return Err(Refusal::Unknown { path: "tenant.id".to_owned() }.into());
    }
    founding.check()?;
    let mut draft = Draft::new(view.state(), Action::Found);
    let told = EventKind::TenantFounded { name: founding.tenant.name.clone() };
    let tenant = draft.put(founding.tenant, Subject::Tenant, told);
    put_people(&mut draft, founding.users, founding.groups);
    for template in founding.templates {
        let (subject, item_type) = (Subject::Template(template.id), template.item_type);
        let told = EventKind::TemplateCreated { name: template.name.clone(), item_type };
        draft.put(template, subject, told);
    }
    put_access(&mut draft, founding.roles, founding.assignment_rules, founding.grants);
    put_machines(&mut draft, founding.source_nodes, founding.api_keys);
    for infrastructure in founding.infrastructures {
        let subject = Subject::Infrastructure(infrastructure.id);
        let told = EventKind::InfrastructureCreated { name: infrastructure.name.clone() };
        draft.put(infrastructure, subject, told);
    }
    if let Some(rules) = founding.instance_rules {
        draft.put(rules, Subject::Tenant, EventKind::InstanceRulesChanged {});
    }
    Ok(draft.done(tenant))
}

fn put_people(draft: &mut Draft, users: Vec<User>, groups: Vec<Group>) {
    for user in users {
        let told = EventKind::UserCreated { user: user.id, name: user.name.clone(), standing: user.standing };
        let subject = Subject::Identity(user.id.uuid());
        draft.put(user, subject, told);
    }
    for group in groups {
        let members = group.members.iter().copied().collect();
        let groups = group.groups.iter().copied().collect();
        let told = EventKind::GroupCreated { group: group.id, name: group.name.clone(), members, groups };
        let subject = Subject::Identity(group.id.uuid());
        draft.put(group, subject, told);
    }
}

/// Roles, their rules and their grants are one thing to people: who may do what.
fn put_access(draft: &mut Draft, roles: Vec<Role>, rules: Vec<AssignmentRule>, grants: Vec<Grants>) {
    let roles = roles.into_iter().map(|role| Arc::new(role).record());
    let rules = rules.into_iter().map(|rule| Arc::new(rule).record());
    let grants = grants.into_iter().map(|grants| Arc::new(grants).record());
    let records: Vec<_> = roles.chain(rules).chain(grants).collect();
    if !records.is_empty() {
        draft.put_together(records, Subject::Tenant, EventKind::AccessConfigured {});
    }
}

fn put_machines(draft: &mut Draft, nodes: Vec<SourceNode>, keys: Vec<ApiKey>) {
    for node in nodes {
        let told = EventKind::SourceNodeCreated { node: node.id, name: node.name.clone() };
        let subject = Subject::Identity(node.id.uuid());
        draft.put(node, subject, told);
    }
    for key in keys {
        let told = EventKind::ApiKeyCreated { key: key.id, name: key.name.clone() };
        let subject = Subject::Identity(key.id.uuid());
        draft.put(key, subject, told);
    }
}

impl Allowed<'_, CreateTenant, Tenant> {
    /// Enters a tenant in the platform's directory; entering the same one again changes nothing.
    ///
    /// # Errors
    /// `ALREADY_EXISTS` when another tenant has the slug, the platform's own included.
    pub fn enter(self, entry: TenantEntry) -> Result<Change<Arc<TenantEntry>>, Stopped> {
        let taken = |slug: &str| Refusal::AlreadyExists { what: "tenant", name: slug.to_owned() };
        let entries = &self.state().tables.tenant_entries;
        let draft = self.draft();
        if let Some(entered) = entries.get(&entry.id) {
            let same = entered.slug == entry.slug;
            return if same { Ok(draft.done(Arc::clone(entered))) } else { Err(taken(entered.slug.as_str()).into()) };
        }
        let own = self.slug == entry.slug && self.id != entry.id;
        if own || entries.values().any(|other| other.slug == entry.slug) {
            return Err(taken(entry.slug.as_str()).into());
        }
        let mut draft = draft;
        let told = EventKind::TenantCreated { name: entry.name.clone() };
        let entry = draft.put(entry, Subject::Tenant, told);
        Ok(draft.done(entry))
    }
}
