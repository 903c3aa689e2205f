//! Every SQL statement of the `SQLite` backend, by name, and nothing else. A list of rows is one
//! JSON parameter of arrays, read by `json_each`, so that a batch of any size is one statement.
//! Parameters are plain `?`: scripts put statements together and number none of them.

// --- opening ----------------------------------------------------------------------------------

/// The marks of the file: whose it is, and which schema it has.
pub(super) const READ_MARKS: &str = "SELECT
    (SELECT application_id FROM pragma_application_id),
    (SELECT user_version FROM pragma_user_version),
    (SELECT count(*) FROM sqlite_schema)";
pub(super) const READ_JOURNAL_MODE: &str = "PRAGMA journal_mode";
pub(super) const SET_JOURNAL_MODE: &str = "PRAGMA journal_mode = WAL";
pub(super) const CREATE_HUB: &str =
    "INSERT INTO hub (one, partitions, next_number, next_seq) VALUES (1, ?, 1, 1)";
pub(super) const CREATE_PARTS: &str = "WITH RECURSIVE n(id) AS
        (SELECT 0 UNION ALL SELECT id + 1 FROM n WHERE id + 1 < ?)
    INSERT INTO part (id, epoch, owner, expires_at, guarded) SELECT id, 0, NULL, 0, 0 FROM n";
pub(super) const READ_HUB: &str = "SELECT partitions FROM hub";

// --- transactions and upkeep -------------------------------------------------------------------

pub(super) const BEGIN: &str = "BEGIN IMMEDIATE";
pub(super) const COMMIT: &str = "COMMIT";
pub(super) const ROLLBACK: &str = "ROLLBACK";
pub(super) const SAVEPOINT: &str = "SAVEPOINT operation";
pub(super) const RELEASE: &str = "RELEASE operation";
pub(super) const ROLLBACK_TO: &str = "ROLLBACK TO operation; RELEASE operation";
pub(super) const DATA_VERSION: &str = "PRAGMA data_version";
pub(super) const CHECKPOINT: &str = "PRAGMA wal_checkpoint(PASSIVE)";
pub(super) const CHECKPOINT_ALL: &str = "PRAGMA wal_checkpoint(TRUNCATE)";

// --- numbers and leases -------------------------------------------------------------------------

pub(super) const RESERVE_NUMBERS: &str =
    "UPDATE hub SET next_number = next_number + ? RETURNING next_number - ?";
pub(super) const READ_PARTS: &str =
    "SELECT id, epoch, owner, expires_at, guarded FROM part ORDER BY id";
pub(super) const TAKE_PARTS: &str =
    "UPDATE part SET epoch = epoch + 1, owner = ?, expires_at = ?, guarded = ?
    WHERE id IN (SELECT value FROM json_each(?))";
pub(super) const RENEW_PARTS: &str = "UPDATE part SET expires_at = ?
    WHERE owner IS NOT NULL
        AND (id, epoch) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?))
    RETURNING id";
pub(super) const RELEASE_PARTS: &str = "UPDATE part SET owner = NULL, guarded = 0
    WHERE (id, epoch) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?))";
pub(super) const READ_OWNERS: &str =
    "SELECT owner FROM part WHERE owner IS NOT NULL UNION SELECT name FROM worker";
/// Writes nothing if all is as it was, and then the transaction is not flushed.
pub(super) const PUT_WORKER: &str =
    "INSERT INTO worker (name, expires_at, guarded) VALUES (?, ?, ?)
    ON CONFLICT (name) DO UPDATE SET expires_at = excluded.expires_at, guarded = excluded.guarded
    WHERE (worker.expires_at, worker.guarded) IS NOT (excluded.expires_at, excluded.guarded)";
pub(super) const READ_WORKERS: &str = "SELECT name, expires_at, guarded,
        (SELECT count(*) FROM part WHERE owner = name) FROM worker ORDER BY name";
pub(super) const DELETE_WORKERS: &str =
    "DELETE FROM worker WHERE name IN (SELECT value FROM json_each(?))";
/// Ends the script unless the lease is current.
pub(super) const EXPECT_LEASE: &str = "INSERT INTO expectation (met) SELECT 0
    WHERE NOT EXISTS (SELECT 1 FROM part WHERE id = ? AND epoch = ? AND owner IS NOT NULL)";
/// Ends the script unless the statement just before changed so many rows.
pub(super) const EXPECT_CHANGES: &str =
    "INSERT INTO expectation (met) SELECT 0 WHERE changes() <> ?";
/// One row if the lease is current, none if it is lost. For reads, which cannot insert.
pub(super) const FENCE: &str =
    "SELECT 1 FROM part WHERE id = ? AND epoch = ? AND owner IS NOT NULL";

