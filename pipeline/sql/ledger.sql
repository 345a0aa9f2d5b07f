-- The ledger: what was loaded, by whom it can be seen, and nothing else. It holds counts and item numbers, never a value of an item.
-- Runs as one transaction, under an advisory lock, where there is no ledger.

CREATE SCHEMA ddb2pg;
-- The number is that of `SCHEMA_VERSION` in pipeline/ledger/loads.py.
COMMENT ON SCHEMA ddb2pg IS 'ddb2pg ledger, version 1';

-- One load per export and target, however many runs it takes. What must not change between runs is kept here.
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
    -- How thoroughly the rows were last found to be as the export makes them, quick or full, and when
    validated       text,
    validated_at    timestamptz,
    -- Row security of the target when the load began, as `read_row_security` gives it
    row_security    jsonb,
    -- Salts the hashes of rows that were replayed
    hash_seed       bigint NOT NULL DEFAULT (random() * 4e18)::bigint
);
CREATE UNIQUE INDEX load_is_open ON ddb2pg.load (export_id, target_table) WHERE rolled_back_at IS NULL;

-- One row per committed chunk, inserted before the chunk's rows and in their transaction. No foreign key to the load: it would make
-- every chunk lock the same row.
CREATE TABLE ddb2pg.chunk (
    load_id           bigint NOT NULL,
    data_file         text NOT NULL,
    first_item        bigint NOT NULL,
    items             integer NOT NULL,
    rows              integer NOT NULL,
    dead_letters      integer NOT NULL,
    notices           integer NOT NULL,
    dead_letter_codes jsonb NOT NULL,
    notice_codes      jsonb NOT NULL,
    -- What Postgres refused: [[item number, code, sqlstate, constraint], ...]
    write_rejects     jsonb NOT NULL,
    run_id            text NOT NULL,
    -- HOST:PID of who committed it; for the report, nothing depends on it
    worker            text,
    committed_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- What became of the rows when the load was rolled back: rows = deleted + gone (deleted by somebody before) + kept (listed)
    rolled_back_at    timestamptz,
    rollback_pass     integer,
    deleted           integer,
    gone              integer,
    kept              integer,
    -- As compared_chunk.mismatches
    discrepancies     jsonb,
    PRIMARY KEY (load_id, data_file, first_item),
    CHECK (items = rows + dead_letters)
);

-- Dead letters that were brought in later, by `dead-letters replay`, each in the transaction of its row. What they had become is not in the
-- export, so the row and its key are known here by hashes, salted with a number of the load's own.
CREATE TABLE ddb2pg.replayed_item (
    load_id        bigint NOT NULL,
    data_file      text NOT NULL,
    item_number    bigint NOT NULL,
    run_id         text NOT NULL,
    -- What it had been refused for: [code, ...]
    codes          jsonb NOT NULL,
    key_hash       bigint,
    row_hash       bigint,
    -- The primary key that was hashed
    key_columns    text[],
    replayed_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- By a rollback: deleted, gone (deleted by somebody before), or why it is kept
    rolled_back_at timestamptz,
    rolled_back    text,
    PRIMARY KEY (load_id, data_file, item_number)
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

-- What a run of validate found in the chunks that it compared so far; deleted at its end. Keys are hashes, salted with a number that only
-- the run knows.
CREATE UNLOGGED TABLE ddb2pg.compared_chunk (
    run_id         text NOT NULL,
    load_id        bigint NOT NULL,
    data_file      text NOT NULL,
    first_item     bigint NOT NULL,
    items          integer NOT NULL,
    -- [[item number, kind, [column, ...], [code, sqlstate, constraint] or null], ...]
    mismatches     jsonb NOT NULL,
    mismatch_count integer NOT NULL,
    -- Of the rows that are in the target
    found_keys     bigint[] NOT NULL,
    -- Dead letters whose key is in the target, most likely as the key of another item's row
    refused_items  bigint[] NOT NULL,
    refused_keys   bigint[] NOT NULL,
    compared_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, load_id, data_file, first_item)
);

ALTER TABLE ddb2pg.load ENABLE ROW LEVEL SECURITY;
ALTER TABLE ddb2pg.chunk ENABLE ROW LEVEL SECURITY;
ALTER TABLE ddb2pg.replayed_item ENABLE ROW LEVEL SECURITY;
ALTER TABLE ddb2pg.refused_file ENABLE ROW LEVEL SECURITY;
ALTER TABLE ddb2pg.compared_chunk ENABLE ROW LEVEL SECURITY;
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
