//! What is done once, in every organisation that came with a backup or an export, before anybody is served.
//! Never reachable through the API: the command line does it on a store that serves nobody.

use super::{App, Call, Failed, PLATFORM, founder};
use crate::{
    domain::{
        access::{Principal, SystemActor, Viewer},
        arrival::Arrival,
        id::TenantId,
        tenant::{Tenant, TenantEntry},
        text::Slug,
        time::Timestamp,
    },
    store::Turn,
};
use std::sync::Arc;

impl App {
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
        let Tenant { id, slug, name, created_at, .. } = (*received).clone();
        let entry = TenantEntry { id, slug, name, created_at };
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
