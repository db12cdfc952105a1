//! The key with which this server signs what it says of its journal.
//! Never leaves the machine: whoever checks a signature needs the public half only.

use super::keys::{Keys, KeysError};
use ed25519_dalek::SigningKey;
use zeroize::Zeroizing;

/// The name of the secret.
const NAME: &str = "audit-signing-key";

/// The server's signing key; made when it is asked for the first time.
///
/// # Errors
/// [`KeysError`]
pub(super) fn signing_key(keys: &Keys) -> Result<SigningKey, KeysError> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut_slice()).map_err(KeysError::Randomness)?;
    let secret = keys.secret(NAME, || seed.to_vec())?;
    let seed =
        <&[u8; 32]>::try_from(secret.as_slice()).map_err(|_| KeysError::Damaged(format!("{NAME}.secret").into()))?;
    Ok(SigningKey::from_bytes(seed))
}
