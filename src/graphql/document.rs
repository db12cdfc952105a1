//! The documents that may be executed: those that were asked before and found valid, by their text or its digest alone
//! (automatic persisted queries), and those that the operator trusts from the beginning.
//! Never keeps one that is not valid, nor more than a bounded number; and never decides who may execute one.

use super::{
    admission::{self, Refused},
    coercion::{self, Misfit, Usages},
    error::code,
    resumption::{Resumed, begin_after},
    root_field::gather,
    trusted::TrustedDocument,
    types::Types,
    watch::Watch,
};
use crate::limits::{DOCUMENTS_KEPT_BYTES_MAX, DOCUMENTS_KEPT_MAX};
use async_graphql::{
    Positioned, Request, Value, Variables,
    parser::types::{DocumentOperations, ExecutableDocument, OperationDefinition, OperationType, VariableDefinition},
};
use quick_cache::{Weighter, sync::Cache};
use serde::Deserialize;
use serde_json::Map;
use sha2::{Digest as _, Sha256};
use std::{collections::HashMap, sync::Arc};

/// A digest (SHA-256) of a document's text.
pub(super) type Digest = [u8; 32];

/// What a client asks: a document, or the digest of one, with what goes with it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// The document.
    pub query: Option<String>,
    /// The id of a trusted document, `sha256:` and its digest in hexadecimal digits.
    pub document_id: Option<String>,
    /// Which of the document's operations.
    pub operation_name: Option<String>,
    /// The values of its variables.
    #[serde(default)]
    pub variables: Variables,
    /// `persistedQuery`, of which `version` is 1 and `sha256Hash` the digest of a document in hexadecimal digits.
    pub extensions: Option<Map<String, serde_json::Value>>,
}

/// A document that was read and counted.
pub(super) struct Document {
    parsed: ExecutableDocument,
    /// Of its text; none where it is not any more what the text says.
    digest: Option<Digest>,
    /// How long its text is.
    bytes: usize,
    /// How it uses its variables; none where it names what the schema does not have.
    usages: Option<Arc<Usages>>,
}

/// An operation whose document may be looked at, which is known to be valid or still has to be.
pub struct Admitted {
    document: Arc<Document>,
    operation_name: Option<String>,
    variables: Variables,
    is_valid: bool,
    /// Who hears what becomes of it.
    watch: Option<Watch>,
}

/// The documents of one API.
pub(super) struct Documents {
    kept: Cache<Digest, Arc<Document>, ByText>,
    trusted: HashMap<Digest, Arc<Document>>,
    only_trusted: bool,
    types: &'static Types,
}

/// A document weighs what its text does: how much more it takes once it is read depends on it alone.
#[derive(Clone)]
struct ByText;

impl Weighter<Digest, Arc<Document>> for ByText {
    fn weight(&self, _: &Digest, document: &Arc<Document>) -> u64 {
        // One of no weight would never have to leave.
        document.bytes.max(1) as u64
    }
}

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    /// Where it does not parse, or costs too much to look at.
    fn read(text: &str, digest: Digest, types: &Types) -> Result<Self, Refused> {
        let parsed = admission::read(text)?;
        let usages = Usages::of(types, &parsed).map(Arc::new);
        Ok(Self { parsed, digest: Some(digest), bytes: text.len(), usages })
    }

    pub(super) const fn parsed(&self) -> &ExecutableDocument {
        &self.parsed
    }
}

impl Documents {
    pub(super) fn new(types: &'static Types, only_trusted: bool) -> Self {
        let kept = Cache::with_weighter(DOCUMENTS_KEPT_MAX, DOCUMENTS_KEPT_BYTES_MAX, ByText);
        Self { kept, trusted: HashMap::new(), only_trusted, types }
    }

    /// Takes the document of a valid operation in for as long as the server runs.
    pub(super) fn trust(&mut self, admitted: &Admitted) {
        if let Some(digest) = admitted.document.digest {
            self.trusted.insert(digest, Arc::clone(&admitted.document));
        }
    }

