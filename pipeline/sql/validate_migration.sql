-- Checks of what ddb2pg loaded, to be run against the target by hand:
--
--     psql "$DATABASE_URL" -f pipeline/sql/validate_migration.sql
--
-- Its last result has one row a check: PASS, FAIL, WARN (look at it) or SKIP (could not be checked, and why), and never a value of a row.
-- The result before it lists up to 20 ids of sessions that rows refer to and that are not there.
--
-- Nothing is written: PostgreSQL itself holds the transaction to READ ONLY, and it is rolled back. What the checks find is kept in settings
-- of the transaction (ddb2pg.*), which need no table and no right. Run it as the role that loaded, before the application writes.
-- `ddb2pg validate` runs it too. The rows for spot checks are put in by `ddb2pg validate --emit_sql FILE`; that file holds patient data.

BEGIN;
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;
SET LOCAL statement_timeout = 0;
SET LOCAL jit = off;
SET LOCAL TimeZone = 'UTC';
SET LOCAL DateStyle = 'ISO, YMD';
SET LOCAL IntervalStyle = 'postgres';
-- A query that would see only some of the rows becomes an error, instead of a smaller count.
SET LOCAL row_security = off;

-- @expected

-- The loads of the ledger, and the tables that they went into; a table of the mapping that no load names is looked for on the search path.
DO $block$
DECLARE
    one record;
    relation record;
    loads jsonb := '[]';
    tables jsonb := '[]';
    verdict text := 'FAIL';
    detail text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE (n.nspname, c.relname) = ('ddb2pg', 'load')) THEN
        detail := 'this database has no ledger, the schema ddb2pg: ddb2pg loaded nothing here, or this is another database';
    ELSE
        FOR one IN SELECT to_jsonb(l) AS load FROM ddb2pg.load l ORDER BY load_id LOOP
            SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS name INTO relation
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname || '.' || c.relname = one.load ->> 'target_table' AND c.relkind IN ('r', 'p');
            loads := loads || (one.load || jsonb_build_object('oid', relation.oid, 'relation', relation.name));
            IF one.load ->> 'rolled_back_at' IS NULL AND relation.oid IS NOT NULL
               AND NOT jsonb_path_exists(tables, '$[*] ? (@.table == $name)', jsonb_build_object('name', one.load ->> 'target_table')) THEN
                tables := tables || jsonb_build_object(
                    'source', one.load ->> 'source_table', 'table', one.load ->> 'target_table', 'oid', relation.oid,
                    'relation', relation.name, 'finished', one.load ->> 'finished_at' IS NOT NULL, 'load_id', one.load -> 'load_id');
            END IF;
        END LOOP;
        IF loads = '[]' THEN
            detail := 'the ledger knows no load';
        ELSIF NOT jsonb_path_exists(loads, '$[0].row_security') THEN
            verdict := 'WARN';
            detail := 'the ledger was made by an older ddb2pg; the next migrate or validate brings it up to date';
        ELSE
            verdict := 'PASS';
            detail := format('%s loads', jsonb_array_length(loads));
        END IF;
    END IF;
    FOR one IN SELECT * FROM (VALUES ('medzen-video-sessions', 'video_call_sessions'), ('medzen-soap-notes', 'clinical_notes'),
                                     ('medzen-meeting-audit', 'video_call_audit_log')) mapped (source, target) LOOP
        IF NOT jsonb_path_exists(tables, '$[*] ? (@.source == $name)', jsonb_build_object('name', one.source)) THEN
            SELECT c.oid, n.nspname || '.' || c.relname AS table, format('%I.%I', n.nspname, c.relname) AS name INTO relation
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.oid = to_regclass(one.target) AND c.relkind IN ('r', 'p');
            IF relation.oid IS NOT NULL THEN
                tables := tables || jsonb_build_object('source', one.source, 'table', relation.table, 'oid', relation.oid,
                                                       'relation', relation.name, 'finished', false, 'load_id', NULL);
            END IF;
        END IF;
    END LOOP;
    PERFORM set_config('ddb2pg.loads', loads::text, true), set_config('ddb2pg.tables', tables::text, true),
            set_config('ddb2pg.missing_sessions', '[]', true),
            set_config('ddb2pg.verdicts', jsonb_build_array(jsonb_build_object('check', 'ledger', 'verdict', verdict, 'detail', detail))::text, true);
EXCEPTION WHEN insufficient_privilege THEN
    detail := 'this role may not read the ledger (42501), so nothing can be checked; run this as the role that loaded';
    PERFORM set_config('ddb2pg.loads', '[]', true), set_config('ddb2pg.tables', '[]', true), set_config('ddb2pg.missing_sessions', '[]', true),
            set_config('ddb2pg.verdicts', jsonb_build_array(jsonb_build_object('check', 'ledger', 'verdict', 'FAIL', 'detail', detail))::text, true);
END
$block$;

-- Counts: manifest items = rows + dead letters by the ledger, and at least the rows that were loaded and not rolled back are there.
DO $block$
DECLARE
    one jsonb;
    sums record;
    replayed record;
    rows_there bigint;
    verdict text;
    detail text;
    verdicts jsonb := '[]';
    of_rollback text := 'sum(rows) AS remaining, 0 AS closed, 0 AS deleted, 0 AS gone, 0 AS kept';
