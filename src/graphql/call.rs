//! What every resolver shares: who asks, in which version, and how an outcome becomes a payload.
//! Never holds a rule, and never names a noun.

use super::{
    error::{UserError, code, error, failed},
    id::EventCursor,
};
use crate::{
    app::{App, Call, Committed, Cursor, Failed, PageRequest},
    domain::{access::Viewer, receipt::Idempotency},
    store::Snapshot,
};
use async_graphql::{Context, Result, Value};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::OnceCell;

/// Who sent the request, and the one version that all of its answer shows.
pub(super) struct Asker {
    viewer: Result<Arc<Viewer>, Failed>,
    address: Option<IpAddr>,
    snapshot: OnceCell<Snapshot>,
    /// Whether a credential was presented in the input of a field: one in an operation is enough.
    presented: AtomicBool,
}

impl Asker {
    pub(super) fn new(viewer: Result<Arc<Viewer>, Failed>, address: Option<IpAddr>) -> Self {
        Self { viewer, address, snapshot: OnceCell::new(), presented: AtomicBool::new(false) }
    }

    /// The same, answered in this version.
    pub(super) fn at(self, snapshot: Snapshot) -> Self {
        Self { snapshot: OnceCell::new_with(Some(snapshot)), ..self }
    }
}

/// From where a credential is presented in the input of a field: aliases must not make one request many attempts.
///
/// # Errors
/// BAD_REQUEST for the second in one operation.
pub(super) fn presented(ctx: &Context<'_>) -> Result<Option<IpAddr>> {
    let asker = ctx.data_unchecked::<Asker>();
    if asker.presented.swap(true, Ordering::Relaxed) {
        let message = "One operation presents one credential: send the next signIn, refreshSession, setPassword or changePassword \
             alone.";
        return Err(error(code::BAD_REQUEST, message));
    }
    Ok(asker.address)
}

/// The application.
pub(super) fn app<'c>(ctx: &Context<'c>) -> &'c App {
    ctx.data_unchecked::<App>()
}

/// The verified viewer.
///
/// # Errors
/// UNAUTHENTICATED without a credential, or with one that is ended or not valid.
pub(super) fn viewer(ctx: &Context<'_>) -> Result<Arc<Viewer>> {
    ctx.data_unchecked::<Asker>().viewer.clone().map_err(failed)
}

/// The version that the whole answer shows.
///
/// # Errors
/// UNAUTHENTICATED, or UNAVAILABLE when the organisation cannot be loaded.
pub(super) async fn snapshot<'c>(ctx: &Context<'c>) -> Result<&'c Snapshot> {
    let viewer = viewer(ctx)?;
    let version = ctx.data_unchecked::<Asker>().snapshot.get_or_try_init(|| app(ctx).snapshot(&viewer));
    version.await.map_err(failed)
}

/// What a mutation answers: the changed object, or what refused it.
pub(super) trait Payload: Sized {
    /// What the operation commits.
    type Outcome;

    /// The payload of a durable outcome.
    fn done(committed: Committed<Self::Outcome>, cursor: EventCursor) -> Self;

    /// The payload of a refusal.
    fn refused(errors: Vec<UserError>) -> Self;
}

/// Runs an operation and words its outcome: an object and its cursor, user errors, or a top-level error.
pub(super) async fn mutate<P: Payload, F>(
    ctx: &Context<'_>,
    idempotency_key: Option<String>,
    operation: impl FnOnce(App, Call) -> F,
) -> Result<P>
where
    F: Future<Output = Result<Committed<P::Outcome>, Failed>>,
{
    let viewer = viewer(ctx)?;
    let idempotency = idempotency_key.map(|key| idempotency(ctx, key)).transpose()?;
    let app = app(ctx).clone();
    let epoch = app.store().epoch();
    worded(epoch, operation(app, Call { viewer, idempotency }).await)
}

/// The payload of an outcome, or the top-level error that it is.
pub(super) fn worded<P: Payload>(epoch: [u8; 16], outcome: Result<Committed<P::Outcome>, Failed>) -> Result<P> {
    match outcome {
        Ok(committed) => {
            let cursor = EventCursor::behind(epoch, committed.number);
            Ok(P::done(committed, cursor))
        }
        Err(Failed::Refused(refusal)) => Ok(P::refused(vec![UserError::from(&refusal)])),
        Err(other) => Err(failed(other)),
    }
}

/// The key, with a digest of the operation's name and input, so that another input under it is noticed.
fn idempotency(ctx: &Context<'_>, key: String) -> Result<Idempotency> {
    let mut hasher = Sha256::new();
    hasher.update(ctx.field().name());
    for (name, value) in ctx.field().arguments()? {
        hasher.update([0]);
        hasher.update(name.as_str());
        hasher.update(canonical(&value));
    }
    Ok(Idempotency { key, input_digest: hasher.finalize().into() })
}

