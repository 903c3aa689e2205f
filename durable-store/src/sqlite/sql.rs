//! Every SQL statement of the `SQLite` backend, by name, and nothing else. What the writer runs is
//! prepared once and run for each row, with numbered parameters. What the reader runs takes plain
//! `?`, because its scripts put statements together, and a list as one JSON parameter, read by
//! `json_each`.

// --- opening ----------------------------------------------------------------------------------

pub(super) const SYNCHRONOUS_FULL: &str = "PRAGMA synchronous = FULL";
pub(super) const SYNCHRONOUS_NORMAL: &str = "PRAGMA synchronous = NORMAL";
/// The page cache of the writer: 8 MiB, in KiB and negative by the pragma's convention.
pub(super) const WRITER_CACHE: &str = "PRAGMA cache_size = -8192";
/// Pages (of 4 KiB) at which the writer itself copies the write-ahead log back, should the
/// background not have done it. A log that starts over in blocks it has already is flushed in about
/// two thirds of the time of one that grows, so it is kept small.
pub(super) const LOG_LIMIT: &str = "PRAGMA wal_autocheckpoint = 4096";
/// The marks of the file: whose it is, and which schema it has.
pub(super) const READ_MARKS: &str = "SELECT
    (SELECT application_id FROM pragma_application_id),
    (SELECT user_version FROM pragma_user_version),
    (SELECT count(*) FROM sqlite_schema)";
pub(super) const READ_JOURNAL_MODE: &str = "PRAGMA journal_mode";
pub(super) const SET_JOURNAL_MODE: &str = "PRAGMA journal_mode = WAL";
pub(super) const CREATE_HUB: &str =
    "INSERT INTO hub (one, partitions, next_number, next_seq) VALUES (1, ?1, 1, 1)";
pub(super) const CREATE_PARTS: &str = "WITH RECURSIVE n(id) AS
        (SELECT 0 UNION ALL SELECT id + 1 FROM n WHERE id + 1 < ?1)
    INSERT INTO part (id, epoch, owner, expires_at, guarded) SELECT id, 0, NULL, 0, 0 FROM n";
pub(super) const READ_HUB: &str = "SELECT partitions FROM hub";

// --- transactions and upkeep -------------------------------------------------------------------

pub(super) const BEGIN: &str = "BEGIN IMMEDIATE";
pub(super) const COMMIT: &str = "COMMIT";
pub(super) const ROLLBACK: &str = "ROLLBACK";
pub(super) const SAVEPOINT: &str = "SAVEPOINT operation";
pub(super) const RELEASE: &str = "RELEASE operation";
pub(super) const ROLLBACK_TO: &str = "ROLLBACK TO operation";
pub(super) const DATA_VERSION: &str = "PRAGMA data_version";
pub(super) const HAS_FREE_OFFERS: &str =
    "SELECT EXISTS (SELECT 1 FROM offer WHERE claimed_by IS NULL)";
pub(super) const CHECKPOINT: &str = "PRAGMA wal_checkpoint(PASSIVE)";
pub(super) const CHECKPOINT_ALL: &str = "PRAGMA wal_checkpoint(TRUNCATE)";

// --- numbers and leases -------------------------------------------------------------------------

pub(super) const RESERVE_NUMBERS: &str =
    "UPDATE hub SET next_number = next_number + ?1 RETURNING next_number - ?1";
pub(super) const READ_PARTS: &str =
    "SELECT id, epoch, owner, expires_at, guarded FROM part ORDER BY id";
pub(super) const TAKE_PART: &str = "UPDATE part SET epoch = epoch + 1, owner = ?2, expires_at = ?3,
        guarded = ?4
    WHERE id = ?1";
pub(super) const RENEW_PART: &str =
    "UPDATE part SET expires_at = ?3 WHERE id = ?1 AND epoch = ?2 AND owner IS NOT NULL";
