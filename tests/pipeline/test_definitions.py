"""`--tables`: a definition that is wrong is refused before anything is written, in Python's words where they are its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.definitions import find_tables
from pipeline.errors import Refused
from tests.postgres_server import Database

HEAD = "from ddb2pg import *\nfrom ddb2pg import Column, Jsonb, LaterOf, Missing, Otherwise, Table, Text, Timestamp, Boolean\n"
ID = 'Column("id","id",Text(),Missing.REFUSED)'


def _table(*columns: str) -> str:
    return f'TABLES=[Table("ev","ev",key=("id",),columns=({ID},{",".join(columns)}))]\n'


def _refusal(tmp_path: Path, text: str, name: str = "tables.py") -> str:
    (tmp_path / name).write_text(text)
    with pytest.raises(Refused) as caught:
        find_tables(str(tmp_path / name))
    return str(caught.value).replace(str(tmp_path), "")


@pytest.mark.parametrize(
    ("column", "problem"),
    [
        ('Column("zz","at",Timestamp(),Otherwise("2024-01-01T00:00:00Z"))', "Otherwise(content='2024-01-01T00:00:00Z') must be"),
        ('Column("zz","v",Text(tags=("X",)))', "column v: X is no type tag; DynamoDB's are S N B"),
        ('Column("zz","v",Text(tags=("S","BOOL")))', "column v: Text cannot take all of the type tags S, BOOL"),
        ('Column("zz","v",Text)', "column v: <class 'transforms.rules.Text'> is no conversion; write Text()"),
        ('Column("zz","v","text")', "column v: 'text' is no conversion"),
        ('Column("zz","v",Text(),Otherwise(0))', "column v: Otherwise(content=0) is no content for Text: it must be of type str"),
        ('Column("zz","v",Boolean(),Otherwise(0))', "column v: Otherwise(content=0) is no content for Boolean: it must be of type bool"),
        ('Column("zz","v",Text(),Otherwise("\\0"))', "column v: Otherwise(content='\\x00') holds U+0000"),
        ('Column("zz","j",Jsonb(),Otherwise({}))', "column j: Otherwise(content={}) must be an object with exactly one of"),
        (
            'Column("zz","j",Jsonb(),Otherwise("x"))',
            "Otherwise(content='x') is no content for Jsonb: it must be an attribute value",
        ),
        ('Column("zz","v",Text(),Missing.MIGRATION_TIME)', "column v: Missing.MIGRATION_TIME is a time, and Text fills a text"),
        ('Column("zz","v",Text(),None)', "column v: None is no rule for a missing attribute"),
        ('Column(1,"v",Text())', "column v: its attribute must be a path, LaterOf or None, not 1"),
        ('Column("zz",None,Text())', "column None: its name must be a column's, not None"),
        ('Column("zz","id",Text())', "has the column id 2 times"),
        ('Column(None,"v",Text(),Missing.REFUSED)', "column v: no attribute feeds it, so it needs an Otherwise(...)"),
        ('Column(LaterOf("a","b"),"v",Text())', "column v: LaterOf takes two timestamps at the top level of the item"),
        ('Column("zz","v",Text(len))', "column v: Text: expected and otherwise go together"),
    ],
)
def test_a_wrong_column_is_named(tmp_path: Path, column: str, problem: str) -> None:
    """When the command begins, not on a worker at the first row, for ever."""
    assert problem in _refusal(tmp_path, HEAD + _table(column))


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    refusal = _refusal(tmp_path, HEAD + _table('Column("a","a",Text)', 'Column("b","b",Text(tags=("X",)))'))

    assert [line.split(": ")[1].split(", ")[1] for line in refusal.splitlines()] == ["column a", "column b"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD + _table('Column("n","n",Number())'), "line 3: NameError: name 'Number' is not defined"),
        (
            HEAD + 'TABLES=[Table("ev","ev",columns=())]\n',
            "TypeError: Table.__init__() missing 1 required",
        ),
        (HEAD + _table('Column("n","n",Text(),Missing.REQUIRED)'), "line 3: AttributeError: "),
        (HEAD + "import os\nTABLES=os.environ['NOT_SET']\n", "/tables.py, line 4: KeyError: 'NOT_SET'"),
        (HEAD + "import json\nTABLES=json.loads('x')\n", "/tables.py, line 4: JSONDecodeError: Expecting value"),
        (HEAD + f'TABLES=[Table("ev","ev",key="id",columns=({ID}))]\n', "/tables.py, line 3: TypeError: Table ev: columns must be several"),
        (HEAD + "raise SystemExit('no')\n", "/tables.py, line 3: SystemExit: no"),
        ("TABLES = (\n", "/tables.py, line 1: SyntaxError: '(' was never closed"),
        ("import nothing_of_that_name\n", "/tables.py, line 1: ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("TABLES = ()\n", "must have TABLES, a sequence of ddb2pg.Table"),
    ],
)
def test_what_python_says_is_told_with_file_and_line(tmp_path: Path, text: str, words: str) -> None:
    """The user's own code holds no value of an item."""
    assert words in _refusal(tmp_path, text)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"nothing.py: cannot be imported: FileNotFoundError: \[Errno 2\] No such file"):
        find_tables(str(tmp_path / "nothing.py"))


