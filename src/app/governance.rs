//! What callers ask about governance: governing, hiding, and the rules for what is reported later.
//! Never checks a rule: `domain/governance` does.

use super::{App, Call, Committed, Failed, Seen};
use crate::{
    domain::{
        access::Denied,
        action::{
            GovernSourceObject, HideSourceObject, ReadItem, ReadTenant, SetChildRules, SetInstanceRules,
            UnhideSourceObject,
        },
        governance::{Govern, InstanceRules, NewRules},
        id::{ItemId, SourceObjectId},
        item::Item,
        source::SourceObject,
    },
    store::Snapshot,
};
use std::sync::Arc;

type Answer<T> = Result<Committed<Arc<T>>, Failed>;

impl App {
    /// Governs a source object, into a new or an existing item; answers the item.
    ///
    /// # Errors
    /// As the rule.
    pub async fn govern_source_object(&self, call: &Call, id: SourceObjectId, govern: Govern) -> Answer<Item> {
        self.write(call, move |turn| {
            let source = turn.view().source_object(id)?.authorize::<GovernSourceObject>()?;
            turn.stage(source.govern(govern, turn.ids(), turn.now())?)
        })
        .await
    }

    /// Hides a source object and all below it.
    ///
    /// # Errors
    /// As the rule.
    pub async fn hide_source_object(&self, call: &Call, id: SourceObjectId) -> Answer<SourceObject> {
        self.write(call, move |turn| {
            let source = turn.view().source_object(id)?.authorize::<HideSourceObject>()?;
            turn.stage(source.hide()?)
        })
        .await
    }

    /// Shows a hidden source object and all below it again.
    ///
    /// # Errors
    /// As the rule.
    pub async fn unhide_source_object(&self, call: &Call, id: SourceObjectId) -> Answer<SourceObject> {
        self.write(call, move |turn| {
            let source = turn.view().source_object(id)?.authorize::<UnhideSourceObject>()?;
            turn.stage(source.unhide()?)
        })
        .await
    }

    /// Replaces the tenant's instance rules.
    ///
    /// # Errors
    /// As the rule.
    pub async fn set_instance_rules(&self, call: &Call, new: NewRules) -> Answer<InstanceRules> {
        self.write(call, move |turn| {
            let tenant = turn.view().tenant()?.authorize::<SetInstanceRules>()?;
            turn.stage(tenant.set_instance_rules(new)?)
        })
        .await
    }

    /// Replaces the rules for the children of an item.
    ///
    /// # Errors
    /// As the rule.
    pub async fn set_child_rules(&self, call: &Call, id: ItemId, new: NewRules) -> Answer<InstanceRules> {
        self.write(call, move |turn| {
            let item = turn.view().item(id)?.authorize::<SetChildRules>()?;
            turn.stage(item.set_child_rules(new)?)
        })
        .await
    }
}

/// The tenant's instance rules; at revision 0 while nobody has set any.
///
/// # Errors
/// `Unauthenticated` when the viewer no longer stands.
pub fn instance_rules(snapshot: &Snapshot) -> Result<Arc<InstanceRules>, Denied> {
    Ok(snapshot.view().tenant()?.authorize::<ReadTenant>()?.instance_rules())
}

impl Seen<Item> {
    /// The rules for what is reported below it; at revision 0 while nobody has set any.
    ///
    /// # Errors
    /// None in the version in which it was read.
    pub fn child_rules(&self) -> Result<Arc<InstanceRules>, Denied> {
        Ok(self.view().item(self.id)?.authorize::<ReadItem>()?.child_rules())
    }
}