pub(super) const RELEASE_PART: &str =
    "UPDATE part SET owner = NULL, guarded = 0 WHERE id = ?1 AND epoch = ?2";
pub(super) const READ_OWNERS: &str =
    "SELECT owner FROM part WHERE owner IS NOT NULL UNION SELECT name FROM worker";
/// Writes nothing if all is as it was, and then the transaction is not flushed.
pub(super) const PUT_WORKER: &str =
    "INSERT INTO worker (name, expires_at, guarded) VALUES (?1, ?2, ?3)
    ON CONFLICT (name) DO UPDATE SET expires_at = excluded.expires_at, guarded = excluded.guarded
    WHERE (worker.expires_at, worker.guarded) IS NOT (excluded.expires_at, excluded.guarded)";
pub(super) const READ_WORKERS: &str = "SELECT name, expires_at, guarded,
        (SELECT count(*) FROM part WHERE owner = name) FROM worker ORDER BY name";
pub(super) const DELETE_WORKER: &str = "DELETE FROM worker WHERE name = ?1";
/// One row if the lease is current, none if it is lost. The reader's scripts begin with it too.
pub(super) const FENCE: &str =
    "SELECT 1 FROM part WHERE id = ? AND epoch = ? AND owner IS NOT NULL";

// --- what a commit changes ----------------------------------------------------------------------

pub(super) const INSERT_INSTANCE: &str =
    "INSERT INTO instance (no, id, kind, name, version, parent, request, created_at, input,
        starts_at, tags, first_events)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
/// A message may ask for an instance that exists by now; then only the message is stored.
pub(super) const INSERT_INSTANCE_IF_ABSENT: &str =
    "INSERT INTO instance (no, id, kind, name, version, parent, request, created_at, input,
        starts_at, tags, first_events)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
    ON CONFLICT (id) DO NOTHING";
pub(super) const INSERT_TAG: &str = "INSERT INTO tag (no, key, value) VALUES (?1, ?2, ?3)";
/// An instance whose first turn is still to come.
pub(super) const INSERT_PENDING: &str =
    "INSERT INTO progress (no, status, busy, updated_at) VALUES (?1, 0, 0, ?2)";
/// The parameters are those of [`UPDATE_PROGRESS`]; the one before the last has no use here.
pub(super) const INSERT_PROGRESS: &str =
    "INSERT INTO progress (no, status, blocked, busy, updated_at, finished_at, state, output,
        custom_status, first_turn)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?10, ?11)";
/// Late news of a failure do not undo that it was set running again. Turns that are told of come
/// after the first one.
pub(super) const UPDATE_PROGRESS: &str = "UPDATE progress SET
        status = CASE WHEN ?2 = 4 AND ?6 IS NULL AND status = 1 THEN 1 ELSE ?2 END,
        blocked = ?3,
        busy = ?4,
        updated_at = ?5,
        finished_at = CASE WHEN ?2 = 4 AND status = 1 THEN ?6
            WHEN ?2 >= 3 THEN coalesce(?6, finished_at) END,
        state = coalesce(?7, state),
        output = coalesce(?8, output),
        custom_status = CASE WHEN ?9 THEN custom_status ELSE ?10 END
    WHERE no = ?1 AND coalesce(first_turn < ?11, 1)";
/// For an instance that begins anew.
pub(super) const RENEW_INSTANCE: &str =
    "UPDATE instance SET version = ?2, input = ?3 WHERE no = ?1";
pub(super) const CLEAR_SIDE: &str = "DELETE FROM side WHERE no = ?1";
pub(super) const DELETE_SIDE: &str = "DELETE FROM side WHERE no = ?1 AND key = ?2";
pub(super) const PUT_SIDE: &str = "INSERT INTO side (no, key, body) VALUES (?1, ?2, ?3)
    ON CONFLICT (no, key) DO UPDATE SET body = excluded.body";
