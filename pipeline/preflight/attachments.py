"""What hangs on a target and has its hand in every row: triggers, rules, indexes, checks, foreign keys, row security."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from pipeline.outcome.outcome import Check, Verdict
from pipeline.preflight.findings import Code, Question, ask, fact, problem, warning
from pipeline.target.session import Cursor
from pipeline.target.target import Target, find_references
from transforms.table import Table

# Enabled triggers on INSERT; bits of tgtype: for each row 1, before 2. Those of a partition fire as well.
_TRIGGERS: Final = """
    SELECT array_agg(t.tgname::text ORDER BY t.tgname) AS names FROM pg_trigger t
    WHERE t.tgrelid IN (SELECT %(oid)s UNION SELECT relid FROM pg_partition_tree(%(oid)s::oid))
      AND NOT t.tgisinternal AND t.tgparentid = 0 AND t.tgenabled IN ('O', 'A') AND t.tgtype & 4 = 4
"""

_INDEXES: Final = """
    SELECT array_agg(c.relname::text ORDER BY c.relname) AS names FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE i.indrelid = %(oid)s AND NOT i.indisprimary
"""

_QUESTIONS: Final = (
    Question(
        Verdict.WARNING,
        Code.TRIGGERS_BEFORE_ROWS,
        f"{_TRIGGERS} AND t.tgtype & 3 = 3",
        "trigger{s} {names}, before each row: may change rows or keep them out; it slows the load, and chunks with bad rows go in row by "
        "row; unless it is needed, ALTER TABLE {table} DISABLE TRIGGER for the load",
    ),
    Question(
        Verdict.WARNING,
        Code.TRIGGERS,
        f"{_TRIGGERS} AND t.tgtype & 3 <> 3",
        "trigger{s} {names}: runs for loaded rows, too, which slows the load, and may do what is meant only for the application's rows; "
        "unless it is needed, ALTER TABLE {table} DISABLE TRIGGER for the load",
    ),
    # Where it does what its text says only now and then, the load finds out: `stop_if_diverted`.
    Question(
        Verdict.WARNING,
        Code.TRIGGERS_ELSEWHERE,
        f"""{_TRIGGERS} AND EXISTS (
            SELECT FROM pg_proc p WHERE p.oid = t.tgfoid AND CASE WHEN t.tgtype & 3 = 3
                THEN p.prosrc ~* 'insert\\s+into' AND p.prosrc ~* 'return\\s+null' ELSE p.prosrc ~* 'delete\\s+from' END)""",
        "trigger{s} {names}: by the text of its function, puts rows into another table, or takes them out of this one again; the first "
        "chunk with such a row stops the load. ALTER TABLE {table} DISABLE TRIGGER for the load",
    ),
    Question(
        Verdict.FAIL,
        Code.INSERT_RULES,
        "SELECT array_agg(rulename::text ORDER BY rulename) AS names FROM pg_rewrite "
        "WHERE ev_class = %(oid)s AND ev_type IN ('2', '3') AND ev_enabled IN ('O', 'A')",
        "rule{s} {names} on INSERT or UPDATE: COPY ignores rules, and INSERT ... ON CONFLICT fails with them; drop it for the load",
    ),
    Question(
        Verdict.WARNING,
        Code.UNIQUE_INDEXES,
        f"{_INDEXES} AND (i.indisunique OR i.indisexclusion) AND c.relname <> %(key)s",
        "unique index{es} {names} beside the key: of items with equal values one becomes a row, the others dead letters",
    ),
    Question(
        Verdict.WARNING,
        Code.INDEXES,
        f"{_INDEXES} AND NOT (i.indisunique OR i.indisexclusion)",
        "secondary index{es} {names}: slows the load; for a large table drop it, and create it again after the load",
    ),
    Question(
        Verdict.FACT,
        Code.CHECKS,
        "SELECT array_agg(conname::text ORDER BY conname) AS names FROM pg_constraint WHERE conrelid = %(oid)s AND contype = 'c'",
        "check constraint{s} {names}; a row that breaks one is a dead letter",
    ),
)


def attachment_findings(cursor: Cursor, table: Table, target: Target) -> Iterator[Check]:
    """All but foreign keys and row security."""
    return ask(cursor, _QUESTIONS, {"oid": target.oid, "key": target.key_name}, table.target)


# -- foreign keys: a row must find its partner when its chunk is committed, whatever is loaded later --------------------------------------

# A constraint that is NOT ENFORCED (PostgreSQL 18) is one in name only.
_FOREIGN_KEYS: Final = """
    SELECT con.conname, con.confrelid, con.confrelid::regclass::text, array_agg(a.attname::text ORDER BY k.place),
           has_table_privilege(con.confrelid, 'SELECT') AND NOT row_security_active(con.confrelid)
    FROM pg_constraint con
    CROSS JOIN LATERAL unnest(con.conkey) WITH ORDINALITY AS k (attnum, place)
    JOIN pg_attribute a ON a.attrelid = con.conrelid AND a.attnum = k.attnum
    WHERE con.conrelid = %s AND con.contype = 'f' AND pg_get_constraintdef(con.oid) NOT LIKE '%%NOT ENFORCED'
    GROUP BY con.oid
    ORDER BY con.conname
