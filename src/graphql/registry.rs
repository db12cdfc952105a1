//! Looking things up: the inbox, the registries, infrastructures and deployments.
//! Never filters by what the caller may not read.

use super::{
    call::{page, snapshot},
    deployment::DeploymentConnection,
    error::PageError,
    id::of_kind,
    infrastructure::InfrastructureConnection,
    item::{GovernedItemConnection, step_key},
    scalar::FieldValueInput,
    sign_off::SignOffStatus,
    source::{GovernanceStatus, SourceKind, SourceObjectConnection},
    template::ItemType,
};
use crate::{
    app::{ItemFilter, ItemOrder, PageRequest, SourceFilter, registry},
    domain::{record::Kind, template},
};
use async_graphql::{Context, Enum, ID, InputObject, Object, Result};

/// By what items are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
#[graphql(remote = "ItemOrder")]
pub(super) enum GovernedItemOrder {
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

/// A field with a value.
#[derive(Clone, InputObject)]
pub(super) struct FieldFilter {
    /// The field's key.
    key: String,
    /// The value that it has, or that is in its list.
    value: FieldValueInput,
}

/// Which items; every part that is named must hold.
#[derive(Clone, InputObject)]
pub(super) struct GovernedItemFilter {
    /// All of these.
    #[graphql(default)]
    and: Vec<GovernedItemFilter>,
    /// Any of these, where any is named.
    #[graphql(default)]
    or: Vec<GovernedItemFilter>,
    /// Not this.
    not: Option<Box<GovernedItemFilter>>,
    /// One of these types.
    item_type: Option<Vec<ItemType>>,
    /// Made from one of these templates.
    template_id: Option<Vec<ID>>,
    /// In this step now, by its key.
    ongoing_step: Option<String>,
    /// With a sign-off in one of these.
    sign_off_status: Option<Vec<SignOffStatus>>,
    /// Below this item, at any depth.
    under: Option<ID>,
    /// Archived or not; archived items stand in no list that does not name this.
    archived: Option<bool>,
    /// With deployments, or without.
    has_deployments: Option<bool>,
    /// Deployed on this infrastructure.
    infrastructure_id: Option<ID>,
    /// With this value in a field.
    field: Option<FieldFilter>,
    /// With this text in the name, in any case.
    text: Option<String>,
}

impl GovernedItemFilter {
    fn filter(self) -> Result<ItemFilter> {
        let all = |filters: Vec<Self>| filters.into_iter().map(Self::filter).collect::<Result<Vec<_>>>();
        let field = self.field.map(|field| {
            let value = field.value.value("filter.field.value");
            value.map(|value| (field.key, value)).map_err(|refusal| super::error::failed(refusal.into()))
        });
        let templates = self.template_id;
        Ok(ItemFilter {
            and: all(self.and)?,
            or: all(self.or)?,
            not: self.not.map(|filter| filter.filter().map(Box::new)).transpose()?,
            item_type: self.item_type.map(|types| types.into_iter().map(Into::into).collect()),
            template: templates.map(|ids| ids.iter().map(|id| of_kind(Kind::Template, id)).collect()),
            ongoing_step: self.ongoing_step.map(|step| step_key("filter.ongoingStep", &step)).transpose()?,
            sign_off_status: self.sign_off_status.map(|statuses| statuses.into_iter().map(Into::into).collect()),
            under: self.under.map(|id| of_kind(Kind::Item, &id)),
            archived: self.archived,
            has_deployments: self.has_deployments,
            infrastructure: self.infrastructure_id.map(|id| of_kind(Kind::Infrastructure, &id)),
            field: field.transpose()?,
            text: self.text,
        })
    }
}

/// Which source objects; every part that is named must hold.
#[derive(Clone, InputObject)]
pub(super) struct SourceObjectFilter {
    /// All of these.
    #[graphql(default)]
    and: Vec<SourceObjectFilter>,
    /// Any of these, where any is named.
    #[graphql(default)]
    or: Vec<SourceObjectFilter>,
    /// Not this.
    not: Option<Box<SourceObjectFilter>>,
    /// One of these kinds.
    kind: Option<Vec<SourceKind>>,
    /// Reported by one of the nodes with these short names.
    node: Option<Vec<String>>,
    /// In one of these.
    governance_status: Option<Vec<GovernanceStatus>>,
    /// Whether the node reported that it is gone; such objects stand in no list that does not name this.
    archived: Option<bool>,
    /// With this text in the name, in any case.
    text: Option<String>,
}

impl SourceObjectFilter {
    fn filter(self) -> SourceFilter {
        let all = |filters: Vec<Self>| filters.into_iter().map(Self::filter).collect();
        let statuses = self.governance_status;
        SourceFilter {
            and: all(self.and),
            or: all(self.or),
            not: self.not.map(|filter| Box::new(filter.filter())),
            kind: self.kind.map(|kinds| kinds.into_iter().map(Into::into).collect()),
            node: self.node,
            governance: statuses.map(|statuses| statuses.into_iter().map(Into::into).collect()),
            archived: self.archived,
            text: self.text,
        }
    }
}

/// The arguments of a list of items, read.
struct Asked {
    filter: ItemFilter,
    order: ItemOrder,
    request: PageRequest,
}

impl Asked {
    fn of(filter: Option<GovernedItemFilter>, order: Option<GovernedItemOrder>, request: PageRequest) -> Result<Self> {
        let filter = filter.map(GovernedItemFilter::filter).transpose()?.unwrap_or_default();
        Ok(Self { filter, order: order.unwrap_or_default().into(), request })
    }

