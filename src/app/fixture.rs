//! Fixtures: organisations as JSON files, with handles instead of ids, and the Standard that every tenant begins with.
//! Never holds a password or a key's secret: those are made when a fixture is resolved, and answered once.

mod format;
mod handle;
mod record;

use crate::domain::{
    founding::Founding,
    id::{ApiKeyId, Ids, TenantId, UserId},
    identity::{Standing, User},
    refusal::Refusal,
    tenant::{Settings, Tenant},
    text::{Name, Slug},
    time::Timestamp,
};
use format::{AccessFile, TemplateSpec, TenantFile};
use handle::{Book, Place};
use record::Records;
use serde::de::DeserializeOwned;
use std::fmt;

/// A fixture file.
#[derive(Clone, Copy, Debug)]
pub struct Fixture {
    /// Its path in the repository, for messages.
    pub file: &'static str,
    /// Its text.
    pub text: &'static str,
}

macro_rules! fixture {
    ($file:literal) => {
        Fixture { file: $file, text: include_str!(concat!("../../", $file)) }
    };
}

/// The tutorial's organisation.
pub const ACME: Fixture = fixture!("fixtures/acme.json");
/// A second organisation with the same names inside.
pub const GLOBEX: Fixture = fixture!("fixtures/globex.json");

const STANDARD_TEMPLATES: [Fixture; 5] = [
    fixture!("fixtures/standard/business_initiative.json"),
    fixture!("fixtures/standard/governed_project.json"),
    fixture!("fixtures/standard/governed_bundle.json"),
    fixture!("fixtures/standard/governed_model.json"),
    fixture!("fixtures/standard/governed_model_version.json"),
];
const STANDARD_ROLES: Fixture = fixture!("fixtures/standard/roles.json");

/// Where ids, secrets and the time of what a fixture makes come from.
#[derive(Clone, Copy)]
pub struct Makers<'a> {
    /// Ids of the records.
    pub ids: &'a dyn Ids,
    /// The secret half of one key, never the same twice.
    pub secret: &'a dyn Fn() -> [u8; 32],
    /// When everything was made.
    pub now: Timestamp,
}

/// A fixture with ids for its handles.
#[derive(Debug)]
pub struct Resolved {
    /// What the tenant begins with.
    pub founding: Founding,
    /// Who can use it, and with what.
    pub credentials: Credentials,
}

/// The people and keys that a fixture made.
#[derive(Debug, Default)]
pub struct Credentials {
    /// The keys with their secrets, which are nowhere else.
    pub keys: Vec<MadeKey>,
    /// The people; none has a password yet.
    pub users: Vec<MadeUser>,
}

/// A key that was made.
pub struct MadeKey {
    /// What the fixture calls it.
    pub handle: String,
    /// Its id.
    pub id: ApiKeyId,
    /// Its secret half; the record holds only the SHA-256 of these bytes.
    pub secret: [u8; 32],
}

/// A person who was entered.
#[derive(Debug)]
pub struct MadeUser {
    /// What the fixture calls her.
    pub handle: String,
    /// Her id.
    pub id: UserId,
    /// What people call her.
    pub name: Name,
    /// Her address, with which she signs in.
    pub email: String,
}

/// A new organisation.
#[derive(Clone, Debug)]
pub struct Organisation {
    /// Its name in addresses and at sign-in.
    pub slug: Slug,
    /// What people call it.
    pub name: Name,
}

/// Its first person.
#[derive(Clone, Debug)]
pub struct Administrator {
    /// What people call her.
    pub name: Name,
    /// Her address, in lower case.
    pub email: String,
}

