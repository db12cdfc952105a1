//! Giving, changing and taking back feedback, each a method on the permission it needs.
//! Never decides whether feedback is waited for: the stage does.

use super::{Feedback, FeedbackStatus, SignOff};
use crate::domain::{
    access::{Allowed, Stopped},
    action::{Asks, DeleteFeedback, EditFeedback, SubmitFeedback},
    event::EventKind,
    id::{Ids, ReviewId, UserId},
    refusal::Refusal,
    state::Change,
    text::Text,
    time::Timestamp,
};
use std::sync::Arc;

impl Allowed<'_, SubmitFeedback, SignOff> {
    /// A member of a feedback group says what she found.
    ///
    /// # Errors
    /// `NOT_A_REVIEWER`, `KEYS_DO_NOT_REVIEW`, or the stage's refusal.
    pub fn submit_feedback(
        self,
        group: &str,
        status: FeedbackStatus,
        comment: Text,
        ids: &dyn Ids,
        now: Timestamp,
    ) -> Result<Change<Arc<SignOff>>, Stopped> {
        let (author, group, basis) = self.reviewer("group", group)?;
        let id = ReviewId::new(ids);
        let event = EventKind::FeedbackSubmitted {
            sign_off: self.id,
            review: id,
            group: group.clone(),
            status,
            comment: comment.clone(),
        };
        let feedback = Feedback { id, author, group, status, comment, basis, at: now, edited_at: None };
        let stage = self.stage.clone().review(|all| {
            all.push(feedback);
            Ok(())
        })?;
        Ok(self.moved(self.at(stage), event))
    }
}

/// The caller's own feedback among all, or which rule hides it from her.
fn own(all: &mut [Feedback], review: ReviewId, author: Option<UserId>) -> Result<(usize, &mut Feedback), Refusal> {
    let found = all.iter_mut().enumerate().find(|(_, feedback)| feedback.id == review);
    let (at, feedback) = found.ok_or_else(|| Refusal::UnknownFeedback { path: "reviewId".to_owned() })?;
    if Some(feedback.author) == author { Ok((at, feedback)) } else { Err(Refusal::NotTheAuthor {}) }
}

impl<A: Asks<SignOff>> Allowed<'_, A, SignOff> {
    /// The author of a feedback, still a member of its group; nobody else touches it.
    fn author_of(&self, review: ReviewId) -> Result<Feedback, Stopped> {
        let mut all = self.stage.round().map(|round| round.feedback.clone()).unwrap_or_default();
        let (_, feedback) = own(&mut all, review, self.caller()?.person())?;
        let feedback = feedback.clone();
        self.reviewer("group", feedback.group.as_str())?;
        Ok(feedback)
    }
}

impl Allowed<'_, EditFeedback, SignOff> {
    /// The author says something else.
    ///
    /// # Errors
    /// `UNKNOWN_FEEDBACK`, `NOT_THE_AUTHOR`, `NOT_A_REVIEWER`, or the stage's refusal.
    pub fn edit_feedback(
        self,
        review: ReviewId,
        status: FeedbackStatus,
        comment: Text,
        now: Timestamp,
    ) -> Result<Change<Arc<SignOff>>, Stopped> {
        let feedback = self.author_of(review)?;
        let event = EventKind::FeedbackEdited {
            sign_off: self.id,
            review,
            group: feedback.group,
            status,
            comment: comment.clone(),
        };
        let stage = self.stage.clone().review(|all| {
            let (_, feedback) = own(all, review, Some(feedback.author))?;
            (feedback.status, feedback.comment, feedback.edited_at) = (status, comment, Some(now));
            Ok(())
        })?;
        Ok(self.moved(self.at(stage), event))
    }
}

impl Allowed<'_, DeleteFeedback, SignOff> {
    /// The author takes it back.
    ///
    /// # Errors
    /// `UNKNOWN_FEEDBACK`, `NOT_THE_AUTHOR`, `NOT_A_REVIEWER`, or the stage's refusal.
    pub fn delete_feedback(self, review: ReviewId) -> Result<Change<Arc<SignOff>>, Stopped> {
        let feedback = self.author_of(review)?;
        let stage = self.stage.clone().review(|all| {
            let (at, _) = own(all, review, Some(feedback.author))?;
            all.remove(at);
            Ok(())
        })?;
        let event = EventKind::FeedbackDeleted { sign_off: self.id, review, group: feedback.group };
        Ok(self.moved(self.at(stage), event))
    }
}