BEGIN
    IF EXISTS (SELECT FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE (n.nspname, c.relname, a.attname) = ('ddb2pg', 'chunk', 'rolled_back_at') AND NOT a.attisdropped) THEN
        of_rollback := 'sum(rows) FILTER (WHERE rolled_back_at IS NULL) AS remaining, sum(rows) FILTER (WHERE rolled_back_at IS NOT NULL) AS closed, '
                       'sum(deleted) AS deleted, sum(gone) AS gone, sum(kept) AS kept';
    END IF;
    FOR one IN SELECT value FROM jsonb_array_elements(current_setting('ddb2pg.loads')::jsonb) LOOP
        BEGIN
            EXECUTE 'SELECT coalesce(items, 0) AS items, coalesce(rows, 0) AS rows, coalesce(dead_letters, 0) AS dead_letters, '
                    'coalesce(remaining, 0) AS remaining, coalesce(closed, 0) AS closed, coalesce(deleted, 0) AS deleted, '
                    'coalesce(gone, 0) AS gone, coalesce(kept, 0) AS kept '
                    'FROM (SELECT sum(items) AS items, sum(rows) AS rows, sum(dead_letters) AS dead_letters, ' || of_rollback ||
                    ' FROM ddb2pg.chunk WHERE load_id = $1) sums' INTO sums USING (one ->> 'load_id')::bigint;
            IF to_regclass('ddb2pg.replayed_item') IS NOT NULL THEN
                -- Dead letters that were brought in later are rows.
                EXECUTE 'SELECT count(*) AS items, count(*) FILTER (WHERE rolled_back IS NULL) AS remaining, '
                        'count(*) FILTER (WHERE rolled_back = ''deleted'') AS deleted, count(*) FILTER (WHERE rolled_back = ''gone'') AS gone, '
                        'count(*) FILTER (WHERE rolled_back NOT IN (''deleted'', ''gone'')) AS kept '
                        'FROM ddb2pg.replayed_item WHERE load_id = $1' INTO replayed USING (one ->> 'load_id')::bigint;
                sums.rows := sums.rows + replayed.items;
                sums.dead_letters := sums.dead_letters - replayed.items;
                sums.remaining := sums.remaining + replayed.remaining;
                sums.closed := sums.closed + replayed.items - replayed.remaining;
                sums.deleted := sums.deleted + replayed.deleted;
                sums.gone := sums.gone + replayed.gone;
                sums.kept := sums.kept + replayed.kept;
            END IF;
            rows_there := NULL;
            IF one ->> 'oid' IS NOT NULL AND one ->> 'rolled_back_at' IS NULL THEN
                EXECUTE format('SELECT count(*) FROM %s', one ->> 'relation') INTO rows_there;
            END IF;
            detail := format('%s items in the manifest, %s in the ledger = %s rows + %s dead letters; %s rows in the table',
                             one ->> 'manifest_items', sums.items, sums.rows, sums.dead_letters, coalesce(rows_there::text, 'not counted,'));
            IF sums.closed <> sums.deleted + sums.gone + sums.kept THEN
                verdict := 'FAIL';
                detail := format('rolled back: %s rows, but %s deleted, %s gone before and %s kept; run ddb2pg rollback again',
                                 sums.closed, sums.deleted, sums.gone, sums.kept);
            ELSIF one ->> 'rolled_back_at' IS NOT NULL THEN
                verdict := 'PASS';
                detail := format('load %s was rolled back: of %s rows %s deleted, %s gone before, %s kept because they had changed',
                                 one ->> 'load_id', sums.closed, sums.deleted, sums.gone, sums.kept);
            ELSIF sums.items <> (one ->> 'manifest_items')::bigint OR sums.items <> sums.rows + sums.dead_letters THEN
                verdict := 'FAIL';
                detail := detail || '; not every item is accounted for: run ddb2pg migrate again';
            ELSIF rows_there IS NULL THEN
                verdict := 'FAIL';
                detail := detail || '; there is no such table any more';
            ELSIF rows_there < sums.remaining THEN
                verdict := 'FAIL';
                detail := detail || format('; %s that were loaded are missing: ddb2pg validate lists them, --repair inserts them again',
                                           sums.remaining - rows_there);
            ELSIF one ->> 'rollback_started_at' IS NOT NULL THEN
                verdict := 'WARN';
                detail := detail || '; a rollback was begun: finish it, run ddb2pg rollback with --yes';
            ELSIF one ->> 'finished_at' IS NULL THEN
                verdict := 'WARN';
                detail := detail || '; the load is not proved yet: run ddb2pg migrate again';
            ELSE
                verdict := 'PASS';
                IF rows_there > sums.remaining THEN
                    detail := detail || format('; %s are not of this load', rows_there - sums.remaining);
                END IF;
            END IF;
        EXCEPTION
            WHEN insufficient_privilege THEN
                verdict := 'SKIP';
                detail := 'this role may not read all rows (42501); run this as the role that loaded, or one with BYPASSRLS';
            WHEN OTHERS THEN
                verdict := 'FAIL';
                detail := format('the check could not be run (SQLSTATE %s)', SQLSTATE);
        END;
        verdicts := verdicts || jsonb_build_object('check', 'counts', 'table', one ->> 'target_table', 'verdict', verdict, 'detail', detail);
    END LOOP;
    PERFORM set_config('ddb2pg.verdicts', (current_setting('ddb2pg.verdicts')::jsonb || verdicts)::text, true);
