//! The process under load: the product, the floor and the naive server, each on a port of its own, over one data
//! set. Only one of them is asked at a time. It ends when its standard input does.

use crate::{
    floor,
    machine::{Fault, machine, now},
    naive,
    rows::Rows,
};
use countersign::{
    app::{App, Budgets},
    graphql::{self, Api},
    http,
    store::Store,
};
use serde::{Deserialize, Serialize};
use std::{
    io::{Read, Write},
    net::SocketAddr,
    path::Path,
};
use tokio::{net::TcpListener, sync::oneshot};

/// Where everything listens.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Addresses {
    pub(crate) product: SocketAddr,
    pub(crate) floor: SocketAddr,
    pub(crate) naive: SocketAddr,
}

/// Serves a data set, and says where on one line of JSON.
pub(crate) async fn serve(directory: &Path) -> Result<(), Fault> {
    // Ids that no earlier run made.
    let seed = u64::try_from(now().milliseconds())?;
    let data = directory.join("data");
    let store = tokio::task::spawn_blocking(move || Store::open(&data, &machine(seed))).await??;
    let app = App::open(store.clone()).await?;
    let rows = Rows::open(&directory.join("naive"))?;
    let listen = || TcpListener::bind("127.0.0.1:0");
    let (product, floor, naive) = (listen().await?, listen().await?, listen().await?);
    let addresses =
        Addresses { product: product.local_addr()?, floor: floor.local_addr()?, naive: naive.local_addr()? };
    let (stop, stopped) = oneshot::channel();
    // What is measured is the machine's limit, not a budget.
    let api = Api::new(app.clone(), &graphql::Options { budgets: Budgets::NONE, ..Default::default() })?;
    let served = tokio::spawn(http::serve(product, api, http::Options::default(), async move {
        stopped.await.ok();
    }));
    let floor = tokio::spawn(floor::serve(floor, app.clone()));
    let naive = tokio::spawn(naive::serve(naive, app.clone(), rows));
    drop(app);
    {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", serde_json::to_string(&addresses)?)?;
        out.flush()?;
    }
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut vec![])).await??;
    floor.abort();
    naive.abort();
    stop.send(()).ok();
    served.await?;
    tokio::task::spawn_blocking(move || store.close()).await?;
    Ok(())
}
