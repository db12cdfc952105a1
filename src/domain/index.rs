//! The secondary indexes of a state, and every look-up that rules and pages use.
//! Never holds what is not derived from the records: it is rebuilt from them at any time.

use super::{
    id::{
        ApiKeyId, AssignmentRuleId, DeploymentId, GroupId, InfrastructureId, ItemId, PasswordLinkId, ReceiptId, RoleId,
        SessionId, SignOffId, SourceNodeId, SourceObjectId, TemplateId, TenantId, UserId,
    },
    identity::{ApiKey, Group, PasswordLink, Receipt, Session, SourceNode, User},
    infrastructure::Infrastructure,
    item::Item,
    policy::{AssignmentRule, Grants, Role, RuleScope, consistency::in_force},
    record::Record,
    sign_off::SignOff,
    source::{SourceKind, SourceObject},
    state::State,
    template::{ItemType, Template},
    tenant::TenantEntry,
    text::{ExternalKey, Slug, StepKey},
    time::Timestamp,
};
use crate::domain::{access::Principal, deployment::Deployment};
use imbl::{OrdMap, OrdSet};
use std::{ops::Bound, sync::Arc};
use uuid::Uuid;

/// What finds records by something else than their id.
#[derive(Clone, Default)]
pub(in crate::domain) struct Indexes {
    tenants_by_slug: OrdMap<Slug, TenantId>,
    users_by_email: OrdMap<Arc<str>, UserId>,
    sessions_of: OrdSet<(UserId, SessionId)>,
    password_links_of: OrdSet<(UserId, PasswordLinkId)>,
    groups_of: OrdSet<(UserId, GroupId)>,
    groups_above: OrdSet<(GroupId, GroupId)>,
    items_by_type: OrdSet<(ItemType, ItemId)>,
    /// How many items there are, deleted ones left out.
    items: u64,
    children: OrdSet<(ItemId, ItemId)>,
    sign_offs_of: OrdSet<(ItemId, SignOffId)>,
    waiting: OrdSet<SignOffId>,
    sources_by_key: OrdMap<(SourceNodeId, SourceKind, ExternalKey), SourceObjectId>,
    sources_of: OrdSet<(ItemId, SourceObjectId)>,
    source_children: OrdSet<(SourceObjectId, SourceObjectId)>,
    governable: OrdSet<SourceObjectId>,
    deployments_of: OrdSet<(SourceObjectId, DeploymentId)>,
    receipts_of: OrdSet<(Principal, Timestamp, ReceiptId)>,
    rules_of: OrdSet<(RuleScope, AssignmentRuleId)>,
}

impl Indexes {
    pub(in crate::domain) fn replace(&mut self, old: Option<&Record>, new: Option<&Record>) {
        if let Some(old) = old {
            self.unlist(old);
        }
        if let Some(new) = new {
            self.list(new);
        }
    }

    fn list(&mut self, record: &Record) {
        match record {
            Record::TenantEntry(entry) => {
                self.tenants_by_slug.insert(entry.slug.clone(), entry.id);
            }
            Record::Session(session) => {
                self.sessions_of.insert((session.user, session.id));
                // What an administrator does as somebody else ends with what he does himself.
                self.sessions_of.extend(session.impersonator.map(|by| (by, session.id)));
            }
            Record::PasswordLink(link) => {
                self.password_links_of.insert((link.user, link.id));
            }
            Record::User(user) if user.deleted_at.is_some() => {}
            Record::User(user) => {
                self.users_by_email.insert(user.email.as_str().into(), user.id);
            }
            Record::Group(group) => {
                self.groups_of.extend(group.members.iter().map(|user| (*user, group.id)));
                self.groups_above.extend(group.groups.iter().map(|inner| (*inner, group.id)));
            }
            Record::Item(item) => {
                self.items_by_type.insert((item.item_type, item.id));
                self.items += u64::from(!item.is_deleted());
                self.children.extend(item.parent.map(|parent| (parent, item.id)));
            }
            Record::SignOff(sign_off) => {
                self.sign_offs_of.insert((sign_off.item, sign_off.id));
                if sign_off.status().is_waiting() {
                    self.waiting.insert(sign_off.id);
                }
            }
            Record::SourceObject(source) => {
                self.sources_by_key.insert((source.node, source.kind, source.key.clone()), source.id);
                self.sources_of.extend(source.item().map(|item| (item, source.id)));
                self.source_children.extend(source.parent.map(|parent| (parent, source.id)));
                if source.is_governable() {
                    self.governable.insert(source.id);
                }
            }
            Record::Deployment(deployment) => {
                self.deployments_of.insert((deployment.source, deployment.id));
            }
            Record::Receipt(receipt) => {
                self.receipts_of.insert((receipt.principal, receipt.at, receipt.id));
            }
            Record::AssignmentRule(rule) => {
                self.rules_of.insert((rule.scope, rule.id));
            }
            Record::Tenant(_)
            | Record::Role(_)
            | Record::Grants(_)
            | Record::SourceNode(_)
            | Record::ApiKey(_)
            | Record::Template(_)
            | Record::InstanceRules(_)
            | Record::Infrastructure(_) => {}
        }
    }

