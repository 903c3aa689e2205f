//! Every SQL statement of the `PostgreSQL` backend, by name, and nothing else. `@name` stands for a
//! table of the hub's schema and `?` for the next parameter; a list of rows is one array a column, or
//! values where it is a single row.
//!
//! Whatever changes data joins `gate`: the row of the partition in a commit, one row if everything
//! is as assumed in a `send`. A part that did not join it would run all the same.

// --- connections --------------------------------------------------------------------------------

/// How the statements below are planned: once, for any number of rows, and along indexes. A table
/// that messages pass through is empty when it is looked at and full when it is used.
pub(super) const SESSION: &str = "SET plan_cache_mode = force_generic_plan;
    SET enable_seqscan = off;
    SET enable_bitmapscan = off;
    SET enable_hashjoin = off;
    SET enable_mergejoin = off;
    SET jit = off";
/// Begins a transaction for queries with filters, which are planned by what is asked for.
pub(super) const BEGIN_QUERY: &str = "BEGIN READ ONLY;
    SET LOCAL plan_cache_mode = force_custom_plan;
    SET LOCAL enable_seqscan = on;
    SET LOCAL enable_bitmapscan = on;
    SET LOCAL enable_hashjoin = on;
    SET LOCAL enable_mergejoin = on";
pub(super) const BEGIN: &str = "BEGIN";
pub(super) const COMMIT: &str = "COMMIT";
pub(super) const ROLLBACK: &str = "ROLLBACK";
/// What is told is only a hint, so nobody waits for the disk.
pub(super) const NOTIFY: &str =
    "SELECT set_config('synchronous_commit', 'off', true), pg_notify(?, ?)";

// --- opening ------------------------------------------------------------------------------------

/// Whether the server takes changes, and whether the hub's schema is there.
pub(super) const READ_MARKS: &str = "SELECT pg_is_in_recovery() OR
        current_setting('transaction_read_only')::boolean,
    to_regclass(?) IS NOT NULL";
pub(super) const READ_VERSION: &str = "SELECT coalesce(max(version), 0) FROM @durable_schema";
/// One at a time may bring a schema up to date: the key is made of its name.
pub(super) const LOCK_SCHEMA: &str =
    "SELECT pg_advisory_xact_lock(hashtextextended('durable schema ' || ?, 0))";
pub(super) const READ_SCHEMA: &str = "SELECT to_regnamespace(?) IS NOT NULL";
/// The name follows.
pub(super) const CREATE_SCHEMA: &str = "CREATE SCHEMA IF NOT EXISTS";
pub(super) const CREATE_VERSIONS: &str = "CREATE TABLE IF NOT EXISTS @durable_schema
    (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT clock_timestamp())";
/// The rest of the transaction finds the names of a migration in the hub's schema.
pub(super) const SET_PATH: &str = "SELECT set_config('search_path', ?, true)";
pub(super) const INSERT_VERSION: &str = "INSERT INTO @durable_schema (version) VALUES (?)";
pub(super) const CREATE_HUB: &str =
    "INSERT INTO @hub (one, partitions, next_number) VALUES (true, ?, 1)";
pub(super) const CREATE_PARTS: &str =
    "INSERT INTO @part (id, epoch, owner, expires_at, commits, last_commit)
    SELECT id, 0, NULL, 0, 0, 0 FROM generate_series(0, ? - 1) AS id";
pub(super) const READ_HUB: &str = "SELECT partitions FROM @hub";

// --- numbers and leases -------------------------------------------------------------------------

pub(super) const RESERVE_NUMBERS: &str =
    "UPDATE @hub SET next_number = next_number + ? RETURNING next_number - ?";
