"""A chunk and its ledger row are one: done together or not at all, done once, and told the same every time."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from typing import Any

import pytest

from pipeline.errors import Stopped
from tests.pipeline.target.made_loads import PLAIN, THING, Lab, Loaded, chunk_of, thing
from tests.pipeline.target.made_loads import loader as loader_of
from tests.postgres_server import Database
from transforms.table import Missing

KEY_CONFLICT = ("primary_key_conflict", "23505")
# 0 a row, 1 a row with a notice, 2 a transform refusal, 3 a conflict, 4 a read refusal, 5 a row, 6 a conflict that would have had a notice.
MIXED = [
    thing(1, name="a"),
    thing(2, name="b", colour="red"),
    json.dumps({"Item": {"id": {"S": "no uuid"}}}).encode(),
    thing(1, name="c"),
    b"{",
    thing(3, name="d"),
    thing(2, name="e", colour="blue"),
]
MIXED_LOADED = {2: ("invalid_uuid", None), 3: KEY_CONFLICT, 4: ("invalid_json", None), 6: KEY_CONFLICT}


def without_time_and_run(loaded: Loaded) -> list[dict[str, Any]]:
    records = [json.loads(record) for record in loaded.records]
    return [{name: value for name, value in record.items() if name not in ("rejected_at", "run_id")} for record in records]


def state(lab: Lab) -> list[tuple[Any, ...]]:
    """Every row and every ledger row with the transaction that wrote it: equal only if nothing was written since."""
    return [
        *lab.database.query("SELECT xmin::text, ctid::text, id::text, name FROM thing ORDER BY ctid"),
        *lab.database.query("SELECT xmin::text, ctid::text, chunk::text FROM ddb2pg.chunk ORDER BY ctid"),
    ]


# -- once ----------------------------------------------------------------------------------------------------------------------------------


def test_a_chunk_of_everything_ends_as_it_should(lab: Lab) -> None:
    """Rows, dead letters of all stages and notices; an item that became a dead letter has no notice."""
    loaded = lab.load(MIXED, first=100)

    assert loaded.dead_letters == {100 + number: error for number, error in MIXED_LOADED.items()}
    assert loaded.notices == [(101, "unmapped_attribute")]
    assert lab.names() == {1: "a", 2: "b", 3: "d"}
    codes, notices = lab.database.query("SELECT dead_letter_codes, notice_codes FROM ddb2pg.chunk")[0]
    assert codes == {"invalid_uuid": 1, "invalid_json": 1, "primary_key_conflict": 2}
    assert notices == {"unmapped_attribute": 1}
    assert lab.database.query("SELECT items, rows, dead_letters, notices FROM ddb2pg.chunk") == [(7, 3, 4, 1)]


@pytest.mark.parametrize("by", ["the same loader", "another loader"])
def test_a_chunk_loaded_twice_writes_nothing_the_second_time_and_tells_the_same(lab: Lab, by: str) -> None:
    """Whether the loader had asked before what is committed, or finds out at its claim."""
    plan = lab.plan()
    with lab.session() as session:
        loader = loader_of(plan, session)
        first = Loaded.of(loader.visit(chunk_of(MIXED)))
        before = state(lab)
        again = loader if by == "the same loader" else loader_of(plan, session)
        second = Loaded.of(again.visit(chunk_of(MIXED)))

    assert state(lab) == before
    assert without_time_and_run(second) == without_time_and_run(first)
    assert (second.dead_letters, second.notices) == (first.dead_letters, first.notices)


def test_a_clean_chunk_loaded_twice_writes_nothing_and_tells_nothing(lab: Lab) -> None:
    """Its rows are no conflicts with themselves."""
    plan = lab.plan()
    lines = [thing(number) for number in range(50)]
    lab.load(lines, plan)
    before = state(lab)

    assert lab.load(lines, plan) == Loaded()
    assert state(lab) == before


def test_the_same_lines_in_another_load_are_conflicts(lab: Lab) -> None:
    """The ledger knows a retry from a second export that holds the same keys."""
    lab.load([thing(1), thing(2)])

    assert lab.load([thing(1), thing(3)]).dead_letters == {0: KEY_CONFLICT}


def test_what_was_refused_stays_refused_when_its_cause_is_gone(lab: Lab) -> None:
    """A committed chunk is told from the ledger: the row that it conflicted with was deleted since, the item still is a dead letter."""
    plan = lab.plan()
    lab.load([thing(1)])
    first = lab.load(MIXED, plan)
    lab.database.execute("TRUNCATE thing")

    assert lab.load(MIXED, plan).dead_letters == first.dead_letters
    assert lab.names() == {}


# -- together, or not at all ---------------------------------------------------------------------------------------------------------------

BREAKS = """
    CREATE FUNCTION breaks() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN RAISE 'broken' USING ERRCODE = '{sqlstate}'; END $f$;
    CREATE CONSTRAINT TRIGGER breaks AFTER INSERT ON thing {when} FOR EACH ROW WHEN (NEW.kind = 'break') EXECUTE FUNCTION breaks();