/// Why a fixture cannot be founded. Each names the file, and the place in it.
#[derive(Debug, thiserror::Error)]
pub enum FixtureError {
    /// Not JSON, or not of the format.
    #[error("{file}: {reason}")]
    Format {
        /// The file.
        file: String,
        /// What is wrong, with line and column.
        reason: serde_json::Error,
    },
    /// A handle that nothing has.
    #[error("{file}, {place}: there is no {what} \"{handle}\"; there are: {known}")]
    UnknownHandle {
        /// The file.
        file: String,
        /// Where in it, as `groups.2.members.0`.
        place: String,
        /// What was looked for.
        what: &'static str,
        /// The handle.
        handle: String,
        /// Every handle of the kind.
        known: String,
    },
    /// One handle for two things.
    #[error("{file}, {place}: the {what} \"{handle}\" stands there twice")]
    HandleTwice {
        /// The file.
        file: String,
        /// Where in it the second one stands.
        place: String,
        /// What it names.
        what: &'static str,
        /// The handle.
        handle: String,
    },
    /// A key that belongs to nobody, or to two.
    #[error("{file}, {place}: a key names either its node or its user")]
    KeyOwner {
        /// The file.
        file: String,
        /// Where in it.
        place: String,
    },
    /// A rule of the domain is broken.
    #[error("{file}: {}", .refusal.sentence())]
    Refused {
        /// The file.
        file: String,
        /// The rule, with the path.
        refusal: Refusal,
    },
}

impl fmt::Debug for MadeKey {
    /// The key without its secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MadeKey").field("handle", &self.handle).field("id", &self.id).finish_non_exhaustive()
    }
}

/// What every tenant begins with, as its files say.
struct Standard {
    templates: Vec<(Place, TemplateSpec)>,
    access: (Place, AccessFile),
}

impl Standard {
    fn read() -> Result<Self, FixtureError> {
        let templates = STANDARD_TEMPLATES.iter().map(|fixture| {
            let spec: TemplateSpec = read(fixture.file, fixture.text)?;
            Ok((Place::file(fixture.file), spec))
        });
        let access: AccessFile = read(STANDARD_ROLES.file, STANDARD_ROLES.text)?;
        let access = (Place::file(STANDARD_ROLES.file), access);
        access.0.about(&access.1.about)?;
        Ok(Self { templates: templates.collect::<Result<_, FixtureError>>()?, access })
    }
}

fn read<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, FixtureError> {
    serde_json::from_str(text).map_err(|reason| FixtureError::Format { file: file.to_owned(), reason })
}

/// Resolves the text of a tenant's fixture, on top of the Standard, into what the tenant begins with.
///
/// # Errors
/// The first mistake, with file and place: unknown JSON field, unknown handle, handle twice, broken rule.
pub fn resolve(file: &str, text: &str, makers: Makers<'_>) -> Result<Resolved, FixtureError> {
    let standard = Standard::read()?;
    let fixture: TenantFile = read(file, text)?;
    let place = Place::file(file);
    place.about(&fixture.about)?;
    let book = Book::of(&standard, Some((&place, &fixture)), makers.ids)?;
    let at = place.then("tenant");
    let (slug, name) = (at.slug("slug", &fixture.tenant.slug)?, at.name("name", &fixture.tenant.name)?);
    let settings = Settings { requester_may_not_approve: fixture.tenant.settings.requester_may_not_approve };
    let tenant = Tenant::new(TenantId::new(makers.ids), slug, name, settings, makers.now);
    let mut records = Records::new(tenant, &book, makers);
    records.standard(&standard)?;
    records.tenant(&place, &fixture)?;
    let resolved = records.done();
    resolved.founding.check().map_err(|refusal| FixtureError::Refused { file: file.to_owned(), refusal })?;
    Ok(resolved)
}

/// A new organisation with the Standard and one administrator, who has no password yet.
///
/// # Errors
/// `Refused` when the address is not one.
pub fn standard_founding(
    organisation: Organisation,
    administrator: Administrator,
    makers: Makers<'_>,
) -> Result<Resolved, FixtureError> {
    let standard = Standard::read()?;
    let book = Book::of(&standard, None, makers.ids)?;
    let Organisation { slug, name } = organisation;
    let file = format!("the new organisation {slug}");
    let settings = Settings::default();
    let tenant = Tenant::new(TenantId::new(makers.ids), slug, name, settings, makers.now);
    let mut records = Records::new(tenant, &book, makers);
    records.standard(&standard)?;
    records.user("administrator", first(administrator, makers));
    let resolved = records.done();
    resolved.founding.check().map_err(|refusal| FixtureError::Refused { file, refusal })?;
    Ok(resolved)
}

fn first(administrator: Administrator, makers: Makers<'_>) -> User {
    User {
        id: UserId::new(makers.ids),
        revision: 1,
        name: administrator.name,
        email: administrator.email,
        password_hash: None,
        deleted_at: None,
        standing: Standing::Administrator,
        active: true,
        created_at: makers.now,
    }
}
