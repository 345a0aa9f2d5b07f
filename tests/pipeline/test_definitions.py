"""`--tables`: a definition that is wrong is refused before anything is written, in Python's words where they are its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

import ddb2pg
from pipeline.cli import main
from pipeline.definitions.describe import describe
from pipeline.definitions.find import find_tables
from pipeline.errors import Refused
from tests.postgres_server import Database

ROOT = Path(__file__).parents[2]
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
        ('Column("zz","v",Text(tags=("X",)))', "column v (line 3): X is no type tag; DynamoDB's are S N B"),
        ('Column("zz","v",Text(tags=("S","BOOL")))', "column v (line 3): Text cannot take all of the type tags S, BOOL"),
        ('Column("zz","v",Text)', "column v (line 3): Text is no rule; write Text()"),
        ('Column("zz","v","text")', "column v (line 3): 'text' is no rule: did you mean Text?"),
        ('Column("zz","v",Text(),Otherwise(0))', "column v (line 3): Otherwise(content=0) is no content for Text: it must be of type str"),
        (
            'Column("zz","v",Boolean(),Otherwise(0))',
            "column v (line 3): Otherwise(content=0) is no content for Boolean: it must be of type bool",
        ),
        ('Column("zz","v",Text(),Otherwise("\\0"))', "column v (line 3): Otherwise(content='\\x00') holds U+0000"),
        ('Column("zz","j",Jsonb(),Otherwise({}))', "column j (line 3): Otherwise(content={}) must be an object with exactly one of"),
        (
            'Column("zz","j",Jsonb(),Otherwise("x"))',
            "Otherwise(content='x') is no content for Jsonb: it must be an attribute value",
        ),
        ('Column("zz","v",Text(),Missing.MIGRATION_TIME)', "column v (line 3): Missing.MIGRATION_TIME is a time, and Text fills a text"),
        ('Column("zz","v",Text(),None)', "column v (line 3): None is no rule for a missing attribute"),
        ('Column(1,"v",Text())', "column v (line 3): its source must be a path, or one of those in docs/tables.md, not 1"),
        ('Column("zz",None,Text())', "column None: its name must be a column's, not None"),
        ('Column("zz","id",Text())', "has the column id 2 times"),
        ('Column(None,"v",Text(),Missing.REFUSED)', "column v (line 3): no attribute feeds it, so it needs an Otherwise(...)"),
        ('Column(LaterOf("a","b"),"v",Text())', "column v (line 3): LaterOf takes two timestamps, and Text fills a text"),
        ('Column("zz","v",Text(len))', "column v (line 3): Text: expected and otherwise go together"),
        ('Column("a[x]","v",Text())', "column v (line 3): the path 'a[x]' has a [ that is no index of an element, as in lines[0].sku"),
        ('Column(Part("a","A#{b}","c"),"v",Text())', "column v (line 3): the pattern 'A#{b}' has no {c}, but b"),
        ('Column(Part("a","A#","c"),"v",Text())', "column v (line 3): the pattern 'A#' must have placeholders"),
        ('Column(Part("a","A#{b}","b"),"v",Boolean())', "column v (line 3): the source is of the type S, and Boolean takes BOOL"),
        ('Column(REST,"v",Text())', "column v (line 3): the source is of the type M, and Text takes S"),
        ('Column(Joined(()),"v",Text())', "column v (line 3): Joined takes paths, and a text between them"),
        ('Column(Joined((1,)),"v",Text())', "column v (line 3): Joined(paths=(1,), separator='#') must read paths, which are texts"),
        ('Column(Computed("f"),"v",Text())', "column v (line 3): 'f' is no function"),
        ('Column("zz","v",Text(),clean=("TRIM",))', "column v (line 3): clean takes REPLACE_NUL, TRIM, LOWER, UPPER, EMPTY_AS_NULL"),
        ('Column("zz","v",Text(),clean=(LOWER,UPPER))', "column v (line 3): clean cannot be both LOWER and UPPER"),
        ('Column(POSITION,"v",Text())', "v: ELEMENT, POSITION, MEMBER and Parent(...) are for the columns of a Child"),
        ('Column("a.b","v",Text()),Column("a[0]","w",Text())', "a cannot be a map and a list: paths take members of it by name"),
    ],
)
def test_a_wrong_column_is_named(tmp_path: Path, column: str, problem: str) -> None:
    """When the command begins, not on a worker at the first row, for ever."""
    assert problem in _refusal(tmp_path, HEAD + _table(column))


@pytest.mark.parametrize(
    ("where", "problem"),
    [
        ('Equals("a",1.5)', "where: Equals(path='a', value=1.5): a value must be str, int, Decimal or bool"),
        ('AllOf(Exists("a"),AnyOf())', "where: AnyOf must have conditions"),
        ('Not("a")', "where: 'a' is no condition; conditions are Equals, In, BeginsWith, Exists, AllOf, AnyOf, Not and Check"),
        ('Check(1,"a")', "where: 1 is no function"),
        ('Exists("a]")', "where: the path 'a]' has a ] that is no index of an element"),
    ],
)
def test_a_wrong_condition_is_named(tmp_path: Path, where: str, problem: str) -> None:
    """Beside what is wrong with columns."""
    text = HEAD + _table('Column("zz","v","text")').replace("))]", f"),where={where})]")
    refusal = _refusal(tmp_path, text)

    assert problem in refusal
    assert "'text' is no rule" in refusal


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    refusal = _refusal(tmp_path, HEAD + _table('Column("a","a",Text)', 'Column("b","b",Text(tags=("X",)))'))

    assert [line.split(": ")[1].split(", ")[1] for line in refusal.splitlines()] == ["column a (line 3)", "column b (line 3)"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD + _table('Column("n","n",Number())'), "line 3: NameError: name 'Number' is not defined"),
        (
            HEAD + 'TABLES=[Table("ev","ev",columns=())]\n',
            "TypeError: Table needs key",
        ),
        (HEAD + _table('Column("n","n",Text(),Missing.REQUIRED)'), "line 3: Missing has no REQUIRED: did you mean REFUSED?"),
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
print(cloudpickle_pickler.loads(Path({str(pickled)!r}).read_bytes()).columns[1].rule.pg_type)
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "text\n"


def test_a_user_conversion_that_fails_is_told_in_its_words(tmp_path: Path) -> None:
    text = "from dataclasses import dataclass\nclass Own(Text):\n    def encoder(self, attribute):\n        return 1 / 0\n"

    refusal = _refusal(tmp_path, HEAD + text + _table('Column("v","v",Own())'))

    assert "column v (line 7): /tables.py, line 6: ZeroDivisionError: division by zero" in refusal


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


# -- misspelt names ------------------------------------------------------------------------------------------------------------------------


def test_every_misspelt_name_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    """Python would end with the first."""
    text = """import ddb2pg
