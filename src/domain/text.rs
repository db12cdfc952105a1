//! Text that people write: names, longer texts and the keys of templates.
//! Never repairs what cannot be shown safely: it normalises to NFC and refuses the rest.

use super::refusal::Refusal;
use crate::limits::{KEY_CHARACTERS_MAX, NAME_CHARACTERS_MAX, TEXT_CHARACTERS_MAX};
use serde::{Deserialize, Serialize};
use std::{borrow::Borrow, fmt, sync::Arc};
use unicode_normalization::UnicodeNormalization;

/// A name: one line of 1 to 200 characters in NFC, without control or bidirectional characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Name(Arc<str>);

/// A longer text: up to 20,000 characters in NFC; line breaks and tabs are allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Text(Arc<str>);

impl Name {
    /// Reads a name at `path` of the input.
    ///
    /// # Errors
    /// `NAME_EMPTY`, `NAME_TOO_LONG` or `TEXT_NOT_ALLOWED`.
    pub fn parse(path: &str, raw: &str) -> Result<Self, Refusal> {
        let path = path.to_owned();
        let name: String = raw.nfc().collect();
        let name = name.trim();
        if name.is_empty() {
            return Err(Refusal::NameEmpty { path });
        }
        let characters = name.chars().count();
        if characters > NAME_CHARACTERS_MAX {
            return Err(Refusal::NameTooLong { path, characters, most: NAME_CHARACTERS_MAX });
        }
        if let Some(refused) = name.chars().find(|c| is_unsafe(*c) || c.is_control()) {
            return Err(Refusal::TextNotAllowed { path, character: codepoint(refused) });
        }
        Ok(Self(name.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Text {
    /// Reads a text at `path` of the input.
    ///
    /// # Errors
    /// `TEXT_TOO_LONG` or `TEXT_NOT_ALLOWED`.
    pub fn parse(path: &str, raw: &str) -> Result<Self, Refusal> {
        let text: String = raw.nfc().collect();
        let characters = text.chars().count();
        if characters > TEXT_CHARACTERS_MAX {
            return Err(Refusal::TextTooLong { path: path.to_owned(), characters, most: TEXT_CHARACTERS_MAX });
        }
        let refused = |c: &char| is_unsafe(*c) || (c.is_control() && !matches!(*c, '\n' | '\r' | '\t'));
        if let Some(refused) = text.chars().find(refused) {
            return Err(Refusal::TextNotAllowed { path: path.to_owned(), character: codepoint(refused) });
        }
        Ok(Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it but white space.
    pub fn is_blank(&self) -> bool {
        self.0.trim().is_empty()
    }
}

/// Characters that reorder or hide what a reader sees.
pub(in crate::domain) const fn is_unsafe(c: char) -> bool {
    matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

fn codepoint(c: char) -> String {
    format!("U+{:04X}", u32::from(c))
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! keys {
    ($($(#[$meta:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The key with this text; whether a template knows it is decided where it is used.
            pub fn new(text: &str) -> Self {
                Self(text.into())
            }

            /// Reads a key that a request named; an overlong one is cut in messages, never here.
            ///
            /// # Errors
            /// `KEY_NOT_ALLOWED` unless it is 1 to 100 of `a-z A-Z 0-9 _ - . /`.
            pub fn parse(path: &str, raw: &str) -> Result<Self, Refusal> {
                if is_key(raw) { Ok(Self(raw.into())) } else { Err(Refusal::KeyNotAllowed { path: path.to_owned() }) }
            }

            /// The key's text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    )+};
}

keys! {
    /// Names a field of a template, for example `risk_rating`.
    FieldKey,
    /// Names a step of a template, for example `review`.
    StepKey,
    /// Names a feedback group of a sign-off, for example `business`.
    FeedbackGroupKey,
    /// Names a source object within its node and kind, as the node does.
    ExternalKey,
    /// Names a tenant, node or role in addresses and fixtures, for example `acme`.
    Slug,
}

fn is_key(raw: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    !raw.is_empty() && raw.len() <= KEY_CHARACTERS_MAX && raw.chars().all(allowed)
}
