//! Every bound of the server as a named constant, units last, each with its reason.
//! Never holds defaults that a user configures: those stand with the flags.

use std::num::NonZeroU32;

/// The largest size of one journal segment before a new one is begun, in bytes.
/// Large enough that a busy day makes few files, small enough to copy and compact one at a time.
pub const JOURNAL_SEGMENT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How many commits one batch written to the index covers at most.
/// Each batch carries its own checkpoint, so that catching up progresses even under a crash loop.
pub const INDEX_BATCH_COMMITS_MAX: usize = 2_000;

/// How many bytes of values one batch written to the index holds at most, beyond its last group: a
/// commit may carry a thousand records, and the index needs several times their size while it writes.
pub const INDEX_BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Values above this size are stored in the index in chunks, in bytes: sled moves larger ones to
/// blob files that it never syncs.
pub const INDEX_VALUE_BYTES_MAX: usize = 8 * 1024;

/// The longest name of anything, in characters.
pub const NAME_CHARACTERS_MAX: usize = 200;

/// The longest text of one field, comment or reason, in characters.
pub const TEXT_CHARACTERS_MAX: usize = 20_000;

/// The longest key that a node or a client names, in characters.
pub const KEY_CHARACTERS_MAX: usize = 100;

/// How many values one list field holds at most.
pub const FIELD_VALUES_MAX: usize = 100;

/// How many step moves one save carries at most.
pub const STEP_MOVES_MAX: usize = 50;

/// Of how many items an answer remembers what its caller may do: a page with what it shows. Past that it asks anew.
pub const KNOWN_ITEMS_MAX: usize = 1_024;

/// How many levels of parents roles are inherited through.
pub const INHERITANCE_LEVELS_MAX: usize = 4;

/// How many rows one sync batch carries at most.
pub const SYNC_ROWS_MAX: usize = 1_000;

/// How many objects follow one object's change at most (children governed or archived in one commit).
pub const CONSEQUENCES_MAX: usize = 1_000;

/// The largest page of a connection, in rows.
pub const PAGE_ROWS_MAX: usize = 100;

/// The page of a connection where the caller names no size, in rows.
pub const PAGE_ROWS_DEFAULT: usize = 25;

/// Up to this many rows `totalCount` is exact; past it the count says "more than".
pub const TOTAL_COUNT_EXACT_MAX: usize = 1_000;

/// How long a command with an idempotency key is remembered, in seconds.
pub const RECEIPT_LIFETIME_SECONDS: i64 = 24 * 60 * 60;

/// How many commands with idempotency keys are remembered for one principal.
pub const RECEIPTS_MAX: usize = 10_000;

/// How long an access token is accepted, in seconds.
pub const ACCESS_TOKEN_LIFETIME_SECONDS: i64 = 10 * 60;

/// How many passwords one place may try for one account at once; then one every 30 seconds.
pub const SIGN_INS_OF_ACCOUNT_HERE_BURST: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);

/// How many passwords may be tried for one account at once, wherever from; then one every 6 seconds. Fifty times as
/// many as anybody mistypes, and still no more than 14,400 guesses a day.
pub const SIGN_INS_OF_ACCOUNT_BURST: NonZeroU32 = NonZeroU32::MIN.saturating_add(49);

/// How many passwords one place may try at once, whosever; then one a second. An office behind one address signs in
/// on a Monday morning.
pub const SIGN_INS_FROM_ADDRESS_BURST: NonZeroU32 = NonZeroU32::MIN.saturating_add(99);

/// How many accounts or places are remembered before those that have waited long enough are forgotten.
pub const THROTTLED_KEYS_MAX: usize = 100_000;

/// How often the index is looked at when nothing is written to it, in milliseconds: one that failed is replaced then.
pub const INDEX_LOOK_MILLISECONDS: u64 = 250;

/// How many looks are let pass before a rebuild of the index that failed is tried again: about five seconds.
pub const INDEX_REBUILD_PAUSES: u32 = 20;

/// How long a tenant that is to be loaded waits for the index to be rebuilt, in seconds.
pub const INDEX_REBUILD_SECONDS_MAX: u64 = 60;

/// How many access tokens are remembered as verified; each takes about 150 bytes.
pub const TOKENS_VERIFIED_MAX: usize = 10_000;

