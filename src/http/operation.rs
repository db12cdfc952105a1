//! An operation over a socket or a stream of events: it waits for its turn as a request does, and is answered within
//! the time of one.
//! Never keeps a turn while a subscription waits for something to tell: it has one while it is opened.

use super::{fault::Fault, overload::Turns};
use crate::{
    graphql::{Admitted, ApiConnection, Begun, Told},
    limits::REQUEST_SECONDS_MAX,
};
use async_graphql::parser::types::OperationType;
use futures_util::{
    FutureExt, StreamExt,
    future::ready,
    stream::{BoxStream, once},
};
use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio::time::timeout;
use tracing::{Instrument, Span};

/// How long an operation may take.
pub(super) const LIMIT: Duration = Duration::from_secs(REQUEST_SECONDS_MAX);

/// Begins an operation when it is its turn, which a query or mutation has until its answer is there.
///
/// # Errors
/// `UNAVAILABLE` when too many wait, or it takes too long; `INTERNAL` when it panics before any resolver runs.
pub(super) async fn begin(turns: &Turns, api: &ApiConnection, admitted: &Admitted) -> Result<Begun, Fault> {
    let turn = turns.turn().await?;
    let begun = timeout(LIMIT, AssertUnwindSafe(api.begin(admitted)).catch_unwind()).await;
    let begun = begun.map_err(|_| Fault::too_long())?.map_err(|_| Fault::broken_down())?;
    Ok(match begun {
        Begun::Stream { mut answers, left } if admitted.kind() != Some(OperationType::Subscription) => {
            let answer = async move {
                let answer = timeout(LIMIT, answers.next()).await;
                drop(turn);
                answer.unwrap_or_else(|_| Some(Arc::new(Fault::too_long().told())))
            };
            // It is executed by whoever waits for it.
            let answer = answer.in_current_span();
            Begun::Stream { answers: once(answer).filter_map(ready).boxed(), left }
        }
        Begun::Stream { .. } | Begun::Refused(_) => begun,
    })
}

/// What an operation tells, why it was refused included. What is logged of it is logged in the span, which is gone
/// once it has begun: most of the time most subscriptions have nothing to log.
pub(super) fn answers(
    turns: Arc<Turns>,
    api: ApiConnection,
    admitted: Admitted,
    span: Span,
) -> BoxStream<'static, Arc<Told>> {
    let told = |told| once(ready(Arc::new(told))).boxed();
    // What it takes to begin is gone once it has begun.
    let begun = async move {
        match begin(&turns, &api, &admitted).await {
            Ok(Begun::Stream { answers, .. }) => answers,
            Ok(Begun::Refused(answered)) => told(Told::of(&answered.response)),
            Err(fault) => told(fault.told()),
        }
    };
    once(Box::pin(begun.instrument(span))).flatten().boxed()
}
