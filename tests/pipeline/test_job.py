"""The Beam job against the plain loop, the shape of its graph, and Beam as tests run it against Beam."""

from __future__ import annotations

import copy
import json
import types
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.coders import StrUtf8Coder
from apache_beam.options.pipeline_options import DebugOptions, PipelineOptions
from apache_beam.portability import common_urns
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.transforms import core, userstate
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, TimerSpec, on_timer

from pipeline.job import graph
from pipeline.job.graph import define_pipeline
from pipeline.job.load import LoadChunks
from pipeline.job.visit import VisitedLoad, record_folders, visit_plainly
from pipeline.places.storage import OutputFolder
from pipeline.records.kinds import RecordKind
from pipeline.target.database_url import DatabaseReference
from sample_export import write_sample_exports
from tests.command_line import CommandLine
from tests.plain_loads import plans_of
from tests.postgres_server import Database, Server
from tests.quick_beam import beams_own_options, beams_own_parameters, beams_own_specs, remember
from tests.truth import records
from tests.unpacked import unpacked
from transforms.tables.medzen import TABLES


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("job") / "export"
    write_sample_exports(root, items=2_000, seed=10, faulty=0.1, odd=0.1, items_per_file=450)
    return root


def _comparable(record: dict) -> str:
    return json.dumps(
        {name: value for name, value in record.items() if name not in ("run_id", "first_run_id", "rejected_at")}, sort_keys=True
    )


def _without(counter: Counter[str], targets: set[str]) -> Counter[str]:
    return Counter({record: times for record, times in counter.items() if not any(target in record for target in targets)})


def _without_migration_time(database: Database, target: str) -> list[tuple]:
    """The rows as text; what was set to the load's migration time as a word, since each load has its own."""
    time = database.value("SELECT (migration_time AT TIME ZONE 'UTC')::text FROM ddb2pg.load WHERE target_table = %s", f"public.{target}")
    return database.query(f"SELECT replace((t.*)::text, %s, 'migration_time') FROM {target} t ORDER BY 1", f"{time}+00")


