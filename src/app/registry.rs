//! Looking things up: filters, orders and pages over what the viewer may read.
//! Never shows a count or an order that tells of rows she may not read.

use super::{Page, PageRequest, RefusedPage, Seen, page::Cursor};
use crate::{
    domain::{
        deployment::Deployment,
        field::FieldValue,
        id::{InfrastructureId, ItemId, TemplateId},
        infrastructure::Infrastructure,
        item::Item,
        lookup::Ages,
        sign_off::SignOffStatus,
        source::{Governance, SourceKind, SourceObject},
        template::{ItemType, Template, TemplateStatus},
        text::StepKey,
    },
    store::Snapshot,
};

/// Which items; every part that is named must hold.
#[derive(Clone, Debug, Default)]
pub struct ItemFilter {
    /// All of these.
    pub and: Vec<ItemFilter>,
    /// Any of these, where any is named.
    pub or: Vec<ItemFilter>,
    /// Not this.
    pub not: Option<Box<ItemFilter>>,
    /// One of these types.
    pub item_type: Option<Vec<ItemType>>,
    /// One of these templates.
    pub template: Option<Vec<TemplateId>>,
    /// In this step now.
    pub ongoing_step: Option<StepKey>,
    /// With a sign-off in one of these.
    pub sign_off_status: Option<Vec<SignOffStatus>>,
    /// Below this item, at any depth.
    pub under: Option<ItemId>,
    /// Archived or not.
    pub archived: Option<bool>,
    /// With a deployment of its source objects, or without.
    pub has_deployments: Option<bool>,
    /// Deployed on this infrastructure.
    pub infrastructure: Option<InfrastructureId>,
    /// With this value in a field that the viewer may read.
    pub field: Option<(String, FieldValue)>,
    /// With this text in its name, whatever its case.
    pub text: Option<String>,
}

/// By what items are sorted; then by age.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ItemOrder {
    /// Oldest first.
    #[default]
    CreatedAscending,
    /// Newest first.
    CreatedDescending,
    /// By name.
    NameAscending,
    /// By name, backwards.
    NameDescending,
    /// Changed longest ago first.
    ChangedAscending,
    /// Changed last first.
    ChangedDescending,
}

impl ItemFilter {
    fn holds(&self, item: &Seen<Item>) -> bool {
        let deployments = || item.deployments();
        let named = |text: &String| item.name.as_str().to_lowercase().contains(&text.to_lowercase());
        let has_field = |(key, value): &(String, FieldValue)| {
            item.readable_fields().iter().any(|(field, found)| field.as_str() == key && contains(found, value))
        };
        self.and.iter().all(|filter| filter.holds(item))
            && (self.or.is_empty() || self.or.iter().any(|filter| filter.holds(item)))
            && self.not.as_ref().is_none_or(|filter| !filter.holds(item))
            && self.item_type.as_ref().is_none_or(|types| types.contains(&item.item_type))
            && self.template.as_ref().is_none_or(|templates| templates.contains(&item.template))
            && self.ongoing_step.as_ref().is_none_or(|step| item.workflow.ongoing() == Some(step))
            && self.sign_off_status.as_ref().is_none_or(|statuses| has_status(item, statuses))
            && self.under.is_none_or(|parent| is_under(item, parent))
            && self.archived.is_none_or(|archived| archived != item.is_live())
            && self.has_deployments.is_none_or(|has| has != deployments().is_empty())
            && self
                .infrastructure
                .is_none_or(|on| deployments().iter().any(|deployment| deployment.infrastructure == on))
            && self.field.as_ref().is_none_or(has_field)
            && self.text.as_ref().is_none_or(named)
    }
}

fn contains(found: &FieldValue, value: &FieldValue) -> bool {
    found == value || matches!(found, FieldValue::List(values) if values.contains(value))
}

fn has_status(item: &Seen<Item>, statuses: &[SignOffStatus]) -> bool {
    item.view().sign_offs_of(item.id).any(|sign_off| statuses.contains(&sign_off.status()))
}

