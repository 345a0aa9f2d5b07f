"""What a chunk of changes makes of the target: each record by its fate, whoever wrote the row that is there."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.target.apply import WAYS_TO_APPLY, ApplyChanges, apply_at_once, apply_one_by_one
from pipeline.target.fates import Applying, ChangedRows, Conflicts, Fates, Outdated
from pipeline.target.rows import Rows
from pipeline.target.session import Cursor, RowsRefused
from tests.pipeline.target.made_loads import PLAIN, THING, Lab, rows_of, thing, uuid
from tests.postgres_server import Database, Server
from tests.strategies import examples
from transforms.compile import compile_key

PROPERTY = settings(deadline=None, max_examples=examples(60), suppress_health_check=[HealthCheck.too_slow])
CHAIN = 7
_windows = itertools.count(8)
FAMILY = "CREATE TABLE family (id uuid PRIMARY KEY); INSERT INTO family VALUES ('00000000-0000-0000-0000-000000000001');"
STRICT = """
    CREATE TABLE thing (
        id uuid PRIMARY KEY, name text UNIQUE, kind text CHECK (kind <> 'checked'), parent uuid REFERENCES family, data jsonb
    )
"""


@dataclass(frozen=True)
class Record:
    """Of one key: the attributes of its item now, or None where it is gone; and those before, where the view has them."""

    key: int
    now: Mapping[str, Any] | None
    before: Mapping[str, Any] | None = None


def changes_of(records: Sequence[Record]) -> ChangedRows:
    numbered = list(enumerate(records))
    to_key = compile_key(THING, ("id",), migration_time=0)
    put = [(number, record) for number, record in numbered if record.now is not None]
    new = rows_of([thing(record.key, **record.now) for _, record in put if record.now is not None])
    old = [(number, record) for number, record in numbered if record.before is not None]
    of_old = rows_of([thing(record.key, **record.before) for _, record in old if record.before is not None])
    return ChangedRows(
        Rows([number for number, _ in put], new.encoded),
        Rows.of((number, to_key(thing(record.key))) for number, record in numbered if record.now is None),
        Rows([number for number, _ in old], of_old.encoded),
    )


class Bench:
    """A target, and changes of a chain that are applied to it."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    def clear(self) -> None:
        self.lab.database.execute("TRUNCATE thing, ddb2pg.writer")

    def apply(
        self,
        *records: Record,
        way: ApplyChanges | None = None,
        conflicts: Conflicts = Conflicts.KEEP,
        by_old_images: bool = False,
        outdated: Outdated = Outdated(),  # noqa: B008 - frozen
        window: int | None = None,
    ) -> Fates:
        """In this way, or else in the first in which PostgreSQL refuses nothing; in a window of its own, unless one is given."""
        window = next(_windows) if window is None else window
        applying = Applying(self.lab.target(), THING, CHAIN, window, (), (), conflicts, by_old_images)

        def work(cursor: Cursor, one: ApplyChanges) -> Fates:
            cursor.execute("INSERT INTO ddb2pg.writer (chain, load_id) VALUES (%s, %s)", [CHAIN, window])
            return one(cursor, applying, changes_of(records), outdated)

        with self.lab.session() as session:
            for one in [way] if way else WAYS_TO_APPLY:
                try:
                    return session.transact(lambda cursor, one=one: work(cursor, one))  # type: ignore[misc]
                except RowsRefused:
                    continue
        raise AssertionError("PostgreSQL refused rows that it took one by one")

    def of_somebody(self, key: int, name: str) -> None:
        self.lab.database.execute("INSERT INTO thing (id, name) VALUES (%s, %s)", uuid(key), name)

    @property
    def names(self) -> dict[int, str]:
        return self.lab.names()


@pytest.fixture
def bench(bare: Database) -> Bench:
    return Bench(Lab(bare, PLAIN))


@pytest.fixture
def strict(bare: Database) -> Bench:
    return Bench(Lab(bare, FAMILY, STRICT))


@pytest.fixture(params=WAYS_TO_APPLY, ids=lambda way: way.__name__)
def way(request: pytest.FixtureRequest) -> ApplyChanges:
    return request.param  # type: ignore[no-any-return]


def named(name: str) -> dict[str, str]:
    return {"name": name}


# -- fates ---------------------------------------------------------------------------------------------------------------------------------


def test_every_fate_in_one_chunk(bench: Bench, way: ApplyChanges) -> None:
    bench.apply(*(Record(key, named(f"old {key}")) for key in (1, 2, 3)), way=way)
    bench.of_somebody(8, "theirs")
    bench.of_somebody(9, "theirs")
    fates = bench.apply(
        Record(1, named("new 1")),
        Record(2, named("old 2")),
        Record(3, None),
        Record(4, named("new 4")),
        Record(5, None),
        Record(8, named("new 8")),
        Record(9, None),
        way=way,
    )
    assert (fates.updated, fates.unchanged, fates.deleted, fates.inserted, fates.absent) == ({0}, {1}, {2}, {3}, {4})
    assert (fates.conflicts, fates.overwritten, fates.refused) == ({5, 6}, set(), {})
    assert bench.names == {1: "new 1", 2: "old 2", 4: "new 4", 8: "theirs", 9: "theirs"}


