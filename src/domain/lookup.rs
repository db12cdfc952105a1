//! How a view finds records: always closed, or already asked for reading.
//! Never answers what the viewer may not read: missing and unreadable are the same.

use super::{
    access::{Denied, Guarded, Resource, View},
    action::Need,
    deployment::Deployment,
    id::{
        ApiKeyId, AssignmentRuleId, DeploymentId, GrantsId, GroupId, InfrastructureId, ItemId, RoleId, SessionId,
        SignOffId, SourceObjectId, TemplateId, UserId,
    },
    identity::{ApiKey, Group, Session, User},
    infrastructure::Infrastructure,
    item::Item,
    policy::{AssignmentRule, Grants, Role},
    record::Entity,
    sign_off::SignOff,
    source::{SourceKind, SourceObject},
    template::{ItemType, Template},
    tenant::{Tenant, TenantEntry},
    text::{ExternalKey, Slug, StepKey},
};
use std::{ops::Bound, sync::Arc};
use uuid::Uuid;

/// A stretch of a list by age (ids are UUIDv7): between two ends, from one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ages {
    /// The older end.
    pub older: Bound<Uuid>,
    /// The younger end.
    pub younger: Bound<Uuid>,
    /// Whether it is walked from the younger end.
    pub newest_first: bool,
}

impl Ages {
    /// The whole list, oldest first.
    pub const ALL: Self = Self { older: Bound::Unbounded, younger: Bound::Unbounded, newest_first: false };

    /// What lies between two rows, without them, oldest first; nothing when they stand the other way around.
    pub fn between(older: Option<Uuid>, younger: Option<Uuid>) -> Self {
        let end = |row: Option<Uuid>| row.map_or(Bound::Unbounded, Bound::Excluded);
        match (older, younger) {
            (Some(first), Some(last)) if first >= last => Self::up_to(Uuid::nil()),
            _ => Self { older: end(older), younger: end(younger), newest_first: false },
        }
    }

    /// A row and all that are older.
    pub const fn up_to(row: Uuid) -> Self {
        Self { younger: Bound::Included(row), ..Self::ALL }
    }

    /// A row and all that are younger.
    pub const fn from(row: Uuid) -> Self {
        Self { older: Bound::Included(row), ..Self::ALL }
    }

    /// A list of these ages in the order in which they are walked.
    fn ordered<'s, T>(self, mut rows: impl DoubleEndedIterator<Item = T> + 's) -> impl Iterator<Item = T> + 's {
        std::iter::from_fn(move || if self.newest_first { rows.next_back() } else { rows.next() })
    }
}

macro_rules! guarded {
    ($($name:ident: $id:ty => $kind:ty),+ $(,)?) => {
        impl<'s> View<'s> {
            $(
                #[doc = concat!("The [`", stringify!($kind), "`] with this id, closed.")]
                ///
                /// # Errors
                /// `NotFound` when there is none.
                pub fn $name(self, id: $id) -> Result<Guarded<'s, $kind>, Denied> {
                    self.guard(self.state().find(id))
                }
            )+
        }
    };
}

guarded! {
    item: ItemId => Item,
    sign_off: SignOffId => SignOff,
    source_object: SourceObjectId => SourceObject,
    template: TemplateId => Template,
    infrastructure: InfrastructureId => Infrastructure,
    deployment: DeploymentId => Deployment,
    user: UserId => User,
    group: GroupId => Group,
    api_key: ApiKeyId => ApiKey,
    session: SessionId => Session,
    role: RoleId => Role,
    assignment_rule: AssignmentRuleId => AssignmentRule,
    grants: GrantsId => Grants,
}

