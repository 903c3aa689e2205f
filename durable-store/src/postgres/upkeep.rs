//! Leases, numbers, and what is over: the operations that are neither a commit nor a `send`, and
//! that are not made for every turn.

use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::Timestamp;
use crate::error::StoreError;
use crate::model::{InstanceNo, Lease, PartitionId, Peer};
use crate::store::Result;

use super::Inner;
use super::errors::{Failure, classify, in_doubt};
use super::sql;
use super::statement::{Statement, Value};

/// Rows that one statement of a cleaning deletes, so that no lock is held for long.
const CLEAN_ROWS: i64 = 5_000;

impl Inner {
    /// The rows of a statement that may run twice.
    pub(super) async fn change(
        &self,
        operation: &'static str,
        text: &'static str,
        values: Vec<Value<'_>>,
    ) -> Result<Vec<PgRow>> {
        let statement = Statement::of(&self.names, text, values);
        let rows = self.pool.run_again(&statement).await;
        rows.map_err(|failure| classify(operation, &self.place, failure))
    }

    pub(super) fn decode<T>(
        &self,
        operation: &'static str,
        rows: &[PgRow],
        decode: impl Fn(&PgRow) -> std::result::Result<T, sqlx::Error>,
    ) -> Result<Vec<T>> {
        let decoded: std::result::Result<_, _> = rows.iter().map(decode).collect();
        decoded.map_err(|error| classify(operation, &self.place, Failure::before(error)))
    }

    pub(super) async fn reserve(&self, count: u32) -> Result<i64> {
        let count = i64::from(count);
        let values = vec![Value::Number(count), Value::Number(count)];
        let rows = self.change("reserve_numbers", sql::RESERVE_NUMBERS, values).await?;
        let first = self.decode("reserve_numbers", &rows, |row| row.try_get(0))?;
        first.into_iter().next().ok_or_else(|| {
            let missing = Failure::before(sqlx::Error::RowNotFound);
            classify("reserve_numbers", &self.place, missing)
        })
    }

