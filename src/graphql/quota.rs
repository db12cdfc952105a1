//! How much an organisation may have and ask, and what it uses of that.
//! Never shows anything of what it has but how much.

use super::{
    call::{app, mutate},
    error::failed,
    scalar::Bytes,
    tenant::TenantEntryPayload,
};
use crate::domain::{id::TenantId, tenant};
use async_graphql::{Context, InputObject, Object, Result, SimpleObject};

/// A quota and what is used of it.
#[derive(SimpleObject)]
pub(super) struct Allowance {
    /// How much is allowed; null for any.
    limit: Option<u64>,
    /// How much is used now.
    used: u64,
}

/// A quota of bytes and what is used of it.
#[derive(SimpleObject)]
pub(super) struct BytesAllowance {
    /// How much is allowed; null for any.
    limit: Option<Bytes>,
    /// How much is used now.
    used: Bytes,
}

/// How much an organisation may have and ask.
pub(super) struct TenantQuota {
    pub(super) tenant: TenantId,
    pub(super) quota: tenant::Quota,
    /// Whether it can still be read.
    pub(super) readable: bool,
}

/// How much an organisation may have and ask, and what of it is used now. What is used up refuses what would take
/// more (`QUOTA_EXCEEDED`); reading, deleting and ending go on.
#[Object]
impl TenantQuota {
    /// Governed items, archived ones included, deleted ones not. Null where the organisation was erased.
    async fn items(&self, ctx: &Context<'_>) -> Option<Result<Allowance>> {
        if !self.readable {
            return None;
        }
        let used = app(ctx).items_of(self.tenant).await.map_err(failed);
        Some(used.map(|used| Allowance { limit: self.quota.items, used }))
    }

    /// Bytes of the journal, compressed and encrypted, history included. `countersign compact` makes room.
    async fn bytes(&self, ctx: &Context<'_>) -> BytesAllowance {
        let used = Bytes(app(ctx).used(self.tenant).bytes);
        BytesAllowance { limit: self.quota.bytes.map(Bytes), used }
    }

    /// Connections that listen: WebSockets and event streams.
    async fn sockets(&self, ctx: &Context<'_>) -> Allowance {
        Allowance { limit: self.quota.sockets, used: app(ctx).used(self.tenant).sockets }
    }

    /// Operations in each minute of the clock; past that they are refused (`RATE_LIMITED`) until the next begins.
    async fn requests_per_minute(&self, ctx: &Context<'_>) -> Allowance {
        Allowance { limit: self.quota.requests_per_minute, used: app(ctx).used(self.tenant).requests }
    }
}

/// How much an organisation may have and ask; what is not named, or null, is unlimited.
#[derive(InputObject)]
pub(super) struct TenantQuotaInput {
    /// Governed items, archived ones included, deleted ones not.
    items: Option<u32>,
    /// Bytes of the journal, history included.
    bytes: Option<Bytes>,
    /// Connections that listen, at a time: WebSockets and event streams.
    sockets: Option<u32>,
    /// Operations in each minute of the clock; at least 1.
    requests_per_minute: Option<u32>,
}

/// Which organisation, and its new quota.
#[derive(InputObject)]
pub(super) struct SetTenantQuotaInput {
    /// Its short name.
    slug: String,
    /// The revision of its entry that you have read.
    expected_revision: u64,
    /// The whole quota: what is not named is unlimited from now on.
    quota: TenantQuotaInput,
    /// Repeats of the command under this key answer the same and do nothing.
    idempotency_key: Option<String>,
}

/// Mutations of quotas.
#[derive(Default)]
pub(super) struct QuotaMutation;

#[Object]
impl QuotaMutation {
    /// Sets how much an organisation may have and ask. What it has beyond that stays; what would take more is refused
    /// from the answer on. Needs the platform operator.
    async fn set_tenant_quota(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which organisation, and its new quota.")] input: SetTenantQuotaInput,
    ) -> Option<Result<TenantEntryPayload>> {
        let SetTenantQuotaInput { slug, expected_revision, quota, idempotency_key } = input;
        let quota = tenant::Quota {
            items: quota.items.map(u64::from),
            bytes: quota.bytes.map(|bytes| bytes.0),
            sockets: quota.sockets.map(u64::from),
            requests_per_minute: quota.requests_per_minute.map(u64::from),
        };
        let set = async |app: crate::app::App, call| app.set_tenant_quota(&call, slug, expected_revision, quota).await;
        Some(mutate(ctx, idempotency_key, set).await)
    }
}