from ddb2pg import Column, Missing, Table, Timestmap, Text

TABLES = [
    Table(source="ev", target="ev", keys=("id",), columns=(
        Column("id", "id", Text(), misssing=Missing.REFUSED),
        Column("at", "at", ddb2pg.Timestmp(), Missing.REQUIRED),
        Column("n", "n", ddb2pg.Numeric(precison=12)),
    )),
]
"""
    told = _refusal(tmp_path, text)

    assert [line.removeprefix("/tables.py, ") for line in told.splitlines()] == [
        "line 2: ddb2pg has no Timestmap: did you mean Timestamp?",
        "line 5: Table takes no keys: did you mean key?",
        "line 6: Column takes no misssing: did you mean missing?",
        "line 7: Missing has no REQUIRED: did you mean REFUSED?",
        "line 7: ddb2pg has no Timestmp: did you mean Timestamp?",
        "line 8: Numeric takes no precison: did you mean precision?",
    ]


def test_names_of_other_modules_are_not_looked_at(tmp_path: Path) -> None:
    (tmp_path / "tables.py").write_text(HEAD + "import decimal\nA = decimal.Context(prec=3)\n" + _table('Column("v","v",Text())'))

    assert find_tables(str(tmp_path / "tables.py"))


# -- TOML ----------------------------------------------------------------------------------------------------------------------------------

TOML = """
[[tables]]
source = "App"
target = "public.orders"
key = ["PK", "SK"]
where = { AllOf = [
    { BeginsWith = ["SK", "ORDER#"] },
    { Not = { Exists = "deletedAt" } },
    { In = { path = "state", values = ["NEW", "PAID"] } },
] }

[[tables.columns]]
source = { Part = { path = "SK", pattern = "ORDER#{order}", name = "order" } }
name = "id"
rule = "Uuid"
missing = "REFUSED"

[[tables.columns]]
source = "total"
name = "total"
rule = { Numeric = { precision = 12, scale = 2, least = 0 } }
missing = { Otherwise = "0" }

[[tables.columns]]
source = 'note\\.text'
name = "note"
rule = { Text = { tags = ["S", "N"] } }
clean = ["TRIM", "EMPTY_AS_NULL"]

