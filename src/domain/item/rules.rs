//! Making and saving items: one atomic save of name, fields and steps.
//! Never half of a save: everything is checked against the result before anything is put.

use super::{Item, Life};
use crate::domain::{
    access::{Allowed, Denied, Stopped, SystemActor, View},
    action::{
        Asks, CancelStep, CreateBusinessInitiative, CreateGovernedProject, FinishStep, FollowItem, ReopenStep,
        StartStep, UpdateItem,
    },
    event::{EventKind, Subject},
    field::{self, FieldChange, Fields},
    id::{Ids, ItemId, SignOffId, TemplateId, UserId},
    policy::Rights,
    refusal::Refusal,
    sign_off::{SignOff, Stage},
    state::{Change, Draft, State},
    template::{FieldDefinition, FieldShape, ItemType, Template, TemplateStatus},
    tenant::Tenant,
    text::{Name, StepKey},
    time::Timestamp,
    workflow::{Move, Moved, Workflow},
};
use crate::limits::STEP_MOVES_MAX;
use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

/// What a new item is made of.
#[derive(Clone, Debug)]
pub struct NewItem {
    /// The template, active and of the item's type.
    pub template: TemplateId,
    /// Its name.
    pub name: Name,
    /// The first values of its fields.
    pub fields: Vec<FieldChange>,
}

/// One save: everything in it lands, or nothing.
#[derive(Clone, Debug, Default)]
pub struct Save {
    /// The revision that the caller has read.
    pub expected_revision: u64,
    /// The new name, if it changes.
    pub name: Option<Name>,
    /// The fields that change.
    pub fields: Vec<FieldChange>,
    /// The moves of steps, made in this order after the fields.
    pub moves: Vec<StepMove>,
}

/// One move of one step, as the caller wrote it.
#[derive(Clone, Debug)]
pub struct StepMove {
    /// Names the step.
    pub step: String,
    /// Where it goes.
    pub step_move: Move,
}

/// A template that may be used for an item of a type.
///
/// # Errors
/// `UNKNOWN_OBJECT`, `TEMPLATE_NOT_ACTIVE` or `WRONG_TEMPLATE_TYPE`.
pub(in crate::domain) fn usable_template<'s>(
    view: View<'s>,
    path: &str,
    template: TemplateId,
    wanted: ItemType,
) -> Result<&'s Arc<Template>, Refusal> {
    let unknown = || Refusal::Unknown { path: path.to_owned() };
    let found = view.state().template(template).ok_or_else(unknown)?;
    let template = found.name.clone();
    match found.status {
        // Whoever may not see drafts is not told that there is one, nor what it is called.
        TemplateStatus::Draft | TemplateStatus::Archived if view.readable::<Template>(found.id).is_err() => {
            Err(unknown())
        }
        TemplateStatus::Draft | TemplateStatus::Archived => Err(Refusal::TemplateNotActive { template }),
        TemplateStatus::Active if found.item_type != wanted => {
            Err(Refusal::TemplateOfWrongType { template, wanted, found: found.item_type })
        }
        TemplateStatus::Active => Ok(found),
    }
}

/// What an item is made from and by whom.
pub(in crate::domain) struct Origin<'a> {
    /// The template, checked.
    pub template: &'a Template,
    /// The item that it belongs to.
    pub parent: Option<ItemId>,
    /// Its maker, who follows it; none for the server.
    pub creator: Option<UserId>,
    /// The server's own name, when it makes the item by itself.
    pub by: Option<SystemActor>,
}

/// Puts a new item with the sign-offs of its steps, none of them started.
pub(in crate::domain) fn create(
    draft: &mut Draft,
    origin: &Origin<'_>,
    name: Name,
    fields: Fields,
    ids: &dyn Ids,
    now: Timestamp,
) -> Arc<Item> {
    let template = origin.template;
    let id = ItemId::new(ids);
    let item = Item {
        id,
        revision: 1,
        item_type: template.item_type,
        template: template.id,
        name: name.clone(),
        parent: origin.parent,
        fields,
        workflow: Workflow::new(template.steps.iter().map(|step| step.key.clone())),
        followers: origin.creator.into_iter().collect(),
        life: Life::Live,
        created_by: origin.creator,
        created_at: now,
        changed_at: now,
    };
    let created = EventKind::ItemCreated { item_type: item.item_type, name, template: template.id };
    let values: Vec<_> = item.fields.clone().into_iter().collect();
    let item = draft.store_by(origin.by, item, Subject::Item(id), created);
    for (field, value) in values {
        let set = EventKind::FieldChanged { field, old: None, new: Some(value) };
        draft.tell(origin.by, Subject::Item(id), set);
    }
    for step in &template.steps {
        if let Some(configuration) = &step.sign_off {
            draft.attach(SignOff {
                id: SignOffId::new(ids),
                revision: 1,
                item: id,
                step: step.key.clone(),
                cycle: 1,
                configuration: Arc::clone(configuration),
                stage: Stage::NotStarted,
            });
        }
    }
    item
}