/// How often an event stream on which nothing happens shows that it lives, in seconds: proxies end silent ones.
pub const STREAM_HEARTBEAT_SECONDS: u64 = 15;

/// How long a session can be refreshed, in seconds.
pub const SESSION_LIFETIME_SECONDS: i64 = 30 * 24 * 60 * 60;

/// How long a refresh token that was just used answers its successor again, in seconds: whoever lost the answer on the
/// way, or asked from two windows at once, is no thief.
pub const REFRESH_GRACE_SECONDS: i64 = 10;

/// How many keys that signed access tokens are kept at most, the present one among them.
pub const TOKEN_KEYS_MAX: usize = 16;

/// The longest credential that is looked at, in bytes; this server's own have a few hundred.
pub const CREDENTIAL_BYTES_MAX: usize = 4 * 1024;

/// How often it is looked whether something that sockets were opened with has ended by itself, in milliseconds: soon
/// enough to close within a second, and one look for all sockets of an organisation.
pub const SOCKET_STANDING_MILLISECONDS: u64 = 250;

/// How many listen on one channel and so are woken together, two for a socket with one subscription. After each such
/// group everybody else's work comes first: a request that comes meanwhile waits for so many deliveries at most.
pub const HERALD_WOKEN_TOGETHER: usize = 32;

/// How long a one-time password link is accepted, in seconds.
pub const PASSWORD_LINK_LIFETIME_SECONDS: i64 = 60 * 60;

/// How far a token's times may lie apart from the server's clock, in seconds.
pub const TOKEN_LEEWAY_SECONDS: i64 = 30;

/// How many sessions one user has at most; the oldest ends where one more begins.
pub const SESSIONS_OF_USER_MAX: usize = 50;

/// How many roles an organisation has at most: each is looked for where rights are, and people choose from the list.
pub const ROLES_MAX: usize = 500;

/// How many rules give roles on one type, or on one item, at most: every look at an item asks all of them.
pub const RULES_OF_SCOPE_MAX: usize = 200;

/// How many actors, and how many criteria, one assignment rule has at most; groups hold more people.
pub const RULE_PARTS_MAX: usize = 100;

/// How many members one group has at most.
pub const GROUP_MEMBERS_MAX: usize = 10_000;

/// How deep groups lie in groups at most, the outermost counted.
pub const GROUP_LEVELS_MAX: usize = 8;

/// How many people one command changes or deletes at most.
pub const USER_ROWS_MAX: usize = 100;

/// How long an administrator acts as somebody else before he must say so again, in seconds.
pub const IMPERSONATION_LIFETIME_SECONDS: i64 = 60 * 60;

/// How far ahead the old secret of a rotated key may still end, in seconds: long enough for the slowest roll-out.
pub const KEY_OVERLAP_SECONDS_MAX: i64 = 30 * 24 * 60 * 60;

/// How exactly it is kept when an API key was last used, in milliseconds: to the hour, so that most requests change nothing.
pub const KEY_USE_MILLISECONDS: i64 = 60 * 60 * 1_000;

/// The longest e-mail address, in bytes (RFC 5321).
pub const EMAIL_BYTES_MAX: usize = 254;

/// How many passwords wait to be hashed at most; each takes tens of milliseconds and 19 MiB while it is worked on.
pub const PASSWORDS_WAITING_MAX: usize = 32;

/// The shortest password, in characters.
pub const PASSWORD_CHARACTERS_MIN: usize = 12;

/// The longest password, in characters: what is hashed is bounded.
pub const PASSWORD_CHARACTERS_MAX: usize = 256;

/// How many of the journal's segment files readers keep open at once.
pub const JOURNAL_FILES_OPEN_MAX: usize = 64;

/// How much memory the index may use as its cache, in bytes. sled's own default is a gigabyte.
pub const INDEX_CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// How many commands one group of the journal holds at most.
pub const GROUP_COMMANDS_MAX: usize = 512;

/// The size from which a piece of an exported file is handed on, in bytes: what is held in memory is bounded.
pub const EXPORT_PIECE_BYTES: usize = 1024 * 1024;

/// How many organisations are exported at a time at most: each keeps the disk busy.
pub const EXPORTS_MAX: usize = 2;

