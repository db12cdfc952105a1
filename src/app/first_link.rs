//! The first start: one organisation, and the links with which its first people set their passwords.
//! Never makes a password, and makes no link for anybody who has one.

use super::{
    App, Call, Failed, PLATFORM,
    fixture::{self, Administrator, FixtureError, Makers, Organisation},
    founder,
};
use crate::domain::{
    id::TenantId,
    identity::{Standing, User},
    text::{Name, Slug},
};

/// The organisation that a fresh server creates.
const FIRST_SLUG: &str = "default";
const FIRST_EMAIL: &str = "admin@default.invalid";

/// A link that works once.
pub struct FirstLink {
    /// The organisation's short name.
    pub organisation: String,
    /// Whose password it sets.
    pub email: String,
    /// What the link carries.
    pub token: String,
}

/// Why the first start failed.
#[derive(Debug, thiserror::Error)]
pub enum NotBegun {
    /// The Standard that ships with the product is wrong.
    #[error(transparent)]
    Standard(#[from] FixtureError),
    /// An operation failed.
    #[error("the first organisation could not be founded: {0:?}")]
    Failed(Failed),
}

impl From<Failed> for NotBegun {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed)
    }
}

impl App {
    /// Creates the first organisation on a fresh server, and links for its administrator and the platform operator
    /// as long as they have no password.
    ///
    /// # Errors
    /// See [`NotBegun`].
    pub async fn first_links(&self) -> Result<Vec<FirstLink>, NotBegun> {
        if self.has_no_tenants().await? {
            let makers = Makers { ids: &**self.store().ids(), secret: &|| [0; 32], now: self.store().clock().now() };
            let name = |name| Name::parse("name", name).map_err(Failed::from);
            let organisation = Organisation { slug: Slug::new(FIRST_SLUG), name: name("Default")? };
            let administrator = Administrator { name: name("Administrator")?, email: FIRST_EMAIL.to_owned() };
            let standard = fixture::standard_founding(organisation, administrator, makers)?;
            let call = Call { viewer: founder(PLATFORM), idempotency: None };
            self.create_tenant(&call, standard.founding).await?;
        }
        let mut links = vec![];
        for slug in [FIRST_SLUG, super::PLATFORM_SLUG] {
            if let Some(tenant) = self.tenant_called(slug).await.map_err(Failed::from)? {
                links.extend(self.links_in(tenant, slug).await?);
            }
        }
        Ok(links)
    }

    async fn has_no_tenants(&self) -> Result<bool, Failed> {
        let platform = self.snapshot(&founder(PLATFORM)).await?;
        Ok(platform.view().all::<crate::domain::tenant::TenantEntry>().next().is_none())
    }

    /// A link for the first administrator of an organisation in which nobody has a password yet.
    pub(super) async fn first_link_of(&self, tenant: TenantId) -> Result<Option<String>, Failed> {
        let call = Call { viewer: founder(tenant), idempotency: None };
        let snapshot = self.snapshot(&call.viewer).await?;
        let users: Vec<_> = snapshot.view().all::<User>().collect();
        let waiting = users.iter().find(|user| user.active && user.standing == Standing::Administrator);
        match waiting.filter(|_| users.iter().all(|user| user.password_hash.is_none())) {
            Some(first) => Ok(self.create_password_link(&call, first.id).await?.outcome.token),
            None => Ok(None),
        }
    }

    async fn links_in(&self, tenant: TenantId, slug: &str) -> Result<Vec<FirstLink>, Failed> {
        let call = Call { viewer: founder(tenant), idempotency: None };
        let snapshot = self.snapshot(&call.viewer).await?;
        let leads = |user: &User| matches!(user.standing, Standing::Administrator | Standing::PlatformOperator);
        let users = snapshot.view().all::<User>();
        let waiting = users.filter(|user| user.active && user.password_hash.is_none() && leads(user));
        let mut links = vec![];
        for user in waiting {
            let made = self.create_password_link(&call, user.id).await?.outcome;
            let (organisation, email) = (slug.to_owned(), user.email.clone());
            links.extend(made.token.map(|token| FirstLink { organisation, email, token }));
        }
        Ok(links)
    }
}
