//! The organisation, who asks in it, and the platform operator's making of new ones.
//! Never shows anything of another organisation but its entry in the platform's directory.

use super::{
    api_key::ApiKey,
    call::{Payload, app, connection, mutate, page, payload, snapshot, viewer, worded},
    error::{PageError, UserError, denied},
    id::{EventCursor, global},
    identity::{Group, User},
    quota::TenantQuota,
    scalar::DateTime,
    session::{Session, sessions_of},
};
use crate::{
    app::{Committed, MadeTenant, Seen, fixture, identity as people, tenants},
    domain::{
        record::Kind,
        tenant::{self, SettingsChange},
        text::{Name, Slug},
    },
};
use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};
use std::sync::Arc;

/// One organisation.
pub(super) struct Tenant(Seen<tenant::Tenant>);

/// One organisation.
#[Object]
impl Tenant {
    /// The organisation's id.
    async fn id(&self) -> ID {
        global(Kind::Tenant, self.0.id.uuid())
    }

    /// Counts changes; name it when you change the settings.
    async fn revision(&self) -> u64 {
        self.0.revision
    }

    /// Its short name, with which its people sign in.
    async fn slug(&self) -> &str {
        self.0.slug.as_str()
    }

    /// What people call it.
    async fn name(&self) -> &str {
        self.0.name.as_str()
    }

    /// Whether whoever requested feedback or the final approval may not decide.
    async fn requester_may_not_approve(&self) -> bool {
        self.0.settings.requester_may_not_approve
    }

    /// How much it may have and ask, and what it uses; null for everyone but administrators.
    async fn quota(&self, ctx: &Context<'_>) -> Option<TenantQuota> {
        let quota = app(ctx).own_quota(self.0.snapshot())?;
        Some(TenantQuota { tenant: self.0.id, quota, readable: true })
    }

    /// When it was founded.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }
}

/// Who asks, as the organisation knows her now.
#[derive(SimpleObject)]
pub(super) struct Viewer {
    /// The organisation in which everything happens that she asks for.
    tenant: Tenant,
    /// The person, or the person whose rights a key carries; null for the key of a node.
    user: Option<User>,
    /// The administrator who acts as the person; null where she acts herself.
    impersonator: Option<User>,
    /// The key that asks; null for a person, and where its user may not see keys.
    api_key: Option<ApiKey>,
    /// The groups that the person is in, oldest first.
    groups: Vec<Group>,
    /// The person's sessions, oldest first; none for a key.
    sessions: Vec<Session>,
}

/// Queries about oneself and one's organisation.
#[derive(Default)]
pub(super) struct TenantQuery;

#[Object]
impl TenantQuery {
    /// Who asks.
    async fn viewer(&self, ctx: &Context<'_>) -> Result<Viewer> {
        let snapshot = snapshot(ctx).await?;
        let people::Me { tenant, user, impersonator, key, groups } = people::me(snapshot).map_err(denied)?;
        Ok(Viewer {
            tenant: Tenant(tenant),
            sessions: user.as_ref().filter(|_| key.is_none()).map(sessions_of).unwrap_or_default(),
            user: user.map(User),
            impersonator: impersonator.map(User),
            api_key: key.and_then(|key| Seen::find(snapshot, key.id).ok()).map(ApiKey),
            groups: groups.into_iter().map(Group).collect(),
        })
    }

    /// The platform's directory of organisations, oldest first; empty for everyone but the platform operator.
    async fn tenants(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many rows: 0 to 100; 25 where nothing is named.")] first: Option<i32>,
        #[graphql(desc = "Rows after this cursor.")] after: Option<String>,
        #[graphql(desc = "The last so many rows: 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Rows before this cursor.")] before: Option<String>,
    ) -> Result<TenantEntryConnection> {
        let request = page(first, after, last, before)?;
        Ok(tenants(snapshot(ctx).await?, &request).map_err(PageError::from)?.into())
    }

    /// Your organisation.
    async fn tenant(&self, ctx: &Context<'_>) -> Result<Tenant> {
        let snapshot = snapshot(ctx).await?;
        Seen::find(snapshot, snapshot.viewer().tenant()).map(Tenant).map_err(denied)
    }
}

