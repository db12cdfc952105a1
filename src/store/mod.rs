//! Bytes: the journal, the index, the keys, and the one writer that moves a tenant's state.

pub mod cipher;
pub mod codec;
pub mod disk;
pub mod index;
pub mod journal;
pub mod keys;
pub mod lock;
