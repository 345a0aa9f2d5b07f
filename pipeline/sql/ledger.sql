-- The ledger: what was loaded, and who may read that. It holds counts and item numbers, never a value of an item.
-- Run once, in one transaction under an advisory lock, in a database that has no ledger yet.

CREATE SCHEMA ddb2pg;
-- The number is that of `SCHEMA_VERSION` in pipeline/ledger/loads.py.
COMMENT ON SCHEMA ddb2pg IS 'ddb2pg ledger, version 1';

-- One load per export and target, however many runs it takes. What must not change between runs is kept here. A window of changes, an
-- incremental export, is a load as well: it follows the load of a full export, its chain, and the windows before it.
CREATE TABLE ddb2pg.load (
    load_id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    export_id       text NOT NULL,
    source_table    text NOT NULL,
    target_table    text NOT NULL,
    export_time     timestamptz,
    export_digest   text NOT NULL,
    manifest_items  bigint NOT NULL,
    manifest_files  integer NOT NULL,
    migration_time  timestamptz NOT NULL,
    chunk_items     integer NOT NULL,
    chunk_bytes     integer NOT NULL,
    split_items     integer NOT NULL,
    most_splits     integer NOT NULL,
    unmapped        text NOT NULL,
    definition      text NOT NULL,
    started_at      timestamptz NOT NULL DEFAULT now(),
    finished_at     timestamptz,
    -- A load that is rolled back stays here, closed; the same export may then be loaded again, as another load.
    rollback_started_at timestamptz,
    rolled_back_at      timestamptz,
    -- Of a chain that was rolled back as a whole, in the load that it begins with: how many rows of its target were deleted
    swept_rows          bigint,
    -- The last comparison with the export that found the rows equal: quick or full, and when
    validated       text,
    validated_at    timestamptz,
    -- Of a chain: the time of a fresh full export of which that comparison was
    validated_as_of timestamptz,
    -- Which table the target is, whatever it is called later; an oid says so only while this table here has the oid that it had, too:
    -- what was restored from a dump has others
    target_oid      oid,
    ledger_oid      oid NOT NULL DEFAULT 'ddb2pg.load'::regclass,
    -- Row security of the target when the load began, as `read_row_security` gives it
    row_security    jsonb,
    -- Salts the hashes of rows that were replayed
    hash_seed       bigint NOT NULL DEFAULT (random() * 4e18)::bigint,
    -- Which table of DynamoDB it is of, whatever it is called; null where the manifest does not tell
    table_id        text,
    -- Of a window: the load that its chain begins with, its place in it from 1, its time (from inclusive, to exclusive) and its view
    chain           bigint,
    window_number   integer,
    window_from     timestamptz,
    window_to       timestamptz,
    window_view     text,
    -- Of a full export: since when the application writes to the target, and not to DynamoDB any more
    cut_over_at     timestamptz,
    -- Whether DynamoDB was told to leave items out of the export: 'whole', 'key DIGEST' for a filter on attributes of the key alone, 'other
    -- DIGEST'; null where it was not known. The digest is of the filter, whose values are kept nowhere
    export_filter   text,
    -- What a missing attribute becomes where the definition says COLUMN_DEFAULT: the values that these columns' DEFAULTs had when the load
    -- began, {column: field of a binary COPY, in hexadecimal}, of the target and then of each child's; of a window those of its chain
    column_defaults jsonb NOT NULL DEFAULT '[]',
    CHECK (num_nulls(chain, window_number, window_from, window_to, window_view) IN (0, 5)),
    CHECK (window_from < window_to)
);
CREATE UNIQUE INDEX load_is_open ON ddb2pg.load (export_id, target_table) WHERE rolled_back_at IS NULL;
CREATE UNIQUE INDEX window_is_open ON ddb2pg.load (chain, window_number) WHERE rolled_back_at IS NULL;

-- The targets of a load's child rows, by their place in the definition, as the target itself is kept in `load`.
CREATE TABLE ddb2pg.child_table (
    load_id         bigint NOT NULL,
    child           integer NOT NULL,
    target_table    text NOT NULL,
    target_oid      oid,
    row_security    jsonb,
    PRIMARY KEY (load_id, child)
);