    pub(super) async fn check_in(
        &self,
        worker: &str,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Vec<Peer>> {
        let (at, until) = (now.as_micros(), expires_at.as_micros());
        let values = vec![
            Value::Number(at),
            Value::Text(worker),
            Value::Text(worker),
            Value::Number(until),
            Value::Number(at),
            Value::Text(worker),
            Value::Text(worker),
            Value::Number(until),
            Value::Number(at),
        ];
        let rows = self.change("check_in", sql::CHECK_IN, values).await?;
        let mut peers = self.decode("check_in", &rows, |row| {
            let partitions = u16::try_from(row.try_get::<i64, _>(1)?).unwrap_or(u16::MAX);
            Ok(Peer { worker: row.try_get(0)?, partitions })
        })?;
        peers.sort_by(|one, other| one.worker.cmp(&other.worker));
        Ok(peers)
    }

    pub(super) async fn acquire(
        &self,
        owner: &str,
        limit: u16,
        held: &[PartitionId],
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Vec<Lease>> {
        let values = vec![
            Value::Text(owner),
            Value::Number(now.as_micros()),
            Value::numbers(held, |partition| i64::from(partition.0)),
            Value::Text(owner),
            Value::Number(i64::from(limit)),
            Value::Text(owner),
            Value::Number(expires_at.as_micros()),
        ];
        let rows = self.change("acquire_leases", sql::TAKE_PARTS, values).await?;
        let taken = self.decode("acquire_leases", &rows, |row| {
            let lease = Lease {
                partition: partition(row)?,
                epoch: row.try_get(1)?,
                owner: owner.to_owned(),
                expires_at,
            };
            Ok((lease, row.try_get::<i64, _>(2)?))
        })?;
        let mut leases = Vec::with_capacity(taken.len());
        for (lease, commits) in taken {
            self.ledger.begin(&lease, commits);
            leases.push(lease);
        }
        leases.sort_by_key(|lease| lease.partition);
        Ok(leases)
    }

    pub(super) async fn renew(
        &self,
        leases: &[Lease],
        expires_at: Timestamp,
    ) -> Result<Vec<Lease>> {
        let mut values = keys(leases);
        values.push(Value::Number(expires_at.as_micros()));
        let rows = self.change("renew_leases", sql::RENEW_PARTS, values).await?;
        let current = self.decode("renew_leases", &rows, partition)?;
        let renewed = leases.iter().filter(|lease| current.contains(&lease.partition));
        Ok(renewed.map(|lease| Lease { expires_at, ..lease.clone() }).collect())
    }

    pub(super) async fn release(&self, leases: &[Lease]) -> Result<()> {
        self.change("release_leases", sql::RELEASE_PARTS, keys(leases)).await.map(drop)
    }

    /// Deletes those of these instances that have ended. A second attempt would not return what
    /// the first has deleted, so there is none.
    pub(super) async fn purge(&self, numbers: &[InstanceNo]) -> Result<Vec<InstanceNo>> {
        let values = vec![Value::numbers(numbers, |no| no.0)];
        let statement = Statement::of(&self.names, sql::PURGE, values);
        let rows = self.pool.run(&statement).await;
        let rows = rows.map_err(|failure| self.failed_once("purge_instances", failure))?;
        let purged: Vec<InstanceNo> =
            self.decode("purge_instances", &rows, |row| Ok(InstanceNo(row.try_get(0)?)))?;
        // They are gone already. What is left of them lies there until somebody sweeps.
        if !purged.is_empty()
            && let Err(error) = self.sweep().await
        {
            tracing::debug!(%error, "what was purged is swept later");
        }
        Ok(purged)
    }

    /// The error of something that is not done a second time, or was tried often enough.
    pub(super) fn failed_once(&self, operation: &'static str, failure: Failure) -> StoreError {
        if failure.is_in_doubt() {
            return in_doubt(operation, &self.place, failure);
        }
        classify(operation, &self.place, failure)
    }

    pub(super) async fn clean(
        &self,
        receipts_before: Timestamp,
        replies_before: Timestamp,
    ) -> Result<()> {
        for (text, before) in
            [(sql::CLEAN_RECEIPTS, receipts_before), (sql::CLEAN_REPLIES, replies_before)]
        {
            let values = || vec![Value::Number(before.as_micros()), Value::Number(CLEAN_ROWS)];
            self.until_few(text, values).await?;
        }
        self.sweep().await
    }

    /// Deletes what is left of instances that were purged.
    async fn sweep(&self) -> Result<()> {
        for text in [sql::SWEEP_SIDE, sql::SWEEP_HISTORY] {
            let values = || vec![Value::Number(CLEAN_ROWS), Value::Number(CLEAN_ROWS)];
            self.until_few(text, values).await?;
        }
        self.until_few(sql::SWEEP_NUMBERS, || vec![Value::Number(CLEAN_ROWS)]).await
    }

    /// Runs a deletion until it finds less than it may delete at once.
    async fn until_few(
        &self,
        text: &'static str,
        values: impl Fn() -> Vec<Value<'static>>,
    ) -> Result<()> {
        loop {
            let rows = self.change("clean", text, values()).await?;
            let counts = self.decode("clean", &rows, |row| row.try_get::<i64, _>(0))?;
            if counts.first().is_none_or(|count| *count < CLEAN_ROWS) {
                return Ok(());
            }
        }
    }
}

fn partition(row: &PgRow) -> std::result::Result<PartitionId, sqlx::Error> {
    let id: i32 = row.try_get(0)?;
    u16::try_from(id).map(PartitionId).map_err(|error| sqlx::Error::Decode(error.into()))
}

fn keys(leases: &[Lease]) -> Vec<Value<'static>> {
    vec![
        Value::numbers(leases, |lease| i64::from(lease.partition.0)),
        Value::numbers(leases, |lease| lease.epoch),
    ]
}