def test_rows_that_are_written_one_by_one_stay_ours(bench: Bench, way: ApplyChanges) -> None:
    """Those of a subtransaction have another `xmin` than the transaction."""
    bench.apply(Record(1, named("a")), Record(2, named("b")), way=apply_one_by_one)
    fates = bench.apply(Record(1, named("c")), Record(2, None), way=way)
    assert (fates.updated, fates.deleted, fates.conflicts) == ({0}, {1}, set())


def test_a_row_that_somebody_changed_is_left(bench: Bench, way: ApplyChanges) -> None:
    bench.apply(Record(1, named("ours")), Record(2, named("ours")), way=way)
    bench.lab.database.execute("UPDATE thing SET name = 'theirs' WHERE id = %s", uuid(1))
    fates = bench.apply(Record(1, named("new")), Record(2, named("new")), way=way)
    assert (fates.conflicts, fates.updated) == ({0}, {1})
    assert bench.names == {1: "theirs", 2: "new"}


def test_overwriting_is_counted(bench: Bench, way: ApplyChanges) -> None:
    bench.of_somebody(1, "theirs")
    bench.of_somebody(2, "theirs")
    fates = bench.apply(Record(1, named("new")), Record(2, None), Record(3, named("new")), way=way, conflicts=Conflicts.OVERWRITE)
    assert (fates.updated, fates.deleted, fates.inserted, fates.overwritten, fates.conflicts) == ({0}, {1}, {2}, {0, 1}, set())
    assert bench.names == {1: "new", 3: "new"}


def test_the_old_image_is_a_second_opinion(bench: Bench, way: ApplyChanges) -> None:
    """A table's rewrite gives every row another `xmin`; nobody changed what is in it."""
    bench.apply(*(Record(key, named("old")) for key in (1, 2, 3)), way=way)
    bench.lab.database.execute("UPDATE thing SET name = name")
    bench.lab.database.execute("UPDATE thing SET name = 'theirs' WHERE id = %s", uuid(3))
    fates = bench.apply(
        Record(1, named("new"), named("old")), Record(2, None, named("old")), Record(3, named("new"), named("old")), way=way
    )
    assert (fates.updated, fates.deleted, fates.conflicts) == ({0}, {1}, {2})
    assert bench.names == {1: "new", 3: "theirs"}


def test_transactions_of_a_ledger_before_a_restore_are_nobody_s(bench: Bench, way: ApplyChanges) -> None:
    """Their numbers are of another server; here somebody else may have them."""
    bench.apply(Record(1, named("old")), way=way)
    bench.lab.database.execute("UPDATE ddb2pg.writer SET ledger_oid = 1")
    assert bench.apply(Record(1, named("new")), way=way).conflicts == {0}


def test_two_records_of_one_key_are_both_refused(bench: Bench, way: ApplyChanges) -> None:
    fates = bench.apply(Record(1, named("a")), Record(2, named("b")), Record(1, named("c")), way=way)
    assert {number: row.code for number, row in fates.refused.items()} == {0: "primary_key_conflict", 2: "primary_key_conflict"}
    assert bench.names == {2: "b"}


def test_a_row_that_the_window_has_written_is_another_item_s(bench: Bench, way: ApplyChanges) -> None:
    """It has one record of an item: two that make one key are of two items, though they come in two chunks."""
    bench.apply(Record(1, named("a")), way=way, window=5)
    for record in (Record(1, named("b")), Record(1, None)):
        assert bench.apply(record, way=way, window=5).refused[0].code == "primary_key_conflict"
    assert bench.names == {1: "a"}


# -- what PostgreSQL refuses ---------------------------------------------------------------------------------------------------------------


def test_what_postgresql_refuses_is_refused_alone(strict: Bench) -> None:
    strict.apply(Record(1, named("one")), Record(2, named("two")), Record(3, named("three")))
    fates = strict.apply(
        Record(1, named("two")),
        Record(2, {"name": "new", "kind": "checked"}),
        Record(3, None),
        Record(4, {"name": "four", "parent": 404}),
        Record(5, {"name": "five", "data": {"N": "1." + "1" * 20_000}}),
        Record(6, {"name": "six", "parent": 1}),
    )
    refused = {number: (row.code.value, row.sqlstate) for number, row in fates.refused.items()}
    assert refused == {
        0: ("unique_conflict", "23505"),
        1: ("check_violation", "23514"),
        3: ("foreign_key_violation", "23503"),
        4: ("database_rejected", "22003"),
    }
    assert (fates.deleted, fates.inserted) == ({2}, {5})
    assert strict.names == {1: "one", 2: "two", 6: "six"}


