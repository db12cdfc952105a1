//! Bytes: the journal, the index, the keys, and the one writer that moves a tenant's state.
