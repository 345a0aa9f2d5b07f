"""What a rollback is refused for, before it begins: else it would stop in the middle, with migrate kept out until it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg2.extensions import make_dsn, parse_dsn
from rich.console import Console

from pipeline.commands.rollback import rollback
from pipeline.errors import Refused
from pipeline.options import RollbackOptions
from pipeline.target.database_url import DatabaseReference
from tests.pipeline.conftest import Attempt
from tests.plain_loads import plans_of
from tests.postgres_server import Database

ROLE = "refused_to_roll_back"


@pytest.fixture
def begun(attempt: Attempt, exports: Path, database: Database) -> Iterator[Attempt]:
    """Loads of all three tables were begun, by a role that owns the ledger but not the tables."""
    attempt.options()
    list(plans_of(exports, DatabaseReference("env:DDB2PG_TEST_URL")))
    database.execute(f"CREATE ROLE {ROLE} LOGIN")
    database.execute(f"GRANT SELECT, DELETE ON ALL TABLES IN SCHEMA public TO {ROLE}; GRANT ALL ON SCHEMA ddb2pg TO {ROLE}")
    for (table,) in database.query("SELECT tablename FROM pg_tables WHERE schemaname = 'ddb2pg'"):
        database.execute(f"ALTER TABLE ddb2pg.{table} OWNER TO {ROLE}")
    yield attempt
    database.execute(f"DROP OWNED BY {ROLE}; DROP ROLE {ROLE}")


def problems(attempt: Attempt, database: Database) -> tuple[str, ...]:
    """All that it is refused for; no load may be closed to migrate by it."""
    of_migrate = attempt.options(url=make_dsn(**{**parse_dsn(database.url), "user": ROLE}))
    options = RollbackOptions(
        exports=of_migrate.exports, database_secret=of_migrate.database_secret, output_given=of_migrate.output_given, yes=True
    )
    with pytest.raises(Refused) as caught:
        rollback(options, Console(quiet=True))
    assert database.value("SELECT count(*) FROM ddb2pg.load WHERE rollback_started_at IS NOT NULL") == 0
    return caught.value.problems


def test_all_that_keeps_rows_from_being_deleted_is_told_at_once(begun: Attempt, database: Database) -> None:
    """The right to DELETE, to lock rows that others refer to, to see those; and tables that inherit."""
    database.execute(f"REVOKE DELETE ON video_call_audit_log FROM {ROLE}")
    database.execute("CREATE TABLE archive () INHERITS (video_call_audit_log)")
    database.execute("CREATE TABLE bill (note uuid REFERENCES clinical_notes ON DELETE CASCADE)")
    database.execute("CREATE TABLE visit (session uuid REFERENCES video_call_sessions)")

    found = problems(begun, database)

    assert len(found) == 4, found
    assert "clinical_notes: public.bill may delete or change rows with its own" in found[0]
    assert "GRANT UPDATE ON clinical_notes" in found[0]
    assert "public.bill refers to it" in found[1]
    assert "may not see" in found[1]
    assert "may not DELETE" in found[2]
    assert "other tables inherit from it" in found[3]