/// The size from which an import ends a group of the journal, in bytes: what is held in memory is bounded.
pub const IMPORT_GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Up to this size a doctor reads the whole journal unasked, in bytes: a few seconds.
pub const DOCTOR_JOURNAL_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Below this much free space a doctor warns, in bytes: some days of journal and index.
pub const FREE_BYTES_WARNED: u64 = 1024 * 1024 * 1024;

/// How many commands of one tenant wait for the writer at most; more are answered with an overload.
pub const QUEUE_COMMANDS_MAX: usize = 4_096;

/// How many groups wait for the index at most; past that the writer waits for it.
pub const INDEX_GROUPS_WAITING_MAX: usize = 4_096;

/// How long the index waits for more before it writes a batch, in milliseconds.
pub const INDEX_BATCH_MILLISECONDS: u64 = 75;

/// After how much idling a sealing group marks what was acknowledged, in milliseconds.
pub const JOURNAL_SEAL_MILLISECONDS: u64 = 1_000;

/// How many of a tenant's newest commits stay in memory, at least those that the index does not have yet.
pub const TAIL_COMMITS_MAX: usize = 1_000;

/// How many commits lie at least between two versions of a tenant that are kept for those who read on from a cursor.
pub const PAST_COMMITS_BETWEEN_MARKS: u64 = 64;

/// How many such versions of a tenant are kept at most: as far back as its newest commits stay in memory. Each weighs
/// what was changed since.
pub const PAST_MARKS_MAX: usize = 16;

/// How many of a tenant's readers may read its history anew from the beginning at a time: each has a whole state.
pub const REREADERS_MAX: usize = 2;

/// How long whoever reads from an old cursor waits for his turn, in seconds.
pub const REREADING_SECONDS_MAX: u64 = 60;

/// After how much idling a tenant's state is let go, in seconds.
pub const TENANT_IDLE_SECONDS: i64 = 600;

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

/// How many fields of a document may lie in one another. The introspection query of the common clients has 13.
pub const DOCUMENT_LEVELS_MAX: usize = 30;

/// How many aliases a document may have once every fragment is expanded. People who compare things alias them by hand.
pub const DOCUMENT_ALIASES_MAX: usize = 500;

/// How many directives a document may have once every fragment is expanded.
pub const DOCUMENT_DIRECTIVES_MAX: usize = 200;

/// How many fields of the schema's root one operation may ask: each looks things up anew.
pub const DOCUMENT_ROOT_FIELDS_MAX: usize = 100;

/// About how many documents are kept that were found valid. An application has dozens.
pub const DOCUMENTS_KEPT_MAX: usize = 1_000;

/// How many bytes of text the kept documents have at most. Read, a document takes about forty times its text.
pub const DOCUMENTS_KEPT_BYTES_MAX: u64 = 512 * 1024;

/// The most points that one operation may cost. A point is about a microsecond of a processor: nobody holds one for much
/// longer than a tenth of a second, and a full page with twenty fields of each row, or the whole schema, is under it.
pub const OPERATION_COST_MAX: u64 = 100_000;

/// How long a client may take to read or answer before its request or socket is given up, in seconds.
pub const REQUEST_SECONDS_MAX: u64 = 30;
/// How much of a body that was refused is read on, in bytes: four times what is taken, so that whoever sends a little too
/// much sees why, and whoever sends without end does not keep the server busy.
pub const REFUSED_BYTES_MAX: usize = 4 * REQUEST_BYTES_MAX;
/// How long that is read on, in seconds.
pub const REFUSED_SECONDS_MAX: u64 = 5;

/// How many connections are open at most. An idle one takes some ten kilobytes; a burst of that many still fits a
/// small machine.
pub const CONNECTIONS_MAX: usize = 16_384;

/// Which part of the connections one address may have at most, as a divisor: behind a proxy all of them come from one
/// address, and still one machine alone must not take every place.
pub const CONNECTIONS_OF_ADDRESS_DIVISOR: usize = 2;

/// How many descriptors connections leave alone: the journal's segments that are read, the index, the keys, exports,
/// the runtime, and those that are turned away.
pub const DESCRIPTORS_KEPT: usize = 256;

/// The least number of connections worth a start.
pub const CONNECTIONS_MIN: usize = 64;

