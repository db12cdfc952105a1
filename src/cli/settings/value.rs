//! What a setting can be: how its value is read from text, and what is said where it cannot.
//! Never says which setting it is, nor where the text came from.

use crate::{
    graphql::Introspection,
    http::{Network, NoNetwork, NoOrigin, Origin},
};
use std::{net::SocketAddr, path::PathBuf};
use tracing_subscriber::EnvFilter;

/// What a value is in a file of TOML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Kind {
    /// In quotes.
    String,
    /// A number.
    Integer,
    /// True or false.
    Boolean,
}

/// What a setting holds: one value, perhaps one, or several.
pub(super) trait Value: Sized {
    /// What a value looks like, as "an address with a port".
    const WANTED: &'static str;
    /// What each is in a file.
    const KIND: Kind;
    /// Whether it takes several.
    const MANY: bool = false;

    /// Reads it; one empty text is none at all.
    fn read(texts: &[String]) -> Result<Self, String>;
}

/// One value.
pub(super) trait Scalar: Sized {
    /// As of [`Value`].
    const WANTED: &'static str;
    /// As of [`Value`].
    const KIND: Kind = Kind::String;

    /// Reads it; the error says what is wrong where [`Self::WANTED`] does not say enough.
    fn parse(text: &str) -> Result<Self, String>;
}

impl<T: Scalar> Value for T {
    const WANTED: &'static str = T::WANTED;
    const KIND: Kind = T::KIND;

    fn read(texts: &[String]) -> Result<Self, String> {
        match texts {
            [text] if !text.is_empty() => T::parse(text),
            [] | [_] => Err("it must not be empty".to_owned()),
            [_, _, ..] => Err("it takes one value".to_owned()),
        }
    }
}

impl<T: Scalar> Value for Option<T> {
    const WANTED: &'static str = T::WANTED;
    const KIND: Kind = T::KIND;

    fn read(texts: &[String]) -> Result<Self, String> {
        match texts {
            [] => Ok(None),
            [text] if text.is_empty() => Ok(None),
            texts => T::read(texts).map(Some),
        }
    }
}

impl<T: Scalar> Value for Vec<T> {
    const WANTED: &'static str = T::WANTED;
    const KIND: Kind = T::KIND;
    const MANY: bool = true;

    fn read(texts: &[String]) -> Result<Self, String> {
        texts.iter().map(|text| T::parse(text)).collect()
    }
}

/// A type whose own parser is good enough: what it wants is said, what it complains is not.
macro_rules! parsed {
    ($($type:ty: $kind:ident, $wanted:literal;)+) => {
        $(impl Scalar for $type {
            const WANTED: &'static str = $wanted;
            const KIND: Kind = Kind::$kind;

            fn parse(text: &str) -> Result<Self, String> {
                text.parse().map_err(|_| format!("it must be {}", $wanted))
            }
        })+
    };
}

parsed! {
    SocketAddr: String, "an address with a port, as 127.0.0.1:4280";
    PathBuf: String, "a path";
    bool: Boolean, "true or false";
    u32: Integer, "a whole number";
    u64: Integer, "a whole number";
    usize: Integer, "a whole number";
    Introspection: String, "signed-in, everyone or nobody";
}

/// What is logged.
pub(in crate::cli) struct LogFilter(String);

impl LogFilter {
    /// As the logs take it.
    pub(in crate::cli) fn filter(&self) -> EnvFilter {
        EnvFilter::new(&self.0)
    }
}

impl Scalar for LogFilter {
    const WANTED: &'static str = "a level, or levels of modules";

    fn parse(text: &str) -> Result<Self, String> {
        EnvFilter::try_new(text).map(|_| Self(text.to_owned())).map_err(|error| error.to_string())
    }
}

impl Scalar for Origin {
    const WANTED: &'static str = "an origin, as https://example.org";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error: NoOrigin| error.to_string())
    }
}

impl Scalar for Network {
    const WANTED: &'static str = "an address or a network, as 192.0.2.0/24";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error: NoNetwork| error.to_string())
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum LogFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

impl Scalar for LogFormat {
    const WANTED: &'static str = "text or json";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("it must be text or json".to_owned()),
        }
    }
}
