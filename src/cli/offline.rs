//! Work on a data directory that no server uses: the store is opened, something is done, and it is closed again.
//! Never listens, and never leaves the store open.

use crate::{
    app::App,
    store::{Machine, Store},
};
use std::{error::Error, path::Path};

/// Opens a data directory, has something done with the application over it, and closes it.
pub(super) fn with_app<T>(
    directory: &Path,
    machine: &Machine,
    work: impl AsyncFnOnce(&App) -> Result<T, Box<dyn Error>>,
) -> Result<T, Box<dyn Error>> {
    let store = Store::open(directory, machine)?;
    let done = tokio::runtime::Runtime::new()?.block_on(async {
        let app = App::open(store.clone()).await?;
        work(&app).await
    });
    store.close();
    done
}
