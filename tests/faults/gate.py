"""Where a command waits in the midst of its work, however fast it is, until a test has done what it wants to do meanwhile."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.jobs import wait_until
from tests.postgres_server import Database
from tests.prepared_process import Running

COMMITTED = "ddb2pg.chunk"
"""The chunks of loads, to be counted."""
TAKEN_BACK = "ddb2pg.chunk WHERE rolled_back_at IS NOT NULL"
COMPARED = "ddb2pg.compared_chunk"


@contextmanager
def held_at(database: Database, count: int, counted: str, *tables: str) -> Iterator[None]:
    """Whoever would write a row of one of the tables, once so many are counted with its own, waits until the end of this."""
    # By a check, for a trigger changes how a table is loaded. It stays, and lets all pass.
    database.execute(
        "CREATE OR REPLACE FUNCTION public.pass_gate() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN "
        f"IF (SELECT count(*) FROM {counted}) >= {count} THEN PERFORM pg_advisory_xact_lock_shared(77); END IF; RETURN true; END $$; "
        + "".join(
            f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS gate, ADD CONSTRAINT gate CHECK (public.pass_gate()) NOT VALID;"
            for table in tables
        )
    )
    keeper = database.connect()
    keeper.cursor().execute("SELECT pg_advisory_lock(77)")
    try:
        yield
    finally:
        keeper.close()


def wait_until_held(database: Database, process: Running | subprocess.Popen[str]) -> None:
    """Somebody waits at the gate; the process has not ended."""
    at_gate = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 77 AND NOT granted AND database = ({})"
    of_this = "SELECT oid FROM pg_database WHERE datname = current_database()"
    wait_until(lambda: database.value(at_gate.format(of_this)) or process.poll() is not None, every=0.02)
    assert process.poll() is None, process.communicate()