def test_at_once_is_all_or_nothing(strict: Bench) -> None:
    strict.apply(Record(1, named("one")))
    applying = Applying(strict.lab.target(), THING, CHAIN, 0, (), (), Conflicts.KEEP, by_old_images=False)
    changes = changes_of([Record(1, None), Record(2, {"kind": "checked"})])
    with strict.lab.session() as session, pytest.raises(RowsRefused):
        session.transact(lambda cursor: apply_at_once(cursor, applying, changes))
    assert strict.names == {1: "one"}


# -- old images alone ----------------------------------------------------------------------------------------------------------------------


def test_by_old_images_a_row_is_its_item_s_alone(bench: Bench, way: ApplyChanges) -> None:
    """Two items make key 1: the row is that of the first, and what comes of the second does not touch it."""
    bench.apply(Record(1, named("first")), way=way, by_old_images=True)
    for record in (Record(1, named("second")), Record(1, named("second"), named("before")), Record(1, named("first"))):
        fates = bench.apply(record, way=way, by_old_images=True)
        assert fates.refused[0].code == "primary_key_conflict"
    assert bench.apply(Record(1, None, named("second")), way=way, by_old_images=True).absent == {0}
    assert bench.names == {1: "first"}
    assert bench.apply(Record(1, named("first again"), named("first")), way=way, by_old_images=True).updated == {0}
    assert bench.apply(Record(1, None, named("first again")), way=way, by_old_images=True).deleted == {0}
    assert bench.names == {}


def test_an_outdated_row_is_its_item_s(bench: Bench, way: ApplyChanges) -> None:
    """An earlier window left the row as it was, so the old image is of a state that it never had."""
    bench.apply(Record(1, named("first")), way=way, by_old_images=True)
    record = Record(1, named("third"), named("second"))
    assert bench.apply(record, way=way, by_old_images=True).refused
    assert bench.apply(record, way=way, by_old_images=True, outdated=Outdated([0])).updated == {0}
    assert bench.names == {1: "third"}


def test_somebody_s_row_is_a_conflict_by_old_images_too(bench: Bench, way: ApplyChanges) -> None:
    bench.of_somebody(1, "theirs")
    assert bench.apply(Record(1, named("new")), way=way, by_old_images=True).conflicts == {0}
    assert bench.apply(Record(1, None, named("old")), way=way, by_old_images=True).conflicts == {0}
    assert bench.names == {1: "theirs"}


# -- by chance -----------------------------------------------------------------------------------------------------------------------------

STATES = st.sampled_from(["none", "ours", "theirs"])
NAMES = st.sampled_from(["a", "b"])


@pytest.fixture(scope="module")
def shared(server: Server) -> Bench:
    return Bench(Lab(server.new_database(with_targets=False), PLAIN))


@PROPERTY
@given(
    there=st.dictionaries(st.integers(1, 6), st.tuples(STATES, NAMES)),
    records=st.lists(st.tuples(st.integers(1, 6), st.none() | NAMES), unique_by=lambda one: one[0]),
    policy=st.sampled_from([Conflicts.KEEP, Conflicts.OVERWRITE]),
    one_by_one=st.booleans(),
)
def test_any_changes_of_any_target(
    shared: Bench, there: dict[int, tuple[str, str]], records: list[tuple[int, str | None]], policy: Conflicts, one_by_one: bool
) -> None:
    shared.clear()
    way = apply_one_by_one if one_by_one else apply_at_once
    shared.apply(*(Record(key, named(name)) for key, (state, name) in there.items() if state == "ours"), way=way)
    for key, (state, name) in there.items():
        if state == "theirs":
            shared.of_somebody(key, name)

    fates = shared.apply(*(Record(key, None if name is None else named(name)) for key, name in records), way=way, conflicts=policy)

    rows = {key: name for key, (state, name) in there.items() if state != "none"}
    expected: dict[int, str] = {}
    for number, (key, name) in enumerate(records):
        state, before = there.get(key, ("none", ""))
        if state == "none":
            expected[number] = "absent" if name is None else "inserted"
        elif name == before:
            expected[number] = "unchanged"
        elif state == "theirs" and policy is Conflicts.KEEP:
            expected[number] = "conflicts"
            continue
        else:
            expected[number] = "deleted" if name is None else "updated"
        rows.pop(key, None)
        if name is not None:
            rows[key] = name
    assert shared.names == rows
    told = {
        number: fate for fate in ("inserted", "updated", "unchanged", "deleted", "absent", "conflicts") for number in getattr(fates, fate)
    }
    assert told == expected
    assert not fates.refused