[[tables.columns]]
source = "tags"
name = "tags"
rule = { Array = "Text" }
missing = "COLUMN_DEFAULT"

[[tables.columns]]
source = { LaterOf = ["a", "b"] }
name = "at"
rule = "Timestamp"
missing = "MIGRATION_TIME"

[[tables.columns]]
source = { REST = {} }
name = "rest"
rule = "Jsonb"
missing = "EMPTY_OBJECT"

[[ignored]]
source = "App"
where = { Equals = { path = "entity", value = "INVENTORY" } }
"""

IN_PYTHON = r"""
from ddb2pg import *

TABLES = [
    Table("App", "public.orders", key=("PK", "SK"),
        where=AllOf(BeginsWith("SK", "ORDER#"), Not(Exists("deletedAt")), In("state", ("NEW", "PAID"))),
        columns=(
            Column(Part("SK", "ORDER#{order}", "order"), "id", Uuid(), Missing.REFUSED),
            Column("total", "total", Numeric(precision=12, scale=2, least=0), Otherwise("0")),
            Column(r"note\.text", "note", Text(tags=("S", "N")), clean=(TRIM, EMPTY_AS_NULL)),
            Column("tags", "tags", Array(Text()), Missing.COLUMN_DEFAULT),
            Column(LaterOf("a", "b"), "at", Timestamp(), Missing.MIGRATION_TIME),
            Column(REST, "rest", Jsonb(), EMPTY_OBJECT),
        )),
    Ignore("App", Equals("entity", "INVENTORY")),
]
"""


def test_toml_says_the_same_as_python(tmp_path: Path) -> None:
    """One language in two spellings."""
    (tmp_path / "tables.toml").write_text(TOML)
    (tmp_path / "tables.py").write_text(IN_PYTHON)

    assert list(find_tables(str(tmp_path / "tables.toml"))) == list(find_tables(str(tmp_path / "tables.py")))


CHILDREN_IN_TOML = """
[[tables]]
source = "Orders"
target = "orders"
key = ["id"]

[[tables.columns]]
source = "id"
name = "id"
rule = "Uuid"
missing = "REFUSED"

[[tables.children]]
path = "lines"
target = "order_line"

[[tables.children.columns]]
source = { Parent = "id" }
name = "order_id"
rule = "Uuid"
missing = "REFUSED"

[[tables.children.columns]]
source = { POSITION = {} }
name = "position"
rule = "Integer"
missing = "REFUSED"

[[tables.children]]
path = "marks"
target = "order_mark"

[[tables.children.columns]]
source = { MEMBER = {} }
name = "name"
rule = { Varchar = 20 }
clean = ["TRIM"]

[[tables.children.columns]]
source = { ELEMENT = {} }
name = "mark"
rule = "Jsonb"
"""

CHILDREN_IN_PYTHON = """
from ddb2pg import *

TABLES = [
    Table("Orders", "orders", key="id", columns=(Column("id", "id", Uuid(), Missing.REFUSED),), children=(
        Child("lines", "order_line", (
            Column(Parent("id"), "order_id", Uuid(), Missing.REFUSED),
            Column(POSITION, "position", Integer(), Missing.REFUSED),
        )),
        Child("marks", "order_mark", (
            Column(MEMBER, "name", Varchar(20), clean=(TRIM,)),
            Column(ELEMENT, "mark", Jsonb()),
        )),
    )),
]
"""


def test_child_rows_in_toml_are_those_of_python(tmp_path: Path) -> None:
    (tmp_path / "tables.toml").write_text(CHILDREN_IN_TOML)
    (tmp_path / "tables.py").write_text(CHILDREN_IN_PYTHON)

    [of_toml], [of_python] = (list(find_tables(str(tmp_path / f"tables.{suffix}"))) for suffix in ("toml", "py"))

    assert [(child.path, child.target, len(child.columns)) for child in of_toml.children] == [
        ("lines", "order_line", 2),
        ("marks", "order_mark", 2),
    ]
    assert of_toml == of_python
    assert of_toml.fingerprint == of_python.fingerprint


def test_what_is_wrong_with_a_child_in_toml_is_told_with_its_line(tmp_path: Path) -> None:
    wrong = {'path = "marks"': 'way = "marks"', 'rule = "Integer"': 'rule = "Integr"', "{ POSITION = {} }": "{ POSITON = {} }"}
    text = CHILDREN_IN_TOML
    for right, other in wrong.items():
        text = text.replace(right, other)

    told = _refusal(tmp_path, text, "tables.toml")

    lines = text.splitlines()
    of_position, of_marks = lines.index("source = { POSITON = {} }"), lines.index('way = "marks"')
    assert sorted(line.removeprefix("/tables.toml") for line in told.splitlines()) == sorted(
        [
            f", line {of_position}: there is no POSITON: did you mean POSITION?",
            f", line {of_position}: there is no rule Integr: did you mean Integer?",
            f", line {of_marks}: Child takes no way",
            f", line {of_marks}: Child needs path",
        ]
    )


def test_all_that_is_wrong_in_toml_is_told_with_its_line(tmp_path: Path) -> None:
    text = """[[tables]]