END
$block$;

-- Spot checks by content: rows of the export, found by their keys and compared with PostgreSQL's own equality of each column's type.
-- ddb2pg.expected: [{target, export_id, key: [column], columns: [[column, type]], rows: [[data file, item number, value, ...]]}]. Values are
-- texts, those of timestamptz microseconds since 1970-01-01 UTC.
DO $block$
DECLARE
    one jsonb;
    spot jsonb;
    query text;
    checked jsonb;
    shown record;
    verdict text;
    verdicts jsonb := '[]';
BEGIN
    FOR one IN SELECT value FROM jsonb_array_elements(current_setting('ddb2pg.loads')::jsonb) WHERE value ->> 'rolled_back_at' IS NULL LOOP
        SELECT value INTO spot FROM jsonb_array_elements(nullif(current_setting('ddb2pg.expected', true), '')::jsonb)
        WHERE (value ->> 'target', value ->> 'export_id') = (one ->> 'target_table', one ->> 'export_id');
        IF spot IS NULL OR spot -> 'rows' = '[]' OR one ->> 'oid' IS NULL THEN
            SELECT verdicts || jsonb_agg(jsonb_build_object('check', name, 'table', one ->> 'target_table', 'verdict', 'SKIP', 'detail',
                       CASE WHEN one ->> 'oid' IS NULL THEN 'there is no such table any more'
                            WHEN spot IS NULL THEN 'the rows to look for are put in by ddb2pg validate --emit_sql FILE'
                            ELSE 'no item of the export became a row' END))
            INTO verdicts FROM unnest(ARRAY['spot checks', 'instants', 'JSON content']) name;
            CONTINUE;
        END IF;
        BEGIN
            SELECT format($query$
                       SELECT jsonb_agg(jsonb_build_object('place', e.ddb2pg_place, 'columns',
                                                           CASE WHEN t.%1$I IS NOT NULL THEN to_jsonb(array_remove(ARRAY[%2$s], NULL)) END)
                                        ORDER BY e.ddb2pg_number)
                       FROM (SELECT ddb2pg_number, format('item %%s of %%s', one ->> 1, one ->> 0) AS ddb2pg_place, %3$s
                             FROM jsonb_array_elements($1) WITH ORDINALITY AS listed (one, ddb2pg_number)) e
                       LEFT JOIN %4$s t ON %5$s
                   $query$,
                   spot -> 'key' ->> 0,
                   string_agg(format(CASE WHEN type IN ('text', 'character varying', 'character', 'json', 'xml')
                                          THEN 'CASE WHEN t.%1$I::text COLLATE "C" IS DISTINCT FROM e.%1$I::text COLLATE "C" THEN %1$L END'
                                          ELSE 'CASE WHEN t.%1$I IS DISTINCT FROM e.%1$I THEN %1$L END' END, name), ', ' ORDER BY place),
                   string_agg(format(CASE WHEN type = 'timestamp with time zone'
                                          THEN 'timestamptz ''1970-01-01 00:00:00+00'' + (one ->> %1$s)::bigint / 1000000 * interval ''1 second'' '
                                               '+ (one ->> %1$s)::bigint %% 1000000 * interval ''1 microsecond'' AS %3$I'
                                          ELSE '(one ->> %1$s)::%2$s AS %3$I' END, place + 1, type, name), ', ' ORDER BY place),
                   one ->> 'relation',
                   (SELECT string_agg(format('t.%1$I = e.%1$I', name), ' AND ') FROM jsonb_array_elements_text(spot -> 'key') AS key (name)))
            INTO query
            FROM (SELECT value ->> 0 AS name, to_regtype(value ->> 1)::text AS type, place
                  FROM jsonb_array_elements(spot -> 'columns') WITH ORDINALITY AS listed (value, place)) columns;
            EXECUTE query INTO checked USING spot -> 'rows';
            FOR shown IN SELECT * FROM (VALUES ('spot checks', NULL), ('instants', 'timestamp with time zone'), ('JSON content', 'jsonb')) AS part (name, type)
                         WHERE part.type IS NULL
                            OR EXISTS (SELECT FROM jsonb_array_elements(spot -> 'columns') c WHERE to_regtype(c ->> 1) = to_regtype(part.type)) LOOP
                SELECT verdicts || jsonb_build_object(
                           'check', shown.name, 'table', one ->> 'target_table',
                           'verdict', CASE WHEN count(*) FILTER (WHERE is_bad) > 0 THEN 'FAIL' ELSE 'PASS' END,
                           'detail', format('of %s rows of the export %s are missing, %s differ', jsonb_array_length(checked),
                                            count(*) FILTER (WHERE is_missing), count(*) FILTER (WHERE is_bad AND NOT is_missing))
                                     || CASE shown.name WHEN 'instants' THEN ' in a timestamp, to the microsecond'
                                                        WHEN 'JSON content' THEN ' in JSON, to the last digit of a number' ELSE '' END
                                     || coalesce(': ' || string_agg(place || coalesce(' (' || columns || ')', ''), '; ' ORDER BY number)
                                                         FILTER (WHERE is_bad AND number <= 5), ''))
                INTO verdicts
                FROM (SELECT row_of.*, row_number() OVER (PARTITION BY is_bad ORDER BY ordinality) AS number
                      FROM (SELECT value ->> 'place' AS place, ordinality, value -> 'columns' = 'null' AS is_missing, of_type.columns,
                                   (shown.type IS NULL AND value -> 'columns' = 'null') OR of_type.columns IS NOT NULL AS is_bad
                            FROM jsonb_array_elements(checked) WITH ORDINALITY,
                                 LATERAL (SELECT string_agg(name, ', ') AS columns
                                          FROM jsonb_array_elements_text(CASE WHEN value -> 'columns' = 'null' THEN '[]' ELSE value -> 'columns' END) AS one_of (name)
                                          WHERE shown.type IS NULL
                                             OR EXISTS (SELECT FROM jsonb_array_elements(spot -> 'columns') c
                                                        WHERE c ->> 0 = name AND to_regtype(c ->> 1) = to_regtype(shown.type))) of_type) row_of) numbered;
            END LOOP;
        EXCEPTION WHEN OTHERS THEN
            verdicts := verdicts || jsonb_build_object('check', 'spot checks', 'table', one ->> 'target_table',
                'verdict', CASE SQLSTATE WHEN '42501' THEN 'SKIP' ELSE 'FAIL' END,
                'detail', CASE SQLSTATE WHEN '42501' THEN 'this role may not read all rows (42501); run this as the role that loaded, or one with BYPASSRLS'
                                        ELSE format('the check could not be run (SQLSTATE %s)', SQLSTATE) END);
        END;
    END LOOP;
    PERFORM set_config('ddb2pg.verdicts', (current_setting('ddb2pg.verdicts')::jsonb || verdicts)::text, true), set_config('ddb2pg.expected', '', true);