fn is_under(item: &Seen<Item>, ancestor: ItemId) -> bool {
    let mut above = item.parent_item();
    while let Some(parent) = above {
        if parent.id == ancestor {
            return true;
        }
        above = parent.parent_item();
    }
    false
}

/// A page of items. Deleted ones stand in no list; archived ones only where the filter names them.
///
/// # Errors
/// See [`RefusedPage`].
pub fn items(
    snapshot: &Snapshot,
    types: &[ItemType],
    filter: &ItemFilter,
    order: ItemOrder,
    request: &PageRequest,
    counted: bool,
) -> Result<Page<Seen<Item>>, RefusedPage> {
    let view = snapshot.view();
    let shown =
        |item: &Seen<Item>| !item.is_deleted() && (filter.names_archived() || item.is_live()) && filter.holds(item);
    let descending =
        matches!(order, ItemOrder::CreatedDescending | ItemOrder::NameDescending | ItemOrder::ChangedDescending);
    let by_age = matches!(order, ItemOrder::CreatedAscending | ItemOrder::CreatedDescending);
    if let (true, [item_type], None) = (by_age, types, filter.under) {
        return request.along(descending, counted, |ages| {
            let rows = Seen::all(snapshot, view.items_of_type(*item_type, ages)).filter(shown);
            rows.map(|item| (item.id.uuid(), item))
        });
    }
    let candidates = match filter.under {
        Some(parent) => view.descendants(parent),
        None => types.iter().flat_map(|item_type| view.items_of_type(*item_type, Ages::ALL)).collect(),
    };
    let rows = Seen::all(snapshot, candidates.into_iter().filter(|item| types.contains(&item.item_type))).filter(shown);
    match order {
        ItemOrder::CreatedAscending | ItemOrder::CreatedDescending => {
            request.of(rows.map(|item| (Cursor::at(item.id.uuid()), item)), descending)
        }
        ItemOrder::NameAscending | ItemOrder::NameDescending => {
            let key = |item: &Seen<Item>| item.name.as_str().to_lowercase();
            request.of(rows.map(|item| (Cursor { key: key(&item), id: item.id.uuid() }, item)), descending)
        }
        ItemOrder::ChangedAscending | ItemOrder::ChangedDescending => {
            let key = |item: &Seen<Item>| format!("{:020}", item.changed_at.milliseconds());
            request.of(rows.map(|item| (Cursor { key: key(&item), id: item.id.uuid() }, item)), descending)
        }
    }
}

impl ItemFilter {
    fn names_archived(&self) -> bool {
        let below = |filters: &[Self]| filters.iter().any(Self::names_archived);
        self.archived.is_some()
            || below(&self.and)
            || below(&self.or)
            || self.not.as_ref().is_some_and(|filter| filter.names_archived())
    }
}

/// Whether a source object is governed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GovernanceStatus {
    /// Nobody has decided.
    Ungoverned,
    /// An item is its governance side.
    Governed,
    /// Somebody decided that it need not be governed.
    Hidden,
}

impl From<Governance> for GovernanceStatus {
    fn from(governance: Governance) -> Self {
        match governance {
            Governance::Ungoverned => Self::Ungoverned,
            Governance::Governed(_) => Self::Governed,
            Governance::Hidden => Self::Hidden,
        }
    }
}

/// Which source objects; every part that is named must hold.
#[derive(Clone, Debug, Default)]
pub struct SourceFilter {
    /// All of these.
    pub and: Vec<SourceFilter>,
    /// Any of these, where any is named.
    pub or: Vec<SourceFilter>,
    /// Not this.
    pub not: Option<Box<SourceFilter>>,
    /// One of these kinds.
    pub kind: Option<Vec<SourceKind>>,
    /// Reported by one of the nodes with these short names.
    pub node: Option<Vec<String>>,
    /// In one of these.
    pub governance: Option<Vec<GovernanceStatus>>,
    /// Whether its node reported that it is gone.
    pub archived: Option<bool>,
    /// With this text in its name, whatever its case.
    pub text: Option<String>,
}

