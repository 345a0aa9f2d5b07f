"""Data files that are checked before their job begins: what was found, the job takes; nothing is written meanwhile."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from threading import Event

import pytest
from rich.console import Console

from pipeline.commands import migrate as command
from pipeline.errors import Stopped
from pipeline.job import check_ahead, load_reading
from pipeline.job.check_ahead import CheckAhead
from pipeline.job.load import LoadChunks
from pipeline.job.plan import LoadPlan, check_data_file
from pipeline.job.run_visits import run_visits
from pipeline.job.visit import VisitedLoad, record_folders
from pipeline.options import MigrateOptions
from pipeline.places.storage import OutputFolder
from pipeline.source.chunks import Split
from pipeline.source.manifest import DataFile, Export
from pipeline.target.database_url import DatabaseReference
from sample_export import write_sample_exports
from tests.faults.jobs import wait_until
from tests.made_options import made_options
from tests.pipeline.source.read_splits import read_exports
from tests.plain_loads import plans_of
from tests.postgres_server import Database


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    """Of this test alone, which may damage them."""
    write_sample_exports(tmp_path / "exports", items=30, faulty=0, odd=0, seed=11, items_per_file=20)
    return tmp_path / "exports"


@pytest.fixture
def reference(database: Database, monkeypatch: pytest.MonkeyPatch) -> DatabaseReference:
    monkeypatch.setenv("AHEAD_DATABASE", database.url)
    return DatabaseReference("env:AHEAD_DATABASE")


Begun = tuple[Export, LoadPlan, list[Split]]


@pytest.fixture
def begun(exports: Path, reference: DatabaseReference) -> Begun:
    """The load of the first table, begun; its files are one of 20 items, one of 10, and empty ones."""
    plan, splits = next(plans_of(exports, reference))
    return read_exports(exports / plan.table.source)[0], plan, splits


def with_items(export: Export) -> list[DataFile]:
    return sorted((one for one in export.data_files if one.items), key=lambda one: -one.items)


def run(export: Export, plan: LoadPlan, splits: list[Split], folder: Path, checked: CheckAhead) -> None:
    visits = LoadChunks(plan)
    options = made_options(MigrateOptions, [], plan.database, folder, beam_arguments=("--direct_num_workers=1",))
    loads = [VisitedLoad(visits, record_folders(OutputFolder(str(folder)), visits))]
    run_visits(loads, splits, export, options, Console(quiet=True), checked=checked)


def all_checked(ahead: CheckAhead, files: int) -> CheckAhead:
    wait_until(lambda: len(ahead._checked) == files)
    return ahead


def test_what_was_checked_ahead_is_not_checked_again(
    begun: Begun, tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the file that was not, the job has a check."""
    export, plan, splits = begun
    checked_by_job: list[str] = []

    def seen(data_file, plan):
        checked_by_job.append(data_file.name)
        return check_data_file(data_file, plan)

    first, *others = export.data_files
    ahead = all_checked(CheckAhead(export, [first], plan), 1)
    monkeypatch.setattr("pipeline.job.graph.check_data_file", seen)

    run(export, plan, splits, tmp_path, ahead)

    assert sorted(checked_by_job) == sorted(one.name for one in others)
    assert database.value("SELECT count(*) FROM video_call_sessions") == 30


def test_a_file_that_is_changed_after_it_was_checked_ahead_is_refused(begun: Begun, tmp_path: Path, database: Database) -> None:
    """Nothing of it is loaded, and the ledger says why, as if the job had checked it."""
    export, plan, splits = begun
    ahead = all_checked(CheckAhead(export, export.data_files, plan), len(export.data_files))
    first, second = with_items(export)
    Path(first.uri).write_bytes(Path(second.uri).read_bytes())

    run(export, plan, splits, tmp_path, ahead)

    [(name, problem)] = database.query("SELECT data_file, problem FROM ddb2pg.refused_file")
    assert name == first.name
    assert "was changed after it was checked" in problem
    assert database.value("SELECT count(*) FROM video_call_sessions") == second.items