END
$block$;

-- Timestamps of the mapping: of a type that holds an instant, inside 2000-01-01 .. 2100-01-01 UTC, and not NULL where a missing one is filled in.
DO $block$
DECLARE
    one jsonb;
    names text[];
    query text;
    totals record;
    verdict text;
    detail text;
    verdicts jsonb := '[]';
BEGIN
    FOR one IN SELECT value FROM jsonb_array_elements(current_setting('ddb2pg.tables')::jsonb) LOOP
        SELECT CASE one ->> 'source' WHEN 'medzen-video-sessions' THEN ARRAY['start_time', 'end_time', 'created_at', 'updated_at']
                                     WHEN 'medzen-soap-notes' THEN ARRAY['ai_generated_at', 'created_at', 'updated_at']
                                     WHEN 'medzen-meeting-audit' THEN ARRAY['created_at'] END INTO names;
        CONTINUE WHEN names IS NULL;
        verdict := 'PASS';
        BEGIN
            SELECT string_agg(name, ', ') INTO detail FROM unnest(names) name
            WHERE NOT EXISTS (SELECT FROM pg_attribute a
                              WHERE (a.attrelid, a.attname, a.atttypid) = ((one ->> 'oid')::oid, name, 'timestamptz'::regtype) AND NOT a.attisdropped);
            IF detail IS NOT NULL THEN
                verdict := 'FAIL';
                detail := 'not there as timestamp with time zone: ' || detail;
            ELSE
                SELECT format($query$
                           SELECT string_agg(format('%%s in %%s rows', name, outside), ', ') FILTER (WHERE outside > 0) AS outside,
                                  string_agg(format('%%s in %%s rows', name, nulls), ', ') FILTER (WHERE nulls > 0) AS nulls
                           FROM (SELECT name, count(*) FILTER (WHERE moment < timestamptz '2000-01-01 00:00:00+00'
                                                                  OR moment > timestamptz '2100-01-01 00:00:00+00') AS outside,
                                        count(*) FILTER (WHERE moment IS NULL AND name <> 'ai_generated_at') AS nulls
                                 FROM %s t, LATERAL (VALUES %s) v (name, moment) GROUP BY name ORDER BY name) counted
                       $query$, one ->> 'relation', string_agg(format('(%1$L, t.%1$I)', name), ', '))
                INTO query FROM unnest(names) name;
                EXECUTE query INTO totals;
                detail := 'all from 2000-01-01 to 2100-01-01 UTC';
                IF totals.outside IS NOT NULL THEN
                    verdict := 'FAIL';
                    detail := format('outside 2000-01-01 to 2100-01-01 UTC: %s; ddb2pg loads none such, who wrote them?', totals.outside);
                ELSIF totals.nulls IS NOT NULL THEN
                    verdict := 'WARN';
                    detail := format('NULL: %s; ddb2pg fills it in, so the application wrote them, or somebody changed them', totals.nulls);
                END IF;
            END IF;
        EXCEPTION WHEN OTHERS THEN
            verdict := CASE SQLSTATE WHEN '42501' THEN 'SKIP' ELSE 'FAIL' END;
            detail := CASE SQLSTATE WHEN '42501' THEN 'this role may not read all rows (42501); run this as the role that loaded, or one with BYPASSRLS'
                                    ELSE format('the check could not be run (SQLSTATE %s)', SQLSTATE) END;
        END;
        verdicts := verdicts || jsonb_build_object('check', 'timestamps', 'table', one ->> 'table', 'verdict', verdict, 'detail', detail);
    END LOOP;
    PERFORM set_config('ddb2pg.verdicts', (current_setting('ddb2pg.verdicts')::jsonb || verdicts)::text, true);
