-- Checks of what ddb2pg loaded, to be run against the target by hand:
--
--     psql "$DATABASE_URL" -f pipeline/sql/validate_migration.sql
--
-- Its last result has one row for each check: PASS, FAIL, WARN (look at it) or SKIP (could not be checked, and why), and never a value of a row.
-- The result before that lists up to 20 ids of sessions that are missing although rows refer to them.
--
-- Nothing is written: the transaction is READ ONLY, which PostgreSQL enforces, and it is rolled back. Results are kept in settings of the
-- transaction (ddb2pg.*), which need no table and no privilege. Run it as the role that loaded, before the application writes.
-- `ddb2pg validate` runs it too. The rows for spot checks are put in by `ddb2pg validate --emit_sql FILE`; that file holds patient data.

BEGIN;
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;

-- @expected

SET TRANSACTION READ ONLY;
SET LOCAL statement_timeout = 0;
SET LOCAL jit = off;
SET LOCAL TimeZone = 'UTC';
SET LOCAL DateStyle = 'ISO, YMD';
SET LOCAL IntervalStyle = 'postgres';
SET LOCAL array_nulls = on;
SET LOCAL xmloption = 'content';
SET LOCAL lc_monetary = 'C';
-- Where row security would hide rows from this role, its queries fail, instead of counting too few rows.
SET LOCAL row_security = off;

-- The loads in the ledger, and their target tables; a table of the mapping that no load names is looked for on the search path.
-- ddb2pg.loads holds the rows of ddb2pg.load as JSON, each with the oid of its target and the name of that for statements. After each come the
-- tables of its child rows: the same JSON with their own target_table and row_security, their number in `child`, and no source_table.
-- ddb2pg.tables holds one of them for each table that is to be checked.
DO $block$
DECLARE
    loads jsonb := '[]';
    tables jsonb := '[]';
    verdict text := 'FAIL';
    detail text := 'the ledger knows no load';