pub(super) const INSERT_HISTORY: &str =
    "INSERT INTO history (no, turn, events) VALUES (?1, ?2, ?3)";
pub(super) const FORGET_HISTORY: &str = "DELETE FROM history WHERE no = ?1 AND turn < ?2";
pub(super) const FORGET_FIRST_TURN: &str =
    "UPDATE progress SET first_turn = NULL WHERE no = ?1 AND first_turn < ?2";
pub(super) const FORGET_FIRST_EVENTS: &str =
    "UPDATE instance SET first_events = NULL WHERE no = ?1";
/// The unary plus keeps the planner on the index of the ids.
pub(super) const CONSUME: &str = "DELETE FROM inbox WHERE id = ?1 AND +seq >= ?2 AND +seq < ?3";
pub(super) const UNSCHEDULE: &str = "DELETE FROM scheduled WHERE id = ?1 AND +partition = ?2";
pub(super) const PUT_REPLY: &str = "INSERT INTO reply (request, body, at) VALUES (?1, ?2, ?3)
    ON CONFLICT (request) DO UPDATE SET body = excluded.body, at = excluded.at";

// --- what is purged -----------------------------------------------------------------------------

/// Marks an instance for purging if it has ended.
pub(super) const MARK: &str = "INSERT INTO garbage (no)
    SELECT no FROM progress WHERE no = ?1 AND status >= 3";
pub(super) const FIND_NUMBER: &str = "SELECT no FROM instance WHERE id = ?1";
/// Delete what is marked. Side rows and history are left to the sweep.
pub(super) const DELETE_MARKED: [&str; 3] = [
    "DELETE FROM progress WHERE no = ?1",
    "DELETE FROM tag WHERE no = ?1",
    "DELETE FROM instance WHERE no = ?1",
];
pub(super) const SWEEP_SIDE: &str = "DELETE FROM side WHERE (no, key) IN
    (SELECT s.no, s.key FROM garbage AS g CROSS JOIN side AS s ON s.no = g.no LIMIT ?1)";
pub(super) const SWEEP_HISTORY: &str = "DELETE FROM history WHERE rowid IN
    (SELECT h.rowid FROM garbage AS g CROSS JOIN history AS h ON h.no = g.no LIMIT ?1)";
pub(super) const SWEEP_NUMBERS: &str = "DELETE FROM garbage
    WHERE no IN (SELECT no FROM garbage ORDER BY no LIMIT ?1)
        AND NOT EXISTS (SELECT 1 FROM side WHERE side.no = garbage.no)
        AND NOT EXISTS (SELECT 1 FROM history WHERE history.no = garbage.no)";
/// Sets an instance running again that has failed.
pub(super) const REOPEN: &str = "UPDATE progress SET status = 1, finished_at = NULL
    WHERE status = 4 AND no = (SELECT no FROM instance WHERE id = ?1)";

// --- messages -----------------------------------------------------------------------------------

/// Sets so many places in the order of arrival aside; returns the first.
pub(super) const RESERVE_PLACES: &str =
    "UPDATE hub SET next_seq = next_seq + ?1 RETURNING next_seq - ?1";
pub(super) const INSERT_INBOX: &str = "INSERT INTO inbox (seq, id, target, body)
    SELECT ?1, ?2, ?3, ?4 WHERE NOT EXISTS (SELECT 1 FROM scheduled WHERE id = ?2)
    ON CONFLICT (id) DO NOTHING";
pub(super) const INSERT_SCHEDULED: &str =
    "INSERT INTO scheduled (partition, due_at, seq, id, target, body)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE NOT EXISTS (SELECT 1 FROM inbox WHERE id = ?4)
    ON CONFLICT (id) DO NOTHING";
/// Whether the id of an envelope was seen.
pub(super) const IS_SEEN: &str = "SELECT 1 FROM receipt WHERE id = ?1
    UNION ALL SELECT 1 FROM inbox WHERE id = ?1
    UNION ALL SELECT 1 FROM scheduled WHERE id = ?1";