impl<'s> View<'s> {
    /// The tenant itself, closed.
    ///
    /// # Errors
    /// `NotFound` when it is not founded.
    pub fn tenant(self) -> Result<Guarded<'s, Tenant>, Denied> {
        self.guard(self.state().tenant())
    }

    /// The sign-off of a step of an item, closed.
    ///
    /// # Errors
    /// `NotFound` when the step has none.
    pub fn sign_off_of(self, item: ItemId, step: &StepKey) -> Result<Guarded<'s, SignOff>, Denied> {
        self.guard(self.state().sign_off_of(item, step))
    }

    /// The platform's entry of the tenant with this short name, closed.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub fn tenant_entry_called(self, slug: &str) -> Result<Guarded<'s, TenantEntry>, Denied> {
        self.guard(self.state().tenant_entry_by_slug(slug))
    }

    /// A record, if the viewer may read it now.
    ///
    /// # Errors
    /// `NotFound` when there is none for her, `Unauthenticated` when she no longer stands.
    pub fn readable<T: Entity + Resource>(self, id: T::Id) -> Result<&'s Arc<T>, Denied> {
        let record = self.state().find::<T>(id).ok_or(Denied::NotFound)?;
        self.caller()?;
        record.may(Need::Read, self)?;
        Ok(record)
    }

    /// Those of some records that the viewer may read, in their order.
    fn readable_of<T: Resource + 's>(
        self,
        records: impl Iterator<Item = &'s Arc<T>> + 's,
    ) -> impl Iterator<Item = &'s Arc<T>> + 's {
        let stands = self.caller().is_ok();
        records.filter(move |record| stands && record.may(Need::Read, self).is_ok())
    }

    /// The source object that a node, or else the caller's own node, calls by this key.
    ///
    /// # Errors
    /// `NotFound` when there is none that the viewer may read, `Unauthenticated` when she no longer stands.
    pub fn source_by_key(
        self,
        node: Option<&Slug>,
        kind: SourceKind,
        key: &ExternalKey,
    ) -> Result<&'s Arc<SourceObject>, Denied> {
        let node = match node {
            Some(slug) => self.state().source_node_by_slug(slug.as_str()).map(|node| node.id),
            None => self.caller()?.any_node(),
        };
        let source = node.and_then(|node| self.state().source_by_key(node, kind, key));
        self.readable(source.ok_or(Denied::NotFound)?.id)
    }

    /// Every record of a kind that the viewer may read, oldest first.
    pub fn all<T: Entity + Resource>(self) -> impl Iterator<Item = &'s Arc<T>> + 's {
        self.aged(Ages::ALL)
    }

    /// A stretch of the records of a kind that the viewer may read.
    pub fn aged<T: Entity + Resource>(self, ages: Ages) -> impl Iterator<Item = &'s Arc<T>> + 's {
        let range = T::table(self.state()).range((ages.older.map(T::Id::from), ages.younger.map(T::Id::from)));
        self.readable_of(ages.ordered(range.map(|(_, record)| record)))
    }

    /// A stretch of the items of a type that the viewer may read.
    pub fn items_of_type(self, item_type: ItemType, ages: Ages) -> impl Iterator<Item = &'s Arc<Item>> + 's {
        let range = (ages.older.map(ItemId::from_uuid), ages.younger.map(ItemId::from_uuid));
        self.readable_of(ages.ordered(self.state().items_of_type(item_type, range)))
    }

    /// The items below an item, at any depth and of any type, that the viewer may read down from it.
    pub fn descendants(self, item: ItemId) -> Vec<&'s Arc<Item>> {
        let mut found: Vec<&'s Arc<Item>> = self.children(item).collect();
        let mut next = 0;
        while let Some(parent) = found.get(next) {
            let below = self.children(parent.id);
            found.extend(below);
            next += 1;
        }
        found
    }

    /// The items below an item that the viewer may read, oldest first.
    pub fn children(self, item: ItemId) -> impl Iterator<Item = &'s Arc<Item>> + 's {
        self.readable_of(self.state().children(item))
    }

    /// The source objects of an item that the viewer may read.
    pub fn sources_of(self, item: ItemId) -> impl Iterator<Item = &'s Arc<SourceObject>> + 's {
        self.readable_of(self.state().sources_of(item))
    }

    /// A stretch of the source objects in the inbox that the viewer could govern.
    pub fn governable(self, ages: Ages) -> impl Iterator<Item = &'s Arc<SourceObject>> + 's {
        let range = (ages.older.map(SourceObjectId::from_uuid), ages.younger.map(SourceObjectId::from_uuid));
        let open = self.readable_of(ages.ordered(self.state().governable(range)));
        open.filter(move |source| source.may(Need::Govern, self).is_ok())
    }

    /// The deployments of a source object that the viewer may read, oldest first.
    pub fn deployments_of(self, source: SourceObjectId) -> impl Iterator<Item = &'s Arc<Deployment>> + 's {
        self.readable_of(self.state().deployments_of(source))
    }

    /// The sign-offs of an item that the viewer may read.
    pub fn sign_offs_of(self, item: ItemId) -> impl Iterator<Item = &'s Arc<SignOff>> + 's {
        self.readable_of(self.state().sign_offs_of(item))
    }

    /// Whether the person who asks is in a group, herself or through a group in it.
    pub fn belongs(self, group: GroupId) -> bool {
        self.caller().is_ok_and(|caller| caller.is_in(self.state(), group))
    }

    /// The sessions of a user that the viewer may read, oldest first.
    pub fn sessions_of(self, user: UserId) -> impl Iterator<Item = &'s Arc<Session>> + 's {
        self.readable_of(self.state().sessions_of(user))
    }

    /// The sign-offs that wait for somebody and that the viewer may read.
    pub fn waiting_sign_offs(self) -> impl Iterator<Item = &'s Arc<SignOff>> + 's {
        self.readable_of(self.state().waiting_sign_offs())
    }
}
