"""The way to the database, the database itself and our role in it, whatever the tables: can it be written to, by us, and by so many."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.filesize import decimal

from pipeline.console import counted_in_words
from pipeline.engines.arguments import USUAL_LIMIT, WorkerLimit
from pipeline.ledger.loads import is_ledger_ours, ledger_exists, version_problems
from pipeline.outcome.outcome import Check, Verdict
from pipeline.preflight.findings import Code, Question, ask, fact, problem, warning
from pipeline.target.connection import Link, Pooling
from pipeline.target.session import Cursor
from transforms.native import plan as native

# -- ddb2pg itself, and the way from here --------------------------------------------------------------------------------------------------


_SUPABASE_TRANSACTION_PORT: Final = 6543


def installation_findings() -> Iterator[Check]:
    """Whether rows are made the quick way."""
    if not native.IS_BUILT:
        sentence = (
            "ddb2pg was installed here without a C compiler: it makes the same rows, but takes several times as long to make them; "
            "install a compiler and Python's headers (Debian: gcc python3-dev), then ddb2pg again"
        )
        yield warning(Code.NOT_COMPILED, sentence)


def link_findings(link: Link) -> list[Check]:
    """TLS and a pooler."""
    return [_tls_finding(link), _pooler_finding(link)]


def _tls_finding(link: Link) -> Check:
    if link.tls is None and not link.is_local:
        sentence = (
            f"the connection to {link.host} is not encrypted: patient data would travel in the clear; add ?sslmode=verify-full to the URL"
        )
        return warning(Code.NO_TLS, sentence)
    if link.tls is not None and not link.is_local and link.sslmode not in ("verify-ca", "verify-full"):
        sentence = (
            f"{link.tls}, but nobody checks whose server it is (sslmode={link.sslmode}); "
            "give sslmode=verify-full and sslrootcert, the server's CA certificate"
        )
        return warning(Code.TLS_NOT_VERIFIED, sentence)
    return fact(Code.TLS, link.tls or "no TLS, on this machine")


def _pooler_finding(link: Link) -> Check:
    port = f" (port {link.port}, Supabase's for that)" if link.port == _SUPABASE_TRANSACTION_PORT else ""
    return {
        Pooling.NONE: fact(Code.NO_POOLER, "no pooler"),
        Pooling.SESSION: fact(Code.POOLER_IN_SESSION_MODE, "a pooler in session mode; the load works through it"),
        Pooling.TRANSACTION: fact(
            Code.POOLER_IN_TRANSACTION_MODE,
            f"a pooler in transaction mode{port}; the load works through it, nothing of it outlives a transaction",
        ),
        Pooling.STATEMENT: problem(
            Code.POOLER_IN_STATEMENT_MODE,
            "a pooler in statement mode, which takes no transactions; connect to the server, or to a pooler in session mode",
        ),
    }[link.pooling]


# -- connections ---------------------------------------------------------------------------------------------------------------------------

PROGRESS: Final = 1
"""The connection of the display. The main process itself holds none while workers load."""

# Superusers are above the limits of roles and databases, and may use what is reserved. Connections of others are counted without ours.
_LIMITS: Final = """
    WITH used AS (
        SELECT usesysid, datid FROM pg_stat_activity
        WHERE datid IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend'
          AND pid <> pg_backend_pid() AND pid <> ALL (%s)
    )
    SELECT 'the server',
           current_setting('max_connections')::int - CASE WHEN r.rolsuper THEN 0 ELSE
               current_setting('superuser_reserved_connections')::int + coalesce(current_setting('reserved_connections', true)::int, 0) END,
           (SELECT count(*) FROM used)::int
    FROM pg_roles r WHERE r.rolname = session_user
    UNION ALL
    SELECT 'the role ' || r.rolname, r.rolconnlimit, (SELECT count(*) FROM used WHERE usesysid = r.oid)::int
    FROM pg_roles r WHERE r.rolname = session_user AND r.rolconnlimit >= 0 AND NOT r.rolsuper
    UNION ALL
    SELECT 'the database ' || d.datname, d.datconnlimit, (SELECT count(*) FROM used WHERE datid = d.oid)::int
    FROM pg_database d, pg_roles r
    WHERE d.datname = current_database() AND r.rolname = session_user AND d.datconnlimit >= 0 AND NOT r.rolsuper
