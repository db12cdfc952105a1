//! An organisation's history that was brought into a log: restored from a backup, or imported from another server.
//! Never lets a sign-in or a password link come with it: it may have been ended since, where nobody here can know.

use super::{
    access::{Allowed, Denied, Principal, Stopped, SystemActor},
    action::{EndBroughtSessions, ReceiveTenant},
    event::{EventKind, Subject},
    identity::SessionEnd,
    session,
    state::Change,
    tenant::Tenant,
    text::Slug,
    time::Timestamp,
};
use crate::limits::CONSEQUENCES_MAX;
use std::sync::Arc;

/// How a tenant's history came.
#[derive(Clone, Debug)]
pub enum Arrival {
    /// From a backup that was taken at this time.
    Restored(Timestamp),
    /// From another server; here it is called so.
    Imported(Slug),
}

impl<A> Allowed<'_, A, Tenant> {
    /// Nobody asks for an arrival through the API: the command line does, under a name of its own.
    fn must_bring(&self) -> Result<(), Denied> {
        match self.view().viewer().principal() {
            Principal::System(SystemActor::Restoring | SystemActor::Importing) => Ok(()),
            Principal::System(_)
            | Principal::User(_)
            | Principal::Impersonated { .. }
            | Principal::Key(_)
            | Principal::Credential => Err(Denied::Forbidden("to be the server itself")),
        }
    }
}

impl Allowed<'_, EndBroughtSessions, Tenant> {
    /// Ends sessions and unused password links that came with the history, a bounded number of them. Answers the
    /// tenant; nothing is changed once none is left.
    ///
    /// # Errors
    /// `Forbidden` for everyone but the server's own restoring and importing.
    pub fn end_brought_sessions(self) -> Result<Change<Arc<Tenant>>, Stopped> {
        self.must_bring()?;
        let mut draft = self.draft();
        let tables = &self.state().tables;
        let mut room = CONSEQUENCES_MAX;
        for session in tables.sessions.values().take(room) {
            session::end(&mut draft, session, SessionEnd::Brought);
            room -= 1;
        }
        for link in tables.password_links.values().take(room) {
            let user = link.user;
            draft.remove(&**link, Subject::Identity(user.uuid()), EventKind::PasswordLinkEnded { user });
        }
        Ok(draft.done(Arc::clone(self.record())))
    }
}

impl Allowed<'_, ReceiveTenant, Tenant> {
    /// Tells that the history was brought here, under which short name it goes on.
    ///
    /// # Errors
    /// `Forbidden` for everyone but the server's own restoring and importing.
    pub fn receive(self, how: Arrival) -> Result<Change<Arc<Tenant>>, Stopped> {
        self.must_bring()?;
        let mut draft = self.draft();
        match how {
            Arrival::Restored(taken_at) => {
                draft.tell(None, Subject::Tenant, EventKind::TenantRestored { taken_at });
                Ok(draft.done(Arc::clone(self.record())))
            }
            Arrival::Imported(slug) => {
                let next = Tenant { revision: self.revision + 1, slug: slug.clone(), ..(**self.record()).clone() };
                let tenant = draft.put(next, Subject::Tenant, EventKind::TenantImported { slug });
                Ok(draft.done(tenant))
            }
        }
    }
}
