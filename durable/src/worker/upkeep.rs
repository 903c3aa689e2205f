//! Purges what has ended long enough ago, if the worker is told to. It is a client like any other:
//! it knows nothing of partitions and leases.

use std::time::Duration;

use durable_store::{InstanceQuery, Status};
use tokio_util::sync::CancellationToken;

use crate::client::Client;

/// How often a worker looks for what is to be purged.
const PURGE_INTERVAL: Duration = Duration::from_mins(1);

/// How long after its end an instance of each status is kept.
#[derive(Debug, Clone, Default)]
pub(super) struct Retention {
    ages: Vec<(Status, Duration)>,
}

impl Retention {
    /// A later word about a status wins.
    pub(super) fn set(&mut self, status: Status, age: Duration) {
        self.ages.retain(|(known, _)| *known != status);
        self.ages.push((status, age));
    }

    /// The statuses that are no end, of which nothing can be said.
    pub(super) fn not_ended(&self) -> Option<Status> {
        self.ages.iter().map(|(status, _)| *status).find(|status| !status.is_terminal())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ages.is_empty()
    }
}

/// Purges again and again, until the worker stops.
pub(super) async fn purge_ended(client: Client, retention: Retention, stopped: CancellationToken) {
    let work = async {
        loop {
            for (status, age) in &retention.ages {
                purge(&client, *status, *age).await;
            }
            client.clock().sleep_until(client.clock().now() + PURGE_INTERVAL).await;
        }
    };
    tokio::select! {
        () = stopped.cancelled() => {}
        () = work => {}
    }
}

async fn purge(client: &Client, status: Status, age: Duration) {
    let query = InstanceQuery {
        statuses: vec![status],
        finished_to: Some(client.clock().now() - age),
        ..InstanceQuery::default()
    };
    loop {
        match client.purge(query.clone()).await {
            Ok(purged) if purged.more => {}
            Ok(_) => return,
            Err(error) => {
                // The next round finds the same again.
                tracing::warn!(%error, "what has ended cannot be purged");
                return;
            }
        }
    }
}
