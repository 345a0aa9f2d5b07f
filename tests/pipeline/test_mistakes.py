"""Mistakes that people make in definitions, each with the message that a stranger gets: where it is, and what to write instead.

The messages are looked at one by one; a change of one is a change of the interface.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.definitions.find import find_tables
from pipeline.errors import Refused

PYTHON = """from ddb2pg import *

TABLES = [
    Table("Orders", "orders", key=("id",), {}columns=(
        Column("id", "id", Uuid(), Missing.REFUSED),
        {},
    )),
]
"""
TOML = """[[tables]]
source = "Orders"
target = "orders"
key = ["id"]

[[tables.columns]]
source = "id"
name = "id"
rule = "Uuid"
missing = "REFUSED"

[[tables.columns]]
source = "total"
name = "total"
"""
OF_COLUMN = "--tables FILE: the table Orders -> orders, column total (line 6): "
IN_COLUMNS = [
    ('Column("total", "total", Numeric(precison=12))', "FILE, line 6: Numeric takes no precison: did you mean precision?"),
    ('Column("total", "total", Text(), Missing.REQUIRED)', "FILE, line 6: Missing has no REQUIRED: did you mean REFUSED?"),
    ('Column("total", "total", Text(), Missing.DEFAULT)', "FILE, line 6: Missing has no DEFAULT: did you mean COLUMN_DEFAULT?"),
    (
        'Column("total", "total", Numric(12, 2))',
        "--tables FILE: cannot be imported: FILE, line 6: NameError: name 'Numric' is not defined: did you mean Numeric?",
    ),
    (
        'Column("total", "total", Text(), REFUSED)',
        "--tables FILE: cannot be imported: FILE, line 6: NameError: name 'REFUSED' is not defined: did you mean Missing.REFUSED?",
    ),
    ('Column("total", "id", Text())', "--tables FILE: the table Orders -> orders: has the column id 2 times (line 5 or 6)"),
    ('Column("total", "total", Text)', OF_COLUMN + "Text is no rule; write Text()"),
    ('Column("total", "total", Array(Text))', OF_COLUMN + "Array: Text is no rule; write Text()"),
    ('Column("total", "total", "Txt")', OF_COLUMN + "'Txt' is no rule: did you mean Text?"),
    ('Column("total", "total", Array("text"))', OF_COLUMN + "Array: 'text' is no rule: did you mean Text?"),
    ('Column("total", "total")', "--tables FILE: cannot be imported: FILE, line 6: TypeError: Column needs rule"),
    ('Column("total", "total", Varchar("40"))', OF_COLUMN + "Varchar: length must be a whole number, not '40'"),
    ('Column("total", "total", Timestamp(earliest="2000"))', OF_COLUMN + "Timestamp: earliest must be a whole number, not '2000'"),
    ('Column("total", "total", OneOf(("a", 1)))', OF_COLUMN + "OneOf: values must be texts, not ('a', 1)"),
    ('Column("total", "total", OneOf(()))', OF_COLUMN + "OneOf: has no values, so it would refuse every item"),
    (
        'Column("lines..sku", "total", Text())',
        OF_COLUMN + r"the path 'lines..sku' has a name without a letter; a dot that is part of a name is \.",
    ),
    (
        'Column("total", "total", Numeric(tags=("NUMBER",)))',
        OF_COLUMN + "NUMBER is no type tag; DynamoDB's are S N B BOOL NULL M L SS NS BS",
    ),
    ('Column("total", "total", Numeric(tags=("N", "BOOL")))', OF_COLUMN + "Numeric cannot take all of the type tags N, BOOL"),
    ('Column("total", "total", Numeric(tags="N"))', OF_COLUMN + "Numeric: tags must be a tuple: tags=('N',)"),
    ('Column("total", "total", OneOf("OPEN"))', OF_COLUMN + "OneOf: values must be a tuple: values=('OPEN',)"),
    (
        'Column(Part("SK", "ORDER#{day}#{number}", "date"), "total", Date())',
        OF_COLUMN + "the pattern 'ORDER#{day}#{number}' has no {date}, but day, number",
    ),
    (
        'Column(Part("SK", "ORDER#{day}{number}", "day"), "total", Date())',
        OF_COLUMN + "the pattern 'ORDER#{day}{number}' must have placeholders, each of another name, and something between two of them",
    ),
    ('Column("total", "total", Integer(least=10, most=1))', OF_COLUMN + "Integer: least 10 is above most 1"),
    (
        'Column("total", "total", Numeric(2, 4))',
        OF_COLUMN + "Numeric: precision is from 1 to 1000, and scale from 0 to the precision",
    ),
    (
        'Column("total", "total", Integer(), Otherwise(0))',
        OF_COLUMN + "Otherwise(content=0) is no content for Integer: it must be of type str, as DynamoDB spells numbers: Otherwise('0')",
    ),
    (
        'Column("total", "total", Integer(least=1), Otherwise("0"))',
        OF_COLUMN + "Otherwise(content='0') must be at least 1 and at most 2147483647",
    ),
    (
        'Column("total", "total", Text(), Missing.MIGRATION_TIME)',
        OF_COLUMN + "Missing.MIGRATION_TIME is a time, and Text fills a text",
    ),
    (
        'Column("total", "total", Timestamp("seconds"))',
        OF_COLUMN + "Timestamp: 'seconds' is none of its forms: s, ms, us, epoch, iso",
    ),
    (
        'Column("total", "total", Timestamp("iso", zone="Europe/Berln"))',
        OF_COLUMN + "Timestamp: 'Europe/Berln' is no time zone that this machine knows; write one as Europe/Berlin",
    ),
    (
        'Column("total", "total", Timestamp("epoch", earliest=0))',
        OF_COLUMN + "Timestamp: a number can be plausible in two units within its bounds; narrow earliest and latest, or name the form",
    ),
    (
        'Column("total", "total", Integer(), clean=(TRIM,))',
        OF_COLUMN + "clean is for texts (S), and Integer takes N; leave it out",
    ),
    (
        'Column("total", "total", Uuid(empty_as_null=True), Missing.REFUSED)',
        OF_COLUMN + "empty_as_null makes NULL of an empty text, and Missing.REFUSED forbids NULL; one of them has to go",
    ),
    (
        'Column("lines[0.sku", "total", Text())',
        OF_COLUMN + r"the path 'lines[0.sku' has a [ that is no index of an element, as in lines[0].sku; as part of a name it is \[",
    ),
]
IN_CONDITIONS = [
    (
        'where="entity = 1", ',
        "--tables FILE: the table Orders -> orders, where: 'entity = 1' is no condition; "
        "conditions are Equals, In, BeginsWith, Exists, AllOf, AnyOf, Not and Check",
    ),
    (
        'where=And(Exists("n")), ',
        "--tables FILE: cannot be imported: FILE, line 4: NameError: name 'And' is not defined: did you mean AllOf?",
    ),
    (
        'where=Equals("n"), ',
        "--tables FILE: cannot be imported: FILE, line 4: TypeError: Equals needs value",
    ),
    (
        'children=Child("lines", "line", ()), ',
        "--tables FILE: cannot be imported: FILE, line 4: TypeError: Table Orders: children must be several, (Child(...),)",
    ),
    (
        'where=Equals("n", 1.5), ',
        "--tables FILE: the table Orders -> orders, where: Equals(path='n', value=1.5): a value must be str, int, Decimal or bool",
    ),
    (
        'where=In("n", "ab"), ',
        "--tables FILE: cannot be imported: FILE, line 4: TypeError: In: values must be several: ('ab',)",
    ),
]
IN_TOML = [
    (TOML + 'rule = "Numric"\n', "FILE, line 12: there is no rule Numric: did you mean Numeric?"),
    (TOML + "rule = { Numeric = { precison = 12 } }\n", "FILE, line 12: Numeric takes no precison: did you mean precision?"),
    (TOML + "rule = Numeric\n", 'FILE: TOMLDecodeError: Invalid value (at line 15, column 8); a text is in quotes, as rule = "Text"'),
    (TOML + 'rule = { Array = "text" }\n', "FILE, line 12: there is no rule text: did you mean Text?"),
    (TOML + "rule = { Equals = 1 }\n", "FILE, line 12: Equals needs value"),
    (TOML, "FILE, line 12: Column needs rule"),
    (TOML + 'rule = "Varchar"\n', "FILE, line 12: Varchar needs length: rule = { Varchar = { length = ... } }"),
    (
        TOML + 'rule = "Text"\nmissing = "none"\n',
        "FILE, line 12: missing has no none; there are REFUSED, NULL, MIGRATION_TIME, COLUMN_DEFAULT, or a content, as "
        '{ Otherwise = "none" }',
    ),
    (
        TOML + 'rule = "Text"\nmissing = "DEFAULT"\n',
        "FILE, line 12: missing has no DEFAULT: did you mean COLUMN_DEFAULT?; there are REFUSED, NULL, MIGRATION_TIME, COLUMN_DEFAULT, or "
        'a content, as { Otherwise = "DEFAULT" }',
    ),
    (
        TOML.replace("[[tables]]", "[tables]").partition("\n\n")[0],
        "FILE: write each of tables under a header of its own, in double brackets: [[tables]]",
    ),
    (
        TOML.replace("key =", 'where = { Greater = ["n", 1] }\nkey =') + 'rule = "Text"\n',
        "FILE, line 1: there is no Greater; conditions are Equals, In, BeginsWith, Exists, AllOf, AnyOf, Not",
    ),
    (
        TOML.replace('"total"\nname', '{ Computed = { function = "f" } }\nname') + 'rule = "Text"\n',
        "FILE, line 12: Computed takes a function of Python, so its definition is a file of Python; docs/tables.md shows both forms",
    ),
]


def message(path: Path, text: str) -> str:
    path.write_text(text)
    with pytest.raises(Refused) as caught:
        find_tables(str(path))
    # The file's own name is the test's.
    return "\n".join(caught.value.problems).replace(str(path), "FILE")


@pytest.mark.parametrize(("column", "expected"), IN_COLUMNS, ids=[column for column, _ in IN_COLUMNS])
def test_a_mistake_in_a_column(tmp_path: Path, column: str, expected: str) -> None:
    assert message(tmp_path / "orders.py", PYTHON.replace("{}", "", 1).replace("        {},", f"        {column},")) == expected


@pytest.mark.parametrize(("where", "expected"), IN_CONDITIONS, ids=[where for where, _ in IN_CONDITIONS])
def test_a_mistake_in_a_condition(tmp_path: Path, where: str, expected: str) -> None:
    text = PYTHON.replace("{}", where, 1).replace("        {},", '        Column("n", "n", Text()),')
    assert message(tmp_path / "orders.py", text) == expected


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ('Column(Parent(Part("PK", "A#{a}", "b")), "part", Text())', "the pattern 'A#{a}' has no {b}, but a"),
        (
            'Column(Parent(POSITION), "part", Text())',
            "Parent takes a path, LaterOf, Part, Joined or Computed, not <OfElement.POSITION: 'position'>",
        ),
        ('Column("sku", "part", Text)', "Text is no rule; write Text()"),
    ],
)
def test_a_mistake_in_a_child(tmp_path: Path, column: str, expected: str) -> None:
    of_children = f'children=(Child("lines", "order_line", (\n    {column},\n)),), '
    text = PYTHON.replace("{}", of_children, 1).replace("        {},\n", "")
    place = "--tables FILE: the table Orders -> orders, its child order_line, column part (line 5): "
    assert message(tmp_path / "orders.py", text) == place + expected


@pytest.mark.parametrize(("text", "expected"), IN_TOML, ids=[expected.partition(": ")[2] for _, expected in IN_TOML])
def test_a_mistake_in_toml(tmp_path: Path, text: str, expected: str) -> None:
    assert message(tmp_path / "orders.toml", text) == expected


UTF_8 = "is no text in UTF-8; save it as UTF-8"
BESIDE = (
    "; helper.py beside it is not read, because workers get a definition as one file: copy what it needs of it, or make them a package, "
    "install that, and give the module's name"
)
DEFINITION_IS = "a definition is a file whose name ends in .py or .toml, or a module that Python can import"


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("orders.py", PYTHON.encode("utf-16"), f"FILE: {UTF_8}"),
        ("orders.py", "a = 1\n# caf\xe9\n".encode("latin-1"), f"FILE, line 2: {UTF_8}"),
        ("orders.py", b"a = 1\0", "FILE: holds U+0000, so it is no text in UTF-8; save it as UTF-8"),
        ("orders.toml", TOML.encode("utf-16"), f"FILE: {UTF_8}"),
        ("orders.toml", "a = 'caf\xe9'\n".encode("latin-1"), f"FILE: {UTF_8}"),
        (
            "orders.py",
            b"from helper import COLUMNS\n",
            "--tables FILE: cannot be imported: FILE, line 1: ModuleNotFoundError: No module named 'helper'" + BESIDE,
        ),
        ("orders.json", b"{}", f"--tables FILE: {DEFINITION_IS}"),
        ("orders.py", b"", "--tables FILE: must have TABLES, a sequence of ddb2pg.Table: TABLES = [Table(...)]"),
        ("orders.toml", b"", "FILE: has no [[tables]]"),
    ],
)
def test_a_file_that_is_no_definition(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    (tmp_path / "helper.py").write_text("COLUMNS = ()\n")
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(Refused) as caught:
        find_tables(str(path))
    assert "\n".join(caught.value.problems).replace(str(path), "FILE") == expected


def test_a_module_that_is_not_there() -> None:
    with pytest.raises(Refused) as caught:
        find_tables("no_such_module.orders")
    assert caught.value.problems[0].endswith(f"No module named 'no_such_module'; {DEFINITION_IS}")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "latin-1"])
def test_a_file_of_another_encoding_that_it_names(tmp_path: Path, encoding: str) -> None:
    """A mark at its beginning, as editors on Windows write, or Python's own comment."""
    column = 'Column("caf\xe9", "total", Text())'
    text = "" if encoding == "utf-8-sig" else f"# coding: {encoding}\n"
    path = tmp_path / "orders.py"
    path.write_bytes((text + PYTHON.replace("{}", "", 1).replace("        {},", f"        {column},")).encode(encoding))
    assert find_tables(str(path))[0].columns[1].source == "caf\xe9"
    path = tmp_path / "orders.toml"
    path.write_bytes((TOML + 'rule = "Text"\n').encode("utf-8-sig"))
    assert len(find_tables(str(path))) == 1


def test_a_definition_without_a_mistake(tmp_path: Path) -> None:
    """The frame around the mistakes is sound."""
    path = tmp_path / "orders.py"
    path.write_text(PYTHON.replace("{}", "", 1).replace("        {},", '        Column("total", "total", Text()),'))
    assert len(find_tables(str(path))) == 1
    path = tmp_path / "orders.toml"
    path.write_text(TOML + 'rule = "Text"\n')
    assert len(find_tables(str(path))) == 1
