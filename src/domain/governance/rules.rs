//! Governing a reported object by hand: into a new or an existing item, with its children now and later.
//! Never half of it: an object, its item, its children and their rules land together or not at all.

use super::{
    InstanceRule, add_child_rules,
    automatic::item_of_parent,
    effective_rule,
    instance_rules::{kind_must_be_among, rules_must_fit},
};
use crate::domain::{
    access::{Allowed, Denied, Stopped, View},
    action::{GovernSourceObject, Need},
    consequences,
    event::{EventKind, Subject},
    field::{FieldChange, FieldValue, Fields},
    id::{Ids, ItemId, SourceObjectId, TemplateId},
    item::{Item, Origin, changed_fields, create, usable_template},
    policy::Rights,
    refusal::Refusal,
    source::{Governance, SourceKind, SourceObject},
    state::{Change, Draft},
    template::{ItemType, Template},
    text::{FieldKey, Name},
    time::Timestamp,
};
use crate::limits::CONSEQUENCES_MAX;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The field of a governed project that names its business initiative.
const INITIATIVE_FIELD: &str = "business_initiative";

/// How a source object comes under governance.
#[derive(Clone, Debug, Default)]
pub struct Govern {
    /// The template of the new item; where none is named, the one that the effective rule names.
    pub template: Option<TemplateId>,
    /// The existing item that becomes its governance side, instead of a new one.
    pub into: Option<ItemId>,
    /// The name of the new item; the source object's own where none is given.
    pub name: Option<Name>,
    /// The business initiative that a project belongs to.
    pub initiative: Option<ItemId>,
    /// With which templates the children that are there are governed as well.
    pub existing_children: BTreeMap<SourceKind, TemplateId>,
    /// What happens to children that are reported later.
    pub future_children: BTreeMap<SourceKind, InstanceRule>,
}