@pytest.mark.parametrize("name", ["json", "types", "transforms", "pipeline", "profile", "psycopg2", "my-tables.v2", "1", "Üñï"])
def test_a_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    """Other modules stay what they are."""
    before = dict(sys.modules)
    own = "class Own(Text):\n    pass\n"
    (tmp_path / f"{name}.py").write_text(HEAD + own + _table('Column("v","v",Own())'))

    [table] = find_tables(str(tmp_path / f"{name}.py"))

    assert {key: module for key, module in before.items() if sys.modules.get(key) is not module} == {}
    assert table.columns[1].pg_type.name == "text"


def test_what_a_file_defines_travels_to_workers(tmp_path: Path) -> None:
    """Which do not have the file, and have another module of its name."""
    (tmp_path / "types.py").write_text(HEAD + "class Own(Text):\n    pass\n" + _table('Column("v","v",Own())'))
    [table] = find_tables(str(tmp_path / "types.py"))
    from apache_beam.internal import cloudpickle_pickler

    pickled = tmp_path / "pickled"
    pickled.write_bytes(cloudpickle_pickler.dumps(table))
    code = f"""
from apache_beam.internal import cloudpickle_pickler
from pathlib import Path
print(cloudpickle_pickler.loads(Path({str(pickled)!r}).read_bytes()).columns[1].conversion.pg_type)
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "text\n"


def test_a_user_conversion_that_fails_is_told_in_its_words(tmp_path: Path) -> None:
    text = "from dataclasses import dataclass\nclass Own(Text):\n    def encoder(self, attribute):\n        return 1 / 0\n"

    refusal = _refusal(tmp_path, HEAD + text + _table('Column("v","v",Own())'))

    assert "column v: /tables.py, line 6: ZeroDivisionError: division by zero" in refusal


@pytest.mark.parametrize("target", ["a b", "a.b.c", ".a", "a.", '"a', '""', " ", "a\0", "a..b", "2024", "-"])
def test_a_target_that_is_no_name_is_refused(tmp_path: Path, target: str) -> None:
    assert "is no name of a table; it is NAME or SCHEMA.NAME" in _refusal(
        tmp_path, HEAD + f'TABLES=[Table("ev",{target!r},"id",({ID},))]\n'
    )


@pytest.mark.parametrize("target", ["ev", "public.ev", '"My Schema"."Tab.le"', '"a""b"', "user-name", "Üñï", '"2024"'])
def test_a_target_may_have_any_name(tmp_path: Path, database: Database, target: str) -> None:
    """PostgreSQL looks for it, and finds none."""
    (tmp_path / "tables.py").write_text(HEAD + f'TABLES=[Table("ev",{target!r},"id",({ID},))]\n')
    [table] = find_tables(str(tmp_path / "tables.py"))

    assert database.query("SELECT to_regclass(%s)", table.target) == [(None,)]