-- One row per committed chunk, inserted before the chunk's rows and in their transaction. No foreign key to the load: it would make
-- every chunk lock the same row.
CREATE TABLE ddb2pg.chunk (
    load_id           bigint NOT NULL,
    data_file         text NOT NULL,
    first_item        bigint NOT NULL,
    items             integer NOT NULL,
    rows              integer NOT NULL,
    dead_letters      integer NOT NULL,
    -- Not for this table, by its definition
    filtered          integer NOT NULL,
    notices           integer NOT NULL,
    dead_letter_codes jsonb NOT NULL,
    notice_codes      jsonb NOT NULL,
    -- {condition of the definition that did not hold: items}
    filter_reasons    jsonb NOT NULL,
    -- Rows of each child of the table, in the definition's order
    child_rows        integer[] NOT NULL DEFAULT '{}',
    -- In the row of the last of several loads that were made in one reading: which loads, and how many items none of them took, one, two ...
    read_with         bigint[] NOT NULL DEFAULT '{}',
    taken_by          integer[] NOT NULL DEFAULT '{}',
    -- What Postgres refused: [[item number, code, sqlstate, constraint], ...]
    write_rejects     jsonb NOT NULL,
    run_id            text NOT NULL,
    -- HOST:PID of the worker that committed it; the report shows it, nothing else uses it
    worker            text,
    committed_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- What a rollback did with the rows: rows = deleted + gone (somebody had deleted them before) + kept (listed in discrepancies)
    rolled_back_at    timestamptz,
    rollback_pass     integer,
    deleted           integer,
    gone              integer,
    kept              integer,
    -- In the form of compared_chunk.mismatches
    discrepancies     jsonb,
    -- Attributes that the definition names and no item of the chunk has: [path, ...]
    absent            jsonb NOT NULL DEFAULT '[]',
    PRIMARY KEY (load_id, data_file, first_item),
    CHECK (items = rows + dead_letters + filtered)
);

-- What each server process has committed of a load, counted once more in the transaction of each chunk: so that rows of `chunk` that somebody
-- deletes are missed, before their items are loaded a second time. A row a process, so that none waits for another.
CREATE TABLE ddb2pg.tally (
    load_id bigint NOT NULL,
    process integer NOT NULL,
    chunks  bigint NOT NULL,
    items   bigint NOT NULL,
    PRIMARY KEY (load_id, process)
);

-- The transactions that wrote rows of a load, or of the chain that begins with it: what `xmin` says of a row that nobody else has changed.
-- Each writes an entry in itself. What was restored from a dump has other oids, and other transactions.
CREATE TABLE ddb2pg.writer (
    chain      bigint NOT NULL,
    load_id    bigint NOT NULL,
    xid        xid8 NOT NULL DEFAULT pg_current_xact_id(),
    ledger_oid oid NOT NULL DEFAULT 'ddb2pg.load'::regclass
);
CREATE INDEX writer_of_row ON ddb2pg.writer USING hash ((xid::xid));

-- What became of the records of a chunk of a window, beside its row in `chunk`, whose rows are the records that were applied.
CREATE TABLE ddb2pg.applied_chunk (
    load_id      bigint NOT NULL,
    data_file    text NOT NULL,
    first_item   bigint NOT NULL,
    records      integer NOT NULL,
    inserted     integer NOT NULL,
    updated      integer NOT NULL,
    -- The row was as the record has it already
    unchanged    integer NOT NULL,
    deleted      integer NOT NULL,
    -- To be deleted, and not there
    absent       integer NOT NULL,
    -- Not for this table, and not there
    filtered     integer NOT NULL,
    -- The row is somebody else's, and was left as it is
    conflicts    integer NOT NULL,
    dead_letters integer NOT NULL,
    -- Refused for the sake of other rows: [item number, ...], to be tried again when all of the window is applied
    set_aside    bigint[] NOT NULL,
    -- Of all these, how many took the place of somebody else's row, as was asked for
    overwritten  integer NOT NULL,
    -- A letter a record, in their order: `Fate` in pipeline/ledger/changes.py says which. A rollback of the window goes by it
    fates        text NOT NULL,
    -- What a rollback did: records = put_back + removed + inserted_again + idle + chunk.kept
    put_back       integer,
    removed        integer,
    inserted_again integer,
    -- There was nothing to take back: the record did nothing, or somebody has deleted the row that it inserted
    idle           integer,
    PRIMARY KEY (load_id, data_file, first_item),
    CHECK (records = inserted + updated + unchanged + deleted + absent + filtered + conflicts + dead_letters + cardinality(set_aside)),
    CHECK (records = length(fates))
);

-- Records of windows that were not applied, while the target has an older row of their item: by salted hashes of the item's key and of the
-- row's. A record of a later window of the same item makes up for it, if it is about that row.
CREATE TABLE ddb2pg.outdated (
    chain         bigint NOT NULL,
    load_id       bigint NOT NULL,
    data_file     text NOT NULL,
    item_number   bigint NOT NULL,
    -- Null where the record does not tell its key
    item_hash     bigint,
    row_key_hash  bigint,
    superseded_by bigint,
    PRIMARY KEY (load_id, data_file, item_number)
);
CREATE INDEX outdated_of_item ON ddb2pg.outdated (chain, item_hash);
CREATE INDEX outdated_left ON ddb2pg.outdated (chain, superseded_by);