/// A value as text in which the order of an object's fields does not matter.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> =
                fields.iter().map(|(name, value)| format!("{:?}:{}", name.as_str(), canonical(value))).collect();
            fields.sort();
            format!("{{{}}}", fields.join(","))
        }
        Value::List(values) => format!("[{}]", values.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Null | Value::Number(_) | Value::String(_) | Value::Boolean(_) | Value::Binary(_) | Value::Enum(_) => {
            value.to_string()
        }
    }
}

/// The page that the arguments of a connection ask for.
///
/// # Errors
/// BAD_REQUEST for a cursor that this server did not give out.
pub(super) fn page(
    first: Option<i32>,
    after: Option<String>,
    last: Option<i32>,
    before: Option<String>,
) -> Result<PageRequest> {
    let cursor = |text: Option<String>| {
        let decoded = text.map(|text| decode_cursor(&text).ok_or(text));
        decoded
            .transpose()
            .map_err(|_| error(code::BAD_REQUEST, "This is not a page cursor that this server gave out."))
    };
    Ok(PageRequest { first, last, after: cursor(after)?, before: cursor(before)? })
}

/// A page cursor as clients see it.
pub(super) fn encode_cursor(cursor: &Cursor) -> String {
    URL_SAFE_NO_PAD.encode([cursor.id.as_bytes().as_slice(), cursor.key.as_bytes()].concat())
}

fn decode_cursor(text: &str) -> Option<Cursor> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (id, key) = bytes.split_first_chunk::<16>()?;
    Some(Cursor { id: uuid::Uuid::from_bytes(*id), key: String::from_utf8(key.to_vec()).ok()? })
}

/// A payload type with one object: what every mutation answers.
macro_rules! payload {
    ($(#[$meta:meta])* $name:ident { $(#[$field_meta:meta])* $field:ident: $type:ty } from $outcome:ty, $make:expr) => {
        $(#[$meta])*
        #[derive(async_graphql::SimpleObject)]
        pub(in crate::graphql) struct $name {
            $(#[$field_meta])*
            $field: Option<$type>,
            /// The rules that the request breaks; empty when it was done.
            user_errors: Vec<$crate::graphql::error::UserError>,
            /// The position of the change in the event log: subscribe after it to read your own write.
            cursor: Option<$crate::graphql::id::EventCursor>,
        }

        impl $crate::graphql::call::Payload for $name {
            type Outcome = $outcome;

            fn done(committed: $crate::app::Committed<$outcome>, cursor: $crate::graphql::id::EventCursor) -> Self {
                let make: fn(&$crate::app::Committed<$outcome>) -> Option<$type> = $make;
                Self { $field: make(&committed), user_errors: vec![], cursor: Some(cursor) }
            }

            fn refused(user_errors: Vec<$crate::graphql::error::UserError>) -> Self {
                Self { $field: None, user_errors, cursor: None }
            }
        }
    };
}

pub(super) use payload;

/// A connection type with its edge, over rows of one noun.
macro_rules! connection {
    ($(#[$meta:meta])* $connection:ident, $edge:ident of $node:ident($record:ty)) => {
        $crate::graphql::call::connection! {
            $(#[$meta])*
            $connection, $edge of $node from $crate::app::Seen<$record>
        }
    };
    ($(#[$meta:meta])* $connection:ident, $edge:ident of $node:ident from $row:ty) => {
        $(#[$meta])*
        #[derive(async_graphql::SimpleObject)]
        pub(in crate::graphql) struct $connection {
            /// The rows of the page with their cursors.
            edges: Vec<$edge>,
            /// The rows of the page.
            nodes: Vec<$node>,
            /// Where the page stands in the list.
            page_info: $crate::graphql::page::PageInfo,
            /// How many rows the whole list has, as far as you may read them.
            total_count: $crate::graphql::page::TotalCount,
        }

        /// One row of the page.
        #[derive(async_graphql::SimpleObject)]
        pub(in crate::graphql) struct $edge {
            /// Continue after or before this row.
            cursor: String,
            /// The row.
            node: $node,
        }

        impl From<$crate::app::Page<$row>> for $connection {
            fn from(page: $crate::app::Page<$row>) -> Self {
                let page_info = $crate::graphql::page::PageInfo::of(&page);
                let total_count = $crate::graphql::page::TotalCount::of(page.total);
                let nodes = page.rows.iter().map(|(_, row)| $node(row.clone())).collect();
                let edge = |(cursor, row)| $edge { cursor: $crate::graphql::call::encode_cursor(&cursor), node: $node(row) };
                Self { edges: page.rows.into_iter().map(edge).collect(), nodes, page_info, total_count }
            }
        }
    };
}

pub(super) use connection;