BEGIN
    BEGIN
        SELECT coalesce(jsonb_agg(load || jsonb_build_object(
                   'oid', t.oid, 'relation', quote_ident(t.nspname) || '.' || quote_ident(t.relname)) ORDER BY l.load_id, child NULLS FIRST), '[]')
        INTO loads
        FROM (SELECT load_id, NULL::integer AS child, to_jsonb(one) AS load FROM ddb2pg.load one
              UNION ALL
              SELECT load_id, child, to_jsonb(one) || jsonb_build_object(
                  'source_table', NULL, 'child', child, 'target_table', of_child.target_table, 'row_security', of_child.row_security)
              FROM ddb2pg.child_table of_child JOIN ddb2pg.load one USING (load_id)) l
        LEFT JOIN (SELECT c.oid, nspname, relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r', 'p')) t
               ON l.load ->> 'target_table' = t.nspname || '.' || t.relname;
        IF loads <> '[]' THEN
            verdict := 'PASS';
            SELECT format('%s load%s', count(*), CASE WHEN count(*) = 1 THEN '' ELSE 's' END) INTO detail FROM jsonb_array_elements(loads) AS listed (load) WHERE load -> 'child' IS NULL;
        END IF;
        SELECT coalesce(jsonb_agg(load ORDER BY load -> 'load_id'), '[]') INTO tables
        FROM (SELECT DISTINCT ON (load ->> 'target_table') load FROM jsonb_array_elements(loads) AS listed (load)
              WHERE load ->> 'rolled_back_at' IS NULL AND load ->> 'oid' IS NOT NULL
              ORDER BY load ->> 'target_table', load -> 'load_id') first;
    EXCEPTION
        WHEN undefined_table THEN
            detail := 'this database has no ledger, the schema ddb2pg: ddb2pg loaded nothing here, or this is another database';
        WHEN insufficient_privilege THEN
            detail := 'this role may not read the ledger (42501), so nothing can be checked; run this as the role that loaded';
            tables := NULL;
    END;
    SELECT tables || coalesce(jsonb_agg(jsonb_build_object(
               'source_table', source, 'target_table', nspname || '.' || relname, 'oid', c.oid,
               'relation', quote_ident(nspname) || '.' || quote_ident(relname))), '[]')
    INTO tables
    FROM (VALUES ('medzen-video-sessions', 'video_call_sessions'), ('medzen-soap-notes', 'clinical_notes'),
                 ('medzen-meeting-audit', 'video_call_audit_log')) mapped (source, target)
    JOIN pg_class c ON c.oid = to_regclass(target) AND relkind IN ('r', 'p')
    JOIN pg_namespace n ON n.oid = relnamespace
    WHERE NOT jsonb_path_exists(tables, '$[*] ? (@.source_table == $name)', jsonb_build_object('name', source));
    -- Several tables may be loaded from one source; the mapping's rules are only for the one that the mapping names as its target.
    SELECT jsonb_agg(value || jsonb_build_object('mapped', CASE WHEN of_source = 1 OR value ->> 'target_table' ~
               '[.](video_call_sessions|clinical_notes|video_call_audit_log)$' THEN value ->> 'source_table' END) ORDER BY number)
    INTO tables
    FROM (SELECT value, number, count(*) OVER (PARTITION BY value ->> 'source_table') AS of_source
          FROM jsonb_array_elements(tables) WITH ORDINALITY AS listed (value, number)) counted;
    PERFORM set_config('ddb2pg.loads', loads::text, true), set_config('ddb2pg.tables', coalesce(tables, '[]')::text, true),
            set_config('ddb2pg.missing_sessions', '[]', true),
            set_config('ddb2pg.verdicts', jsonb_build_array(jsonb_build_object('check', 'ledger', 'verdict', verdict, 'detail', detail))::text, true);
END
$block$;

-- Counts: by the ledger, manifest items = rows + dead letters + filtered; and the table has at least the rows that were loaded and not rolled
-- back. A table of child rows has at least those of the items that were loaded and not rolled back. Where windows were applied after a load,
-- how many rows there should be follows from no counts: `ddb2pg validate --as_of` tells.
DO $block$
DECLARE
    load jsonb;
    is_of_chain boolean;
    remaining bigint;
    sums record;
    rows_there bigint;
    verdict text;
    detail text;
    verdicts jsonb := current_setting('ddb2pg.verdicts');
BEGIN
    FOR load IN SELECT jsonb_array_elements(current_setting('ddb2pg.loads')::jsonb) LOOP
        verdict := 'FAIL';
        is_of_chain := load ->> 'chain' IS NOT NULL OR EXISTS (
            SELECT FROM jsonb_array_elements(current_setting('ddb2pg.loads')::jsonb) AS listed (other)
            WHERE other -> 'chain' = load -> 'load_id' AND other ->> 'rolled_back_at' IS NULL);
        BEGIN
            IF load -> 'child' IS NOT NULL THEN
                CONTINUE WHEN load ->> 'rolled_back_at' IS NOT NULL OR is_of_chain;
                SELECT coalesce(sum(rows), 0) INTO remaining
                FROM (SELECT child_rows[(load -> 'child')::integer + 1] AS rows FROM ddb2pg.chunk
                      WHERE load_id = (load ->> 'load_id')::bigint AND rolled_back_at IS NULL
                      UNION ALL
                      SELECT 1 FROM ddb2pg.replayed_child r JOIN ddb2pg.replayed_item i USING (load_id, data_file, item_number)
                      WHERE load_id = (load ->> 'load_id')::bigint AND child = (load -> 'child')::integer AND i.rolled_back IS NULL) counted;
                IF load ->> 'oid' IS NULL THEN
                    detail := format('%s child rows in the ledger; there is no such table any more', remaining);
                ELSE
                    EXECUTE format('SELECT count(*) FROM %s', load ->> 'relation') INTO rows_there;
                    verdict := CASE WHEN rows_there < remaining THEN 'FAIL' WHEN load ->> 'finished_at' IS NULL THEN 'WARN' ELSE 'PASS' END;
                    detail := format('%s child rows in the ledger; %s rows in the table%s', remaining, rows_there,
                        CASE WHEN rows_there < remaining
                             THEN format('; %s that were loaded are missing: ddb2pg validate lists them, --repair inserts them again', remaining - rows_there)
                             WHEN load ->> 'finished_at' IS NULL THEN '; the load is not proved yet: run ddb2pg migrate again'
                             WHEN rows_there > remaining THEN format('; %s are not of this load', rows_there - remaining) END);
                END IF;
                verdicts := verdicts || jsonb_build_object('check', 'counts', 'table', load ->> 'target_table', 'verdict', verdict, 'detail', detail);
                CONTINUE;
            END IF;
            -- A dead letter that a replay settled is a row, or filtered.
            SELECT coalesce(sum(items), 0) AS items, coalesce(sum(rows), 0) AS rows, coalesce(sum(dead_letters), 0) AS dead_letters,
                   coalesce(sum(filtered), 0) AS filtered,
                   coalesce(sum(rows) FILTER (WHERE is_open), 0) AS remaining, coalesce(sum(rows) FILTER (WHERE NOT is_open), 0) AS closed,
                   coalesce(sum(deleted), 0) AS deleted, coalesce(sum(gone), 0) AS gone, coalesce(sum(kept), 0) AS kept
            INTO sums
            FROM (SELECT items, rows, dead_letters, filtered, rolled_back_at IS NULL AS is_open, deleted, gone, kept
                  FROM ddb2pg.chunk WHERE load_id = (load ->> 'load_id')::bigint
                  UNION ALL
                  SELECT 0, (filter_reason IS NULL)::integer, -1, (filter_reason IS NOT NULL)::integer, rolled_back IS NULL, (rolled_back = 'deleted')::integer, (rolled_back = 'gone')::integer,
                         (rolled_back NOT IN ('deleted', 'gone'))::integer
                  FROM ddb2pg.replayed_item WHERE load_id = (load ->> 'load_id')::bigint) counted;
            rows_there := NULL;
            IF load ->> 'oid' IS NOT NULL AND load ->> 'rolled_back_at' IS NULL AND NOT is_of_chain THEN
                EXECUTE format('SELECT count(*) FROM %s', load ->> 'relation') INTO rows_there;
            END IF;
            detail := format(CASE WHEN load ->> 'chain' IS NULL THEN '%s items in the manifest, %s in the ledger = %s rows + %s dead letters%s; %s rows in the table'
                                  ELSE '%s records in the manifest, %s in the ledger = %s applied + %s dead letters%s; %s rows in the table' END,
                             load ->> 'manifest_items', sums.items, sums.rows, sums.dead_letters,
                             CASE WHEN sums.filtered > 0 THEN format(' + %s filtered', sums.filtered) END, coalesce(rows_there::text, 'not counted,'));
            IF sums.closed <> sums.deleted + sums.gone + sums.kept THEN
                detail := format('rolled back: %s rows, but %s deleted, %s gone before and %s kept; run ddb2pg rollback again',
                                 sums.closed, sums.deleted, sums.gone, sums.kept);
            ELSIF load ->> 'rolled_back_at' IS NOT NULL THEN
                verdict := 'PASS';
                detail := format('load %s was rolled back: of %s rows %s deleted, %s gone before, %s kept because they had changed',
                                 load ->> 'load_id', sums.closed, sums.deleted, sums.gone, sums.kept);
            ELSIF sums.items <> (load ->> 'manifest_items')::bigint OR sums.items <> sums.rows + sums.dead_letters + sums.filtered THEN
                detail := detail || '; not every item is accounted for: run ddb2pg migrate again';
            ELSIF is_of_chain AND load ->> 'finished_at' IS NOT NULL THEN
                verdict := 'PASS';
                detail := CASE WHEN load ->> 'chain' IS NULL THEN format('load %s: ', load ->> 'load_id')
                               ELSE format('window %s after load %s: ', load ->> 'window_number', load ->> 'chain') END
                          || detail || ', because windows were applied: ddb2pg validate --as_of compares all of it';
            ELSIF is_of_chain THEN
                verdict := 'WARN';
                detail := detail || '; the window is not proved yet: run ddb2pg migrate again';
            ELSIF rows_there IS NULL THEN
                detail := detail || '; there is no such table any more';
            ELSIF rows_there < sums.remaining THEN
                detail := detail || format('; %s that were loaded are missing: ddb2pg validate lists them, --repair inserts them again',
                                           sums.remaining - rows_there);
            ELSIF load ->> 'rollback_started_at' IS NOT NULL THEN
                verdict := 'WARN';
                detail := detail || '; a rollback was begun: finish it, run ddb2pg rollback with --yes';
            ELSIF load ->> 'finished_at' IS NULL THEN
                verdict := 'WARN';
                detail := detail || '; the load is not proved yet: run ddb2pg migrate again';
            ELSE
                verdict := 'PASS';
                IF rows_there > sums.remaining THEN
                    detail := detail || format('; %s are not of this load', rows_there - sums.remaining);
                END IF;
            END IF;
        EXCEPTION WHEN OTHERS THEN
            verdict := CASE SQLSTATE WHEN '42501' THEN 'SKIP' ELSE 'FAIL' END;
            detail := CASE SQLSTATE WHEN '42501' THEN 'this role may not read all rows (42501); run this as the role that loaded, or one with BYPASSRLS'
                                    ELSE format('the check could not be run (SQLSTATE %s)', SQLSTATE) END;
        END;
        verdicts := verdicts || jsonb_build_object('check', 'counts', 'table', load ->> 'target_table', 'verdict', verdict, 'detail', detail);
    END LOOP;
    PERFORM set_config('ddb2pg.verdicts', verdicts::text, true);
END
$block$;

-- Spot checks by content: rows of the export, found by their keys and compared with PostgreSQL's own equality of each column's type.
-- ddb2pg_expected, a temporary table, has one JSON for each load, and for each table of its child rows: {target, export_id, key: [column],
-- columns: [[column, type, whether values are compared as texts]], rows: [[data file, item number, value, ...]]}. Values are texts, as of
-- the settings above. In JSON zeros at the end of a number matter, so it is compared as text too.
DO $block$
DECLARE
    load jsonb;
    spot jsonb;
    query text;
    checked jsonb;
    part record;
    verdicts jsonb := current_setting('ddb2pg.verdicts');
BEGIN
    FOR load IN SELECT value FROM jsonb_array_elements(current_setting('ddb2pg.loads')::jsonb)
               WHERE value ->> 'rolled_back_at' IS NULL AND value ->> 'chain' IS NULL LOOP
        spot := NULL;
        IF to_regclass('pg_temp.ddb2pg_expected') IS NOT NULL THEN
            SELECT e.spot INTO spot FROM pg_temp.ddb2pg_expected e
            WHERE (e.spot ->> 'target', e.spot ->> 'export_id') = (load ->> 'target_table', load ->> 'export_id');
        END IF;
        IF spot IS NULL OR spot -> 'rows' = '[]' OR load ->> 'oid' IS NULL THEN
            SELECT verdicts || jsonb_agg(jsonb_build_object('check', name, 'table', load ->> 'target_table', 'verdict', 'SKIP', 'detail',
                       CASE WHEN load ->> 'oid' IS NULL THEN 'there is no such table any more'
                            WHEN spot IS NULL THEN 'the rows to look for are put in by ddb2pg validate --emit_sql FILE'
                            ELSE 'no item of the export became a row' END))
            INTO verdicts FROM unnest(ARRAY['spot checks', 'instants', 'JSON content']) name;
            CONTINUE;
        END IF;
        BEGIN
            -- checked: [{place, differing: null where the row is missing, else [[column, type]]}], in the order of the export
            SELECT format($query$
                       SELECT jsonb_agg(jsonb_build_object('place', e.ddb2pg_place, 'differing',
                                                           CASE WHEN t.%1$I IS NOT NULL THEN to_jsonb(array_remove(ARRAY[%2$s], NULL)) END)
                                        ORDER BY e.ddb2pg_number)
                       FROM (SELECT ddb2pg_number, format('item %%s of %%s', one ->> 1, one ->> 0) AS ddb2pg_place, %3$s
                             FROM jsonb_array_elements($1) WITH ORDINALITY AS listed (one, ddb2pg_number)) e
                       LEFT JOIN %4$s t ON %5$s
                   $query$,
                   spot -> 'key' ->> 0,
                   string_agg(format(CASE WHEN is_text OR type IN ('json', 'jsonb', 'xml')
                                          THEN 'CASE WHEN t.%1$I::text COLLATE "C" IS DISTINCT FROM e.%1$I::text COLLATE "C" THEN %2$L::jsonb END'
                                          ELSE 'CASE WHEN t.%1$I IS DISTINCT FROM e.%1$I THEN %2$L::jsonb END' END,
                                     name, jsonb_build_array(name, type)), ', ' ORDER BY place),
                   string_agg(format('(one ->> %1$s)::%2$s AS %3$I', place + 1,
                                     -- Of one character, without its length.
                                     CASE type WHEN 'character' THEN 'bpchar' ELSE type END, name), ', ' ORDER BY place),
                   load ->> 'relation',
                   (SELECT string_agg(format('t.%1$I = e.%1$I', name), ' AND ') FROM jsonb_array_elements_text(spot -> 'key') AS key (name)))
            INTO query
            FROM (SELECT value ->> 0 AS name, coalesce(to_regtype(value ->> 1)::text, value ->> 1) AS type, (value -> 2)::boolean AS is_text, place
                  FROM jsonb_array_elements(spot -> 'columns') WITH ORDINALITY AS listed (value, place)) columns;
            EXECUTE query INTO checked USING spot -> 'rows';
            FOR part IN SELECT * FROM (VALUES ('spot checks', NULL, ''), ('instants', 'timestamp with time zone', ' in a timestamp, to the microsecond'),
                                              ('JSON content', 'jsonb', ' in JSON, to the last digit of a number')) AS part (name, type, words)
                        WHERE type IS NULL OR EXISTS (SELECT FROM jsonb_array_elements(spot -> 'columns') c WHERE to_regtype(c ->> 1) = to_regtype(type)) LOOP
                SELECT verdicts || jsonb_build_object(
                           'check', part.name, 'table', load ->> 'target_table',
                           'verdict', CASE WHEN count(*) FILTER (WHERE is_bad) > 0 THEN 'FAIL' ELSE 'PASS' END,
                           'detail', format('of %s rows of the export %s are missing, %s differ%s', count(*), count(*) FILTER (WHERE is_missing),
                                            count(names), part.words)
                                     || coalesce(': ' || string_agg(place || coalesce(' (' || names || ')', ''), '; ' ORDER BY ordinality)
                                                         FILTER (WHERE is_bad AND number <= 5), ''))
                INTO verdicts
                FROM (SELECT of_row.*, row_number() OVER (PARTITION BY is_bad ORDER BY ordinality) AS number
                      FROM (SELECT ordinality, value ->> 'place' AS place, names, value -> 'differing' = 'null' AS is_missing,
                                   names IS NOT NULL OR part.type IS NULL AND value -> 'differing' = 'null' AS is_bad
                            FROM jsonb_array_elements(checked) WITH ORDINALITY,
                                 LATERAL (SELECT string_agg(c ->> 0, ', ') AS names FROM jsonb_path_query(value, '$.differing[*]') c
                                          WHERE c ->> 1 = coalesce(part.type, c ->> 1)) differing) of_row) numbered;
            END LOOP;
        EXCEPTION WHEN OTHERS THEN
            verdicts := verdicts || jsonb_build_object('check', 'spot checks', 'table', load ->> 'target_table',
                'verdict', CASE SQLSTATE WHEN '42501' THEN 'SKIP' ELSE 'FAIL' END,
                'detail', CASE SQLSTATE WHEN '42501' THEN 'this role may not read all rows (42501); run this as the role that loaded, or one with BYPASSRLS'
                                        ELSE format('the check could not be run (SQLSTATE %s)', SQLSTATE) END);
        END;
    END LOOP;
    PERFORM set_config('ddb2pg.verdicts', verdicts::text, true);
END
$block$;

-- The mapping's rules for its three tables. The query of a check returns its verdict and detail.
-- timestamps    timestamptz, inside 2000-01-01 .. 2100-01-01 UTC, not NULL where ddb2pg fills in a missing one
-- JSON types    jsonb, and no component of a note is NULL: a missing one is loaded as {}. A component that is not an object came so from the
--               export, which is a WARN; whether its content is complete is a question for the spot checks
-- enumerations  only values that the mapping lists. Another event type is loaded with a notice, so there may be as many as the ledger noted
-- references    the session of every note and event is there. Where a session became a dead letter, its notes and events were loaded without
--               it, so as many sessions may be missing as there are dead letters
DO $block$
DECLARE
    of_check record;
    sessions jsonb;
    noted bigint;
    query text;
    verdict text;
    detail text;
    ids jsonb;
    missing jsonb := '[]';
    verdicts jsonb := current_setting('ddb2pg.verdicts');
BEGIN
    SELECT value INTO sessions FROM jsonb_array_elements(current_setting('ddb2pg.tables')::jsonb) WHERE value ->> 'mapped' = 'medzen-video-sessions';
    FOR of_check IN
        SELECT rule.*, one AS load, one ->> 'relation' AS relation, one ->> 'target_table' AS target, (one ->> 'load_id')::bigint AS load_id
        FROM (VALUES
            ('timestamps', 'medzen-video-sessions', 'timestamptz', ARRAY['start_time', 'end_time', 'created_at', 'updated_at'], NULL, NULL),
            ('timestamps', 'medzen-soap-notes', 'timestamptz', ARRAY['ai_generated_at', 'created_at', 'updated_at'], NULL, NULL),
            ('timestamps', 'medzen-meeting-audit', 'timestamptz', ARRAY['created_at'], NULL, NULL),
            ('JSON types', 'medzen-soap-notes', 'jsonb', ARRAY['subjective', 'objective', 'assessment', 'plan'], NULL, NULL),
            ('JSON types', 'medzen-meeting-audit', 'jsonb', ARRAY['event_data'], NULL, NULL),
            ('enumerations', 'medzen-video-sessions', NULL, NULL, $$status IN ('INITIATED', 'ACTIVE', 'COMPLETED', 'FAILED')$$, 'true'),
            ('enumerations', 'medzen-soap-notes', NULL, NULL,
             $$note_type = 'SOAP' AND status IN ('DRAFT', 'REVIEWED', 'SIGNED', 'ARCHIVED')$$, 'true'),
            ('enumerations', 'medzen-meeting-audit', NULL, NULL, $$event_type COLLATE "C" !~ '[a-z]' AND event_type <> ''$$,
             $$event_type IN ('CALL_INITIATED', 'CALL_JOINED', 'CALL_DISCONNECTED', 'TRANSCRIPTION_STARTED', 'TRANSCRIPTION_COMPLETED',
                              'TRANSCRIPTION_FAILED', 'SOAP_GENERATION_STARTED', 'SOAP_GENERATION_COMPLETED', 'SOAP_GENERATION_FAILED')$$),
            ('references', 'medzen-soap-notes', NULL, NULL, NULL, NULL),
            ('references', 'medzen-meeting-audit', NULL, NULL, NULL, NULL)
        ) AS rule (name, source, type, columns, is_loaded, is_listed)
        JOIN jsonb_array_elements(current_setting('ddb2pg.tables')::jsonb) AS of_table (one) ON one ->> 'mapped' = source
    LOOP
        BEGIN
            ids := NULL;
            SELECT string_agg(name, ', ') INTO detail FROM unnest(of_check.columns) name
            WHERE NOT EXISTS (SELECT FROM pg_attribute WHERE (attrelid, attname, atttypid) = ((of_check.load ->> 'oid')::oid, name, to_regtype(of_check.type)));
            IF detail IS NOT NULL THEN
                verdict := 'FAIL';
                detail := format('not there as %s: %s', to_regtype(of_check.type), detail);
            ELSIF of_check.name = 'references' AND sessions ->> 'finished_at' IS NULL THEN
                verdict := 'SKIP';
                detail := 'the sessions are not loaded yet, as far as the ledger knows';
            ELSE
                noted := 0;
                IF of_check.name = 'enumerations' AND of_check.load_id IS NOT NULL THEN
                    SELECT coalesce(sum((notice_codes ->> 'unknown_event_type')::bigint), 0) INTO noted FROM ddb2pg.chunk
                    WHERE load_id IN (SELECT l.load_id FROM ddb2pg.load l WHERE coalesce(l.chain, l.load_id) = of_check.load_id);
                ELSIF of_check.name = 'references' THEN
                    SELECT coalesce(sum(dead_letters), 0) INTO noted FROM ddb2pg.chunk
                    WHERE load_id IN (SELECT l.load_id FROM ddb2pg.load l WHERE coalesce(l.chain, l.load_id) = (sessions ->> 'load_id')::bigint);
                END IF;
                query := CASE of_check.name
                    WHEN 'timestamps' THEN $query$
                        SELECT CASE WHEN outside IS NOT NULL THEN 'FAIL' WHEN nulls IS NOT NULL THEN 'WARN' ELSE 'PASS' END,
                               CASE WHEN outside IS NOT NULL
                                    THEN format('outside 2000-01-01 to 2100-01-01 UTC: %%s; ddb2pg loads none such, who wrote them?', outside)
                                    WHEN nulls IS NOT NULL
                                    THEN format('NULL: %%s; ddb2pg fills it in, so the application wrote them, or somebody changed them', nulls)
                                    ELSE 'all from 2000-01-01 to 2100-01-01 UTC' END
                        FROM (SELECT string_agg(format('%%s in %%s rows', name, outside), ', ') FILTER (WHERE outside > 0) AS outside,
                                     string_agg(format('%%s in %%s rows', name, nulls), ', ') FILTER (WHERE nulls > 0) AS nulls
                              FROM (SELECT name, count(*) FILTER (WHERE moment NOT BETWEEN '2000-01-01 00:00+00' AND '2100-01-01 00:00+00') AS outside,
                                           count(*) FILTER (WHERE moment IS NULL AND name <> 'ai_generated_at') AS nulls
                                    FROM %1$s t, LATERAL (VALUES %2$s) v (name, moment) GROUP BY name ORDER BY name) of_column) of_table
                    $query$
                    WHEN 'JSON types' THEN $query$
                        SELECT CASE WHEN has_null THEN 'FAIL' WHEN has_others THEN 'WARN' ELSE 'PASS' END,
                               concat(coalesce(types, 'no rows'),
                                      CASE WHEN has_null THEN '; ddb2pg loads {} in place of NULL, who wrote it?'
                                           WHEN has_others THEN '; what is no object is so in the export, if ddb2pg validate finds every row equal' END)
                        FROM (SELECT bool_or(type = 'SQL NULL' AND name <> 'event_data') AS has_null,
                                     bool_or(type NOT IN ('object', 'SQL NULL')) AS has_others,
                                     string_agg(format('%%s: %%s %%s', name, rows, type), ', ' ORDER BY name, type) AS types
                              FROM (SELECT name, coalesce(jsonb_typeof(content), 'SQL NULL') AS type, count(*) AS rows
                                    FROM %1$s t, LATERAL (VALUES %2$s) v (name, content) GROUP BY 1, 2) of_type) of_table
                    $query$
                    WHEN 'enumerations' THEN $query$
                        SELECT CASE WHEN not_loaded > 0 OR unlisted > $1 THEN 'FAIL' ELSE 'PASS' END,
                               CASE WHEN not_loaded > 0 THEN format('%%s rows have a value that ddb2pg does not load; who wrote it?', not_loaded)
                                    WHEN unlisted = 0 THEN 'every value is one of the mapping''s'
                                    ELSE format('%%s rows have an event type that the mapping does not list, ', unlisted)
                                         || CASE WHEN unlisted > $1 THEN format('but only %%s were loaded so (notice unknown_event_type)', $1)
                                                 ELSE 'as the notices unknown_event_type say' END END
                        FROM (SELECT count(*) FILTER (WHERE (%3$s) IS NOT TRUE) AS not_loaded,
                                     count(*) FILTER (WHERE (%4$s) IS NOT TRUE) AS unlisted FROM %1$s t) of_table
                    $query$
                    WHEN 'references' THEN $query$
                        SELECT CASE WHEN missing = 0 THEN 'PASS' WHEN missing <= $1 THEN 'WARN' ELSE 'FAIL' END,
                               CASE WHEN missing = 0 THEN 'every row has its session'
                                    ELSE format('%%s rows refer to %%s sessions that are not there, ', orphans, missing)
                                         || format(CASE WHEN missing <= $1
                                                        THEN 'which may be among the %%s dead letters of the sessions: review those first'
                                                        ELSE 'and only %%s sessions are dead letters: sessions were deleted, here or in DynamoDB '
                                                             'before the export' END, $1) END,
                               to_jsonb(ids[:20])
                        FROM (SELECT coalesce(sum(rows), 0) AS orphans, count(*) AS missing, array_agg(session_id ORDER BY session_id) AS ids
                              FROM (SELECT session_id, count(*) AS rows FROM %1$s t
                                    WHERE NOT EXISTS (SELECT FROM %5$s s WHERE s.id = t.session_id) GROUP BY session_id) of_session) of_table
                    $query$ END;
                EXECUTE format(query, of_check.relation, (SELECT string_agg(format('(%1$L, t.%1$I)', name), ', ') FROM unnest(of_check.columns) name),
                               of_check.is_loaded, of_check.is_listed, sessions ->> 'relation')
                INTO verdict, detail, ids USING noted;
            END IF;
        EXCEPTION WHEN OTHERS THEN
            verdict := CASE SQLSTATE WHEN '42501' THEN 'SKIP' ELSE 'FAIL' END;
            detail := CASE SQLSTATE WHEN '42501' THEN 'this role may not read all rows (42501); run this as the role that loaded, or one with BYPASSRLS'
                                    ELSE format('the check could not be run (SQLSTATE %s)', SQLSTATE) END;
        END;
        verdicts := verdicts || jsonb_build_object('check', of_check.name, 'table', of_check.target, 'verdict', verdict, 'detail', detail);
        missing := missing || jsonb_build_object('table', of_check.target, 'ids', coalesce(ids, '[]'));
    END LOOP;
    PERFORM set_config('ddb2pg.missing_sessions', missing::text, true), set_config('ddb2pg.verdicts', verdicts::text, true);
END
$block$;

-- Policies: row security is as it was when the load began. Where it was off then, a change is a WARN; else a FAIL.
DO $block$
DECLARE
    load jsonb;
    before jsonb;
    now jsonb;
    changes text;
    search_path text := current_setting('search_path');
    verdict text;
    detail text;
    verdicts jsonb := current_setting('ddb2pg.verdicts');
BEGIN
    FOR load IN SELECT value FROM jsonb_array_elements(current_setting('ddb2pg.loads')::jsonb)
               WHERE value ->> 'rolled_back_at' IS NULL AND value ->> 'oid' IS NOT NULL AND value ->> 'chain' IS NULL LOOP
        before := load -> 'row_security';
        -- The text of pg_get_expr depends on the search path; ddb2pg used this one when it recorded the policies.
        PERFORM set_config('search_path', 'pg_catalog', true);
        SELECT jsonb_build_object(
                   'enabled', c.relrowsecurity, 'forced', c.relforcerowsecurity,
                   'policies', coalesce(jsonb_agg(jsonb_build_object(
                       'name', p.polname, 'command', p.polcmd, 'permissive', p.polpermissive,
                       'roles', (SELECT jsonb_agg(CASE role WHEN 0 THEN 'public' ELSE pg_get_userbyid(role)::text END ORDER BY role)
                                 FROM unnest(p.polroles) role),
                       'using', pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid)
                   ) ORDER BY p.polname) FILTER (WHERE p.oid IS NOT NULL), '[]'))
        INTO now
        FROM pg_class c LEFT JOIN pg_policy p ON p.polrelid = c.oid
        WHERE c.oid = (load ->> 'oid')::oid GROUP BY c.oid, c.relrowsecurity, c.relforcerowsecurity;
        PERFORM set_config('search_path', search_path, true);
        SELECT string_agg(format('%s %s', CASE WHEN b.value IS NULL THEN 'added' WHEN n.value IS NULL THEN 'dropped' ELSE 'altered' END, name), ', ' ORDER BY name)
        INTO changes
        FROM (SELECT value, value ->> 'name' AS name FROM jsonb_array_elements(before -> 'policies')) b
        FULL JOIN (SELECT value, value ->> 'name' AS name FROM jsonb_array_elements(now -> 'policies')) n USING (name)
        WHERE b.value IS DISTINCT FROM n.value;
        changes := concat_ws('; ', 'policies ' || changes,
                             CASE WHEN before -> 'enabled' <> now -> 'enabled' THEN CASE WHEN (now -> 'enabled')::boolean THEN 'turned on' ELSE 'turned off' END END,
                             CASE WHEN before -> 'forced' <> now -> 'forced' THEN CASE WHEN (now -> 'forced')::boolean THEN 'forced' ELSE 'not forced any more' END END);
        IF before = now THEN
            verdict := CASE WHEN (now -> 'enabled')::boolean THEN 'PASS' ELSE 'SKIP' END;
            detail := CASE WHEN (now -> 'enabled')::boolean THEN format('%s, as when the load began',
                                CASE jsonb_array_length(now -> 'policies') WHEN 1 THEN '1 policy' ELSE jsonb_array_length(now -> 'policies') || ' policies' END)
                           ELSE 'row security is off, as when the load began: no policy applies' END;
        ELSE
            verdict := CASE WHEN (before -> 'enabled')::boolean THEN 'FAIL' ELSE 'WARN' END;
            detail := 'row security is not what it was when the load began: ' || changes;
        END IF;
        IF NOT (now -> 'enabled')::boolean AND EXISTS (
               SELECT FROM pg_roles, pg_class c WHERE rolname IN ('anon', 'authenticated') AND c.oid = (load ->> 'oid')::oid
               AND has_schema_privilege(rolname, c.relnamespace, 'USAGE') AND has_table_privilege(rolname, c.oid, 'SELECT')) THEN
            verdict := CASE verdict WHEN 'FAIL' THEN 'FAIL' ELSE 'WARN' END;
            detail := detail || '; whoever has an API key may read the table: ENABLE ROW LEVEL SECURITY, with policies';
        END IF;
        verdicts := verdicts || jsonb_build_object('check', 'policies', 'table', load ->> 'target_table', 'verdict', verdict, 'detail', detail);
    END LOOP;
    PERFORM set_config('ddb2pg.verdicts', verdicts::text, true);
