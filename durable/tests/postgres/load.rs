//! Work that goes on while workers and servers come and go, and that notices if anything of it is
//! lost or done twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use durable::Client;
use durable::store::{InstanceKind, InstanceQuery, Status};
use tokio::task::JoinSet;

use crate::programs::*;
use crate::soon;

/// Clients that do one thing after the other.
const LANES: u64 = 6;
/// How often is looked whether something has happened.
pub const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// See the module.
pub struct Load {
    client: Client,
    rounds: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
    lanes: JoinSet<()>,
}

impl Load {
    pub fn start(client: &Client) -> Self {
        let (rounds, stopped) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let mut lanes = JoinSet::new();
        for lane in 0..LANES {
            let (client, rounds) = (client.clone(), Arc::clone(&rounds));
            let stopped = Arc::clone(&stopped);
            lanes.spawn(async move {
                for n in 0.. {
                    if stopped.load(Ordering::Relaxed) {
                        return;
                    }
                    round(&client, format!("{lane}-{n}")).await;
                    rounds.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        Self { client: client.clone(), rounds, stopped, lanes }
    }

    /// Waits until so many more rounds have come to their end.
    pub async fn goes_on(&mut self, rounds: u64) {
        let until = self.rounds.load(Ordering::Relaxed) + rounds;
        let mut ticks = tokio::time::interval(LOOK_INTERVAL);
        soon(async {
            while self.rounds.load(Ordering::Relaxed) < until {
                ticks.tick().await;
                if let Some(ended) = self.lanes.try_join_next() {
                    ended.unwrap();
                }
            }
        })
        .await;
    }

    /// Lets what has begun come to its end, and looks whether all of it is there, once.
    pub async fn ends(mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        while let Some(ended) = soon(self.lanes.join_next()).await {
            ended.unwrap();
        }
        let rounds = self.rounds.load(Ordering::Relaxed);
        let orchestrations =
            InstanceQuery { kind: Some(InstanceKind::Orchestration), ..InstanceQuery::default() };
        let completed =
            InstanceQuery { statuses: vec![Status::Completed], ..orchestrations.clone() };
        assert_eq!(soon(self.client.count(&completed)).await.unwrap(), 3 * rounds);
        assert_eq!(soon(self.client.count(&orchestrations)).await.unwrap(), 3 * rounds);
        let total = soon(self.client.entity::<Counter>("till").add(0)).await.unwrap();
        assert_eq!(total, i64::try_from(2 * rounds).unwrap());
        println!("{rounds} rounds");
    }
}

/// A chain, a fan-out, an orchestration that calls an entity of its own, and signals for all.
async fn round(client: &Client, id: String) {
    let till = client.entity::<Counter>("till");
    soon(till.add(1).signal()).await.unwrap();
    let chain = soon(client.start(chain(5).instance_id(format!("chain-{id}")))).await.unwrap();
    let fan = soon(client.start(fan_out(20).instance_id(format!("fan-{id}")))).await.unwrap();
    let shop = shopping(id.clone()).instance_id(format!("shop-{id}"));
    let shop = soon(client.start(shop)).await.unwrap();
    assert_eq!(soon(chain.result()).await.unwrap(), 5, "{id}");
    assert_eq!(soon(fan.result()).await.unwrap(), 210, "{id}");
    assert_eq!(soon(shop.result()).await.unwrap(), 140, "{id}");
    // What the entity was told is there once.
    assert_eq!(soon(client.entity::<Counter>(&id).get()).await.unwrap(), 70, "{id}");
    soon(till.add(1).signal()).await.unwrap();
}