/// Each worker writes its own row only; what is over is deleted by whoever comes first, and nobody
/// waits for that. One that says the same again writes nothing.
pub(super) const CHECK_IN: &str = "WITH gone AS (DELETE FROM @worker WHERE name IN
        (SELECT name FROM @worker WHERE expires_at <= ? AND name <> ? FOR UPDATE SKIP LOCKED)),
    noted AS (INSERT INTO @worker AS w (name, expires_at) VALUES (?, ?)
        ON CONFLICT (name) DO UPDATE SET expires_at = excluded.expires_at
        WHERE w.expires_at <> excluded.expires_at),
    held AS MATERIALIZED (SELECT owner, count(*) AS parts FROM @part GROUP BY owner)
    SELECT w.name, coalesce(held.parts, 0)
    FROM (SELECT name FROM @worker WHERE expires_at > ? AND name <> ?
        UNION ALL SELECT ?::text WHERE ?::bigint > ?::bigint) AS w
    LEFT JOIN held ON held.owner = w.name";
/// A partition whose row is locked is changing hands or being committed to at this moment: the
/// next round sees what came of it.
pub(super) const TAKE_PARTS: &str = "WITH chosen AS MATERIALIZED
        (SELECT id FROM @part
        WHERE (owner IS NULL OR owner = ? OR expires_at <= ?) AND id <> ALL (?::bigint[])
        ORDER BY owner IS NOT DISTINCT FROM ?, id LIMIT ? FOR UPDATE SKIP LOCKED)
    UPDATE @part AS p SET epoch = epoch + 1, owner = ?, expires_at = ?
    FROM chosen WHERE p.id = chosen.id
    RETURNING p.id, p.epoch, p.commits";
pub(super) const RENEW_PARTS: &str = "WITH held AS MATERIALIZED
        (SELECT p.id FROM unnest(?::bigint[], ?::bigint[]) AS v(id, epoch)
        JOIN @part AS p ON p.id = v.id AND p.epoch = v.epoch
        WHERE p.owner IS NOT NULL ORDER BY p.id FOR UPDATE OF p)
    UPDATE @part AS p SET expires_at = ? FROM held WHERE p.id = held.id
    RETURNING p.id";
pub(super) const RELEASE_PARTS: &str = "WITH held AS MATERIALIZED
        (SELECT p.id FROM unnest(?::bigint[], ?::bigint[]) AS v(id, epoch)
        JOIN @part AS p ON p.id = v.id AND p.epoch = v.epoch
        ORDER BY p.id FOR UPDATE OF p)
    UPDATE @part AS p SET owner = NULL FROM held WHERE p.id = held.id";
/// What a commit has to know of its partition.
pub(super) const READ_PART: &str =
    "SELECT epoch, owner IS NOT NULL, commits, last_commit FROM @part WHERE id = ?";

// --- how a commit begins and ends ---------------------------------------------------------------

/// The first part of a commit. Nobody takes the partition over while its row is locked by this.
pub(super) const GATE_COMMIT: &str = "WITH gate AS
        (UPDATE @part SET commits = commits + 1, last_commit = ?
        WHERE id = ? AND epoch = ? AND owner IS NOT NULL AND commits = ? RETURNING id)";
/// The same for commits of several partitions, in the order of the partitions. If only some of them
/// may happen, all is undone. For one it would do as well, and take a twentieth longer.
pub(super) const GATE_COMMITS: &str = "WITH current AS
        (UPDATE @part AS p SET commits = p.commits + 1, last_commit = v.mark
        FROM unnest(?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[])
            AS v(mark, id, epoch, commits)
        WHERE p.id = v.id AND p.epoch = v.epoch AND p.owner IS NOT NULL AND p.commits = v.commits
        RETURNING p.id),
    gate AS MATERIALIZED (SELECT count(*) AS id FROM current HAVING count(*) = ?),
    expect_current AS (INSERT INTO @expectation (changed)
        SELECT false WHERE NOT EXISTS (SELECT 1 FROM gate) AND EXISTS (SELECT 1 FROM current))";
/// The same for a statement that follows it in its transaction.
pub(super) const GATE_OPEN: &str = "WITH gate AS MATERIALIZED (SELECT 1 AS id)";
/// Says whether the gate was open.
pub(super) const END: &str = " SELECT count(*) FROM gate";