    async fn items(self, ctx: &Context<'_>, types: &[template::ItemType]) -> Result<GovernedItemConnection> {
        let counted = ctx.look_ahead().field("totalCount").exists();
        let Self { filter, order, request } = self;
        let page = registry::items(snapshot(ctx).await?, types, &filter, order, &request, counted);
        Ok(page.map_err(PageError::from)?.into())
    }
}

macro_rules! lists_of_items {
    ($($(#[$meta:meta])* $name:ident of $types:expr;)+) => {
        /// Lists of items.
        #[derive(Default)]
        pub(super) struct ItemQuery;

        #[Object]
        impl ItemQuery {
            $(
                $(#[$meta])*
                #[expect(clippy::too_many_arguments, reason = "the arguments of a connection, its filter and its order")]
                async fn $name(
                    &self,
                    ctx: &Context<'_>,
                    #[graphql(desc = "Which of them; all where nothing is named.")] filter: Option<GovernedItemFilter>,
                    #[graphql(desc = "In which order; oldest first where nothing is named.")] order_by: Option<GovernedItemOrder>,
                    #[graphql(desc = "The first so many rows: 0 to 100; 25 where nothing is named.")] first: Option<i32>,
                    #[graphql(desc = "Rows after this cursor.")] after: Option<String>,
                    #[graphql(desc = "The last so many rows: 0 to 100.")] last: Option<i32>,
                    #[graphql(desc = "Rows before this cursor.")] before: Option<String>,
                ) -> Result<GovernedItemConnection> {
                    Asked::of(filter, order_by, page(first, after, last, before)?)?.items(ctx, $types).await
                }
            )+
        }
    };
}

lists_of_items! {
    /// The governed items of every type that you may read.
    governed_items of &template::ItemType::ALL;
    /// The governed projects that you may read.
    governed_projects of &[template::ItemType::GovernedProject];
    /// The business initiatives that you may read.
    business_initiatives of &[template::ItemType::BusinessInitiative];
    /// The bundle registry: the governed bundles that you may read.
    bundle_registry of &[template::ItemType::GovernedBundle];
    /// The model registry: the governed model versions that you may read.
    model_registry of &[template::ItemType::GovernedModelVersion];
}

/// Lists of everything else.
#[derive(Default)]
pub(super) struct RegistryQuery;

#[Object]
impl RegistryQuery {
    /// The inbox: reported objects that nobody has governed or hidden, for those who could govern them. Oldest first.
    async fn governable_items(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which of them; all where nothing is named.")] filter: Option<SourceObjectFilter>,
        #[graphql(desc = "The first so many rows: 0 to 100; 25 where nothing is named.")] first: Option<i32>,
        #[graphql(desc = "Rows after this cursor.")] after: Option<String>,
        #[graphql(desc = "The last so many rows: 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Rows before this cursor.")] before: Option<String>,
    ) -> Result<SourceObjectConnection> {
        let counted = ctx.look_ahead().field("totalCount").exists();
        let filter = filter.map(SourceObjectFilter::filter).unwrap_or_default();
        let request = page(first, after, last, before)?;
        let rows = registry::governable(snapshot(ctx).await?, &filter, &request, counted);
        Ok(rows.map_err(PageError::from)?.into())
    }

    /// The reported objects that you may read, governed and hidden ones too. Oldest first.
    async fn source_objects(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which of them; all where nothing is named.")] filter: Option<SourceObjectFilter>,
        #[graphql(desc = "The first so many rows: 0 to 100; 25 where nothing is named.")] first: Option<i32>,
        #[graphql(desc = "Rows after this cursor.")] after: Option<String>,
        #[graphql(desc = "The last so many rows: 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Rows before this cursor.")] before: Option<String>,
    ) -> Result<SourceObjectConnection> {
        let counted = ctx.look_ahead().field("totalCount").exists();
        let filter = filter.map(SourceObjectFilter::filter).unwrap_or_default();
        let request = page(first, after, last, before)?;
        let rows = registry::sources(snapshot(ctx).await?, &filter, &request, counted);
        Ok(rows.map_err(PageError::from)?.into())
    }

    /// The infrastructures that you may see, oldest first.
    async fn infrastructures(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many rows: 0 to 100; 25 where nothing is named.")] first: Option<i32>,
        #[graphql(desc = "Rows after this cursor.")] after: Option<String>,
        #[graphql(desc = "The last so many rows: 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Rows before this cursor.")] before: Option<String>,
    ) -> Result<InfrastructureConnection> {
        let request = page(first, after, last, before)?;
        let rows = registry::infrastructures(snapshot(ctx).await?, &request);
        Ok(rows.map_err(PageError::from)?.into())
    }

    /// The deployments that you may see, oldest first.
    async fn deployments(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only on this infrastructure.")] infrastructure_id: Option<ID>,
        #[graphql(desc = "The first so many rows: 0 to 100; 25 where nothing is named.")] first: Option<i32>,
        #[graphql(desc = "Rows after this cursor.")] after: Option<String>,
        #[graphql(desc = "The last so many rows: 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Rows before this cursor.")] before: Option<String>,
    ) -> Result<DeploymentConnection> {
        let counted = ctx.look_ahead().field("totalCount").exists();
        let on = infrastructure_id.map(|id| of_kind(Kind::Infrastructure, &id));
        let request = page(first, after, last, before)?;
        let rows = registry::deployments(snapshot(ctx).await?, on, &request, counted);
        Ok(rows.map_err(PageError::from)?.into())
    }
}
