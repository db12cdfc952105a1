//! Operations: one function for each thing that a caller can ask for.
//! Never decides by itself: a rule does, on a permission; never speaks GraphQL or HTTP.

pub mod access;
mod access_token;
mod arrival;
mod authorization;
mod bucket;
mod budget;
mod credential;
pub mod demo;
mod deployment;
mod event;
mod explanation;
mod export;
mod figures;
mod first_link;
pub mod fixture;
mod governance;
pub mod identity;
mod infrastructure;
mod item;
mod page;
mod password;
mod quota;
pub mod registry;
mod seen;
mod session;
mod set_password;
mod sign_off;
mod source;
mod standing;
mod tenant;
mod throttle;
mod token;

pub use crate::store::{Committed, Failed, Fault};
pub use arrival::{NotNew, tenant_listed};
pub use authorization::{Authorized, ShownOnType, authorizations};
pub use bucket::place;
pub use budget::{BUDGET_SECONDS, Budget, Budgets, Left, Overdrawn, Purse};
pub use credential::Credential;
pub use event::{
    EventFilter, EventPage, EventsAsked, EventsError, Kinds, Listener, LogPosition, Recorded, Seat, StreamItem,
};
pub use explanation::{Actor, NamedAs, ShownExplanation, ShownGround};
pub use export::Exported;
pub use figures::Figures;
pub use first_link::{FirstLink, NotBegun};
pub use governance::instance_rules;
pub use item::Create;
pub use page::{Cursor, Page, PageRequest, RefusedPage};
pub use password::{PasswordError, Passwords, Verdict};
pub use quota::{OpenSocket, Used};
pub use registry::{GovernanceStatus, ItemFilter, ItemOrder, SourceFilter};
pub use seen::Seen;
pub use session::{NotSignedIn, SignIn, SignedIn};
pub use set_password::MadeLink;
pub use sign_off::{Task, my_review_tasks};
pub use source::source_by_key;
pub use tenant::{MadeTenant, OPERATOR_EMAIL, PLATFORM, PLATFORM_SLUG, founder, tenants};
pub use token::key_credential;

use crate::{
    domain::{
        access::Viewer,
        receipt::{Idempotency, Outcome},
    },
    limits::EXPORTS_MAX,
    store::{Snapshot, Store, Turn},
};
use access_token::{TokenError, Tokens};
use event::Heralds;
use quota::Meters;
use std::sync::Arc;
use throttle::Throttle;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// The application: everything that can be asked, over one store. Clones share it.
#[derive(Clone)]
pub struct App {
    store: Store,
    inner: Arc<Inner>,
}

/// What makes and checks credentials.
struct Inner {
    tokens: Tokens,
    passwords: Passwords,
    throttle: Throttle,
    meters: Meters,
    /// What the gate decided.
    gate: figures::Gate,
    /// Who wakes those that listen.
    heralds: Heralds,
    /// Who exports an organisation holds one.
    exporting: Arc<Semaphore>,
    /// What leads from one refresh token to the next.
    refresh_secret: Zeroizing<Vec<u8>>,
    /// Held while an organisation is made, suspended, resumed or erased: the directory and it are two histories.
    directing: tokio::sync::Mutex<()>,
    /// Held while the key that signs access tokens is changed.
    rotating: tokio::sync::Mutex<()>,
}

/// Why the application cannot begin over an open store.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Access tokens cannot be signed.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Passwords cannot be hashed.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The platform's own tenant cannot be read or founded.
    #[error("the platform's directory of organisations cannot be opened: {0:?}")]
    Platform(Failed),
}

/// Who asks, and under which idempotency key.
#[derive(Clone)]
pub struct Call {
    /// Who asks.
    pub viewer: Arc<Viewer>,
    /// How a repeated command is recognised.
    pub idempotency: Option<Idempotency>,
}

impl App {
    /// The application over an open store: loads the key that signs tokens, and founds the platform's own tenant
    /// at the first start.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(store: Store) -> Result<Self, OpenError> {
        let (tokens, passwords) = (Tokens::open(store.keys())?, Passwords::start()?);
        let first = token::random::<32>().map_err(|_| TokenError::Randomness)?;
        let refresh_secret = store.keys().secret("refresh-tokens", || first.to_vec()).map_err(TokenError::from)?;
        let (throttle, rotating) = (Throttle::new(store.clock()), tokio::sync::Mutex::default());
        let (meters, heralds, exporting) =
            (Meters::default(), Heralds::default(), Arc::new(Semaphore::new(EXPORTS_MAX)));
        let directing = tokio::sync::Mutex::default();
        let inner = Inner {
            tokens,
            passwords,
            throttle,
            meters,
            heralds,
            gate: figures::Gate::default(),
            exporting,
            refresh_secret,
            directing,
            rotating,
        };
        let app = Self { store, inner: Arc::new(inner) };
        app.open_platform().await.map_err(OpenError::Platform)?;
        app.follow_directories().await.map_err(OpenError::Platform)?;
        Ok(app)
    }

    /// The store, for those who open, close and watch it.
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Whole budgets of so much, by the store's clock.
    pub fn budget(&self, budgets: Budgets) -> Budget {
        Budget::new(budgets, self.store.clock())
    }

    /// Has the writer decide a command of this caller, once for each idempotency key.
    async fn write<R: Outcome + Send + 'static>(
        &self,
        call: &Call,
        command: impl FnOnce(&mut Turn<'_>) -> Result<R, Failed> + Send + 'static,
    ) -> Result<Committed<R>, Failed> {
        self.store.of(&call.viewer).write(call.idempotency.clone(), command).await
    }

    /// Has the writer decide a command that is never repeated under a key: what it answers is a secret, or it is
    /// the server's own.
    async fn write_unkeyed<R: Outcome + Send + 'static>(
        &self,
        viewer: &Arc<Viewer>,
        command: impl FnOnce(&mut Turn<'_>) -> Result<R, Failed> + Send + 'static,
    ) -> Result<Committed<R>, Failed> {
        self.store.of(viewer).write(None, command).await
    }

    /// The newest version of the viewer's tenant: one answer shows one version.
    ///
    /// # Errors
    /// A fault when the tenant cannot be loaded, `Unauthenticated` when the viewer no longer stands.
    pub async fn snapshot(&self, viewer: &Arc<Viewer>) -> Result<Snapshot, Failed> {
        let snapshot = self.store.of(viewer).read().await?;
        snapshot.view().caller()?;
        Ok(snapshot)
    }
}
