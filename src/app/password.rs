//! Hashing and verifying passwords: Argon2id on two threads of its own, before which a bounded line waits.
//! Never tells by its time whether there was a password to verify.

use super::{Failed, Fault};
use crate::{domain::session::Password, limits::PASSWORDS_WAITING_MAX};
use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
};
use tokio::sync::oneshot;

/// Each password in work takes this much memory, in KiB: what OWASP asks of Argon2id at the least, with two passes.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// More threads would take the processor from everybody who is signed in already.
const THREADS: usize = 2;

/// Why hashing cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The machine gave no thread.
    #[error("the threads that hash passwords cannot be started: {0}")]
    Thread(#[from] io::Error),
    /// The machine gave no randomness, or the parameters are out of range.
    #[error("passwords cannot be hashed: {0}")]
    Hash(#[from] argon2::password_hash::Error),
    /// The parameters are out of range.
    #[error("passwords cannot be hashed: {0}")]
    Parameters(argon2::Error),
}

/// What verifying a password came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has another hash, or there was none to verify against.
    Wrong,
    /// It has this hash.
    Right {
        /// The same password under today's parameters, where the hash is from weaker ones.
        rehashed: Option<String>,
    },
}

type Job = Box<dyn FnOnce(&Argon2<'_>) + Send>;

/// The threads that hash passwords; they end when this is dropped.
pub struct Passwords {
    jobs: SyncSender<Job>,
    /// A hash that no password has: verified where a user has none, so that both take the same time.
    nobody: Arc<str>,
}

impl Passwords {
    /// Starts the threads.
    ///
    /// # Errors
    /// See [`PasswordError`].
    pub fn start() -> Result<Self, PasswordError> {
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(PasswordError::Parameters)?;
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut unknown = [0; 32];
        getrandom::fill(&mut unknown).map_err(|_| argon2::password_hash::Error::Crypto)?;
        let nobody = argon.hash_password(&unknown)?.to_string().into();
        let (jobs, line) = sync_channel(PASSWORDS_WAITING_MAX);
        let line = Arc::new(Mutex::new(line));
        for n in 0..THREADS {
            let (line, argon) = (Arc::clone(&line), argon.clone());
            std::thread::Builder::new().name(format!("password-{n}")).spawn(move || work(&line, &argon))?;
        }
        Ok(Self { jobs, nobody })
    }

    /// The password as Argon2id in PHC form, with a salt of its own.
    ///
    /// # Errors
    /// `Overloaded` when too many wait.
    pub async fn hash(&self, password: Password) -> Result<String, Failed> {
        let hashed = self.run(move |argon| argon.hash_password(password.bytes()).map(|hash| hash.to_string()));
        Ok(hashed.await?.map_err(|error| {
            tracing::error!(%error, "a password could not be hashed");
            Fault::Panicked
        })?)
    }

    /// Whether the password has this hash; without a hash it takes as long and says no.
    ///
    /// # Errors
    /// `Overloaded` when too many wait.
    pub async fn verify(&self, password: Option<Password>, hash: Option<String>) -> Result<Verdict, Failed> {
        let known = password.is_some() && hash.is_some();
        let hash = hash.unwrap_or_else(|| self.nobody.to_string());
        let verified = self.run(move |argon| {
            let bytes = password.as_ref().map(Password::bytes).unwrap_or_default();
            let hash = PasswordHash::new(&hash).ok()?;
            argon.verify_password(bytes, &hash).ok()?;
            // Where it cannot be hashed anew, the old hash is as good as it was.
            let anew = || argon.hash_password(bytes).ok().map(|hash| hash.to_string());
            Some(Verdict::Right { rehashed: is_weak(&hash).then(anew).flatten() })
        });
        Ok(verified.await?.filter(|_| known).unwrap_or(Verdict::Wrong))
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce(&Argon2<'_>) -> T + Send + 'static) -> Result<T, Fault> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |argon| {
            // Whoever has gone away needs no answer.
            answer.send(work(argon)).ok();
        });
        self.jobs.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(_) => Fault::Overloaded,
            TrySendError::Disconnected(_) => Fault::Stopping,
        })?;
        answered.await.map_err(|_| Fault::Panicked)
    }
}

/// Whether a hash cost less to make than one costs today.
fn is_weak(hash: &PasswordHash) -> bool {
    let current = hash.algorithm == Algorithm::Argon2id.ident() && hash.version == Some(Version::V0x13.into());
    let costly = |params: Params| params.m_cost() >= MEMORY_KIB && params.t_cost() >= PASSES;
    !(current && Params::try_from(hash).is_ok_and(costly))
}

fn work(line: &Mutex<Receiver<Job>>, argon: &Argon2<'_>) {
    loop {
        // The lock is let go before the work begins: the other thread takes the next job meanwhile.
        let next = line.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        job(argon);
    }
}
