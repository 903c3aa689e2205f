-- The first schema. Files in this directory are numbered and never changed once released; they are
-- the only description of the schema. Times are microseconds since 1970-01-01T00:00:00Z. The names
-- are without the schema of the hub, which is first in the search path while this runs. Texts that
-- are sorted or searched for by their beginning are so by their bytes, whatever the database does.

-- The hub itself: one row.
CREATE TABLE hub (
    one boolean PRIMARY KEY CHECK (one),
    partitions integer NOT NULL,
    -- The first instance number that was not handed out yet.
    next_number bigint NOT NULL
);

-- The order of arrival of messages. Numbers of different transactions become visible in any order;
-- those of one sender, who waits for each answer, do not.
CREATE SEQUENCE message_seq;

-- Who owns a partition; `owner` is NULL if nobody does. Every commit updates its row, so there is
-- room for that and no index but the key.
CREATE TABLE part (
    id integer PRIMARY KEY,
    epoch bigint NOT NULL,
    owner text,
    expires_at bigint NOT NULL,
    -- How many commits there were, and the mark of the last: a commit is applied only on top of the
    -- one that its sender knows, and whoever did not hear its answer finds its mark here.
    commits bigint NOT NULL,
    last_commit bigint NOT NULL
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- Workers, each alive until its time is over.
CREATE TABLE worker (
    name text COLLATE "C" PRIMARY KEY,
    expires_at bigint NOT NULL
) WITH (fillfactor = 50);

-- A turn rewrites the columns from `status` to `custom_status`. No index holds one of them but for
-- instances whose activities are under way and for those that have ended, so that the new version
-- of a row stays on its page, for which room is left.
CREATE TABLE instance (
    no bigint PRIMARY KEY,
    created_at bigint NOT NULL,
    starts_at bigint,
    updated_at bigint NOT NULL,
    finished_at bigint,
    -- The turn that came with the instance, whose history `first_events` is if that is short. NULL
    -- for none or when it is forgotten.
    first_turn bigint,
    kind smallint NOT NULL,
    status smallint NOT NULL,
    busy boolean NOT NULL,
    id text COLLATE "C" NOT NULL UNIQUE,
    name text COLLATE "C" NOT NULL,
    version text COLLATE "C" NOT NULL,
    parent text COLLATE "C",
    request text COLLATE "C" NOT NULL,
    -- NULL for none.
    tags jsonb,
    blocked text,
    input text NOT NULL,
    state text,
    output text,
    custom_status text,
    first_events text
) WITH (fillfactor = 60);
CREATE INDEX instance_parent ON instance (parent) WHERE parent IS NOT NULL;
CREATE INDEX instance_name ON instance (name);
-- Rows come in the order of this, so ranges of pages say enough, and cost a start nothing. Where rows
-- take the places of purged ones the ranges grow wider, and a query by it reads more.
CREATE INDEX instance_created ON instance USING brin (created_at) WITH (autosummarize = on);
CREATE INDEX instance_tags ON instance USING gin (tags jsonb_path_ops) WHERE tags IS NOT NULL;
CREATE INDEX instance_busy ON instance (no) WHERE busy;
CREATE INDEX instance_finished ON instance (finished_at) WHERE finished_at IS NOT NULL;

-- Numbers of instances that were purged: their side rows and their history are deleted bit by bit.
CREATE TABLE garbage (
    no bigint PRIMARY KEY
);

CREATE TABLE side (
    no bigint NOT NULL,
    key bigint NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (no, key)
);

CREATE TABLE history (
    no bigint NOT NULL,
    turn bigint NOT NULL,
    events text NOT NULL,
    PRIMARY KEY (no, turn)
);

-- Messages for the owners to fetch. Rows come and go, so the dead ones are cleared away often.
CREATE TABLE inbox (
    partition integer NOT NULL,
    seq bigint NOT NULL,
    id text COLLATE "C" NOT NULL UNIQUE,
    target text NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (partition, seq)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0);

-- Messages that are not due yet.
CREATE TABLE scheduled (
    partition integer NOT NULL,
    due_at bigint NOT NULL,
    seq bigint NOT NULL,
    id text COLLATE "C" NOT NULL UNIQUE,
    target text NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (partition, due_at, seq)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);

-- Ids of messages that came from outside, to recognise a resend of one that is consumed.
CREATE TABLE receipt (
    id text COLLATE "C" PRIMARY KEY,
    at bigint NOT NULL
);
CREATE INDEX receipt_at ON receipt (at);

CREATE TABLE reply (
    request text COLLATE "C" PRIMARY KEY,
    body text NOT NULL,
    at bigint NOT NULL
);
CREATE INDEX reply_at ON reply (at);

-- Attempts of activities that any worker may run, in the order of `seq`. Nobody has claimed one whose
-- `claimed_by` is NULL. Rows come and go, as in the inbox.
CREATE TABLE offer (
    id text COLLATE "C" PRIMARY KEY,
    partition integer NOT NULL,
    seq bigint NOT NULL,
    name text COLLATE "C" NOT NULL,
    body text NOT NULL,
    claimed_by text COLLATE "C",
    claimed_until bigint
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0);
CREATE INDEX offer_free ON offer (seq) WHERE claimed_by IS NULL;
CREATE INDEX offer_claimed ON offer (partition, claimed_until);

-- Always empty. A statement that finds that something is not as it must be inserts a row here,
-- which the constraint of that name refuses, and with it the whole statement.
CREATE TABLE expectation (
    changed boolean CONSTRAINT instances_to_change CHECK (changed),
    consumed boolean CONSTRAINT messages_to_consume CHECK (consumed),
    replaced boolean CONSTRAINT instances_to_replace CHECK (replaced),
    reopened boolean CONSTRAINT instances_to_reopen CHECK (reopened)
);