// --- what a commit changes ----------------------------------------------------------------------

macro_rules! insert_instances {
    ($more_columns:literal, $more_values:literal, $more_types:literal) => {
        concat!(
            "inserted AS (INSERT INTO @instance (no, id, kind, name, version, request, created_at, input,
        status, busy, updated_at, state, first_turn, first_events",
            $more_columns,
            ")
    SELECT v.no, v.id, v.kind, v.name, v.version, v.request, v.created_at, v.input, v.status, v.busy,
        v.updated_at, v.state, v.first_turn, v.first_events",
            $more_values,
            "
    FROM gate, unnest(?::bigint[], ?::text[], ?::bigint[], ?::text[], ?::text[], ?::text[],
        ?::bigint[], ?::text[], ?::bigint[], ?::boolean[], ?::bigint[], ?::text[], ?::bigint[],
        ?::text[]",
            $more_types,
            ")
        AS v(no, id, kind, name, version, request, created_at, input, status, busy, updated_at, state,
        first_turn, first_events",
            $more_columns,
            "))"
        )
    };
}

/// What most instances begin with.
pub(super) const INSERT_INSTANCES: &str = insert_instances!("", "", "");
/// All that an instance may begin with.
pub(super) const INSERT_INSTANCES_WHOLLY: &str = insert_instances!(
    ", parent, starts_at, tags, blocked, finished_at, output, custom_status",
    ", v.parent, v.starts_at, v.tags::jsonb, v.blocked, v.finished_at, v.output, v.custom_status",
    ", ?::text[], ?::bigint[], ?::text[], ?::text[], ?::bigint[], ?::text[], ?::text[]"
);

/// Late news of a failure do not undo that it was set running again. Turns that are told of come
/// after the first one.
macro_rules! update_instances {
    ($more_changes:literal, $more_types:literal, $more_columns:literal) => {
        concat!(
            "changed AS (UPDATE @instance AS i SET
        status = CASE WHEN v.status = 4 AND v.finished_at IS NULL AND i.status = 1
            THEN 1 ELSE v.status END,
        blocked = v.blocked,
        busy = v.busy,
        updated_at = v.updated_at,
        finished_at = CASE WHEN v.status = 4 AND i.status = 1 THEN v.finished_at
            WHEN v.status >= 3 THEN coalesce(v.finished_at, i.finished_at) END,
        state = coalesce(v.state, i.state),
        output = coalesce(v.output, i.output)",
            $more_changes,
            "
    FROM gate, unnest(?::bigint[], ?::bigint[], ?::text[], ?::boolean[], ?::bigint[], ?::bigint[],
        ?::text[], ?::text[], ?::bigint[]",
            $more_types,
            ")
        AS v(no, status, blocked, busy, updated_at, finished_at, state, output, told",
            $more_columns,
            ")
    WHERE i.no = v.no AND coalesce(i.first_turn < v.told, true)
    RETURNING i.no)"
        )
    };
}

/// What most turns change.
pub(super) const UPDATE_INSTANCES: &str = update_instances!("", "", "");
/// All that a turn may change. An instance that begins anew has another version and input, and may
/// forget its history.
pub(super) const UPDATE_INSTANCES_WHOLLY: &str = update_instances!(
    ",
        custom_status = CASE WHEN v.keep THEN i.custom_status ELSE v.custom_status END,
        version = coalesce(v.version, i.version),
        input = coalesce(v.input, i.input),
        first_turn = CASE WHEN i.first_turn >= coalesce(v.kept, i.first_turn)
            THEN i.first_turn END,
        first_events = CASE WHEN i.first_turn >= coalesce(v.kept, i.first_turn)
            THEN i.first_events END",
    ", ?::text[], ?::boolean[], ?::text[], ?::text[], ?::bigint[]",
    ", custom_status, keep, version, input, kept"
);
pub(super) const EXPECT_CHANGED: &str = "expect_changed AS (INSERT INTO @expectation (changed)
    SELECT false FROM gate WHERE (SELECT count(*) FROM changed) <> ?)";
pub(super) const CLEAR_SIDE: &str = "cleared AS (DELETE FROM @side USING gate
    WHERE no = ANY(?::bigint[]))";
pub(super) const DELETE_SIDE: &str = "side_deleted AS (DELETE FROM @side AS s
    USING gate, unnest(?::bigint[], ?::bigint[]) AS v(no, key)
    WHERE s.no = v.no AND s.key = v.key)";