    /// Keeps the document of an operation that the engine's rules have just found valid, unless they have not looked at
    /// all of it.
    pub(super) fn keep(&self, admitted: &Admitted) {
        let document = &admitted.document;
        if let (Some(digest), Some(usages)) = (document.digest, &document.usages)
            && usages.are_seen_whole(&admitted.variables)
        {
            self.kept.insert(digest, Arc::clone(document));
        }
    }

    /// How many are kept that were asked before.
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// Finds or reads the document of what is asked.
    ///
    /// # Errors
    /// Where there is none, it does not parse or costs too much to look at, or it is not one of those that are trusted
    /// where only those are executed.
    pub(super) fn admit(&self, asked: Asked) -> Result<Admitted, Refused> {
        let named = Named::of(&asked)?;
        let query = asked.query.filter(|query| !query.is_empty());
        let wanted = match (&query, named) {
            (Some(query), named) => {
                let own = digest(query);
                if named.is_some_and(|named| named.digest() != own) {
                    return Err(Refused::bad_request("The digest that is sent is not that of the query beside it."));
                }
                own
            }
            (None, Some(named)) => named.digest(),
            (None, None) => return Err(Refused::bad_request("The request has no query.")),
        };
        let known = match self.trusted.get(&wanted) {
            Some(trusted) => Some(Arc::clone(trusted)),
            None if self.only_trusted => return Err(not_trusted()),
            // The id of a trusted document names nothing else.
            None if query.is_none() && matches!(named, Some(Named::Trusted(_))) => return Err(not_found()),
            None => self.kept.get(&wanted),
        };
        let (document, is_valid) = match (known, query) {
            (Some(known), _) => (known, true),
            (None, Some(query)) => (Arc::new(Document::read(&query, wanted, self.types)?), false),
            (None, None) => return Err(persisted_query_not_found()),
        };
        let operation_name = asked.operation_name.filter(|name| !name.is_empty());
        Ok(Admitted { document, operation_name, variables: asked.variables, is_valid, watch: None }.with_defaults())
    }
}

impl Admitted {
    /// The operation that will run; none where the document does not say which, or has none of that name: the engine
    /// refuses it in its own words.
    pub(super) fn operation(&self) -> Option<&OperationDefinition> {
        let operation = match (&self.document.parsed.operations, &self.operation_name) {
            (DocumentOperations::Single(only), None) => Some(only),
            (DocumentOperations::Single(_), Some(_)) => None,
            (DocumentOperations::Multiple(several), Some(name)) => several.get(name.as_str()),
            (DocumentOperations::Multiple(several), None) => several.values().next().filter(|_| several.len() == 1),
        };
        operation.map(|operation| &operation.node)
    }

    /// With the value that the operation declares for a variable that has none: the engine forgets them where it
    /// decides what `@skip` and `@include` leave.
    fn with_defaults(mut self) -> Self {
        let definitions =
            self.operation().map(|operation| operation.variable_definitions.as_slice()).unwrap_or_default();
        let default = |definition: &Positioned<VariableDefinition>| {
            let VariableDefinition { name, default_value, .. } = &definition.node;
            default_value.as_ref().map(|value| (name.node.clone(), value.node.clone()))
        };
        for (name, value) in definitions.iter().filter_map(default).collect::<Vec<_>>() {
            self.variables.entry(name).or_insert(value);
        }
        self
    }

    /// What kind of operation will run.
    pub fn kind(&self) -> Option<OperationType> {
        self.operation().map(|operation| operation.ty)
    }

    /// The same, of which somebody hears what becomes of it.
    #[must_use]
    pub fn watched(mut self, watch: Watch) -> Self {
        self.watch = Some(watch);
        self
    }

    pub(super) const fn watch(&self) -> Option<&Watch> {
        self.watch.as_ref()
    }

    /// What the operation that will run is called in its document.
    pub(super) fn name(&self) -> Option<&str> {
        let mut operations = self.document.parsed.operations.iter();
        let chosen = match &self.operation_name {
            Some(wanted) => operations.find(|(name, _)| name.is_some_and(|name| name == wanted)),
            None => operations.next().filter(|_| operations.next().is_none()),
        };
        chosen.and_then(|(name, _)| name).map(|name| name.as_str())
    }

    pub(super) fn document(&self) -> &Document {
        &self.document
    }

    pub(super) const fn variables(&self) -> &Variables {
        &self.variables
    }

