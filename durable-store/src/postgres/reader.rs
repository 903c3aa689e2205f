//! Everything that only reads. What an owner reads is one statement, which sees one state of the
//! database and returns nothing at all if the lease is lost.

use std::collections::HashMap;

use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::Timestamp;
use crate::check::lease_lost;
use crate::codes::{kind, kind_code, number_range, prefix_end, status, status_code};
use crate::first_turn::page_of_history;
use crate::limits;
use crate::model::{
    InstanceNo, InstanceQuery, InstanceRecord, Lease, Message, Page, Payload, Polled, SideKey,
    StoredInstance, Tags,
};
use crate::store::Result;

use super::Inner;
use super::errors::{Failure, classify};
use super::pool::Ran;
use super::sql;
use super::statement::{Names, Statement, Value};

type Fetched<T> = std::result::Result<T, sqlx::Error>;

/// The columns of a loaded row that are not the record's.
const SIDE_KEY: usize = 18;
const SIDE_BODY: usize = 19;

impl Inner {
    async fn rows(&self, operation: &'static str, statement: &Statement) -> Result<Vec<PgRow>> {
        let rows = self.pool.run_again(statement).await;
        rows.map_err(|failure| classify(operation, &self.place, failure))
    }

    fn decoded<T>(
        &self,
        operation: &'static str,
        rows: &[PgRow],
        decode: impl Fn(&PgRow) -> Fetched<T>,
    ) -> Result<Vec<T>> {
        let decoded = rows.iter().map(decode).collect::<Fetched<_>>();
        decoded.map_err(|error| classify(operation, &self.place, Failure::before(error)))
    }

    /// The rows of a statement that has the fence of `lease` in it.
    async fn fenced(
        &self,
        operation: &'static str,
        lease: &Lease,
        statement: &Statement,
    ) -> Result<Vec<PgRow>> {
        let rows = self.rows(operation, statement).await?;
        if rows.is_empty() {
            return Err(lease_lost(operation, lease));
        }
        Ok(rows)
    }

    pub(super) async fn load_partition(&self, lease: &Lease) -> Result<Vec<StoredInstance>> {
        let values = range(lease).chain(range(lease)).chain(fence(lease)).collect();
        let statement = Statement::of(&self.names, sql::LOAD_BUSY, values);
        let rows = self.fenced("load_partition", lease, &statement).await?;
        self.stored("load_partition", &rows)
    }

    pub(super) async fn load_instances(
        &self,
        lease: &Lease,
        ids: &[String],
    ) -> Result<Vec<StoredInstance>> {
        let part = || std::iter::once(Value::ids(ids)).chain(range(lease));
        let values = part().chain(part()).chain(fence(lease)).collect();
        let statement = Statement::of(&self.names, sql::LOAD_INSTANCES, values);
        let rows = self.fenced("load_instances", lease, &statement).await?;
        self.stored("load_instances", &rows)
    }

    /// The instances of rows that are records or side rows.
    fn stored(&self, operation: &'static str, rows: &[PgRow]) -> Result<Vec<StoredInstance>> {
        let parts = self.decoded(operation, rows, |row| {
            Ok(
                match (row.try_get::<Option<i64>, _>(0)?, row.try_get::<Option<i64>, _>(SIDE_KEY)?)
                {
                    (None, _) => None,
                    (Some(_), None) => Some(Loaded::Record(Box::new(record(row)?))),
                    (Some(no), Some(key)) => Some(Loaded::Side(no, key, payload(row, SIDE_BODY)?)),
                },
            )
        })?;
        let mut records = Vec::new();
        let mut by_number: HashMap<i64, Vec<(SideKey, Payload)>> = HashMap::new();
        for part in parts.into_iter().flatten() {
            match part {
                Loaded::Record(record) => records.push(*record),
                Loaded::Side(no, key, body) => by_number.entry(no).or_default().push((key, body)),
            }
        }
        let stored = records.into_iter().map(|record| {
            let mut side = by_number.remove(&record.no.0).unwrap_or_default();
            side.sort_unstable_by_key(|(key, _)| *key);
            StoredInstance { record, side }
        });
        Ok(stored.collect())
    }