"""


def foreign_key_findings(cursor: Cursor, table: Table, target: Target, earlier: Collection[int], later: Collection[int]) -> Iterator[Check]:
    """`earlier` and `later` are the oids of the targets that this run loads before and after this one."""
    cursor.execute(_FOREIGN_KEYS, [target.oid])
    drop = "drop it for the load, and add it again afterwards"
    for name, oid, referred, columns, is_visible in cursor.fetchall():
        if not set(columns) <= set(table.column_names):
            continue
        shown = f"foreign key {name} ({', '.join(columns)}) to {referred}"
        if oid == target.oid:
            sentence = f"{shown}, itself: a row that refers to one of a later chunk becomes a dead letter; {drop}"
            yield warning(Code.FOREIGN_KEY_TO_ITSELF, sentence, table.target)
        elif oid in later:
            sentence = f"{shown}, which is loaded later: each row that refers to it would become a dead letter; {drop}"
            yield problem(Code.FOREIGN_KEY_UNMET, sentence, table.target)
        elif oid not in earlier and is_visible and _is_empty(cursor, referred):
            sentence = f"{shown}, which is empty: each row that refers to it would become a dead letter; fill that table first, or {drop}"
            # Where none of the columns may be NULL that is every row.
            may_be_null = any(column.is_nullable for column in table.columns if column.name in columns)
            yield (warning if may_be_null else problem)(Code.FOREIGN_KEY_UNMET, sentence, table.target)
        else:
            sentence = f"{shown}: each row is looked up there, which slows the load, and one without its partner becomes a dead letter"
            yield warning(Code.FOREIGN_KEY, sentence, table.target)


def _is_empty(cursor: Cursor, quoted_table: str) -> bool:
    cursor.execute(f"SELECT NOT EXISTS (SELECT 1 FROM {quoted_table})")
    return bool(cursor.fetchone()[0])


# -- row security --------------------------------------------------------------------------------------------------------------------------
#
# A role that it applies to sees only rows that a policy shows it, and may not use COPY. Each row that it inserts must be allowed by one
# policy and, because the load asks which rows are in, be shown by another. Without such policies nothing can be loaded; with them it
# depends on the rows, which only the load finds out.

# Counted are permissive policies for everybody (0) or for a role of which this one is a member; 'a' is INSERT, 'r' SELECT, '*' all.
_ROW_SECURITY: Final = """
    SELECT c.relrowsecurity, c.relforcerowsecurity, r.rolname,
           CASE WHEN r.rolsuper THEN 'a superuser' WHEN r.rolbypassrls THEN 'it has BYPASSRLS'
                WHEN pg_has_role(c.relowner, 'USAGE') THEN 'it owns the table' ELSE 'for whatever reason' END,
           array_remove(ARRAY[CASE WHEN bool_or(polcmd IN ('a', '*')) THEN NULL ELSE 'INSERT' END,
                              CASE WHEN bool_or(polcmd IN ('r', '*')) THEN NULL ELSE 'SELECT' END], NULL)
    FROM pg_class c JOIN pg_roles r ON r.rolname = current_user
    LEFT JOIN pg_policy p ON p.polrelid = c.oid AND p.polpermissive
         AND EXISTS (SELECT 1 FROM unnest(p.polroles) AS of (role) WHERE CASE role WHEN 0 THEN true ELSE pg_has_role(role, 'USAGE') END)
    WHERE c.oid = %s
    GROUP BY c.oid, c.relrowsecurity, c.relforcerowsecurity, c.relowner, r.rolname, r.rolsuper, r.rolbypassrls
