//! What is done once, in every organisation that came with a backup or an export, before anybody is served.
//! Never reachable through the API: the command line does it on a store that serves nobody.

use super::{App, Call, Failed, PLATFORM, founder, session::presenter};
use crate::{
    domain::{
        access::{Principal, SystemActor, View, Viewer},
        arrival::Arrival,
        id::TenantId,
        state::State,
        tenant::{Tenant, TenantEntry},
        text::Slug,
        time::Timestamp,
    },
    store::Turn,
};
use std::sync::Arc;

/// Why an organisation cannot be entered.
#[derive(Debug, thiserror::Error)]
pub enum NotNew {
    /// It is there.
    #[error("the organisation is on this server already; nothing was changed")]
    Here,
    /// Another one has its short name.
    #[error("another organisation is called {0} here; choose another short name with --slug")]
    SlugTaken(Slug),
    /// The directory cannot be read.
    #[error("the platform's directory cannot be read: {0:?}")]
    Failed(Failed),
}

/// The organisation that the platform's directory has under a short name: for the command line, on a data directory
/// that a server may be using. The platform's own is none.
pub fn tenant_listed(directory: &State, slug: &str) -> Option<TenantId> {
    View::new(directory, &presenter(PLATFORM)).tenant_called(slug).ok().filter(|tenant| *tenant != PLATFORM)
}

impl App {
    /// Checks that an organisation can be entered in the platform's directory, before anything of it is there.
    ///
    /// # Errors
    /// [`NotNew`]
    pub async fn must_be_new(&self, tenant: TenantId, slug: &Slug) -> Result<(), NotNew> {
        let platform =
            self.store.of(&presenter(PLATFORM)).read().await.map_err(|fault| NotNew::Failed(fault.into()))?;
        let view = platform.view();
        if tenant == PLATFORM || view.is_tenant(tenant) {
            return Err(NotNew::Here);
        }
        if view.tenant_called(slug.as_str()).is_ok() {
            return Err(NotNew::SlugTaken(slug.clone()));
        }
        Ok(())
    }

    /// Tells in a tenant that it was restored from a backup of this time, and ends what nobody may go on with.
    ///
    /// # Errors
    /// A fault; doing it again is harmless.
    pub async fn receive_restored(&self, tenant: TenantId, taken_at: Timestamp) -> Result<(), Failed> {
        let viewer = Arc::new(Viewer::verified(tenant, Principal::System(SystemActor::Restoring)));
        self.receive(&viewer, Arrival::Restored(taken_at)).await?;
        Ok(())
    }

    /// Tells in a tenant that it was imported under this short name, ends what nobody may go on with, and enters it
    /// in the platform's directory: from then on it can be reached.
    ///
    /// # Errors
    /// `ALREADY_EXISTS` when the short name is taken; a fault. Doing it again finishes what was begun.
    pub async fn receive_imported(&self, tenant: TenantId, slug: Slug) -> Result<Arc<TenantEntry>, Failed> {
        let viewer = Arc::new(Viewer::verified(tenant, Principal::System(SystemActor::Importing)));
        let received = self.receive(&viewer, Arrival::Imported(slug)).await?;
        let entry = TenantEntry::new((*received).clone());
        let call = Call { viewer: founder(PLATFORM), idempotency: None };
        Ok(self.enter_tenant(&call, entry).await?.outcome)
    }

    async fn receive(&self, viewer: &Arc<Viewer>, how: Arrival) -> Result<Arc<Tenant>, Failed> {
        let mut number = self.store.of(viewer).read().await?.number();
        loop {
            let ended = self.write_unkeyed(viewer, |turn: &mut Turn<'_>| {
                let tenant = turn.view().tenant()?.authorize()?;
                turn.stage(tenant.end_brought_sessions()?)
            });
            let reached = ended.await?.number;
            if reached == number {
                break;
            }
            number = reached;
        }
        let received = self.write_unkeyed(viewer, move |turn: &mut Turn<'_>| {
            let tenant = turn.view().tenant()?.authorize()?;
            turn.stage(tenant.receive(how)?)
        });
        Ok(received.await?.outcome)
    }
}
