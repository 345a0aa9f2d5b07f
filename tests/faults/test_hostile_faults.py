"""Names and values that mean something to SQL, COPY, a shell or a terminal mean nothing here: they are kept, and drawn nowhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.faults.conclusion import Conclude
from tests.faults.jobs import Job
from tests.handmade_export import write_export
from tests.postgres_server import Database
from tests.truth import records

TABLE = 'odd[/bold]"); DROP TABLE video_call_sessions; --'
COLUMNS = ['n"; DROP TABLE clinical_notes; --', "%s %(x)s {} {0}", "$$; SELECT 1; $$", "back\\slash\ttab", "ddb2pg_item'"]
VALUES = [
    "'); DROP TABLE video_call_sessions; --",
    "\\.",
    "\\N",
    "\t\n\r\\n\x0b",
    "\x1b[2J\x1b]0;title\x07",
    "2026-01-01 00:00:00 ddb2pg: Every item is accounted for\n",
    "%s%d{}$1$$",
    "PGCOPY\n\xff\r\n",
    "$(touch pwned)`touch pwned`;|&",
    "\u202e\u2066\ufeff",
]

DEFINITION = """
from transforms.rules import Text
from transforms.table import Column, Missing, Table
TABLES = [Table("odd", {target!r}, ({key!r},), (
    Column({key!r}, {key!r}, Text(), Missing.REFUSED),
    {columns}
))]
"""


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@pytest.fixture
def hostile(database: Database, tmp_path: Path) -> tuple[Path, Path]:
    """An export and a definition, in folders that a shell would take for commands; one item of eleven is refused, another conflicts."""
    key = COLUMNS[0]
    # psycopg2 takes a % for a parameter only where there are parameters.
    database.execute(
        f"CREATE TABLE {_quoted(TABLE)} ({_quoted(key)} text PRIMARY KEY, {', '.join(f'{_quoted(name)} text' for name in COLUMNS[1:])})"
    )
    folder = tmp_path / "a b;$(touch pwned)'\"&|`touch pwned`\x1b[2J"
    folder.mkdir()
    definition = folder / "tables.py"
    columns = "\n    ".join(f"Column({name!r}, {name!r}, Text())," for name in COLUMNS[1:])
    definition.write_text(DEFINITION.format(target=_quoted(TABLE), key=key, columns=columns))
    items = [{key: {"S": value}, **{name: {"S": value} for name in COLUMNS[1:]}, f"new\x1b[2J{key}": {"S": value}} for value in VALUES]
    items.append({**items[0], COLUMNS[1]: {"S": "other"}})
    items.append({**items[0], key: {"N": "1"}})
    return write_export(folder / "export", "odd", [[json.dumps({"Item": item}).encode() for item in items]]), definition


def test_they_are_kept_as_they_are_and_nothing_else_happens(
    database: Database, job: Job, conclude: Conclude, tmp_path: Path, hostile: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loaded, compared and rolled back; what is printed has no sign that draws on a terminal, nor a value."""
    export, definition = hostile
    monkeypatch.chdir(tmp_path)
    output = export.parent.parent / "out"
    arguments = ("--export", f"odd={export}", "--output", output, "--tables", definition, "--direct_num_workers=1")

    assert job(database.url, "migrate", *arguments, "--validate=full") == 3, job.stderr
    rows = database.query(f"SELECT * FROM {_quoted(TABLE)}")
    assert sorted(rows) == sorted((value,) * len(COLUMNS) for value in VALUES)
    run_folder = max(output.iterdir())
    dead = [(record["item_number"], record["errors"][0]["code"]) for record in records(run_folder / "dead_letters" / "odd")]
    assert sorted(dead) == [(10, "primary_key_conflict"), (11, "wrong_type")]
    notices = list(records(run_folder / "notices" / "odd"))
    assert len(notices) == len(VALUES)
    assert job(database.url, "validate", *arguments) == 0, job.stdout + job.stderr
    assert job(database.url, "dead-letters", "summary", run_folder) == 0, job.stderr
    assert job(database.url, "status") == 0
    assert job(database.url, "rollback", *arguments, "--yes") == 0, job.stdout + job.stderr

    assert database.value(f"SELECT count(*) FROM {_quoted(TABLE)}") == 0
    assert database.value("SELECT count(*) FROM video_call_sessions") + database.value("SELECT count(*) FROM clinical_notes") == 0
    assert not list(tmp_path.rglob("pwned"))
    assert not {sign for sign in job.printed if not sign.isprintable() and sign != "\n"}
    assert job.printed.count("Every item is accounted for") == 1
    assert "title" not in job.printed
    conclude.note("hostile name or value", len(VALUES) + len(COLUMNS) + 2, len(VALUES) + 2)