END
$block$;

-- JSON of the mapping: jsonb, and no component of a note NULL, for one that is missing is loaded as {}. A component that is no object is kept as
-- it is in the export, so it is only worth a look; that nothing in it was lost is for the spot checks.
DO $block$
DECLARE
    one jsonb;
    names text[];
    query text;
    totals record;
    verdict text;
    detail text;
    verdicts jsonb := '[]';
BEGIN
    FOR one IN SELECT value FROM jsonb_array_elements(current_setting('ddb2pg.tables')::jsonb) LOOP
        SELECT CASE one ->> 'source' WHEN 'medzen-soap-notes' THEN ARRAY['subjective', 'objective', 'assessment', 'plan']
                                     WHEN 'medzen-meeting-audit' THEN ARRAY['event_data'] END INTO names;
        CONTINUE WHEN names IS NULL;
        verdict := 'PASS';
        BEGIN
            SELECT string_agg(name, ', ') INTO detail FROM unnest(names) name
            WHERE NOT EXISTS (SELECT FROM pg_attribute a
                              WHERE (a.attrelid, a.attname, a.atttypid) = ((one ->> 'oid')::oid, name, 'jsonb'::regtype) AND NOT a.attisdropped);
            IF detail IS NOT NULL THEN
                verdict := 'FAIL';
                detail := 'not there as jsonb: ' || detail;
            ELSE
                SELECT format($query$
                           SELECT bool_or(type = 'SQL NULL' AND name <> 'event_data') AS has_null,
                                  bool_or(type NOT IN ('object', 'SQL NULL')) AS has_others,
                                  string_agg(format('%%s: %%s %%s', name, rows, type), ', ' ORDER BY name, type) AS types
                           FROM (SELECT name, coalesce(jsonb_typeof(content), 'SQL NULL') AS type, count(*) AS rows
                                 FROM %s t, LATERAL (VALUES %s) v (name, content) GROUP BY 1, 2) counted
                       $query$, one ->> 'relation', string_agg(format('(%1$L, t.%1$I)', name), ', '))
                INTO query FROM unnest(names) name;
                EXECUTE query INTO totals;
                detail := coalesce(totals.types, 'no rows');
                IF totals.has_null THEN
                    verdict := 'FAIL';
                    detail := detail || '; ddb2pg loads {} in place of NULL, who wrote it?';
                ELSIF totals.has_others THEN
                    verdict := 'WARN';
                    detail := detail || '; what is no object is so in the export, if ddb2pg validate finds every row equal';
                END IF;
            END IF;
        EXCEPTION WHEN OTHERS THEN
            verdict := CASE SQLSTATE WHEN '42501' THEN 'SKIP' ELSE 'FAIL' END;
            detail := CASE SQLSTATE WHEN '42501' THEN 'this role may not read all rows (42501); run this as the role that loaded, or one with BYPASSRLS'
                                    ELSE format('the check could not be run (SQLSTATE %s)', SQLSTATE) END;
        END;
        verdicts := verdicts || jsonb_build_object('check', 'JSON types', 'table', one ->> 'table', 'verdict', verdict, 'detail', detail);
    END LOOP;
    PERFORM set_config('ddb2pg.verdicts', (current_setting('ddb2pg.verdicts')::jsonb || verdicts)::text, true);
END
$block$;

-- Enumerations of the mapping. An event type that the mapping does not list is loaded with a notice, so there are as many as the ledger noted.
DO $block$
DECLARE
    one jsonb;
    bad bigint;
    unknown bigint;
    noted bigint;
    verdict text;
    detail text;
    verdicts jsonb := '[]';
