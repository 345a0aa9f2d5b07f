"""What preflight says of the tables of child rows: all that it says of any other target, and what becomes of the first items."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from psycopg2.extensions import make_dsn

from ddb2pg import ELEMENT, MEMBER, POSITION, Child, Column, Computed, Integer, Missing, Parent, Table, Text, Uuid, Varchar
from pipeline.outcome.outcome import Verdict
from pipeline.places.storage import LOCAL_AND_AWS
from pipeline.preflight.exports import Planned
from pipeline.preflight.sample import SampledChild, estimate_bytes, sample_table
from pipeline.preflight.targets import compiled_findings
from pipeline.source.manifest import read_export
from tests.command_line import CommandLine
from tests.handmade_export import write_export
from tests.pipeline.conftest import Look
from tests.postgres_server import Database
from transforms.native import plan as native
from transforms.table import Unmapped

pytestmark = pytest.mark.plain

ID = "00000000-0000-4000-8000-000000000001"
ORDER = Column(Parent("id"), "order_id", Uuid(), Missing.REFUSED)
PLACE = Column(POSITION, "position", Integer(), Missing.REFUSED)
LINES = Child("lines", "order_line", (ORDER, PLACE, Column("sku", "sku", Text(), Missing.REFUSED)))
ORDERS = Table("orders", "orders", "id", (Column("id", "id", Uuid(), Missing.REFUSED),), children=(LINES,))
DEFINITION = """
from ddb2pg import POSITION, Child, Column, Computed, Integer, Missing, Parent, Table, Text, Uuid

LINES = Child("lines", "order_line", (
    Column(Parent("id"), "order_id", Uuid(), Missing.REFUSED),
    Column(POSITION, "position", Integer(), Missing.REFUSED),
    Column({sku}, "sku", Text()),
))
TABLES = [Table("orders", "orders", "id", (Column("id", "id", Uuid(), Missing.REFUSED),), children=(LINES,))]
"""
TARGETS = """
CREATE TABLE orders (id uuid PRIMARY KEY);
CREATE TABLE order_line (order_id uuid, position integer, sku text, PRIMARY KEY (order_id, position));
"""


def order(lines: object, **attributes: object) -> bytes:
    return json.dumps({"Item": {"id": {"S": ID}, "lines": lines, **attributes}}).encode()


FindBeyondFacts = Callable[..., list[tuple[str, str]]]


@pytest.fixture
def export(tmp_path: Path, database: Database) -> Path:
    database.execute(TARGETS)
    lines = {"L": [{"M": {"sku": {"S": f"SECRET {number}"}}} for number in range(5)]}
    return write_export(tmp_path / "export", "orders", [[order(lines)]])


@pytest.fixture
def child_findings(look: Look, export: Path) -> FindBeyondFacts:
    """Verdict and code of each problem and warning of the child's table, but for its cost."""

    def find(table: Table = ORDERS, **changed: object) -> list[tuple[str, str]]:
        found = look(tables=[table], exports=[export], **changed)
        return [
            (one.verdict.value, one.name)
            for one in found
            if one.table == "order_line" and one.verdict is not Verdict.FACT and one.name != "not_compiled_child"
        ]

    return find


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("SELECT", []),
        ("DROP TABLE order_line", [("fail", "no_table")]),
        ("ALTER TABLE order_line DROP sku", [("fail", "no_column")]),
        ("ALTER TABLE order_line ALTER sku TYPE varchar(5)", [("fail", "wrong_type")]),
        ("ALTER TABLE order_line ADD price numeric NOT NULL", [("fail", "column_not_fed")]),
        ("ALTER TABLE order_line DROP CONSTRAINT order_line_pkey", [("warning", "no_row_key")]),
        ("INSERT INTO order_line VALUES (gen_random_uuid(), 0, '')", [("fail", "not_empty")]),
        ("CREATE RULE away AS ON INSERT TO order_line DO INSTEAD NOTHING", [("fail", "insert_rules")]),
        ("CREATE INDEX ON order_line (sku)", [("warning", "indexes")]),
        ("CREATE UNIQUE INDEX ON order_line (sku)", [("warning", "unique_indexes")]),
        ("ALTER TABLE order_line SET UNLOGGED", [("warning", "unlogged")]),
        ("CREATE TABLE heir () INHERITS (order_line)", [("fail", "heirs")]),
        (
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'; "
            "CREATE TRIGGER stamp BEFORE INSERT ON order_line FOR EACH ROW EXECUTE FUNCTION f()",
            [("warning", "triggers_before_rows")],
        ),
        ("CREATE ROLE anon; GRANT USAGE ON SCHEMA public TO anon; GRANT SELECT ON order_line TO anon", [("warning", "exposed_to_api")]),
    ],
)
def test_a_table_of_child_rows_is_looked_at_as_any_other(
    database: Database, child_findings: FindBeyondFacts, change: str, found: list[tuple[str, str]]
) -> None:
    database.execute(change)

    try:
        assert child_findings() == found
    finally:
        if "anon" in change:
            database.execute("DROP OWNED BY anon; DROP ROLE anon")