    fn unlist(&mut self, record: &Record) {
        match record {
            Record::TenantEntry(entry) => {
                self.tenants_by_slug.remove(&entry.slug);
            }
            Record::Session(session) => {
                self.sessions_of.remove(&(session.user, session.id));
                if let Some(by) = session.impersonator {
                    self.sessions_of.remove(&(by, session.id));
                }
            }
            Record::PasswordLink(link) => {
                self.password_links_of.remove(&(link.user, link.id));
            }
            Record::User(user) => {
                self.users_by_email.remove(user.email.as_str());
            }
            Record::Group(group) => {
                for user in &group.members {
                    self.groups_of.remove(&(*user, group.id));
                }
                for inner in &group.groups {
                    self.groups_above.remove(&(*inner, group.id));
                }
            }
            Record::Item(item) => {
                self.items_by_type.remove(&(item.item_type, item.id));
                self.items -= u64::from(!item.is_deleted());
                if let Some(parent) = item.parent {
                    self.children.remove(&(parent, item.id));
                }
            }
            Record::SignOff(sign_off) => {
                self.sign_offs_of.remove(&(sign_off.item, sign_off.id));
                self.waiting.remove(&sign_off.id);
            }
            Record::SourceObject(source) => {
                self.sources_by_key.remove(&(source.node, source.kind, source.key.clone()));
                if let Some(item) = source.item() {
                    self.sources_of.remove(&(item, source.id));
                }
                if let Some(parent) = source.parent {
                    self.source_children.remove(&(parent, source.id));
                }
                self.governable.remove(&source.id);
            }
            Record::Deployment(deployment) => {
                self.deployments_of.remove(&(deployment.source, deployment.id));
            }
            Record::Receipt(receipt) => {
                self.receipts_of.remove(&(receipt.principal, receipt.at, receipt.id));
            }
            Record::AssignmentRule(rule) => {
                self.rules_of.remove(&(rule.scope, rule.id));
            }
            Record::Tenant(_)
            | Record::Role(_)
            | Record::Grants(_)
            | Record::SourceNode(_)
            | Record::ApiKey(_)
            | Record::Template(_)
            | Record::InstanceRules(_)
            | Record::Infrastructure(_) => {}
        }
    }
}

/// Everything behind one left half of an index of pairs, in the order of the right halves.
fn pairs<A: Copy + Ord, B: Copy + Ord>(index: &OrdSet<(A, B)>, left: A, least: B) -> impl Iterator<Item = B> + '_ {
    index.range((left, least)..).take_while(move |(a, _)| *a == left).map(|(_, b)| *b)
}

macro_rules! by_id {
    ($($name:ident: $id:ty => $kind:ty),+ $(,)?) => {
        impl State {
            $(
                #[doc = concat!("The [`", stringify!($kind), "`] with this id.")]
                pub(in crate::domain) fn $name(&self, id: $id) -> Option<&Arc<$kind>> {
                    self.find(id)
                }
            )+
        }
    };
}

