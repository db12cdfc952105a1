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

/// The largest HTTP body and the largest WebSocket message, in bytes.
pub const REQUEST_BYTES_MAX: usize = 256 * 1024;

/// How deep the brackets of a document may nest. The engine's parser recurses: 2,000 levels, 4 KB, would
/// overflow its stack and end the process.
pub const DOCUMENT_DEPTH_MAX: usize = 64;

/// How many lexical tokens a document may have. The introspection query of the common clients has about 400.
pub const DOCUMENT_TOKENS_MAX: usize = 2_000;

/// How many fields a document may select once every fragment is expanded. A chain of fragments that each
/// spread the next one twice doubles this with every link.
pub const DOCUMENT_FIELDS_MAX: usize = 5_000;

/// How long a client may take to read or answer before its request or socket is given up, in seconds.
pub const REQUEST_SECONDS_MAX: u64 = 30;

/// How long a socket may wait before it says who it is, in seconds.
pub const SOCKET_INIT_SECONDS_MAX: u64 = 3;

/// How often a socket is asked whether it is still there, in seconds.
pub const SOCKET_PING_SECONDS: u64 = 12;

/// How many operations may run on one socket at a time.
pub const SOCKET_OPERATIONS_MAX: usize = 50;

/// How long a stopping server waits for requests and sockets to end, in seconds.
pub const STOP_SECONDS_MAX: u64 = 10;
