"""Loads with too many dead letters are stopped, by all workers together, and go on with a higher threshold."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.errors import Stopped
from pipeline.job.plan import LoadPlan
from pipeline.ledger import threshold as threshold_module
from pipeline.ledger.chunks import Totals
from pipeline.ledger.threshold import UNLIMITED, Threshold, parse_threshold
from pipeline.records.kinds import RecordKind
from pipeline.target.session import Cursor, Session
from sample_export import write_sample_exports
from tests.command_line import CommandLine
from tests.faults.jobs import wait_until
from tests.pipeline.target.made_loads import PLAIN, Lab, chunk_of, thing
from tests.pipeline.target.made_loads import loader as loader_of
from tests.postgres_server import Database
from tests.processes import group_of
from tests.truth import assert_equals_truth
from transforms.tables.medzen import VIDEO_SESSIONS

HALF = Fraction(1, 2)


@pytest.mark.parametrize(
    ("text", "threshold"),
    [
        ("0", Threshold(most=0)),
        ("1", Threshold(most=1)),
        ("1000", Threshold(most=1000)),
        ("5%", Threshold(share=Fraction(1, 20))),
        ("0.05", Threshold(share=Fraction(1, 20))),
        (".5", Threshold(share=HALF)),
        ("1.0", Threshold(share=Fraction(1))),
        ("0.1%", Threshold(share=Fraction(1, 1000))),
        ("100%", Threshold(share=Fraction(1))),
    ],
)
def test_a_number_or_a_share(text: str, threshold: Threshold) -> None:
    assert parse_threshold(text) == threshold


@pytest.mark.parametrize("text", ["", "-1", "101%", "1.01", "5 %", "nan", "inf", "1e3", "%", "0x10", "٣"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a number, as 1000, or a share"):
        parse_threshold(text)


@pytest.mark.parametrize(
    ("threshold", "items", "dead_letters", "is_exceeded"),
    [
        (Threshold(most=10), 20, 10, False),
        (Threshold(most=10), 20, 11, True),
        (Threshold(most=0), 20, 0, False),
        (Threshold(most=0), 20, 1, True),
        # A number that was given stands for itself: what was loaded so far is not judged.
        (Threshold(most=90_000), 80_000, 80_000, False),
        (Threshold(share=Fraction(1, 20)), 6_000, 5_000, False),
        (Threshold(share=Fraction(1, 20)), 6_000, 5_001, True),
        (Threshold(share=Fraction(3, 4)), 40_000, 30_000, False),
        (Threshold(share=Fraction(3, 4)), 40_000, 30_001, True),
        (Threshold(share=Fraction(1)), 90_000, 90_000, False),
        (Threshold(), 19_999, 19_999, False),
        (Threshold(), 20_000, 10_000, False),
        (Threshold(), 20_000, 10_001, True),
        (Threshold(), 60_000, 30_001, True),
        (UNLIMITED, 90_000, 90_000, False),
    ],
)
def test_when_it_is_exceeded(threshold: Threshold, items: int, dead_letters: int, is_exceeded: bool) -> None:
    """Of an export with 100,000 items."""
    totals = Totals(items=items, dead_letters=dead_letters)
    assert (threshold.excess(totals, 100_000) is not None) == is_exceeded


def test_filtered_items_are_no_part_of_a_share() -> None:
    """Of 100,000 items 60,000 were loaded, of which 40,000 are not for this table: the shares are of the others."""
    for dead_letters, of_share, of_half in ((3_000, False, False), (3_001, True, False), (10_001, True, True)):
        totals = Totals(items=60_000, dead_letters=dead_letters, filtered=40_000)
        assert (Threshold(share=Fraction(1, 20)).excess(totals, 100_000) is not None) == of_share
        assert (Threshold().excess(totals, 100_000) is not None) == of_half
    assert Threshold().excess(Totals(items=59_999, dead_letters=19_999, filtered=40_000), 100_000) is None, "too few to be judged"


def _plan(lab: Lab, threshold: Threshold, manifest_items: int = 100_000) -> LoadPlan:
    plan = lab.plan()
    lab.database.execute("UPDATE ddb2pg.load SET manifest_items = %s WHERE load_id = %s", manifest_items, plan.load.load_id)
    return replace(plan, load=replace(plan.load, manifest_items=manifest_items), threshold=threshold)


class CountingSession(Session):
    """Counts what asks the ledger for its sums."""

    transactions = 0

    def transact(self, work: Any) -> Any:
        def counted(cursor: Cursor) -> Any:
            self.transactions += 1
            return work(cursor)

        return super().transact(counted)


def _bad(count: int) -> list[bytes]:
    return [b'{"Item": {"id": {"S": "none"}}}'] * count


def _good(first: int, count: int) -> list[bytes]:
    return [thing(number) for number in range(first, first + count)]


def test_by_default_a_load_of_which_more_than_half_is_refused_is_stopped_early(database: Database) -> None:
    """After 20,000 items, before the next chunk, with the numbers and the code; and again before another is loaded."""
    lab = Lab(database, PLAIN)
    plan = _plan(lab, Threshold())
    with lab.session() as session:
        loader = loader_of(plan, session)
        for first in range(0, 20_000, 5_000):
            loader.visit(chunk_of([*_bad(4_000), *_good(first, 1_000)], first))
        with pytest.raises(Stopped, match=r"16,000 of 20,000 items are dead letters \(80\.0%\), more than half .*invalid_uuid \(16,000\)"):
            loader.visit(chunk_of(_good(20_000, 10), 20_000))
        assert len(lab.chunks()) == 4
    with lab.session() as session, pytest.raises(Stopped, match="run the same command again with a higher --max_dead_letters"):
        loader_of(plan, session).visit(chunk_of(_good(20_000, 10), 20_000))
    assert len(lab.chunks()) == 4

    with lab.session() as session:
        higher = loader_of(replace(plan, threshold=Threshold(share=Fraction(1))), session)
        higher.visit(chunk_of(_good(20_000, 10), 20_000))
        dead_letters = loader_of(plan, session).visit(chunk_of([*_bad(4_000), *_good(0, 1_000)], 0))[RecordKind.DEAD_LETTERS]
    assert len(lab.chunks()) == 5
    assert len(dead_letters.records) == 4_000, "what is committed is told again, whatever the threshold"


def test_two_workers_count_together(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has dead letters of its own looks at those of the other when it is time; one that has none never does."""
    monkeypatch.setattr("pipeline.ledger.threshold._LEAST_INTERVAL", 0.0)
    monkeypatch.setattr("pipeline.ledger.threshold._MOST_OF_THE_TIME", 1_000.0)
    lab = Lab(database, PLAIN)
    plan = _plan(lab, Threshold(most=10))
    with lab.session() as one, lab.session() as two, lab.session() as three:
        loaders = [loader_of(plan, session) for session in (one, two, three)]
        clean = iter(range(1_000, 2_000))
        loaders[2].visit(chunk_of(_good(next(clean), 1), 0, "clean"))
        loaders[0].visit(chunk_of(_bad(6), 0, "a"))
        loaders[1].visit(chunk_of(_bad(5), 0, "b"))
        loaders[2].visit(chunk_of(_good(next(clean), 1), 1, "clean"))
        with pytest.raises(Stopped, match="11 of 13 items are dead letters"):
            loaders[0].visit(chunk_of(_good(1, 1), 6, "a"))
    assert len(lab.chunks()) == 4