impl<A: Asks<Tenant>> Allowed<'_, A, Tenant> {
    fn create_item(
        self,
        item_type: ItemType,
        new: NewItem,
        ids: &dyn Ids,
        now: Timestamp,
    ) -> Result<Change<Arc<Item>>, Stopped> {
        let view = self.view();
        let template = usable_template(view, "templateId", new.template, item_type)?;
        let rights = Rights::on_type(self.state(), &self.caller()?, item_type, None);
        let fields = changed_fields(view, &rights, template, &Fields::new(), new.fields)?;
        let creator = self.caller()?.user_id();
        let mut draft = self.draft();
        let origin = Origin { template, parent: None, creator, by: None };
        let item = create(&mut draft, &origin, new.name, fields, ids, now);
        Ok(draft.done(item))
    }
}

impl Allowed<'_, CreateGovernedProject, Tenant> {
    /// A governed project from an active template, not started; its maker follows it.
    ///
    /// # Errors
    /// A template that cannot be used, or a field that its template refuses.
    pub fn create(self, new: NewItem, ids: &dyn Ids, now: Timestamp) -> Result<Change<Arc<Item>>, Stopped> {
        self.create_item(ItemType::GovernedProject, new, ids, now)
    }
}

impl Allowed<'_, CreateBusinessInitiative, Tenant> {
    /// A business initiative from an active template, not started; its maker follows it.
    ///
    /// # Errors
    /// A template that cannot be used, or a field that its template refuses.
    pub fn create(self, new: NewItem, ids: &dyn Ids, now: Timestamp) -> Result<Change<Arc<Item>>, Stopped> {
        self.create_item(ItemType::BusinessInitiative, new, ids, now)
    }
}

/// Whether roles follow from a field: changing it needs ASSIGN as well.
pub(in crate::domain) fn gives_roles(state: &State, item_type: ItemType, definition: &FieldDefinition) -> bool {
    let inherited = state.grants(item_type).is_some_and(|grants| {
        matches!(definition.shape, FieldShape::Reference(_)) && grants.inherits_fields.contains(&definition.key)
    });
    definition.assigns_roles || inherited
}

/// The fields after `changes`, each of which the caller must be allowed to make.
///
/// # Errors
/// `Forbidden` without the right on a field; the refusals of [`field::apply`].
pub(in crate::domain) fn changed_fields(
    view: View<'_>,
    rights: &Rights,
    template: &Template,
    fields: &Fields,
    changes: Vec<FieldChange>,
) -> Result<Fields, Stopped> {
    let mut named = HashSet::new();
    for change in &changes {
        let path = format!("fields.{}", change.key);
        if !named.insert(change.key.as_str()) {
            return Err(Refusal::FieldNamedTwice { path }.into());
        }
        // A field that the caller may not read is as unknown as one that is not there.
        let readable = template.field(&change.key).filter(|field| rights.reads_field(&field.key));
        let Some(definition) = readable else {
            return Err(Refusal::UnknownField { path, template: template.name.clone() }.into());
        };
        if !rights.writes_field(&definition.key) {
            return Err(Denied::Forbidden("FIELD_WRITE").into());
        }
        if gives_roles(view.state(), template.item_type, definition) && !rights.may_assign() {
            return Err(Denied::Forbidden("ASSIGN").into());
        }
    }
    Ok(field::apply(template, view.state(), &|item| view.may_read_item(item), fields, changes)?)
}

