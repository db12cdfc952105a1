//! Bytes: the journal, the index, the keys, and the one writer that moves a tenant's state.
//! Never decides who may do what: it commits what `domain` made, and shows what is durable.

pub mod audit;
pub mod backup;
mod behind;
mod check;
pub mod cipher;
pub mod codec;
mod compact;
mod compression;
mod current;
pub mod disk;
pub mod doctor;
mod fault;
mod figures;
mod follower;
mod handle;
pub mod index;
pub mod journal;
pub mod keys;
pub mod lock;
mod machine;
mod open;
mod past;
mod queue;
mod quota;
mod replay;
mod signing;
mod slot;
mod steps;
pub mod transfer;
mod turn;
mod uses;
mod writer;

pub use check::{Checked, check, check_on};
pub use compact::{CompactError, Compacted, Retention, compact};
pub use fault::{Failed, Fault};
pub use figures::{Figures, note_backup};
pub use handle::{Committed, Data, History};
pub use machine::{Machine, OpenDisk, Progress, Unwatched};
pub use open::{OpenError, Store, reindex};
pub use past::Reading;
pub use slot::{Entry, Snapshot};
pub use steps::Steps;
pub use turn::Turn;
