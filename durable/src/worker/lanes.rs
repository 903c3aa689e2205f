//! How many commits of a worker are under way at once. A store that can work on a few at a time is
//! not faster with more: a partition that waits for its turn gathers more for one commit meanwhile.

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

type Wait = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>;

/// The lanes of a worker, and the one that a partition has for its next commit.
pub(super) struct Lane {
    /// `None` is no limit.
    lanes: Option<Arc<Semaphore>>,
    taken: Option<OwnedSemaphorePermit>,
    wait: Option<Wait>,
}

impl Lane {
    pub(super) fn of(lanes: Option<Arc<Semaphore>>) -> Self {
        Self { lanes, taken: None, wait: None }
    }

    /// Whether a commit may begin. If not, it may when [`Self::comes`] completes.
    pub(super) fn take(&mut self) -> bool {
        let Some(lanes) = &self.lanes else { return true };
        if self.taken.is_none() && self.wait.is_none() {
            match Arc::clone(lanes).try_acquire_owned() {
                Ok(lane) => self.taken = Some(lane),
                Err(_) => self.wait = Some(Box::pin(Arc::clone(lanes).acquire_owned())),
            }
        }
        self.taken.is_some()
    }

    /// The commit is over, or there is none.
    pub(super) fn leave(&mut self) {
        (self.taken, self.wait) = (None, None);
    }

    /// Completes when the lane that was waited for is there.
    pub(super) async fn comes(&mut self) {
        let Some(wait) = &mut self.wait else { return std::future::pending().await };
        // They are never closed.
        let lane = wait.await.ok();
        (self.taken, self.wait) = (lane, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_commit_begins_when_another_has_left() {
        let lanes = Arc::new(Semaphore::new(1));
        let (mut one, mut two) = (Lane::of(Some(lanes.clone())), Lane::of(Some(lanes)));
        assert!(one.take() && one.take());
        assert!(!two.take() && !two.take());
        // It stands in the queue once it has begun to wait.
        tokio::select! {
            biased;
            () = two.comes() => unreachable!("the only lane is taken"),
            () = std::future::ready(()) => {}
        }
        one.leave();
        // Whoever waited is first.
        assert!(!one.take());
        two.comes().await;
        assert!(two.take());
        two.leave();
        one.comes().await;
        assert!(one.take());
    }

    #[test]
    fn without_a_limit_every_commit_begins() {
        let mut lane = Lane::of(None);
        assert!(lane.take());
    }
}