"""

# Supabase's roles of whoever has an API key.
_EXPOSED: Final = Question(
    Verdict.WARNING,
    Code.EXPOSED_TO_API,
    """
    SELECT array_agg(rolname::text ORDER BY rolname) AS names FROM pg_roles
    WHERE rolname IN ('anon', 'authenticated')
      AND has_schema_privilege(rolname, (SELECT relnamespace FROM pg_class WHERE oid = %(oid)s), 'USAGE')
      AND has_table_privilege(rolname, %(oid)s::oid, 'SELECT, INSERT, UPDATE, DELETE')
    """,
    "row security is off, and {names} may use the table: whoever has an API key of the project could read or change what is loaded; "
    "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, with policies, or REVOKE the rights",
)

_OTHER_ROLE: Final = "connect as the table's owner or as a role with BYPASSRLS"


def row_security_findings(cursor: Cursor, table: Table, target: Target) -> Iterator[Check]:
    """Whether row security applies to this role, and what then becomes of the load."""
    name = table.target
    cursor.execute(_ROW_SECURITY, [target.oid])
    is_enabled, is_forced, role, reason, lacking = cursor.fetchone()
    shown = f"row security{', forced on its owner too,' if is_forced else ''}"
    if not is_enabled:
        exposed = list(ask(cursor, [_EXPOSED], {"oid": target.oid}, name))
        yield from exposed or [fact(Code.ROW_SECURITY_OFF, "row security is off", name)]
    elif not target.has_row_security:
        yield fact(Code.ROW_SECURITY_BYPASSED, f"{shown} is enabled; it does not apply to the role {role} ({reason})", name)
    elif not lacking:
        sentence = (
            f"{shown} applies to the role {role}: it sees only rows that policies show it, so it cannot check that the table is empty, or "
            "that it holds what was loaded; rows are inserted without COPY, which is slower, and the first row that a policy forbids stops "
            "the load; "
            f"{_OTHER_ROLE}"
        )
        yield warning(Code.ROW_SECURITY_APPLIES, sentence, name)
    else:
        sentence = (
            f"{shown} applies to the role {role}, and no policy lets it {' and '.join(lacking)}: it cannot load, and the table may look "
            f"empty to it although it is not; {_OTHER_ROLE}"
        )
        yield problem(Code.ROW_SECURITY_FORBIDS, sentence, name)


# -- windows: what rows that are updated or deleted set off --------------------------------------------------------------------------------

# Enabled triggers; bits of tgtype: for each row 1, before 2, on INSERT 4, DELETE 8, UPDATE 16. Those of a partition fire as well.
_CHANGE_TRIGGERS: Final = """
    SELECT array_agg(t.tgname::text ORDER BY t.tgname) AS names
    FROM (SELECT t.*,
                 p.prosrc ~* '\\mnet\\.http_|\\mhttp_(get|post|put|delete)\\M'
                 OR (n.nspname, p.proname) = ('supabase_functions', 'http_request') AS is_webhook,
                 t.tgtype & 19 = 19 AND (p.proname = 'moddatetime' OR p.prosrc ~* '\\mnew\\s*\\.\\s*("[^"]+"|\\w+)\\s*:='
                     OR p.prosrc ~* '(;|\\m(begin|then|else|loop))\\s*new\\s*\\.\\s*("[^"]+"|\\w+)\\s*=') AS is_changing
          FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace n ON n.oid = p.pronamespace
          WHERE t.tgrelid IN (SELECT %(oid)s UNION SELECT relid FROM pg_partition_tree(%(oid)s::oid))
            AND NOT t.tgisinternal AND t.tgparentid = 0 AND t.tgenabled IN ('O', 'A')) t
