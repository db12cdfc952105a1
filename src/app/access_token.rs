//! Access tokens: signed by the newest key, verified by every key of which tokens may still be out.
//! Never trusts more of a token's header than which key it names, and never decides whether whom it names still stands.

use super::{Fault, token::random};
use crate::{
    domain::{
        access::{Principal, Viewer},
        id::{SessionId, TenantId, UserId},
        identity::{Session, hash_of_secret},
        time::Timestamp,
    },
    limits::{ACCESS_TOKEN_LIFETIME_SECONDS, TOKEN_KEYS_MAX, TOKEN_LEEWAY_SECONDS, TOKENS_VERIFIED_MAX},
    store::keys::{Keys, KeysError},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{
    SigningKey,
    pkcs8::{DecodePrivateKey, EncodePrivateKey},
};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode,
    jwk::{
        AlgorithmParameters, CommonParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, OctetKeyPairParameters,
        OctetKeyPairType, PublicKeyUse,
    },
};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, PoisonError, RwLock};
use uuid::Uuid;

/// Who issues access tokens, and for whom: only the server itself.
const ISSUER: &str = "countersign";

/// The name of the signing keys among the server's secrets: JSON, the present key first.
const SECRET: &str = "token-signing-keys";

/// Why access tokens cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The keys cannot be read or stored.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The stored keys are none.
    #[error("the keys that sign access tokens are damaged; restore them from a backup of the keys")]
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
    /// The administrator who acts as the user.
    pub(super) impersonator: Option<UserId>,
}

impl Bearer {
    /// Whom the tokens of a session name.
    pub(super) const fn of(tenant: TenantId, session: &Session) -> Self {
        Self { tenant, user: session.user, session: session.id, impersonator: session.impersonator }
    }

    /// The viewer that it stands for.
    pub(super) const fn viewer(self) -> Viewer {
        let principal = match self.impersonator {
            None => Principal::User(self.user),
            Some(by) => Principal::Impersonated { user: self.user, by },
        };
        Viewer::verified(self.tenant, principal).within(self.session)
    }
}

/// Who acts as the subject (RFC 8693).
#[derive(Serialize, Deserialize)]
struct Act {
    sub: Uuid,
}

/// What a token says. Each but the last is required: a token without one of them is none of ours.
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    act: Option<Act>,
}

/// Names a key: the beginning of the digest of its public half.
type KeyName = [u8; 12];

/// What a token says, once its signature was verified.
#[derive(Clone, Copy)]
pub(super) struct Verified {
    bearer: Bearer,
    issued: i64,
    expires: i64,
    /// Which key signed it.
    key: KeyName,
}

/// A key as it is stored.
#[derive(Clone, Serialize, Deserialize)]
struct Kept {
    /// Base64 of its PKCS#8.
    pkcs8: String,
    /// Until when its tokens are good, in seconds since 1970; none for the one that signs.
    until: Option<i64>,
}

/// A key that verifies.
struct Known {
    name: KeyName,
    kid: String,
    verifying: DecodingKey,
    jwk: Jwk,
    until: Option<i64>,
}

/// The keys of one moment; the first signs.
pub(super) struct Ring {
    signing: EncodingKey,
    kept: Vec<Kept>,
    known: Vec<Known>,
}

impl Ring {
    fn read(kept: Vec<Kept>) -> Result<Self, TokenError> {
        let keys = kept.iter().map(|kept| {
            let pkcs8 = URL_SAFE_NO_PAD.decode(&kept.pkcs8).map_err(|_| TokenError::Damaged)?;
            let key = SigningKey::from_pkcs8_der(&pkcs8).map_err(|_| TokenError::Damaged)?;
            let public = key.verifying_key().to_bytes();
            let digest = hash_of_secret(&public);
            let name: KeyName = digest.first_chunk().copied().unwrap_or_default();
            let kid = URL_SAFE_NO_PAD.encode(name);
            let (verifying, jwk) = (DecodingKey::from_ed_der(&public), jwk(&kid, &public));
            Ok((EncodingKey::from_ed_der(&pkcs8), Known { name, kid, verifying, jwk, until: kept.until }))
        });
        let (signing, known): (Vec<_>, Vec<_>) = keys.collect::<Result<Vec<_>, TokenError>>()?.into_iter().unzip();
        let signing = signing.into_iter().next().ok_or(TokenError::Damaged)?;
        Ok(Self { signing, kept, known })
    }

    /// Names the key that signs.
    pub(super) fn kid(&self) -> &str {
        self.known.first().map(|known| known.kid.as_str()).unwrap_or_default()
    }
}

/// A key as the world may know it (RFC 8037).
fn jwk(kid: &str, public: &[u8]) -> Jwk {
    let common = CommonParameters {
        public_key_use: Some(PublicKeyUse::Signature),
        key_algorithm: Some(KeyAlgorithm::EdDSA),
        key_id: Some(kid.to_owned()),
        ..CommonParameters::default()
    };
    let algorithm = AlgorithmParameters::OctetKeyPair(OctetKeyPairParameters {
        key_type: OctetKeyPairType::OctetKeyPair,
        curve: EllipticCurve::Ed25519,
        x: URL_SAFE_NO_PAD.encode(public),
    });
    Jwk { common, algorithm }
}

fn fresh() -> Result<Kept, TokenError> {
    let key = SigningKey::from_bytes(&random().map_err(|_| TokenError::Randomness)?);
    let pkcs8 = key.to_pkcs8_der().map_err(|_| TokenError::Damaged)?;
    Ok(Kept { pkcs8: URL_SAFE_NO_PAD.encode(pkcs8.as_bytes()), until: None })
}

