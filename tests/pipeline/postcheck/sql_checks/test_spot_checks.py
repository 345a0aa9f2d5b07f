"""The rows that are looked for: spread over the export, as the load made them, and safe in a script whatever they hold."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from pipeline.errors import Refused
from pipeline.postcheck.sql_checks import SpotChecks, SpotRow, write_script
from tests.handmade_export import write_export
from tests.pipeline.postcheck.sql_checks.loaded import Loaded, psql, verdicts_of_psql
from tests.pipeline.target.made_loads import THING, thing, uuid
from tests.postgres_server import Server

DIGITS = "0.1234567890123456789012345678901234567"
HOSTILE = [
    "'",
    "''; DROP TABLE thing; --",
    "\\",
    "\\'",
    "\\\\''\\",
    "$$",
    "$expected$",
    "$expected$, true); DROP TABLE thing; SELECT $expected$",
    "$block$",
    "%s %(name)s %% %I",
    ":name :'name' :\"name\" ::text",
    "\\gexec",
    "line\n\\gexec\n\\! touch /nowhere\n\\q\n",
    "ROLLBACK;\n\nCOMMIT;\nBEGIN;\n-- @expected\n",
    '{"a": "\\u0000 no, six characters"}',
    "é ü 漢 😀 \u202e \x01 \x7f \x1b[2J",
    "NULL",
    "",
    " \t\r\n",
    '"]}]',
]


@pytest.fixture
def hostile(server: Server, tmp_path: Path) -> Loaded:
    """A table of our own, of a name that needs quotes, whose texts and JSON would break a careless script."""
    lines = [
        thing(number, name=text, kind=text[::-1], data={"M": {text or "empty": {"S": text}, "number": {"N": DIGITS}}})
        for number, text in enumerate(HOSTILE, 1)
    ]
    database = server.new_database(with_targets=False)
    table = replace(THING, target='"Odd $$ thing"')
    database.execute('CREATE TABLE "Odd $$ thing" (id uuid PRIMARY KEY, name text, kind text, parent uuid, data jsonb)')
    loaded = Loaded(server, database, write_export(tmp_path / "export", "things", [lines]), tmp_path, (table,))
    loaded.load()
    return loaded


@pytest.mark.parametrize("setting", ["on", "off"])
def test_hostile_values_come_through_psql_as_they_are(hostile: Loaded, server: Server, setting: str) -> None:
    """Quotes, backslashes, dollars, variables and commands of psql; for both ways that PostgreSQL may read a backslash."""
    script = hostile.emit(hostile.folder / "checks.sql")
    options = f"-c standard_conforming_strings={setting}"

    found = verdicts_of_psql(psql(server, hostile.database.url, script, "-v", "name=boom", PGOPTIONS=options))

    assert found["spot checks", "public.Odd $$ thing"] == found["JSON content", "public.Odd $$ thing"] == ["PASS"]
    assert found["counts", "public.Odd $$ thing"] == ["PASS"]
    assert hostile.details("spot checks", "public.Odd $$ thing") == ["of 20 rows of the export 0 are missing, 0 differ"]


def test_a_byte_and_a_digit_make_a_difference_and_spelling_makes_none(hostile: Loaded) -> None:
    """Of each row its text; of one the last digit of a number; and what JSON calls the same stays the same."""
    of_target = "public.Odd $$ thing"
    hostile.database.execute("""UPDATE "Odd $$ thing" SET data = (replace(data::text, '": ', '"  :  '))::jsonb WHERE name NOT LIKE '{%'""")
    assert hostile.details("JSON content", of_target) == [
        "of 20 rows of the export 0 are missing, 0 differ in JSON, to the last digit of a number"
    ]
    hostile.database.execute(
        """UPDATE "Odd $$ thing" SET data = jsonb_set(data, '{number}', to_jsonb(round((data ->> 'number')::numeric, 36))) WHERE id = %s""",
        uuid(3),
    )
    (detail,) = hostile.details("JSON content", of_target)
    assert detail.startswith("of 20 rows of the export 0 are missing, 1 differ in JSON, to the last digit of a number: item 2 of ")
    hostile.database.execute("""UPDATE "Odd $$ thing" SET name = name || 'x'""")
    (detail,) = hostile.details("spot checks", of_target)
    assert detail.startswith("of 20 rows of the export 0 are missing, 20 differ: item 0 of ")


def test_rows_are_picked_from_all_of_an_export_always_the_same(clean_load: Loaded) -> None:
    """From every file, at like distances, as many of each file as it has its share of the rows."""
    first, again = clean_load.spot_checks(), replace(clean_load, picked=[]).spot_checks()

    assert first == again
    for one in first:
        places = [(row.data_file, row.item_number) for row in one.rows]
        assert len(set(places)) == 20
        files = {name for name, _ in places}
        assert len(files) == 3
        for name in files:
            numbers = sorted(number for of, number in places if of == name)
            assert {later - earlier for earlier, later in pairwise(numbers)} == {6}


def test_what_is_picked_became_a_row(server: Server, tmp_path: Path) -> None:
    """Not a dead letter, by whichever stage; a table with few rows gives all of them."""
    lines = [thing(number, name="x") if number % 3 else b"{}" for number in range(1, 24)]
    lines[4] = lines[3]
    database = server.new_database(with_targets=False)
    database.execute("CREATE TABLE thing (id uuid PRIMARY KEY, name text CHECK (name <> 'no'), kind text, parent uuid, data jsonb)")
    lines[6] = thing(7, name="no")
    export = write_export(tmp_path / "export", "things", [lines[:10], [], lines[10:], []])
    loaded = Loaded(server, database, export, tmp_path, (THING,))
    loaded.load(chunk_items=4)

    (picked,) = loaded.spot_checks()

    there = {row[0] for row in database.query("SELECT id::text FROM thing")}
    assert len(there) == 14
    assert {row.values[0] for row in picked.rows} == there
    assert len(picked.rows) == 14


def test_a_script_is_its_owners_and_never_written_over_another_file(clean_load: Loaded, tmp_path: Path) -> None:
    """Says in its first lines what it holds; ASCII alone."""
    path = clean_load.emit(tmp_path / "checks.sql")

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "THIS FILE HOLDS PATIENT DATA: the values of 60 rows" in path.read_text("ascii").splitlines()[0]
    before = path.read_bytes()
    for there in (path, tmp_path, tmp_path / "none" / "checks.sql"):
        with pytest.raises(Refused, match="--emit_sql"):
            clean_load.emit(there)
    (tmp_path / "link").symlink_to(tmp_path / "nothing.sql")
    with pytest.raises(Refused, match="is there already"):
        write_script(tmp_path / "link", clean_load.spot_checks())
    assert path.read_bytes() == before
    assert not (tmp_path / "nothing.sql").exists()


def test_a_value_is_data_of_a_copy_and_nothing_else(tmp_path: Path) -> None:
    """Which is logged nowhere, whatever the value is; each load is one line of it."""
    value = "S3CRET \\.\n\\N\t $ ' value"
    write_script(tmp_path / "checks.sql", [SpotChecks("public.t", "e", ["id"], [("id", "text")], [SpotRow("f", 1, [value])])] * 2)

    lines = (tmp_path / "checks.sql").read_text("ascii").splitlines()

    start, end = lines.index("COPY pg_temp.ddb2pg_expected FROM STDIN;"), lines.index("\\.")
    assert [number for number, line in enumerate(lines) if "S3CRET" in line] == [start + 1, start + 2] == [end - 2, end - 1]
    assert json.loads(lines[start + 1].replace("\\\\", "\\"))["rows"] == [["f", 1, value]]
