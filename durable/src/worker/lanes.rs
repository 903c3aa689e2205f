//! When a partition may make its next commit. A store that is at work on others is not faster for
//! having one more: a partition that waits for its turn gathers more for one commit meanwhile.

use std::sync::Arc;

use durable_store::{Ready, Store};

/// The way of a partition to its next commit.
pub(super) struct Lane {
    store: Arc<dyn Store>,
    wait: Option<Ready>,
    /// It has waited for its turn, which is now.
    is_here: bool,
}

impl Lane {
    pub(super) fn of(store: Arc<dyn Store>) -> Self {
        Self { store, wait: None, is_here: false }
    }

    /// Whether a commit may begin. If not, it may when [`Self::comes`] completes.
    pub(super) fn take(&mut self) -> bool {
        if !self.is_here && self.wait.is_none() {
            self.wait = self.store.ready_to_commit();
        }
        self.is_here = self.wait.is_none();
        self.is_here
    }

    /// The commit is over, or there is none.
    pub(super) fn leave(&mut self) {
        (self.is_here, self.wait) = (false, None);
    }

    /// Completes when the turn that was waited for is there.
    pub(super) async fn comes(&mut self) {
        let Some(wait) = &mut self.wait else { return std::future::pending().await };
        wait.await;
        (self.is_here, self.wait) = (true, None);
    }
}