    /// Whether the engine's rules need not look at it: they have found the document valid.
    pub(super) const fn is_known_to_be_valid(&self) -> bool {
        self.is_valid
    }

    /// The first variable whose value is not of the type that it is declared as.
    pub(super) fn misfit(&self, types: &Types) -> Option<Misfit> {
        self.operation().and_then(|operation| coercion::misfit(types, operation, &self.variables))
    }

    /// The first variable that stands where its type does not belong.
    pub(super) fn misplaced(&self) -> Option<&Misfit> {
        self.document.usages.as_ref().and_then(|usages| usages.misplaced())
    }

    /// The request as it was sent, for the engine's rules.
    pub(super) fn as_sent(&self) -> Request {
        self.request_of(self.document.parsed.clone())
    }

    /// The request that is executed: a subscription selects its fields directly.
    pub(super) fn request(&self) -> Request {
        let mut parsed = self.document.parsed.clone();
        gather(&mut parsed, self.operation_name.as_deref(), &self.variables);
        self.request_of(parsed)
    }

    fn request_of(&self, parsed: ExecutableDocument) -> Request {
        let mut request = Request::new("").variables(self.variables.clone());
        request.operation_name.clone_from(&self.operation_name);
        request.set_parsed_query(parsed);
        request
    }

    /// The same, of which every subscription begins behind the event with this cursor: by its variable where `after` is
    /// one, which must stay in use, and by the argument itself otherwise.
    #[must_use]
    pub fn resumed_after(mut self, last: &str) -> Self {
        let mut parsed = self.document.parsed.clone();
        let Resumed { variables, is_changed } = begin_after(&mut parsed, last);
        for variable in variables {
            self.variables.insert(variable, Value::from(last));
        }
        if is_changed {
            let Document { bytes, ref usages, .. } = *self.document;
            let usages = usages.clone();
            self.document = Arc::new(Document { parsed, digest: None, bytes, usages });
            self.is_valid = false;
        }
        self
    }
}

/// How a document is named.
#[derive(Clone, Copy)]
enum Named {
    /// As one that is trusted.
    Trusted(Digest),
    /// As one that was asked before.
    Persisted(Digest),
}

impl Named {
    const fn digest(self) -> Digest {
        match self {
            Self::Trusted(digest) | Self::Persisted(digest) => digest,
        }
    }

    fn of(asked: &Asked) -> Result<Option<Self>, Refused> {
        if let Some(id) = asked.document_id.as_deref().filter(|id| !id.is_empty()) {
            return TrustedDocument::digest_of_id(id).map(|digest| Some(Self::Trusted(digest))).ok_or_else(not_found);
        }
        let Some(persisted) = asked.extensions.as_ref().and_then(|extensions| extensions.get("persistedQuery")) else {
            return Ok(None);
        };
        let hash = persisted.get("sha256Hash").and_then(serde_json::Value::as_str).and_then(read_digest);
        match hash {
            Some(digest) if persisted.get("version").and_then(serde_json::Value::as_u64) == Some(1) => {
                Ok(Some(Self::Persisted(digest)))
            }
            Some(_) | None => Err(Refused::bad_request(
                "The extension persistedQuery has the version 1 and a sha256Hash of 64 hexadecimal digits.",
            )),
        }
    }
}

fn digest(text: &str) -> Digest {
    Sha256::digest(text.as_bytes()).into()
}

/// A digest in hexadecimal digits.
pub(super) fn read_digest(text: &str) -> Option<Digest> {
    let mut digest = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, at) in digest.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(digest)
}

/// In the words and under the code that clients of automatic persisted queries wait for: they send the text then.
fn persisted_query_not_found() -> Refused {
    Refused::new("PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound")
}

fn not_found() -> Refused {
    let message = "There is no trusted document with this id. Ids are sha256: and 64 hexadecimal digits; the server's \
                   operator names the documents when he starts it.";
    Refused::new(code::NOT_FOUND, message)
}

fn not_trusted() -> Refused {
    let message = "This server executes only the documents that its operator trusts. Send the documentId of one of them, \
                   or have yours taken in.";
    Refused::new(code::FORBIDDEN, message)
}