/// How many connections beyond the allowed ones are told so at a time; others are closed without a word.
pub const CONNECTIONS_TURNED_AWAY_MAX: usize = 64;

/// How long whoever is turned away may take to read that, in seconds.
pub const TURNED_AWAY_SECONDS_MAX: u64 = 1;

/// How long a client may take to send the head of a request, or to greet (TLS), in seconds.
pub const HEAD_SECONDS_MAX: u64 = 10;

/// The largest head of a request, in bytes: a query in the address and a credential fit, and what half a head holds of
/// memory is bounded.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;

/// How many bytes of one connection are read ahead, or wait to be written beside the answer itself, at most.
pub const CONNECTION_BUFFER_BYTES_MAX: usize = 32 * 1024;

/// How long a connection is kept for another request, in seconds: longer than the minute of common proxies, so that
/// they close it first and never send a request into an end.
pub const KEEP_ALIVE_SECONDS: u64 = 75;

/// How long nobody is accepted after the system had no room for a connection, in milliseconds: trying at once again
/// would do nothing but turn a processor.
pub const ACCEPT_PAUSE_MILLISECONDS: u64 = 250;

/// How many requests are executed at a time: two full groups of the journal, so that one gathers while the other is
/// made durable.
pub const REQUESTS_RUNNING_MAX: usize = 2 * GROUP_COMMANDS_MAX;

/// How many more wait for their turn; past that whoever asks is told at once to come again.
pub const REQUESTS_WAITING_MAX: usize = 1_024;

/// How long a request waits for its turn, in milliseconds: longer would only move the queue from the client here.
pub const REQUEST_WAITING_MILLISECONDS_MAX: u64 = 1_000;

/// Up to this size a request's body is read without asking for room, in bytes: most are smaller.
pub const BODY_BYTES_FREE: usize = 8 * 1024;

/// How much memory larger bodies may take that are still arriving or waiting, all together, in bytes.
pub const BODIES_BYTES_MAX: usize = 32 * 1024 * 1024;

/// How often the certificate's files are looked at, in seconds.
pub const CERTIFICATE_LOOK_SECONDS: u64 = 5;

/// How many connections one person or key may listen on: more than any bot or browser opens, and one that leaks them
/// does not take everybody's.
pub const SOCKETS_OF_PRINCIPAL_MAX: u64 = 1_000;

/// How long a socket may wait before it says who it is, in seconds.
pub const SOCKET_INIT_SECONDS_MAX: u64 = 3;

/// How often a socket is asked whether it is still there, in seconds.
pub const SOCKET_PING_SECONDS: u64 = 12;

/// How many bytes a socket reads at once; it holds room for them only while a message comes or goes.
pub const SOCKET_READ_BYTES: usize = 1_024;

/// How many bytes the kernel keeps of what is pushed to a client and he has not read; it doubles this for its own
/// records. What comes after that waits in the log. An event seldom has more than one kilobyte.
pub const PUSHED_BYTES_MAX: usize = 16 * 1024;

/// How many operations may run on one socket at a time.
pub const SOCKET_OPERATIONS_MAX: usize = 50;

/// How long a stopping server waits for requests and sockets to end, in seconds.
pub const STOP_SECONDS_MAX: u64 = 10;

/// How many commits one reader of events holds in memory at once.
pub const EVENT_BATCH_COMMITS: usize = 128;

/// How many commits one page of events reads at most, where a filter leaves most of them out;
/// past that the page ends early, with a cursor to go on from.
pub const EVENT_PAGE_COMMITS_MAX: usize = 10_000;

/// After how much silence a subscriber is told how far the log has been read, in seconds.
pub const EVENT_CHECKPOINT_SECONDS: u64 = 30;

/// How many things that were told lately one subscription's document keeps in words, and how many bytes of them, at
/// most: as far as those who hear the same lie apart.
pub const TOLD_MAX: usize = 16;
/// See [`TOLD_MAX`].
pub const TOLD_BYTES_MAX: usize = 64 * 1024;

/// How long closing the store waits for its last reader, in milliseconds; without it the next start checks more.
pub const STORE_CLOSE_MILLISECONDS_MAX: u64 = 2_000;

/// The least history that is kept, in months.
pub const RETENTION_MONTHS_MIN: u32 = 6;