-- Items that have no row, because another item's has their key: salted hashes of the rows that they would be. An item of a row that is
-- alike cannot be told from them by its old image. `load_id` is the load or the window that had such an item first.
CREATE TABLE ddb2pg.double (
    chain    bigint NOT NULL,
    load_id  bigint NOT NULL,
    row_hash bigint NOT NULL,
    PRIMARY KEY (chain, row_hash)
);

-- The stream of changes that follows a chain after its last window; no window follows it any more. `stream_id` is a number as a load has one,
-- for the tables in which a load's is asked for. What became of its records is counted here, in the transactions of their rows.
CREATE TABLE ddb2pg.stream (
    chain             bigint PRIMARY KEY,
    stream_id         bigint NOT NULL,
    stream_arn        text NOT NULL,
    -- The end of the chain when the stream was begun: what is older is in the target already
    from_time         timestamptz NOT NULL,
    view              text NOT NULL,
    begun_at          timestamptz NOT NULL DEFAULT now(),
    -- When the records around from_time, some of which the target had already, were applied
    settled_at        timestamptz,
    -- One more with each transaction, and which one it was: two followers see each other by it
    version           bigint NOT NULL DEFAULT 0,
    writer            text,
    read              bigint NOT NULL DEFAULT 0,
    -- Older than from_time by far, so in the target already
    skipped           bigint NOT NULL DEFAULT 0,
    -- Made one with a later record of their item
    compacted         bigint NOT NULL DEFAULT 0,
    inserted          bigint NOT NULL DEFAULT 0,
    updated           bigint NOT NULL DEFAULT 0,
    unchanged         bigint NOT NULL DEFAULT 0,
    deleted           bigint NOT NULL DEFAULT 0,
    absent            bigint NOT NULL DEFAULT 0,
    filtered          bigint NOT NULL DEFAULT 0,
    conflicts         bigint NOT NULL DEFAULT 0,
    dead_letters      bigint NOT NULL DEFAULT 0,
    set_aside         bigint NOT NULL DEFAULT 0,
    overwritten       bigint NOT NULL DEFAULT 0,
    dead_letter_codes jsonb NOT NULL DEFAULT '{}',
    notice_codes      jsonb NOT NULL DEFAULT '{}',
    CHECK (read = skipped + compacted + inserted + updated + unchanged + deleted + absent + filtered + conflicts + dead_letters + set_aside)
);

-- Its shards, each with the sequence number up to which its records are applied or set aside; null before the first.
CREATE TABLE ddb2pg.shard (
    chain    bigint NOT NULL,
    shard_id text NOT NULL,
    parent   text,
    position text,
    -- Read to its end
    is_done  boolean NOT NULL,
    -- It has no unread record that is older than this
    reached  timestamptz NOT NULL,
    PRIMARY KEY (chain, shard_id)
);

-- What of a stream is set aside, and where to read it again: from the first record of an item that was not applied. The item is there by
-- a salted hash of its key.
CREATE TABLE ddb2pg.stream_aside (
    chain       bigint NOT NULL,
    item_number bigint NOT NULL,
    shard_id    text NOT NULL,
    sequence    text NOT NULL,
    item_hash   bigint NOT NULL,
    PRIMARY KEY (chain, item_number)
);

-- Dead letters that `dead-letters replay` settled later: loaded, each entry written in the transaction of its row, or found to be not for this
-- table. The export does not hold these rows as they were loaded, so hashes identify the row and its key; they are salted with the load's
-- hash_seed.
CREATE TABLE ddb2pg.replayed_item (
    load_id        bigint NOT NULL,
    data_file      text NOT NULL,
    item_number    bigint NOT NULL,
    run_id         text NOT NULL,
    -- Why it was a dead letter: [code, ...]
    codes          jsonb NOT NULL,
    -- The condition of the definition that did not hold; null for an item that is a row. What is filtered has no hashes, and no row to delete
    filter_reason  text,
    key_hash       bigint,
    row_hash       bigint,
    -- The primary key that was hashed
    key_columns    text[],
    replayed_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- What a rollback did with the row: deleted, gone (somebody had deleted it before), or the reason for which it was kept
    rolled_back_at timestamptz,
    rolled_back    text,
    PRIMARY KEY (load_id, data_file, item_number)
);

-- The child rows of dead letters that were brought in later, by hashes as above; `child` is the child's place in the definition.
CREATE TABLE ddb2pg.replayed_child (
    load_id        bigint NOT NULL,
    data_file      text NOT NULL,
    item_number    bigint NOT NULL,
    child          integer NOT NULL,
    key_hash       bigint NOT NULL,
    row_hash       bigint NOT NULL,
    PRIMARY KEY (load_id, child, key_hash)
);

