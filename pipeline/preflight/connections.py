"""The way to the database: TLS, a pooler, and whether there are connections enough for the run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pipeline.engines.submission import USUAL_LIMIT, WorkerLimit
from pipeline.preflight.findings import Code, Finding, fact, problem, warning
from pipeline.target.link import Link, Pooling
from pipeline.target.session import Cursor

PROGRESS: Final = 1
"""The connection of the display. The main process itself holds none while workers load."""

_TRANSACTION_PORT: Final = 6543  # Supabase's

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
        """What is left for us."""
        return max(0, self.most - self.used)


def link_findings(link: Link) -> Iterator[Finding]:
    """TLS and a pooler."""
    if link.tls is None and not link.is_local:
        sentence = (
            f"the connection to {link.host} is not encrypted: patient data would travel in the clear; add ?sslmode=verify-full to the URL"
        )
        yield warning(Code.NO_TLS, sentence)
    elif link.tls is not None and not link.is_local and link.sslmode not in ("verify-ca", "verify-full"):
        sentence = (
            f"{link.tls}, but nobody checks whose server it is (sslmode={link.sslmode}); "
            "give sslmode=verify-full and sslrootcert, the server's CA certificate"
        )
        yield warning(Code.TLS_NOT_VERIFIED, sentence)
    else:
        yield fact(Code.TLS, f"{link.tls}" if link.tls else "no TLS, on this machine")
    yield from _pooler_findings(link)


def _pooler_findings(link: Link) -> Iterator[Finding]:
    port = f" (port {link.port}, Supabase's for that)" if link.port == _TRANSACTION_PORT else ""
    match link.pooling:
        case Pooling.NONE:
            yield fact(Code.NO_POOLER, "no pooler")
        case Pooling.SESSION:
            yield fact(Code.POOLER_IN_SESSION_MODE, "a pooler in session mode; the load works through it")
        case Pooling.TRANSACTION:
            yield fact(
                Code.POOLER_IN_TRANSACTION_MODE,
                f"a pooler in transaction mode{port}; the load works through it, nothing of it outlives one",
            )
        case Pooling.STATEMENT:
            sentence = "a pooler in statement mode, which takes no transactions; connect to the server, or to a pooler in session mode"
            yield problem(Code.POOLER_IN_STATEMENT_MODE, sentence)


# -- how many ------------------------------------------------------------------------------------------------------------------------------


def connection_findings(cursor: Cursor, link: Link, workers: int | None, limit: WorkerLimit = USUAL_LIMIT) -> Iterator[Finding]:
    """Whether the run gets its connections; `workers` is None where only the runner knows."""
    cursor.execute(_LIMITS, [list(link.processes)])
    limits = [Limit(*row) for row in cursor.fetchall()]
    if workers is None:
        yield _unknown(min(limits, key=lambda one: one.free), limit)
    elif link.pooling is Pooling.NONE:
        yield from limit_findings(limits, workers, limit)
    else:
        yield from pool_findings(link, workers, limit)


def _unknown(least: Limit, limit: WorkerLimit) -> Finding:
    if not limit.is_needed:
        sentence = f"{least.of} has {least.free} connections free; the run opens one a worker, and this runner has its own number"
        return fact(Code.CONNECTIONS_UNKNOWN, sentence)
    sentence = (
        f"{least.of} has {least.free} connections free, and nothing limits how many the run opens ({limit.each} a machine, one for the "
        f"display); give --{limit.option}={max(1, (least.free - PROGRESS) // limit.each)} or less"
    )
    return warning(Code.CONNECTIONS_UNKNOWN, sentence)


def limit_findings(limits: list[Limit], workers: int, worker_limit: WorkerLimit = USUAL_LIMIT) -> Iterator[Finding]:
    """Of a server that we are connected to without a pooler."""
    needed = workers + PROGRESS
    short = [limit for limit in limits if limit.free < needed]
    for limit in short:
        yield problem(
            Code.TOO_FEW_CONNECTIONS,
            f"{limit.of} has {limit.free} of {limit.most} connections free, but the run opens {needed} (one a worker process, one for the "
            f"display); {_how_to_mend(workers, limit.free, worker_limit)}",
        )
    if not short:
        least = min(limits, key=lambda limit: limit.free)
        yield fact(Code.CONNECTIONS, f"the run opens {needed} connections; {least.of} has {least.free} of {least.most} free")


def pool_findings(link: Link, workers: int, limit: WorkerLimit = USUAL_LIMIT) -> Iterator[Finding]:
    """Of a pooler, whose pool cannot be asked for, but tried."""
    needed = workers + PROGRESS
    if link.pooling is Pooling.SESSION and link.opened < needed:
        yield problem(
            Code.TOO_FEW_CONNECTIONS,
            f"the pooler gave {link.opened} connections at once, but the run opens {needed} (one a worker process, one for the display); "
            f"raise its pool size, connect to the server itself, or {_how_to_mend(workers, link.opened, limit)}",
        )
    elif link.pooling is Pooling.SESSION:
        yield fact(Code.CONNECTIONS, f"the run opens {needed} connections; the pooler gave as many at once")
    elif link.pooling is Pooling.TRANSACTION:
        yield fact(Code.CONNECTIONS, f"the run opens {needed} connections; the pooler lets them share servers")


def _how_to_mend(workers: int, free: int, limit: WorkerLimit) -> str:
    most = (free - PROGRESS) // limit.each
    number = f"{most} or less" if most > 1 else "1"
    fewer = f", {'or' if most > 0 else 'and'} give --{limit.option}={number}" if workers > limit.each else ""
    return f"end other connections or raise the limit{fewer}"