"""


@pytest.mark.parametrize("when", ["", "DEFERRABLE INITIALLY DEFERRED"], ids=["while rows are written", "at commit"])
@pytest.mark.parametrize("lines", [[thing(1), thing(2)], [thing(1), thing(2), thing(1)]], ids=["copied", "isolated"])
def test_a_chunk_that_stops_leaves_neither_rows_nor_ledger_row(bare: Database, when: str, lines: list[bytes]) -> None:
    """Mended, the same load takes the whole chunk."""
    lab = Lab(bare, PLAIN, BREAKS.format(sqlstate="XX001", when=when))
    plan = lab.plan()
    lines = [*lines, thing(9, kind="break")]
    with pytest.raises(Stopped, match="XX001"):
        lab.load(lines, plan)
    assert (lab.names(), lab.chunks()) == ({}, [])

    bare.execute("DROP TRIGGER breaks ON thing")
    lab.load(lines, plan)
    assert lab.names().keys() == {1, 2, 9}
    assert lab.chunks() == [(0, len(lines), 3, len(lines) - 3)]


def test_rows_refused_even_one_by_one_stop_the_load(lab: Lab) -> None:
    """A refusal that no single row explains is never passed over: here one that comes with every commit."""
    lab.database.execute("CREATE FUNCTION refuses() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN RAISE 'no'; END $f$")
    lab.database.execute(
        "CREATE CONSTRAINT TRIGGER refuses AFTER INSERT ON ddb2pg.chunk DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION refuses()"
    )

    with pytest.raises(Stopped, match=r"one by one.*P0001"):
        lab.load([thing(1), thing(2)])
    assert (lab.names(), lab.chunks()) == ({}, [])


# -- a chunk that is not what it was -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lines",
    [MIXED[:-1], [*MIXED, thing(50)], [thing(1), *MIXED[1:2], thing(60), *MIXED[3:]], [*MIXED[:5], thing(3, colour="green"), MIXED[6]]],
    ids=["one fewer", "one more", "one refusal fewer", "one notice more"],
)
def test_other_lines_for_a_committed_chunk_stop_the_load(lab: Lab, lines: list[bytes]) -> None:
    """The counts of the ledger are not those of the chunk, so one of the two is not what it was."""
    plan = lab.plan()
    lab.load(MIXED, plan)
    before = state(lab)
    with pytest.raises(Stopped, match=r"some\.json\.gz: the chunk from item 0 "):
        lab.load(lines, plan)

    assert state(lab) == before


@pytest.mark.parametrize("lines", [[thing(1)], [thing(1), thing(2), thing(3)]], ids=["one fewer", "one more"])
def test_other_lines_for_a_committed_clean_chunk_stop_the_load(lab: Lab, lines: list[bytes]) -> None:
    """A line that is not in the ledger is not passed over because the others were clean."""
    plan = lab.plan()
    lab.load([thing(1), thing(2)], plan)
    with pytest.raises(Stopped):
        lab.load(lines, plan)


def test_another_conversion_of_a_committed_chunk_stops_the_load(lab: Lab) -> None:
    """An attribute that may be missing then and not now: the items are the same, what becomes of them is not."""
    plan = lab.plan()
    lab.load([*MIXED, thing(70)], plan)
    stricter = replace(
        THING, columns=tuple(replace(column, missing=Missing.REFUSED) if column.name == "name" else column for column in THING.columns)
    )
    with pytest.raises(Stopped):
        lab.load([*MIXED, thing(70)], replace(plan, table=stricter))


# -- two workers ---------------------------------------------------------------------------------------------------------------------------

WAITS = """
    CREATE FUNCTION waits() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END $f$;
    CREATE TRIGGER waits BEFORE INSERT ON thing FOR EACH ROW WHEN (NEW.kind = 'wait') EXECUTE FUNCTION waits();
