//! The organisation, who asks in it, and the platform operator's making of new ones.
//! Never shows anything of another organisation but its entry in the platform's directory.

use super::{
    api_key::ApiKey,
    call::{Payload, mutate, payload, snapshot},
    error::{UserError, denied},
    id::{EventCursor, global},
    identity::{Group, User},
    scalar::DateTime,
};
use crate::{
    app::{Committed, MadeTenant, Seen, fixture, identity as people},
    domain::{
        record::Kind,
        tenant::{self, SettingsChange},
        text::{Name, Slug},
    },
};
use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};
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
    /// The key that asks; null for a person, and where its user may not see keys.
    api_key: Option<ApiKey>,
    /// The groups that the person is in, oldest first.
    groups: Vec<Group>,
}

/// Queries about oneself and one's organisation.
#[derive(Default)]
pub(super) struct TenantQuery;

#[Object]
impl TenantQuery {
    /// Who asks.
    async fn viewer(&self, ctx: &Context<'_>) -> Result<Viewer> {
        let snapshot = snapshot(ctx).await?;
        let people::Me { tenant, user, key, groups } = people::me(snapshot).map_err(denied)?;
        Ok(Viewer {
            tenant: Tenant(tenant),
            user: user.map(User),
            api_key: key.and_then(|key| Seen::find(snapshot, key.id).ok()).map(ApiKey),
            groups: groups.into_iter().map(Group).collect(),
        })
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
}

payload! {
    /// What a change of an organisation answers.
    TenantPayload {
        /// The organisation as it is now; null when the change was refused.
        tenant: Tenant
    } from Arc<tenant::Tenant>, |committed| Seen::after(committed).ok().map(Tenant)
}

/// An organisation in the platform's directory: all that the platform operator sees of it.
#[derive(SimpleObject)]
pub(super) struct TenantEntry {
    /// Its short name.
    slug: String,
    /// What people call it.
    name: String,
    /// When it was entered.
    created_at: DateTime,
}

/// What making an organisation answers.
#[derive(SimpleObject)]
pub(super) struct CreateTenantPayload {
    /// The organisation's entry; null when it was refused.
    tenant: Option<TenantEntry>,
    /// The path of the one-time link with which its administrator sets a password. It is shown this once.
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
        let tenant = TenantEntry {
            slug: entry.slug.to_string(),
            name: entry.name.to_string(),
            created_at: entry.created_at.into(),
        };
        let password_path = Some(format!("/set-password?token={link_token}"));
        Self { tenant: Some(tenant), password_path, user_errors: vec![], cursor: Some(cursor) }
    }

    fn refused(user_errors: Vec<UserError>) -> Self {
        Self { tenant: None, password_path: None, user_errors, cursor: None }
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

    /// Makes an organisation with the Standard template and one administrator. Needs the platform operator, who
    /// sees nothing of it afterwards. Not repeatable under a key: its short name is one.
    async fn create_tenant(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new organisation.")] input: CreateTenantInput,
    ) -> Option<Result<CreateTenantPayload>> {
        let operation = mutate(ctx, None, async |app, call| {
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
