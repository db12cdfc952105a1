//! The API for one socket or stream: it is known once who is there, and asked anew for each operation.
//! Never holds what was presented, only as much as it takes to ask whether it still stands.

use super::{
    admission::Refused,
    call::Asker,
    document::{Admitted, Asked},
    listening::{Told, subscribe},
    schema::{Api, Begun, answered, worded},
    watch::Watched,
};
use crate::{
    app::{Credential, Failed, OpenSocket, Seat},
    domain::access::{Denied, Viewer},
};
use async_graphql::{Response, futures_util::stream::StreamExt, parser::types::OperationType};
use std::{net::IpAddr, sync::Arc};

/// The API for one socket, whose credential came with its first message. The last clone that is dropped closes it.
#[derive(Clone)]
pub struct ApiConnection(Arc<Connection>);

struct Connection {
    api: Api,
    address: Option<IpAddr>,
    /// Who is there; none for a stranger.
    known: Option<Known>,
}

struct Known {
    credential: Credential,
    viewer: Arc<Viewer>,
    /// Where it is woken.
    seat: Seat,
    /// Counted until it is closed.
    _open: OpenSocket,
}

impl Api {
    /// The API for a socket that presented this credential.
    ///
    /// # Errors
    /// `Unauthenticated` when a credential was presented that is not valid; `QUOTA_EXCEEDED` when the organisation has
    /// as many open as it may; a fault when it could not be checked.
    pub async fn connection(&self, credential: Option<&str>, address: Option<IpAddr>) -> Result<ApiConnection, Failed> {
        let known = match credential {
            Some(presented) => {
                let credential = self.app.credential(presented)?;
                let viewer = self.app.authenticate_again(&credential).await?;
                let (open, seat) = (self.app.open_socket(&viewer)?, self.app.seat(&viewer));
                Some(Known { credential, viewer, seat, _open: open })
            }
            None => None,
        };
        Ok(ApiConnection(Arc::new(Connection { api: self.clone(), address, known })))
    }
}

impl ApiConnection {
    /// Begins an operation, asking anew whether the credential still stands.
    pub async fn begin(&self, admitted: &Admitted) -> Begun {
        let Connection { api, address, known } = &*self.0;
        let viewer = self.viewer().await;
        let mut metered = api.meter.meter(&api.app, &viewer, *address, admitted);
        let mut watched = Watched::begin(admitted, &viewer, *address, metered.cost);
        let stranger = viewer.is_err();
        let refused = match metered.refused.take() {
            Some(refused) => Some(refused),
            None => api.engine.invalid(admitted).await,
        };
        if let Some(refused) = refused {
            let refused = worded(refused, stranger);
            watched.saw(&refused);
            return Begun::Refused(Box::new(answered(refused, false, metered)));
        }
        let asker = Asker::new(viewer, *address);
        let left = metered.left.clone();
        let answers = match known {
            Some(known) if admitted.kind() == Some(OperationType::Subscription) => {
                let answers = subscribe(api.clone(), known.seat.clone(), admitted, asker).await;
                let mut said = metered.saying();
                // Each event would be larger for what its first says once.
                answers
                    .map(move |told| {
                        watched.told(&told);
                        let said = said.take().and_then(|said| serde_json::to_string(&said.extensions()).ok());
                        said.map_or_else(|| Arc::clone(&told), |said| Arc::new(told.saying(&said)))
                    })
                    .boxed()
            }
            _ => {
                let answers = api.engine.execute_stream(admitted, asker);
                let told = move |answer| {
                    let told = Told::of(&metered.said_in(worded(answer, stranger)));
                    watched.told(&told);
                    Arc::new(told)
                };
                answers.map(told).boxed()
            }
        };
        Begun::Stream { answers, left }
    }

    /// Who asks, if what he presented still stands; what is kept of him is kept once.
    async fn viewer(&self) -> Result<Arc<Viewer>, Failed> {
        let Connection { api, known, .. } = &*self.0;
        let Some(known) = known else { return Err(Denied::Unauthenticated.into()) };
        api.app.authenticate_again(&known.credential).await?;
        Ok(Arc::clone(&known.viewer))
    }

    /// As [`Api::admit`].
    ///
    /// # Errors
    /// As it.
    pub fn admit(&self, asked: Asked) -> Result<Admitted, Refused> {
        self.0.api.admit(asked)
    }

    /// Counts what was refused before it was an operation; where the budget for that is spent, answers so.
    pub async fn refused(&self) -> Option<Response> {
        self.0.api.refused_by(&self.viewer().await, self.0.address).1
    }

    /// Waits until what the socket was opened with no longer stands; for ever where it was opened with nothing.
    pub async fn ended(&self) {
        match &self.0.known {
            Some(known) => self.0.api.app.ended(&known.credential, &known.viewer, known.seat.clone()).await,
            None => std::future::pending().await,
        }
    }
}
