//! Gathers what many callers send at the same time, so that they share a statement and a flush.
//! Whoever is alone is not kept waiting: a group is what came while the groups before it were under
//! way. What was handed in is sent whether or not its caller still waits.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, oneshot};

use crate::Timestamp;
use crate::error::{StoreError, StoreErrorKind};
use crate::model::{Accepted, Envelope};
use crate::store::Result;

use super::Inner;
use super::sending::Sent;

/// Groups that are under way at the same time.
const LANES: usize = 4;
/// Envelopes of one group; a single caller may bring more.
const MAX_GROUP_ENVELOPES: usize = 500;

/// What one caller sends.
struct Entry {
    envelopes: Vec<Envelope>,
    now: Timestamp,
    answer: oneshot::Sender<Result<Vec<Accepted>>>,
}

/// What waits to be sent.
#[derive(Debug)]
pub(super) struct Gathering {
    waiting: Mutex<VecDeque<Entry>>,
    lanes: Arc<Semaphore>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").field("envelopes", &self.envelopes.len()).finish_non_exhaustive()
    }
}

impl Gathering {
    pub(super) fn new() -> Self {
        Self { waiting: Mutex::default(), lanes: Arc::new(Semaphore::new(LANES)) }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next group, if anybody waits.
    fn take(&self) -> Vec<Entry> {
        let mut waiting = self.waiting();
        let (mut group, mut envelopes) = (Vec::new(), 0);
        while let Some(entry) = waiting.front() {
            envelopes += entry.envelopes.len();
            if !group.is_empty() && envelopes > MAX_GROUP_ENVELOPES {
                break;
            }
            group.extend(waiting.pop_front());
        }
        group
    }
}

/// See [`Store::send`](crate::Store::send). The envelopes were checked.
pub(super) async fn send(
    inner: &Arc<Inner>,
    envelopes: Vec<Envelope>,
    now: Timestamp,
) -> Result<Vec<Accepted>> {
    let (answer, answers) = oneshot::channel();
    inner.gathering.waiting().push_back(Entry { envelopes, now, answer });
    if let Ok(lane) = Arc::clone(&inner.gathering.lanes).try_acquire_owned() {
        let inner = Arc::clone(inner);
        tokio::spawn(async move {
            let mut lane = Some(lane);
            while lane.is_some() {
                loop {
                    let group = inner.gathering.take();
                    if group.is_empty() {
                        break;
                    }
                    inner.send_group(group).await;
                }
                lane = None;
                // Whoever came before this lane was free, and found none, is not forgotten.
                if !inner.gathering.waiting().is_empty() {
                    lane = Arc::clone(&inner.gathering.lanes).try_acquire_owned().ok();
                }
            }
        });
    }
    let ended = || StoreError::new(StoreErrorKind::Other, "send", "the runtime has ended");
    answers.await.unwrap_or_else(|_| Err(ended()))
}

impl Inner {
    async fn send_group(&self, group: Vec<Entry>) {
        let sent: Vec<Sent<'_>> = group
            .iter()
            .flat_map(|entry| entry.envelopes.iter().map(|envelope| (envelope, entry.now)))
            .collect();
        match self.accept(&sent).await {
            Ok(answers) => {
                let mut answers = answers.into_iter();
                for Entry { envelopes, answer, .. } in group {
                    // Nobody waits any more: it happened all the same.
                    let _ = answer.send(Ok(answers.by_ref().take(envelopes.len()).collect()));
                }
            }
            Err(failure) if failure.is_passing() || group.len() == 1 => {
                let text = failure.error.to_string();
                let first = self.failed_once("send", failure);
                let kind = first.kind();
                let mut first = Some(first);
                for Entry { answer, .. } in group {
                    let error =
                        first.take().unwrap_or_else(|| StoreError::new(kind, "send", &text));
                    let _ = answer.send(Err(error));
                }
            }
            // Something is wrong with what one of them sends: it is his alone.
            Err(_) => {
                for Entry { envelopes, now, answer } in group {
                    let sent: Vec<Sent<'_>> =
                        envelopes.iter().map(|envelope| (envelope, now)).collect();
                    let answers = self.accept(&sent).await;
                    let answers = answers.map_err(|failure| self.failed_once("send", failure));
                    let _ = answer.send(answers);
                }
            }
        }
    }
}
