//! The schema from its parts, and its execution for one caller.
//! Never executes for a caller whose credential was not verified by `app`.

use super::{
    access::{AccessQuery, explanation::ExplanationQuery, matrix::MatrixQuery, mutation::AccessMutation},
    api_key::{ApiKeyMutation, ApiKeyQuery},
    call::Asker,
    deployment::DeploymentMutation,
    error::{coded, is_unauthenticated, too_many_requests},
    governance::{GovernanceMutation, GovernanceQuery},
    identity::{BulkMutation, IdentityMutation, IdentityQuery},
    infrastructure::InfrastructureMutation,
    item::ItemMutation,
    node::{Node, NodeQuery},
    quota::QuotaMutation,
    registry::{ItemQuery, RegistryQuery},
    session::SessionMutation,
    sign_off::{SignOffMutation, SignOffQuery},
    source::SourceQuery,
    subscription::Subscription,
    sync::SyncMutation,
    template::TemplateQuery,
    tenant::{TenantMutation, TenantQuery},
    timeline::TimelineQuery,
};
use crate::{
    app::{App, Call, Exported, Failed, OpenSocket},
    domain::access::{Denied, Viewer},
};
use async_graphql::{
    Data, Executor, MergedObject, Request, Response, SDLExportOptions, Schema,
    futures_util::stream::{self, BoxStream, StreamExt},
};
use std::{net::IpAddr, sync::Arc, time::Duration};

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

type Root = Schema<Query, Mutation, Subscription>;

fn root() -> async_graphql::SchemaBuilder<Query, Mutation, Subscription> {
    Schema::build(Query::default(), Mutation::default(), Subscription).register_output_type::<Node>()
}

/// The schema as text, sorted, as `schema.graphql` holds it.
pub fn sdl() -> String {
    let options = SDLExportOptions::new().sorted_fields().sorted_arguments().sorted_enum_items().include_specified_by();
    root().finish().sdl_with_options(options)
}

/// The API over one application. Clones share it.
#[derive(Clone)]
pub struct Api {
    schema: Root,
    app: App,
}

/// What a request came to.
pub struct Answered {
    /// The answer.
    pub response: Response,
    /// Whether a credential was presented that is not valid, and something was asked that needs one.
    pub unauthenticated: bool,
}

/// The API for one socket, whose credential came with its first message. The last clone that is dropped closes it.
#[derive(Clone)]
pub struct ApiConnection {
    /// Counted until it is closed; a stranger's is not.
    _open: Option<Arc<OpenSocket>>,
    api: Api,
    credential: Option<Arc<str>>,
    viewer: Option<Arc<Viewer>>,
    address: Option<IpAddr>,
}

impl Api {
    /// The API over an application.
    pub fn new(app: App) -> Self {
        Self { schema: root().data(app.clone()).finish(), app }
    }

    /// Whether the server can no longer write: an operator has to restart it.
    pub fn is_stopped(&self) -> bool {
        self.app.store().is_stopped()
    }

    /// Whether the index failed and is being made anew: what is not in memory waits for it.
    pub fn is_rebuilding(&self) -> bool {
        self.app.store().is_rebuilding()
    }

    /// The public keys of which access tokens are good now, as a JWK set in JSON.
    pub fn public_keys(&self) -> Option<String> {
        self.app.public_keys()
    }

    /// Answers one request of whoever presents this credential, or of nobody, from this network address; a caller in
    /// the same process has none.
    pub async fn request(&self, credential: Option<&str>, address: Option<IpAddr>, request: Request) -> Answered {
        let viewer = self.viewer(credential).await;
        if let Err(wait) = self.counted(&viewer) {
            return Answered { response: too_many_requests(wait), unauthenticated: false };
        }
        let invalid = credential.is_some() && matches!(viewer, Err(Failed::Denied(Denied::Unauthenticated)));
        let response = coded(self.schema.execute(request.data(Asker::new(viewer, address))).await);
        let unauthenticated = invalid && response.errors.iter().any(is_unauthenticated);
        Answered { response, unauthenticated }
    }

    /// The API for a socket that presented this credential.
    ///
    /// # Errors
    /// `Unauthenticated` when a credential was presented that is not valid; `QUOTA_EXCEEDED` when the organisation has
    /// as many open as it may; a fault when it could not be checked.
    pub async fn connection(&self, credential: Option<&str>, address: Option<IpAddr>) -> Result<ApiConnection, Failed> {
        let viewer = match credential {
            Some(_) => Some(self.viewer(credential).await?),
            None => None,
        };
        let open = viewer.as_ref().map(|viewer| self.app.open_socket(viewer)).transpose()?.map(Arc::new);
        Ok(ApiConnection { _open: open, api: self.clone(), credential: credential.map(Into::into), viewer, address })
    }

    /// Begins to export an organisation for whoever presents this credential.
    ///
    /// # Errors
    /// As [`App::export_tenant`]; `Unauthenticated`.
    pub async fn export(&self, credential: Option<&str>, slug: String) -> Result<Exported, Failed> {
        let call = Call { viewer: self.viewer(credential).await?, idempotency: None };
        self.app.export_tenant(&call, slug).await
    }

    /// Counts an operation against the quota of whoever asks it; nobody has none.
    fn counted(&self, viewer: &Result<Arc<Viewer>, Failed>) -> Result<(), Duration> {
        viewer.as_ref().map_or(Ok(()), |viewer| self.app.count_request(viewer))
    }

    async fn viewer(&self, credential: Option<&str>) -> Result<Arc<Viewer>, Failed> {
        match credential {
            None => Err(Denied::Unauthenticated.into()),
            Some(credential) => self.app.authenticate(credential).await,
        }
    }
}

impl ApiConnection {
    /// Waits until what the socket was opened with no longer stands; for ever where it was opened with nothing.
    pub async fn ended(&self) {
        match (&self.credential, &self.viewer) {
            (Some(credential), Some(viewer)) => self.api.app.ended(credential, viewer).await,
            _ => std::future::pending().await,
        }
    }
}

impl Executor for ApiConnection {
    async fn execute(&self, request: Request) -> Response {
        self.api.request(self.credential.as_deref(), self.address, request).await.response
    }

    fn execute_stream(&self, request: Request, session: Option<Arc<Data>>) -> BoxStream<'static, Response> {
        let this = self.clone();
        // Every operation asks anew whether the credential still stands.
        let stream = stream::once(async move {
            let viewer = this.api.viewer(this.credential.as_deref()).await;
            if let Err(wait) = this.api.counted(&viewer) {
                return stream::once(std::future::ready(too_many_requests(wait))).boxed();
            }
            this.api
                .schema
                .execute_stream_with_session_data(
                    request.data(Asker::new(viewer, this.address)),
                    session.unwrap_or_default(),
                )
                .boxed()
        });
        stream.flatten().map(coded).boxed()
    }
}
