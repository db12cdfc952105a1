//! The platform's own tenant, which is its directory of tenants, and the making of new ones.
//! Never shows the platform operator anything of a tenant but its entry.

use super::{
    App, Call, Committed, Failed, Fault, Page, PageRequest, RefusedPage, Seen,
    fixture::{Administrator, FixtureError, Makers, Organisation, standard_founding},
};
use crate::{
    domain::{
        access::{Denied, Principal, SystemActor, Viewer},
        action::{CreateTenant, EraseTenant, FollowDirectory, Need, ResumeTenant, SuspendTenant},
        founding::{self, Founding},
        id::{TenantId, UserId},
        identity::{Standing, User, parse_email},
        receipt,
        refusal::Refusal,
        tenant::{Settings, SettingsChange, Tenant, TenantEntry, TenantStatus},
        text::{Name, Slug},
    },
    store::{Snapshot, Turn},
};
use std::sync::Arc;
use uuid::Uuid;

/// The platform's own tenant. The nil tenant is the index's.
pub const PLATFORM: TenantId = TenantId::from_uuid(Uuid::from_u128(1));

/// What the platform's own organisation is called at sign-in.
pub const PLATFORM_SLUG: &str = "platform";

/// The address of the first platform operator, who sets a password with a link like everyone else.
pub const OPERATOR_EMAIL: &str = "operator@platform";

/// A new organisation, and with what its administrator sets a password.
pub struct MadeTenant {
    /// Its entry in the platform's directory.
    pub entry: Arc<TenantEntry>,
    /// The token of the password link, which is shown once; none where somebody of the organisation has a password.
    pub link_token: Option<String>,
}

/// The server itself, in a tenant: for what is done from the command line.
pub fn founder(tenant: TenantId) -> Arc<Viewer> {
    Arc::new(Viewer::verified(tenant, Principal::System(SystemActor::Founding)))
}

