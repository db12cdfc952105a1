//! Figures for whoever runs the server: those of the store, and how often the gate let content pass.
//! Never names an organisation.

use super::{App, Committed, Failed};
use crate::{domain::refusal::Refusal, store};
use std::sync::atomic::{AtomicU64, Ordering};

/// What the application did since it began, and how it stands.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// The store's.
    pub store: store::Figures,
    /// How often the gate let content pass.
    pub gate_passed: u64,
    /// How often it refused.
    pub gate_refused: u64,
}

/// What is counted.
#[derive(Debug, Default)]
pub(super) struct Gate {
    passed: AtomicU64,
    refused: AtomicU64,
}

impl App {
    /// What was done, and how it stands.
    pub fn figures(&self) -> Figures {
        Figures {
            store: self.store.figures(),
            gate_passed: self.inner.gate.passed.load(Ordering::Relaxed),
            gate_refused: self.inner.gate.refused.load(Ordering::Relaxed),
        }
    }

    /// Counts what the gate decided; what failed before it was asked is no decision.
    pub(super) fn gated<T>(
        &self,
        answer: Result<Committed<Result<T, Refusal>>, Failed>,
    ) -> Result<Committed<Result<T, Refusal>>, Failed> {
        if let Ok(committed) = &answer {
            let gate = &self.inner.gate;
            let counter = if committed.outcome.is_ok() { &gate.passed } else { &gate.refused };
            counter.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }
}
