"""`transforms/functions.py`: a definition's own functions, what they get and give, and what makes one another one."""

import base64
import json
import os
import pickle
import re
import subprocess
import sys
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from boto3.dynamodb.types import Binary, TypeDeserializer
from hypothesis import given
from made_tables import outcome, table_of
from sound_items import NULL
from strategies import BRIEF, structures, to_typed_json

from transforms.columns import compile_column
from transforms.compile import compile_table
from transforms.functions import to_python
from transforms.rejects import TransformRefused
from transforms.rules import Boolean, Jsonb, OneOf, Text
from transforms.sources import EMPTY_AS_NULL, TRIM, Computed
from transforms.table import Column, Missing, Otherwise, Table
from transforms.where import Check

ROOT = Path(__file__).parents[2]


def full_name(reads: Any) -> Any:
    """Of a person."""
    return f"{reads['first']} {reads['m.last']}".strip() if reads["first"] else None


NAME = Column(Computed(full_name, ("first", "m.last")), "name", Text())


def test_a_computed_value() -> None:
    """Rule: the function gets each path that it reads; None is a missing attribute; the rule goes on with what it gives."""
    assert outcome([NAME], {"first": {"S": "Ada"}, "m": {"M": {"last": {"S": "L."}}}}) == (["Ada L."], [])
    assert outcome([NAME], {"first": {"S": "Ada"}}) == (["Ada None"], [])
    assert outcome([NAME], {"first": NULL}) == ([None], [])
    assert outcome([Column(NAME.source, "name", Text(), Missing.REFUSED)], {}) == [("missing_required", "first")]
    assert outcome([Column(NAME.source, "name", Text(), Otherwise("none"))], {}) == (["none"], [])
    assert outcome([Column(NAME.source, "name", OneOf(("x",)))], {"first": {"S": "Ada"}}) == [("invalid_enum", "first")]
    assert outcome([Column(NAME.source, "name", Boolean())], {"first": {"S": "Ada"}}) == [("wrong_type", "first")]
    assert outcome([NAME], {"m": {"S": "x"}}) == [("wrong_type", "m")]
    assert outcome([NAME], {"first": {"L": [{"N": "x"}]}, "m": {"M": {"last": {"B": "?"}}}}) == [
        ("invalid_number", "first[0]"),
        ("invalid_base64", "m.last"),
    ]
    assert outcome([NAME], {"first": {"M": {"a": {"S": 1}}}}) == [("not_an_item", "first.a")]
    constant = Column(Computed(lambda _reads: " ", ()), "x", Text(), clean=(TRIM, EMPTY_AS_NULL))
    assert outcome([constant], {}) == ([None], [("trimmed", ""), ("empty_as_null", "")])


@BRIEF
@given(structures)
def test_a_function_gets_what_boto3_gives(structure: Any) -> None:
    """Of everything that boto3 can write; but for bytes, which it wraps."""
    value = to_typed_json(structure)
    assert to_python(value) == (_unwrapped(TypeDeserializer().deserialize(_with_bytes(value))))


def _with_bytes(value: Any) -> Any:
    ((tag, content),) = value.items()
    match tag:
        case "M":
            return {"M": {name: _with_bytes(member) for name, member in content.items()}}
        case "L":
            return {"L": [_with_bytes(member) for member in content]}
        case "B":
            return {"B": base64.b64decode(content)}
        case "BS":
            return {"BS": [base64.b64decode(member) for member in content]}
    return value


def _unwrapped(value: Any) -> Any:
    match value:
        case Binary():
            return value.value
        case dict():
            return {name: _unwrapped(member) for name, member in value.items()}
        case list():
            return [_unwrapped(member) for member in value]
        case set():
            return set(map(_unwrapped, value))
    return value


def test_numbers_are_exact_and_u_0000_is_there() -> None:
    """More digits than boto3 takes; and a function may clean what PostgreSQL cannot store."""
    digits = "1" * 60 + ".5"
    column = Column(Computed(lambda reads: reads["n"], "n"), "x", Jsonb())
    assert outcome([column], {"n": {"N": digits}}) == ([digits], [])
    clean = Column(Computed(lambda reads: reads["n"].replace("\0", ""), "n"), "x", Text())
    assert outcome([clean], {"n": {"S": "a\0b"}}) == (["ab"], [])
    assert outcome([column], {"n": {"S": "a\0b"}}) == [("nul_character", "n")]


@pytest.mark.parametrize(
    ("given_value", "expected"),
    [
        ("é", '"é"'),
        (True, "true"),
        (10**40, "1" + "0" * 40),
        (Decimal("1.50"), "1.50"),
        (Decimal("1E+5"), "1E+5"),
        (b"\x00\xff", '"AP8="'),
        ([1, [None, {}]], "[1,[null,{}]]"),
        ({"a": {"b": [True]}}, '{"a":{"b":[true]}}'),
    ],
)
def test_what_a_function_may_give(given_value: Any, expected: str) -> None:
    assert outcome([Column(Computed(lambda _reads: given_value), "x", Jsonb())], {}) == ([expected], [])


