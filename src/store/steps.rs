//! What the store's threads do, as steps: the threads run them in loops, a simulation one by one.
//! Never does anything that the threads do not do.

use super::{Store, behind::Loader, figures::Measured, follower::Follower, journal::FileJournal, writer::Writer};
use std::{io, thread::JoinHandle, time::Duration};

/// The writer, the index behind it and the loader of tenants, each waiting for its next step.
/// Dropping them is a kill: what they had not done is not done.
pub struct Steps {
    pub(super) writer: Writer<Measured<FileJournal>>,
    pub(super) follower: Follower,
    pub(super) loader: Loader,
}

impl Steps {
    /// Gives each a thread of its own.
    pub(super) fn start(self) -> io::Result<Vec<JoinHandle<()>>> {
        let Self { writer, follower, loader } = self;
        let named = |name: &str| std::thread::Builder::new().name(name.to_owned());
        Ok(vec![
            named("writer").spawn(move || writer.run())?,
            named("index").spawn(move || follower.run())?,
            named("loader").spawn(move || loader.run())?,
        ])
    }

    /// The writer's next turn: all commands that wait become one group, or one call is answered. When nothing
    /// waits, the writer idles: it seals the journal and lets tenants go.
    pub fn write(&mut self) {
        // Whether the writer would go on is asked by `close` alone.
        self.writer.step(Duration::ZERO);
    }

    /// Brings the index up to the journal, as far as one batch reaches; answers whether it was behind.
    pub fn index(&mut self) -> bool {
        self.follower.step()
    }

    /// Loads the next tenant that the writer asked for; answers whether there was one.
    pub fn load(&mut self) -> bool {
        self.loader.step()
    }

    /// As [`Store::close`].
    pub fn close(self, store: Store) {
        let Self { mut writer, follower, loader } = self;
        store.stop();
        while writer.step(Duration::ZERO) {
            loader.step();
        }
        // Seals, and lets the index have the rest.
        writer.run();
        follower.run();
        drop(loader);
        store.close();
    }
}
