"""The database and the role, whatever the tables: can it be written to, by us, and under which limits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pipeline.ledger.loads import is_ledger_ours, ledger_exists
from pipeline.preflight.findings import Code, Finding, fact, problem, warning
from pipeline.target.session import Cursor

_OLDEST_MAJOR: Final = 14  # older ones have no hash_record_extended, without which no row is compared

# reset_val is what the server, the database and the role say; `Session` sets its own in every transaction.
_LIMITS: Final = """
    SELECT name, reset_val::bigint * CASE unit WHEN 'ms' THEN 1 WHEN 's' THEN 1000 ELSE 60000 END FROM pg_settings
    WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout') AND reset_val <> '0'
    ORDER BY name
"""


def database_findings(cursor: Cursor) -> Iterator[Finding]:
    """All that is not a table's."""
    cursor.execute("SELECT current_setting('server_version'), current_setting('server_version_num')::int / 10000")
    yield from version_findings(*cursor.fetchone())
    yield from _kind_findings(cursor)
    yield from _right_findings(cursor)
    cursor.execute(_LIMITS)
    yield from time_limit_findings(dict(cursor.fetchall()))


def version_findings(version: str, major: int) -> Iterator[Finding]:
    """Of the server."""
    yield fact(Code.SERVER_VERSION, f"PostgreSQL {version}")
    if major < _OLDEST_MAJOR:
        sentence = f"PostgreSQL {version} is older than {_OLDEST_MAJOR}, the oldest whose rows can be compared; upgrade the server"
        yield warning(Code.OLD_SERVER, sentence)


def _kind_findings(cursor: Cursor) -> Iterator[Finding]:
    cursor.execute("SELECT current_setting('server_encoding'), pg_is_in_recovery(), current_setting('default_transaction_read_only')")
    encoding, is_standby, is_read_only = cursor.fetchone()
    if encoding != "UTF8":
        sentence = f"the database's encoding is {encoding}, which cannot hold every text; create it with ENCODING 'UTF8'"
        yield problem(Code.ENCODING, sentence)
    if is_standby or is_read_only == "on":
        sentence = "the database is read-only (a standby, or default_transaction_read_only); use the primary server"
        yield problem(Code.READ_ONLY, sentence)


def _right_findings(cursor: Cursor) -> Iterator[Finding]:
    cursor.execute(
        "SELECT rolname, rolsuper, rolbypassrls, has_database_privilege(current_database(), 'CREATE'), "
        "has_database_privilege(current_database(), 'TEMP') FROM pg_roles WHERE rolname = current_user"
    )
    role, is_superuser, may_bypass, may_create, may_make_temp_tables = cursor.fetchone()
    kind = "a superuser" if is_superuser else "no superuser, with BYPASSRLS" if may_bypass else "no superuser, without BYPASSRLS"
    yield fact(Code.ROLE, f"the role {role}: {kind}")
    if not may_make_temp_tables:
        sentence = (
            f"the role {role} may not make temporary tables, through which bad rows are isolated; let the owner GRANT TEMP ON DATABASE"
        )
        yield problem(Code.TEMP_TABLES_FORBIDDEN, sentence)
    if ledger_exists(cursor):
        if not is_ledger_ours(cursor):
            sentence = f"the ledger, the schema ddb2pg, belongs to another role than {role}; connect as the role that loaded before"
            yield problem(Code.LEDGER_OF_ANOTHER_ROLE, sentence)
    elif not may_create:
        sentence = (
            f"the role {role} may not create the schema ddb2pg, where the ledger is kept; "
            f"let its owner run: GRANT CREATE ON DATABASE ... TO {role}"
        )
        yield problem(Code.LEDGER_FORBIDDEN, sentence)


def time_limit_findings(milliseconds: dict[str, int]) -> Iterator[Finding]:
    """Of the limits that the server, the database or the role sets; only one of them is not ours to set in a transaction."""
    limits = dict(milliseconds)
    whole = limits.pop("transaction_timeout", None)
    shown = ", ".join(f"{name} {_duration(limit)}" for name, limit in limits.items()) or "none"
    yield fact(Code.TIME_LIMITS, f"time limits of the server, the database or the role: {shown}; the load's transactions set their own")
    if whole is not None:
        sentence = (
            f"transaction_timeout is {_duration(whole)}: a chunk that takes longer would stop the load; "
            "ALTER ROLE ... SET transaction_timeout = 0 for this role"
        )
        yield warning(Code.TRANSACTION_TIMEOUT, sentence)


def _duration(milliseconds: int) -> str:
    return f"{milliseconds:,} ms" if milliseconds % 1000 else f"{milliseconds // 1000:,} s"
