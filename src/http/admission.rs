//! Refuses documents that would cost too much to look at, before the engine looks at them.
//! The engine's own limits are compared after it has parsed recursively and expanded every fragment: 4 KB of
//! brackets overflow its stack, 845 bytes of fragments stall it. So a lexical pass comes first, then parsing,
//! then the fragments' cost, each fragment counted once. Never resolves names or types.

use super::fault::Fault;
use crate::limits::{DOCUMENT_DEPTH_MAX, DOCUMENT_FIELDS_MAX, DOCUMENT_TOKENS_MAX};
use async_graphql::Request;
use async_graphql::parser::parse_query;
use async_graphql::parser::types::{ExecutableDocument, OperationType, Selection, SelectionSet};
use axum::http::StatusCode;
use std::collections::HashMap;

/// Checks the document and leaves it parsed in the request. Answers what kind of operation will run; `None`
/// when the document does not say (no operation of that name, or several and no name), which the engine
/// refuses in its own words.
pub(super) fn admit(request: &mut Request) -> Result<Option<OperationType>, Fault> {
    lexical(request.query.as_bytes())?;
    let document = parse_query(&request.query).map_err(|error| {
        let place = error.positions().next();
        let message = match place {
            Some(place) => {
                format!("The document does not parse at line {}, column {}.", place.line, place.column)
            }
            None => "The document does not parse.".to_owned(),
        };
        Fault::new(StatusCode::BAD_REQUEST, "GRAPHQL_PARSE_FAILED", message)
    })?;
    let mut costs = FragmentCosts { document: &document, known: HashMap::new() };
    for (_, operation) in document.operations.iter() {
        if costs.of(&operation.node.selection_set.node)? > DOCUMENT_FIELDS_MAX {
            return Err(Fault::limit(format!(
                "The document selects more than {DOCUMENT_FIELDS_MAX} fields once its fragments are expanded."
            )));
        }
    }
    let kind = operation_kind(&document, request.operation_name.as_deref());
    request.set_parsed_query(document);
    Ok(kind)
}

fn operation_kind(document: &ExecutableDocument, name: Option<&str>) -> Option<OperationType> {
    let mut operations = document.operations.iter();
    let chosen = match name {
        Some(wanted) => operations.find(|(name, _)| name.is_some_and(|name| name.as_str() == wanted)),
        None => operations.next().filter(|_| operations.next().is_none()),
    };
    chosen.map(|(_, operation)| operation.node.ty)
}

/// Counts tokens and the depth of brackets, outside strings and comments.
fn lexical(mut rest: &[u8]) -> Result<(), Fault> {
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
            return Err(Fault::limit(format!("The document nests more than {DOCUMENT_DEPTH_MAX} levels deep.")));
        }
        if tokens > DOCUMENT_TOKENS_MAX {
            return Err(Fault::limit(format!("The document has more than {DOCUMENT_TOKENS_MAX} tokens.")));
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

/// How many fields each fragment selects, counted once however often it is spread.
struct FragmentCosts<'a> {
    document: &'a ExecutableDocument,
    /// `None` while a fragment is being counted: meeting it again then is a cycle.
    known: HashMap<&'a str, Option<usize>>,
}

impl<'a> FragmentCosts<'a> {
    fn of(&mut self, selections: &'a SelectionSet) -> Result<usize, Fault> {
        let mut fields = 0_usize;
        for selection in &selections.items {
            let added = match &selection.node {
                Selection::Field(field) => self.of(&field.node.selection_set.node)?.saturating_add(1),
                Selection::InlineFragment(inline) => self.of(&inline.node.selection_set.node)?,
                Selection::FragmentSpread(spread) => self.of_fragment(&spread.node.fragment_name.node)?,
            };
            // A directive costs as much to look at as a field does.
            fields = fields.saturating_add(added).saturating_add(selection.node.directives().len());
        }
        Ok(fields)
    }

    fn of_fragment(&mut self, name: &'a str) -> Result<usize, Fault> {
        match self.known.get(name) {
            Some(Some(fields)) => return Ok(*fields),
            Some(None) => {
                let message = format!("The fragment {name} spreads itself.");
                return Err(Fault::new(StatusCode::BAD_REQUEST, "GRAPHQL_VALIDATION_FAILED", message));
            }
            None => {}
        }
        // An unknown fragment is the engine's to refuse.
        let Some(fragment) = self.document.fragments.get(name) else { return Ok(0) };
        self.known.insert(name, None);
        let fields = self.of(&fragment.node.selection_set.node)?;
        self.known.insert(name, Some(fields));
        Ok(fields)
    }
}