/// What changes of the settings; what is not named stays.
#[derive(InputObject)]
pub(super) struct UpdateTenantSettingsInput {
    /// The revision that you have read.
    expected_revision: u64,
    /// Whether whoever requested feedback or the final approval may not decide.
    requester_may_not_approve: Option<bool>,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

/// A new organisation.
#[derive(InputObject)]
pub(super) struct CreateTenantInput {
    /// Its short name; one organisation has it.
    slug: String,
    /// What people call it.
    name: String,
    /// What people call its first administrator.
    administrator_name: String,
    /// The address of its first administrator.
    administrator_email: String,
    /// Repeats of the command under this key answer the same organisation and make no other.
    idempotency_key: Option<String>,
}

payload! {
    /// What a change of an organisation answers.
    TenantPayload {
        /// The organisation as it is now; null when the change was refused.
        tenant: Tenant
    } from Arc<tenant::Tenant>, |committed| Seen::after(committed).ok().map(Tenant)
}

/// An organisation in the platform's directory.
pub(super) struct TenantEntry(Seen<tenant::TenantEntry>);

/// An organisation in the platform's directory: all that the platform operator sees of it.
#[Object]
impl TenantEntry {
    /// Counts changes of the entry; name it when you set the quota.
    async fn revision(&self) -> u64 {
        self.0.revision
    }

    /// Its short name.
    async fn slug(&self) -> &str {
        self.0.slug.as_str()
    }

    /// What people call it.
    async fn name(&self) -> &str {
        self.0.name.as_str()
    }

    /// How much it may have and ask, and what it uses.
    async fn quota(&self) -> TenantQuota {
        let readable = self.0.status != tenant::TenantStatus::Erased;
        TenantQuota { tenant: self.0.id, quota: self.0.quota, readable }
    }

    /// Whether it is served.
    async fn status(&self) -> TenantStatus {
        self.0.status.into()
    }

    /// When it was entered.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }
}

/// Whether an organisation is served.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "crate::domain::tenant::TenantStatus")]
pub(super) enum TenantStatus {
    /// Everyone in it is served.
    Active,
    /// Nobody is; everything is kept.
    Suspended,
    /// Its key was destroyed: nothing of it can be read any more.
    Erased,
}

connection! {
    /// A page of the platform's directory.
    TenantEntryConnection, TenantEntryEdge of TenantEntry(tenant::TenantEntry)
}

/// Which organisation.
#[derive(InputObject)]
pub(super) struct TenantInput {
    /// Its short name.
    slug: String,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

payload! {
    /// What suspending, resuming, erasing and limiting an organisation answer.
    TenantEntryPayload {
        /// The organisation as it is now; null when the change was refused.
        tenant: TenantEntry
    } from Arc<tenant::TenantEntry>, |committed| Seen::after(committed).ok().map(TenantEntry)
}

/// What making an organisation answers.
#[derive(SimpleObject)]
pub(super) struct CreateTenantPayload {
    /// The organisation's entry; null when it was refused.
    tenant: Option<TenantEntry>,
    /// The path of the one-time link with which its administrator sets a password. It is shown this once; a repeat of
    /// the command makes another one, or none where somebody of the organisation has a password.
    password_path: Option<String>,
    /// The rules that the request breaks; empty when it was done.
    user_errors: Vec<UserError>,
    /// The position of the change in the platform's event log.
    cursor: Option<EventCursor>,
}

impl Payload for CreateTenantPayload {
    type Outcome = MadeTenant;

    fn done(committed: Committed<MadeTenant>, cursor: EventCursor) -> Self {
        let MadeTenant { entry, link_token } = committed.outcome;
        let tenant = Seen::find(&committed.snapshot, entry.id).ok().map(TenantEntry);
        let password_path = link_token.map(|token| format!("/set-password?token={token}"));
        Self { tenant, password_path, user_errors: vec![], cursor: Some(cursor) }
    }

