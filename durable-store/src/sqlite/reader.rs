//! Everything that only reads, on a small pool of connections. What belongs together is read in
//! one transaction, so that it shows one state of the database; none outlives its call.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqlitePool};

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

use super::errors::classify_read;
use super::messages::seq_range;
use super::script::{Fetched, Rows, Script};
use super::sql;

/// The sources of rows of [`sql::POLL`]; the third is the schedule.
const FENCE: i64 = 0;
const INBOX: i64 = 1;

/// The reading side of a store.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    pub(super) pool: SqlitePool,
    pub(super) path: Arc<PathBuf>,
}

impl Reader {
    /// Runs a script that starts with the fence of `lease`, in one transaction, and returns the
    /// outcomes after the fence.
    async fn fenced(
        &self,
        operation: &'static str,
        lease: &Lease,
        script: &Script,
    ) -> Result<Vec<Rows>> {
        let fetched = async {
            // A transaction of sqlx is rolled back even if this future is dropped in the middle.
            let mut transaction = self.pool.begin().await?;
            let outcomes = script.run_all(&mut transaction).await?;
            transaction.rollback().await?;
            Fetched::Ok(outcomes)
        };
        let mut outcomes = self.classified(operation, fetched.await)?;
        if outcomes.first().is_none_or(Vec::is_empty) {
            return Err(lease_lost(operation, lease));
        }
        outcomes.remove(0);
        Ok(outcomes)
    }

    /// Runs a script of one statement.
    async fn rows<T>(
        &self,
        operation: &'static str,
        script: &Script,
        decode: impl Fn(&SqliteRow) -> Fetched<T>,
    ) -> Result<Vec<T>> {
        let fetched = async {
            let mut connection = self.pool.acquire().await?;
            script.decode_each(&mut connection, decode).await
        };
        self.classified(operation, fetched.await)
    }

    fn classified<T>(&self, operation: &'static str, fetched: Fetched<T>) -> Result<T> {
        fetched.map_err(|error| classify_read(operation, &self.path, error))
    }

    fn decoded<T>(
        &self,
        operation: &'static str,
        rows: &[SqliteRow],
        decode: impl Fn(&SqliteRow) -> Fetched<T>,
    ) -> Result<Vec<T>> {
        self.classified(operation, rows.iter().map(decode).collect())
    }

    /// The instances of two outcomes: rows, and side rows.
    fn stored(&self, operation: &'static str, outcomes: &[Rows]) -> Result<Vec<StoredInstance>> {
        let [instances, side] = outcomes else {
            return Ok(Vec::new());
        };
        let mut by_number: HashMap<i64, Vec<(SideKey, Payload)>> = HashMap::new();
        for (no, key, body) in self.decoded(operation, side, |row| {
            Ok((row.try_get(0)?, row.try_get(1)?, payload(row, 2)?))
        })? {
            by_number.entry(no).or_default().push((key, body));
        }
        let records = self.decoded(operation, instances, record)?;
        let stored = records.into_iter().map(|record| StoredInstance {
            side: by_number.remove(&record.no.0).unwrap_or_default(),
            record,
        });
        Ok(stored.collect())
    }

    pub(super) async fn load_partition(&self, lease: &Lease) -> Result<Vec<StoredInstance>> {
        let mut script = fence(lease)?;
        let (first, end) = number_range(lease.partition);
        for statement in [sql::LOAD_BUSY, sql::LOAD_BUSY_SIDE] {
            script.push(statement);
            script.bind(first)?;
            script.bind(end)?;
        }
        let outcomes = self.fenced("load_partition", lease, &script).await?;
        self.stored("load_partition", &outcomes)
    }

    pub(super) async fn load_instances(
        &self,
        lease: &Lease,
        ids: &[String],
    ) -> Result<Vec<StoredInstance>> {
        let mut script = fence(lease)?;
        let (first, end) = number_range(lease.partition);
        for statement in [sql::LOAD_INSTANCES, sql::LOAD_SIDE] {
            script.push(statement);
            script.bind_rows(ids)?;
            script.bind(first)?;
            script.bind(end)?;
        }
        let outcomes = self.fenced("load_instances", lease, &script).await?;
        self.stored("load_instances", &outcomes)
    }