impl SourceFilter {
    fn holds(&self, source: &Seen<SourceObject>) -> bool {
        let named = |text: &String| source.name.as_str().to_lowercase().contains(&text.to_lowercase());
        let reported_by = |slugs: &Vec<String>| {
            source.source_node().is_some_and(|node| slugs.iter().any(|slug| slug == node.slug.as_str()))
        };
        self.and.iter().all(|filter| filter.holds(source))
            && (self.or.is_empty() || self.or.iter().any(|filter| filter.holds(source)))
            && self.not.as_ref().is_none_or(|filter| !filter.holds(source))
            && self.kind.as_ref().is_none_or(|kinds| kinds.contains(&source.kind))
            && self.node.as_ref().is_none_or(reported_by)
            && self.governance.as_ref().is_none_or(|statuses| statuses.contains(&source.governance.into()))
            && self.archived.is_none_or(|archived| archived == source.archived_at.is_some())
            && self.text.as_ref().is_none_or(named)
    }

    fn names_archived(&self) -> bool {
        let below = |filters: &[Self]| filters.iter().any(Self::names_archived);
        self.archived.is_some()
            || below(&self.and)
            || below(&self.or)
            || self.not.as_ref().is_some_and(|filter| filter.names_archived())
    }
}

/// A page of source objects, oldest first; archived ones only where the filter names them.
///
/// # Errors
/// See [`RefusedPage`].
pub fn sources(
    snapshot: &Snapshot,
    filter: &SourceFilter,
    request: &PageRequest,
    counted: bool,
) -> Result<Page<Seen<SourceObject>>, RefusedPage> {
    let archived = filter.names_archived();
    let shown = |source: &Seen<SourceObject>| (archived || source.archived_at.is_none()) && filter.holds(source);
    request.along(false, counted, |ages| {
        Seen::all(snapshot, snapshot.view().aged(ages)).filter(shown).map(|source| (source.id.uuid(), source))
    })
}

/// A page of the inbox: what could be governed, oldest first.
///
/// # Errors
/// See [`RefusedPage`].
pub fn governable(
    snapshot: &Snapshot,
    filter: &SourceFilter,
    request: &PageRequest,
    counted: bool,
) -> Result<Page<Seen<SourceObject>>, RefusedPage> {
    request.along(false, counted, |ages| {
        let rows = Seen::all(snapshot, snapshot.view().governable(ages)).filter(|source| filter.holds(source));
        rows.map(|source| (source.id.uuid(), source))
    })
}

/// A page of templates, oldest first; those that are not active only for whoever manages them.
///
/// # Errors
/// See [`RefusedPage`].
pub fn templates(
    snapshot: &Snapshot,
    item_type: Option<ItemType>,
    status: Option<TemplateStatus>,
    request: &PageRequest,
) -> Result<Page<Seen<Template>>, RefusedPage> {
    let status = status.unwrap_or(TemplateStatus::Active);
    let rows = Seen::all(snapshot, snapshot.view().all::<Template>())
        .filter(|template| template.status == status && item_type.is_none_or(|of| template.item_type == of));
    request.by_age(rows.map(|template| (template.id.uuid(), template)))
}

/// A page of infrastructures, oldest first.
///
/// # Errors
/// See [`RefusedPage`].
pub fn infrastructures(snapshot: &Snapshot, request: &PageRequest) -> Result<Page<Seen<Infrastructure>>, RefusedPage> {
    let rows = Seen::all(snapshot, snapshot.view().all::<Infrastructure>());
    request.by_age(rows.map(|infrastructure| (infrastructure.id.uuid(), infrastructure)))
}

/// A page of deployments, oldest first.
///
/// # Errors
/// See [`RefusedPage`].
pub fn deployments(
    snapshot: &Snapshot,
    infrastructure: Option<InfrastructureId>,
    request: &PageRequest,
    counted: bool,
) -> Result<Page<Seen<Deployment>>, RefusedPage> {
    request.along(false, counted, |ages| {
        let rows = Seen::all(snapshot, snapshot.view().aged::<Deployment>(ages))
            .filter(move |deployment| infrastructure.is_none_or(|on| deployment.infrastructure == on));
        rows.map(|deployment| (deployment.id.uuid(), deployment))
    })
}
