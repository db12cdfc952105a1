//! Every setting of a server in one table: name, type, default, and what it is for. Its flag and its variable follow
//! from the name, and so does its line in the file: `data_dir` is `--data-dir` and `COUNTERSIGN_DATA_DIR`.
//! Never holds a secret, only the names of files that do: a flag stands in every list of processes.

mod file;
mod flags;
mod sources;
mod value;

use self::value::{LogFilter, Value};
pub(super) use self::{
    flags::{DataDirectory, Flags},
    sources::{Problem, Problems, Resolved, Source, flag, variable, variables_unread},
    value::{Kind, LogFormat},
};
use crate::{
    graphql::Introspection,
    http::{Network, Origin},
};
use std::{net::SocketAddr, path::PathBuf};

/// A row of the table.
pub(super) struct Setting {
    /// Its name in the file.
    pub(super) key: &'static str,
    /// What a value looks like, in a word or two.
    pub(super) wanted: &'static str,
    /// What a value is in the file.
    pub(super) kind: Kind,
    /// Whether it takes several values.
    pub(super) many: bool,
    /// As it would be written in a variable; empty where there is none.
    pub(super) default: &'static str,
    /// What it is for, in Markdown.
    pub(super) help: &'static str,
    /// Whether these values can be read.
    check: fn(&[String]) -> Result<(), String>,
}

/// Makes the table and the struct that holds what was told, so that no setting stands in one of them only.
macro_rules! settings {
    ($($(#[doc = $help:literal])+ $key:ident: $type:ty = $default:literal,)+) => {
        /// What a server is told.
        pub(super) struct Settings {
            $($(#[doc = $help])+ pub(super) $key: $type,)+
        }

        /// Every setting.
        pub(super) const TABLE: &[Setting] = &[$(Setting {
            key: stringify!($key),
            wanted: <$type as Value>::WANTED,
            kind: <$type as Value>::KIND,
            many: <$type as Value>::MANY,
            default: $default,
            help: concat!($($help),+),
            check: |texts| <$type as Value>::read(texts).map(|_| ()),
        },)+];

        impl Settings {
            fn of(resolved: &Resolved) -> Result<Self, Problem> {
                Ok(Self { $($key: resolved.value::<$type>(stringify!($key))?,)+ })
            }
        }
    };
}

settings! {
    /// Where to listen; port 0 takes a free one and prints it.
    listen: SocketAddr = "127.0.0.1:4280",
    /// Where everything is kept; made where it is missing.
    data_dir: PathBuf = "countersign-data",
    /// What is logged to standard error: `error`, `warn`, `info`, `debug`, or finer, as `warn,countersign::store=debug`.
    log: LogFilter = "warn",
    /// How log lines are written: `text`, or `json`, one object a line.
    log_format: LogFormat = "text",
    /// Queries and mutations that take as many milliseconds are logged as warnings; 0: none is.
    slow_operation_milliseconds: u64 = "1000",
    /// Where `/metrics` is served for Prometheus, to everyone who reaches it; nowhere where nothing is named.
    metrics_listen: Option<SocketAddr> = "",
    /// The certificate to serve with, and its chain (PEM); read again whenever the file changes.
    tls_cert: Option<PathBuf> = "",
    /// The certificate's private key (PEM, without a passphrase).
    tls_key: Option<PathBuf> = "",
    /// Whose pages may open sockets and read answers here beside the server's own.
    allow_origin: Vec<Origin> = "",
    /// The proxies that are believed when they say for whom they ask (`X-Forwarded-For`).
    trusted_proxy: Vec<Network> = "",
    /// How many connections there may be at most: 1 or more, and fewer where the process may open fewer files.
    connections: u32 = "16384",
    /// How many of them one address may have that is no trusted proxy's; an IPv6 address stands for its /64. Half of them
    /// where nothing is named.
    connections_of_address: Option<u32> = "",
    /// How many points of what operations cost (about a microsecond of a processor each) one person or API key may spend
    /// in a minute; 0 for as many as she likes. The default is a tenth of one processor.
    budget_principal: u32 = "6000000",
    /// The same for all of an organisation together. The default is half a processor.
    budget_organisation: u32 = "30000000",
    /// The same for everybody at one address who is not signed in; an IPv6 address stands for its /64. The default is a
    /// hundredth of a processor.
    budget_address: u32 = "600000",
    /// To whom the schema is described: `signed-in`, `everyone` or `nobody`.
    introspection: Introspection = "signed-in",
    /// A file of documents that clients ask by their ids: an object of documents by `sha256:` and their digests, or an
    /// Apollo persisted query manifest.
    documents: Option<PathBuf> = "",
    /// Whether only those documents are executed.
    documents_only: bool = "false",
}

impl Settings {
    /// What of it can be read and still cannot be done: a setting, what is wrong with it, and what to do.
    fn wrong_together(&self) -> Vec<(&'static str, String, &'static str)> {
        let mut wrong = vec![];
        let mut must = |holds: bool, key, what: &str, remedy| {
            if !holds {
                wrong.push((key, format!("{key} {what}"), remedy));
            }
        };
        let (certificate, key) = (self.tls_cert.is_some(), self.tls_key.is_some());
        must(key || !certificate, "tls_cert", "names a certificate without its key", "name its key, too, with tls_key");
        must(certificate || !key, "tls_key", "names a key without its certificate", "name that, too, with tls_cert");
        let (only, documents) = (self.documents_only, self.documents.is_some());
        must(documents || !only, "documents_only", "executes nothing but a file's", "name the file with documents");
        let nobody = "is 0, and then nobody could connect";
        must(self.connections != 0, "connections", nobody, "name 1 or more");
        must(self.connections_of_address != Some(0), "connections_of_address", nobody, "name 1 or more");
        wrong
    }
}

/// The setting of this name.
fn setting(key: &str) -> Option<&'static Setting> {
    TABLE.iter().find(|setting| setting.key == key)
}