// --- what a commit changes ----------------------------------------------------------------------

pub(super) const INSERT_INSTANCES: &str =
    "INSERT INTO instance (no, id, kind, name, version, parent, request, created_at, input,
        starts_at, tags)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
        value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10
    FROM json_each(?)";
pub(super) const INSERT_PROGRESS: &str =
    "INSERT INTO progress (no, status, blocked, busy, updated_at, finished_at, state, output,
        custom_status)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
        value ->> 6, value ->> 7, value ->> 9
    FROM json_each(?)";
/// A message may ask for an instance that exists by now; then only the message is stored.
pub(super) const INSERT_INSTANCES_IF_ABSENT: &str =
    "INSERT INTO instance (no, id, kind, name, version, parent, request, created_at, input,
        starts_at, tags)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
        value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10
    FROM json_each(?) WHERE true
    ON CONFLICT (id) DO NOTHING";
/// Follows [`INSERT_INSTANCES_IF_ABSENT`]: numbers are used once, so a number that has a row now
/// was inserted by it.
pub(super) const INSERT_PENDING: &str = "INSERT INTO progress (no, status, busy, updated_at)
    SELECT no, 0, 0, created_at FROM instance
    WHERE no IN (SELECT value FROM json_each(?))
    ON CONFLICT (no) DO NOTHING";
/// Follows the insertion of instances. A number that has a row was inserted by it, as above.
pub(super) const INSERT_TAGS: &str = "INSERT INTO tag (no, key, value)
    SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?)
    WHERE EXISTS (SELECT 1 FROM instance WHERE instance.no = value ->> 0)
    ON CONFLICT (no, key) DO NOTHING";
/// Late news of a failure do not undo that it was set running again.
pub(super) const UPDATE_PROGRESS: &str = "UPDATE progress SET
        status = CASE WHEN v.status = 4 AND v.finished_at IS NULL AND progress.status = 1
            THEN 1 ELSE v.status END,
        blocked = v.blocked,
        busy = v.busy,
        updated_at = v.updated_at,
        finished_at = CASE WHEN v.status = 4 AND progress.status = 1 THEN v.finished_at
            WHEN v.status >= 3 THEN coalesce(v.finished_at, progress.finished_at) END,
        state = coalesce(v.state, progress.state),
        output = coalesce(v.output, progress.output),
        custom_status = CASE WHEN v.keep THEN progress.custom_status ELSE v.custom_status END
    FROM (SELECT value ->> 0 AS no, value ->> 1 AS status, value ->> 2 AS blocked,
            value ->> 3 AS busy, value ->> 4 AS updated_at, value ->> 5 AS finished_at,
            value ->> 6 AS state, value ->> 7 AS output, value ->> 8 AS keep,
            value ->> 9 AS custom_status
        FROM json_each(?)) AS v
    WHERE progress.no = v.no";
/// For instances that begin anew.
pub(super) const RENEW_INSTANCES: &str = "UPDATE instance SET version = v.version, input = v.input
    FROM (SELECT value ->> 0 AS no, value ->> 1 AS version, value ->> 2 AS input
        FROM json_each(?)) AS v
    WHERE instance.no = v.no";
pub(super) const CLEAR_SIDE: &str = "DELETE FROM side WHERE no IN (SELECT value FROM json_each(?))";
pub(super) const DELETE_SIDE: &str = "DELETE FROM side
    WHERE (no, key) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?))";
pub(super) const PUT_SIDE: &str = "INSERT INTO side (no, key, body)
    SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?) WHERE true
    ON CONFLICT (no, key) DO UPDATE SET body = excluded.body";
pub(super) const INSERT_HISTORY: &str = "INSERT INTO history (no, turn, events)
    SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?)";
pub(super) const FORGET_HISTORY: &str = "DELETE FROM history
    WHERE (no, turn) IN (SELECT h.no, h.turn FROM json_each(?) AS v
        CROSS JOIN history AS h ON h.no = v.value ->> 0 AND h.turn < v.value ->> 1)";
/// The unary plus keeps the planner on the index of the ids.
pub(super) const CONSUME: &str = "DELETE FROM inbox
    WHERE id IN (SELECT value FROM json_each(?)) AND +seq >= ? AND +seq < ?";
pub(super) const UNSCHEDULE: &str = "DELETE FROM scheduled
    WHERE id IN (SELECT value FROM json_each(?)) AND +partition = ?";
pub(super) const PUT_REPLIES: &str = "INSERT INTO reply (request, body, at)
    SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?) WHERE true
    ON CONFLICT (request) DO UPDATE SET body = excluded.body, at = excluded.at";

// --- what is purged -----------------------------------------------------------------------------

