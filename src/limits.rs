//! Every bound of the server as a named constant, units last, each with its reason.
//! Never holds defaults that a user configures: those stand with the flags.

/// The largest size of one journal segment before a new one is begun, in bytes.
/// Large enough that a busy day makes few files, small enough to copy and compact one at a time.
pub const JOURNAL_SEGMENT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How many commits one batch written to the index covers at most.
/// Each batch carries its own checkpoint, so that catching up progresses even under a crash loop.
pub const INDEX_BATCH_COMMITS_MAX: usize = 2_000;

/// Values above this size are stored in the index in chunks, in bytes: sled moves larger ones to
/// blob files that it never syncs.
pub const INDEX_VALUE_BYTES_MAX: usize = 8 * 1024;

/// How many of the journal's segment files readers keep open at once.
pub const JOURNAL_FILES_OPEN_MAX: usize = 64;

/// How much memory the index may use as its cache, in bytes. sled's own default is a gigabyte.
pub const INDEX_CACHE_BYTES: u64 = 64 * 1024 * 1024;
