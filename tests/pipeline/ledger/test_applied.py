"""How far tables are applied, of what the ledger holds of their loads."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.errors import Refused
from pipeline.ledger.applied import applied_tables
from pipeline.ledger.loads import Link, Load, finish_load, start_load
from pipeline.source.chunks import ChunkSize
from pipeline.source.manifest import Export, Window
from pipeline.source.windows import Applied, AppliedWindow
from tests.pipeline.target.made_loads import PLAIN, THING, Lab
from tests.postgres_server import Database
from transforms.lines import View
from transforms.table import Unmapped

_TIME = datetime(2026, 11, 23, 2, 0, 7, tzinfo=UTC)
_numbers = itertools.count(1)


@pytest.fixture
def lab(database: Database) -> Lab:
    return Lab(database, PLAIN)


def _begin(lab: Lab, time: datetime | None, target: str = "public.thing", table_id: str | None = None, link: Link | None = None) -> Load:
    export = Export(f"export-{next(_numbers)}", THING.source, time and time.isoformat(), "/nowhere", 0, (), "digest", table_id=table_id)
    with lab.session() as session:
        return session.transact(lambda cursor: start_load(cursor, export, THING, target, ChunkSize(), Unmapped.NOTICE, link=link))


def _finish(lab: Lab, load: Load) -> Load:
    with lab.session() as session:
        session.transact(lambda cursor: finish_load(cursor, load))
    return load


def _load(lab: Lab, time: datetime | None, target: str = "public.thing", table_id: str | None = None) -> Load:
    return _finish(lab, _begin(lab, time, target, table_id))


def _begin_window(lab: Lab, full: Load, number: int) -> Load:
    """One of an hour, after the others."""
    assert full.export_time
    begin = full.export_time + timedelta(hours=number - 1)
    link = Link(full.load_id, number, Window(begin, begin + timedelta(hours=1), View.NEW_IMAGE))
    return _begin(lab, None, full.target_table, full.table_id, link)


def _apply(lab: Lab, full: Load, number: int) -> Load:
    return _finish(lab, _begin_window(lab, full, number))


def _applied(lab: Lab, *tables: str) -> dict[str, Applied]:
    with lab.session() as session:
        return session.transact(lambda cursor: applied_tables(cursor, tables or (THING.source,)))


def _done(*windows: Load) -> tuple[AppliedWindow, ...]:
    return tuple(AppliedWindow(load.export_id, load.link.window.to_time) for load in windows if load.link)


def _problems(lab: Lab, *tables: str) -> tuple[str, ...]:
    with pytest.raises(Refused) as refused:
        _applied(lab, *tables)
    return refused.value.problems


def test_it_ends_where_the_full_export_does(lab: Lab) -> None:
    _load(lab, _TIME)
    assert _applied(lab) == {THING.source: Applied(_TIME)}


def test_a_part_of_a_second_is_kept(lab: Lab) -> None:
    """It is for whoever asks for windows to refuse it: they begin at whole ones."""
    _load(lab, _TIME + timedelta(milliseconds=622))
    assert _applied(lab)[THING.source].end == _TIME + timedelta(milliseconds=622)


def test_after_windows_it_ends_where_the_last_does(lab: Lab) -> None:
    """And the next is of the same view, of the same table."""
    full = _load(lab, _TIME, table_id="a")
    windows = [_apply(lab, full, number) for number in (1, 2)]
    assert _applied(lab) == {THING.source: Applied(_TIME + timedelta(hours=2), "a", View.NEW_IMAGE, done=_done(*windows))}


def test_a_window_that_is_not_applied_to_its_end_is_refused(lab: Lab) -> None:
    full = _load(lab, _TIME)
    _apply(lab, full, 1)
    begun = _begin_window(lab, full, 2)
    (problem,) = _problems(lab)
    assert f"window {begun.export_id} is not applied to public.thing to its end; finish it first (ddb2pg migrate)" in problem


def test_two_exports_in_one_target_are_refused(lab: Lab) -> None:
    """Of the second a window tells nothing about the rows of the first."""
    _load(lab, _TIME)
    _load(lab, _TIME)
    (problem,) = _problems(lab)
    assert "several exports were loaded into public.thing, so no window can follow one of them" in problem


def test_targets_of_different_tables_are_refused(lab: Lab) -> None:
    """One was exported before the table was deleted and made again."""
    _load(lab, _TIME, table_id="a")
    _load(lab, _TIME, "public.other", table_id="b")
    (problem,) = _problems(lab)
    assert "its targets follow different tables of that name" in problem


def test_a_target_that_windows_fill_and_one_that_a_full_export_does_may_be_of_one_time(lab: Lab) -> None:
    window = _apply(lab, _load(lab, _TIME), 1)
    _load(lab, _TIME + timedelta(hours=1), "public.other")
    assert _applied(lab)[THING.source] == Applied(_TIME + timedelta(hours=1), None, View.NEW_IMAGE, done=_done(window))


def test_several_targets_of_one_export_are_of_one_time(lab: Lab) -> None:
    for target in ("public.thing", "public.other"):
        _load(lab, _TIME, target)
    assert _applied(lab)[THING.source].end == _TIME


def test_targets_of_different_times_are_refused(lab: Lab) -> None:
    """A window that fits one overlaps the other, or leaves a gap."""
    _load(lab, _TIME)
    _load(lab, _TIME + timedelta(hours=1), "public.other")
    (problem,) = _problems(lab)
    assert "its targets are not of one time (public.other to 2026-11-23T03:00:07Z, public.thing to 2026-11-23T02:00:07Z)" in problem


def test_a_load_that_was_rolled_back_does_not_count(lab: Lab) -> None:
    _load(lab, _TIME)
    later = _load(lab, _TIME + timedelta(hours=1), "public.other")
    lab.database.execute("UPDATE ddb2pg.load SET rolled_back_at = now() WHERE load_id = %s", later.load_id)
    assert _applied(lab)[THING.source].end == _TIME


def test_what_is_not_at_its_end_is_refused(lab: Lab) -> None:
    _begin(lab, _TIME)
    (problem,) = _problems(lab)
    assert "is not loaded into public.thing to its end; finish it first (ddb2pg migrate)" in problem


def test_files_without_manifests_tell_no_time(lab: Lab) -> None:
    _load(lab, None)
    (problem,) = _problems(lab)
    assert "nothing tells as of what time" in problem


def test_all_tables_are_told_at_once(lab: Lab) -> None:
    _load(lab, _TIME)
    problems = _problems(lab, "one", THING.source, "other")
    assert [problem.partition(":")[0] for problem in problems] == ["one", "other"]
    assert all("no load of it is in this database; load a full export first" in problem for problem in problems)


def test_a_database_without_a_ledger(database: Database) -> None:
    lab = Lab(database, PLAIN)
    database.execute("DROP SCHEMA ddb2pg CASCADE")
    (problem,) = _problems(lab)
    assert "nothing was ever loaded into this database; load a full export first (ddb2pg migrate), or say with --from" in problem


def test_a_ledger_of_another_version(lab: Lab) -> None:
    lab.database.execute("COMMENT ON SCHEMA ddb2pg IS 'ddb2pg ledger, version 99'")
    (problem,) = _problems(lab)
    assert "version 99" in problem


def _with_begun(lab: Lab) -> Applied:
    with lab.session() as session:
        return session.transact(lambda cursor: applied_tables(cursor, [THING.source], takes_begun=True))[THING.source]


def test_who_finishes_what_was_begun_is_told_it(lab: Lab) -> None:
    full = _load(lab, _TIME)
    first = _apply(lab, full, 1)
    begun = _begin_window(lab, full, 2)
    assert _with_begun(lab) == Applied(_TIME + timedelta(hours=1), None, View.NEW_IMAGE, (begun.export_id,), _done(first))
    _finish(lab, begun)
    assert _with_begun(lab) == Applied(_TIME + timedelta(hours=2), None, View.NEW_IMAGE, done=_done(first, begun))


def test_targets_of_several_times_come_to_be_of_one(lab: Lab) -> None:
    """From the earlier end on, with the very exports that were applied to the other target."""
    one, other = _load(lab, _TIME), _load(lab, _TIME, "public.other")
    _apply(lab, one, 1)
    second = _apply(lab, other, 1)
    third = _begin_window(lab, other, 2)
    _finish(lab, third)
    fourth = _begin_window(lab, other, 3)
    told = _with_begun(lab)
    assert (told.end, told.begun) == (_TIME + timedelta(hours=1), (third.export_id, fourth.export_id))
    assert second.export_id not in told.begun


def test_a_full_export_that_is_not_loaded_to_its_end_is_not_taken_either(lab: Lab) -> None:
    _begin(lab, _TIME)
    with pytest.raises(Refused, match=r"is not loaded into public\.thing to its end"):
        _with_begun(lab)