impl App {
    /// Founds the platform's own tenant; once, whenever it is called.
    pub(super) async fn open_platform(&self) -> Result<(), Failed> {
        let viewer = founder(PLATFORM);
        if self.store.of(&viewer).read().await?.view().tenant().is_ok() {
            return Ok(());
        }
        let (organisation, operator) = (Name::parse("name", "Platform")?, Name::parse("name", "Platform operator")?);
        let founded = self.write_unkeyed(&viewer, move |turn: &mut Turn<'_>| {
            let founding = platform(turn, organisation, operator);
            turn.stage(founding::found(turn.view(), founding)?)
        });
        founded.await?;
        Ok(())
    }

    /// Makes an organisation: its own first record, then its entry in the platform's directory. Asking again with
    /// the same founding finishes what was begun.
    ///
    /// # Errors
    /// `Forbidden` for everyone but the platform operator and the server itself; `ALREADY_EXISTS` for a short name
    /// that is taken; otherwise what does not fit in the founding, with its path.
    pub async fn create_tenant(&self, call: &Call, founding: Founding) -> Result<Committed<Arc<TenantEntry>>, Failed> {
        operates(call)?;
        let entry = TenantEntry::new(founding.tenant.clone());
        let platform = self.snapshot(&call.viewer).await?;
        // Asked before anything is done, so that a taken name leaves nothing behind; and by the rule once more.
        platform.view().tenant()?.authorize::<CreateTenant>()?.enter(entry.clone())?;
        self.found(founding).await?;
        self.enter_tenant(call, entry).await
    }

    /// Enters a tenant that has its first record in the platform's directory.
    pub(super) async fn enter_tenant(
        &self,
        call: &Call,
        entry: TenantEntry,
    ) -> Result<Committed<Arc<TenantEntry>>, Failed> {
        let entered = self.write(call, move |turn| {
            let platform = turn.view().tenant()?.authorize::<CreateTenant>()?;
            turn.stage(platform.enter(entry)?)
        });
        entered.await
    }

    /// Makes an organisation with the Standard, and a link with which its administrator sets a password. Whoever lost
    /// the answer and asks again under the same key finds the organisation, and another link while nobody in it has a
    /// password: without one it could never be entered.
    ///
    /// # Errors
    /// As [`App::create_tenant`]; `EMAIL_NOT_ALLOWED`.
    pub async fn create_standard_tenant(
        &self,
        call: &Call,
        organisation: Organisation,
        administrator: Administrator,
    ) -> Result<Committed<MadeTenant>, Failed> {
        operates(call)?;
        // One at a time: the same command twice at once makes one organisation.
        let _one = self.inner.directing.lock().await;
        let entered = match self.recalled(call).await? {
            Some(entered) => entered,
            None => self.create_standard(call, organisation, administrator).await?,
        };
        let entry = &entered.outcome;
        let link_token = if entry.status == TenantStatus::Erased { None } else { self.first_link_of(entry.id).await? };
        Ok(entered.map(|entry| MadeTenant { entry, link_token }))
    }

    async fn create_standard(
        &self,
        call: &Call,
        organisation: Organisation,
        administrator: Administrator,
    ) -> Result<Committed<Arc<TenantEntry>>, Failed> {
        let email = parse_email("administratorEmail", &administrator.email)?;
        let ids = Arc::clone(self.store.ids());
        // A new organisation has no keys, so that no secret is asked for.
        let makers = Makers { ids: &*ids, secret: &|| [0; 32], now: self.store.clock().now() };
        let resolved = standard_founding(organisation, Administrator { email, ..administrator }, makers);
        self.create_tenant(call, resolved.map_err(|error| unfit(&error))?.founding).await
    }

    /// What a command on the directory answered that was done before under the same key.
    async fn recalled(&self, call: &Call) -> Result<Option<Committed<Arc<TenantEntry>>>, Failed> {
        let Some(asked) = &call.idempotency else { return Ok(None) };
        let snapshot = self.snapshot(&call.viewer).await?;
        let known = receipt::recall(snapshot.view(), asked, self.store.clock().now())?;
        let number = snapshot.number();
        Ok(known.map(|outcome| Committed { outcome, snapshot, number }))
    }

    /// Founds a tenant in its own history, if that has not been done.
    async fn found(&self, founding: Founding) -> Result<(), Failed> {
        let viewer = founder(founding.tenant.id);
        let slug = founding.tenant.slug.clone();
        let begun = self.store.of(&viewer).read().await?;
        if let Ok(tenant) = begun.view().readable::<Tenant>(founding.tenant.id) {
            let same = tenant.slug == slug;
            let taken = || Refusal::AlreadyExists { what: "tenant", name: slug.to_string() };
            return if same { Ok(()) } else { Err(taken().into()) };
        }
        let founded =
            self.write_unkeyed(&viewer, move |turn: &mut Turn<'_>| turn.stage(founding::found(turn.view(), founding)?));
        founded.await?;
        Ok(())
    }

    /// Stops serving an organisation: from its own next commit on, nobody in it is let in, and nothing is told to
    /// whoever listens. Everything is kept.
    ///
    /// # Errors
    /// `Forbidden` for everyone but the platform operator; `NotFound`; `TENANT_ERASED`.
    pub async fn suspend_tenant(&self, call: &Call, slug: String) -> Result<Committed<Arc<TenantEntry>>, Failed> {
        operates(call)?;
        let _one = self.inner.directing.lock().await;
        let suspended = self.write(call, move |turn| {
            let entry = turn.view().tenant_entry_called(&slug)?.authorize()?;
            turn.stage(entry.suspend()?)
        });
        let suspended = suspended.await?;
        self.follow_directory(suspended.outcome.id, true).await?;
        Ok(suspended)
    }

    /// Serves an organisation again. Its people's sessions go on.
    ///
    /// # Errors
    /// As [`App::suspend_tenant`].
    pub async fn resume_tenant(&self, call: &Call, slug: String) -> Result<Committed<Arc<TenantEntry>>, Failed> {
        operates(call)?;
        let _one = self.inner.directing.lock().await;
        if let Some(done) = self.recalled(call).await? {
            return Ok(done);
        }
        let platform = self.snapshot(&call.viewer).await?;
        let entry = platform.view().tenant_entry_called(&slug)?.authorize::<ResumeTenant>()?;
        let tenant = entry.id;
        // Asked before anything is done, and by the rule once more.
        entry.resume()?;
        // The organisation goes first: should the directory not be reached, the next start suspends it again.
        self.follow_directory(tenant, false).await?;
        let resumed = self.write(call, move |turn| {
            let entry = turn.view().tenant_entry_called(&slug)?.authorize()?;
            turn.stage(entry.resume()?)
        });
        match resumed.await {
            Ok(resumed) => Ok(resumed),
            Err(failed) => {
                // What the directory does not say must not stay until then.
                self.follow_directory(tenant, true).await?;
                Err(failed)
            }
        }
    }

    /// Erases a suspended organisation: the directory says so first, then its key is destroyed.
    ///
    /// # Errors
    /// As [`App::suspend_tenant`]; `TENANT_NOT_SUSPENDED`. When the key file cannot be removed, the command must be
    /// repeated, or the server restarted, which does the same.
    pub async fn erase_tenant(&self, call: &Call, slug: String) -> Result<Committed<Arc<TenantEntry>>, Failed> {
        operates(call)?;
        let _one = self.inner.directing.lock().await;
        let erased = self.write(call, move |turn| {
            let entry = turn.view().tenant_entry_called(&slug)?.authorize()?;
            turn.stage(entry.erase()?)
        });
        let erased = erased.await?;
        self.destroy_key(erased.outcome.id).await?;
        Ok(erased)
    }

    /// Finishes what a crash interrupted between the directory's commit and the tenant's: both are repeatable. A
    /// directory that was restored from before an erasure is told of it.
    pub(super) async fn follow_directories(&self) -> Result<(), Failed> {
        let platform = self.store.of(&founder(PLATFORM)).read().await?;
        let entries: Vec<Arc<TenantEntry>> = platform.view().all().cloned().collect();
        for entry in entries {
            self.allow(&entry);
            let erased = self.store.keys().is_erased(entry.id);
            match entry.status {
                TenantStatus::Active | TenantStatus::Suspended if erased => {
                    self.enter_erasure(entry.slug.clone()).await?;
                }
                TenantStatus::Active => {}
                TenantStatus::Suspended => self.follow_directory(entry.id, true).await?,
                TenantStatus::Erased => self.destroy_key(entry.id).await?,
            }
        }
        Ok(())
    }

    /// Takes over into the directory that a tenant was erased, by the steps that lead there.
    async fn enter_erasure(&self, slug: Slug) -> Result<(), Failed> {
        let server = founder(PLATFORM);
        let entered = self.write_unkeyed(&server, move |turn: &mut Turn<'_>| {
            let entry = turn.view().tenant_entry_called(slug.as_str())?.authorize::<SuspendTenant>()?;
            turn.stage(entry.suspend()?)?;
            let entry = turn.view().tenant_entry_called(slug.as_str())?.authorize::<EraseTenant>()?;
            turn.stage(entry.erase()?)
        });
        entered.await?;
        Ok(())
    }

    async fn follow_directory(&self, tenant: TenantId, suspended: bool) -> Result<(), Failed> {
        let server = founder(tenant);
        let followed = self.write_unkeyed(&server, move |turn: &mut Turn<'_>| {
            let tenant = turn.view().tenant()?.authorize::<FollowDirectory>()?;
            turn.stage(tenant.follow_directory(suspended))
        });
        followed.await?;
        Ok(())
    }

    async fn destroy_key(&self, tenant: TenantId) -> Result<(), Failed> {
        let store = self.store.clone();
        let destroyed = tokio::task::spawn_blocking(move || store.erase(tenant)).await;
        let destroyed = destroyed.map_err(|_| Fault::Panicked)?;
        destroyed.map_err(|error| {
            tracing::error!(%tenant, %error, "the key of an erased organisation could not be destroyed");
            Fault::Refused.into()
        })
    }

    /// Changes the settings of the caller's organisation.
    ///
    /// # Errors
    /// As the rule: `REVISION_CONFLICT`.
    pub async fn update_tenant_settings(
        &self,
        call: &Call,
        change: SettingsChange,
    ) -> Result<Committed<Arc<Tenant>>, Failed> {
        self.write(call, move |turn| {
            let tenant = turn.view().tenant()?.authorize()?;
            turn.stage(tenant.update_settings(change)?)
        })
        .await
    }
}

