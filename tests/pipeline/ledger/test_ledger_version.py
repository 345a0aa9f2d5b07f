"""A ledger that another version made is refused by every command: nothing is guessed of it, and nothing written into it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sample_export import write_sample_exports
from tests.command_line import CommandLine
from tests.postgres_server import Database

pytestmark = pytest.mark.plain


@pytest.mark.parametrize("command", ["status", "migrate", "validate"])
def test_a_ledger_of_another_version_is_refused(tmp_path: Path, database: Database, run: CommandLine, command: str) -> None:
    write_sample_exports(tmp_path / "export", items=50, seed=1, faulty=0, odd=0)
    assert run.migrate(tmp_path / "export").exit_code == 0
    database.execute("COMMENT ON SCHEMA ddb2pg IS 'ddb2pg ledger, version 2'")
    database.execute("UPDATE ddb2pg.load SET finished_at = NULL")

    options = [] if command == "status" else ["--export", str(tmp_path / "export"), "--output", str(run.output)]
    finished = run(command, *options)

    assert finished.exit_code == 2
    assert "says of itself 'ddb2pg ledger, version 2'" in finished.stderr
    assert "use the ddb2pg that made it" in finished.stderr
    assert database.value("SELECT count(*) FROM ddb2pg.load WHERE finished_at IS NOT NULL") == 0
