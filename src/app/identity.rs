//! People, groups, source nodes and API keys: what administrators change, and what everyone may know of them.
//! Never shows a secret twice: a key's credential leaves with the answer that made it.

mod bulk;

pub use bulk::{UserRow, UserRows};

use super::{App, Call, Committed, Failed, Page, PageRequest, RefusedPage, Seen, page::Cursor, token};
use crate::{
    domain::{
        access::Denied,
        id::{ApiKeyId, GroupId, TenantId, UserId},
        identity::{
            ApiKey, Group, GroupChange, KeyOwner, KeyRotation, NewApiKey, NewGroup, NewSourceNode, NewUser, Scope,
            SourceNode, User, UserChange, hash_of_secret, same_secret,
        },
        tenant::Tenant,
        text::Name,
        time::Timestamp,
    },
    store::Snapshot,
};
use std::{collections::BTreeSet, sync::Arc};

type Answer<T> = Result<Committed<Arc<T>>, Failed>;

/// A new API key as an administrator asks for it; the server makes its secret.
#[derive(Clone, Debug)]
pub struct AskedKey {
    /// What people call it.
    pub name: Name,
    /// As whom it acts.
    pub owner: KeyOwner,
    /// What it may do.
    pub scopes: BTreeSet<Scope>,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
}

/// An API key and what the machine presents, which is shown once.
pub struct MadeKey {
    /// The key.
    pub key: Arc<ApiKey>,
    /// The credential; none when a repeated command answers with a key that was made before.
    pub credential: Option<String>,
}

impl MadeKey {
    /// A key with its credential; a command that is repeated answers the key of the first time, whose secret nobody
    /// knows any more.
    fn shown_once(key: Arc<ApiKey>, tenant: TenantId, secret: [u8; 32]) -> Self {
        let fresh = same_secret(&key.secret_hash, &hash_of_secret(&secret));
        let credential = fresh.then(|| token::key_credential(tenant, key.id, secret));
        Self { key, credential }
    }
}

impl App {
    /// Enters a person.
    ///
    /// # Errors
    /// As the rule: `EMAIL_NOT_ALLOWED`, `ALREADY_EXISTS`.
    pub async fn create_user(&self, call: &Call, new: NewUser) -> Answer<User> {
        self.write(call, move |turn| {
            let tenant = turn.view().tenant()?.authorize()?;
            turn.stage(tenant.create_user(new, turn.ids(), turn.now())?)
        })
        .await
    }

    /// Changes a person's name, standing, or whether she may sign in.
    ///
    /// # Errors
    /// As the rule: `REVISION_CONFLICT`, `NOT_YOURSELF`, `LAST_ADMINISTRATOR`.
    pub async fn update_user(&self, call: &Call, id: UserId, change: UserChange) -> Answer<User> {
        self.write(call, move |turn| {
            let user = turn.view().user(id)?.authorize()?;
            turn.stage(user.update_user(change)?)
        })
        .await
    }

    /// Makes a group.
    ///
    /// # Errors
    /// As the rule: `ALREADY_EXISTS`, `UNKNOWN_PERSON`.
    pub async fn create_group(&self, call: &Call, new: NewGroup) -> Answer<Group> {
        self.write(call, move |turn| {
            let tenant = turn.view().tenant()?.authorize()?;
            turn.stage(tenant.create_group(new, turn.ids())?)
        })
        .await
    }

    /// Changes a group's name or members.
    ///
    /// # Errors
    /// As the rule: `REVISION_CONFLICT`, `ALREADY_EXISTS`, `UNKNOWN_PERSON`.
    pub async fn update_group(&self, call: &Call, id: GroupId, change: GroupChange) -> Answer<Group> {
        self.write(call, move |turn| {
            let group = turn.view().group(id)?.authorize()?;
            turn.stage(group.update_group(change)?)
        })
        .await
    }

    /// Enters a system that will report source objects.
    ///
    /// # Errors
    /// As the rule: `ALREADY_EXISTS`.
    pub async fn create_source_node(&self, call: &Call, new: NewSourceNode) -> Answer<SourceNode> {
        self.write(call, move |turn| {
            let tenant = turn.view().tenant()?.authorize()?;
            turn.stage(tenant.create_source_node(new, turn.ids(), turn.now())?)
        })
        .await
    }

    /// Makes an API key; its credential is in the answer and nowhere else.
    ///
    /// # Errors
    /// As the rule: `SCOPE_NEEDS_NODE`, `SCOPE_NEEDS_USER`, `EXPIRY_PAST`.
    pub async fn create_api_key(&self, call: &Call, asked: AskedKey) -> Result<Committed<MadeKey>, Failed> {
        let tenant = call.viewer.tenant();
        let secret = token::random::<32>()?;
        let secret_hash = hash_of_secret(&secret);
        let AskedKey { name, owner, scopes, expires_at } = asked;
        let new = NewApiKey { name, owner, scopes, expires_at, secret_hash };
        let made = self.write(call, move |turn| {
            let tenant = turn.view().tenant()?.authorize()?;
            turn.stage(tenant.create_api_key(new, turn.ids(), turn.now())?)
        });
        Ok(made.await?.map(|key| MadeKey::shown_once(key, tenant, secret)))
    }

