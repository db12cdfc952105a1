//! Credentials on the wire: the texts of refresh tokens, keys and password links.
//! Never decides whether whom they name still stands: the state does, on every request.

use super::Fault;
use crate::domain::{
    id::{ApiKeyId, PasswordLinkId, SessionId, TenantId},
    identity::hash_of_secret,
    session::RefreshHashes,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Random bytes from the operating system.
pub(super) fn random<const N: usize>() -> Result<[u8; N], Fault> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        tracing::error!(%error, "the operating system gave no randomness");
        Fault::Panicked
    })?;
    Ok(bytes)
}

/// A credential that names its record: a tenant, an id, and a secret of `N` bytes of which only hashes are kept.
struct Opaque<const N: usize> {
    tenant: TenantId,
    id: Uuid,
    secret: [u8; N],
}

impl<const N: usize> Opaque<N> {
    fn text(&self, prefix: &str) -> String {
        let mut name = self.tenant.uuid().as_bytes().to_vec();
        name.extend_from_slice(self.id.as_bytes());
        format!("{prefix}{}.{}", URL_SAFE_NO_PAD.encode(name), URL_SAFE_NO_PAD.encode(self.secret))
    }

    fn parse(prefix: &str, text: &str) -> Option<Self> {
        let (name, secret) = text.strip_prefix(prefix)?.split_once('.')?;
        let name: [u8; 32] = URL_SAFE_NO_PAD.decode(name).ok()?.try_into().ok()?;
        let secret: [u8; N] = URL_SAFE_NO_PAD.decode(secret).ok()?.try_into().ok()?;
        let (tenant, id) = name.split_first_chunk::<16>()?;
        let id = Uuid::from_bytes(id.try_into().ok()?);
        Some(Self { tenant: Uuid::from_bytes(*tenant).into(), id, secret })
    }
}

/// An API key as the machine presents it, with the hash of its secret.
pub(super) struct KeyCredential {
    pub(super) tenant: TenantId,
    pub(super) key: ApiKeyId,
    pub(super) secret_hash: [u8; 32],
}

const KEY_PREFIX: &str = "csk_";
const REFRESH_PREFIX: &str = "csr_";
const LINK_PREFIX: &str = "csl_";

/// The text of an API key; shown once.
pub fn key_credential(tenant: TenantId, key: ApiKeyId, secret: [u8; 32]) -> String {
    Opaque { tenant, id: key.uuid(), secret }.text(KEY_PREFIX)
}

/// Whether a credential is an API key, good or not; anything else is an access token.
pub(super) fn is_key(credential: &str) -> bool {
    credential.starts_with(KEY_PREFIX)
}

/// The parts of an API key.
pub(super) fn parse_key(credential: &str) -> Option<KeyCredential> {
    let Opaque { tenant, id, secret } = Opaque::<32>::parse(KEY_PREFIX, credential)?;
    Some(KeyCredential { tenant, key: id.into(), secret_hash: hash_of_secret(&secret) })
}

/// The text of a password link's token; shown once.
pub(super) fn link_token(tenant: TenantId, link: PasswordLinkId, secret: [u8; 32]) -> String {
    Opaque { tenant, id: link.uuid(), secret }.text(LINK_PREFIX)
}

/// The parts of a password link's token, its secret as hash.
pub(super) fn parse_link(token: &str) -> Option<(TenantId, PasswordLinkId, [u8; 32])> {
    let Opaque { tenant, id, secret } = Opaque::<32>::parse(LINK_PREFIX, token)?;
    Some((tenant, id.into(), hash_of_secret(&secret)))
}

/// The secrets of a refresh token: one that all tokens of its session share, and its own.
#[derive(Clone, Copy)]
pub(super) struct RefreshSecret([u8; 64]);

impl RefreshSecret {
    /// The secrets of a new session.
    pub(super) fn new() -> Result<Self, Fault> {
        random().map(Self)
    }

    /// The next secrets of the same session: always the same ones after these, so that whoever lost the answer gets it
    /// again, and such that only the server's own secret leads from one to the next.
    pub(super) fn next(&self, server: &[u8], session: SessionId) -> Self {
        let mut next = *self;
        // All parts have fixed lengths, so that nothing can be put behind the last.
        let hasher = Sha256::new().chain_update(server).chain_update(session.uuid().as_bytes());
        let own = hasher.chain_update(self.0).finalize();
        next.0.iter_mut().skip(32).zip(own).for_each(|(byte, fresh)| *byte = fresh);
        next
    }

    /// What is kept of them.
    pub(super) fn hashes(&self) -> RefreshHashes {
        let (family, own) = self.0.split_at(32);
        RefreshHashes { family: hash_of_secret(family), own: hash_of_secret(own) }
    }

    /// The text of the token.
    pub(super) fn token(&self, tenant: TenantId, session: SessionId) -> String {
        Opaque { tenant, id: session.uuid(), secret: self.0 }.text(REFRESH_PREFIX)
    }
}

/// The parts of a refresh token.
pub(super) fn parse_refresh(token: &str) -> Option<(TenantId, SessionId, RefreshSecret)> {
    let Opaque { tenant, id, secret } = Opaque::<64>::parse(REFRESH_PREFIX, token)?;
    Some((tenant, id.into(), RefreshSecret(secret)))
}