BEGIN
    FOR one IN SELECT value FROM jsonb_array_elements(current_setting('ddb2pg.tables')::jsonb) LOOP
        verdict := 'PASS';
        detail := 'every value is one of the mapping''s';
        unknown := 0;
        noted := 0;
        BEGIN
            CASE one ->> 'source'
                WHEN 'medzen-video-sessions' THEN
                    EXECUTE format('SELECT count(*) FROM %s WHERE (status IN (''INITIATED'', ''ACTIVE'', ''COMPLETED'', ''FAILED'')) IS NOT TRUE',
                                   one ->> 'relation') INTO bad;
                WHEN 'medzen-soap-notes' THEN
                    EXECUTE format('SELECT count(*) FROM %s WHERE (status IN (''DRAFT'', ''REVIEWED'', ''SIGNED'', ''ARCHIVED'') AND note_type = ''SOAP'') '
                                   'IS NOT TRUE', one ->> 'relation') INTO bad;
                WHEN 'medzen-meeting-audit' THEN
                    EXECUTE format($query$
                        SELECT count(*) FILTER (WHERE (event_type COLLATE "C" ~ '[a-z]' OR event_type = '') IS NOT FALSE), count(*)
                        FROM %s WHERE (event_type IN ('CALL_INITIATED', 'CALL_JOINED', 'CALL_DISCONNECTED', 'TRANSCRIPTION_STARTED',
                                                      'TRANSCRIPTION_COMPLETED', 'TRANSCRIPTION_FAILED', 'SOAP_GENERATION_STARTED',
                                                      'SOAP_GENERATION_COMPLETED', 'SOAP_GENERATION_FAILED')) IS NOT TRUE
                    $query$, one ->> 'relation') INTO bad, unknown;
                    IF one ->> 'load_id' IS NOT NULL THEN
                        SELECT coalesce(sum((notice_codes ->> 'unknown_event_type')::bigint), 0) INTO noted
                        FROM ddb2pg.chunk WHERE load_id = (one ->> 'load_id')::bigint;
                    END IF;
                ELSE CONTINUE;
            END CASE;
            IF bad > 0 THEN
                verdict := 'FAIL';
                detail := format('%s rows have a value that ddb2pg does not load; who wrote it?', bad);
            ELSIF unknown > noted THEN
                verdict := 'FAIL';
                detail := format('%s rows have an event type that the mapping does not list, but only %s were loaded so (notice unknown_event_type)',
                                 unknown, noted);
            ELSIF unknown > 0 THEN
                detail := format('%s rows have an event type that the mapping does not list, as the notices unknown_event_type say', unknown);
            END IF;
        EXCEPTION WHEN OTHERS THEN
            verdict := CASE SQLSTATE WHEN '42501' THEN 'SKIP' ELSE 'FAIL' END;
            detail := CASE SQLSTATE WHEN '42501' THEN 'this role may not read all rows (42501); run this as the role that loaded, or one with BYPASSRLS'
                                    ELSE format('the check could not be run (SQLSTATE %s)', SQLSTATE) END;
        END;
        verdicts := verdicts || jsonb_build_object('check', 'enumerations', 'table', one ->> 'table', 'verdict', verdict, 'detail', detail);
    END LOOP;
    PERFORM set_config('ddb2pg.verdicts', (current_setting('ddb2pg.verdicts')::jsonb || verdicts)::text, true);
END
$block$;

-- References: notes and audit rows whose session is not there. Sessions without notes are fine. A session that became a dead letter leaves its
-- notes and events behind, so no more sessions may be missing than there are dead letters.
DO $block$
DECLARE
    one jsonb;
    sessions jsonb;
    orphans bigint;
    missing bigint;
    dead_letters bigint;
    ids jsonb;
    verdict text;
    detail text;
    verdicts jsonb := '[]';
    listed jsonb := '[]';
BEGIN
    SELECT value INTO sessions FROM jsonb_array_elements(current_setting('ddb2pg.tables')::jsonb) WHERE value ->> 'source' = 'medzen-video-sessions';
    FOR one IN SELECT value FROM jsonb_array_elements(current_setting('ddb2pg.tables')::jsonb)
               WHERE value ->> 'source' IN ('medzen-soap-notes', 'medzen-meeting-audit') LOOP
        BEGIN
            IF sessions ->> 'finished' IS DISTINCT FROM 'true' THEN
                verdict := 'SKIP';
                detail := 'the sessions are not loaded yet, as far as the ledger knows';
            ELSE
                EXECUTE format('SELECT coalesce(sum(rows), 0), count(*), (SELECT jsonb_agg(session_id) FROM (SELECT session_id FROM (%1$s) o '
                               'ORDER BY session_id LIMIT 20) l) FROM (%1$s) orphans',
                               format('SELECT t.session_id, count(*) AS rows FROM %s t WHERE NOT EXISTS (SELECT FROM %s s WHERE s.id = t.session_id) '
                                      'GROUP BY t.session_id', one ->> 'relation', sessions ->> 'relation')) INTO orphans, missing, ids;
                SELECT coalesce(sum(c.dead_letters), 0) INTO dead_letters FROM ddb2pg.chunk c WHERE c.load_id = (sessions ->> 'load_id')::bigint;
                verdict := CASE WHEN orphans = 0 THEN 'PASS' WHEN missing <= dead_letters THEN 'WARN' ELSE 'FAIL' END;
                detail := CASE verdict
                    WHEN 'PASS' THEN 'every row has its session'
                    WHEN 'WARN' THEN format('%s rows refer to %s sessions that are not there, which may be among the %s dead letters of the sessions: '
                                            'review those first', orphans, missing, dead_letters)
                    ELSE format('%s rows refer to %s sessions that are not there, and only %s sessions are dead letters: sessions were deleted, here '
                                'or in DynamoDB before the export', orphans, missing, dead_letters) END;
                listed := listed || jsonb_build_array(jsonb_build_object('table', one ->> 'table', 'ids', coalesce(ids, '[]')));
            END IF;
        EXCEPTION WHEN OTHERS THEN
            verdict := CASE SQLSTATE WHEN '42501' THEN 'SKIP' ELSE 'FAIL' END;
            detail := CASE SQLSTATE WHEN '42501' THEN 'this role may not read all rows (42501); run this as the role that loaded, or one with BYPASSRLS'
                                    ELSE format('the check could not be run (SQLSTATE %s)', SQLSTATE) END;
        END;
        verdicts := verdicts || jsonb_build_object('check', 'references', 'table', one ->> 'table', 'verdict', verdict, 'detail', detail);
    END LOOP;
    PERFORM set_config('ddb2pg.missing_sessions', listed::text, true);
    PERFORM set_config('ddb2pg.verdicts', (current_setting('ddb2pg.verdicts')::jsonb || verdicts)::text, true);