END
$block$;

-- Row security in use, in the way of a Supabase project's API: SET ROLE, with the claims of a token in request.jwt.claims. For each role that
-- a policy for SELECT names: the provider or patient of some row must see a row, and a user whom no row names must see none.
DO $block$
DECLARE
    load jsonb;
    of_role record;
    candidate text;
    candidates text[];
    sessions text;
    query text;
    step text;
    is_seen boolean;
    is_exposed boolean;
    own_role text := current_setting('role');
    targets oid[];
    verdict text;
    detail text;
    seeing jsonb;
    verdicts jsonb := current_setting('ddb2pg.verdicts');
BEGIN
    SELECT array_agg((value ->> 'oid')::oid), max(value ->> 'relation') FILTER (WHERE value ->> 'mapped' = 'medzen-video-sessions')
    INTO targets, sessions FROM jsonb_array_elements(current_setting('ddb2pg.tables')::jsonb);
    FOR load IN SELECT value FROM jsonb_array_elements(current_setting('ddb2pg.tables')::jsonb) LOOP
        candidates := NULL;
        BEGIN
            IF load ->> 'mapped' = 'medzen-video-sessions' THEN
                query := format('SELECT provider_id, patient_id FROM %s LIMIT 5', load ->> 'relation');
            ELSIF load ->> 'mapped' IN ('medzen-soap-notes', 'medzen-meeting-audit') AND sessions IS NOT NULL THEN
                query := format('SELECT s.provider_id, s.patient_id FROM %s t JOIN %s s ON s.id = t.session_id LIMIT 5', load ->> 'relation', sessions);
            ELSE
                SELECT format('SELECT %s FROM %s LIMIT 5', string_agg(quote_ident(attname), ', '), load ->> 'relation') INTO query
                FROM pg_attribute WHERE attrelid = (load ->> 'oid')::oid AND atttypid = 'uuid'::regtype AND attnum > 0 AND NOT attisdropped;
            END IF;
            EXECUTE format('SELECT array_agg(DISTINCT claim) FROM (%s) r, jsonb_each_text(to_jsonb(r)) c (name, claim) WHERE claim IS NOT NULL', query)
            INTO candidates;
        EXCEPTION WHEN OTHERS THEN
            candidates := NULL;
        END;
        seeing := '[]';
        FOR of_role IN
            SELECT role.rolname AS name, bool_or(0 = ANY (p.polroles)) AND NOT bool_or(role.oid = ANY (p.polroles)) AS is_of_public,
                   bool_or(pg_get_expr(p.polqual, p.polrelid) = 'true') AS is_unconditional,
                   -- Whether the policies' conditions depend on nothing but the claims that are tried here.
                   bool_and(pg_get_expr(p.polqual, p.polrelid) ~* 'uid[(][)]|''sub''|request[.]jwt[.]claim[.]sub|^true$'
                            AND NOT EXISTS (SELECT FROM pg_depend d LEFT JOIN pg_proc f ON d.refclassid = 'pg_proc'::regclass AND f.oid = d.refobjid
                                            WHERE d.classid = 'pg_policy'::regclass AND d.objid = p.oid
                                              AND (d.refclassid = 'pg_class'::regclass AND d.refobjid <> ALL (targets)
                                                   OR f.pronamespace <> to_regnamespace('auth')::oid OR f.oid IS NOT NULL AND to_regnamespace('auth') IS NULL))
                   ) AS is_known
            FROM pg_class c JOIN pg_policy p ON p.polrelid = c.oid AND p.polpermissive AND p.polcmd IN ('r', '*')
            JOIN pg_roles role ON role.oid = ANY (p.polroles) OR 0 = ANY (p.polroles) AND role.rolname IN ('anon', 'authenticated')
            WHERE c.oid = (load ->> 'oid')::oid AND c.relrowsecurity
            GROUP BY role.rolname ORDER BY role.rolname
        LOOP
            is_seen := false;
            step := 'role';
            BEGIN
                PERFORM set_config('role', of_role.name, true), set_config('row_security', 'on', true);
                IF NOT row_security_active((load ->> 'oid')::oid) THEN
                    step := 'bypass';
                ELSE
                    IF of_role.name <> 'anon' THEN
                        FOREACH candidate IN ARRAY coalesce(candidates, '{}') LOOP
                            step := 'see';
                            PERFORM set_config('request.jwt.claims', jsonb_build_object('sub', candidate, 'role', of_role.name)::text, true),
                                    set_config('request.jwt.claim.sub', candidate, true), set_config('request.jwt.claim.role', of_role.name, true);
                            EXECUTE format('SELECT EXISTS (SELECT FROM %s)', load ->> 'relation') INTO is_seen;
                            EXIT WHEN is_seen;
                        END LOOP;
                    END IF;
                    step := 'stranger';
                    candidate := CASE of_role.name WHEN 'anon' THEN NULL ELSE 'ffffffff-ffff-4fff-bfff-ffffffffffff' END;
                    PERFORM set_config('request.jwt.claims', jsonb_strip_nulls(jsonb_build_object('sub', candidate, 'role', of_role.name))::text, true),
                            set_config('request.jwt.claim.sub', coalesce(candidate, ''), true), set_config('request.jwt.claim.role', of_role.name, true);
                    EXECUTE format('SELECT EXISTS (SELECT FROM %s)', load ->> 'relation') INTO is_exposed;
                    step := 'done';
                END IF;
                PERFORM set_config('role', own_role, true), set_config('row_security', 'off', true);
            EXCEPTION WHEN OTHERS THEN
                -- The error has undone the block, and the settings with it.
                detail := CASE step
                    WHEN 'role' THEN format('this role may not become it (SQLSTATE %s): GRANT it, or run this as a role that is a member', SQLSTATE)
                    ELSE format('its query ended with SQLSTATE %s%s', SQLSTATE, CASE SQLSTATE WHEN '42501' THEN ': it may not SELECT' ELSE '' END) END;
                verdict := CASE WHEN step = 'role' OR SQLSTATE = '42501' AND of_role.is_of_public THEN 'SKIP' ELSE 'FAIL' END;
                seeing := seeing || jsonb_build_array(jsonb_build_array(verdict, of_role.name || ': ' || detail));
                CONTINUE;
            END;
            IF step = 'bypass' THEN
                seeing := seeing || jsonb_build_array(jsonb_build_array('SKIP', of_role.name || ': row security does not apply to it'));
                CONTINUE;
            END IF;
            seeing := seeing || jsonb_build_array(
                CASE WHEN of_role.name = 'anon' THEN jsonb_build_array('SKIP', 'anon: has no claims by which it should see rows')
                     WHEN candidates IS NULL THEN jsonb_build_array('SKIP', of_role.name || ': there is no row whose claims could be tried')
                     WHEN is_seen THEN jsonb_build_array('PASS', of_role.name || ': whom a row belongs to sees rows')
                     WHEN of_role.is_known THEN jsonb_build_array('FAIL', format('%s: sees no row with any of %s claims of providers, patients or owners',
                                                                                of_role.name, cardinality(candidates)))
                     ELSE jsonb_build_array('WARN', format('%s: sees no row with any of %s claims (sub) that were tried; its policies ask for more than that: '
                                                           'try it by hand', of_role.name, cardinality(candidates))) END,
                CASE WHEN NOT is_exposed THEN jsonb_build_array('PASS', of_role.name || ': a stranger sees no row')
                     WHEN of_role.is_unconditional AND NOT of_role.is_of_public AND of_role.name NOT IN ('anon', 'authenticated')
                          THEN jsonb_build_array('SKIP', of_role.name || ': its policy shows it every row, without a condition')
                     ELSE jsonb_build_array('FAIL', of_role.name || ': a stranger sees rows') END);
        END LOOP;
        IF seeing = '[]' THEN
            seeing := jsonb_build_array(jsonb_build_array('SKIP', 'row security is off, or no policy for SELECT names a role that there is'));
        END IF;
        SELECT verdicts || jsonb_agg(jsonb_build_object('check', 'row security', 'table', load ->> 'target_table', 'verdict', value ->> 0, 'detail', value ->> 1)
                                     ORDER BY ordinality)
        INTO verdicts FROM jsonb_array_elements(seeing) WITH ORDINALITY;
    END LOOP;
    PERFORM set_config('request.jwt.claims', '', true), set_config('request.jwt.claim.sub', '', true), set_config('request.jwt.claim.role', '', true);
    PERFORM set_config('ddb2pg.verdicts', verdicts::text, true);
END
$block$;

SELECT missing ->> 'table' AS "table", id AS "session that is not there (20 at most)"
FROM jsonb_array_elements(current_setting('ddb2pg.missing_sessions')::jsonb) missing, jsonb_array_elements_text(missing -> 'ids') id;

SELECT value ->> 'check' AS "check", value ->> 'table' AS "table", value ->> 'verdict' AS verdict, value ->> 'detail' AS detail
FROM jsonb_array_elements(current_setting('ddb2pg.verdicts')::jsonb) WITH ORDINALITY
ORDER BY ordinality;

ROLLBACK;