def test_looking_costs_little(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred chunks: clean ones look once, at the start; dead letters of its own are looked at when there are too many, or in time.

    By a clock that goes on by a fiftieth of the interval whenever somebody looks at it.
    """
    ticks = itertools.count()
    clock = SimpleNamespace(monotonic=lambda: next(ticks) * threshold_module._LEAST_INTERVAL / 50)
    monkeypatch.setattr(threshold_module, "time", clock)
    lab = Lab(database, PLAIN)
    looks = []
    for number, lines in enumerate((_good(1, 1), _bad(1))):
        plan = _plan(lab, Threshold(most=1_000))
        session = CountingSession(lab.reference)
        with session:
            loader = loader_of(plan, session)
            for first in range(100):
                loader.visit(chunk_of([thing(1_000 * number + first)] if lines != _bad(1) else lines, first))
        looks.append(session.transactions - 101)  # a chunk each, and the file's committed chunks
    assert looks[0] == 1
    assert 1 <= looks[1] <= 5


def test_a_load_whose_last_chunk_is_committed_is_not_stopped(database: Database) -> None:
    """There is nothing left to stop: it is finished, and what is repeated does nothing."""
    lab = Lab(database, PLAIN)
    plan = _plan(lab, Threshold(most=1), manifest_items=4)
    with lab.session() as session:
        for _ in range(2):
            loader = loader_of(plan, session)
            for first in (0, 2):
                dead_letters = loader.visit(chunk_of([_bad(1)[0], thing(first)], first))[RecordKind.DEAD_LETTERS]
                assert len(dead_letters.records) == 1
    assert lab.chunks() == [(0, 2, 1, 1), (2, 2, 1, 1)]


def test_two_workers_are_stopped_and_go_on_with_a_higher_threshold(tmp_path: Path, database: Database, run: CommandLine) -> None:
    """Exit code 1, no process left behind; the same command again loads no chunk more; a higher threshold comes to the truth."""
    export = tmp_path / "export"
    write_sample_exports(export, items=2_000, seed=31, faulty=0.3, odd=0.1, items_per_file=500, tables=[VIDEO_SESSIONS.source])
    options = ("--chunk_items=25", "--dead_letter_format=parquet")

    process = run.start_migrate(export, *options, "--direct_num_workers=2", "--max_dead_letters=100")
    _, stderr = process.communicate(timeout=300)

    assert process.returncode == 1, stderr
    assert "more than --max_dead_letters=100" in stderr
    wait_until(lambda: not group_of(process.pid))
    chunks, dead_letters = database.query("SELECT count(*), sum(dead_letters) FROM ddb2pg.chunk")[0]
    assert 100 < dead_letters < 400
    contents = {path: path.read_bytes() for path in export.glob("*/AWSDynamoDB/*/data/*")}
    for path in contents:
        path.write_bytes(b"must not even be read")
    again = run.migrate(export, *options, "--max_dead_letters=3%")
    for path, content in contents.items():
        path.write_bytes(content)
    assert again.exit_code == 1, again.output
    assert f"{dead_letters:,} of " in again.stderr
    assert database.value("SELECT count(*) FROM ddb2pg.chunk") == chunks
    higher = run.migrate(export, *options, "--max_dead_letters=0.99")
    assert higher.exit_code == 3, higher.output
    finished = run.migrate(export, *options, "--max_dead_letters=0")
    assert finished.exit_code == 3, finished.output
    assert_equals_truth(export, database, run.run_folders[-1], [VIDEO_SESSIONS])