def test_a_damaged_file_is_left_to_the_job(begun: Begun, tmp_path: Path, database: Database) -> None:
    """Which says what is wrong, and loads the others."""
    export, plan, splits = begun
    first, second = with_items(export)
    Path(first.uri).write_bytes(Path(first.uri).read_bytes()[:-20])
    ahead = CheckAhead(export, [first], plan)
    ahead._thread.join()
    assert not ahead.end()

    run(export, plan, splits, tmp_path, ahead)

    assert [name for (name,) in database.query("SELECT data_file FROM ddb2pg.refused_file")] == [first.name]
    assert database.value("SELECT count(*) FROM video_call_sessions") == second.items


def test_a_large_file_is_left_to_the_job(begun: Begun, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which has all workers check files; here it would be waited for."""
    export, plan, _ = begun
    monkeypatch.setattr(check_ahead, "_LARGEST", 15)

    ahead = CheckAhead(export, export.data_files, plan)
    ahead._thread.join()

    assert list(ahead.end()) == [one.name for one in export.data_files if one.items < 20]


def test_no_file_is_begun_after_the_end(begun: Begun, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that is being checked is waited for, and is among those that are given."""
    export, plan, _ = begun
    is_begun, may_go_on = Event(), Event()

    def slowly(data_file, plan):
        is_begun.set()
        assert may_go_on.wait(60)
        return check_data_file(data_file, plan)

    monkeypatch.setattr(check_ahead, "check_data_file", slowly)
    ahead = CheckAhead(export, export.data_files, plan)
    assert is_begun.wait(60)
    ahead.abandon()
    may_go_on.set()

    assert list(ahead.end()) == [export.data_files[0].name]


def test_the_next_table_is_checked_and_not_written_while_one_is_proved(
    exports: Path, reference: DatabaseReference, database: Database, tmp_path: Path
) -> None:
    """Its writing begins when it is asked for, which a table that is not proved keeps from happening."""
    options = made_options(MigrateOptions, [exports], reference, tmp_path / "out", beam_arguments=("--direct_num_workers=1",))
    begun: list[CheckAhead] = []
    made = load_reading.CheckAhead

    def noted(*arguments):
        begun.append(made(*arguments))
        return begun[-1]

    readings, _, _ = command._begin(options, "run", Console(quiet=True))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(load_reading, "CheckAhead", noted)
        loaded = load_reading.load_readings(readings, options, OutputFolder(str(tmp_path / "run")), Console(quiet=True))
        [outcome] = next(loaded)

        assert outcome.may_go_on
        assert len(begun) == 2
        all_checked(begun[1], len(readings[1][0].export.data_files))
        committed = database.query("SELECT DISTINCT target_table FROM ddb2pg.chunk JOIN ddb2pg.load USING (load_id)")
        assert committed == [("public.video_call_sessions",)]
        assert database.value("SELECT count(*) FROM clinical_notes") == 0
        assert [outcome.target_table for outcomes in islice(loaded, 1) for outcome in outcomes] == ["public.clinical_notes"]
        loaded.close()


def test_what_would_stop_the_next_table_does_not_stop_the_proof_of_this_one(
    exports: Path, reference: DatabaseReference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too many dead letters of the next table, from an earlier run: said when its turn comes."""
    options = made_options(MigrateOptions, [exports], reference, tmp_path / "out", beam_arguments=("--direct_num_workers=1",))
    readings, _, _ = command._begin(options, "run", Console(quiet=True))
    of_ledger = load_reading.left_to_load

    def stopping(reading, options):
        if reading == readings[1]:
            message = "too many dead letters"
            raise Stopped(message)
        return of_ledger(reading, options)

    monkeypatch.setattr(load_reading, "left_to_load", stopping)
    loaded = load_reading.load_readings(readings, options, OutputFolder(str(tmp_path / "run")), Console(quiet=True))

    assert [outcome.may_go_on for outcome in next(loaded)] == [True]
    with pytest.raises(Stopped, match="too many dead letters"):
        next(loaded)
