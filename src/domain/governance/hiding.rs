//! Hiding what need not be governed, with everything below it, and showing it again.
//! Never hides what is governed.

use crate::domain::{
    access::{Allowed, Stopped, SystemActor},
    action::{Asks, HideSourceObject, UnhideSourceObject},
    event::{EventKind, Subject},
    refusal::Refusal,
    source::{Governance, SourceObject, descendants},
    state::Change,
};
use crate::limits::CONSEQUENCES_MAX;
use std::sync::Arc;

impl Allowed<'_, HideSourceObject, SourceObject> {
    /// Hides the object and all below it; a hidden one stays as it is.
    ///
    /// # Errors
    /// `SOURCE_ARCHIVED`, `ALREADY_GOVERNED`, or `TOO_MANY_CONSEQUENCES`.
    pub fn hide(self) -> Result<Change<Arc<SourceObject>>, Stopped> {
        if self.archived_at.is_some() {
            return Err(Refusal::SourceArchived {}.into());
        }
        match self.governance {
            Governance::Governed(_) => Err(Refusal::AlreadyGoverned {}.into()),
            Governance::Hidden => Ok(self.draft().done(Arc::clone(self.record()))),
            Governance::Ungoverned => self.cascade(Governance::Ungoverned, Governance::Hidden),
        }
    }
}

impl Allowed<'_, UnhideSourceObject, SourceObject> {
    /// Shows the object and all hidden ones below it again.
    ///
    /// # Errors
    /// `SOURCE_ARCHIVED`, `SOURCE_NOT_HIDDEN`, or `TOO_MANY_CONSEQUENCES`.
    pub fn unhide(self) -> Result<Change<Arc<SourceObject>>, Stopped> {
        if self.archived_at.is_some() {
            return Err(Refusal::SourceArchived {}.into());
        }
        if self.governance != Governance::Hidden {
            return Err(Refusal::SourceNotHidden {}.into());
        }
        self.cascade(Governance::Hidden, Governance::Ungoverned)
    }
}

impl<A: Asks<SourceObject>> Allowed<'_, A, SourceObject> {
    /// Moves the object, and as a consequence all live ones below it, from one governance to the other.
    fn cascade(self, from: Governance, to: Governance) -> Result<Change<Arc<SourceObject>>, Stopped> {
        let wanted = |child: &SourceObject| child.governance == from && child.archived_at.is_none();
        let below = descendants(self.state(), self.id, CONSEQUENCES_MAX, wanted)?;
        let event = || {
            if to == Governance::Hidden { EventKind::SourceObjectHidden {} } else { EventKind::SourceObjectUnhidden {} }
        };
        let moved = |source: &SourceObject| SourceObject { governance: to, ..source.clone() };
        let mut draft = self.draft();
        let source = draft.put(moved(&self), Subject::Source(self.id, None), event());
        for child in &below {
            draft.follow(SystemActor::Consequence, moved(child), Subject::Source(child.id, None), event());
        }
        Ok(draft.done(source))
    }
}