/// The instance that an envelope is for.
pub(super) const READ_TARGET: &str = "SELECT i.no, p.status, i.request
    FROM instance AS i JOIN progress AS p ON p.no = i.no WHERE i.id = ?1";
pub(super) const INSERT_RECEIPT: &str = "INSERT INTO receipt (id, at) VALUES (?1, ?2)";
pub(super) const CLEAN_RECEIPTS: &str = "DELETE FROM receipt
    WHERE id IN (SELECT id FROM receipt WHERE at < ?1 ORDER BY at LIMIT ?2)";
pub(super) const CLEAN_REPLIES: &str = "DELETE FROM reply
    WHERE rowid IN (SELECT rowid FROM reply WHERE at < ?1 ORDER BY at LIMIT ?2)";

// --- offers -------------------------------------------------------------------------------------

pub(super) const INSERT_OFFER: &str = "INSERT INTO offer (id, partition, name, body)
    VALUES (?1, ?2, ?3, ?4) ON CONFLICT (id) DO NOTHING";
pub(super) const WITHDRAW_OFFER: &str = "DELETE FROM offer WHERE id = ?1 AND +partition = ?2";
pub(super) const WITHDRAW_OFFERS: &str = "DELETE FROM offer WHERE partition = ?1";
pub(super) const LOST_OFFERS: &str =
    "SELECT id FROM offer WHERE partition = ?1 AND claimed_until <= ?2";
/// The names are a list in JSON. In no order.
pub(super) const CLAIM_OFFERS: &str = "UPDATE offer SET claimed_by = ?1, claimed_until = ?2
    WHERE seq IN (SELECT seq FROM offer INDEXED BY offer_free WHERE claimed_by IS NULL
        AND name IN (SELECT value FROM json_each(?3)) ORDER BY seq LIMIT ?4)
    RETURNING seq, id, partition, name, body";
pub(super) const RENEW_CLAIM: &str =
    "UPDATE offer SET claimed_until = ?3 WHERE id = ?1 AND claimed_by = ?2";
pub(super) const RELEASE_CLAIM: &str =
    "UPDATE offer SET claimed_by = NULL, claimed_until = NULL WHERE id = ?1 AND claimed_by = ?2";

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
/// One row if the lease is current, as [`FENCE`], then the inbox, then what is scheduled. In one
/// statement, because a transaction around several is four more hops between threads.
pub(super) const POLL: &str = "SELECT 0 AS source, NULL AS due_at, 0 AS seq, NULL, NULL, NULL
        FROM part WHERE id = ? AND epoch = ? AND owner IS NOT NULL
    UNION ALL SELECT * FROM (SELECT 1, NULL, seq, id, target, body FROM inbox
        WHERE seq >= ? AND seq < ? ORDER BY seq LIMIT ?)
    UNION ALL SELECT * FROM (SELECT 2, due_at, seq, id, target, body FROM scheduled
        WHERE partition = ? AND due_at <= ? ORDER BY due_at, seq LIMIT ?)
    ORDER BY source, due_at, seq";
pub(super) const READ_INSTANCES: &str = select_instances!(
    "FROM instance AS i JOIN progress AS p ON p.no = i.no
    WHERE i.id IN (SELECT value FROM json_each(?))"
);
/// The first turn stands with the instance. One row more than asked for, and in no order that is
/// promised: to sort them here would be to copy them.
pub(super) const READ_HISTORY: &str = "SELECT p.first_turn, i.first_events
        FROM progress AS p JOIN instance AS i ON i.no = p.no
        WHERE p.no = ? AND p.first_turn > ?
    UNION ALL SELECT * FROM (SELECT turn, events FROM history
        WHERE no = ? AND turn > ? AND EXISTS (SELECT 1 FROM instance WHERE instance.no = history.no)
        ORDER BY turn LIMIT ?)";
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
