"""validate with few rights, and under row security: it says what it cannot see."""

from __future__ import annotations

from pathlib import Path

import pytest
from psycopg2.extensions import make_dsn, parse_dsn

from sample_export import write_sample_exports
from tests.command_line import CommandLine
from tests.postgres_server import Database

ROLE = "validator_of_rows"


@pytest.fixture
def export(tmp_path: Path) -> Path:
    write_sample_exports(tmp_path / "export", items=200, seed=51, faulty=0.1, odd=0.1)
    return tmp_path / "export"


@pytest.fixture
def as_role(database: Database, tmp_path: Path):
    """The command line as a role that owns the ledger but not the tables."""
    name = database.value("SELECT current_database()")
    database.execute(f"CREATE ROLE {ROLE} LOGIN; GRANT CREATE, TEMP ON DATABASE {name} TO {ROLE}")
    database.execute(f"GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO {ROLE}")
    yield CommandLine(make_dsn(**{**parse_dsn(database.url), "user": ROLE}), tmp_path, is_plain=True)
    database.execute(f"DROP OWNED BY {ROLE}; DROP ROLE {ROLE}")


def test_a_role_that_may_read_may_validate(export: Path, as_role: CommandLine, database: Database) -> None:
    """The right to read the tables is enough; to repair takes more."""
    assert as_role.migrate(export).exit_code == 3
    database.execute(f"REVOKE INSERT ON clinical_notes FROM {ROLE}")

    assert as_role.validate(export).exit_code == 0
    refused = as_role.validate(export, "--repair")
    assert refused.exit_code == 2
    assert "clinical_notes: --repair inserts rows, but this role may not" in refused.stderr
    database.execute(f"REVOKE SELECT ON clinical_notes FROM {ROLE}")
    assert "may not SELECT" in as_role.validate(export).stderr


def test_under_row_security_it_says_that_it_may_not_see_all(export: Path, as_role: CommandLine, database: Database) -> None:
    """What a policy lets it see is compared; rows that it hides look missing, and a sentence says why."""
    assert as_role.migrate(export).exit_code == 3
    database.execute("ALTER TABLE clinical_notes ENABLE ROW LEVEL SECURITY")
    database.execute(f"CREATE POLICY half ON clinical_notes FOR SELECT TO {ROLE} USING (md5(id::text) < '8')")
    hidden = database.value("SELECT count(*) FROM clinical_notes WHERE md5(id::text) >= '8'")
    assert hidden

    finished = as_role.validate(export)

    assert finished.exit_code == 3
    assert "row security applies to this role" in finished.stdout
    assert f"{hidden} items whose row is missing" in finished.stdout
    database.execute(f"ALTER POLICY half ON clinical_notes TO {ROLE} USING (true)")
    assert as_role.validate(export).exit_code == 0