-- Data files that a run refused to load, and why.
CREATE TABLE ddb2pg.refused_file (
    load_id     bigint NOT NULL,
    run_id      text NOT NULL,
    data_file   text NOT NULL,
    problem     text NOT NULL,
    refused_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (load_id, run_id, data_file)
);

-- What a run of validate has found in the chunks that it has compared; the run deletes it at its end. Keys are hashes, salted with a number
-- that only the run knows.
CREATE UNLOGGED TABLE ddb2pg.compared_chunk (
    run_id         text NOT NULL,
    load_id        bigint NOT NULL,
    data_file      text NOT NULL,
    first_item     bigint NOT NULL,
    items          integer NOT NULL,
    -- [[item number, kind, [column, ...], [code, sqlstate, constraint] or null], ...]
    mismatches     jsonb NOT NULL,
    mismatch_count integer NOT NULL,
    -- The keys of the rows that are in the target
    found_keys     bigint[] NOT NULL,
    -- Dead letters whose key is in the target, most likely as the key of another item's row
    refused_items  bigint[] NOT NULL,
    refused_keys   bigint[] NOT NULL,
    -- The same of items that are not for this table
    filtered_items bigint[] NOT NULL,
    filtered_keys  bigint[] NOT NULL,
    -- Where a chain is compared: how many items are dead letters, not for this table, or were deleted, and of how many a later window has a
    -- record; and the keys of rows that are known to be older than their items
    dead_letters   integer NOT NULL,
    filtered       integer NOT NULL,
    gone           integer NOT NULL,
    superseded     integer NOT NULL,
    outdated_keys  bigint[] NOT NULL,
    compared_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, load_id, data_file, first_item)
);

-- The same of the rows of its children, each by its place in the definition.
CREATE UNLOGGED TABLE ddb2pg.compared_child (
    run_id         text NOT NULL,
    load_id        bigint NOT NULL,
    data_file      text NOT NULL,
    first_item     bigint NOT NULL,
    child          integer NOT NULL,
    found_keys     bigint[] NOT NULL,
    compared_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, load_id, data_file, first_item, child)
);

-- Where a chain is compared with its own exports, the last window first: the items that windows have a record of, by salted hashes of 128
-- bits of their keys, and the last window that has. The run deletes it at its end.
CREATE UNLOGGED TABLE ddb2pg.touched_item (
    run_id        text NOT NULL,
    chain         bigint NOT NULL,
    item_hash     uuid NOT NULL,
    window_number integer NOT NULL,
    compared_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, chain, item_hash)
);

ALTER TABLE ddb2pg.load ENABLE ROW LEVEL SECURITY;
ALTER TABLE ddb2pg.child_table ENABLE ROW LEVEL SECURITY;
ALTER TABLE ddb2pg.chunk ENABLE ROW LEVEL SECURITY;
ALTER TABLE ddb2pg.tally ENABLE ROW LEVEL SECURITY;
ALTER TABLE ddb2pg.writer ENABLE ROW LEVEL SECURITY;
ALTER TABLE ddb2pg.applied_chunk ENABLE ROW LEVEL SECURITY;
ALTER TABLE ddb2pg.double ENABLE ROW LEVEL SECURITY;
ALTER TABLE ddb2pg.outdated ENABLE ROW LEVEL SECURITY;
ALTER TABLE ddb2pg.stream ENABLE ROW LEVEL SECURITY;
ALTER TABLE ddb2pg.shard ENABLE ROW LEVEL SECURITY;
ALTER TABLE ddb2pg.stream_aside ENABLE ROW LEVEL SECURITY;
ALTER TABLE ddb2pg.replayed_item ENABLE ROW LEVEL SECURITY;
ALTER TABLE ddb2pg.replayed_child ENABLE ROW LEVEL SECURITY;
ALTER TABLE ddb2pg.refused_file ENABLE ROW LEVEL SECURITY;
ALTER TABLE ddb2pg.compared_chunk ENABLE ROW LEVEL SECURITY;
ALTER TABLE ddb2pg.compared_child ENABLE ROW LEVEL SECURITY;
ALTER TABLE ddb2pg.touched_item ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON SCHEMA ddb2pg FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA ddb2pg FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA ddb2pg FROM PUBLIC;

-- Supabase's API roles, where there are any.
DO $$
DECLARE
    api_role text;
BEGIN
    FOR api_role IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
        EXECUTE format('REVOKE ALL ON SCHEMA ddb2pg FROM %I', api_role);
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA ddb2pg FROM %I', api_role);
        EXECUTE format('REVOKE ALL ON ALL SEQUENCES IN SCHEMA ddb2pg FROM %I', api_role);
    END LOOP;
END
$$;
