//! The engine: all of its rules look at a document that is new, and none at one that they have found valid.
//! Never executes what was not admitted and found valid.

use super::{
    admission::Refused,
    call::Asker,
    document::{Admitted, Asked, Documents},
    error::{broken_down, misfitting},
    schema::{Root, root},
    trusted::{TrustedDocument, TrustedDocumentError},
    types::Types,
};
use crate::app::App;
use async_graphql::{
    Request, Response, ServerError, ValidationMode, ValidationResult, async_trait,
    extensions::{Extension, ExtensionContext, ExtensionFactory, NextValidation},
    futures_util::{
        FutureExt,
        stream::{BoxStream, StreamExt},
    },
};
use std::{panic::AssertUnwindSafe, sync::Arc};

/// Validates and executes operations.
pub(super) struct Engine {
    /// With all rules, and an end behind them.
    rules: Root,
    /// Without the rules that look at a document as a whole. No extension: any costs half of a list again.
    executes: Root,
    documents: Documents,
    types: &'static Types,
}

/// Ends every operation when it was validated: without an error, where it is valid.
struct EndBehindRules;

impl ExtensionFactory for EndBehindRules {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_trait::async_trait]
impl Extension for EndBehindRules {
    async fn validation(
        &self,
        ctx: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        next.run(ctx).await?;
        Err(vec![])
    }
}

impl Engine {
    /// The engine over an application, with the documents that its operator trusts.
    ///
    /// # Errors
    /// Where one of those is not valid.
    pub(super) fn new(
        app: &App,
        types: &'static Types,
        trusted: &[TrustedDocument],
        only_trusted: bool,
    ) -> Result<Self, TrustedDocumentError> {
        let rules = root().extension(EndBehindRules).finish();
        let executes = root().validation_mode(ValidationMode::Fast).data(app.clone()).finish();
        let mut engine = Self { rules, executes, documents: Documents::new(types, false), types };
        let mut documents = Documents::new(types, only_trusted);
        for document in trusted {
            let refused = |why| TrustedDocumentError::Document { id: document.id.clone(), why };
            let asked = Asked { query: Some(document.text.clone()), ..Asked::default() };
            let admitted = engine.admit(asked).map_err(|error| refused(error.message))?;
            // The rules wait for nothing.
            let invalid = engine.invalid_document(&admitted).now_or_never().flatten();
            if let Some(error) = invalid.and_then(|invalid| invalid.errors.into_iter().next()) {
                return Err(refused(error.message));
            }
            documents.trust(&admitted);
        }
        engine.documents = documents;
        Ok(engine)
    }

    /// Finds or reads the document of what is asked.
    ///
    /// # Errors
    /// As [`Documents::admit`].
    pub(super) fn admit(&self, asked: Asked) -> Result<Admitted, Refused> {
        self.documents.admit(asked)
    }

    /// How many documents are kept that were asked before.
    pub(super) fn documents_kept(&self) -> usize {
        self.documents.len()
    }

    /// What is wrong with an operation, where it is not valid.
    pub(super) async fn invalid(&self, admitted: &Admitted) -> Option<Response> {
        // Whatever was asked before: the same variables hear the same.
        match admitted.misfit(self.types) {
            Some(misfit) => Some(misfitting(&misfit)),
            None if admitted.is_known_to_be_valid() => None,
            None => self.invalid_document(admitted).await,
        }
    }

    /// What is wrong with its document. One that is valid is kept.
    async fn invalid_document(&self, admitted: &Admitted) -> Option<Response> {
        let found = self.rules.execute(admitted.as_sent()).await;
        if !found.errors.is_empty() {
            return Some(found);
        }
        if let Some(misplaced) = admitted.misplaced() {
            return Some(misfitting(misplaced));
        }
        self.documents.keep(admitted);
        None
    }

    /// Executes an operation that is valid. A panic costs its answer, and no other.
    pub(super) async fn execute(&self, admitted: &Admitted, asker: Asker) -> Response {
        let executed = AssertUnwindSafe(self.executes.execute(admitted.request().data(asker)));
        executed.catch_unwind().await.unwrap_or_else(|why| broken_down(&*why))
    }

    /// Executes an operation that is valid, as long as it does not panic, and goes on for as long as it does.
    pub(super) fn execute_stream(&self, admitted: &Admitted, asker: Asker) -> BoxStream<'static, Response> {
        let answers = AssertUnwindSafe(self.executes.execute_stream(admitted.request().data(asker)));
        answers.catch_unwind().map(|answer| answer.unwrap_or_else(|why| broken_down(&*why))).boxed()
    }

    /// What one run of a subscription that is valid says, if anything: when it is opened, or is to word one thing.
    pub(super) async fn run(&self, request: Request) -> Option<Response> {
        let mut answers = AssertUnwindSafe(self.executes.execute_stream(request)).catch_unwind();
        Some(answers.next().await?.unwrap_or_else(|why| broken_down(&*why)))
    }
}