    /// Gives an API key another secret; its credential is in the answer and nowhere else.
    ///
    /// # Errors
    /// As the rule: `KEY_ENDED`, `EXPIRY_PAST`, `OVERLAP_TOO_LONG`.
    pub async fn rotate_api_key(
        &self,
        call: &Call,
        id: ApiKeyId,
        old_until: Option<Timestamp>,
    ) -> Result<Committed<MadeKey>, Failed> {
        let tenant = call.viewer.tenant();
        let secret = token::random::<32>()?;
        let rotation = KeyRotation { secret_hash: hash_of_secret(&secret), old_until };
        let made = self.write(call, move |turn| {
            let key = turn.view().api_key(id)?.authorize()?;
            turn.stage(key.rotate(rotation, turn.now())?)
        });
        Ok(made.await?.map(|key| MadeKey::shown_once(key, tenant, secret)))
    }

    /// Ends an API key at once.
    ///
    /// # Errors
    /// As the rule.
    pub async fn revoke_api_key(&self, call: &Call, id: ApiKeyId) -> Answer<ApiKey> {
        self.write(call, move |turn| {
            let key = turn.view().api_key(id)?.authorize()?;
            turn.stage(key.revoke(turn.now())?)
        })
        .await
    }
}

/// Who asks, as the state knows her now.
pub struct Me {
    /// The organisation.
    pub tenant: Seen<Tenant>,
    /// The person, or the person whose rights a key carries.
    pub user: Option<Seen<User>>,
    /// The administrator who acts as the person.
    pub impersonator: Option<Seen<User>>,
    /// The key, when one asks.
    pub key: Option<Arc<ApiKey>>,
    /// The groups that the person is in, oldest first.
    pub groups: Vec<Seen<Group>>,
}

/// Who asks.
///
/// # Errors
/// `Unauthenticated` when she no longer stands.
pub fn me(snapshot: &Snapshot) -> Result<Me, Denied> {
    let caller = snapshot.view().caller()?;
    let user = caller.user_id().and_then(|user| Seen::find(snapshot, user).ok());
    let mut groups: Vec<Seen<Group>> = Seen::all(snapshot, snapshot.view().all::<Group>()).collect();
    groups.retain(|group| snapshot.view().belongs(group.id));
    let impersonator = caller.impersonator.and_then(|by| Seen::find(snapshot, by.id).ok());
    let tenant = Seen::find(snapshot, snapshot.viewer().tenant())?;
    Ok(Me { tenant, user, impersonator, key: caller.key.cloned(), groups })
}

impl Seen<User> {
    /// Her address: for herself, and for whoever administers the tenant.
    pub fn readable_email(&self) -> Option<&str> {
        let caller = self.view().caller().ok()?;
        let may = caller.administers() || caller.user_id() == Some(self.id);
        may.then_some(self.email.as_str()).filter(|email| !email.is_empty())
    }
}

/// Which users.
#[derive(Clone, Debug, Default)]
pub struct UserFilter {
    /// With this text in the name, whatever its case.
    pub text: Option<String>,
    /// Those who may sign in, or those who may not.
    pub active: Option<bool>,
}

fn contains(name: &Name, text: Option<&String>) -> bool {
    text.is_none_or(|text| name.as_str().to_lowercase().contains(&text.to_lowercase()))
}

fn by_name<T>(name: &Name, id: uuid::Uuid, row: T) -> (Cursor, T) {
    (Cursor { key: name.as_str().to_lowercase(), id }, row)
}

/// A page of users, by name.
///
/// # Errors
/// See [`RefusedPage`].
pub fn users(snapshot: &Snapshot, filter: &UserFilter, request: &PageRequest) -> Result<Page<Seen<User>>, RefusedPage> {
    let rows = Seen::all(snapshot, snapshot.view().all::<User>()).filter(|user| {
        user.deleted_at.is_none()
            && contains(&user.name, filter.text.as_ref())
            && filter.active.is_none_or(|active| user.active == active)
    });
    request.of(rows.map(|user| by_name(&user.name.clone(), user.id.uuid(), user)), false)
}

/// A page of groups, by name.
///
/// # Errors
/// See [`RefusedPage`].
pub fn groups(
    snapshot: &Snapshot,
    text: Option<&String>,
    request: &PageRequest,
) -> Result<Page<Seen<Group>>, RefusedPage> {
    let rows = Seen::all(snapshot, snapshot.view().all::<Group>()).filter(|group| contains(&group.name, text));
    request.of(rows.map(|group| by_name(&group.name.clone(), group.id.uuid(), group)), false)
}

/// A page of source nodes, oldest first.
///
/// # Errors
/// See [`RefusedPage`].
pub fn source_nodes(snapshot: &Snapshot, request: &PageRequest) -> Result<Page<Seen<SourceNode>>, RefusedPage> {
    let rows = Seen::all(snapshot, snapshot.view().all::<SourceNode>());
    request.by_age(rows.map(|node| (node.id.uuid(), node)))
}

impl App {
    /// The hour in which a key was last used; none when it never was, or when that is not known any more.
    pub fn last_use(&self, key: &Seen<ApiKey>) -> Option<Timestamp> {
        self.store.last_use(key.snapshot().viewer().tenant(), key.id)
    }
}

/// A page of API keys, oldest first; empty for whoever does not administer the tenant.
///
/// # Errors
/// See [`RefusedPage`].
pub fn api_keys(snapshot: &Snapshot, request: &PageRequest) -> Result<Page<Seen<ApiKey>>, RefusedPage> {
    let rows = Seen::all(snapshot, snapshot.view().all::<ApiKey>());
    request.by_age(rows.map(|key| (key.id.uuid(), key)))
}
