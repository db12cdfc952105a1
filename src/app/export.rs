//! Handing an organisation out: its whole history as a file, encrypted as it lies on the server.
//! Never hands out its key, and never shows the platform operator anything of what is in the file.

use super::{App, Call, Failed, Fault, founder, tenant::operates};
use crate::{
    domain::{refusal::Refusal, text::Slug},
    store::transfer::Export,
};
use futures_util::{Stream, stream::unfold};
use tokio::sync::OwnedSemaphorePermit;

/// An organisation's file, under way.
pub struct Exported {
    /// Its short name.
    pub slug: Slug,
    export: Export,
    /// Given back when the last piece was taken, or nobody waits for it any more.
    _turn: OwnedSemaphorePermit,
}

impl Exported {
    /// The file, piece by piece; an error ends it, and what came before is no export then.
    pub fn pieces(self) -> impl Stream<Item = Result<Vec<u8>, Fault>> + Send {
        unfold(Some(self), |exported| async {
            let mut exported = exported?;
            let read = tokio::task::spawn_blocking(move || (exported.export.piece(), exported)).await;
            match read {
                Ok((Ok(piece), exported)) => piece.map(|piece| (Ok(piece), Some(exported))),
                Ok((Err(fault), _)) => Some((Err(fault), None)),
                Err(_) => Some((Err(Fault::Panicked), None)),
            }
        })
    }
}

impl App {
    /// Begins to export an organisation, with everything that was acknowledged before; the platform's directory
    /// records it.
    ///
    /// # Errors
    /// `Forbidden` for everyone but the platform operator; `NotFound`; `TENANT_ERASED`; `HISTORY_CUT`; `Overloaded`
    /// while others are exported.
    pub async fn export_tenant(&self, call: &Call, slug: String) -> Result<Exported, Failed> {
        operates(call)?;
        let turn = self.inner.exporting.clone().try_acquire_owned().map_err(|_| Fault::Overloaded)?;
        let entry = self.snapshot(&call.viewer).await?;
        let entry = entry.view().tenant_entry_called(&slug)?.authorize::<crate::domain::action::ExportTenant>()?;
        entry.must_be_there()?;
        let (tenant, name) = (entry.id, entry.slug.clone());
        let history = self.store.of(&founder(tenant)).history();
        if history.begins_behind() > 0 {
            return Err(Refusal::HistoryCut { name: name.to_string() }.into());
        }
        // Of one that is not in memory the index has everything.
        let export = self.store.export(tenant, history.newest()).await?;
        let told = self.write(call, move |turn| {
            let entry = turn.view().tenant_entry_called(&slug)?.authorize()?;
            turn.stage(entry.export()?)
        });
        told.await?;
        Ok(Exported { slug: name, export, _turn: turn })
    }
}