by_id! {
    user: UserId => User,
    group: GroupId => Group,
    role: RoleId => Role,
    assignment_rule: AssignmentRuleId => AssignmentRule,
    source_node: SourceNodeId => SourceNode,
    api_key: ApiKeyId => ApiKey,
    session: SessionId => Session,
    password_link: PasswordLinkId => PasswordLink,
    tenant_entry: TenantId => TenantEntry,
    template: TemplateId => Template,
    item: ItemId => Item,
    sign_off: SignOffId => SignOff,
    source_object: SourceObjectId => SourceObject,
    infrastructure: InfrastructureId => Infrastructure,
    deployment: DeploymentId => Deployment,
    receipt: ReceiptId => Receipt,
}

const LEAST: Uuid = Uuid::nil();

impl State {
    /// The user with this address.
    pub(in crate::domain) fn user_by_email(&self, email: &str) -> Option<&Arc<User>> {
        self.indexes.users_by_email.get(email).and_then(|id| self.user(*id))
    }

    /// The platform's entry of the tenant with this short name.
    pub(in crate::domain) fn tenant_entry_by_slug(&self, slug: &str) -> Option<&Arc<TenantEntry>> {
        self.indexes.tenants_by_slug.get(slug).and_then(|id| self.tenant_entry(*id))
    }

    /// The sessions of a user, and those in which she acts as somebody else, oldest first.
    pub(in crate::domain) fn sessions_of(&self, user: UserId) -> impl Iterator<Item = &Arc<Session>> {
        pairs(&self.indexes.sessions_of, user, SessionId::from_uuid(LEAST)).filter_map(|id| self.session(id))
    }

    /// The unused password links of a user, oldest first.
    pub(in crate::domain) fn password_links_of(&self, user: UserId) -> impl Iterator<Item = &Arc<PasswordLink>> {
        let ids = pairs(&self.indexes.password_links_of, user, PasswordLinkId::from_uuid(LEAST));
        ids.filter_map(|id| self.password_link(id))
    }

    /// Whether a group lists a user herself.
    pub(in crate::domain) fn is_listed(&self, user: UserId, group: GroupId) -> bool {
        self.indexes.groups_of.contains(&(user, group))
    }

    /// The groups that list a user herself.
    pub(in crate::domain) fn listed_in(&self, user: UserId) -> impl Iterator<Item = GroupId> {
        pairs(&self.indexes.groups_of, user, GroupId::from_uuid(LEAST))
    }

    /// The groups that a group lies in directly.
    pub(in crate::domain) fn groups_above(&self, group: GroupId) -> impl Iterator<Item = GroupId> {
        pairs(&self.indexes.groups_above, group, GroupId::from_uuid(LEAST))
    }

    /// The rules that give roles on all items of a type, or on one item.
    pub(in crate::domain) fn rules_of(&self, scope: RuleScope) -> impl Iterator<Item = &Arc<AssignmentRule>> {
        let rules = pairs(&self.indexes.rules_of, scope, AssignmentRuleId::from_uuid(LEAST));
        rules.filter_map(|id| self.assignment_rule(id))
    }

    /// The grants of an item type, or the defaults.
    pub(in crate::domain) fn grants(&self, item_type: ItemType) -> Option<&Arc<Grants>> {
        in_force(self.tables.grants.values(), item_type)
    }

    /// How many items there are, deleted ones left out.
    pub const fn item_count(&self) -> u64 {
        self.indexes.items
    }

    /// How many sign-offs wait for feedback or a decision, whoever may read them.
    pub fn waiting_sign_off_count(&self) -> u64 {
        u64::try_from(self.indexes.waiting.len()).unwrap_or(u64::MAX)
    }