fn written(kept: &[Kept]) -> Result<Vec<u8>, TokenError> {
    serde_json::to_vec(kept).map_err(|_| TokenError::Damaged)
}

fn seconds(moment: Timestamp) -> i64 {
    moment.milliseconds().div_euclid(1_000)
}

/// Signs access tokens and checks them.
pub(super) struct Tokens {
    ring: RwLock<Arc<Ring>>,
    validation: Validation,
    /// Tokens whose signatures were verified, by digest: a signature costs more than the rest of a small request.
    verified: Cache<[u8; 32], Verified>,
}

impl Tokens {
    /// Loads the server's signing keys, making the first at the first start.
    pub(super) fn open(keys: &Keys) -> Result<Self, TokenError> {
        let first = written(&[fresh()?])?;
        let stored = keys.secret(SECRET, || first)?;
        let ring = Ring::read(serde_json::from_slice(&stored).map_err(|_| TokenError::Damaged)?)?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // The store's clock decides, not the machine's: `bearer` compares the times.
        validation.validate_exp = false;
        Ok(Self { ring: RwLock::new(Arc::new(ring)), validation, verified: Cache::new(TOKENS_VERIFIED_MAX) })
    }

    fn ring(&self) -> Arc<Ring> {
        Arc::clone(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes the next key and stores it before the others, durably; it signs once it is installed. The tokens of the
    /// one before it stay good as long as they would have.
    ///
    /// # Errors
    /// See [`TokenError`]; everything is as it was then.
    pub(super) fn prepare(&self, keys: &Keys, now: Timestamp) -> Result<Ring, TokenError> {
        let out = |until: i64| until.saturating_add(TOKEN_LEEWAY_SECONDS) <= seconds(now);
        let last = seconds(now).saturating_add(ACCESS_TOKEN_LIFETIME_SECONDS);
        let old = self.ring().kept.clone().into_iter().filter(|kept| !kept.until.is_some_and(out));
        let retired = old.map(|kept| Kept { until: kept.until.or(Some(last)), ..kept });
        let kept: Vec<_> = std::iter::once(fresh()?).chain(retired).take(TOKEN_KEYS_MAX).collect();
        keys.replace(SECRET, &written(&kept)?)?;
        Ring::read(kept)
    }

    /// Has a prepared key sign from now on.
    pub(super) fn install(&self, ring: Ring) {
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
    }

    /// The public keys of which tokens are good now, as a JWK set.
    pub(super) fn public(&self, now: Timestamp) -> JwkSet {
        let good = |known: &&Known| known.until.is_none_or(|until| seconds(now) < until + TOKEN_LEEWAY_SECONDS);
        JwkSet { keys: self.ring().known.iter().filter(good).map(|known| known.jwk.clone()).collect() }
    }

    /// An access token, and until when it is good.
    pub(super) fn issue(
        &self,
        bearer: Bearer,
        now: Timestamp,
        lifetime_seconds: i64,
    ) -> Result<(String, Timestamp), Fault> {
        let issued = seconds(now);
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
            act: bearer.impersonator.map(|by| Act { sub: by.uuid() }),
        };
        let ring = self.ring();
        let header = Header { kid: Some(ring.kid().to_owned()), ..Header::new(Algorithm::EdDSA) };
        let token = encode(&header, &claims, &ring.signing).map_err(|error| {
            tracing::error!(%error, "an access token could not be signed");
            Fault::Panicked
        })?;
        Ok((token, Timestamp::from_milliseconds(0).plus_seconds(expires)))
    }

    /// What a token says, if this server signed it; whether it is good now, [`Self::bearer`] says.
    pub(super) fn read(&self, token: &str, now: Timestamp) -> Option<Verified> {
        let digest = hash_of_secret(token.as_bytes());
        if let Some(verified) = self.verified.get(&digest) {
            return Some(verified);
        }
        let verified = self.verify(token)?;
        // What is good no more must not take the place of what is.
        if self.bearer(&verified, now).is_some() {
            self.verified.insert(digest, verified);
        }
        Some(verified)
    }

    /// Whom a token names, if it is good now: its time has come and is not over, nor is that of the key that signed it.
    pub(super) fn bearer(&self, token: &Verified, now: Timestamp) -> Option<Bearer> {
        let ring = self.ring();
        let key = ring.known.iter().find(|known| known.name == token.key)?;
        let expires = key.until.map_or(token.expires, |until| token.expires.min(until));
        let at = |seconds: i64| Timestamp::from_milliseconds(0).plus_seconds(seconds);
        let begun = at(token.issued.saturating_sub(TOKEN_LEEWAY_SECONDS)) <= now;
        let lasts = now < at(expires.saturating_add(TOKEN_LEEWAY_SECONDS));
        (begun && lasts).then_some(token.bearer)
    }

    fn verify(&self, token: &str) -> Option<Verified> {
        let kid = decode_header(token).ok()?.kid?;
        let ring = self.ring();
        let key = ring.known.iter().find(|known| known.kid == kid)?;
        let claims = decode::<Claims>(token, &key.verifying, &self.validation).ok()?.claims;
        let (tenant, user, session) = (claims.tid.into(), claims.sub.into(), claims.sid.into());
        let bearer = Bearer { tenant, user, session, impersonator: claims.act.map(|act| act.sub.into()) };
        Some(Verified { bearer, issued: claims.iat, expires: claims.exp, key: key.name })
    }
}