    pub(super) async fn poll(
        &self,
        lease: &Lease,
        horizon: Timestamp,
        limit: usize,
    ) -> Result<Polled> {
        let partition = i64::from(lease.partition.0);
        let limit = rows_limit(limit);
        let values = [partition, limit, partition, horizon.as_micros(), limit];
        let values = values.into_iter().map(Value::Number).chain(fence(lease)).collect();
        let statement = Statement::of(&self.names, sql::POLL, values);
        let rows = self.fenced("poll", lease, &statement).await?;
        let messages = self.decoded("poll", &rows, |row| {
            let Some(is_timed) = row.try_get::<Option<bool>, _>(0)? else { return Ok(None) };
            let due_at = time(row, 2)?;
            let place = (is_timed, due_at, row.try_get::<i64, _>(1)?);
            let message = Message {
                id: row.try_get(3)?,
                partition: lease.partition,
                target: row.try_get(4)?,
                due_at,
                body: payload(row, 5)?,
            };
            Ok(Some((place, message)))
        })?;
        // The two parts of the answer are sorted each; that they follow each other is not promised.
        let mut messages: Vec<_> = messages.into_iter().flatten().collect();
        messages.sort_by_key(|(place, _)| *place);
        let (scheduled, inbox): (Vec<_>, Vec<_>) =
            messages.into_iter().map(|(_, message)| message).partition(|m| m.due_at.is_some());
        Ok(Polled { inbox, scheduled })
    }

    pub(super) async fn read_instances(&self, ids: &[String]) -> Result<Vec<InstanceRecord>> {
        let statement = Statement::of(&self.names, sql::READ_INSTANCES, vec![Value::ids(ids)]);
        let rows = self.rows("read_instances", &statement).await?;
        self.decoded("read_instances", &rows, record)
    }

    pub(super) async fn find(
        &self,
        query: &InstanceQuery,
        after: Option<InstanceNo>,
        limit: usize,
    ) -> Result<Page> {
        let limit = limit.min(limits::MAX_PAGE_ROWS);
        // One more row than asked for tells whether there is a next page.
        let statement = find_statement(&self.names, query, after, limit + 1);
        let rows = self.planned("find_instances", &statement).await?;
        let mut records = self.decoded("find_instances", &rows, record)?;
        let more = records.len() > limit;
        records.truncate(limit);
        let next = records.last().filter(|_| more).map(|last| last.no);
        Ok(Page { records, next })
    }

    pub(super) async fn count(&self, query: &InstanceQuery) -> Result<u64> {
        let mut statement = Statement::new(&self.names);
        statement.extend(sql::COUNT);
        conditions(&mut statement, query, None);
        let rows = self.planned("count_instances", &statement).await?;
        let counts = self.decoded("count_instances", &rows, |row| row.try_get::<i64, _>(0))?;
        Ok(counts.first().and_then(|count| u64::try_from(*count).ok()).unwrap_or(0))
    }

    /// The rows of a query that is planned by its filters.
    async fn planned(&self, operation: &'static str, statement: &Statement) -> Result<Vec<PgRow>> {
        let run = async || -> Ran<Vec<PgRow>> {
            let mut used = self.pool.acquire().await?;
            used.execute(sql::BEGIN_QUERY).await?;
            let rows = used.run(statement).await?;
            used.execute(sql::ROLLBACK).await?;
            used.give_back();
            Ok(rows)
        };
        let result = match run().await {
            Err(failure) if failure.is_passing() => run().await,
            result => result,
        };
        result.map_err(|failure| classify(operation, &self.place, failure))
    }

    pub(super) async fn history(
        &self,
        no: InstanceNo,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, Payload)>> {
        let limit = limit.min(limits::MAX_PAGE_ROWS);
        let values = [after, rows_limit(limit), no.0, after].map(Value::Number);
        let statement = Statement::of(&self.names, sql::READ_HISTORY, values.into());
        let rows = self.rows("read_history", &statement).await?;
        let decode = |row: &PgRow| Ok((row.try_get(0)?, payload(row, 1)?));
        Ok(page_of_history(self.decoded("read_history", &rows, decode)?, limit))
    }

    pub(super) async fn replies(&self, requests: &[String]) -> Result<Vec<(String, Payload)>> {
        let statement = Statement::of(&self.names, sql::READ_REPLIES, vec![Value::ids(requests)]);
        let rows = self.rows("read_replies", &statement).await?;
        self.decoded("read_replies", &rows, |row| Ok((row.try_get(0)?, payload(row, 1)?)))
    }
}

/// A row of a load.
enum Loaded {
    Record(Box<InstanceRecord>),
    Side(i64, SideKey, Payload),
}

fn fence<'a>(lease: &Lease) -> impl Iterator<Item = Value<'a>> + use<'a> {
    [Value::Number(i64::from(lease.partition.0)), Value::Number(lease.epoch)].into_iter()
}

