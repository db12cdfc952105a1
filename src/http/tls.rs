//! TLS from two files: a certificate with its chain, and its key. Whoever renews them replaces the files; the next
//! connection has the new ones, and those that are open go on.
//! Never serves a pair that does not fit: the one before stays, and the log says why.

use crate::limits::CERTIFICATE_LOOK_SECONDS;
use rustls::{
    ServerConfig,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use sha2::{Digest, Sha256};
use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{net::TcpStream, sync::Notify, time::timeout};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// Where the certificate and its key are.
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    /// PEM: the server's certificate first, then what leads to its root.
    pub certificate: PathBuf,
    /// PEM: PKCS#8, PKCS#1 or SEC1, not encrypted.
    pub key: PathBuf,
}

/// Why a certificate cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{} cannot be read: {error}", file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// There is no certificate in the file.
    #[error("{} holds no certificate in PEM (-----BEGIN CERTIFICATE-----): {reason}", .file.display())]
    NoCertificate {
        /// Which.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no key in the file.
    #[error("{} holds no private key in PEM without a passphrase (-----BEGIN PRIVATE KEY-----): {reason}", .file.display())]
    NoKey {
        /// Which.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The two do not fit, or are of a kind that is not known here.
    #[error("the certificate in {} cannot be served with the key in {}: {reason}", .certificate.display(), .key.display())]
    Unfit {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong with them.
        reason: String,
    },
}

/// What new connections are served with. Clones share it.
#[derive(Clone, Debug)]
pub struct Tls {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    files: CertificateFiles,
    serving: Mutex<Serving>,
    look: Notify,
}

#[derive(Debug)]
struct Serving {
    config: Arc<ServerConfig>,
    /// Of both files as they were last looked at, whether or not they could be served.
    seen: [u8; 32],
}

impl Tls {
    /// Reads a certificate and its key.
    ///
    /// # Errors
    /// When they cannot be served; with the file and the reason.
    pub fn open(files: CertificateFiles) -> Result<Self, TlsError> {
        let (certificate, key) = read(&files)?;
        let config = config(&files, &certificate, &key)?;
        warn_of_readers(&files.key);
        let serving = Mutex::new(Serving { config, seen: digest(&certificate, &key) });
        Ok(Self { shared: Arc::new(Shared { files, serving, look: Notify::new() }) })
    }

    /// Looks at the files now, not only in a few seconds.
    pub fn look_now(&self) {
        self.shared.look.notify_one();
    }

    /// Looks at the files every few seconds and when asked to; never ends.
    pub(super) async fn follow_files(&self) {
        loop {
            // Either is a reason to look.
            let _ = timeout(Duration::from_secs(CERTIFICATE_LOOK_SECONDS), self.shared.look.notified()).await;
            let this = self.clone();
            if tokio::task::spawn_blocking(move || this.look()).await.is_err() {
                tracing::error!("looking at the certificate panicked");
            }
        }
    }

    /// Greets a new connection.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = Arc::clone(&self.serving().config);
        TlsAcceptor::from(config).accept(stream).await
    }

    /// Serves what the files hold now. The two are never replaced at the same moment: a pair that does not fit is told
    /// once, and looked at again when either has changed.
    fn look(&self) {
        let files = &self.shared.files;
        let pair = match read(files) {
            Ok(pair) => pair,
            Err(error) => return tracing::warn!(%error, "the certificate from before is served on"),
        };
        let seen = digest(&pair.0, &pair.1);
        if self.serving().seen == seen {
            return;
        }
        match config(files, &pair.0, &pair.1) {
            Ok(config) => {
                *self.serving() = Serving { config, seen };
                warn_of_readers(&files.key);
                tracing::info!(file = %files.certificate.display(), "a new certificate is served");
            }
            Err(error) => {
                self.serving().seen = seen;
                tracing::warn!(%error, "the certificate from before is served on");
            }
        }
    }

    fn serving(&self) -> std::sync::MutexGuard<'_, Serving> {
        self.shared.serving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(files: &CertificateFiles) -> Result<(Vec<u8>, Vec<u8>), TlsError> {
    let read = |file: &Path| fs::read(file).map_err(|error| TlsError::Unreadable { file: file.to_path_buf(), error });
    Ok((read(&files.certificate)?, read(&files.key)?))
}

fn digest(certificate: &[u8], key: &[u8]) -> [u8; 32] {
    // Each is hashed alone, so that no bytes can move from one to the other unseen.
    Sha256::new().chain_update(Sha256::digest(certificate)).chain_update(Sha256::digest(key)).finalize().into()
}

fn config(files: &CertificateFiles, certificate: &[u8], key: &[u8]) -> Result<Arc<ServerConfig>, TlsError> {
    let no_certificate = |reason: String| TlsError::NoCertificate { file: files.certificate.clone(), reason };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
    let chain = chain.map_err(|error| no_certificate(error.to_string()))?;
    if chain.is_empty() {
        return Err(no_certificate("nothing of that kind is in it".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| TlsError::NoKey { file: files.key.clone(), reason: error.to_string() })?;
    let unfit = |error: rustls::Error| TlsError::Unfit {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
        reason: error.to_string(),
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unfit)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(unfit)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Whoever reads the key can pose as this server; a wrong mode is the operator's to mend, not a reason to be away.
fn warn_of_readers(key: &Path) {
    if fs::metadata(key).is_ok_and(|found| found.permissions().mode() & 0o007 != 0) {
        tracing::warn!(file = %key.display(), "everyone on this machine may read the certificate's key: chmod o= it");
    }
}
