//! Offers of activities: what an owner lets others run, and who has claimed it. Runs in the writer's
//! transaction.

use rusqlite::{Connection, Row};

use crate::Timestamp;
use crate::check::lease_lost;
use crate::model::{Hint, Lease, Offer, PartitionId};

use super::sql;
use super::statement::{exists, run, run_each};
use super::work::{Failure, Output};

/// What is done with offers.
pub(super) enum OfferWork {
    Offer { lease: Lease, offers: Vec<Offer>, bytes: usize },
    Withdraw { lease: Lease, ids: Option<Vec<String>> },
    Lost { lease: Lease, now: Timestamp },
    Claim { worker: String, names: Vec<String>, limit: usize, expires_at: Timestamp },
    Renew { worker: String, ids: Vec<String>, expires_at: Timestamp },
    Release { worker: String, ids: Vec<String> },
}

impl OfferWork {
    /// The method of the contract that asks for it.
    pub(super) fn operation(&self) -> &'static str {
        match self {
            Self::Offer { .. } => "offer_activities",
            Self::Withdraw { .. } => "withdraw_offers",
            Self::Lost { .. } => "lost_offers",
            Self::Claim { .. } => "claim_offers",
            Self::Renew { .. } => "renew_claims",
            Self::Release { .. } => "release_claims",
        }
    }

    /// About how much it writes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Offer { bytes, .. } => *bytes,
            _ => 0,
        }
    }

    /// What others may wait for in it.
    pub(super) fn hint(&self) -> Option<Hint> {
        matches!(self, Self::Offer { .. }).then_some(Hint::Offers)
    }

    pub(super) fn apply(&self, connection: &Connection) -> Result<Output, Failure> {
        match self {
            Self::Offer { lease, offers, .. } => {
                self.fence(connection, lease)?;
                let rows = offers.iter().map(|o| (&*o.id, o.partition.0, &*o.name, &*o.body));
                run_each(connection, sql::INSERT_OFFER, rows)?;
            }
            Self::Withdraw { lease, ids } => {
                self.fence(connection, lease)?;
                let partition = lease.partition.0;
                match ids {
                    Some(ids) => {
                        let rows = ids.iter().map(|id| (&**id, partition));
                        run_each(connection, sql::WITHDRAW_OFFER, rows)?
                    }
                    None => run(connection, sql::WITHDRAW_OFFERS, (partition,))?,
                };
            }
            Self::Lost { lease, now } => {
                self.fence(connection, lease)?;
                let mut query = connection.prepare_cached(sql::LOST_OFFERS)?;
                let ids =
                    query.query_map((lease.partition.0, now.as_micros()), |row| row.get(0))?;
                return Ok(Output::Ids(ids.collect::<rusqlite::Result<_>>()?));
            }
            Self::Claim { worker, names, limit, expires_at } => {
                return Ok(Output::Offers(claim(connection, worker, names, *limit, *expires_at)?));
            }
            Self::Renew { worker, ids, expires_at } => {
                let mut renewed = Vec::with_capacity(ids.len());
                for id in ids {
                    let row = (&**id, &**worker, expires_at.as_micros());
                    if run(connection, sql::RENEW_CLAIM, row)? > 0 {
                        renewed.push(id.clone());
                    }
                }
                return Ok(Output::Ids(renewed));
            }
            Self::Release { worker, ids } => {
                let rows = ids.iter().map(|id| (&**id, &**worker));
                run_each(connection, sql::RELEASE_CLAIM, rows)?;
            }
        }
        Ok(Output::Done)
    }

    fn fence(&self, connection: &Connection, lease: &Lease) -> Result<(), Failure> {
        if exists(connection, sql::FENCE, (lease.partition.0, lease.epoch))? {
            return Ok(());
        }
        Err(lease_lost(self.operation(), lease).into())
    }
}

fn claim(
    connection: &Connection,
    worker: &str,
    names: &[String],
    limit: usize,
    expires_at: Timestamp,
) -> rusqlite::Result<Vec<Offer>> {
    // A list of texts: writing it cannot fail.
    let names = serde_json::to_string(names).unwrap_or_default();
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut query = connection.prepare_cached(sql::CLAIM_OFFERS)?;
    let claimed = query.query_map((worker, expires_at.as_micros(), names, limit), |row| {
        Ok((row.get::<_, i64>(0)?, read(row)?))
    })?;
    let mut claimed = claimed.collect::<rusqlite::Result<Vec<_>>>()?;
    claimed.sort_unstable_by_key(|(seq, _)| *seq);
    Ok(claimed.into_iter().map(|(_, offer)| offer).collect())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Offer> {
    Ok(Offer {
        id: row.get(1)?,
        partition: PartitionId(row.get(2)?),
        name: row.get(3)?,
        body: row.get::<_, String>(4)?.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_goes_along_the_index_of_what_is_free() {
        let connection = Connection::open_in_memory().unwrap();
        let schema = include_str!("../../migrations/sqlite/0001_init.sql");
        connection.execute_batch(schema).unwrap();
        let explain = format!("EXPLAIN QUERY PLAN {}", sql::CLAIM_OFFERS);
        let mut query = connection.prepare(&explain).unwrap();
        let plan: Vec<String> =
            query.raw_query().mapped(|row| row.get("detail")).map(Result::unwrap).collect();
        // It goes through what is free, in order, until it has enough.
        assert!(plan.contains(&"SCAN offer USING INDEX offer_free".to_owned()), "{plan:?}");
        assert!(!plan.iter().any(|step| step.contains("B-TREE FOR ORDER")), "{plan:?}");
    }
}