"""


def load_at_once(lab: Lab, *chunks_and_plans: tuple[Any, Any]) -> list[Loaded]:
    """Load chunks by a worker each, all of them in the midst of their transactions at the same moment."""
    gate = lab.database.connect()
    gate.cursor().execute("SELECT pg_advisory_lock(1)")
    results: list[Any] = [None] * len(chunks_and_plans)

    def run(number: int) -> None:
        chunk, plan = chunks_and_plans[number]
        with lab.session() as session:
            results[number] = Loaded.of(loader_of(plan, session).visit(chunk))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(results))]
    for thread in threads:
        thread.start()
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    while lab.database.value(waiting) < len(threads):
        assert all(thread.is_alive() for thread in threads)
    gate.close()
    for thread in threads:
        thread.join(120)
    assert None not in results
    return results


@pytest.mark.parametrize("lines", [[], MIXED[3:4], MIXED[2:]], ids=["clean", "with a conflict", "mixed"])
def test_two_workers_with_the_same_chunk_load_it_once_and_tell_the_same(bare: Database, lines: list[bytes]) -> None:
    """One writes; the other waits for its end, writes nothing, and reports the same refused rows."""
    lab = Lab(bare, PLAIN, WAITS)
    plan = lab.plan()
    lines = [*MIXED[:2], thing(80, kind="wait"), *lines]
    first, second = load_at_once(lab, (chunk_of(lines), plan), (chunk_of(lines), plan))

    assert without_time_and_run(first) == without_time_and_run(second)
    assert first.notices == second.notices
    assert len(lab.chunks()) == 1
    assert bare.value("SELECT count(*) FROM thing") == len(lines) - len(first.dead_letters)


def test_two_workers_whose_chunks_share_keys_lose_nothing(bare: Database) -> None:
    """Keys in opposite orders make a deadlock: each shared key ends as one row and one dead letter, whichever worker comes first."""
    bare.execute(f"ALTER DATABASE {bare.value('SELECT current_database()')} SET deadlock_timeout = '50ms'")
    lab = Lab(bare, PLAIN, WAITS)
    plan = lab.plan()
    one = [thing(1, name="one"), thing(100, kind="wait"), thing(2, name="one"), thing(3, name="one")]
    two = [thing(2, name="two"), thing(200, kind="wait"), thing(1, name="two"), thing(4, name="two")]
    results = load_at_once(lab, (chunk_of(one), plan), (chunk_of(two, name="other.json.gz"), plan))

    assert lab.names().keys() == {1, 2, 3, 4, 100, 200}
    refused = [error for loaded in results for error in loaded.dead_letters.values()]
    assert refused == [KEY_CONFLICT] * 2
    for loaded, lines, name in zip(results, (one, two), ("one", "two"), strict=True):
        in_target = {
            number
            for number, line in enumerate(lines)
            if lab.names()[int(json.loads(line)["Item"]["id"]["S"].replace("-", ""), 16)] == name
        }
        assert {0, 2, 3} - in_target == loaded.dead_letters.keys()
    assert bare.query("SELECT sum(items), sum(rows), sum(dead_letters) FROM ddb2pg.chunk") == [(8, 6, 2)]