fn range<'a>(lease: &Lease) -> impl Iterator<Item = Value<'a>> + use<'a> {
    let (first, end) = number_range(lease.partition);
    [Value::Number(first), Value::Number(end)].into_iter()
}

/// The statement of a page.
pub(super) fn find_statement(
    names: &Names,
    query: &InstanceQuery,
    after: Option<InstanceNo>,
    rows: usize,
) -> Statement {
    let mut statement = Statement::new(names);
    statement.extend(sql::FIND);
    conditions(&mut statement, query, after);
    statement.extend(sql::PAGE);
    statement.bind(Value::Number(rows_limit(rows)));
    statement
}

fn conditions(statement: &mut Statement, query: &InstanceQuery, after: Option<InstanceNo>) {
    statement.bind(Value::Number(after.map_or(i64::MIN, |after| after.0)));
    let mut and = |text: &'static str, value: Option<Value<'_>>| {
        if let Some(value) = value {
            statement.extend(text);
            statement.bind(value);
        }
    };
    and(sql::AND_KIND, query.kind.map(|kind| Value::Number(kind_code(kind))));
    let end = query.id_prefix.as_deref().and_then(prefix_end);
    and(sql::AND_ID_FROM, query.id_prefix.as_deref().map(Value::Text));
    and(sql::AND_ID_BEFORE, end.as_deref().map(Value::Text));
    and(sql::AND_NAME, query.name.as_deref().map(Value::Text));
    and(sql::AND_VERSION, query.version.as_deref().map(Value::Text));
    // A map of texts: writing it cannot fail.
    let tags = serde_json::to_string(&query.tags).unwrap_or_default();
    and(sql::AND_TAGS, (!query.tags.is_empty()).then_some(Value::Text(&tags)));
    let statuses = Value::numbers(&query.statuses, |status| status_code(*status));
    and(sql::AND_STATUS, (!query.statuses.is_empty()).then_some(statuses));
    and(sql::AND_PARENT, query.parent.as_deref().map(Value::Text));
    for (text, time) in [
        (sql::AND_CREATED_FROM, query.created_from),
        (sql::AND_CREATED_BEFORE, query.created_to),
        (sql::AND_UPDATED_FROM, query.updated_from),
        (sql::AND_UPDATED_BEFORE, query.updated_to),
        (sql::AND_FINISHED_FROM, query.finished_from),
        (sql::AND_FINISHED_BEFORE, query.finished_to),
    ] {
        and(text, time.map(|time| Value::Number(time.as_micros())));
    }
}

fn rows_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn payload(row: &PgRow, column: usize) -> Fetched<Payload> {
    row.try_get::<&str, _>(column).map(Payload::from)
}

fn maybe_payload(row: &PgRow, column: usize) -> Fetched<Option<Payload>> {
    Ok(row.try_get::<Option<&str>, _>(column)?.map(Payload::from))
}

fn time(row: &PgRow, column: usize) -> Fetched<Option<Timestamp>> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(Timestamp::from_micros))
}

fn tags(row: &PgRow, column: usize) -> Fetched<Tags> {
    match row.try_get::<Option<&str>, _>(column)? {
        None => Ok(Tags::new()),
        Some(text) => serde_json::from_str(text).map_err(|e| sqlx::Error::Decode(e.into())),
    }
}

/// Decodes the columns of an instance.
fn record(row: &PgRow) -> Fetched<InstanceRecord> {
    let code = i64::from(row.try_get::<i16, _>(7)?);
    let status = status(code)
        .ok_or_else(|| sqlx::Error::Decode(format!("no status has the code {code}").into()))?;
    Ok(InstanceRecord {
        no: InstanceNo(row.try_get(0)?),
        id: row.try_get(1)?,
        kind: kind(i64::from(row.try_get::<i16, _>(2)?)),
        name: row.try_get(3)?,
        version: row.try_get(4)?,
        parent: row.try_get(5)?,
        request: row.try_get(6)?,
        status,
        blocked: row.try_get(8)?,
        created_at: Timestamp::from_micros(row.try_get(9)?),
        updated_at: Timestamp::from_micros(row.try_get(10)?),
        finished_at: time(row, 11)?,
        input: payload(row, 12)?,
        state: maybe_payload(row, 13)?,
        output: maybe_payload(row, 14)?,
        custom_status: maybe_payload(row, 15)?,
        starts_at: time(row, 16)?,
        tags: tags(row, 17)?,
    })
}