impl<A: Asks<Item>> Allowed<'_, A, Item> {
    /// The one save that every change of an item goes through.
    fn save(self, save: Save, now: Timestamp) -> Result<Change<Arc<Item>>, Stopped> {
        self.must_be_live()?;
        self.must_be_at(save.expected_revision)?;
        let named_nothing = save.name.is_none() && save.fields.is_empty() && save.moves.is_empty();
        if named_nothing {
            return Err(Refusal::NothingToSave {}.into());
        }
        if save.moves.len() > STEP_MOVES_MAX {
            return Err(Refusal::TooManyMoves { moves: save.moves.len(), most: STEP_MOVES_MAX }.into());
        }
        let template = self.state().template(self.template).ok_or(Denied::NotFound)?;
        let rights = self.view().rights(&self)?;
        let fields = changed_fields(self.view(), &rights, template, &self.fields, save.fields)?;
        let name = save.name.unwrap_or_else(|| self.name.clone());
        let mut next = Item { name, fields, ..(**self.record()).clone() };
        let moved = self.moved(&mut next, template, &save.moves)?;
        let events = changes_between(&self, &next, moved);
        let mut draft = self.draft();
        if events.is_empty() {
            return Ok(draft.done(Arc::clone(self.record())));
        }
        next.revision += 1;
        next.changed_at = now;
        let id = next.id;
        let item = draft.put_all(next, Subject::Item(id), events);
        Ok(draft.done(item))
    }

    /// Makes the moves on the result of the fields, so that a save may fill what its step needs.
    fn moved(
        &self,
        next: &mut Item,
        template: &Template,
        moves: &[StepMove],
    ) -> Result<Vec<(StepKey, Moved)>, Refusal> {
        let mut all = vec![];
        let mut workflow = next.workflow.clone();
        for (n, step_move) in moves.iter().enumerate() {
            let path = format!("steps.{n}.step");
            let key = StepKey::parse(&path, &step_move.step)?;
            let gate = |step: &StepKey| next.gate(self.state(), template.step(step), step);
            all.extend(workflow.step(&path, &key, step_move.step_move, &gate)?);
        }
        next.workflow = workflow;
        Ok(all)
    }
}

/// What a save did, in the order name, fields, steps.
fn changes_between(old: &Item, new: &Item, moved: Vec<(StepKey, Moved)>) -> Vec<EventKind> {
    let mut events = vec![];
    if old.name != new.name {
        events.push(EventKind::ItemRenamed { old: old.name.clone(), new: new.name.clone() });
    }
    let keys: BTreeSet<_> = old.fields.keys().chain(new.fields.keys()).collect();
    for key in keys {
        let (before, after) = (old.fields.get(key), new.fields.get(key));
        if before != after {
            let (field, old, new) = (key.clone(), before.cloned(), after.cloned());
            events.push(EventKind::FieldChanged { field, old, new });
        }
    }
    events.extend(moved.into_iter().map(|(step, moved)| step_event(step, moved)));
    events
}

/// What a move did to a step, as the timeline says it.
pub(in crate::domain) fn step_event(step: StepKey, moved: Moved) -> EventKind {
    match moved {
        Moved::Started => EventKind::StepStarted { step },
        Moved::Finished => EventKind::StepFinished { step },
        Moved::Reopened => EventKind::StepReopened { step },
        Moved::StartCancelled => EventKind::StepStartCancelled { step },
        Moved::Returned => EventKind::StepReturned { step },
    }
}

impl Allowed<'_, UpdateItem, Item> {
    /// Saves name, fields and steps together, all or nothing.
    ///
    /// # Errors
    /// `REVISION_CONFLICT`, or the first rule that the save breaks.
    pub fn update(self, save: Save, now: Timestamp) -> Result<Change<Arc<Item>>, Stopped> {
        self.save(save, now)
    }
}

macro_rules! single_moves {
    ($($action:ident $name:ident $step_move:ident: $does:literal;)+) => {$(
        impl Allowed<'_, $action, Item> {
            #[doc = $does]
            ///
            /// # Errors
            /// `REVISION_CONFLICT`, or the rule of the workflow that the move breaks.
            pub fn $name(self, step: &str, expected_revision: u64, now: Timestamp) -> Result<Change<Arc<Item>>, Stopped> {
                let moves = vec![StepMove { step: step.to_owned(), step_move: Move::$step_move }];
                self.save(Save { expected_revision, moves, ..Save::default() }, now)
            }
        }
    )+};
}

single_moves! {
    StartStep start_step Start: "Starts a step: the save with this one move.";
    FinishStep finish_step Finish: "Finishes a step: the save with this one move.";
    ReopenStep reopen_step Reopen: "Reopens a finished step: the save with this one move.";
    CancelStep cancel_step Cancel: "Takes back the start of a step: the save with this one move.";
}

impl Allowed<'_, FollowItem, Item> {
    /// Follows or no longer follows the item; grants no right.
    ///
    /// # Errors
    /// `ITEM_DELETED`; `Unauthenticated` for whoever is not a person.
    pub fn follow(self, follow: bool) -> Result<Change<Arc<Item>>, Stopped> {
        if self.is_deleted() {
            return Err(Refusal::ItemDeleted {}.into());
        }
        let user = self.caller()?.user_id().ok_or(Denied::Forbidden("a person"))?;
        let mut next = (**self.record()).clone();
        let changed = if follow { next.followers.insert(user) } else { next.followers.remove(&user) };
        let mut draft = self.draft();
        if !changed {
            return Ok(draft.done(Arc::clone(self.record())));
        }
        let event = if follow { EventKind::ItemFollowed { user } } else { EventKind::ItemUnfollowed { user } };
        let id = next.id;
        let item = draft.put(next, Subject::Item(id), event);
        Ok(draft.done(item))
    }
}
