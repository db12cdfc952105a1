//! The index as it is now. One that fails is taken away while the server goes on, and another one, made from the
//! journal, takes its place.
//! Never lets two be open at once: they would lie in one directory.

use super::index::{Index, IndexError};
use crate::limits::STORE_CLOSE_MILLISECONDS_MAX;
use arc_swap::ArcSwapOption;
use std::{
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// The index, or its place while it is being rebuilt.
pub(super) struct Current {
    index: ArcSwapOption<Index>,
    /// Somebody met an error in the index, and it is to be replaced.
    doubted: AtomicBool,
    /// How many times it was replaced; whoever waits for that is woken.
    replaced: Mutex<u64>,
    more: Condvar,
}

impl Current {
    pub(super) fn new(index: Index) -> Self {
        Self {
            index: ArcSwapOption::from_pointee(index),
            doubted: AtomicBool::new(false),
            replaced: Mutex::default(),
            more: Condvar::new(),
        }
    }

    /// The index.
    ///
    /// # Errors
    /// `Rebuilding` while there is none.
    pub(super) fn index(&self) -> Result<Arc<Index>, IndexError> {
        self.index.load_full().ok_or(IndexError::Rebuilding)
    }

    /// Says that the index failed; it is replaced soon.
    pub(super) fn doubt(&self, error: &IndexError) {
        // While there is none, its replacement is under way.
        let failed = !matches!(error, IndexError::Rebuilding);
        if failed && !self.doubted.swap(true, Ordering::AcqRel) {
            tracing::error!(%error, "the index failed; it is rebuilt from the journal");
        }
    }

    /// Whether the index failed and was not replaced yet.
    pub(super) fn is_doubted(&self) -> bool {
        self.doubted.load(Ordering::Acquire)
    }

    /// Closes the index, once everyone who reads it has done so; answers whether it is closed.
    pub(super) fn close(&self) -> bool {
        let Some(index) = self.index.swap(None) else { return true };
        match last_holder(index) {
            Ok(index) => {
                drop(index);
                true
            }
            Err(held) => {
                self.index.store(Some(held));
                false
            }
        }
    }

    /// Puts another index in place.
    pub(super) fn replace(&self, index: Index) {
        self.index.store(Some(Arc::new(index)));
        self.doubted.store(false, Ordering::Release);
        *self.replaced.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.more.notify_all();
    }

    /// How many times the index was replaced so far.
    pub(super) fn generation(&self) -> u64 {
        *self.replaced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the index is another one than that generation; answers whether it is.
    pub(super) fn wait_beyond(&self, generation: u64, patience: Duration) -> bool {
        let replaced = self.replaced.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.more.wait_timeout_while(replaced, patience, |replaced| *replaced <= generation);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// The index, when nobody else holds it any more.
    pub(super) fn into_index(self) -> Option<Index> {
        self.index.into_inner().and_then(|index| last_holder(index).ok())
    }
}

/// What is left once every other holder is gone: one that was told to stop may need a moment.
pub(super) fn last_holder<T>(mut held: Arc<T>) -> Result<T, Arc<T>> {
    for _ in 0..STORE_CLOSE_MILLISECONDS_MAX {
        held = match Arc::try_unwrap(held) {
            Ok(last) => return Ok(last),
            Err(held) => held,
        };
        std::thread::sleep(Duration::from_millis(1));
    }
    Err(held)
}
