//! A commit under way, and what is left of it when nobody hears how it ended: whoever waits for an
//! answer that only this commit gives is told, whatever becomes of it and of its worker.

use std::collections::HashSet;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use durable_store::StoreError;

use super::committer::{Committer, Part};
use crate::connection::Connection;
use crate::turn::Answer;

/// The parts of a commit that has ended, and how.
pub(super) type Landed = (Vec<Part>, Result<(), StoreError>);

/// A commit under way.
pub(super) struct Flight {
    /// What is left of it if its outcome is never known. Dropped before the parts, whose senders
    /// then ask again.
    doubt: Unresolved,
    commit: Pin<Box<dyn Future<Output = Landed> + Send>>,
}

impl Future for Flight {
    type Output = Landed;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Landed> {
        self.commit.as_mut().poll(context)
    }
}

impl Flight {
    /// The commit of these parts.
    pub(super) fn begin(committer: Committer, parts: Vec<Part>) -> Self {
        let doubt = Unresolved::of(&parts, Arc::clone(&committer.connection));
        Self { doubt, commit: Box::pin(committer.commit(parts)) }
    }

    /// It has ended, and whoever knows how decides about what is left.
    pub(super) fn landed(self) -> Unresolved {
        self.doubt
    }

    /// Nobody waits for it any more.
    pub(super) fn abandon(mut self) -> Unresolved {
        self.doubt.leave_to_callers();
        self.doubt
    }
}

/// What is left of a commit whose outcome is not known: enough to find out, and to tell those who
/// wait if it happened. If it is dropped before somebody has found out, nobody will, and those who
/// wait are told that.
pub(super) struct Unresolved {
    connection: Arc<Connection>,
    /// Messages of the inbox that it consumed.
    pub(super) consumed: Vec<Arc<str>>,
    /// Answers to callers in this process, which are stored nowhere.
    pub(super) answers: Vec<Answer>,
    /// The same, if the request was stored nowhere either.
    direct: Vec<Answer>,
    /// Instances whose row may have changed.
    pub(super) touched: Vec<Arc<str>>,
}

impl Unresolved {
    /// What a commit of these parts would leave.
    fn of(parts: &[Part], connection: Arc<Connection>) -> Self {
        let received: HashSet<&str> =
            parts.iter().flat_map(|part| &part.received).map(|direct| &*direct.id).collect();
        let answers = parts.iter().flat_map(|part| &part.answers).cloned();
        let (direct, answers): (Vec<Answer>, Vec<Answer>) =
            answers.partition(|answer| received.contains(&*answer.request));
        // They only serve to find out about the answers.
        let consumed = parts.iter().filter(|_| !answers.is_empty()).flat_map(|p| &p.consume);
        Self {
            connection,
            consumed: consumed.cloned().collect(),
            touched: parts.iter().flat_map(|p| &p.instance).map(|(id, _)| id.clone()).collect(),
            answers,
            direct,
        }
    }

    /// Callers whose requests are stored nowhere find out by asking again, so they get the answers
    /// that they may have been given, before they hear that they have to ask.
    pub(super) fn leave_to_callers(&mut self) {
        for answer in self.direct.drain(..) {
            self.connection.waiters.doubt(&answer.request, answer.outcome);
        }
    }

    /// The outcome is known. Gives the answers that were in doubt.
    pub(super) fn settle(mut self) -> Vec<Answer> {
        self.direct.clear();
        std::mem::take(&mut self.answers)
    }
}

impl Drop for Unresolved {
    fn drop(&mut self) {
        self.leave_to_callers();
        for answer in self.answers.drain(..) {
            self.connection.waiters.forget(&answer.request);
        }
    }
}

impl fmt::Debug for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unresolved").field("touched", &self.touched).finish_non_exhaustive()
    }
}