"""


@dataclass(frozen=True, slots=True)
class Limit:
    """How many connections something allows, and how many of them others have."""

    of: str
    most: int
    used: int

    @property
    def free(self) -> int:
        return max(0, self.most - self.used)


def connection_findings(cursor: Cursor, link: Link, workers: int | None, limit: WorkerLimit = USUAL_LIMIT) -> Iterator[Check]:
    """Whether the run gets its connections; `workers` is None where only the runner knows."""
    cursor.execute(_LIMITS, [list(link.processes)])
    limits = [Limit(*row) for row in cursor.fetchall()]
    if workers is None:
        yield _unknown(min(limits, key=lambda one: one.free), limit)
    elif link.pooling is Pooling.NONE:
        yield from limit_findings(limits, workers, limit)
    else:
        yield _pool_finding(link, workers, limit)


def _unknown(least: Limit, limit: WorkerLimit) -> Check:
    if not limit.is_needed:
        sentence = (
            f"{least.of} has {least.free} connections free; the run opens one for each worker, and only the runner knows their number"
        )
        return fact(Code.CONNECTIONS_UNKNOWN, sentence)
    sentence = (
        f"{least.of} has {least.free} connections free, and nothing limits how many the run opens ({limit.each} for each machine, one "
        f"for the display); give --{limit.option}={max(1, (least.free - PROGRESS) // limit.each)} or less"
    )
    return warning(Code.CONNECTIONS_UNKNOWN, sentence)


def limit_findings(limits: list[Limit], workers: int, worker_limit: WorkerLimit = USUAL_LIMIT) -> Iterator[Check]:
    """Of a server that we are connected to without a pooler."""
    needed = workers + PROGRESS
    short = [limit for limit in limits if limit.free < needed]
    for limit in short:
        sentence = (
            f"{limit.of} has {limit.free} of {limit.most} connections free, but the run opens {needed} (one for each worker process, one "
            f"for the display); {_ways_out(workers, limit.free, worker_limit)}"
        )
        yield problem(Code.TOO_FEW_CONNECTIONS, sentence)
    if not short:
        least = min(limits, key=lambda limit: limit.free)
        yield fact(
            Code.CONNECTIONS, f"the run opens {counted_in_words(needed, 'connection')}; {least.of} has {least.free} of {least.most} free"
        )


def _pool_finding(link: Link, workers: int, limit: WorkerLimit) -> Check:
    """Of a pooler: the size of its pool cannot be asked for, only tried."""
    needed = workers + PROGRESS
    if link.pooling is Pooling.TRANSACTION:
        return fact(Code.CONNECTIONS, f"the run opens {counted_in_words(needed, 'connection')}; the pooler lets them share servers")
    if link.opened >= needed:
        return fact(Code.CONNECTIONS, f"the run opens {counted_in_words(needed, 'connection')}; the pooler gave as many at once")
    sentence = (
        f"the pooler gave {link.opened} connections at once, but the run opens {needed} (one for each worker process, one for the "
        f"display); raise its pool size, connect to the server itself, or {_ways_out(workers, link.opened, limit)}"
    )
    return problem(Code.TOO_FEW_CONNECTIONS, sentence)


def _ways_out(workers: int, free: int, limit: WorkerLimit) -> str:
    most = (free - PROGRESS) // limit.each
    number = f"{most} or less" if most > 1 else "1"
    fewer = f", {'or' if most > 0 else 'and'} give --{limit.option}={number}" if workers > limit.each else ""
    return f"end other connections or raise the limit{fewer}"


# -- the database and the role -------------------------------------------------------------------------------------------------------------

OLDEST_MAJOR: Final = 14
"""Older servers have no hash_record_extended, without which no row is compared."""

# reset_val is what the server, the database and the role say; `Session` sets its own in every transaction.
_TIME_LIMITS: Final = """
    (SELECT name, CASE WHEN ms %% 1000 = 0 THEN ms / 1000 || ' s' ELSE ms || ' ms' END AS duration FROM (
        SELECT name, reset_val::bigint * CASE unit WHEN 'ms' THEN 1 WHEN 's' THEN 1000 ELSE 60000 END AS ms FROM pg_settings
        WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')
              AND reset_val <> '0') AS setting) AS time_limit
