//! Refuses documents that would cost too much to look at, before the engine looks at them.
//! The engine's own limits are compared after it has parsed recursively and expanded every fragment: 4 KB of
//! brackets overflow its stack, 845 bytes of fragments stall it. So a lexical pass comes first, then parsing,
//! then counting, each fragment counted once. Never resolves names or types.

use super::error::code;
use crate::limits::{
    DOCUMENT_ALIASES_MAX, DOCUMENT_DEPTH_MAX, DOCUMENT_DIRECTIVES_MAX, DOCUMENT_FIELDS_MAX, DOCUMENT_LEVELS_MAX,
    DOCUMENT_ROOT_FIELDS_MAX, DOCUMENT_TOKENS_MAX,
};
use async_graphql::{
    Pos, Positioned,
    parser::{
        parse_query,
        types::{ExecutableDocument, FragmentSpread, Selection, SelectionSet},
    },
};
use std::collections::HashMap;

/// Why a request is not executed, as far as its document says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The code.
    pub code: &'static str,
    /// What was refused, and by which rule.
    pub message: String,
    /// Where in the document, if it is about a place in it.
    pub place: Option<Pos>,
}

impl Refused {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), place: None }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(code::BAD_REQUEST, message)
    }

    fn limit(message: impl Into<String>) -> Self {
        Self::new(code::LIMIT_EXCEEDED, message)
    }

    fn at(self, place: Pos) -> Self {
        Self { place: Some(place), ..self }
    }
}

/// Reads a document.
///
/// # Errors
/// Where it does not parse, spreads a fragment in itself, or exceeds a limit.
pub(super) fn read(text: &str) -> Result<ExecutableDocument, Refused> {
    lexical(text.as_bytes())?;
    let document = parse_query(text).map_err(|error| {
        let refused = |message| Refused::new("GRAPHQL_PARSE_FAILED", message);
        match error.positions().next() {
            Some(at) => {
                refused(format!("The document does not parse at line {}, column {}.", at.line, at.column)).at(at)
            }
            None => refused("The document does not parse.".to_owned()),
        }
    })?;
    let mut counting = Counting { document: &document, known: HashMap::new() };
    for (_, operation) in document.operations.iter() {
        let counts = counting.of(&operation.node.selection_set.node)?;
        let directives = counts.directives.saturating_add(operation.node.directives.len());
        let limits = [
            // A directive costs as much to look at as a field does.
            (counts.fields.saturating_add(directives), DOCUMENT_FIELDS_MAX, "selects more than", "fields"),
            (counts.levels, DOCUMENT_LEVELS_MAX, "selects fields of fields more than", "levels deep"),
            (counts.aliases, DOCUMENT_ALIASES_MAX, "has more than", "aliases"),
            (directives, DOCUMENT_DIRECTIVES_MAX, "has more than", "directives"),
            (counts.roots, DOCUMENT_ROOT_FIELDS_MAX, "asks more than", "fields of the schema's root"),
        ];
        if let Some((_, most, does, of_what)) = limits.into_iter().find(|(count, most, ..)| count > most) {
            let message = format!(
                "The document {does} {most} {of_what} once its fragments are expanded. Ask in several requests."
            );
            return Err(Refused::limit(message).at(operation.pos));
        }
    }
    Ok(document)
}

/// Counts tokens and the depth of brackets, outside strings and comments.
fn lexical(mut rest: &[u8]) -> Result<(), Refused> {
    let (mut depth, mut tokens) = (0_usize, 0_usize);
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        match first {
            b' ' | b'\t' | b'\r' | b'\n' | b',' => continue,
            b'#' => {
                rest = skip_while(rest, |byte| byte != b'\n' && byte != b'\r');
                continue;
            }
            b'"' => rest = after_string(rest),
            b'(' | b'[' | b'{' => depth = depth.saturating_add(1),
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            byte if is_word(byte) => rest = skip_while(rest, is_word),
            _ => {}
        }
        tokens = tokens.saturating_add(1);
        if depth > DOCUMENT_DEPTH_MAX {
            return Err(Refused::limit(format!("The document nests more than {DOCUMENT_DEPTH_MAX} levels deep.")));
        }
        if tokens > DOCUMENT_TOKENS_MAX {
            return Err(Refused::limit(format!("The document has more than {DOCUMENT_TOKENS_MAX} tokens.")));
        }
    }
    Ok(())
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn skip_while(bytes: &[u8], wanted: impl Fn(u8) -> bool) -> &[u8] {
    let end = bytes.iter().position(|byte| !wanted(*byte)).unwrap_or(bytes.len());
    bytes.get(end..).unwrap_or_default()
}