def test_a_column_that_may_get_null_must_take_it(database: Database, child_findings: FindBeyondFacts) -> None:
    database.execute("ALTER TABLE order_line ALTER sku SET NOT NULL")
    child = Child("lines", "order_line", (ORDER, PLACE, Column("sku", "sku", Text())))

    assert child_findings(Table("orders", "orders", "id", ORDERS.columns, children=(child,))) == [("fail", "not_null")]


def test_a_role_needs_its_rights_on_it(database: Database, child_findings: FindBeyondFacts, role: str) -> None:
    """And row security that applies to the role keeps its rows out."""
    url = make_dsn(database.url, user=role)
    database.execute(
        f"GRANT INSERT, SELECT ON orders TO {role}; GRANT SELECT ON order_line TO {role}; REVOKE INSERT ON order_line FROM {role}"
    )
    assert child_findings(url=url) == [("fail", "no_privilege")]

    database.execute(f"GRANT INSERT ON order_line TO {role}; ALTER TABLE order_line ENABLE ROW LEVEL SECURITY")
    assert child_findings(url=url) == [("fail", "row_security_forbids")]


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ("ALTER TABLE order_line ADD FOREIGN KEY (order_id) REFERENCES orders", [("warning", "foreign_key")]),
        (
            "CREATE TABLE product (sku text PRIMARY KEY); ALTER TABLE order_line ADD FOREIGN KEY (sku) REFERENCES product",
            [("fail", "foreign_key_unmet")],
        ),
        ("ALTER TABLE orders ADD FOREIGN KEY (id) REFERENCES order_line (order_id)", []),
    ],
)
def test_its_rows_are_written_after_their_items(
    database: Database, child_findings: FindBeyondFacts, look: Look, export: Path, keys: str, found: object
) -> None:
    """So a key of theirs to the item's table finds its row, and one the other way does not."""
    if "REFERENCES order_line" in keys:
        database.execute("ALTER TABLE order_line ADD UNIQUE (order_id)")
        database.execute(keys)
        assert [(one.table, one.verdict.value) for one in look.of("foreign_key_unmet", tables=[ORDERS], exports=[export])] == [
            ("orders", "fail")
        ]
        return
    database.execute(keys)

    assert child_findings() == found


def test_another_definition_may_not_fill_it(database: Database, look: Look, export: Path) -> None:
    tables = [ORDERS, Table("orders", "public.order_line", "id", LINES.columns[2:])]

    assert {one.table for one in look.of("same_table", tables=tables, exports=[export])} == {"public.order_line"}
    assert database.value("SELECT count(*) FROM order_line") == 0


@pytest.mark.skipif(not native.IS_BUILT, reason="there is no compiled conversion, which preflight says instead")
def test_what_is_made_in_python_is_named_with_its_cost() -> None:
    """Of each child once, and each column that the compiled conversion does not make."""
    columns = (*LINES.columns, Column(Computed(len, reads=("sku",)), "length", Integer()))
    table = Table("orders", "orders", "id", ORDERS.columns, children=(Child("lines", "order_line", columns),))

    told = [(one.verdict, one.name, one.table, one.detail) for one in compiled_findings(table)]

    assert [(verdict, code, target) for verdict, code, target, _ in told] == [
        (Verdict.WARNING, "not_compiled_child", "order_line"),
        (Verdict.WARNING, "not_compiled_column", "order_line"),
    ]
    assert "3 microseconds for each item and 2 for each row" in told[0][3]
    assert told[1][3].startswith("column length: Python makes its values (Computed Integer), some 11 microseconds for each row")


def test_migrate_says_so_too(run: CommandLine, export: Path, tmp_path: Path) -> None:
    definition = tmp_path / "orders.py"
    definition.write_text(DEFINITION.format(sku="Computed(lambda item: item['sku'], ('sku',))"))

    finished = run.migrate(export, f"--tables={definition}")

    assert finished.exit_code == 0, finished.output
    if native.IS_BUILT:
        assert "warning: order_line: Python finds the elements of lines" in finished.stdout
        assert "warning: order_line: column sku: Python makes its values (Computed Text)" in finished.stdout