    fn refused(user_errors: Vec<UserError>) -> Self {
        Self { tenant: None, password_path: None, user_errors, cursor: None }
    }
}

/// What changing the key that signs access tokens answers.
#[derive(SimpleObject)]
pub(super) struct RotateSigningKeyPayload {
    /// The new key's name, as tokens carry it; null when it was refused.
    kid: Option<String>,
    /// The rules that the request breaks; empty when it was done.
    user_errors: Vec<UserError>,
    /// The position of the change in the platform's event log.
    cursor: Option<EventCursor>,
}

impl Payload for RotateSigningKeyPayload {
    type Outcome = String;

    fn done(committed: Committed<String>, cursor: EventCursor) -> Self {
        Self { kid: Some(committed.outcome), user_errors: vec![], cursor: Some(cursor) }
    }

    fn refused(user_errors: Vec<UserError>) -> Self {
        Self { kid: None, user_errors, cursor: None }
    }
}

/// Mutations of organisations.
#[derive(Default)]
pub(super) struct TenantMutation;

#[Object]
impl TenantMutation {
    /// Changes the settings of your organisation. Needs a governance manager.
    async fn update_tenant_settings(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The change.")] input: UpdateTenantSettingsInput,
    ) -> Option<Result<TenantPayload>> {
        let operation = mutate(ctx, input.idempotency_key, async |app, call| {
            let UpdateTenantSettingsInput { expected_revision, requester_may_not_approve, .. } = input;
            let change = SettingsChange { expected_revision, requester_may_not_approve };
            app.update_tenant_settings(&call, change).await
        });
        Some(operation.await)
    }

    /// Stops serving an organisation: nobody in it is let in any more, and open subscriptions fall silent. Everything
    /// is kept. Needs the platform operator.
    async fn suspend_tenant(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which organisation.")] input: TenantInput,
    ) -> Option<Result<TenantEntryPayload>> {
        let TenantInput { slug, idempotency_key } = input;
        Some(mutate(ctx, idempotency_key, async |app, call| app.suspend_tenant(&call, slug).await).await)
    }

    /// Serves a suspended organisation again; its people's sessions go on. Needs the platform operator.
    async fn resume_tenant(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which organisation.")] input: TenantInput,
    ) -> Option<Result<TenantEntryPayload>> {
        let TenantInput { slug, idempotency_key } = input;
        Some(mutate(ctx, idempotency_key, async |app, call| app.resume_tenant(&call, slug).await).await)
    }

    /// Erases a suspended organisation for good: its key is destroyed, and with it whatever could be read of it, in
    /// every copy of the journal. The journal still verifies. Needs the platform operator.
    async fn erase_tenant(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which organisation.")] input: TenantInput,
    ) -> Option<Result<TenantEntryPayload>> {
        let TenantInput { slug, idempotency_key } = input;
        Some(mutate(ctx, idempotency_key, async |app, call| app.erase_tenant(&call, slug).await).await)
    }

    /// Has access tokens signed by a new key from now on; those of the old one stay good as long as they would have.
    /// The public keys are at `/.well-known/jwks.json`. Needs the platform operator in person.
    async fn rotate_signing_key(&self, ctx: &Context<'_>) -> Option<Result<RotateSigningKeyPayload>> {
        let done = async {
            let viewer = viewer(ctx)?;
            worded(app(ctx).store().epoch(), app(ctx).rotate_signing_key(&viewer).await)
        };
        Some(done.await)
    }

    /// Makes an organisation with the Standard template and one administrator. Needs the platform operator, who
    /// sees nothing of it afterwards.
    async fn create_tenant(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new organisation.")] input: CreateTenantInput,
    ) -> Option<Result<CreateTenantPayload>> {
        let operation = mutate(ctx, input.idempotency_key, async |app, call| {
            let organisation = fixture::Organisation {
                slug: Slug::parse("slug", &input.slug)?,
                name: Name::parse("name", &input.name)?,
            };
            let administrator = fixture::Administrator {
                name: Name::parse("administratorName", &input.administrator_name)?,
                email: input.administrator_email,
            };
            app.create_standard_tenant(&call, organisation, administrator).await
        });
        Some(operation.await)
    }
}