"""

_QUESTIONS: Final = (
    Question(Verdict.FACT, Code.SERVER_VERSION, "SELECT current_setting('server_version') AS version", "PostgreSQL {version}"),
    Question(
        Verdict.WARNING,
        Code.OLD_SERVER,
        "SELECT current_setting('server_version') AS version WHERE current_setting('server_version_num')::int < 10000 * %(oldest)s",
        "PostgreSQL {version}: rows can be compared only from version {oldest} on; upgrade the server",
    ),
    Question(
        Verdict.FAIL,
        Code.ENCODING,
        "SELECT current_setting('server_encoding') AS encoding WHERE current_setting('server_encoding') <> 'UTF8'",
        "the database's encoding is {encoding}, which cannot hold every text; create it with ENCODING 'UTF8'",
    ),
    Question(
        Verdict.FAIL,
        Code.READ_ONLY,
        "SELECT true WHERE pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean",
        "the database is read-only (a standby, or default_transaction_read_only); use the primary server",
    ),
    Question(
        Verdict.FACT,
        Code.ROLE,
        """
        SELECT rolname AS role, CASE WHEN rolsuper THEN 'a superuser' WHEN rolbypassrls THEN 'no superuser, with BYPASSRLS'
                                ELSE 'no superuser, without BYPASSRLS' END AS kind
        FROM pg_roles WHERE rolname = current_user
        """,
        "the role {role}: {kind}",
    ),
    Question(
        Verdict.FAIL,
        Code.TEMP_TABLES_FORBIDDEN,
        "SELECT current_user AS role WHERE NOT has_database_privilege(current_database(), 'TEMP')",
        "the role {role} may not create temporary tables, which the load needs to isolate bad rows; let the owner GRANT TEMP ON DATABASE",
    ),
    Question(
        Verdict.FAIL,
        Code.LEDGER_OF_ANOTHER_ROLE,
        "SELECT current_user AS role WHERE %(has_ledger)s AND NOT %(is_ledger_ours)s",
        "the ledger, the schema ddb2pg, belongs to another role than {role}; connect as the role that loaded before",
    ),
    Question(
        Verdict.FAIL,
        Code.LEDGER_FORBIDDEN,
        "SELECT current_user AS role WHERE NOT %(has_ledger)s AND NOT has_database_privilege(current_database(), 'CREATE')",
        "the role {role} may not create the schema ddb2pg, where the ledger is kept; "
        "let its owner run: GRANT CREATE ON DATABASE ... TO {role}",
    ),
    Question(
        Verdict.FACT,
        Code.TIME_LIMITS,
        f"SELECT coalesce(string_agg(name || ' ' || duration, ', ' ORDER BY name), 'none') AS limits FROM {_TIME_LIMITS} "
        "WHERE name <> 'transaction_timeout'",
        "time limits of the server, the database or the role: {limits}; the load's transactions set their own",
    ),
    # The only time limit that cannot be changed inside a transaction.
    Question(
        Verdict.WARNING,
        Code.TRANSACTION_TIMEOUT,
        f"SELECT duration FROM {_TIME_LIMITS} WHERE name = 'transaction_timeout'",
        "transaction_timeout is {duration}: a chunk that takes longer would stop the load; "
        "ALTER ROLE ... SET transaction_timeout = 0 for this role",
    ),
    Question(
        Verdict.WARNING,
        Code.NOT_DURABLE,
        "SELECT array_agg(name ORDER BY name) AS names FROM pg_settings WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off'",
        "{names} = off: after a crash of the server's machine rows may be gone, or the database be damaged, whatever was proved before; "
        "turn it on before the load (ALTER SYSTEM SET, then SELECT pg_reload_conf())",
    ),
    # `Session` has tried to set these in this very transaction.
    Question(
        Verdict.WARNING,
        Code.SERVER_LOG,
        """
        SELECT quote_ident(session_user) AS role
        WHERE current_setting('log_min_messages') NOT IN ('log', 'fatal', 'panic')
          AND (current_setting('log_error_verbosity') <> 'terse'
               OR current_setting('log_min_error_statement') NOT IN ('log', 'fatal', 'panic'))
        """,
        "the server's log will hold the values of each row that PostgreSQL refuses, and the role {role} may not change the "
        "settings that prevent this; let a superuser run: ALTER ROLE {role} SET log_error_verbosity = 'terse'; "
        "ALTER ROLE {role} SET log_min_error_statement = 'panic'",
    ),
)


def database_findings(cursor: Cursor, oldest: int = OLDEST_MAJOR) -> Iterator[Check]:
    """All that is not a table's."""
    has_ledger = ledger_exists(cursor)
    is_ours = has_ledger and is_ledger_ours(cursor)
    yield from ask(cursor, _QUESTIONS, {"oldest": oldest, "has_ledger": has_ledger, "is_ledger_ours": is_ours})
    if is_ours:
        yield from (problem(Code.LEDGER_OF_ANOTHER_VERSION, sentence) for sentence in version_problems(cursor))


