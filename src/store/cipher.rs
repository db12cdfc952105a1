//! Encrypts what the journal and the index hold under the key of its tenant, so that destroying
//! the key erases the tenant while every hash chain still verifies.
//! Never decides what is encrypted, and never keeps a key.

use crate::domain::id::TenantId;
use crate::store::keys::TenantKey;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};

// # Format, version 1
//
//    0   1  version, 1
//    1  24  nonce, random
//   25      XChaCha20-Poly1305 ciphertext, its last 16 bytes the tag. Associated data: the 16
//           bytes of the tenant's id, then the context.
const VERSION: u8 = 1;

const NONCE_BYTES: usize = 24;

/// The machine gave no randomness, or the plain bytes exceed what the cipher can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes cannot be encrypted")]
pub struct NotSealed;

/// Another key, tenant or context, another version, or damaged bytes. Which of them is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes cannot be decrypted")]
pub struct NotOpened;

/// Encrypts bytes of a tenant. They open only for the same tenant and context, which says what
/// they are and is not stored.
///
/// # Errors
/// [`NotSealed`]
pub fn seal(key: &TenantKey, tenant: TenantId, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, NotSealed> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(|_| NotSealed)?;
    let aad = associated(tenant, context);
    let ciphertext = XChaCha20Poly1305::new(key.bytes().into())
        .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: &aad })
        .map_err(|_| NotSealed)?;
    let mut sealed = Vec::with_capacity(ciphertext.len().saturating_add(NONCE_BYTES + 1));
    sealed.push(VERSION);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(&ciphertext);
    Ok(sealed)
}

/// Decrypts what [`seal`] made.
///
/// # Errors
/// [`NotOpened`]
pub fn open(key: &TenantKey, tenant: TenantId, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, NotOpened> {
    let (version, rest) = sealed.split_first().ok_or(NotOpened)?;
    let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(NotOpened)?;
    if *version != VERSION {
        return Err(NotOpened);
    }
    let aad = associated(tenant, context);
    XChaCha20Poly1305::new(key.bytes().into())
        .decrypt(&XNonce::from(*nonce), Payload { msg: ciphertext, aad: &aad })
        .map_err(|_| NotOpened)
}

fn associated(tenant: TenantId, context: &[u8]) -> Vec<u8> {
    [tenant.uuid().as_bytes(), context].concat()
}