    /// The items of a type with ids between these ends, oldest first.
    pub(in crate::domain) fn items_of_type(
        &self,
        item_type: ItemType,
        (older, younger): (Bound<ItemId>, Bound<ItemId>),
    ) -> impl DoubleEndedIterator<Item = &Arc<Item>> {
        let end = |end: Bound<ItemId>, last: Uuid| match end {
            Bound::Unbounded => Bound::Included((item_type, ItemId::from_uuid(last))),
            Bound::Included(_) | Bound::Excluded(_) => end.map(|id| (item_type, id)),
        };
        let ids = self.indexes.items_by_type.range((end(older, LEAST), end(younger, Uuid::max())));
        ids.filter_map(|(_, id)| self.item(*id))
    }

    /// The items directly below an item, oldest first.
    pub(in crate::domain) fn children(&self, item: ItemId) -> impl Iterator<Item = &Arc<Item>> {
        pairs(&self.indexes.children, item, ItemId::from_uuid(LEAST)).filter_map(|id| self.item(id))
    }

    /// The sign-offs of an item.
    pub(in crate::domain) fn sign_offs_of(&self, item: ItemId) -> impl Iterator<Item = &Arc<SignOff>> {
        pairs(&self.indexes.sign_offs_of, item, SignOffId::from_uuid(LEAST)).filter_map(|id| self.sign_off(id))
    }

    /// The sign-off of one step of an item.
    pub(in crate::domain) fn sign_off_of(&self, item: ItemId, step: &StepKey) -> Option<&Arc<SignOff>> {
        self.sign_offs_of(item).find(|sign_off| sign_off.step == *step)
    }

    /// The sign-offs that wait for somebody.
    pub(in crate::domain) fn waiting_sign_offs(&self) -> impl Iterator<Item = &Arc<SignOff>> {
        self.indexes.waiting.iter().filter_map(|id| self.sign_off(*id))
    }

    /// The source object that a node calls by this key.
    pub(in crate::domain) fn source_by_key(
        &self,
        node: SourceNodeId,
        kind: SourceKind,
        key: &ExternalKey,
    ) -> Option<&Arc<SourceObject>> {
        let id = self.indexes.sources_by_key.get(&(node, kind, key.clone()))?;
        self.source_object(*id)
    }

    /// The source node with this short name.
    pub(in crate::domain) fn source_node_by_slug(&self, slug: &str) -> Option<&Arc<SourceNode>> {
        self.tables.source_nodes.values().find(|node| node.slug.as_str() == slug)
    }

    /// The source objects that an item governs.
    pub(in crate::domain) fn sources_of(&self, item: ItemId) -> impl Iterator<Item = &Arc<SourceObject>> {
        let ids = pairs(&self.indexes.sources_of, item, SourceObjectId::from_uuid(LEAST));
        ids.filter_map(|id| self.source_object(id))
    }

    /// The source objects directly below one.
    pub(in crate::domain) fn source_children(
        &self,
        source: SourceObjectId,
    ) -> impl Iterator<Item = &Arc<SourceObject>> {
        let ids = pairs(&self.indexes.source_children, source, SourceObjectId::from_uuid(LEAST));
        ids.filter_map(|id| self.source_object(id))
    }

    /// The source objects that could be governed with ids between these ends, oldest first.
    pub(in crate::domain) fn governable(
        &self,
        range: (Bound<SourceObjectId>, Bound<SourceObjectId>),
    ) -> impl DoubleEndedIterator<Item = &Arc<SourceObject>> {
        self.indexes.governable.range(range).filter_map(|id| self.source_object(*id))
    }

    /// The deployments of a source object.
    pub(in crate::domain) fn deployments_of(&self, source: SourceObjectId) -> impl Iterator<Item = &Arc<Deployment>> {
        let ids = pairs(&self.indexes.deployments_of, source, DeploymentId::from_uuid(LEAST));
        ids.filter_map(|id| self.deployment(id))
    }

    /// The remembered commands of a principal, oldest first.
    pub(in crate::domain) fn receipts_of(&self, principal: Principal) -> impl Iterator<Item = &Arc<Receipt>> {
        let least = (principal, Timestamp::from_milliseconds(i64::MIN), ReceiptId::from_uuid(LEAST));
        let of = self.indexes.receipts_of.range(least..).take_while(move |(owner, _, _)| *owner == principal);
        of.filter_map(|(_, _, id)| self.receipt(*id))
    }
}
