//! When a partition may make its next commit. A store that is at work on others is not faster for
//! having one more: a partition that waits for its turn gathers more for one commit meanwhile.

use durable_store::Ready;

/// The way of a partition to its next commit.
pub(super) struct Lane {
    /// When a commit would be worked on at once; `None` is now.
    ready: Box<dyn Fn() -> Option<Ready> + Send>,
    wait: Option<Ready>,
    /// It has waited for its turn, which is now.
    is_here: bool,
}

impl Lane {
    pub(super) fn of(ready: impl Fn() -> Option<Ready> + Send + 'static) -> Self {
        Self { ready: Box::new(ready), wait: None, is_here: false }
    }

    /// Whether a commit may begin. If not, it may when [`Self::comes`] completes.
    pub(super) fn take(&mut self) -> bool {
        if !self.is_here && self.wait.is_none() {
            self.wait = (self.ready)();
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn a_commit_begins_when_the_store_is_ready_for_it() {
        let store = Arc::new(Semaphore::new(0));
        let ready = Arc::clone(&store);
        let mut lane = Lane::of(move || {
            let ready = Arc::clone(&ready);
            Some(Box::pin(async move { ready.acquire().await.unwrap().forget() }))
        });
        assert!(!lane.take() && !lane.take());
        store.add_permits(1);
        lane.comes().await;
        // It stays ready until the commit is over, and is asked for again then.
        assert!(lane.take() && lane.take());
        lane.leave();
        assert!(!lane.take());
        store.add_permits(1);
        lane.comes().await;
        assert!(lane.take());
    }

    #[test]
    fn a_store_that_is_always_ready_is_not_waited_for() {
        let mut lane = Lane::of(|| None);
        assert!(lane.take());
        lane.leave();
        assert!(lane.take());
    }
}
