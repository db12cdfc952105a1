//! The file with which an operator says which documents he trusts.
//! Never looks at the documents themselves: whether they are valid, the schema says.

use super::document::{Digest, read_digest};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// A document that is trusted beforehand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedDocument {
    /// Its id in the file.
    pub id: String,
    /// Its text.
    pub text: String,
}

/// What is wrong with a file of trusted documents.
#[derive(Debug, thiserror::Error)]
pub enum TrustedDocumentError {
    /// It is neither of the two forms.
    #[error(
        "it is neither an object of documents by their ids (\"sha256:…\") nor an Apollo persisted query manifest: {0}"
    )]
    Form(serde_json::Error),
    /// An id is not the digest of its document.
    #[error("{id} is not the SHA-256 digest of the document under it; that is sha256:{is}")]
    Digest {
        /// The id.
        id: String,
        /// The digest, in hexadecimal digits.
        is: String,
    },
    /// A document is not valid.
    #[error("the document {id} cannot be executed: {why}")]
    Document {
        /// Its id.
        id: String,
        /// What is wrong with it.
        why: String,
    },
}

/// The two forms.
#[derive(Deserialize)]
#[serde(untagged)]
enum File {
    Apollo { format: ApolloFormat, operations: Vec<ApolloOperation> },
    ById(BTreeMap<String, String>),
}

#[derive(Deserialize)]
enum ApolloFormat {
    #[serde(rename = "apollo-persisted-query-manifest")]
    Manifest,
}

#[derive(Deserialize)]
struct ApolloOperation {
    id: String,
    body: String,
}

impl TrustedDocument {
    /// The documents of a file in JSON: an object of documents by their ids, or an Apollo persisted query manifest.
    ///
    /// # Errors
    /// Where it is neither, or an id is not its document's digest.
    pub fn read_all(text: &str) -> Result<Vec<Self>, TrustedDocumentError> {
        let file = serde_json::from_str(text).map_err(TrustedDocumentError::Form)?;
        let documents: Vec<_> = match file {
            File::Apollo { format: ApolloFormat::Manifest, operations } => {
                operations.into_iter().map(|operation| Self { id: operation.id, text: operation.body }).collect()
            }
            File::ById(by_id) => by_id.into_iter().map(|(id, text)| Self { id, text }).collect(),
        };
        for document in &documents {
            let is: Digest = Sha256::digest(document.text.as_bytes()).into();
            if Self::digest_of_id(&document.id) != Some(is) {
                let is = is.iter().map(|byte| format!("{byte:02x}")).collect();
                return Err(TrustedDocumentError::Digest { id: document.id.clone(), is });
            }
        }
        Ok(documents)
    }

    /// The digest that an id names, with `sha256:` before it or without.
    pub(super) fn digest_of_id(id: &str) -> Option<Digest> {
        read_digest(id.strip_prefix("sha256:").unwrap_or(id))
    }
}
