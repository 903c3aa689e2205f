//! Offers of activities: what an owner lets others run, and who has claimed it.

use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::Timestamp;
use crate::check::lease_lost;
use crate::model::{Lease, Offer, PartitionId};
use crate::store::Result;

use super::Inner;
use super::sql;
use super::statement::{Statement, Value, body};

impl Inner {
    pub(super) async fn offer(&self, lease: &Lease, offers: &[Offer]) -> Result<()> {
        let values = vec![
            Value::texts(&refs(offers), |offer| &offer.id),
            Value::texts(&refs(offers), |offer| &offer.name),
            Value::texts(&refs(offers), |offer| body(&offer.body)),
        ];
        self.owned("offer_activities", lease, sql::INSERT_OFFERS, values).await
    }

    pub(super) async fn withdraw(&self, lease: &Lease, ids: Option<&[String]>) -> Result<()> {
        let (text, values) = match ids {
            Some(ids) => (sql::WITHDRAW_OFFERS, vec![Value::ids(ids)]),
            None => (sql::WITHDRAW_ALL_OFFERS, vec![]),
        };
        self.owned("withdraw_offers", lease, text, values).await
    }

    /// Changes offers of the partition, if the lease is current.
    async fn owned(
        &self,
        operation: &'static str,
        lease: &Lease,
        text: &'static str,
        values: Vec<Value<'_>>,
    ) -> Result<()> {
        let fence = fence(lease).into_iter().chain(values).collect();
        let rows = self.change(operation, text, fence).await?;
        let gates = self.decode(operation, &rows, |row| row.try_get::<i64, _>(0))?;
        match gates.first() {
            Some(1) => Ok(()),
            _ => Err(lease_lost(operation, lease)),
        }
    }

    pub(super) async fn lost(&self, lease: &Lease, now: Timestamp) -> Result<Vec<String>> {
        let partition = Value::Number(i64::from(lease.partition.0));
        let values = vec![partition, Value::Number(now.as_micros())];
        let values = values.into_iter().chain(fence(lease)).collect();
        let rows = self.change("lost_offers", sql::LOST_OFFERS, values).await?;
        if rows.is_empty() {
            return Err(lease_lost("lost_offers", lease));
        }
        let ids = self.decode("lost_offers", &rows, |row| row.try_get::<Option<String>, _>(0))?;
        Ok(ids.into_iter().flatten().collect())
    }

    /// Made once: a second attempt would not return what the first has claimed, which is lost when
    /// its time is over.
    pub(super) async fn claim(
        &self,
        worker: &str,
        names: &[String],
        limit: usize,
        expires_at: Timestamp,
    ) -> Result<Vec<Offer>> {
        let values = vec![
            Value::ids(names),
            Value::Number(i64::try_from(limit).unwrap_or(i64::MAX)),
            Value::Text(worker),
            Value::Number(expires_at.as_micros()),
        ];
        let statement = Statement::of(&self.names, sql::CLAIM_OFFERS, values);
        let rows = self.pool.run(&statement).await;
        let rows = rows.map_err(|failure| self.failed_once("claim_offers", failure))?;
        let mut claimed = self.decode("claim_offers", &rows, read)?;
        claimed.sort_unstable_by_key(|(seq, _)| *seq);
        Ok(claimed.into_iter().map(|(_, offer)| offer).collect())
    }

    pub(super) async fn renew_claims(
        &self,
        worker: &str,
        ids: &[String],
        expires_at: Timestamp,
    ) -> Result<Vec<String>> {
        let until = Value::Number(expires_at.as_micros());
        let values = vec![Value::ids(ids), Value::Text(worker), until];
        let rows = self.change("renew_claims", sql::RENEW_CLAIMS, values).await?;
        self.decode("renew_claims", &rows, |row| row.try_get(0))
    }

    pub(super) async fn release_claims(&self, worker: &str, ids: &[String]) -> Result<()> {
        let values = vec![Value::ids(ids), Value::Text(worker)];
        self.change("release_claims", sql::RELEASE_CLAIMS, values).await.map(drop)
    }
}

fn refs(offers: &[Offer]) -> Vec<&Offer> {
    offers.iter().collect()
}

fn fence(lease: &Lease) -> [Value<'static>; 2] {
    [Value::Number(i64::from(lease.partition.0)), Value::Number(lease.epoch)]
}

/// A claimed offer, and its place in the order.
fn read(row: &PgRow) -> std::result::Result<(i64, Offer), sqlx::Error> {
    let partition: i32 = row.try_get(2)?;
    let partition = u16::try_from(partition).map_err(|error| sqlx::Error::Decode(error.into()))?;
    let offer = Offer {
        id: row.try_get(1)?,
        partition: PartitionId(partition),
        name: row.try_get(3)?,
        body: row.try_get::<&str, _>(4)?.into(),
    };
    Ok((row.try_get(0)?, offer))
}