"""
_PUBLICATIONS: Final = """
    SELECT array_agg(DISTINCT p.pubname::text) AS names FROM pg_publication_tables published JOIN pg_publication p USING (pubname)
    JOIN pg_class c ON c.relname = published.tablename JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = published.schemaname
    WHERE c.oid IN (SELECT %(oid)s::oid UNION SELECT relid FROM pg_partition_tree(%(oid)s::oid))
"""

_OF_CHANGES: Final = (
    Question(
        Verdict.WARNING,
        Code.TRIGGERS_CHANGE_ROWS,
        f"{_CHANGE_TRIGGERS} WHERE is_changing",
        "trigger{s} {names}: by its name or the text of its function, changes rows that are updated (as moddatetime does with updated_at). "
        "If that is a column of the definition, no updated row is as its item: the comparison of the window fails, and ddb2pg rollback "
        "leaves such rows; where old images tell whose a row is, the next change of it is a dead letter. ALTER TABLE {table} DISABLE "
        "TRIGGER until the switch",
    ),
    Question(
        Verdict.WARNING,
        Code.WEBHOOKS,
        f"{_CHANGE_TRIGGERS} WHERE is_webhook",
        "trigger{s} {names}: by its function, sends a request for each row that is written or deleted, also for those of windows; ALTER "
        "TABLE {table} DISABLE TRIGGER until the switch, unless the other side is to have them",
    ),
    Question(
        Verdict.WARNING,
        Code.TRIGGERS_ON_CHANGES,
        f"{_CHANGE_TRIGGERS} WHERE tgtype & 24 <> 0 AND NOT is_webhook AND NOT is_changing",
        "trigger{s} {names}: runs for rows that windows update or delete, too, and may do what is meant only for the application's; one "
        "that keeps a row makes its record a dead letter. Unless it is needed, ALTER TABLE {table} DISABLE TRIGGER until the switch",
    ),
    Question(
        Verdict.WARNING,
        Code.PUBLICATIONS,
        f"{_PUBLICATIONS} AND (p.pubinsert OR p.pubupdate OR p.pubdelete)",
        "publication{s} {names}: its subscribers get each row that windows change (Supabase's Realtime sends it to clients); unless they "
        "are to have them, ALTER PUBLICATION ... DROP TABLE {table} until the switch",
    ),
    Question(
        Verdict.FAIL,
        Code.NO_REPLICA_IDENTITY,
        f"""{_PUBLICATIONS} AND (p.pubupdate OR p.pubdelete) AND c.relkind = 'r' AND CASE c.relreplident
            WHEN 'd' THEN NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND i.indimmediate)
            WHEN 'i' THEN NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisreplident)
            ELSE c.relreplident = 'n' END""",
        "publication{s} {names} of updates or deletions, and the table has no replica identity, so PostgreSQL refuses each of them; "
        "ALTER TABLE {table} REPLICA IDENTITY FULL, or USING INDEX, or DEFAULT with a primary key",
    ),
)


def window_target_findings(cursor: Cursor, table: Table, target: Target, own: Collection[str]) -> Iterator[Check]:
    """Of one target, or that of child rows. `own` are the names of tables that this run writes: what refers from there goes with it."""
    yield from ask(cursor, _OF_CHANGES, {"oid": target.oid, "table": table.target}, table.target)
    others = [one for one in find_references(cursor, target) if one.qualified not in {*own, target.qualified}]
    for is_cascading, code, what in (
        (True, Code.CASCADES, "would be deleted or changed with it (ON DELETE CASCADE, SET NULL or SET DEFAULT)"),
        (False, Code.REFERENCED_BY_OTHERS, "keep it"),
    ):
        names = ", ".join(sorted({one.qualified for one in others if one.is_cascading is is_cascading}))
        if names:
            sentence = (
                f"{names} refers to it: where a window deletes a row, rows there {what}; so the deletion is a dead letter "
                "(foreign_key_violation), and the row stays, outdated"
            )
            yield warning(code, sentence, table.target)
