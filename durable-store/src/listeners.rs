//! Who in this process listens to what a store has to say.

use tokio::sync::broadcast;

use crate::limits::HINT_CAPACITY;
use crate::model::{Hint, PartitionId};

/// The listeners of a store. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Listeners {
    hints: broadcast::Sender<Hint>,
    news: broadcast::Sender<PartitionId>,
}

impl Listeners {
    pub(crate) fn new() -> Self {
        Self {
            hints: broadcast::Sender::new(HINT_CAPACITY),
            news: broadcast::Sender::new(HINT_CAPACITY),
        }
    }

    pub(crate) fn tell(&self, hint: Hint) {
        // An error says that nobody listens.
        let _ = self.hints.send(hint);
    }

    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn tell_all(&self, hints: impl IntoIterator<Item = Hint>) {
        for hint in hints {
            self.tell(hint);
        }
    }

    pub(crate) fn tell_news(&self, partition: PartitionId) {
        let _ = self.news.send(partition);
    }

    /// Anything may have happened in so many partitions.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn tell_of_partitions(&self, partitions: u16) {
        for partition in (0..partitions).map(PartitionId) {
            self.tell(Hint::Messages(partition));
            self.tell_news(partition);
        }
    }

    pub(crate) fn hints(&self) -> broadcast::Receiver<Hint> {
        self.hints.subscribe()
    }

    pub(crate) fn news(&self) -> broadcast::Receiver<PartitionId> {
        self.news.subscribe()
    }

    /// Whether anybody listens.
    #[cfg(feature = "sqlite")]
    pub(crate) fn are_there(&self) -> bool {
        self.hints.receiver_count() > 0 || self.await_news()
    }

    /// Whether anybody wants news.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn await_news(&self) -> bool {
        self.news.receiver_count() > 0
    }
}
