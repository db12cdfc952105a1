//! The schema from its parts, and its execution for one caller.
//! Never executes for a caller whose credential was not verified by `app`.

use super::{
    access::{AccessQuery, explanation::ExplanationQuery, matrix::MatrixQuery, mutation::AccessMutation},
    admission::Refused,
    api_key::{ApiKeyMutation, ApiKeyQuery},
    call::Asker,
    cost::UnknownField,
    deployment::DeploymentMutation,
    document::{Admitted, Asked},
    engine::Engine,
    error::{coded, is_unauthenticated, without_suggestions},
    governance::{GovernanceMutation, GovernanceQuery},
    identity::{BulkMutation, IdentityMutation, IdentityQuery},
    infrastructure::InfrastructureMutation,
    item::ItemMutation,
    listening::{Deliveries, Told},
    meter::{Introspection, Meter, Metered},
    node::{Node, NodeQuery},
    quota::QuotaMutation,
    registry::{ItemQuery, RegistryQuery},
    session::SessionMutation,
    sharing::Operations,
    sign_off::{SignOffMutation, SignOffQuery},
    source::SourceQuery,
    subscription::Subscription,
    sync::SyncMutation,
    template::TemplateQuery,
    tenant::{TenantMutation, TenantQuery},
    timeline::TimelineQuery,
    trusted::{TrustedDocument, TrustedDocumentError},
    types::Types,
    watch::Watched,
};
use crate::{
    app::{App, Budgets, Call, Exported, Failed, Figures, Left},
    domain::access::{Denied, Viewer},
};
use async_graphql::{MergedObject, Response, SDLExportOptions, Schema, futures_util::stream::BoxStream};
use std::{net::IpAddr, sync::Arc};

/// Reading.
#[derive(Default, MergedObject)]
pub(super) struct Query(
    NodeQuery,
    TemplateQuery,
    ItemQuery,
    RegistryQuery,
    SourceQuery,
    GovernanceQuery,
    SignOffQuery,
    IdentityQuery,
    AccessQuery,
    ExplanationQuery,
    MatrixQuery,
    ApiKeyQuery,
    TenantQuery,
    TimelineQuery,
);

/// Changing: each field is one command, durable before it answers.
#[derive(Default, MergedObject)]
pub(super) struct Mutation(
    ItemMutation,
    SyncMutation,
    GovernanceMutation,
    SignOffMutation,
    InfrastructureMutation,
    DeploymentMutation,
    SessionMutation,
    IdentityMutation,
    BulkMutation,
    AccessMutation,
    ApiKeyMutation,
    TenantMutation,
    QuotaMutation,
);

pub(super) type Root = Schema<Query, Mutation, Subscription>;

pub(super) fn root() -> async_graphql::SchemaBuilder<Query, Mutation, Subscription> {
    Schema::build(Query::default(), Mutation::default(), Subscription).register_output_type::<Node>()
}

/// The schema as text, sorted, as `schema.graphql` holds it.
pub fn sdl() -> String {
    let options = SDLExportOptions::new().sorted_fields().sorted_arguments().sorted_enum_items().include_specified_by();
    root().finish().sdl_with_options(options)
}

/// What whoever runs the server decides about its API.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How much may be asked in a minute.
    pub budgets: Budgets,
    /// To whom the schema is described.
    pub introspection: Introspection,
    /// The documents that he trusts: they are asked by their ids.
    pub documents: Vec<TrustedDocument>,
    /// Whether only those are executed.
    pub only_trusted: bool,
}