pub(super) const PUT_SIDE: &str = "side_put AS (INSERT INTO @side (no, key, body)
    SELECT v.no, v.key, v.body
    FROM gate, unnest(?::bigint[], ?::bigint[], ?::text[]) AS v(no, key, body)
    ON CONFLICT (no, key) DO UPDATE SET body = excluded.body)";
pub(super) const INSERT_HISTORY: &str = "told AS (INSERT INTO @history (no, turn, events)
    SELECT v.no, v.turn, v.events
    FROM gate, unnest(?::bigint[], ?::bigint[], ?::text[]) AS v(no, turn, events))";
pub(super) const FORGET_HISTORY: &str = "forgotten AS (DELETE FROM @history AS h
    USING gate, unnest(?::bigint[], ?::bigint[]) AS v(no, first)
    WHERE h.no = v.no AND h.turn < v.first)";
/// Here and below a sum keeps the planner on the index of the ids.
pub(super) const CONSUME: &str = "consumed AS (DELETE FROM @inbox AS m
    USING gate, unnest(?::text[], ?::bigint[]) AS v(id, partition)
    WHERE m.id = v.id AND m.partition + 0 = v.partition RETURNING 1)";
pub(super) const EXPECT_CONSUMED: &str = "expect_consumed AS (INSERT INTO @expectation (consumed)
    SELECT false FROM gate WHERE (SELECT count(*) FROM consumed) <> ?)";
pub(super) const UNSCHEDULE: &str = "unscheduled AS (DELETE FROM @scheduled AS s
    USING gate, unnest(?::text[], ?::bigint[]) AS v(id, partition)
    WHERE s.id = v.id AND s.partition + 0 = v.partition)";
pub(super) const PUT_REPLIES: &str = "replied AS (INSERT INTO @reply (request, body, at)
    SELECT v.request, v.body, v.at
    FROM gate, unnest(?::text[], ?::text[], ?::bigint[]) AS v(request, body, at)
    ON CONFLICT (request) DO UPDATE SET body = excluded.body, at = excluded.at)";
/// Sets instances running again that have failed.
pub(super) const REOPEN: &str = "reopened AS (UPDATE @instance AS i
    SET status = 1, finished_at = NULL
    FROM gate WHERE i.id = ANY(?::text[]) AND i.status = 4 RETURNING 1)";
pub(super) const EXPECT_REOPENED: &str = "expect_reopened AS (INSERT INTO @expectation (reopened)
    SELECT false FROM gate WHERE (SELECT count(*) FROM reopened) <> ?)";
/// Makes room for others. Side rows and history are left to the sweep.
pub(super) const REPLACE_IDS: &str = "replaced AS (DELETE FROM @instance AS i USING gate
    WHERE i.id = ANY(?::text[]) AND i.status >= 3 RETURNING i.no),
    marked AS (INSERT INTO @garbage (no) SELECT no FROM replaced)";
pub(super) const REPLACE_NUMBERS: &str = "replaced AS (DELETE FROM @instance AS i USING gate
    WHERE i.no = ANY(?::bigint[]) AND i.status >= 3 RETURNING i.no),
    marked AS (INSERT INTO @garbage (no) SELECT no FROM replaced)";
pub(super) const EXPECT_REPLACED: &str = "expect_replaced AS (INSERT INTO @expectation (replaced)
    SELECT false FROM gate WHERE (SELECT count(*) FROM replaced) <> ?)";