source = "ev"
target = "ev"
keys = ["id"]

[[tables.columns]]
source = "id"
name = "id"
rule = "Uid"

[[tables.columns]]
source = { Prt = ["id", "{a}", "a"] }
name = "a"
rule = { Numeric = { precison = 3 } }
missing = "REQUIRED"

[[tables.columns]]
source = "REST"
name = "rest"
rule = "Jsonb"

[[tables.columns]]
from = "b"
name = "b"
rule = "Text"

[[ignore]]
source = "ev"
"""
    told = _refusal(tmp_path, text, "tables.toml")

    assert sorted(line.removeprefix("/tables.toml") for line in told.splitlines()) == sorted(
        [
            ": there is no [[ignore]]: did you mean ignored?; a file has [[tables]], and perhaps [[ignored]]",
            ", line 1: Table takes no keys: did you mean key?",
            ", line 1: Table needs key",
            ", line 6: there is no rule Uid: did you mean Uuid?",
            ", line 11: there is no Prt: did you mean Part?",
            ", line 11: Numeric takes no precison: did you mean precision?",
            ", line 11: missing has no REQUIRED: did you mean REFUSED?; there are REFUSED, NULL, MIGRATION_TIME, "
            'COLUMN_DEFAULT, or a content, as { Otherwise = "REQUIRED" }',
            ', line 17: source = "REST" would be an attribute of that name: write source = { REST = {} }; an attribute that is called so '
            "can be named in a definition in Python",
            ", line 22: Column takes no from",
            ", line 22: Column needs source",
        ]
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "/tables.toml: has no [[tables]]"),
        ("[[tables]\n", "/tables.toml: TOMLDecodeError: "),
        ('tables = "x"\n', "/tables.toml: write each of tables under a header of its own, in double brackets: [[tables]]"),
        (
            '[[tables]]\nsource="a"\ntarget="a"\nkey="a"\ncolumns="x"\n',
            "/tables.toml, line 1: write each of tables.columns under a header of its own",
        ),
        (
            "[[tables]]\nsource=5\ntarget=6\nkey=7\ncolumns=[]\n",
            "line 1: Table: source must be a name, not 5; Table: target must be a name, not 6; "
            "Table 5: key must be the names of DynamoDB's key, not 7",
        ),
        ('[[tables]]\nsource="a"\ntarget="a"\nkey=1\ncolumns=[]\n', "line 1: Table a: key must be the names of DynamoDB's key, not 1"),
    ],
)
def test_toml_that_is_no_definition(tmp_path: Path, text: str, problem: str) -> None:
    assert problem in _refusal(tmp_path, text, "tables.toml")


def test_all_wrong_types_of_a_column_are_told_at_once(tmp_path: Path) -> None:
    text = (
        '[[tables]]\nsource="a"\ntarget="a"\nkey="id"\n[[tables.columns]]\nsource="id"\nname="id"\nrule="Uuid"\nmissing="REFUSED"\n'
        '[[tables.columns]]\nsource=["b"]\nname=3\nrule=5\nmissing=7\n'
    )
    told = _refusal(tmp_path, text, "tables.toml")
    assert [line.partition("column 3: ")[2].partition(" ")[0] for line in told.splitlines()] == ["its", "its", "5", "7"]


def test_check_definition_needs_no_database(tmp_path: Path) -> None:
    (tmp_path / "tables.toml").write_text(TOML)
    command = [sys.executable, "-m", "pipeline", "check-definition", str(tmp_path / "tables.toml")]

    checked = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True, env={"HOME": str(tmp_path)})

    [table] = json.loads(checked.stdout)["definitions"]
    assert [(column["name"], column["type"], column["missing"]) for column in table["columns"]] == [
        ("id", "uuid", "REFUSED"),
        ("total", "numeric(12,2)", {"Otherwise": {"content": "0"}}),
        ("note", "text", "NULL"),
        ("tags", "text[]", "COLUMN_DEFAULT"),
        ("at", "timestamp with time zone", "MIGRATION_TIME"),
        ("rest", "jsonb", {"Otherwise": {"content": {"M": {}}}}),
    ]
    assert table["where"]["AllOf"]["conditions"][:2] == [
        {"BeginsWith": {"path": "SK", "text": "ORDER#"}},
        {"Not": {"condition": {"Exists": {"path": "deletedAt"}}}},
    ]
    assert table["columns"][0]["source"] == {"Part": {"path": "SK", "pattern": "ORDER#{order}", "name": "order"}}
    assert table["columns"][1]["rule"]["Numeric"].items() >= {"precision": 12, "scale": 2, "least": 0}.items()
    assert table["columns"][2]["clean"] == ["TRIM", "EMPTY_AS_NULL"]
    assert table["children"] == []


def test_check_definition_shows_all_that_a_definition_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of child rows as of the table itself."""
    (tmp_path / "tables.toml").write_text(TOML)
    (tmp_path / "children.toml").write_text(CHILDREN_IN_TOML)

    assert main(["check-definition", str(tmp_path / "tables.toml")]) == 0
    shown = capsys.readouterr().out
    assert "App -> public.orders" in shown
    assert re.search(r"total +[│|] numeric\(12,2\) +[│|] total +[│|] '0' ", shown)
    assert "{order} of SK: ORDER#{order}" in shown
    assert 'where SK begins with "ORDER#" and not deletedAt exists and state is one of "NEW", "PAID"' in shown

    assert main(["check-definition", str(tmp_path / "children.toml")]) == 0
    shown = capsys.readouterr().out
    assert "Orders, each of lines -> order_line" in shown
    assert re.search(r"order_id +[│|] uuid +[│|] id of the item +[│|] REFUSED ", shown)
    assert "order_mark: column name" not in " ".join(shown.split())  # what cleaning costs is a fact, which preflight shows
    [table] = describe(find_tables(str(tmp_path / "children.toml")))["tables"]
    assert [(child["path"], child["target"]) for child in table["children"]] == [("lines", "order_line"), ("marks", "order_mark")]
    assert [(column["name"], column["source"], column["clean"]) for child in table["children"] for column in child["columns"]] == [
        ("order_id", {"Parent": {"source": "id"}}, []),
        ("position", "POSITION", []),
        ("name", "MEMBER", ["TRIM"]),
        ("mark", "ELEMENT", []),
    ]


