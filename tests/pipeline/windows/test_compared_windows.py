"""After a window its own records are held against the target: what differs is found, whatever its type is, until it is put right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.options import HowThorough
from tests.pipeline.target.made_loads import uuid
from tests.pipeline.target.test_every_type import KINDS, OUR_TYPES
from tests.pipeline.windows.test_as_of import AsOf
from tests.pipeline.windows.test_windows import BAD, ORDER_TABLES, ORDERS, Chain, order
from tests.plain_windows import Report
from tests.postgres_server import Database
from transforms.rules import Uuid
from transforms.table import Column, Missing, Table

pytestmark = pytest.mark.usefixtures("plain_visits")


def found(report: Report) -> set[tuple[str, str, tuple[str, ...]]]:
    """Kind, id and columns of each mismatch."""
    return {(one["kind"], one["key"]["id"]["S"], tuple(one["columns"])) for one in report.mismatches()}


EVERY = Table(
    "things",
    "thing",
    ("id",),
    (Column("id", "id", Uuid(), Missing.REFUSED), *(Column(f"a{n}", f"v{n}", kind.rule) for n, kind in enumerate(KINDS.values()))),
)


def test_a_difference_in_any_type_is_found(bare: Database, tmp_path: Path) -> None:
    """One in each column, of an item each: by the comparison after a window, and by that with a fresh export."""
    bare.execute(OUR_TYPES)
    columns = ", ".join(f"v{n} {kind.column}" for n, kind in enumerate(KINDS.values()))
    bare.execute(f"CREATE TABLE thing (id uuid PRIMARY KEY, {columns})")
    items: list[dict[int, Any]] = [
        {number: {f"a{n}": getattr(kind, when) for n, kind in enumerate(KINDS.values())} for number in range(len(KINDS))}
        for when in ("second", "first")
    ]
    chain = Chain(bare, tmp_path, *items, table=EVERY)
    chain.begin()
    assert chain.run(1, validate=HowThorough.NONE).windows == [{"updated": len(KINDS)}]
    as_of = AsOf(chain, tmp_path, EVERY)
    assert as_of.compare(1).exit_code == 0
    for n, kind in enumerate(KINDS.values()):
        bare.execute(f"UPDATE thing SET v{n} = {kind.planted.replace('%', '%%')} WHERE id = %s", uuid(n))

    report = chain.run(1, validate=HowThorough.FULL)

    assert (report.exit_code, report.windows) == (1, [{"updated": len(KINDS)}])
    assert found(report) == {("different", uuid(n), (f"v{n}",)) for n in range(len(KINDS))}
    assert found(as_of.compare(1)) == {("changed_by_others", uuid(n), (f"v{n}",)) for n in range(len(KINDS))}


STATES: list[dict[int, Any]] = [{1: "a", 2: "a", 3: "a", 4: "a"}, {1: "b", 2: "b", 3: None, 5: "b", 6: BAD}, {1: "c"}]


@pytest.mark.parametrize("gate", [HowThorough.QUICK, HowThorough.FULL])
def test_what_changes_rows_is_found(thing: Database, tmp_path: Path, gate: HowThorough) -> None:
    """Triggers: of what is written, and of what is deleted. It is found again until it is put right, and no window after it is applied."""
    chain = Chain(thing, tmp_path, *STATES)
    chain.begin()
    thing.execute(
        "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.kind = 'spoiled'; RETURN NEW; END $$; "
        "CREATE TRIGGER spoil BEFORE UPDATE ON thing FOR EACH ROW WHEN (NEW.name = 'b') EXECUTE FUNCTION spoil(); "
        "CREATE FUNCTION bring_back() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN INSERT INTO thing (id) VALUES (OLD.id); RETURN NULL; END $$; "
        "CREATE TRIGGER bring_back AFTER DELETE ON thing FOR EACH ROW EXECUTE FUNCTION bring_back()"
    )
    expected = {("different", uuid(1), ("kind",)), ("different", uuid(2), ("kind",)), ("deleted_in_target", uuid(3), ())}
    for _ in range(2):
        report = chain.migration.run(*chain.windows, validate=gate)
        assert (report.exit_code, found(report)) == (1, expected)
        assert [code for code, _ in report.dead_letters()] == ["wrong_type"]
        assert len(report.windows) == 1

    thing.execute(
        "DROP TRIGGER spoil ON thing; DROP TRIGGER bring_back ON thing; UPDATE thing SET kind = NULL; DELETE FROM thing WHERE name IS NULL"
    )
    report = chain.migration.run(*chain.windows, validate=gate)
    assert (report.exit_code, len(report.windows)) == (3, 2)
    assert thing.query("SELECT DISTINCT validated FROM ddb2pg.load WHERE chain IS NOT NULL") == [(gate.value,)]


def test_all_records_are_compared_if_that_is_asked_for(thing: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And some of each data file otherwise: here one of each of three."""
    monkeypatch.setattr("pipeline.windows.prove.SAMPLE", 3)
    numbers = range(1, 13)
    chain = Chain(thing, tmp_path, dict.fromkeys(numbers, "a"), dict.fromkeys(numbers, "b"))
    chain.begin()
    chain.run(1, validate=HowThorough.NONE)
    thing.execute("UPDATE thing SET name = 'theirs'")
    assert len(found(chain.run(1, validate=HowThorough.QUICK))) == 3
    assert len(found(chain.run(1, validate=HowThorough.FULL))) == 12


def test_rows_that_were_changed_behind_our_back_are_found(bare: Database, tmp_path: Path) -> None:
    """Of a window that was not compared yet; with child rows. One that was compared is not compared again, nor one that is followed."""
    bare.execute(ORDER_TABLES)
    states: list[dict[int, Any]] = [
        {number: order("a", f"x{number}", f"y{number}") for number in range(1, 7)},
        {1: order("b", "x1"), 2: order("b", "x2"), 3: order("b", "x3"), 4: None, 5: order("b", "x5")},
        {1: order("c", "x1")},
    ]
    chain = Chain(bare, tmp_path, *states, table=ORDERS)
    chain.begin()
    chain.run(1, validate=HowThorough.NONE)
    bare.execute("UPDATE orders SET note = 'theirs' WHERE id = %s", uuid(1))
    bare.execute("UPDATE order_line SET sku = 'theirs' WHERE order_id = %s", uuid(2))
    bare.execute("DELETE FROM order_line WHERE order_id = ANY (%s::uuid[])", [uuid(3), uuid(5)])
    bare.execute("DELETE FROM orders WHERE id = %s", uuid(5))
    bare.execute("INSERT INTO orders (id) VALUES (%s)", uuid(4))

    report = chain.run(1, validate=HowThorough.FULL)

    assert report.exit_code == 1
    assert found(report) == {
        ("different", uuid(1), ("note",)),
        ("different", uuid(2), ("order_line.sku",)),
        ("different", uuid(3), ("order_line",)),
        ("deleted_in_target", uuid(4), ()),
        ("missing", uuid(5), ()),
    }
    assert chain.run(1, validate=HowThorough.NONE).windows == []
    bare.execute("UPDATE orders SET note = 'b' WHERE id = %s", uuid(1))
    assert chain.run(2).exit_code == 0
    assert chain.run(1, validate=HowThorough.FULL).windows == []
    bare.execute("DELETE FROM order_line")
    assert chain.run(2).windows == []