/// The text of a part that a commit and a `send` share but for its end. A message of a commit may
/// be stored already, or ask for an instance that exists by now: then it does nothing. What a
/// `send` finds so after all is tried anew.
macro_rules! shared {
    ($commit:ident, $send:ident, $conflict:literal, $text:literal) => {
        pub(super) const $commit: &str =
            concat!($text, " ON CONFLICT (", $conflict, ") DO NOTHING)");
        pub(super) const $send: &str = concat!($text, ")");
    };
}

shared!(
    START_IF_ABSENT,
    START,
    "id",
    "started AS (INSERT INTO @instance (no, id, kind, name, version, request, created_at, input,
        parent, starts_at, tags, status, busy, updated_at)
    SELECT v.no, v.id, v.kind, v.name, v.version, v.request, v.created_at, v.input, v.parent,
        v.starts_at, v.tags::jsonb, 0, false, v.created_at
    FROM gate, unnest(?::bigint[], ?::text[], ?::bigint[], ?::text[], ?::text[], ?::text[],
        ?::bigint[], ?::text[], ?::text[], ?::bigint[], ?::text[])
        AS v(no, id, kind, name, version, request, created_at, input, parent, starts_at, tags)"
);
shared!(
    INSERT_INBOX_IF_ABSENT,
    INSERT_INBOX,
    "id",
    "inboxed AS (INSERT INTO @inbox (partition, seq, id, target, body)
    SELECT v.partition, nextval('@message_seq'), v.id, v.target, v.body
    FROM (SELECT v.* FROM gate,
            unnest(?::bigint[], ?::text[], ?::text[], ?::text[]) WITH ORDINALITY
            AS v(partition, id, target, body, place)
        WHERE NOT EXISTS (SELECT 1 FROM @scheduled AS s WHERE s.id = v.id)
        ORDER BY v.place) AS v"
);
shared!(
    INSERT_SCHEDULED_IF_ABSENT,
    INSERT_SCHEDULED,
    "id",
    "timed AS (INSERT INTO @scheduled (partition, due_at, seq, id, target, body)
    SELECT v.partition, v.due_at, nextval('@message_seq'), v.id, v.target, v.body
    FROM (SELECT v.* FROM gate,
            unnest(?::bigint[], ?::text[], ?::text[], ?::text[], ?::bigint[]) WITH ORDINALITY
            AS v(partition, id, target, body, due_at, place)
        WHERE NOT EXISTS (SELECT 1 FROM @inbox AS m WHERE m.id = v.id)
        ORDER BY v.place) AS v"
);

// --- messages from outside ----------------------------------------------------------------------

/// The first part of a `send`: open if no message is known.
pub(super) const GATE_SEND: &str = "WITH gate AS MATERIALIZED (SELECT 1 AS id
    WHERE NOT EXISTS (SELECT 1 FROM @receipt WHERE id = ANY(?::text[]))
        AND NOT EXISTS (SELECT 1 FROM @inbox WHERE id = ANY(?::text[]))
        AND NOT EXISTS (SELECT 1 FROM @scheduled WHERE id = ANY(?::text[]))";
/// And if these instances have not ended.
pub(super) const IF_RUNNING: &str =
    " AND (SELECT count(*) FROM @instance WHERE id = ANY(?::text[]) AND status < 3) = ?";
/// And if these ids are free.
pub(super) const IF_ABSENT: &str =
    " AND NOT EXISTS (SELECT 1 FROM @instance WHERE id = ANY(?::text[]))";
/// Ends the gate.
pub(super) const GATE_SEND_END: &str = ")";
pub(super) const INSERT_RECEIPTS: &str = "received AS (INSERT INTO @receipt (id, at)
    SELECT v.id, v.at FROM gate, unnest(?::text[], ?::bigint[]) AS v(id, at))";
