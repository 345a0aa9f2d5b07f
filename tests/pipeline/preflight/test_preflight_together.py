"""Problems of different kinds in one message, and rights that are needed only when something goes wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.command_line import CommandLine
from tests.postgres_server import Database

pytestmark = pytest.mark.plain


def test_problems_of_exports_and_of_the_database_are_told_together(
    database: Database, exports: Path, run: CommandLine, tmp_path: Path
) -> None:
    """A missing data file and a missing table: both are known before the first is mended."""
    broken = shutil.copytree(exports, tmp_path / "broken")
    missing = sorted(broken.glob("medzen-soap-notes/AWSDynamoDB/*/data/*.gz"))[0]
    missing.unlink()
    database.execute("DROP TABLE video_call_sessions")

    finished = run.migrate(broken)

    assert finished.exit_code == 2, finished.output
    assert missing.name in finished.stderr
    assert "video_call_sessions: there is no such table" in finished.stderr
    assert database.value("SELECT to_regclass('ddb2pg.load') IS NULL")


def test_a_role_that_may_make_no_temporary_tables_is_refused(database: Database, exports: Path, run: CommandLine) -> None:
    """It would be found out only at the first bad row, in the middle of the load."""
    name = database.value("SELECT current_database()")
    role = f"loader_of_{name}"
    database.execute(f"CREATE ROLE {role} LOGIN; GRANT CREATE ON DATABASE {name} TO {role}; REVOKE TEMP ON DATABASE {name} FROM PUBLIC")
    database.execute(f"GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO {role}")

    finished = run("migrate", "--export", exports, "--output", run.output, DATABASE_URL=f"{database.url} user={role}")

    assert finished.exit_code == 2, finished.output
    assert finished.stderr.count("\n  - ") == 1
    assert "may not create temporary tables" in finished.stderr


def test_a_role_with_just_the_rights_it_needs_loads(database: Database, exports: Path, run: CommandLine) -> None:
    """CREATE and TEMP on the database, SELECT and INSERT on the targets: no owner, no superuser."""
    name = database.value("SELECT current_database()")
    role = f"least_of_{name}"
    database.execute(f"CREATE ROLE {role} LOGIN; GRANT CREATE ON DATABASE {name} TO {role}")
    database.execute(f"GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO {role}")

    finished = run("migrate", "--export", exports, "--output", run.output, DATABASE_URL=f"{database.url} user={role}")

    assert finished.exit_code == 0, finished.output