END
$block$;

-- Policies: row security is as it was when the load began. What was added to a table that had none is worth a look; anything else is a change.
DO $block$
DECLARE
    one jsonb;
    before jsonb;
    now jsonb;
    changes text;
    search_path text := current_setting('search_path');
    verdict text;
    detail text;
    verdicts jsonb := '[]';
BEGIN
    FOR one IN SELECT value FROM jsonb_array_elements(current_setting('ddb2pg.loads')::jsonb)
               WHERE value ->> 'rolled_back_at' IS NULL AND value ->> 'oid' IS NOT NULL LOOP
        before := nullif(one -> 'row_security', 'null');
        -- The words of pg_get_expr depend on it; ddb2pg fixed it so, too.
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
        WHERE c.oid = (one ->> 'oid')::oid GROUP BY c.oid, c.relrowsecurity, c.relforcerowsecurity;
        PERFORM set_config('search_path', search_path, true);
        SELECT string_agg(format('%s %s', CASE WHEN b.value IS NULL THEN 'added' WHEN n.value IS NULL THEN 'dropped' ELSE 'altered' END, name), ', ' ORDER BY name)
        INTO changes
        FROM (SELECT value, value ->> 'name' AS name FROM jsonb_array_elements(before -> 'policies')) b
        FULL JOIN (SELECT value, value ->> 'name' AS name FROM jsonb_array_elements(now -> 'policies')) n USING (name)
        WHERE b.value IS DISTINCT FROM n.value;
        changes := concat_ws('; ', 'policies ' || changes,
                             CASE WHEN before -> 'enabled' <> now -> 'enabled' THEN CASE WHEN (now -> 'enabled')::boolean THEN 'turned on' ELSE 'turned off' END END,
                             CASE WHEN before -> 'forced' <> now -> 'forced' THEN CASE WHEN (now -> 'forced')::boolean THEN 'forced' ELSE 'not forced any more' END END);
        IF before IS NULL THEN
            verdict := 'SKIP';
            detail := 'an older ddb2pg began this load, and did not keep what row security was then';
        ELSIF before = now THEN
            verdict := CASE WHEN (now -> 'enabled')::boolean THEN 'PASS' ELSE 'SKIP' END;
            detail := CASE WHEN (now -> 'enabled')::boolean THEN format('%s policies, as when the load began', jsonb_array_length(now -> 'policies'))
                           ELSE 'row security is off, as when the load began: no policy applies' END;
        ELSE
            verdict := CASE WHEN (before -> 'enabled')::boolean THEN 'FAIL' ELSE 'WARN' END;
            detail := 'row security is not what it was when the load began: ' || changes;
        END IF;
        IF NOT (now -> 'enabled')::boolean AND EXISTS (
               SELECT FROM pg_roles, pg_class c WHERE rolname IN ('anon', 'authenticated') AND c.oid = (one ->> 'oid')::oid
               AND has_schema_privilege(rolname, c.relnamespace, 'USAGE') AND has_table_privilege(rolname, c.oid, 'SELECT')) THEN
            verdict := CASE verdict WHEN 'FAIL' THEN 'FAIL' ELSE 'WARN' END;
            detail := detail || '; whoever has an API key may read the table: ENABLE ROW LEVEL SECURITY, with policies';
        END IF;
        verdicts := verdicts || jsonb_build_object('check', 'policies', 'table', one ->> 'target_table', 'verdict', verdict, 'detail', detail);
    END LOOP;
    PERFORM set_config('ddb2pg.verdicts', (current_setting('ddb2pg.verdicts')::jsonb || verdicts)::text, true);
END
$block$;

-- Row security at work, as the API of a Supabase project comes: SET ROLE, and the claims of a token in request.jwt.claims. For each role that a
-- policy for SELECT names: the provider or patient of some row must see one, and somebody whom no row knows must see none.
DO $block$
DECLARE
    one jsonb;
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
    verdicts jsonb := '[]';
