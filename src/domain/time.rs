//! A moment in time as the records hold it, and the clock as a parameter.
//! Never reads the machine's clock: the binary owns the only one that does.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A moment, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// Tells the time. The server's follows the machine, a test's is moved by hand.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
}

impl Timestamp {
    /// The moment that lies this many milliseconds after 1970-01-01T00:00:00Z.
    pub const fn from_milliseconds(milliseconds: i64) -> Self {
        Self(milliseconds)
    }

    /// Reads RFC 3339; what is finer than a millisecond is cut off.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|moment| Self(moment.as_millisecond()))
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub const fn milliseconds(self) -> i64 {
        self.0
    }

    /// The moment this many seconds later (earlier when negative); saturates at the ends of time.
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000)))
    }

    /// The same day and time of an earlier month in UTC, or that month's last day; saturates at the beginning of time.
    #[must_use]
    pub fn months_earlier(self, months: u32) -> Self {
        let moment = jiff::Timestamp::from_millisecond(self.0).ok();
        let zoned = moment.map(|moment| moment.to_zoned(jiff::tz::TimeZone::UTC));
        let span = jiff::Span::new().try_months(months).ok();
        let earlier = zoned.zip(span).and_then(|(zoned, span)| zoned.checked_sub(span).ok());
        earlier.map_or(Self(i64::MIN), |earlier| Self(earlier.timestamp().as_millisecond()))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC, to the millisecond: `2026-01-31T09:30:00.000Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(moment) => write!(f, "{moment:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}
