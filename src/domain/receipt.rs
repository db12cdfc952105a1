//! Idempotency: a command that comes again answers what it did, and does nothing.
//! Never keeps an input or an answer: a digest of the one, the ids of the other.

use super::{
    access::{Denied, Principal, Resource, Stopped, View},
    action::Action,
    id::ReceiptId,
    identity::Receipt,
    record::Entity,
    refusal::Refusal,
    state::{Change, Draft},
    time::Timestamp,
};
use crate::limits::{RECEIPT_LIFETIME_SECONDS, RECEIPTS_MAX};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use uuid::Uuid;

/// What a caller sends to be able to repeat a command without doing it twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The caller's name for this one command.
    pub key: String,
    /// SHA-256 of the command's name and input.
    pub input_digest: [u8; 32],
}

/// An answer that can be given again from the ids of its objects.
pub trait Outcome: Sized {
    /// The ids to remember; none when the answer is a refusal, or is as easily made again.
    fn ids(&self) -> Option<Vec<Uuid>>;

    /// The answer from the present view, authorised anew.
    ///
    /// # Errors
    /// `NotFound` when the viewer can no longer read it.
    fn again(ids: &[Uuid], view: View<'_>) -> Result<Self, Denied>;
}

impl<T: Entity + Resource> Outcome for Arc<T> {
    fn ids(&self) -> Option<Vec<Uuid>> {
        Some(vec![self.uuid()])
    }

    fn again(ids: &[Uuid], view: View<'_>) -> Result<Self, Denied> {
        let id = ids.first().ok_or(Denied::NotFound)?;
        view.readable::<T>((*id).into()).cloned()
    }
}

/// The answer of a command after which its object is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone(pub Uuid);

impl Outcome for Gone {
    fn ids(&self) -> Option<Vec<Uuid>> {
        Some(vec![self.0])
    }

    fn again(ids: &[Uuid], _: View<'_>) -> Result<Self, Denied> {
        ids.first().map(|id| Self(*id)).ok_or(Denied::NotFound)
    }
}

/// A command whose answer may be a refusal that was recorded; only the other answer is remembered.
impl<T: Outcome> Outcome for Result<T, Refusal> {
    fn ids(&self) -> Option<Vec<Uuid>> {
        self.as_ref().ok().and_then(Outcome::ids)
    }

    fn again(ids: &[Uuid], view: View<'_>) -> Result<Self, Denied> {
        T::again(ids, view).map(Ok)
    }
}

fn receipt_id(principal: Principal, key: &str) -> ReceiptId {
    let mut hasher = Sha256::new();
    hasher.update(format!("{principal:?}\0{key}"));
    let digest: [u8; 32] = hasher.finalize().into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(digest.first_chunk::<16>().unwrap_or(&[0; 16]));
    ReceiptId::from_uuid(Uuid::from_bytes(bytes))
}

/// The answer of a command that was done before, if it was.
///
/// # Errors
/// `IDEMPOTENCY_KEY_REUSED` for another input under the same key; `NotFound` as [`Outcome::again`].
pub fn recall<T: Outcome>(view: View<'_>, asked: &Idempotency, now: Timestamp) -> Result<Option<T>, Stopped> {
    view.caller()?;
    let id = receipt_id(view.viewer().principal(), &asked.key);
    let Some(receipt) = view.state().receipt(id).filter(|receipt| is_fresh(receipt, now)) else { return Ok(None) };
    if receipt.input_digest != asked.input_digest {
        return Err(Refusal::IdempotencyKeyReused {}.into());
    }
    Ok(Some(T::again(&receipt.outcome, view)?))
}

fn is_fresh(receipt: &Receipt, now: Timestamp) -> bool {
    receipt.at.plus_seconds(RECEIPT_LIFETIME_SECONDS) > now
}

/// Remembers a command that was just done, and forgets what is too old or too much.
pub fn remember(view: View<'_>, action: Action, asked: &Idempotency, outcome: Vec<Uuid>, now: Timestamp) -> Change<()> {
    let principal = view.viewer().principal();
    let mut draft = Draft::new(view.state(), action);
    let known: Vec<_> = view.state().receipts_of(principal).cloned().collect();
    let surplus = (known.len() + 1).saturating_sub(RECEIPTS_MAX);
    for (n, receipt) in known.iter().enumerate() {
        if n < surplus || !is_fresh(receipt, now) {
            draft.forget(receipt.id);
        }
    }
    let id = receipt_id(principal, &asked.key);
    draft.remember(Receipt { id, principal, input_digest: asked.input_digest, outcome, at: now });
    draft.done(())
}