class Text2(str):
    """A text of a class of one's own."""

    __slots__ = ()


ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)


@pytest.mark.parametrize(
    "given_value",
    [
        1.5,
        {1, 2},
        (1, 2),
        object(),
        [1.5],
        {"a": {1}},
        {1: "a"},
        Decimal("NaN"),
        Decimal("Infinity"),
        "\ud800",
        ["\udfff"],
        {"\ud800": 1},
        ENDLESS,
        Text2("a"),
        int,
        10**5_000,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_function_may_not_give(given_value: Any) -> None:
    """Another type, no number, no Unicode, no end."""
    column = Column(Computed(lambda _reads: given_value, "a"), "x", Jsonb())
    assert outcome([column], {}) == [("function_failed", "a")]


def test_a_number_outside_dynamodb_s_range_is_no_number() -> None:
    assert outcome([Column(Computed(lambda _reads: 10**200, "a"), "x", Jsonb())], {}) == [("invalid_number", "a")]


def test_what_a_function_raises_is_told_without_its_text() -> None:
    """The type of the exception, the function and its line; nothing of the item, in the exceptions behind it neither."""

    def fails(reads: Any) -> Any:
        message = f"bad {reads['a']}"
        raise LookupError(message)

    to_row = compile_table(table_of(Column(Computed(fails, "a"), "x", Text())), migration_time=0)
    with pytest.raises(TransformRefused) as caught:
        to_row(json.dumps({"Item": {"a": {"S": "secret"}}}).encode())
    (error,) = caught.value.errors
    where = f"test_functions.py, line {fails.__code__.co_firstlineno}"
    assert error.message == f"the definition's function {fails.__qualname__} ({where}) raised LookupError"
    assert (str(error.code), error.attribute, error.column) == ("function_failed", "a", "x")


def test_what_says_nothing_of_the_item_is_not_caught() -> None:
    """No memory, and the user's own interrupt."""
    for error in (MemoryError, KeyboardInterrupt):

        def fails(_reads: Any, error: type[BaseException] = error) -> Any:
            raise error

        with pytest.raises(error):
            compile_table(table_of(Column(Computed(fails), "x", Text())), migration_time=0)(b'{"Item":{}}')


@pytest.mark.parametrize(
    ("function", "reads", "words"), [("x", "a", "is no function"), (str, "a", "is no function"), (len, (1,), "must read paths")]
)
def test_what_is_no_function(function: Any, reads: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        compile_column(Column(Computed(function, reads), "x", Text()), 0)


# -- fingerprints --------------------------------------------------------------------------------------------------------------------------


def fingerprint_of(text: str, name: str = "f") -> str:
    """Of a table with this function, as a definition's file that says so has it."""
    scope: dict[str, Any] = {"__name__": "definitions"}
    exec(text, scope)  # noqa: S102 - the test's own text
    column = Column(Computed(scope[name], "a"), "x", Text())
    with_check = table_of(column, where=Check(scope[name], "a"))
    assert table_of(column).fingerprint != with_check.fingerprint
    return with_check.fingerprint


BASE = "import re\nLIMIT = 3\nPATTERN = re.compile('a')\ndef g(a, b=1):\n    return a + b\ndef f(reads):\n    return g(reads['a'])\n"
CHANGES = [
    BASE.replace("return g(reads['a'])", "return g(reads['b'])"),
    BASE.replace("return g(reads['a'])", "return g(reads['a'], 2)"),
    BASE.replace("b=1", "b=2"),
    BASE.replace("a + b", "a - b"),
    BASE.replace("g(reads['a'])", "LIMIT"),
    BASE.replace("g(reads['a'])", "LIMIT").replace("LIMIT = 3", "LIMIT = 4"),
    BASE.replace("g(reads['a'])", "PATTERN.search(reads['a'])"),
    BASE.replace("g(reads['a'])", "PATTERN.search(reads['a'])").replace("compile('a')", "compile('b')"),
    BASE.replace("g(reads['a'])", "PATTERN.search(reads['a'])").replace("compile('a')", "compile('a', re.I)"),
    BASE.replace("g(reads['a'])", "PATTERN.match(reads['a'])"),
    BASE.replace("g(reads['a'])", "[each for each in reads['a']]"),
    BASE.replace("g(reads['a'])", "[each + 1 for each in reads['a']]"),
    BASE.replace("g(reads['a'])", "reads['a'] in {'x', 'y', 'z'}"),
    BASE.replace("g(reads['a'])", "reads['a'] in {'x', 'y', 'w'}"),
    BASE.replace("g(reads['a'])", "(lambda b: b + 1)(reads['a'])"),
    BASE.replace("g(reads['a'])", "(lambda b: b + 2)(reads['a'])"),
    BASE + "def h(n):\n    return lambda reads: n\nf = h(1)\n",
    BASE + "def h(n):\n    return lambda reads: n\nf = h(2)\n",
    BASE + "from functools import partial\nf = partial(g, b=1)\n",
    BASE + "from functools import partial\nf = partial(g, b=2)\n",
    BASE + "class C:\n    def m(self, reads):\n        return 1\nf = C().m\n",
    BASE + "class C:\n    def m(self, reads):\n        return 2\nf = C().m\n",
    BASE + "f = 'abc'.count\n",
    BASE + "f = 'abd'.count\n",
    BASE + "f = len\n",
]
SAME = [
    "# A comment.\n\n" + BASE,
    BASE.replace("def f(reads):\n", "def f(reads):\n    '''A docstring.'''\n\n    # A comment.\n"),
    BASE + "def unused():\n    return 7\n",
    BASE.replace("LIMIT = 3", "LIMIT = 4"),
]


def test_a_change_of_a_function_s_code_is_a_change() -> None:
    """Or of what it calls or names: constants, defaults, closures, nested functions, globals of its own file."""
    found = [fingerprint_of(text) for text in (BASE, *CHANGES)]
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("text", SAME)
def test_what_a_function_does_not_do_is_no_change(text: str) -> None:
    """A docstring is the first constant of the code, which other constants then stand behind."""
    if "docstring" in text:
        with_other = text.replace("A docstring.", "Another docstring, longer.")
        assert fingerprint_of(text) == fingerprint_of(with_other)
    else:
        assert fingerprint_of(text) == fingerprint_of(BASE)


def test_it_is_the_same_in_every_process_and_on_a_worker(tmp_path: Path) -> None:
    """Sets have another order there, and a function that travels with the job has no file."""
    text = (
        BASE.replace("g(reads['a'])", "g(reads['a']) in {'x', 'y', 'z', 'u', 'v', 'w'} or PATTERN.search(h(LIMIT))")
        + "def h(n):\n    return f and str(n)\n"
    )
    (tmp_path / "definitions_of_one.py").write_text(
        text + "from ddb2pg import *\nTABLES = [Table('s', 't', 'id', [Column(Computed(f, 'a'), 'x', Text())], where=Check(h, 'a'))]\n"
    )
    dump = (
        "import sys; from pathlib import Path; from apache_beam.internal import cloudpickle_pickler as p; sys.path.append(sys.argv[2]); "
        "import definitions_of_one as d; p.cloudpickle.register_pickle_by_value(d); "
        "Path(sys.argv[1]).write_bytes(p.dumps(d.TABLES[0])); print(d.TABLES[0].fingerprint)"
    )
    load = (
        "import sys; from pathlib import Path; from apache_beam.internal import cloudpickle_pickler as p; "
        "table = p.loads(Path(sys.argv[1]).read_bytes()); again = p.loads(p.dumps(table)); print(table.fingerprint, again.fingerprint); "
        "sys.path.append(sys.argv[2]); import definitions_of_one as d; print(d.TABLES[0].fingerprint)"
    )
    found: list[str] = []
    for seed, program in (("1", dump), ("2", load)):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        arguments = [sys.executable, "-c", program, str(tmp_path / "table"), str(tmp_path)]
        found += subprocess.run(arguments, env=environment, cwd="/", capture_output=True, text=True, check=True).stdout.split()
    assert len(found) == 4
    assert len(set(found)) == 1


def recursive(reads: Any) -> Any:
    return recursive(reads) if reads else None


def test_a_function_that_calls_itself_has_one() -> None:
    assert re.fullmatch("[0-9a-f]{16}", table_of(Column(Computed(recursive), "x", Text())).fingerprint)


class Odd(Text):
    """A rule of one's own."""

    def encoder(self, attribute: str) -> Any:
        encode = super().encoder(attribute)
        return lambda text, notices: encode(text + "!", notices)


class Even(Text):
    """Another."""

    def encoder(self, attribute: str) -> Any:
        encode = super().encoder(attribute)
        return lambda text, notices: encode(text + "?", notices)


def test_the_code_of_a_rule_of_one_s_own_is_part_of_it() -> None:
    """Whatever it is called."""
    Even.__qualname__ = Even.__name__ = "Odd"
    assert table_of(Column("a", "x", Odd())).fingerprint != table_of(Column("a", "x", Even())).fingerprint


def test_definitions_with_functions_pickle() -> None:
    table = Table("s", "t", "id", [NAME, Column(Computed(partial(full_name), "a"), "y", Text())], where=Check(full_name, "a"))
    again = pickle.loads(pickle.dumps(table))  # noqa: S301 - our own bytes
    assert again.fingerprint == table.fingerprint
    assert again.where == table.where