def test_a_childs_attribute_that_no_item_has_is_told(run: CommandLine, export: Path, tmp_path: Path) -> None:
    """By preflight of the first items, and by migrate of all; with the name that items have."""
    definition = tmp_path / "orders.py"
    definition.write_text(DEFINITION.format(sku="'sku'").replace('Child("lines"', 'Child("line"').replace('Parent("id")', 'Parent("Id")'))

    looked = " ".join(run("preflight", "--export", export, f"--tables={definition}").stdout.split())
    assert "has line (items have lines), Id (items have id)" in looked

    finished = run.migrate(export, f"--tables={definition}")
    assert "no item of the export has Id (items have id), line (items have lines)" in " ".join(finished.stdout.split())


# -- the first items -----------------------------------------------------------------------------------------------------------------------


def sampled(tmp_path: Path, table: Table, line: bytes, *, show_values: bool = False) -> list[SampledChild]:
    export = read_export(str(write_export(tmp_path / f"export-{show_values}", "orders", [[line]])))
    [item] = sample_table(Planned(table, export), 1, Unmapped.NOTICE, LOCAL_AND_AWS, 0, show_values=show_values).items
    return list(item.children)


def shown(child: SampledChild) -> list[list[tuple[str | None, str | None, str | None]]]:
    return [[(column.attribute, column.source, column.row) for column in row] for row in child.rows]


def test_the_rows_of_an_item_stand_below_it(tmp_path: Path) -> None:
    """The first three, with the values that feed them, as shapes or as they are."""
    line = order({"L": [{"M": {"sku": {"S": f"SECRET-{number}"}}} for number in range(5)]})

    [masked] = sampled(tmp_path, ORDERS, line)
    assert (masked.target_table, masked.elements, len(masked.rows)) == ("order_line", 5, 3)
    assert shown(masked)[1] == [
        ("id", "S(36) uuid", "uuid"),
        ("POSITION", "N(1) digits", "integer"),
        ("sku", "S(8) upper-case word", "text(8) upper-case word"),
    ]
    [plain] = sampled(tmp_path, ORDERS, line, show_values=True)
    assert shown(plain)[1] == [("id", f'{{"S":"{ID}"}}', ID), ("POSITION", '{"N":"1"}', "1"), ("sku", '{"S":"SECRET-1"}', "SECRET-1")]


def test_members_of_a_map_are_shown_without_their_names(tmp_path: Path) -> None:
    child = Child("lines", "order_line", (Column(MEMBER, "name", Text()), Column(ELEMENT, "value", Varchar(40))))
    table = Table("orders", "orders", "id", ORDERS.columns, children=(child,))

    [masked] = sampled(tmp_path, table, order({"M": {"SECRET": {"S": "SECRET"}}}))

    assert masked.elements == 1
    assert "SECRET" not in str(masked)
    assert [attribute for [row] in [masked.rows] for attribute in [column.attribute for column in row]] == ["MEMBER", "ELEMENT"]


def test_a_dead_letters_elements_are_shown_without_rows(tmp_path: Path) -> None:
    [dead] = sampled(tmp_path, ORDERS, order({"L": [{"M": {"sku": {"S": "a"}}}, {"M": {}}]}))
    assert [[column.row for column in row] for row in dead.rows] == [[None] * 3] * 2

    [no_list] = sampled(tmp_path / "other", ORDERS, order({"S": "a"}))
    assert (no_list.elements, no_list.rows) == (0, ())


def test_the_terminal_and_json_have_them(run: CommandLine, export: Path, tmp_path: Path) -> None:
    definition = tmp_path / "orders.py"
    definition.write_text(DEFINITION.format(sku="'sku'"))
    looked = run("preflight", "--export", export, f"--tables={definition}", "--sample=1")
    assert looked.exit_code == 0, looked.output
    assert "order_line: 5 elements; the first 3 of them" in looked.stdout
    assert "SECRET" not in looked.stdout

    as_json = json.loads(run("preflight", "--export", export, f"--tables={definition}", "--sample=1", "--json", "--show_values").stdout)
    [child] = as_json["samples"][0]["items"][0]["children"]
    assert (child["target_table"], child["elements"]) == ("order_line", 5)
    assert child["rows"][2][2] == {"attribute": "sku", "source": '{"S":"SECRET 2"}', "column": "sku", "row": "SECRET 2"}


def test_the_space_for_them_is_estimated(tmp_path: Path) -> None:
    """In proportion to their number."""
    sizes = []
    for number in (0, 10):
        lines = [order({"L": [{"M": {"sku": {"S": "x" * 100}}}] * number})]
        export = read_export(str(write_export(tmp_path / str(number), "orders", [lines])))
        sizes.append(estimate_bytes([Planned(ORDERS, export)], LOCAL_AND_AWS) or 0)

    assert 1000 < sizes[1] - sizes[0] < 3000
