//! Compresses and encrypts what the journal and the index hold under the key of its tenant, so that destroying
//! the key erases the tenant while every hash chain still verifies.
//! Never decides what is encrypted, and never keeps a key.

use crate::domain::id::TenantId;
use crate::store::compression;
use crate::store::keys::TenantKey;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};

// # Format, versions 1 and 2
//
//    0   1  version
//    1  24  nonce, random
//   25      XChaCha20-Poly1305 ciphertext, its last 16 bytes the tag. Associated data: from
//           version 2 on the version, then the 16 bytes of the tenant's id, then the context.
//
// Version 1 encrypts the bytes as they are; version 2 one zstd frame of them, made with the first
// dictionary (`compression/1.dictionary`, SHA-256
// 589c88bec055e0dd4ffcc9462e607d47cf0b9f4a30656151cbde019412b9215d).
// A length tells a little of what is inside, in version 2 also how much it resembles other
// records; no secret stands in a record beside text that a stranger chooses.
const PLAIN: u8 = 1;
const COMPRESSED: u8 = 2;

const NONCE_BYTES: usize = 24;

/// The machine gave no randomness, or the plain bytes exceed what the cipher can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes cannot be encrypted")]
pub struct NotSealed;

/// Why bytes were not decrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotOpened {
    /// Another key, tenant or context, or damaged bytes. Which of them is not told.
    #[error("the bytes cannot be decrypted")]
    Refused,
    /// A later version wrote them.
    #[error(
        "its encryption has format {0}, and this version knows up to {COMPRESSED}; use the version that wrote it, or a later one"
    )]
    Newer(u8),
}

/// Encrypts bytes of a tenant. They open only for the same tenant and context, which says what
/// they are and is not stored.
///
/// # Errors
/// [`NotSealed`]
pub fn seal(key: &TenantKey, tenant: TenantId, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, NotSealed> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(|_| NotSealed)?;
    let frame = compression::compress(plain).map_err(|_| NotSealed)?;
    // What does not get smaller is not made larger.
    let (version, msg) = if frame.len() < plain.len() { (COMPRESSED, &*frame) } else { (PLAIN, plain) };
    let aad = associated(version, tenant, context);
    let ciphertext = XChaCha20Poly1305::new(key.bytes().into())
        .encrypt(&XNonce::from(nonce), Payload { msg, aad: &aad })
        .map_err(|_| NotSealed)?;
    let mut sealed = Vec::with_capacity(ciphertext.len().saturating_add(NONCE_BYTES + 1));
    sealed.push(version);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(&ciphertext);
    Ok(sealed)
}

/// Decrypts what [`seal`] made.
///
/// # Errors
/// [`NotOpened`]
pub fn open(key: &TenantKey, tenant: TenantId, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, NotOpened> {
    let (version, rest) = sealed.split_first().ok_or(NotOpened::Refused)?;
    let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(NotOpened::Refused)?;
    if !matches!(*version, PLAIN | COMPRESSED) {
        return Err(NotOpened::Newer(*version));
    }
    let aad = associated(*version, tenant, context);
    let plain = XChaCha20Poly1305::new(key.bytes().into())
        .decrypt(&XNonce::from(*nonce), Payload { msg: ciphertext, aad: &aad })
        .map_err(|_| NotOpened::Refused)?;
    if *version == PLAIN {
        return Ok(plain);
    }
    compression::decompress(&plain).map_err(|_| NotOpened::Refused)
}

fn associated(version: u8, tenant: TenantId, context: &[u8]) -> Vec<u8> {
    let version: &[u8] = if version == PLAIN { &[] } else { &[version] };
    [version, tenant.uuid().as_bytes(), context].concat()
}