/// Marks those of these numbers that have ended.
pub(super) const MARK_NUMBERS: &str = "INSERT INTO garbage (no, fresh)
    SELECT no, 1 FROM progress WHERE no IN (SELECT value FROM json_each(?)) AND status >= 3
    RETURNING no";
/// Marks the instances of these ids that have ended.
pub(super) const MARK_IDS: &str = "INSERT INTO garbage (no, fresh)
    SELECT i.no, 1 FROM json_each(?) AS v
    CROSS JOIN instance AS i ON i.id = v.value
    CROSS JOIN progress AS p ON p.no = i.no
    WHERE p.status >= 3
    ON CONFLICT (no) DO NOTHING";
/// These four, in this order, delete what is marked. Side rows and history are left to the sweep.
pub(super) const DELETE_MARKED: [&str; 4] = [
    "DELETE FROM progress WHERE no IN (SELECT no FROM garbage WHERE fresh = 1)",
    "DELETE FROM tag WHERE no IN (SELECT no FROM garbage WHERE fresh = 1)",
    "DELETE FROM instance WHERE no IN (SELECT no FROM garbage WHERE fresh = 1)",
    "UPDATE garbage SET fresh = 0 WHERE fresh = 1",
];
pub(super) const SWEEP_SIDE: &str = "DELETE FROM side WHERE (no, key) IN
    (SELECT s.no, s.key FROM garbage AS g CROSS JOIN side AS s ON s.no = g.no LIMIT ?)";
pub(super) const SWEEP_HISTORY: &str = "DELETE FROM history WHERE (no, turn) IN
    (SELECT h.no, h.turn FROM garbage AS g CROSS JOIN history AS h ON h.no = g.no LIMIT ?)";
pub(super) const SWEEP_NUMBERS: &str = "DELETE FROM garbage
    WHERE no IN (SELECT no FROM garbage ORDER BY no LIMIT ?)
        AND NOT EXISTS (SELECT 1 FROM side WHERE side.no = garbage.no)
        AND NOT EXISTS (SELECT 1 FROM history WHERE history.no = garbage.no)";
/// Sets instances running again that have failed.
pub(super) const REOPEN: &str = "UPDATE progress SET status = 1, finished_at = NULL
    WHERE status = 4
        AND no IN (SELECT no FROM instance WHERE id IN (SELECT value FROM json_each(?)))";

// --- messages -----------------------------------------------------------------------------------

/// Sets as many places in the order of arrival aside as the statements after it use.
pub(super) const ADVANCE_SEQ: &str = "UPDATE hub SET next_seq = next_seq + ?";
pub(super) const INSERT_INBOX: &str = "INSERT INTO inbox (seq, id, target, body)
    SELECT (value ->> 0) + (SELECT next_seq FROM hub) - (value ->> 1), value ->> 2, value ->> 3,
        value ->> 4
    FROM json_each(?)
    WHERE NOT EXISTS (SELECT 1 FROM scheduled WHERE scheduled.id = value ->> 2)
    ON CONFLICT (id) DO NOTHING";
pub(super) const INSERT_SCHEDULED: &str =
    "INSERT INTO scheduled (partition, due_at, seq, id, target, body)
    SELECT value ->> 0, value ->> 5, (SELECT next_seq FROM hub) - (value ->> 1), value ->> 2,
        value ->> 3, value ->> 4
    FROM json_each(?)
    WHERE NOT EXISTS (SELECT 1 FROM inbox WHERE inbox.id = value ->> 2)
    ON CONFLICT (id) DO NOTHING";
/// Per envelope: its place in the list, whether its id was seen, and its target's state.
pub(super) const LOOK_UP: &str = "SELECT e.key,
        EXISTS (SELECT 1 FROM receipt WHERE receipt.id = e.value ->> 0)
            OR EXISTS (SELECT 1 FROM inbox WHERE inbox.id = e.value ->> 0)
            OR EXISTS (SELECT 1 FROM scheduled WHERE scheduled.id = e.value ->> 0),
        p.status, i.request, i.no
    FROM json_each(?) AS e
    LEFT JOIN instance AS i ON i.id = e.value ->> 1
    LEFT JOIN progress AS p ON p.no = i.no";
pub(super) const INSERT_RECEIPTS: &str = "INSERT INTO receipt (id, at)
    SELECT value ->> 0, value ->> 1 FROM json_each(?)";
pub(super) const CLEAN_RECEIPTS: &str = "DELETE FROM receipt
    WHERE id IN (SELECT id FROM receipt WHERE at < ? ORDER BY at LIMIT ?)";
pub(super) const CLEAN_REPLIES: &str = "DELETE FROM reply
    WHERE rowid IN (SELECT rowid FROM reply WHERE at < ? ORDER BY at LIMIT ?)";