@pytest.mark.parametrize("workers", [1, 2])
def test_beam_and_the_plain_loop_give_the_same(
    export: Path, server: Server, database: Database, run: CommandLine, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    """Same rows, same dead letters, same notices, whether Beam runs the functions or a loop does."""
    plain = server.new_database()
    monkeypatch.setenv("PLAIN_DATABASE", plain.url)
    monkeypatch.setenv("PGTZ", "UTC")
    dead_letters: Counter[str] = Counter()
    notices: Counter[str] = Counter()
    chunks = 0
    for plan, splits in plans_of(export, DatabaseReference("env:PLAIN_DATABASE")):
        for batches in visit_plainly(splits, LoadChunks(plan)):
            chunks += 1
            dead_letters.update(_comparable(json.loads(record)) for record in batches[RecordKind.DEAD_LETTERS].records)
            notices.update(_comparable(json.loads(record)) for record in batches[RecordKind.NOTICES].records)

    finished = run.migrate(export, "--chunk_items=100", "--split_items=110", "--most_splits=4", f"--direct_num_workers={workers}")

    assert finished.exit_code == 3, finished.output
    assert chunks > 50, "too few chunks to tell the two apart"
    folder = run.run_folders[0]
    # Of items that share a key, which one is the row is a race with two workers; the truth test covers those.
    raced = {"video_call_audit_log"} if workers == 2 else set()
    for kind, of_loop in (("dead_letters", dead_letters), ("notices", notices)):
        of_beam = Counter(_comparable(record) for table in TABLES for record in records(folder / kind / table.source))
        assert _without(of_beam, raced) == _without(of_loop, raced)
        assert of_loop
    for table in TABLES:
        if table.target not in raced:
            assert _without_migration_time(database, table.target) == _without_migration_time(plain, table.target)


def test_reading_converting_and_writing_are_one_stage(
    export: Path, database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Chunks, dead letters and notices never cross a stage boundary, where the engine would keep them in memory."""
    monkeypatch.setenv("STAGES_DATABASE", database.url)
    plan, splits = next(plans_of(export, DatabaseReference("env:STAGES_DATABASE")))
    root = beam.Pipeline(runner=FnApiRunner())
    define_pipeline(root, splits, [VisitedLoad(LoadChunks(plan), record_folders(OutputFolder(str(tmp_path)), LoadChunks(plan)))])

    _, stages = FnApiRunner().create_stages(root.to_runner_api())

    with_par_do = [
        {transform.unique_name.split("/")[0] for transform in stage.transforms if transform.spec.urn == common_urns.primitives.PAR_DO.urn}
        for stage in stages
    ]
    fused = {"ReadChunks", "VisitChunks", "Write dead_letters", "Write notices", "NoteChangedFiles"}
    assert [names for names in with_par_do if names & fused] == [next(names for names in with_par_do if names >= fused)]
    assert len(stages) <= 7


def test_what_travels_with_the_job_holds_no_secret(
    export: Path, database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The serialised graph knows where the database's URL is, not what it is."""
    monkeypatch.setenv("SECRET_DATABASE", database.url + " password=planted-secret")
    plan, splits = next(plans_of(export, DatabaseReference("env:SECRET_DATABASE")))
    root = beam.Pipeline(runner=FnApiRunner())
    define_pipeline(root, splits, [VisitedLoad(LoadChunks(plan), record_folders(OutputFolder(str(tmp_path)), LoadChunks(plan)))])

    graph = root.to_runner_api()

    payloads = [transform.spec.payload for transform in graph.components.transforms.values()]
    seen = b"".join(map(unpacked, payloads))
    assert b"SECRET_DATABASE" in seen
    assert b"planted-secret" not in seen


def test_migration_time_is_one_for_all_runs(export: Path, database: Database, run: CommandLine) -> None:
    """Every defaulted timestamp of a load is the ledger's migration_time, from before the first chunk."""
    before = datetime.now(UTC)
    run.migrate(export)
    run.migrate(export)

    times = database.query("SELECT DISTINCT migration_time FROM ddb2pg.load")

    assert len(times) == 1
    assert before <= times[0][0]
    assert database.value("SELECT count(*) FROM clinical_notes WHERE created_at = %s OR updated_at = %s", times[0][0], times[0][0]) > 0


def test_the_parameters_that_tests_let_beam_remember_are_those_it_finds() -> None:
    """Of every method of every step, asked twice; who changes what was given changes nothing for the next."""
    remember()
    steps = [step for step in vars(graph).values() if isinstance(step, type) and issubclass(step, beam.DoFn)]
    assert len(steps) >= 5
    for step in steps:
        made = object.__new__(step)
        methods = [method for name in dir(step) if isinstance(method := getattr(made, name), types.MethodType)]
        assert len(methods) > 10
        for method in methods:
            own = beams_own_parameters(method)
            names, defaults = core.get_function_args_defaults(method)
            assert (names, defaults) == own
            names.append("another")
            defaults.append("another")
            assert core.get_function_args_defaults(method) == own


class _Stateful(beam.DoFn):
    STATE = BagStateSpec("bag", StrUtf8Coder())
    TIMER = TimerSpec("timer", TimeDomain.WATERMARK)

    def process(self, element: tuple[str, str], bag: object = beam.DoFn.StateParam(STATE)) -> None: ...

    @on_timer(TIMER)
    def ring(self, timer: object = beam.DoFn.TimerParam(TIMER)) -> None: ...

    def ask(self, element: str) -> str: ...


def test_the_state_that_tests_let_beam_remember_is_what_it_finds() -> None:
    """Of our steps, of Beam's that call a function or a method, and of one that has state and a timer; asked twice, as above."""
    remember()
    ours = [object.__new__(step) for step in vars(graph).values() if isinstance(step, type) and issubclass(step, beam.DoFn)]
    steps = [*ours, _Stateful(), beam.Map(str).fn, beam.Map(_Stateful().ask).fn]
    for step in [*steps, *steps]:
        own = beams_own_specs(step)
        specs = userstate.get_dofn_specs(step)
        assert specs == own
        specs[0].add("another")
    assert [len(specs) for specs in userstate.get_dofn_specs(_Stateful())] == [1, 1]


@pytest.mark.parametrize("flags", [[], ["--direct_num_workers=2", "--experiments=one", "--experiments=two", "--unknown=3"]])
def test_the_options_that_tests_let_beam_remember_are_those_it_reads(monkeypatch: pytest.MonkeyPatch, flags: list[str]) -> None:
    """Of every class of options; those of one view change no other's."""
    remember()
    classes = PipelineOptions.__subclasses__()
    assert len(classes) > 20
    for _ in range(2):
        remembered = PipelineOptions(list(flags))
        views = copy.deepcopy([remembered.view_as(of).get_all_options() for of in classes])
        remembered.view_as(DebugOptions).add_experiment("three")
        with monkeypatch.context() as patched:
            patched.setattr(PipelineOptions, "__init__", beams_own_options)
            own = PipelineOptions(list(flags))
            assert [own.view_as(of).get_all_options() for of in classes] == views
