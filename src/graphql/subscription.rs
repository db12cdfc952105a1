//! What is pushed: requests for feedback, requests for reviews, and every event that the subscriber may read.
//! Never holds a version over two events: each is shown in the version in which it was allowed.

use super::{
    call::{app, snapshot, viewer},
    error::{self, code, failed},
    event::{Actor, TimelineEvent},
    event_kind::EventKind,
    id::{EventCursor, of_kind},
    identity::User,
    item::GovernedItem,
    listening::{Delivery, Opening},
    scalar::DateTime,
    sign_off::SignOff,
    timeline::{EventEdge, of_kinds},
};
use crate::{
    app::{EventFilter, Recorded, Seen, StreamItem},
    domain::{event, id::UserId, record::Kind},
    store::Snapshot,
};
use async_graphql::{
    Context, Enum, ID, InputObject, Result, SimpleObject,
    futures_util::stream::{self, BoxStream, StreamExt},
};
use std::sync::Arc;

/// Which events; every part that is named must hold.
#[derive(Clone, InputObject)]
pub(super) struct EventStreamFilter {
    /// Only of these kinds.
    kinds: Option<Vec<EventKind>>,
    /// Only of this item and of those below it.
    item_id: Option<ID>,
    /// Only of items that you follow and of those below them.
    #[graphql(default)]
    followed: bool,
}

/// What a request asks of you.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(super) enum ReviewRequestKind {
    /// Feedback for a group.
    Feedback,
    /// The decision.
    FinalApproval,
}

/// Somebody asked you for feedback.
#[derive(SimpleObject)]
pub(super) struct FeedbackRequest {
    /// The sign-off, as it is now.
    sign_off: Option<SignOff>,
    /// Its item, as it is now.
    item: Option<GovernedItem>,
    /// The key of the item's step.
    step: String,
    /// The keys of the feedback groups that you were asked for.
    groups: Vec<String>,
    /// Who asked; null where it was not a person.
    requested_by: Option<User>,
    /// When.
    at: DateTime,
}

/// Somebody asked you for feedback or for the decision.
#[derive(SimpleObject)]
pub(super) struct ReviewRequest {
    /// What is asked.
    kind: ReviewRequestKind,
    /// The request.
    #[graphql(flatten)]
    request: FeedbackRequest,
}

/// A request for feedback, with its position.
#[derive(SimpleObject)]
pub(super) struct FeedbackRequestEdge {
    /// Subscribe after this to go on.
    cursor: EventCursor,
    /// The request; null in a checkpoint, which only says how far you have heard everything.
    node: Option<FeedbackRequest>,
}

/// A request for a review, with its position.
#[derive(SimpleObject)]
pub(super) struct ReviewRequestEdge {
    /// Subscribe after this to go on.
    cursor: EventCursor,
    /// The request; null in a checkpoint, which only says how far you have heard everything.
    node: Option<ReviewRequest>,
}

impl FeedbackRequest {
    /// What a request says to one of those whom it asks; none where it asks others, or for something else.
    fn of(snapshot: &Snapshot, recorded: &Recorded, me: UserId) -> Option<(ReviewRequestKind, Self)> {
        let event = &recorded.event;
        let (kind, groups) = asked(&event.kind, me)?;
        let find_item = |item| Seen::find(snapshot, item).ok().map(GovernedItem);
        let request = Self {
            sign_off: event.kind.sign_off().and_then(|id| Seen::find(snapshot, id).ok()).map(SignOff),
            item: event.subject.item().and_then(find_item),
            step: event.kind.step().map(ToString::to_string).unwrap_or_default(),
            groups,
            requested_by: Actor::of(snapshot, recorded.principal).user,
            at: recorded.at.into(),
        };
        Some((kind, request))
    }
}

/// What an event asks of a person, and for which groups.
fn asked(kind: &event::EventKind, me: UserId) -> Option<(ReviewRequestKind, Vec<String>)> {
    if let Some(groups) = kind.asks_feedback_of(me) {
        return Some((ReviewRequestKind::Feedback, groups.into_iter().map(ToString::to_string).collect()));
    }
    kind.asks_approval_of(me).then(|| (ReviewRequestKind::FinalApproval, vec![]))
}

type Edges<T> = BoxStream<'static, Result<T>>;

