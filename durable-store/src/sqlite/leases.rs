//! Which partitions a worker gets. Runs in the writer's transaction.

use std::collections::HashMap;

use rusqlite::{Connection, Result};

use crate::Timestamp;
use crate::model::{Lease, PartitionId, Peer};

use super::liveness::LockFiles;
use super::sql;
use super::statement::{run, run_each};

/// A row of the table of partitions.
struct Part {
    id: u16,
    epoch: i64,
    owner: Option<String>,
    expires_at: i64,
    guarded: bool,
}

/// Takes up to `limit` partitions for `owner`.
pub(super) fn acquire(
    connection: &Connection,
    locks: &mut LockFiles,
    owner: &str,
    limit: u16,
    held: &[PartitionId],
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<Vec<Lease>> {
    let mut parts = read_parts(connection)?;
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
    let rows = chosen.iter().map(|part| (part.id, owner, expires_at.as_micros(), guarded));
    run_each(connection, sql::TAKE_PART, rows)?;
    let taken = chosen.into_iter().map(|part| Lease {
        partition: PartitionId(part.id),
        epoch: part.epoch + 1,
        owner: owner.to_owned(),
        expires_at,
    });
    Ok(taken.collect())
}

/// Notes that `worker` is alive until `expires_at`, and returns who is at `now`.
pub(super) fn check_in(
    connection: &Connection,
    locks: &mut LockFiles,
    worker: &str,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<Vec<Peer>> {
    let guarded = expires_at > now && locks.hold(worker);
    run(connection, sql::PUT_WORKER, (worker, expires_at.as_micros(), guarded))?;
    let (mut alive, mut gone) = (Vec::new(), Vec::new());
    let mut query = connection.prepare_cached(sql::READ_WORKERS)?;
    let mut rows = query.query(())?;
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let is_over = row.get::<_, i64>(1)? <= now.as_micros();
        if is_over || (row.get(2)? && locks.is_dead(&name)) {
            gone.push((name,));
        } else {
            alive.push(Peer { worker: name, partitions: row.get(3)? });
        }
    }
    drop(rows);
    run_each(connection, sql::DELETE_WORKER, gone)?;
    Ok(alive)
}

fn read_parts(connection: &Connection) -> Result<Vec<Part>> {
    let mut query = connection.prepare_cached(sql::READ_PARTS)?;
    let parts = query.query_map((), |row| {
        Ok(Part {
            id: row.get(0)?,
            epoch: row.get(1)?,
            owner: row.get(2)?,
            expires_at: row.get(3)?,
            guarded: row.get(4)?,
        })
    })?;
    parts.collect()
}

/// Extends those of `leases` that are current, and returns them.
pub(super) fn renew(
    connection: &Connection,
    leases: &[Lease],
    expires_at: Timestamp,
) -> Result<Vec<Lease>> {
    let mut renewed = Vec::with_capacity(leases.len());
    for lease in leases {
        let row = (lease.partition.0, lease.epoch, expires_at.as_micros());
        if run(connection, sql::RENEW_PART, row)? > 0 {
            renewed.push(Lease { expires_at, ..lease.clone() });
        }
    }
    Ok(renewed)
}

/// Gives `leases` back, as far as they are current.
pub(super) fn release(connection: &Connection, leases: &[Lease]) -> Result<()> {
    let keys = leases.iter().map(|lease| (lease.partition.0, lease.epoch));
    run_each(connection, sql::RELEASE_PART, keys)?;
    Ok(())
}