// --- reads --------------------------------------------------------------------------------------

/// The columns of an instance, in the order that the reader decodes them.
macro_rules! select_instances {
    ($rest:literal) => {
        concat!(
            "SELECT i.no, i.id, i.kind, i.name, i.version, i.parent, i.request, p.status, ",
            "p.blocked, i.created_at, p.updated_at, p.finished_at, i.input, p.state, p.output, ",
            "p.custom_status, i.starts_at, i.tags ",
            $rest
        )
    };
}

pub(super) const LOAD_BUSY: &str = select_instances!(
    "FROM progress AS p JOIN instance AS i ON i.no = p.no
    WHERE p.busy = 1 AND p.no >= ? AND p.no < ? ORDER BY p.no"
);
/// The cross join keeps the planner from going through every side row of the partition.
pub(super) const LOAD_BUSY_SIDE: &str = "SELECT s.no, s.key, s.body
    FROM progress AS p CROSS JOIN side AS s ON s.no = p.no
    WHERE p.busy = 1 AND p.no >= ? AND p.no < ? ORDER BY s.no, s.key";
pub(super) const LOAD_INSTANCES: &str = select_instances!(
    "FROM instance AS i JOIN progress AS p ON p.no = i.no
    WHERE i.id IN (SELECT value FROM json_each(?)) AND +i.no >= ? AND +i.no < ? ORDER BY i.no"
);
pub(super) const LOAD_SIDE: &str = "SELECT no, key, body FROM side
    WHERE no IN (SELECT no FROM instance WHERE id IN (SELECT value FROM json_each(?))
        AND +no >= ? AND +no < ?)
    ORDER BY no, key";
pub(super) const POLL_INBOX: &str = "SELECT id, target, NULL, body FROM inbox
    WHERE seq >= ? AND seq < ? ORDER BY seq LIMIT ?";
pub(super) const POLL_SCHEDULED: &str = "SELECT id, target, due_at, body FROM scheduled
    WHERE partition = ? AND due_at <= ? ORDER BY due_at, seq LIMIT ?";
pub(super) const READ_INSTANCES: &str = select_instances!(
    "FROM instance AS i JOIN progress AS p ON p.no = i.no
    WHERE i.id IN (SELECT value FROM json_each(?))"
);
pub(super) const READ_HISTORY: &str = "SELECT turn, events FROM history
    WHERE no = ? AND turn > ? AND EXISTS (SELECT 1 FROM instance WHERE instance.no = history.no)
    ORDER BY turn LIMIT ?";
pub(super) const READ_REPLIES: &str = "SELECT request, body FROM reply
    WHERE request IN (SELECT value FROM json_each(?))";

// A query is one of these heads, conditions as far as they are asked for, and for a page the
// tail.
pub(super) const FIND: &str =
    select_instances!("FROM instance AS i JOIN progress AS p ON p.no = i.no WHERE i.no > ?");
/// Where another index narrows more, the unary plus keeps the planner on it: it would rather go
/// through all numbers in order.
pub(super) const FIND_NARROW: &str =
    select_instances!("FROM instance AS i JOIN progress AS p ON p.no = i.no WHERE +i.no > ?");
pub(super) const COUNT: &str =
    "SELECT count(*) FROM instance AS i JOIN progress AS p ON p.no = i.no WHERE +i.no > ?";
pub(super) const AND_KIND: &str = " AND i.kind = ?";
pub(super) const AND_ID_FROM: &str = " AND i.id >= ?";
pub(super) const AND_ID_BEFORE: &str = " AND i.id < ?";
pub(super) const AND_NAME: &str = " AND i.name = ?";
pub(super) const AND_STATUS: &str = " AND p.status IN (SELECT value FROM json_each(?))";
pub(super) const AND_PARENT: &str = " AND i.parent = ?";
pub(super) const AND_CREATED_FROM: &str = " AND i.created_at >= ?";
pub(super) const AND_CREATED_BEFORE: &str = " AND i.created_at < ?";
pub(super) const AND_UPDATED_FROM: &str = " AND p.updated_at >= ?";
pub(super) const AND_UPDATED_BEFORE: &str = " AND p.updated_at < ?";
pub(super) const AND_FINISHED_FROM: &str = " AND p.finished_at >= ?";
pub(super) const AND_FINISHED_BEFORE: &str = " AND p.finished_at < ?";
pub(super) const AND_VERSION: &str = " AND i.version = ?";
pub(super) const AND_TAG: &str = " AND i.no IN (SELECT no FROM tag WHERE key = ? AND value = ?)";
pub(super) const PAGE: &str = " ORDER BY i.no LIMIT ?";
pub(super) const PAGE_NARROW: &str = " ORDER BY +i.no LIMIT ?";