# -- the reference -------------------------------------------------------------------------------------------------------------------------


def _missing_from_reference() -> Iterator[str]:
    reference = (ROOT / "docs" / "tables.md").read_text()
    for name in ddb2pg.__all__:
        if not re.search(rf"\b{name}\b", reference):
            yield name
        kind = getattr(ddb2pg, name)
        # The conditions of AllOf and AnyOf have no name, and `others` is not for definitions.
        if isinstance(kind, type) and is_dataclass(kind) and name not in ("AllOf", "AnyOf"):
            arguments = [argument.name for argument in fields(kind) if argument.init and argument.name != "others"]
            yield from (f"{name}({argument})" for argument in arguments if not re.search(rf"`{name}\([^`]*\b{argument}\b", reference))


def test_the_reference_names_all_that_a_definition_can_say() -> None:
    assert list(_missing_from_reference()) == []


def test_the_examples_of_the_reference_say_the_same(tmp_path: Path) -> None:
    """In Python and in TOML: a table, and one with child rows."""
    reference = (ROOT / "docs" / "tables.md").read_text()
    in_python, in_toml = (re.findall(rf"```{kind}\n(.*?)```", reference, re.DOTALL) for kind in ("python", "toml"))
    assert len(in_python) == len(in_toml) == 2
    for number, (python, toml) in enumerate(zip(in_python, in_toml, strict=True)):
        (tmp_path / f"orders_{number}.py").write_text(python)
        (tmp_path / f"orders_{number}.toml").write_text(toml)

        assert list(find_tables(str(tmp_path / f"orders_{number}.py"))) == list(find_tables(str(tmp_path / f"orders_{number}.toml")))


def test_the_recipes_are_definitions(tmp_path: Path) -> None:
    recipes = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "your-own-table.md").read_text(), re.DOTALL)
    for number, recipe in enumerate(recipes):
        (tmp_path / f"recipe{number}.py").write_text(recipe)
        assert find_tables(str(tmp_path / f"recipe{number}.py"))
    assert len(recipes) == 3
