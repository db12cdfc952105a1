//! Pages of what happened: the event log from a position on, and the timelines of the organisation and its objects.
//! Never counts or skips for the caller: what she may not read is not in the list.

use super::{
    call::{app, snapshot},
    error::{self, code},
    event::TimelineEvent,
    event_kind::EventKind,
    id::{EventCursor, named, of_kind},
    scalar::DateTime,
};
use crate::{
    app::{EventFilter, EventPage, EventsAsked, Kinds, Seen},
    domain::{id::ItemId, identity::User, item::Item, record::Kind},
    store::Snapshot,
};
use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};
use std::sync::Arc;
use uuid::Uuid;

/// In which order a timeline is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
pub(super) enum TimelineOrder {
    /// What happened last comes first.
    #[default]
    NewestFirst,
    /// What happened first comes first.
    OldestFirst,
}

/// Something that happened, with its position.
#[derive(Clone, SimpleObject)]
pub(super) struct EventEdge {
    /// The position behind the event: go on after it.
    cursor: EventCursor,
    /// What happened; null in a subscription's checkpoint, which only says how far you have heard everything.
    node: Option<TimelineEvent>,
}

impl EventEdge {
    pub(super) fn new(event: TimelineEvent) -> Self {
        Self { cursor: event.position(), node: Some(event) }
    }

    pub(super) const fn checkpoint(cursor: EventCursor) -> Self {
        Self { cursor, node: None }
    }
}

/// Where a page of events stands.
#[derive(SimpleObject)]
pub(super) struct EventPageInfo {
    /// Whether there may be events after the page. A page that a filter made long to find can be short,
    /// or empty, and still have a next one.
    has_next_page: bool,
    /// Whether there may be events before the page.
    has_previous_page: bool,
    /// Go on before this.
    start_cursor: Option<EventCursor>,
    /// Go on after this.
    end_cursor: Option<EventCursor>,
}

/// A page of events.
#[derive(SimpleObject)]
pub(super) struct EventConnection {
    /// The events of the page with their positions.
    edges: Vec<EventEdge>,
    /// The events of the page.
    nodes: Vec<TimelineEvent>,
    /// Where the page stands.
    page_info: EventPageInfo,
}

impl EventConnection {
    fn of(snapshot: &Snapshot, page: EventPage) -> Self {
        let page_info = EventPageInfo {
            has_next_page: page.has_next,
            has_previous_page: page.has_previous,
            start_cursor: page.start.map(Into::into),
            end_cursor: page.end.map(Into::into),
        };
        let nodes = page.rows.into_iter().map(|recorded| TimelineEvent::new(snapshot.clone(), recorded));
        let nodes: Vec<_> = nodes.collect();
        Self { edges: nodes.iter().cloned().map(EventEdge::new).collect(), nodes, page_info }
    }
}

/// Says whether what happened is of one of these kinds.
pub(super) fn of_kinds(kinds: Vec<EventKind>) -> Kinds {
    Arc::new(move |kind| kinds.contains(&EventKind::of(kind)))
}

/// The bytes of any object's id; those of none where the text is no id, so that nothing is found.
fn any(id: &ID) -> Uuid {
    named(&id.0).map_or(Uuid::max(), |(_, uuid)| uuid)
}

async fn events(ctx: &Context<'_>, snapshot: &Snapshot, asked: &EventsAsked) -> Result<EventConnection> {
    let page = app(ctx).events(snapshot, asked).await.map_err(error::events)?;
    Ok(EventConnection::of(snapshot, page))
}

/// The newest events of an item.
pub(super) async fn of_item(ctx: &Context<'_>, item: &Seen<Item>, page: EventsAsked) -> Result<EventConnection> {
    let asked = EventsAsked { of: vec![item.id.uuid()], ..page };
    events(ctx, item.snapshot(), &asked).await
}

/// What somebody did, newest first.
pub(super) async fn by_actor(ctx: &Context<'_>, user: &Seen<User>, page: EventsAsked) -> Result<EventConnection> {
    let asked = EventsAsked { actor: Some(user.id.uuid()), ..page };
    events(ctx, user.snapshot(), &asked).await
}

/// Queries about what happened.
#[derive(Default)]
pub(super) struct TimelineQuery;

#[Object]
impl TimelineQuery {
    /// The event log, oldest first, as far as you may read it: what the subscription of this name delivers, to be
    /// asked for again with the page's `endCursor`. From the beginning where no cursor is named.
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Events after this position.")] after: Option<EventCursor>,
        #[graphql(desc = "The first so many events: 0 to 100; 25 where nothing is named.")] first: Option<i32>,
    ) -> Result<EventConnection> {
        let after = after.map(Into::into);
        let asked = EventsAsked { oldest_first: true, after, first, ..EventsAsked::default() };
        events(ctx, snapshot(ctx).await?, &asked).await
    }

    /// The timeline of the organisation, of an item or of any other object, as far as you may read it.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a connection, its filter and its order")]
    async fn timeline(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only of this item; an error NOT_FOUND where there is none for you.")] item_id: Option<ID>,
        #[graphql(desc = "Only of this object, also when it is gone: an item, source object, deployment, \
                          infrastructure, template, person or group.")]
        subject_id: Option<ID>,
        #[graphql(desc = "Only of these kinds.")] kinds: Option<Vec<EventKind>>,
        #[graphql(desc = "Only what followed from the actions of this person or key.")] actor_id: Option<ID>,
        #[graphql(desc = "Only from this moment on.")] since: Option<DateTime>,
        #[graphql(desc = "Only before this moment.")] until: Option<DateTime>,
        #[graphql(desc = "In which order; newest first where nothing is named.")] order_by: Option<TimelineOrder>,
        #[graphql(desc = "The first so many events: 0 to 100; 25 where nothing is named.")] first: Option<i32>,
        #[graphql(desc = "Events after this cursor in the order of the list.")] after: Option<EventCursor>,
        #[graphql(desc = "The last so many events: 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Events before this cursor in the order of the list.")] before: Option<EventCursor>,
    ) -> Result<EventConnection> {
        if kinds.as_ref().is_some_and(Vec::is_empty) {
            return Err(error::error(code::BAD_REQUEST, "Name at least one kind, or none for all."));
        }
        let snapshot = snapshot(ctx).await?;
        let item = item_id.map(|id| {
            let id: ItemId = of_kind(Kind::Item, &id);
            Seen::<Item>::find(snapshot, id).map(|item| item.id.uuid()).map_err(error::denied)
        });
        let of = item.transpose()?.into_iter().chain(subject_id.as_ref().map(any)).collect();
        let asked = EventsAsked {
            of,
            filter: EventFilter { kinds: kinds.map(of_kinds), ..EventFilter::default() },
            actor: actor_id.as_ref().map(any),
            since: since.map(|moment| moment.0),
            until: until.map(|moment| moment.0),
            oldest_first: order_by.unwrap_or_default() == TimelineOrder::OldestFirst,
            first,
            last,
            after: after.map(Into::into),
            before: before.map(Into::into),
        };
        events(ctx, snapshot, &asked).await
    }
}