impl Allowed<'_, GovernSourceObject, SourceObject> {
    /// Governs the object and, where asked, its children; the caller follows the item.
    ///
    /// # Errors
    /// `SOURCE_ARCHIVED`, `ALREADY_GOVERNED`, `SOURCE_HIDDEN`, `PARENT_NOT_GOVERNED`, an item or template that
    /// cannot be used, `TOO_MANY_CONSEQUENCES`; `Forbidden` without CREATE on a child or WRITE on the item.
    pub fn govern(self, govern: Govern, ids: &dyn Ids, now: Timestamp) -> Result<Change<Arc<Item>>, Stopped> {
        let parent = self.governed_parent()?;
        let templates = self.templates_of_children(&govern.existing_children)?;
        rules_must_fit(self.view(), "futureChildren", self.kind.below(), &govern.future_children)?;
        let mut draft = self.draft();
        let item = match govern.into {
            Some(into) => self.existing_item(&mut draft, parent, into, &govern, now)?,
            None => self.new_item(&mut draft, parent, &govern, ids, now)?,
        };
        link(&mut draft, self.record(), item.id);
        let mut touched = BTreeSet::from([self.id]);
        self.govern_children(&mut draft, &item, &templates, &mut touched, ids, now)?;
        if !govern.future_children.is_empty() {
            add_child_rules(&mut draft, item.id, govern.future_children);
        }
        consequences::of_sources(&mut draft, self.state(), &touched);
        Ok(draft.done(item))
    }

    /// The item that governs the parent; none for a project, which has no parent.
    fn governed_parent(&self) -> Result<Option<&Arc<Item>>, Refusal> {
        if self.archived_at.is_some() {
            return Err(Refusal::SourceArchived {});
        }
        match self.governance {
            Governance::Governed(_) => return Err(Refusal::AlreadyGoverned {}),
            Governance::Hidden => return Err(Refusal::SourceHidden {}),
            Governance::Ungoverned => {}
        }
        let Some(parent) = self.parent else { return Ok(None) };
        let name =
            || self.state().source_object(parent).map_or_else(|| self.name.clone(), |parent| parent.name.clone());
        let item = item_of_parent(self.state(), self);
        item.map(Some).ok_or_else(|| Refusal::ParentNotGoverned { parent: name() })
    }

    fn templates_of_children(
        &self,
        templates: &BTreeMap<SourceKind, TemplateId>,
    ) -> Result<BTreeMap<SourceKind, &Arc<Template>>, Refusal> {
        let checked = templates.iter().map(|(kind, template)| {
            let path = format!("existingChildren.{}", kind.as_str());
            kind_must_be_among(&path, self.kind.below(), *kind)?;
            Ok((*kind, usable_template(self.view(), &path, *template, kind.item_type())?))
        });
        checked.collect()
    }

    fn new_item(
        &self,
        draft: &mut Draft,
        parent: Option<&Arc<Item>>,
        govern: &Govern,
        ids: &dyn Ids,
        now: Timestamp,
    ) -> Result<Arc<Item>, Stopped> {
        let item_type = self.kind.item_type();
        let template = govern.template.or_else(|| match effective_rule(self.state(), self.kind, self.parent).rule {
            InstanceRule::Govern(template) | InstanceRule::Recommend(template) => Some(template),
            InstanceRule::Hide | InstanceRule::Nothing => None,
        });
        let template = template.ok_or_else(|| Refusal::Unknown { path: "templateId".to_owned() })?;
        let template = usable_template(self.view(), "templateId", template, item_type)?;
        let caller = self.caller()?;
        let rights = Rights::on_type(self.state(), &caller, item_type, parent.map(AsRef::as_ref));
        let changes = initiative(self.view(), govern.initiative)?;
        let fields = changed_fields(self.view(), &rights, template, &Fields::new(), changes)?;
        let name = govern.name.clone().unwrap_or_else(|| self.name.clone());
        let creator = caller.user_id();
        let origin = Origin { template, parent: parent.map(|parent| parent.id), creator, by: None };
        Ok(create(draft, &origin, name, fields, ids, now))
    }

    /// Takes an existing item, which must be able to stand for this object.
    fn existing_item(
        &self,
        draft: &mut Draft,
        parent: Option<&Arc<Item>>,
        into: ItemId,
        govern: &Govern,
        now: Timestamp,
    ) -> Result<Arc<Item>, Stopped> {
        let item = self.state().item(into).filter(|item| self.view().may_read_item(item.id));
        let item = item.ok_or_else(|| Refusal::ItemUnknown { path: "itemId".to_owned() })?;
        self.must_stand_for_this(item, parent, govern)?;
        let rights = self.view().rights(item)?;
        if !rights.may_write() {
            return Err(Denied::Forbidden(Need::Write.right()).into());
        }
        let template = self.state().template(item.template).ok_or(Denied::NotFound)?;
        let changes = initiative(self.view(), govern.initiative)?;
        let fields = changed_fields(self.view(), &rights, template, &item.fields, changes)?;
        let mut next = Item { fields, ..(**item).clone() };
        let mut events = vec![];
        if next.fields != item.fields {
            let field = FieldKey::new(INITIATIVE_FIELD);
            let (old, new) = (item.fields.get(&field).cloned(), next.fields.get(&field).cloned());
            events.push(EventKind::FieldChanged { field, old, new });
            next.revision += 1;
            next.changed_at = now;
        }
        let user = self.caller()?.user_id();
        events.extend(user.filter(|user| next.followers.insert(*user)).map(|user| EventKind::ItemFollowed { user }));
        if events.is_empty() {
            return Ok(Arc::clone(item));
        }
        Ok(draft.put_all(next, Subject::Item(into), events))
    }

    fn must_stand_for_this(&self, item: &Item, parent: Option<&Arc<Item>>, govern: &Govern) -> Result<(), Refusal> {
        item.must_be_live()?;
        let (path, wanted) = ("itemId".to_owned(), self.kind.item_type());
        if item.item_type != wanted {
            return Err(Refusal::ItemOfWrongType { path, wanted, found: item.item_type });
        }
        if item.parent != parent.map(|parent| parent.id) {
            let wanted = parent.map_or_else(|| "no parent".to_owned(), |parent| format!("the parent {}", parent.name));
            return Err(Refusal::WrongParent { path, wanted });
        }
        if self.kind != SourceKind::Project && self.state().sources_of(item.id).next().is_some() {
            return Err(Refusal::ItemHasSource { item: item.name.clone() });
        }
        if let Some(template) = govern.template.filter(|template| *template != item.template) {
            usable_template(self.view(), "templateId", template, wanted)?;
            let wanted = format!("the template of {}, or left out", item.name);
            let path = "templateId".to_owned();
            return Err(Refusal::ValueOfWrongShape { path, wanted, found: "another template" });
        }
        if govern.name.is_some() {
            let wanted = format!("left out, for {} keeps its name", item.name);
            return Err(Refusal::ValueOfWrongShape { path: "name".to_owned(), wanted, found: "a name" });
        }
        Ok(())
    }

    /// Governs the ungoverned objects below, each under its parent's new item.
    fn govern_children(
        &self,
        draft: &mut Draft,
        item: &Arc<Item>,
        templates: &BTreeMap<SourceKind, &Arc<Template>>,
        touched: &mut BTreeSet<SourceObjectId>,
        ids: &dyn Ids,
        now: Timestamp,
    ) -> Result<(), Stopped> {
        let caller = self.caller()?;
        let mut above = vec![(self.id, Arc::clone(item))];
        while let Some((source, parent)) = above.pop() {
            let children = draft.next().source_children(source).filter(|child| child.is_governable());
            let children: Vec<_> = children.cloned().collect();
            for child in children {
                let Some(template) = templates.get(&child.kind) else { continue };
                // The object itself is counted among the touched.
                if touched.len() > CONSEQUENCES_MAX {
                    return Err(Refusal::TooManyConsequences { objects: touched.len(), most: CONSEQUENCES_MAX }.into());
                }
                if !Rights::on_type(draft.next(), &caller, child.kind.item_type(), Some(&parent)).may_create() {
                    return Err(Denied::Forbidden(Need::Govern.right()).into());
                }
                let creator = caller.user_id();
                let origin = Origin { template, parent: Some(parent.id), creator, by: None };
                let governed = create(draft, &origin, child.name.clone(), Fields::new(), ids, now);
                link(draft, &child, governed.id);
                touched.insert(child.id);
                above.push((child.id, governed));
            }
        }
        Ok(())
    }
}

/// The change of fields that puts a project under an initiative.
fn initiative(view: View<'_>, initiative: Option<ItemId>) -> Result<Vec<FieldChange>, Refusal> {
    let Some(id) = initiative else { return Ok(vec![]) };
    let path = "businessInitiativeId".to_owned();
    let found = view.state().item(id).filter(|item| item.is_live() && view.may_read_item(item.id));
    match found.map(|item| item.item_type) {
        None => Err(Refusal::ItemUnknown { path }),
        Some(ItemType::BusinessInitiative) => {
            let value = Some(FieldValue::Reference(id));
            Ok(vec![FieldChange { key: INITIATIVE_FIELD.to_owned(), value }])
        }
        Some(
            found @ (ItemType::GovernedProject
            | ItemType::GovernedBundle
            | ItemType::GovernedModel
            | ItemType::GovernedModelVersion),
        ) => Err(Refusal::ItemOfWrongType { path, wanted: ItemType::BusinessInitiative, found }),
    }
}

fn link(draft: &mut Draft, source: &SourceObject, item: ItemId) {
    let next = SourceObject { governance: Governance::Governed(item), ..source.clone() };
    draft.put(next, Subject::Source(source.id, Some(item)), EventKind::SourceObjectGoverned { item });
}
