-- The first schema. Files in this directory are numbered and never changed once released; they are
-- the only description of the schema. Times are microseconds since 1970-01-01T00:00:00Z.

-- The hub itself: one row.
CREATE TABLE hub (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    partitions INTEGER NOT NULL,
    -- The first instance number that was not handed out yet.
    next_number INTEGER NOT NULL,
    -- The order of arrival of messages.
    next_seq INTEGER NOT NULL
);

-- Who owns a partition; `owner` is NULL if nobody does.
CREATE TABLE part (
    id INTEGER PRIMARY KEY,
    epoch INTEGER NOT NULL,
    owner TEXT,
    expires_at INTEGER NOT NULL,
    -- Whether the owner held its lock file when it took the partition.
    guarded INTEGER NOT NULL
);

-- Workers, each alive until its time is over.
CREATE TABLE worker (
    name TEXT PRIMARY KEY,
    expires_at INTEGER NOT NULL,
    -- Whether it held its lock file when it said so.
    guarded INTEGER NOT NULL
) WITHOUT ROWID;

-- What never changes about an instance, apart from what each turn rewrites: a large input would
-- otherwise be written again with every turn.
CREATE TABLE instance (
    no INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    kind INTEGER NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    parent TEXT,
    request TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    starts_at INTEGER,
    -- A JSON object, NULL for none. The table `tag` is to search in.
    tags TEXT,
    input TEXT NOT NULL,
    -- The history of the turn that came with the instance, NULL for none or when it is forgotten.
    first_events TEXT
);
CREATE INDEX instance_parent ON instance (parent) WHERE parent IS NOT NULL;
CREATE INDEX instance_name ON instance (name);
CREATE INDEX instance_created ON instance (created_at);

CREATE TABLE tag (
    no INTEGER NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (no, key)
) WITHOUT ROWID;
CREATE INDEX tag_value ON tag (key, value, no);

-- What a turn rewrites. No index is touched by the turns of an instance that goes on: one holds
-- those whose activities are under way, the other those that have ended.
CREATE TABLE progress (
    no INTEGER PRIMARY KEY,
    status INTEGER NOT NULL,
    blocked TEXT,
    busy INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    finished_at INTEGER,
    state TEXT,
    output TEXT,
    custom_status TEXT,
    -- The turn of `instance.first_events`: here it is at hand when another turn is told of.
    first_turn INTEGER
);
CREATE INDEX progress_busy ON progress (no) WHERE busy = 1;
CREATE INDEX progress_finished ON progress (finished_at) WHERE finished_at IS NOT NULL;

-- Numbers of instances that were purged: their side rows and their history are deleted bit by bit.
CREATE TABLE garbage (
    no INTEGER PRIMARY KEY
);

CREATE TABLE side (
    no INTEGER NOT NULL,
    key INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (no, key)
) WITHOUT ROWID;

-- Turns but those that stand with their instances. In the order of writing, so that the turns of many
-- instances in one commit fill a few pages: in the order of the key each would rewrite a page of its
-- own.
CREATE TABLE history (
    no INTEGER NOT NULL,
    turn INTEGER NOT NULL,
    events TEXT NOT NULL
);
CREATE UNIQUE INDEX history_turn ON history (no, turn);

-- Messages for the owners to fetch. The partition stands in the upper bits of `seq` (from bit 48
-- on), so that a partition's messages lie together in their order of arrival without an index.
CREATE TABLE inbox (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    target TEXT NOT NULL,
    body TEXT NOT NULL
);

-- Messages that are not due yet.
CREATE TABLE scheduled (
    partition INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    id TEXT NOT NULL UNIQUE,
    target TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (partition, due_at, seq)
) WITHOUT ROWID;

-- Ids of messages that came from outside, to recognise a resend of one that is consumed.
CREATE TABLE receipt (
    id TEXT PRIMARY KEY,
    at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX receipt_at ON receipt (at);

CREATE TABLE reply (
    request TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL,
    at INTEGER NOT NULL
);
CREATE INDEX reply_at ON reply (at);

-- Attempts of activities that any worker may run, in the order in which they were made. Nobody has
-- claimed one whose `claimed_by` is NULL.
CREATE TABLE offer (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    partition INTEGER NOT NULL,
    name TEXT NOT NULL,
    body TEXT NOT NULL,
    claimed_by TEXT,
    claimed_until INTEGER
);
CREATE INDEX offer_free ON offer (seq) WHERE claimed_by IS NULL;
CREATE INDEX offer_claimed ON offer (partition, claimed_until);
