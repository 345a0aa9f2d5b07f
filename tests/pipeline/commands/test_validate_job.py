"""The Beam job of validate against the plain loop, the shape of its graph, and its memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.portability import common_urns
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner

from pipeline.job.compare import CompareChunks
from pipeline.job.graph import define_pipeline
from pipeline.job.plan import LoadPlan
from pipeline.job.visit import VisitedLoad, record_folders, visit_plainly
from pipeline.ledger.loads import find_load
from pipeline.places.storage import OutputFolder
from pipeline.records.kinds import RecordKind
from pipeline.source.chunks import plan_splits
from pipeline.target.session import Session
from pipeline.target.target import find_target
from sample_export import write_sample_exports
from tests.command_line import CommandLine
from tests.pipeline.planted import found_in, plant
from tests.pipeline.source.read_splits import read_exports
from tests.pipeline.target.made_loads import reference_to
from tests.postgres_server import Database, Server
from tests.truth import records
from transforms.tables.medzen import TABLES


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("validate-job") / "export"
    write_sample_exports(root, items=600, seed=61, faulty=0.1, odd=0.1, items_per_file=200)
    return root


def _plans(export: Path, database: Database):
    reference = reference_to(database.url)
    for table in TABLES:
        read = read_exports(export / table.source)[0]
        with Session(reference) as session:
            target = session.transact(lambda cursor, table=table: find_target(cursor, table.target))
            load = session.transact(lambda cursor, read=read, target=target: find_load(cursor, read.export_id, target.qualified))
        plan = CompareChunks(LoadPlan(load, table, target, reference, "plain", table.source), seed=1)
        yield plan, plan_splits(read.data_files, load.split_size)


def _comparable(record: dict) -> str:
    return json.dumps({name: value for name, value in record.items() if name != "run_id"}, sort_keys=True)


def test_beam_and_the_plain_loop_find_the_same(export: Path, database: Database, run: CommandLine) -> None:
    """Whether Beam runs the functions or a loop does."""
    run.migrate(export, "--chunk_items=30")
    plant(database)

    assert run.validate(export).exit_code == 3

    for plan, splits in _plans(export, database):
        of_loop = Counter(
            _comparable(json.loads(record)) for batches in visit_plainly(splits, plan) for record in batches[RecordKind.MISMATCHES].records
        )
        of_beam = Counter(
            _comparable(record)
            for record in records(run.run_folders[-1] / "mismatches" / plan.load_plan.table.source)
            if record["kind"] != "row_without_item"
        )
        assert of_beam == of_loop
        assert of_loop


def test_reading_comparing_and_telling_are_one_stage(export: Path, database: Database, run: CommandLine, tmp_path: Path) -> None:
    """As in the load: chunks and mismatches never cross a stage boundary."""
    run.migrate(export)
    plan, splits = next(_plans(export, database))
    root = beam.Pipeline(runner=FnApiRunner())
    define_pipeline(root, splits, [VisitedLoad(plan, record_folders(OutputFolder(str(tmp_path)), plan))])

    _, stages = FnApiRunner().create_stages(root.to_runner_api())

    with_par_do = [
        {transform.unique_name.split("/")[0] for transform in stage.transforms if transform.spec.urn == common_urns.primitives.PAR_DO.urn}
        for stage in stages
    ]
    fused = {"ReadChunks", "VisitChunks", "Write mismatches", "NoteChangedFiles"}
    assert [names for names in with_par_do if names & fused] == [next(names for names in with_par_do if names >= fused)]


def _peak_mb(command: list[str | Path], database: Database, exit_code: int) -> float:
    process = subprocess.Popen(command, env={**os.environ, "DATABASE_URL": database.url}, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == exit_code
    return usage.ru_maxrss / 1024


def _peaks(folder: Path, server: Server, sizes: tuple[int, int], change: str | None) -> list[float]:
    peaks = []
    for items in sizes:
        export = write_sample_exports(
            folder / str(items),
            items=items,
            faulty=0,
            odd=0,
            tables=["medzen-video-sessions"],
            items_per_file=sizes[0],
            processes=os.cpu_count() or 1,
        )[0]
        database = server.new_database()
        arguments = ["--export", export.folder, "--output", folder / "out"]
        assert _peak_mb([sys.executable, "-m", "pipeline", "migrate", *arguments], database, 0)
        if change:
            database.execute(change)
        command = [sys.executable, "-m", "pipeline", "validate", *arguments, "--direct_num_workers=1"]
        peaks.append(_peak_mb(command, database, 3 if change else 0))
    return peaks


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(None, marks=pytest.mark.soak),
        pytest.param("UPDATE video_call_sessions SET status = 'X'", marks=pytest.mark.soak),
        pytest.param("TRUNCATE video_call_sessions", marks=pytest.mark.soak),
        "UPDATE video_call_sessions SET id = gen_random_uuid()",
    ],
    ids=["equal", "all different", "all missing", "all missing, and as many others"],
)
def test_ten_times_the_items_take_the_same_memory(tmp_path: Path, server: Server, change: str | None) -> None:
    """Peak memory on 100,000 items is within 50 MB of the peak on 10,000, whatever is found."""
    small, large = _peaks(tmp_path, server, (10_000, 100_000), change)

    assert large - small < 50, f"{small:.0f} MB, then {large:.0f} MB"


@pytest.mark.soak
def test_planted_differences_are_found_among_a_million_rows(tmp_path: Path, run: CommandLine, database: Database) -> None:
    """One in each column, two deleted, three added, in each table; and what a rollback leaves is what was changed or added."""
    export = tmp_path / "export"
    write_sample_exports(export, items=340_000, seed=62, items_per_file=40_000, processes=os.cpu_count() or 1)
    assert run.migrate(export).exit_code == 3
    planted = plant(database)
    arguments = ["--export", export, "--output", run.output, "--direct_num_workers=1"]

    peak = _peak_mb([sys.executable, "-m", "pipeline", "validate", *arguments], database, 3)

    assert found_in(run.run_folders[-1] / "mismatches") == {"planted": planted, "others": {}}
    of_rollback = _peak_mb([sys.executable, "-m", "pipeline", "rollback", "--yes", *arguments], database, 3)
    print(f"peak memory on three tables of 340,000 items: validate {peak:.0f} MB, rollback {of_rollback:.0f} MB")
    for target, changed in planted.different.items():
        assert {row[0] for row in database.query(f"SELECT id::text FROM {target}")} == changed.keys() | planted.added[target]


@pytest.mark.soak
def test_a_million_items_take_the_memory_of_a_tenth(tmp_path: Path, server: Server) -> None:
    """Peak memory of validate on 1,000,000 items, all different, is within 50 MB of the peak on 100,000."""
    small, large = _peaks(tmp_path, server, (100_000, 1_000_000), "UPDATE video_call_sessions SET status = 'X'")

    print(f"peak memory of validate: {small:.0f} MB on 100,000 items, {large:.0f} MB on 1,000,000")
    assert large - small < 50, f"{small:.0f} MB, then {large:.0f} MB"