    pub(super) async fn poll(
        &self,
        lease: &Lease,
        horizon: Timestamp,
        limit: usize,
    ) -> Result<Polled> {
        let mut script = Script::of(sql::POLL);
        script.bind(i64::from(lease.partition.0))?;
        script.bind(lease.epoch)?;
        let (first, end) = seq_range(lease.partition);
        script.bind(first)?;
        script.bind(end)?;
        script.bind(rows_limit(limit))?;
        script.bind(i64::from(lease.partition.0))?;
        script.bind(horizon.as_micros())?;
        script.bind(rows_limit(limit))?;
        let decode = |row: &SqliteRow| {
            let source: i64 = row.try_get(0)?;
            if source == FENCE {
                return Ok((source, None));
            }
            let message = Message {
                id: row.try_get(3)?,
                partition: lease.partition,
                target: row.try_get(4)?,
                due_at: time(row, 1)?,
                body: payload(row, 5)?,
            };
            Ok((source, Some(message)))
        };
        let rows = self.rows("poll", &script, decode).await?;
        if rows.first().is_none_or(|(source, _)| *source != FENCE) {
            return Err(lease_lost("poll", lease));
        }
        let mut polled = Polled::default();
        for (source, message) in rows {
            let list = if source == INBOX { &mut polled.inbox } else { &mut polled.scheduled };
            list.extend(message);
        }
        Ok(polled)
    }

    pub(super) async fn read_instances(&self, ids: &[String]) -> Result<Vec<InstanceRecord>> {
        let mut script = Script::of(sql::READ_INSTANCES);
        script.bind_rows(ids)?;
        self.rows("read_instances", &script, record).await
    }

    pub(super) async fn find(
        &self,
        query: &InstanceQuery,
        after: Option<InstanceNo>,
        limit: usize,
    ) -> Result<Page> {
        let limit = limit.min(limits::MAX_PAGE_ROWS);
        // One more row than asked for tells whether there is a next page.
        let script = find_script(query, after, limit + 1)?;
        let mut records = self.rows("find_instances", &script, record).await?;
        let more = records.len() > limit;
        records.truncate(limit);
        let next = records.last().filter(|_| more).map(|last| last.no);
        Ok(Page { records, next })
    }

    pub(super) async fn count(&self, query: &InstanceQuery) -> Result<u64> {
        let mut script = Script::of(sql::COUNT);
        conditions(&mut script, query, None)?;
        let counts = self.rows("count_instances", &script, |row| row.try_get::<i64, _>(0)).await?;
        Ok(counts.first().and_then(|count| u64::try_from(*count).ok()).unwrap_or(0))
    }

    pub(super) async fn history(
        &self,
        no: InstanceNo,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, Payload)>> {
        let mut script = Script::of(sql::READ_HISTORY);
        let limit = limit.min(limits::MAX_PAGE_ROWS);
        for number in [no.0, after, no.0, after, rows_limit(limit)] {
            script.bind(number)?;
        }
        let decode = |row: &SqliteRow| Ok((row.try_get(0)?, payload(row, 1)?));
        Ok(page_of_history(self.rows("read_history", &script, decode).await?, limit))
    }

    pub(super) async fn replies(&self, requests: &[String]) -> Result<Vec<(String, Payload)>> {
        let mut script = Script::of(sql::READ_REPLIES);
        script.bind_rows(requests)?;
        self.rows("read_replies", &script, |row| Ok((row.try_get(0)?, payload(row, 1)?))).await
    }
}

fn fence(lease: &Lease) -> Result<Script> {
    let mut script = Script::of(sql::FENCE);
    script.bind(i64::from(lease.partition.0))?;
    script.bind(lease.epoch)?;
    Ok(script)
}

fn find_script(query: &InstanceQuery, after: Option<InstanceNo>, rows: usize) -> Result<Script> {
    let narrow = is_narrow(query);
    let (head, tail) =
        if narrow { (sql::FIND_NARROW, sql::PAGE_NARROW) } else { (sql::FIND, sql::PAGE) };
    let mut script = Script::of(head);
    conditions(&mut script, query, after)?;
    script.extend(tail);
    script.bind(rows_limit(rows))?;
    Ok(script)
}

