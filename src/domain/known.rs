//! What one caller was found to be in one version, and which roles she has on its items: asked once, and true for as
//! long as both stay the same.
//! Never outlives the version or serves another caller: a snapshot holds it beside both.

use super::{
    access::{Denied, SystemActor, Viewer},
    caller::Caller,
    id::{ItemId, RoleId},
    identity::{ApiKey, User},
    policy::Rights,
    state::State,
};
use crate::limits::KNOWN_ITEMS_MAX;
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

/// What was found out. Empty at first.
#[derive(Default)]
pub struct Known {
    caller: OnceLock<Result<Resolved, Denied>>,
    rights: Memo<ItemId, Rights>,
    /// By how many levels of parents were asked, too: what lies further up gives nothing.
    roles: Memo<(ItemId, usize), BTreeSet<RoleId>>,
}

/// A caller that outlives the question.
struct Resolved {
    user: Option<Arc<User>>,
    impersonator: Option<Arc<User>>,
    key: Option<Arc<ApiKey>>,
    system: Option<SystemActor>,
    credential: bool,
}

/// Answers by question; the first [`KNOWN_ITEMS_MAX`] of them.
struct Memo<Q, A>(Mutex<HashMap<Q, Arc<A>>>);

impl<Q, A> Default for Memo<Q, A> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<Q: Eq + std::hash::Hash, A> Memo<Q, A> {
    /// The answer that is known, or the one found now. Two who ask at once may both look, and find the same.
    fn recall(&self, question: Q, find: impl FnOnce() -> A) -> Arc<A> {
        let answers = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = answers().get(&question).map(Arc::clone);
        known.unwrap_or_else(|| {
            let found = Arc::new(find());
            let mut answers = answers();
            if answers.len() < KNOWN_ITEMS_MAX {
                answers.insert(question, Arc::clone(&found));
            }
            found
        })
    }
}

impl Resolved {
    fn of(caller: Caller<'_>) -> Self {
        Self {
            user: caller.user.map(Arc::clone),
            impersonator: caller.impersonator.map(Arc::clone),
            key: caller.key.map(Arc::clone),
            system: caller.system,
            credential: caller.credential,
        }
    }

    const fn caller(&self) -> Caller<'_> {
        Caller {
            user: self.user.as_ref(),
            impersonator: self.impersonator.as_ref(),
            key: self.key.as_ref(),
            system: self.system,
            credential: self.credential,
            member_of: None,
        }
    }
}

impl Known {
    /// Who the viewer is in the version.
    ///
    /// # Errors
    /// As [`Caller::resolve`].
    pub(super) fn caller<'s>(&'s self, state: &State, viewer: &Viewer) -> Result<Caller<'s>, Denied> {
        let resolved = self.caller.get_or_init(|| Caller::resolve(state, viewer).map(Resolved::of));
        resolved.as_ref().map(Resolved::caller).map_err(|denied| *denied)
    }

    /// Her rights on an item of the version.
    pub(super) fn rights(&self, item: ItemId, find: impl FnOnce() -> Rights) -> Arc<Rights> {
        self.rights.recall(item, find)
    }

    /// Her roles on an item of the version, some levels of parents asked.
    pub(super) fn roles(
        &self,
        item: ItemId,
        levels: usize,
        find: impl FnOnce() -> BTreeSet<RoleId>,
    ) -> Arc<BTreeSet<RoleId>> {
        self.roles.recall((item, levels), find)
    }
}