BEGIN
    SELECT array_agg((value ->> 'oid')::oid), max(value ->> 'relation') FILTER (WHERE value ->> 'source' = 'medzen-video-sessions')
    INTO targets, sessions FROM jsonb_array_elements(current_setting('ddb2pg.tables')::jsonb);
    FOR one IN SELECT value FROM jsonb_array_elements(current_setting('ddb2pg.tables')::jsonb) LOOP
        candidates := NULL;
        BEGIN
            IF one ->> 'source' = 'medzen-video-sessions' THEN
                query := format('SELECT provider_id, patient_id FROM %s LIMIT 5', one ->> 'relation');
            ELSIF one ->> 'source' IN ('medzen-soap-notes', 'medzen-meeting-audit') AND sessions IS NOT NULL THEN
                query := format('SELECT s.provider_id, s.patient_id FROM %s t JOIN %s s ON s.id = t.session_id LIMIT 5', one ->> 'relation', sessions);
            ELSE
                SELECT format('SELECT %s FROM %s LIMIT 5', string_agg(quote_ident(attname), ', '), one ->> 'relation') INTO query
                FROM pg_attribute WHERE attrelid = (one ->> 'oid')::oid AND atttypid = 'uuid'::regtype AND attnum > 0 AND NOT attisdropped;
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
                   -- Whether the claims that are tried here are all that a condition can ask for.
                   bool_and(pg_get_expr(p.polqual, p.polrelid) ~* 'uid[(][)]|''sub''|request[.]jwt[.]claim[.]sub|^true$'
                            AND NOT EXISTS (SELECT FROM pg_depend d LEFT JOIN pg_proc f ON d.refclassid = 'pg_proc'::regclass AND f.oid = d.refobjid
                                            WHERE d.classid = 'pg_policy'::regclass AND d.objid = p.oid
                                              AND (d.refclassid = 'pg_class'::regclass AND d.refobjid <> ALL (targets)
                                                   OR f.pronamespace <> to_regnamespace('auth')::oid OR f.oid IS NOT NULL AND to_regnamespace('auth') IS NULL))
                   ) AS is_known
            FROM pg_class c JOIN pg_policy p ON p.polrelid = c.oid AND p.polpermissive AND p.polcmd IN ('r', '*')
            JOIN pg_roles role ON role.oid = ANY (p.polroles) OR 0 = ANY (p.polroles) AND role.rolname IN ('anon', 'authenticated')
            WHERE c.oid = (one ->> 'oid')::oid AND c.relrowsecurity
            GROUP BY role.rolname ORDER BY role.rolname
        LOOP
            is_seen := false;
            step := 'role';
            BEGIN
                PERFORM set_config('role', of_role.name, true), set_config('row_security', 'on', true);
                IF NOT row_security_active((one ->> 'oid')::oid) THEN
                    step := 'bypass';
                ELSE
                    IF of_role.name <> 'anon' THEN
                        FOREACH candidate IN ARRAY coalesce(candidates, '{}') LOOP
                            step := 'see';
                            PERFORM set_config('request.jwt.claims', jsonb_build_object('sub', candidate, 'role', of_role.name)::text, true),
                                    set_config('request.jwt.claim.sub', candidate, true), set_config('request.jwt.claim.role', of_role.name, true);
                            EXECUTE format('SELECT EXISTS (SELECT FROM %s)', one ->> 'relation') INTO is_seen;
                            EXIT WHEN is_seen;
                        END LOOP;
                    END IF;
                    step := 'stranger';
                    candidate := CASE of_role.name WHEN 'anon' THEN NULL ELSE 'ffffffff-ffff-4fff-bfff-ffffffffffff' END;
                    PERFORM set_config('request.jwt.claims', jsonb_strip_nulls(jsonb_build_object('sub', candidate, 'role', of_role.name))::text, true),
                            set_config('request.jwt.claim.sub', coalesce(candidate, ''), true), set_config('request.jwt.claim.role', of_role.name, true);
                    EXECUTE format('SELECT EXISTS (SELECT FROM %s)', one ->> 'relation') INTO is_exposed;
                    step := 'done';
                END IF;
                PERFORM set_config('role', own_role, true), set_config('row_security', 'off', true);
            EXCEPTION WHEN OTHERS THEN
                -- The settings are back as they were: they went with the block.
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
        SELECT verdicts || jsonb_agg(jsonb_build_object('check', 'row security', 'table', one ->> 'table', 'verdict', value ->> 0, 'detail', value ->> 1)
                                     ORDER BY ordinality)
        INTO verdicts FROM jsonb_array_elements(seeing) WITH ORDINALITY;
    END LOOP;
    PERFORM set_config('request.jwt.claims', '', true), set_config('request.jwt.claim.sub', '', true), set_config('request.jwt.claim.role', '', true);
    PERFORM set_config('ddb2pg.verdicts', (current_setting('ddb2pg.verdicts')::jsonb || verdicts)::text, true);
END
$block$;

SELECT missing ->> 'table' AS "table", id AS "session that is not there (20 at most)"
FROM jsonb_array_elements(current_setting('ddb2pg.missing_sessions')::jsonb) missing, jsonb_array_elements_text(missing -> 'ids') id;

SELECT value ->> 'check' AS "check", value ->> 'table' AS "table", value ->> 'verdict' AS verdict, value ->> 'detail' AS detail
FROM jsonb_array_elements(current_setting('ddb2pg.verdicts')::jsonb) WITH ORDINALITY
ORDER BY ordinality;

ROLLBACK;
