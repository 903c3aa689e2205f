//! Which partitions a worker gets. Runs in the writer's transaction.

use std::collections::HashMap;

use sqlx::{Row, SqliteConnection};

use crate::Timestamp;
use crate::model::{Lease, PartitionId, Peer};

use super::liveness::LockFiles;
use super::script::Script;
use super::sql;
use super::writer::Failure;

/// A row of the table of partitions.
struct Part {
    id: u16,
    epoch: i64,
    owner: Option<String>,
    expires_at: i64,
    guarded: bool,
}

/// Takes up to `limit` partitions for `owner`.
pub(super) async fn acquire(
    connection: &mut SqliteConnection,
    locks: &mut LockFiles,
    owner: &str,
    limit: u16,
    held: &[PartitionId],
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<Vec<Lease>, Failure> {
    let mut parts = read_parts(connection).await?;
    parts.retain(|part| !held.contains(&PartitionId(part.id)));
    let mut dead = HashMap::new();
    let mut is_open = |part: &Part| match &part.owner {
        None => true,
        Some(other) if other == owner => false,
        Some(_) if part.expires_at <= now.as_micros() => true,
        Some(other) if part.guarded => {
            *dead.entry(other.clone()).or_insert_with(|| locks.is_dead(other))
        }
        Some(_) => false,
    };
    let (open, others): (Vec<_>, Vec<_>) = parts.into_iter().partition(|part| is_open(part));
    let own = others.into_iter().filter(|part| part.owner.as_deref() == Some(owner));
    let mut chosen: Vec<Part> = open.into_iter().chain(own).take(usize::from(limit)).collect();
    if chosen.is_empty() {
        return Ok(Vec::new());
    }
    chosen.sort_by_key(|part| part.id);
    let guarded = locks.hold(owner);
    let mut script = Script::of(sql::TAKE_PARTS);
    script.bind(owner.to_owned())?;
    script.bind(expires_at.as_micros())?;
    script.bind(guarded)?;
    script.bind_rows(&chosen.iter().map(|part| part.id).collect::<Vec<_>>())?;
    script.run_all(connection).await?;
    let taken = chosen.into_iter().map(|part| Lease {
        partition: PartitionId(part.id),
        epoch: part.epoch + 1,
        owner: owner.to_owned(),
        expires_at,
    });
    Ok(taken.collect())
}

/// Notes that `worker` is alive until `expires_at`, and returns who is at `now`.
pub(super) async fn check_in(
    connection: &mut SqliteConnection,
    locks: &mut LockFiles,
    worker: &str,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<Vec<Peer>, Failure> {
    let guarded = expires_at > now && locks.hold(worker);
    let mut script = Script::of(sql::PUT_WORKER);
    script.bind(worker.to_owned())?;
    script.bind(expires_at.as_micros())?;
    script.bind(guarded)?;
    let read = script.push(sql::READ_WORKERS);
    let outcomes = script.run_all(connection).await?;
    let (mut alive, mut gone) = (Vec::new(), Vec::new());
    for row in outcomes.get(read).iter().flat_map(|outcome| &outcome.rows) {
        let name: String = row.try_get(0)?;
        let is_over = row.try_get::<i64, _>(1)? <= now.as_micros();
        if is_over || (row.try_get(2)? && locks.is_dead(&name)) {
            gone.push(name);
        } else {
            alive.push(Peer { worker: name, partitions: row.try_get(3)? });
        }
    }
    if !gone.is_empty() {
        let mut script = Script::of(sql::DELETE_WORKERS);
        script.bind_rows(&gone)?;
        script.run_all(connection).await?;
    }
    Ok(alive)
}

async fn read_parts(connection: &mut SqliteConnection) -> Result<Vec<Part>, Failure> {
    let rows = sqlx::query(sql::READ_PARTS).fetch_all(connection).await?;
    let mut parts = Vec::with_capacity(rows.len());
    for row in rows {
        parts.push(Part {
            id: row.try_get(0)?,
            epoch: row.try_get(1)?,
            owner: row.try_get(2)?,
            expires_at: row.try_get(3)?,
            guarded: row.try_get(4)?,
        });
    }
    Ok(parts)
}

/// Extends those of `leases` that are current, and returns them.
pub(super) async fn renew(
    connection: &mut SqliteConnection,
    leases: &[Lease],
    expires_at: Timestamp,
) -> Result<Vec<Lease>, Failure> {
    let mut script = Script::of(sql::RENEW_PARTS);
    script.bind(expires_at.as_micros())?;
    script.bind_rows(&keys(leases))?;
    let outcomes = script.run_all(connection).await?;
    let mut current = Vec::new();
    for row in outcomes.iter().flat_map(|outcome| &outcome.rows) {
        current.push(row.try_get::<u16, _>(0)?);
    }
    let renewed = leases.iter().filter(|lease| current.contains(&lease.partition.0));
    Ok(renewed.map(|lease| Lease { expires_at, ..lease.clone() }).collect())
}

/// Gives `leases` back, as far as they are current.
pub(super) async fn release(
    connection: &mut SqliteConnection,
    leases: &[Lease],
) -> Result<(), Failure> {
    let mut script = Script::of(sql::RELEASE_PARTS);
    script.bind_rows(&keys(leases))?;
    script.run_all(connection).await?;
    Ok(())
}

fn keys(leases: &[Lease]) -> Vec<(u16, i64)> {
    leases.iter().map(|lease| (lease.partition.0, lease.epoch)).collect()
}