/// Makes an edge of what is to be told; or, when the subscription is opened, begins to follow the log.
async fn follow<T: Send + 'static>(
    ctx: &Context<'_>,
    after: Option<EventCursor>,
    filter: impl FnOnce() -> Result<EventFilter>,
    edge: impl Fn(&StreamItem) -> Option<T>,
) -> Result<Edges<T>> {
    if let Some(Delivery(item)) = ctx.data_opt::<Delivery>() {
        let edge = item.as_ref().map(edge).map_err(|reason| failed(reason.clone()));
        return Ok(stream::iter(edge.transpose()).boxed());
    }
    let viewer = viewer(ctx)?;
    let opening = ctx.data_unchecked::<Arc<Opening>>();
    let listening = app(ctx).listen(&viewer, opening.seat.clone(), after.map(Into::into), filter()?).await;
    opening.opened(listening.map_err(error::events)?);
    Ok(stream::empty().boxed())
}

/// Follows what asks something of the person who subscribes; nothing does of a key.
async fn requests<T: Send + 'static>(
    ctx: &Context<'_>,
    after: Option<EventCursor>,
    wanted: fn(&event::EventKind, UserId) -> bool,
    edge: fn(EventCursor, Option<(ReviewRequestKind, FeedbackRequest)>) -> T,
) -> Result<Edges<T>> {
    let me = snapshot(ctx).await?.view().caller().map_err(error::denied)?.person();
    let filter = move || {
        let kinds = move |kind: &event::EventKind| me.is_some_and(|me| wanted(kind, me));
        Ok(EventFilter { kinds: Some(Arc::new(kinds)), ..EventFilter::default() })
    };
    follow(ctx, after, filter, move |item| match item {
        StreamItem::Checkpoint(position) => Some(edge((*position).into(), None)),
        StreamItem::Event(recorded, snapshot) => {
            let request = FeedbackRequest::of(snapshot, recorded, me?)?;
            Some(edge(recorded.position.into(), Some(request)))
        }
    })
    .await
}

/// What is pushed. Each thing comes once, in order, with a cursor: whoever subscribes again after the last one
/// misses nothing and hears nothing twice. Without a cursor it begins now. After 30 seconds of silence comes a
/// checkpoint: an edge without a node.
#[derive(Default)]
pub(super) struct Subscription;

/// What is pushed. Each thing comes once, in order, with a cursor: whoever subscribes again after the last one
/// misses nothing and hears nothing twice. Without a cursor it begins now. After 30 seconds of silence comes a
/// checkpoint: an edge without a node.
#[async_graphql::Subscription]
impl Subscription {
    /// Requests for feedback that notify you: one for each request, also when you are in several of its groups.
    async fn feedback_requests(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Go on after this position; from now on where nothing is named.")] after: Option<EventCursor>,
    ) -> Result<Edges<FeedbackRequestEdge>> {
        let wanted = |kind: &event::EventKind, me| kind.asks_feedback_of(me).is_some();
        let edge = |cursor, heard: Option<(_, FeedbackRequest)>| {
            let node = heard.map(|(_, request)| request);
            FeedbackRequestEdge { cursor, node }
        };
        requests(ctx, after, wanted, edge).await
    }

    /// Requests for feedback and for final approvals that notify you.
    async fn review_requests(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Go on after this position; from now on where nothing is named.")] after: Option<EventCursor>,
    ) -> Result<Edges<ReviewRequestEdge>> {
        let wanted = |kind: &event::EventKind, me| asked(kind, me).is_some();
        let edge = |cursor, heard: Option<(ReviewRequestKind, FeedbackRequest)>| {
            let node = heard.map(|(kind, request)| ReviewRequest { kind, request });
            ReviewRequestEdge { cursor, node }
        };
        requests(ctx, after, wanted, edge).await
    }

    /// Every event that you may read.
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Go on after this position; from now on where nothing is named.")] after: Option<EventCursor>,
        #[graphql(desc = "Which of them; all where nothing is named.")] filter: Option<EventStreamFilter>,
    ) -> Result<Edges<EventEdge>> {
        let filter = || filter.map_or_else(|| Ok(EventFilter::default()), EventStreamFilter::read);
        follow(ctx, after, filter, |item| {
            Some(match item {
                StreamItem::Checkpoint(position) => EventEdge::checkpoint((*position).into()),
                StreamItem::Event(recorded, snapshot) => {
                    EventEdge::new(TimelineEvent::new(snapshot.clone(), (**recorded).clone()))
                }
            })
        })
        .await
    }
}

impl EventStreamFilter {
    fn read(self) -> Result<EventFilter> {
        if self.kinds.as_ref().is_some_and(Vec::is_empty) {
            return Err(error::error(code::BAD_REQUEST, "Name at least one kind, or none for all."));
        }
        Ok(EventFilter {
            kinds: self.kinds.map(of_kinds),
            within: self.item_id.map(|id| of_kind(Kind::Item, &id)),
            followed: self.followed,
        })
    }
}