/// A page of the platform's directory, oldest first; empty for whoever does not operate the platform.
///
/// # Errors
/// See [`RefusedPage`].
pub fn tenants(snapshot: &Snapshot, request: &PageRequest) -> Result<Page<Seen<TenantEntry>>, RefusedPage> {
    let rows = Seen::all(snapshot, snapshot.view().all::<TenantEntry>());
    request.by_age(rows.map(|entry| (entry.id.uuid(), entry)))
}

/// Refuses everyone of an organisation: the platform's directory is not theirs to ask.
pub(super) fn operates(call: &Call) -> Result<(), Failed> {
    if call.viewer.tenant() == PLATFORM { Ok(()) } else { Err(Denied::Forbidden(Need::Operate.right()).into()) }
}

/// What the platform begins with: itself, and one operator without a password.
fn platform(turn: &Turn<'_>, organisation: Name, operator: Name) -> Founding {
    let slug = Slug::new(PLATFORM_SLUG);
    let created_at = turn.now();
    let tenant = Tenant {
        id: PLATFORM,
        revision: 1,
        slug,
        name: organisation,
        settings: Settings::default(),
        created_at,
        suspended: false,
    };
    let operator = User {
        id: UserId::new(turn.ids()),
        revision: 1,
        name: operator,
        email: OPERATOR_EMAIL.to_owned(),
        password_hash: None,
        deleted_at: None,
        standing: Standing::PlatformOperator,
        active: true,
        created_at,
    };
    Founding { users: vec![operator], ..Founding::new(tenant) }
}

/// The Standard ships with the product: what does not fit in it is no caller's fault.
fn unfit(error: &FixtureError) -> Fault {
    tracing::error!(%error, "the Standard cannot be founded");
    Fault::Panicked
}