/// Per envelope: its place in the list, whether its id was seen, and its target's state.
pub(super) const LOOK_UP: &str = "SELECT e.place,
        EXISTS (SELECT 1 FROM @receipt AS r WHERE r.id = e.id)
            OR EXISTS (SELECT 1 FROM @inbox AS m WHERE m.id = e.id)
            OR EXISTS (SELECT 1 FROM @scheduled AS s WHERE s.id = e.id),
        i.status, i.request, i.no
    FROM unnest(?::text[], ?::text[]) WITH ORDINALITY AS e(id, target, place)
    LEFT JOIN @instance AS i ON i.id = e.target";

// --- what is over -------------------------------------------------------------------------------

pub(super) const PURGE: &str = "WITH gone AS
        (DELETE FROM @instance WHERE no = ANY(?::bigint[]) AND status >= 3 RETURNING no),
    marked AS (INSERT INTO @garbage (no) SELECT no FROM gone)
    SELECT no FROM gone";
/// Rows that somebody else is sweeping are left to him. The limit inside keeps the planner from
/// going through all rows to see which belong to what was purged.
macro_rules! sweep {
    ($table:literal, $key:literal) => {
        concat!(
            "WITH chosen AS MATERIALIZED
                (SELECT g.no, s.key FROM @garbage AS g CROSS JOIN LATERAL
                    (SELECT ",
            $key,
            " AS key FROM ",
            $table,
            " AS s WHERE s.no = g.no
                    LIMIT ? FOR UPDATE SKIP LOCKED) AS s
                LIMIT ?),
            deleted AS (DELETE FROM ",
            $table,
            " AS s USING chosen
                WHERE s.no = chosen.no AND s.",
            $key,
            " = chosen.key RETURNING 1)
            SELECT count(*) FROM deleted"
        )
    };
}

pub(super) const SWEEP_SIDE: &str = sweep!("@side", "key");
pub(super) const SWEEP_HISTORY: &str = sweep!("@history", "turn");
pub(super) const SWEEP_NUMBERS: &str = "WITH chosen AS MATERIALIZED
        (SELECT g.no FROM @garbage AS g
        WHERE NOT EXISTS (SELECT 1 FROM @side AS s WHERE s.no = g.no)
            AND NOT EXISTS (SELECT 1 FROM @history AS h WHERE h.no = g.no)
        ORDER BY g.no LIMIT ? FOR UPDATE OF g SKIP LOCKED),
    deleted AS (DELETE FROM @garbage AS g USING chosen WHERE g.no = chosen.no RETURNING 1)
    SELECT count(*) FROM deleted";
pub(super) const CLEAN_RECEIPTS: &str = "WITH chosen AS MATERIALIZED
        (SELECT id FROM @receipt WHERE at < ? ORDER BY at LIMIT ? FOR UPDATE SKIP LOCKED),
    deleted AS (DELETE FROM @receipt AS r USING chosen WHERE r.id = chosen.id RETURNING 1)
    SELECT count(*) FROM deleted";
pub(super) const CLEAN_REPLIES: &str = "WITH chosen AS MATERIALIZED
        (SELECT request FROM @reply WHERE at < ? ORDER BY at LIMIT ? FOR UPDATE SKIP LOCKED),
    deleted AS (DELETE FROM @reply AS r USING chosen WHERE r.request = chosen.request RETURNING 1)
    SELECT count(*) FROM deleted";

// --- offers -------------------------------------------------------------------------------------

/// What an owner does with its offers. Nobody takes the partition over while its row is locked by
/// this; says how many leases were current.
macro_rules! offers {
    ($($change:literal),*) => {
        concat!(
            "WITH gate AS MATERIALIZED (SELECT id FROM @part
                WHERE id = ? AND epoch = ? AND owner IS NOT NULL FOR SHARE), ",
            $($change,)*
            " SELECT count(*) FROM gate"
        )
    };
}