fn conditions(script: &mut Script, query: &InstanceQuery, after: Option<InstanceNo>) -> Result<()> {
    script.bind(after.map_or(i64::MIN, |after| after.0))?;
    if let Some(kind) = &query.kind {
        script.extend(sql::AND_KIND);
        script.bind(kind_code(*kind))?;
    }
    if let Some(prefix) = &query.id_prefix {
        script.extend(sql::AND_ID_FROM);
        script.bind(prefix.clone())?;
        if let Some(end) = prefix_end(prefix) {
            script.extend(sql::AND_ID_BEFORE);
            script.bind(end)?;
        }
    }
    if let Some(name) = &query.name {
        script.extend(sql::AND_NAME);
        script.bind(name.clone())?;
    }
    if let Some(version) = &query.version {
        script.extend(sql::AND_VERSION);
        script.bind(version.clone())?;
    }
    for (key, value) in &query.tags {
        script.extend(sql::AND_TAG);
        script.bind(key.clone())?;
        script.bind(value.clone())?;
    }
    if !query.statuses.is_empty() {
        script.extend(sql::AND_STATUS);
        script.bind_rows(&query.statuses.iter().copied().map(status_code).collect::<Vec<_>>())?;
    }
    if let Some(parent) = &query.parent {
        script.extend(sql::AND_PARENT);
        script.bind(parent.clone())?;
    }
    for (condition, time) in [
        (sql::AND_CREATED_FROM, query.created_from),
        (sql::AND_CREATED_BEFORE, query.created_to),
        (sql::AND_UPDATED_FROM, query.updated_from),
        (sql::AND_UPDATED_BEFORE, query.updated_to),
        (sql::AND_FINISHED_FROM, query.finished_from),
        (sql::AND_FINISHED_BEFORE, query.finished_to),
    ] {
        if let Some(time) = time {
            script.extend(condition);
            script.bind(time.as_micros())?;
        }
    }
    Ok(())
}

/// Whether an index leaves so few rows that they are better sorted than all gone through in order.
fn is_narrow(query: &InstanceQuery) -> bool {
    query.id_prefix.as_ref().is_some_and(|prefix| !prefix.is_empty())
        || query.parent.is_some()
        || !query.tags.is_empty()
        || query.created_from.is_some()
        || query.finished_from.is_some()
        || query.finished_to.is_some()
}

fn rows_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn payload(row: &SqliteRow, column: usize) -> Fetched<Payload> {
    row.try_get::<&str, _>(column).map(Payload::from)
}

fn maybe_payload(row: &SqliteRow, column: usize) -> Fetched<Option<Payload>> {
    Ok(row.try_get::<Option<&str>, _>(column)?.map(Payload::from))
}

fn time(row: &SqliteRow, column: usize) -> Fetched<Option<Timestamp>> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(Timestamp::from_micros))
}

fn tags(row: &SqliteRow, column: usize) -> Fetched<Tags> {
    match row.try_get::<Option<&str>, _>(column)? {
        None => Ok(Tags::new()),
        Some(text) => serde_json::from_str(text).map_err(|e| sqlx::Error::Decode(e.into())),
    }
}

/// Decodes what the `select_instances` statements return.
fn record(row: &SqliteRow) -> Fetched<InstanceRecord> {
    let code = row.try_get(7)?;
    let status = status(code)
        .ok_or_else(|| sqlx::Error::Decode(format!("no status has the code {code}").into()))?;
    Ok(InstanceRecord {
        no: InstanceNo(row.try_get(0)?),
        id: row.try_get(1)?,
        kind: kind(row.try_get(2)?),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What of the plan of a query says how its rows are found.
    async fn plan(query: InstanceQuery) -> String {
        use sqlx::Connection as _;
        let mut connection = sqlx::SqliteConnection::connect("sqlite::memory:").await.unwrap();
        let schema = include_str!("../../migrations/sqlite/0001_init.sql");
        sqlx::raw_sql(schema).execute(&mut connection).await.unwrap();
        let script = find_script(&query, None, 10).unwrap().explained();
        let rows = script.run_all(&mut connection).await.unwrap();
        rows.iter()
            .flatten()
            .map(|row| row.get::<String, _>("detail"))
            .collect::<Vec<_>>()
            .join("; ")
    }

    #[tokio::test]
    async fn each_filter_that_narrows_has_an_index() {
        let any = InstanceQuery::default;
        let time = Some(Timestamp::default());
        let tags = Tags::from([("a".to_owned(), "b".to_owned())]);
        for (query, index) in [
            (any(), "SEARCH i USING INTEGER PRIMARY KEY"),
            (InstanceQuery { name: Some("a".into()), ..any() }, "instance_name"),
            (InstanceQuery { id_prefix: Some("a".into()), ..any() }, "sqlite_autoindex_instance"),
            (InstanceQuery { parent: Some("a".into()), ..any() }, "instance_parent"),
            (InstanceQuery { created_from: time, ..any() }, "instance_created"),
            (InstanceQuery { finished_from: time, ..any() }, "progress_finished"),
            (InstanceQuery { finished_to: time, ..any() }, "progress_finished"),
            (InstanceQuery { tags, ..any() }, "tag_value"),
        ] {
            let plan = plan(query.clone()).await;
            assert!(plan.contains(index), "{query:?}: {plan}");
            assert!(!plan.contains("SCAN i") && !plan.contains("SCAN p"), "{query:?}: {plan}");
        }
    }
}