/// What follows a string whose first quote has been read. An unclosed one ends with its line, as it does for
/// the parser, so that no bracket after it goes uncounted.
fn after_string(mut rest: &[u8]) -> &[u8] {
    if let Some(mut block) = rest.strip_prefix(b"\"\"") {
        loop {
            if let Some(after) = block.strip_prefix(b"\\\"\"\"") {
                block = after;
            } else if let Some(after) = block.strip_prefix(b"\"\"\"") {
                return after;
            } else if let Some((_, after)) = block.split_first() {
                block = after;
            } else {
                return block;
            }
        }
    }
    while let Some((&byte, after)) = rest.split_first() {
        match byte {
            b'"' => return after,
            b'\n' | b'\r' => return rest,
            b'\\' => {
                rest = match after {
                    [b'\n' | b'\r', ..] | [] => after,
                    [_, after @ ..] => after,
                }
            }
            _ => rest = after,
        }
    }
    rest
}

/// How much a selection selects, its fragments expanded.
#[derive(Clone, Copy, Default)]
struct Counts {
    fields: usize,
    /// How many fields lie in one another.
    levels: usize,
    aliases: usize,
    directives: usize,
    /// The fields of the selection itself.
    roots: usize,
}

impl Counts {
    /// Together with what stands beside it.
    fn beside(self, other: Self) -> Self {
        Self {
            fields: self.fields.saturating_add(other.fields),
            levels: self.levels.max(other.levels),
            aliases: self.aliases.saturating_add(other.aliases),
            directives: self.directives.saturating_add(other.directives),
            roots: self.roots.saturating_add(other.roots),
        }
    }

    /// Below a field.
    fn below(self, is_aliased: bool) -> Self {
        Self {
            fields: self.fields.saturating_add(1),
            levels: self.levels.saturating_add(1),
            aliases: self.aliases.saturating_add(usize::from(is_aliased)),
            roots: 1,
            ..self
        }
    }
}

/// Counts a document, each fragment once however often it is spread.
struct Counting<'a> {
    document: &'a ExecutableDocument,
    /// `None` while a fragment is being counted: meeting it again then is a cycle.
    known: HashMap<&'a str, Option<Counts>>,
}

impl<'a> Counting<'a> {
    fn of(&mut self, selections: &'a SelectionSet) -> Result<Counts, Refused> {
        let mut counts = Counts::default();
        for selection in &selections.items {
            let mut added = match &selection.node {
                Selection::Field(field) => self.of(&field.node.selection_set.node)?.below(field.node.alias.is_some()),
                Selection::InlineFragment(inline) => self.of(&inline.node.selection_set.node)?,
                Selection::FragmentSpread(spread) => self.of_fragment(spread)?,
            };
            added.directives = added.directives.saturating_add(selection.node.directives().len());
            counts = counts.beside(added);
        }
        Ok(counts)
    }

    fn of_fragment(&mut self, spread: &'a Positioned<FragmentSpread>) -> Result<Counts, Refused> {
        let name: &str = &spread.node.fragment_name.node;
        match self.known.get(name) {
            Some(Some(counts)) => return Ok(*counts),
            Some(None) => {
                let message = format!("The fragment {name} spreads itself.");
                return Err(Refused::new(code::GRAPHQL_VALIDATION_FAILED, message).at(spread.pos));
            }
            None => {}
        }
        // An unknown fragment is the engine's to refuse.
        let Some(fragment) = self.document.fragments.get(name) else { return Ok(Counts::default()) };
        self.known.insert(name, None);
        let counts = self.of(&fragment.node.selection_set.node)?;
        self.known.insert(name, Some(counts));
        Ok(counts)
    }
}
