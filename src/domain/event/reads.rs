//! Who may read an event, and what of the tenant it touches: asked of the state as it is now, at each delivery.
//! Never widens a right: an event is read by those who read what it happened to, and by nobody else.

use super::{Event, EventKind, Subject};
use crate::domain::{
    access::{Principal, View},
    caller::Caller,
    deployment::Deployment,
    id::{InfrastructureId, ItemId, SourceObjectId, TemplateId, UserId},
    identity::{Scope, User},
    infrastructure::Infrastructure,
    policy,
    source::SourceObject,
    template::Template,
    text::Name,
};
use std::iter;

impl<'s> View<'s> {
    /// Whether the viewer may read an event now: people and keys only, never the server's own names.
    pub fn may_read_event(self, event: &Event) -> bool {
        let Ok(caller) = self.caller() else { return false };
        if caller.system.is_some() || caller.credential {
            return false;
        }
        match event.subject {
            Subject::Item(item) => self.may_read_of_item(item, &event.kind),
            Subject::Source(source, item) => self.may_read_of_source(&caller, source, item),
            Subject::Infrastructure(infrastructure) => self.sees(infrastructure),
            Subject::Deployment(deployment, source, item) => {
                // What is gone, or was refused before it was there, is read by where it would be.
                let place = || event.kind.infrastructure().is_some_and(|infrastructure| self.sees(infrastructure));
                self.readable::<Deployment>(deployment).is_ok()
                    || place()
                    || self.may_read_of_source(&caller, source, item)
            }
            Subject::Template(template) => self.shows(template),
            Subject::Identity(uuid) => {
                let own = |user: UserId| user.uuid() == uuid || event.kind.user() == Some(user);
                caller.person().is_some_and(own) || self.oversees(&caller)
            }
            Subject::Access(_) => caller.manages() || self.oversees(&caller),
            Subject::Tenant => {
                let of_directory = matches!(
                    event.kind,
                    EventKind::TenantCreated { .. }
                        | EventKind::TenantSuspended { .. }
                        | EventKind::TenantResumed { .. }
                        | EventKind::TenantErased { .. }
                        | EventKind::TenantExported { .. }
                        | EventKind::TenantQuotaSet { .. }
                );
                of_directory && caller.operates() || self.oversees(&caller)
            }
        }
    }

    /// Whether the caller reads the whole timeline, people included.
    pub(in crate::domain) fn oversees(self, caller: &Caller<'_>) -> bool {
        caller.administers() || policy::audits(self.state(), caller)
    }

    fn may_read_of_item(self, item: ItemId, kind: &EventKind) -> bool {
        let Some(item) = self.state().item(item) else { return false };
        let Ok(rights) = self.rights(item) else { return false };
        let hidden = kind.field().is_some_and(|field| !rights.may_read_field(field));
        rights.may_read() && !hidden
    }

    fn may_read_of_source(self, caller: &Caller<'_>, source: SourceObjectId, item: Option<ItemId>) -> bool {
        if let Some(own) = caller.any_node() {
            let source = self.state().source_object(source);
            return caller.has_scope(Scope::ReadStatus) && source.is_some_and(|source| source.node == own);
        }
        self.readable::<SourceObject>(source).is_ok() || item.is_some_and(|item| self.may_read_item(item))
    }

    fn sees(self, infrastructure: InfrastructureId) -> bool {
        self.readable::<Infrastructure>(infrastructure).is_ok()
    }

    fn shows(self, template: TemplateId) -> bool {
        self.readable::<Template>(template).is_ok()
    }

    /// Whether an item is `top` or lies below it.
    pub fn is_within(self, item: ItemId, top: ItemId) -> bool {
        self.upward(item).any(|item| item == top)
    }

    /// Whether the viewer follows an item, or anything that it lies below.
    pub fn follows(self, item: ItemId) -> bool {
        let Ok(Some(user)) = self.caller().map(|caller| caller.user_id()) else { return false };
        let mut upward = self.upward(item).filter_map(|item| self.state().item(item));
        upward.any(|item| item.followers.contains(&user))
    }

    /// An item and those above it, nearest first. Types lie in a fixed order, so that there are no circles.
    fn upward(self, item: ItemId) -> impl Iterator<Item = ItemId> + 's {
        let parent = move |item: &ItemId| self.state().item(*item)?.parent;
        iter::successors(Some(item), parent)
    }

    /// What the timeline calls whoever did something: a key's name stands there for everyone who reads its events,
    /// a person's for those who may know people, and the server's own names are words of the schema.
    pub fn name_of(self, principal: Principal) -> Option<&'s Name> {
        match principal {
            Principal::User(user) | Principal::Impersonated { user, .. } => {
                self.readable::<User>(user).ok().map(|user| &user.name)
            }
            Principal::Key(key) => self.state().api_key(key).map(|key| &key.name),
            Principal::System(_) | Principal::Credential => None,
        }
    }
}
