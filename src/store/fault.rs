//! Why a command was not done: not allowed, against a rule, or because the machine could not.
//! Never shows a caller what the machine said: that goes to the log.

use crate::domain::{
    access::{Denied, Stopped},
    refusal::Refusal,
};

/// What the machine could not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The disk is full: nothing was written, and reads go on.
    #[error("the disk is full; nothing was changed")]
    StorageFull,
    /// The disk refused a write: nothing was written.
    #[error("the disk refused the write; nothing was changed")]
    Refused,
    /// The disk failed in a sync: whether the command is durable will be known after a restart.
    #[error("the outcome is unknown; ask again after the server was restarted")]
    OutcomeUnknown,
    /// Writing stopped after a failed sync, until a restart.
    #[error("the server does not write any more; an operator has to restart it")]
    Stopped,
    /// Too many commands of this tenant are waiting.
    #[error("too many commands of this organisation are waiting; try again")]
    Overloaded,
    /// The server is stopping.
    #[error("the server is stopping; try again")]
    Stopping,
    /// The command broke down; nothing of it was done.
    #[error("the command broke down; nothing was changed")]
    Panicked,
    /// The command drafted two changes from one state.
    #[error("the command contradicts itself; nothing was changed")]
    Overtaken,
    /// The index failed and is being rebuilt from the journal.
    #[error("the index is being rebuilt; try again in a moment")]
    Rebuilding,
    /// A record could not be read, decrypted or written.
    #[error("a record cannot be read")]
    Unreadable,
}

/// Why a command did nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failed {
    /// The caller may not.
    Denied(Denied),
    /// A rule refuses it.
    Refused(Refusal),
    /// The machine could not.
    Fault(Fault),
}

impl From<Denied> for Failed {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Stopped> for Failed {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Denied(denied) => Self::Denied(denied),
            Stopped::Refused(refusal) => Self::Refused(refusal),
        }
    }
}