/// Why there is no API.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The table of costs does not fit the schema.
    #[error(transparent)]
    Cost(#[from] UnknownField),
    /// The schema's own text cannot be read.
    #[error("the schema cannot be read: {0}")]
    Schema(#[from] async_graphql::parser::Error),
    /// A trusted document cannot be executed.
    #[error(transparent)]
    Documents(#[from] TrustedDocumentError),
}

/// The API over one application. Clones share it.
#[derive(Clone)]
pub struct Api {
    pub(super) engine: Arc<Engine>,
    pub(super) operations: Arc<Operations>,
    pub(super) deliveries: Arc<Deliveries>,
    pub(super) app: App,
    pub(super) meter: Arc<Meter>,
}

/// What a request came to.
pub struct Answered {
    /// The answer.
    pub response: Response,
    /// Whether a credential was presented that is not valid, and something was asked that needs one.
    pub unauthenticated: bool,
    /// What is left of the caller's budgets.
    pub left: Vec<Left>,
}

/// An operation that was begun, or refused as a whole.
pub enum Begun {
    /// Its answers.
    Stream {
        /// One of a query or mutation, one for each event of a subscription; the first says what it costs.
        answers: BoxStream<'static, Arc<Told>>,
        /// What is left of the caller's budgets.
        left: Vec<Left>,
    },
    /// Nothing of it was done.
    Refused(Box<Answered>),
}

impl Api {
    /// The API over an application.
    ///
    /// # Errors
    /// Where a trusted document is not valid, or the table of costs does not fit the schema.
    pub fn new(app: App, options: &Options) -> Result<Self, ApiError> {
        let types = Types::of_schema()?;
        let meter = Arc::new(Meter::new(&app, types, options.budgets, options.introspection)?);
        let engine = Arc::new(Engine::new(&app, types, &options.documents, options.only_trusted)?);
        Ok(Self { engine, operations: Arc::default(), deliveries: Arc::default(), app, meter })
    }

    /// How much subscribers were told.
    pub fn deliveries(&self) -> &Deliveries {
        &self.deliveries
    }

    /// Looks at the document of what is asked, as far as it can be refused before it is validated.
    ///
    /// # Errors
    /// Where it does not parse, costs too much to look at, is named and not known, or is not trusted where only those
    /// are executed.
    pub fn admit(&self, asked: Asked) -> Result<Admitted, Refused> {
        self.engine.admit(asked)
    }

    /// How many documents are kept that were asked before.
    pub fn documents_kept(&self) -> usize {
        self.engine.documents_kept()
    }

    /// Whether the server can no longer write: an operator has to restart it.
    pub fn is_stopped(&self) -> bool {
        self.app.store().is_stopped()
    }

    /// Whether the index failed and is being made anew: what is not in memory waits for it.
    pub fn is_rebuilding(&self) -> bool {
        self.app.store().is_rebuilding()
    }

    /// What whoever runs the server wants to know of the floors below.
    pub fn figures(&self) -> Figures {
        self.app.figures()
    }

    /// The public keys of which access tokens are good now, as a JWK set in JSON.
    pub fn public_keys(&self) -> Option<String> {
        self.app.public_keys()
    }

    /// Answers one request of whoever presents this credential, or of nobody, from this network address; a caller in
    /// the same process has none.
    pub async fn request(&self, credential: Option<&str>, address: Option<IpAddr>, admitted: Admitted) -> Answered {
        let viewer = self.viewer(credential).await;
        let mut metered = self.meter.meter(&self.app, &viewer, address, &admitted);
        let mut watched = Watched::begin(&admitted, &viewer, address, metered.cost);
        let (invalid, stranger) = (credential.is_some() && is_nobody(&viewer), viewer.is_err());
        let response = match metered.refused.take() {
            Some(refused) => refused,
            None => match self.engine.invalid(&admitted).await {
                Some(invalid) => invalid,
                None => self.engine.execute(&admitted, Asker::new(viewer, address)).await,
            },
        };
        let response = worded(response, stranger);
        watched.saw(&response);
        answered(response, invalid, metered)
    }

    /// Counts a request that never became an operation against the budget of whoever sent it; where that is spent,
    /// answers so.
    pub async fn refused(&self, credential: Option<&str>, address: Option<IpAddr>) -> (Vec<Left>, Option<Response>) {
        self.refused_by(&self.viewer(credential).await, address)
    }

    /// As [`Api::refused`], of whom it is known who it is.
    pub(super) fn refused_by(
        &self,
        viewer: &Result<Arc<Viewer>, Failed>,
        address: Option<IpAddr>,
    ) -> (Vec<Left>, Option<Response>) {
        let metered = self.meter.meter_refused(viewer, address);
        (metered.left, metered.refused)
    }

    /// Begins to export an organisation for whoever presents this credential.
    ///
    /// # Errors
    /// As [`App::export_tenant`]; `Unauthenticated`.
    pub async fn export(&self, credential: Option<&str>, slug: String) -> Result<Exported, Failed> {
        let call = Call { viewer: self.viewer(credential).await?, idempotency: None };
        self.app.export_tenant(&call, slug).await
    }

    async fn viewer(&self, credential: Option<&str>) -> Result<Arc<Viewer>, Failed> {
        match credential {
            None => Err(Denied::Unauthenticated.into()),
            Some(credential) => self.app.authenticate(credential).await,
        }
    }
}

/// Whether a credential that was looked at is not valid.
fn is_nobody(viewer: &Result<Arc<Viewer>, Failed>) -> bool {
    matches!(viewer, Err(Failed::Denied(Denied::Unauthenticated)))
}

/// The answer in our own words, and for a stranger without names of the schema that he did not write.
pub(super) fn worded(response: Response, stranger: bool) -> Response {
    let response = coded(response);
    if stranger { without_suggestions(response) } else { response }
}

pub(super) fn answered(response: Response, invalid: bool, metered: Metered) -> Answered {
    let unauthenticated = invalid && response.errors.iter().any(is_unauthenticated);
    Answered { response: metered.said_in(response), unauthenticated, left: metered.left }
}