# -- room ----------------------------------------------------------------------------------------------------------------------------------


def space_findings(cursor: Cursor, needed: int | None) -> Iterator[Check]:
    """How much room there is, as far as SQL can tell; `needed` is the estimate of what the rows will take, in bytes."""
    cursor.execute("SELECT pg_database_size(current_database())")
    size = int(cursor.fetchone()[0])
    free = _free_bytes(cursor)
    wanted, left = "the size of the rows cannot be estimated", "how much is free on the server's disk is not known from here"
    if needed is not None:
        wanted = f"the rows and their primary keys will take about {decimal(needed)}, other indexes come on top"
    if free is not None:
        left = f"{decimal(free)} are free on the server's disk"
    yield fact(Code.SPACE, f"the database takes {decimal(size)}; {wanted}; {left}")
    # The rows are written twice: into the tables, and into the write-ahead log, of which the server keeps a part.
    if needed is not None and free is not None and free < 2 * needed:
        sentence = (
            f"{decimal(free)} are free on the server's disk, but the rows take about {decimal(needed)}, and the write-ahead log up to as "
            "much again while they are loaded; make room first"
        )
        yield warning(Code.SPACE_SHORT, sentence)


def _free_bytes(cursor: Cursor) -> int | None:
    """Of the disk with the server's data, if that is a folder of this machine: its control file must be the server's."""
    cursor.execute(
        "SELECT current_setting('data_directory', true) FROM pg_roles WHERE rolname = current_user "
        "AND (rolsuper OR pg_has_role(oid, 'pg_read_all_settings', 'USAGE')) AND has_function_privilege('pg_control_system()', 'EXECUTE')"
    )
    found = cursor.fetchone()
    if not found or not found[0]:
        return None
    cursor.execute("SELECT system_identifier FROM pg_control_system()")
    identifier = int(cursor.fetchone()[0])
    try:
        with (Path(found[0]) / "global" / "pg_control").open("rb") as control:
            is_here = int.from_bytes(control.read(8), "little") == identifier
        return shutil.disk_usage(found[0]).free if is_here else None
    except OSError:
        return None