pub(super) const INSERT_OFFERS: &str = offers!(
    "offered AS (INSERT INTO @offer (id, partition, seq, name, body)
    SELECT v.id, v.partition, nextval('@message_seq'), v.name, v.body
    FROM (SELECT v.*, gate.id AS partition FROM gate,
            unnest(?::text[], ?::text[], ?::text[]) WITH ORDINALITY AS v(id, name, body, place)
        ORDER BY v.place) AS v
    ON CONFLICT (id) DO NOTHING)"
);
/// Rows are locked in the order of their ids, as in a renewal, so that none waits for the other in
/// a circle. The sum keeps the planner on the index of the ids.
pub(super) const WITHDRAW_OFFERS: &str = offers!(
    "chosen AS MATERIALIZED (SELECT o.id FROM gate, @offer AS o
    WHERE o.id = ANY(?::text[]) AND o.partition + 0 = gate.id ORDER BY o.id FOR UPDATE OF o),
    withdrawn AS (DELETE FROM @offer AS o USING chosen WHERE o.id = chosen.id)"
);
pub(super) const WITHDRAW_ALL_OFFERS: &str = offers!(
    "chosen AS MATERIALIZED (SELECT o.id FROM gate, @offer AS o
    WHERE o.partition = gate.id ORDER BY o.id FOR UPDATE OF o),
    withdrawn AS (DELETE FROM @offer AS o USING chosen WHERE o.id = chosen.id)"
);
/// No row if the lease is lost, else one that is NULL or a row for each offer.
pub(super) const LOST_OFFERS: &str = "SELECT f.id FROM @part AS p LEFT JOIN LATERAL
        (SELECT o.id FROM @offer AS o WHERE o.partition = ? AND o.claimed_until <= ?) AS f ON true
    WHERE p.id = ? AND p.epoch = ? AND p.owner IS NOT NULL";
/// What somebody else is claiming at this moment is left to him.
pub(super) const CLAIM_OFFERS: &str = "WITH chosen AS MATERIALIZED (SELECT id FROM @offer
        WHERE claimed_by IS NULL AND name = ANY(?::text[])
        ORDER BY seq LIMIT ? FOR UPDATE SKIP LOCKED)
    UPDATE @offer AS o SET claimed_by = ?, claimed_until = ?
    FROM chosen WHERE o.id = chosen.id
    RETURNING o.seq, o.id, o.partition, o.name, o.body";
pub(super) const RENEW_CLAIMS: &str = "WITH chosen AS MATERIALIZED (SELECT id FROM @offer
        WHERE id = ANY(?::text[]) AND claimed_by = ? ORDER BY id FOR UPDATE)
    UPDATE @offer AS o SET claimed_until = ? FROM chosen WHERE o.id = chosen.id
    RETURNING o.id";
pub(super) const RELEASE_CLAIMS: &str = "WITH chosen AS MATERIALIZED (SELECT id FROM @offer
        WHERE id = ANY(?::text[]) AND claimed_by = ? ORDER BY id FOR UPDATE)
    UPDATE @offer AS o SET claimed_by = NULL, claimed_until = NULL
    FROM chosen WHERE o.id = chosen.id";

// --- reads --------------------------------------------------------------------------------------

/// The columns of an instance, in the order that the reader decodes them.
macro_rules! columns {
    () => {
        "i.no, i.id, i.kind, i.name, i.version, i.parent, i.request, i.status, i.blocked, \
        i.created_at, i.updated_at, i.finished_at, i.input, i.state, i.output, i.custom_status, \
        i.starts_at, i.tags::text AS tags"
    };
}

/// Loads instances that `$condition` chooses: no row if the lease is lost, else one that is all
/// NULL or a row for each instance and one for each of its side rows.
macro_rules! load {
    ($condition:literal, $no:literal) => {
        concat!(
            "SELECT f.* FROM @part AS p LEFT JOIN LATERAL (SELECT ",
            columns!(),
            ", NULL::bigint AS key, NULL::text AS body FROM @instance AS i WHERE ",
            $condition,
            " AND ",
            $no,
            " >= ? AND ",
            $no,
            " < ?
            UNION ALL SELECT i.no, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
                NULL, NULL, NULL, NULL, NULL, NULL, NULL, s.key, s.body
            FROM @instance AS i JOIN @side AS s ON s.no = i.no WHERE ",
            $condition,
            " AND ",
            $no,
            " >= ? AND ",
            $no,
            " < ?) AS f ON true
            WHERE p.id = ? AND p.epoch = ? AND p.owner IS NOT NULL"
        )
    };
}

