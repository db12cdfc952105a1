//! Credentials on the wire: signed access tokens, and the texts of refresh tokens, keys and password links.
//! Never decides whether whom they name still stands: the state does, on every request.

use super::Fault;
use crate::{
    domain::{
        id::{ApiKeyId, PasswordLinkId, SessionId, TenantId, UserId},
        identity::hash_of_secret,
        session::RefreshHashes,
        time::Timestamp,
    },
    limits::{TOKEN_LEEWAY_SECONDS, TOKENS_VERIFIED_MAX},
    store::keys::{Keys, KeysError},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{
    SigningKey,
    pkcs8::{DecodePrivateKey, EncodePrivateKey},
};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Who issues access tokens, and for whom: only the server itself.
const ISSUER: &str = "countersign";

/// Why access tokens cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The key cannot be read or stored.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The stored key is none.
    #[error("the key that signs access tokens is damaged; restore it from a backup of the keys")]
    Damaged,
    /// The machine gave no randomness.
    #[error("the operating system gave no randomness")]
    Randomness,
}

/// Whom an access token names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bearer {
    pub(super) tenant: TenantId,
    pub(super) user: UserId,
    pub(super) session: SessionId,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: Uuid,
    tid: Uuid,
    sid: Uuid,
    iat: i64,
    exp: i64,
    jti: String,
}

/// What a token says, once its signature was verified.
#[derive(Clone, Copy)]
struct Verified {
    bearer: Bearer,
    issued: i64,
    expires: i64,
}

impl Verified {
    /// Whom it names, if it is good now.
    fn at(self, now: Timestamp) -> Option<Bearer> {
        let at = |seconds: i64| Timestamp::from_milliseconds(0).plus_seconds(seconds);
        let begun = at(self.issued.saturating_sub(TOKEN_LEEWAY_SECONDS)) <= now;
        let lasts = now < at(self.expires.saturating_add(TOKEN_LEEWAY_SECONDS));
        (begun && lasts).then_some(self.bearer)
    }
}

/// Signs access tokens and checks them.
pub(super) struct Tokens {
    kid: String,
    signing: EncodingKey,
    verifying: DecodingKey,
    validation: Validation,
    /// Tokens whose signatures were verified, by digest: a signature costs more than the rest of a small request.
    verified: Cache<[u8; 32], Verified>,
}

impl Tokens {
    /// Loads the server's signing key, making it at the first start.
    pub(super) fn open(keys: &Keys) -> Result<Self, TokenError> {
        let fresh = SigningKey::from_bytes(&random().map_err(|_| TokenError::Randomness)?);
        let fresh = fresh.to_pkcs8_der().map_err(|_| TokenError::Damaged)?;
        let secret = keys.secret("token-signing-key", || fresh.as_bytes().to_vec())?;
        let signing = SigningKey::from_pkcs8_der(&secret).map_err(|_| TokenError::Damaged)?;
        let public = signing.verifying_key().to_bytes();
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // The store's clock decides, not the machine's: `bearer` compares the times.
        validation.validate_exp = false;
        let kid = hash_of_secret(&public);
        Ok(Self {
            kid: URL_SAFE_NO_PAD.encode(kid.first_chunk::<12>().unwrap_or(&[0; 12])),
            signing: EncodingKey::from_ed_der(&secret),
            verifying: DecodingKey::from_ed_der(&public),
            validation,
            verified: Cache::new(TOKENS_VERIFIED_MAX),
        })
    }

    /// An access token, and until when it is good.
    pub(super) fn issue(
        &self,
        bearer: Bearer,
        now: Timestamp,
        lifetime_seconds: i64,
    ) -> Result<(String, Timestamp), Fault> {
        let issued = now.milliseconds().div_euclid(1_000);
        let expires = issued.saturating_add(lifetime_seconds);
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: ISSUER.to_owned(),
            sub: bearer.user.uuid(),
            tid: bearer.tenant.uuid(),
            sid: bearer.session.uuid(),
            iat: issued,
            exp: expires,
            jti: URL_SAFE_NO_PAD.encode(random::<16>()?),
        };
        let header = Header { kid: Some(self.kid.clone()), ..Header::new(Algorithm::EdDSA) };
        let token = encode(&header, &claims, &self.signing).map_err(|error| {
            tracing::error!(%error, "an access token could not be signed");
            Fault::Panicked
        })?;
        Ok((token, Timestamp::from_milliseconds(0).plus_seconds(expires)))
    }

    /// Whom a token names, if this server signed it and it is good now.
    pub(super) fn bearer(&self, token: &str, now: Timestamp) -> Option<Bearer> {
        let digest = hash_of_secret(token.as_bytes());
        if let Some(verified) = self.verified.get(&digest) {
            return verified.at(now);
        }
        let verified = self.verify(token)?;
        let bearer = verified.at(now)?;
        self.verified.insert(digest, verified);
        Some(bearer)
    }

    fn verify(&self, token: &str) -> Option<Verified> {
        let header = decode_header(token).ok()?;
        if header.kid.as_ref() != Some(&self.kid) {
            return None;
        }
        let claims = decode::<Claims>(token, &self.verifying, &self.validation).ok()?.claims;
        let bearer = Bearer { tenant: claims.tid.into(), user: claims.sub.into(), session: claims.sid.into() };
        Some(Verified { bearer, issued: claims.iat, expires: claims.exp })
    }
}

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

    /// The next secrets of the same session.
    pub(super) fn next(&self) -> Result<Self, Fault> {
        let mut next = *self;
        let own = random::<32>()?;
        next.0.iter_mut().skip(32).zip(own).for_each(|(byte, fresh)| *byte = fresh);
        Ok(next)
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
