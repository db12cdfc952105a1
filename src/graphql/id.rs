//! Global ids: opaque, typed, and meaningless outside their tenant.
//! Never says why an id is refused: another type, another tenant and nonsense are all not found.

use crate::{app::LogPosition, domain::record::Kind};
use async_graphql::{ID, InputValueError, InputValueResult, Scalar, ScalarType, Value};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

/// The id that clients see of a record of this kind.
pub(super) fn global(kind: Kind, uuid: impl Into<Uuid>) -> ID {
    let uuid: Uuid = uuid.into();
    let bytes: Vec<u8> = std::iter::once(kind.number()).chain(*uuid.as_bytes()).collect();
    ID(URL_SAFE_NO_PAD.encode(bytes))
}

/// What a global id names, if it names anything.
pub(super) fn named(id: &str) -> Option<(Kind, Uuid)> {
    let bytes = URL_SAFE_NO_PAD.decode(id).ok()?;
    let (kind, uuid) = bytes.split_first()?;
    Some((Kind::of_number(*kind)?, Uuid::from_slice(uuid).ok()?))
}

/// The id of a record of this kind; one that can belong to none where the text names another kind or nothing,
/// so that it is not found like any other id that is not there.
pub(super) fn of_kind<T: From<Uuid>>(kind: Kind, id: &ID) -> T {
    let uuid = named(&id.0).filter(|(named, _)| *named == kind).map(|(_, uuid)| uuid);
    uuid.unwrap_or(Uuid::max()).into()
}

/// A position in the organisation's event log. Subscribe or read `after` it to continue where you were;
/// opaque, and another thing than the cursor of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EventCursor {
    /// Which log the number belongs to.
    pub(super) epoch: [u8; 16],
    /// The number of the commit.
    pub(super) number: u64,
    /// How many of its events are behind the reader; `u32::MAX` for all.
    pub(super) events: u32,
}

impl EventCursor {
    /// The position behind everything in a commit.
    pub(super) const fn behind(epoch: [u8; 16], number: u64) -> Self {
        Self { epoch, number, events: u32::MAX }
    }

    pub(super) fn encode(self) -> String {
        let bytes = [&self.epoch[..], &self.number.to_be_bytes(), &self.events.to_be_bytes()].concat();
        URL_SAFE_NO_PAD.encode(bytes)
    }

    pub(super) fn decode(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (epoch, rest) = bytes.split_first_chunk::<16>()?;
        let (number, rest) = rest.split_first_chunk::<8>()?;
        let events = <[u8; 4]>::try_from(rest).ok()?;
        Some(Self { epoch: *epoch, number: u64::from_be_bytes(*number), events: u32::from_be_bytes(events) })
    }
}

impl From<LogPosition> for EventCursor {
    fn from(LogPosition { epoch, number, events }: LogPosition) -> Self {
        Self { epoch, number, events }
    }
}

impl From<EventCursor> for LogPosition {
    fn from(EventCursor { epoch, number, events }: EventCursor) -> Self {
        Self { epoch, number, events }
    }
}

/// A position in the organisation's event log: read on `after` it. Opaque; not the cursor of a page.
#[Scalar(name = "EventCursor")]
impl ScalarType for EventCursor {
    fn parse(value: Value) -> InputValueResult<Self> {
        let cursor = if let Value::String(text) = &value { Self::decode(text) } else { None };
        cursor.ok_or_else(|| InputValueError::custom("this is not an event cursor that this server gave out"))
    }

    fn to_value(&self) -> Value {
        Value::String(self.encode())
    }
}