pub(super) const LOAD_BUSY: &str = load!("i.busy", "i.no");
/// The sum keeps the planner on the index of the ids: it would rather go through a partition.
pub(super) const LOAD_INSTANCES: &str = load!("i.id = ANY(?::text[])", "i.no + 0");
/// No row if the lease is lost, else one that is all NULL or a row for each message, where the
/// first column tells the inbox from the schedule.
pub(super) const POLL: &str = "SELECT f.* FROM @part AS p LEFT JOIN LATERAL (
        (SELECT false AS timed, m.seq, NULL::bigint AS due_at, m.id, m.target, m.body
        FROM @inbox AS m WHERE m.partition = ? ORDER BY m.seq LIMIT ?)
        UNION ALL
        (SELECT true, s.seq, s.due_at, s.id, s.target, s.body
        FROM @scheduled AS s WHERE s.partition = ? AND s.due_at <= ?
        ORDER BY s.due_at, s.seq LIMIT ?)) AS f ON true
    WHERE p.id = ? AND p.epoch = ? AND p.owner IS NOT NULL";
pub(super) const READ_INSTANCES: &str =
    concat!("SELECT ", columns!(), " FROM @instance AS i WHERE i.id = ANY(?::text[])");
/// The first turn may stand with the instance. One row more than asked for, and in no order that is
/// promised: to sort them here would be to copy them.
pub(super) const READ_HISTORY: &str = "SELECT t.turn, t.events FROM @instance AS i
    CROSS JOIN LATERAL (SELECT i.first_turn AS turn, i.first_events AS events
        UNION ALL (SELECT h.turn, h.events FROM @history AS h
            WHERE h.no = i.no AND h.turn > ? ORDER BY h.turn LIMIT ?)) AS t
    WHERE i.no = ? AND t.turn > ?";
pub(super) const READ_REPLIES: &str =
    "SELECT request, body FROM @reply WHERE request = ANY(?::text[])";

// A query is one of these heads, conditions as far as they are asked for, and for a page the tail.
pub(super) const FIND: &str = concat!("SELECT ", columns!(), " FROM @instance AS i WHERE i.no > ?");
pub(super) const COUNT: &str = "SELECT count(*) FROM @instance AS i WHERE i.no > ?";
pub(super) const AND_KIND: &str = " AND i.kind = ?";
pub(super) const AND_ID_FROM: &str = " AND i.id >= ?";
pub(super) const AND_ID_BEFORE: &str = " AND i.id < ?";
pub(super) const AND_NAME: &str = " AND i.name = ?";
pub(super) const AND_VERSION: &str = " AND i.version = ?";
pub(super) const AND_TAGS: &str = " AND i.tags @> ?::jsonb";
pub(super) const AND_STATUS: &str = " AND i.status = ANY(?::bigint[])";
pub(super) const AND_PARENT: &str = " AND i.parent = ?";
pub(super) const AND_CREATED_FROM: &str = " AND i.created_at >= ?";
pub(super) const AND_CREATED_BEFORE: &str = " AND i.created_at < ?";
pub(super) const AND_UPDATED_FROM: &str = " AND i.updated_at >= ?";
pub(super) const AND_UPDATED_BEFORE: &str = " AND i.updated_at < ?";
pub(super) const AND_FINISHED_FROM: &str = " AND i.finished_at >= ?";
pub(super) const AND_FINISHED_BEFORE: &str = " AND i.finished_at < ?";
pub(super) const PAGE: &str = " ORDER BY i.no LIMIT ?";
