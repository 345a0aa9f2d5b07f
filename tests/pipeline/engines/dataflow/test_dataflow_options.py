"""Beam's options for Dataflow, what is refused before a job goes there, and how many connections it may open."""

from __future__ import annotations

import pytest

from pipeline.engines.arguments import Submission, given_values
from pipeline.engines.dataflow import (
    DataflowJob,
    connections_each,
    dataflow_name,
    planned_connections,
    ready_for_dataflow,
    with_dataflow_defaults,
)
from pipeline.engines.runners import planned_workers, ready_to_run, worker_limit
from pipeline.errors import Refused
from pipeline.outcome.outcome import Verdict
from pipeline.places.storage import OutputFolder
from pipeline.preflight.database import Limit, connection_findings, limit_findings
from pipeline.preflight.findings import Code
from pipeline.source.given import ExportArgument
from pipeline.target.connection import look_at_link
from pipeline.target.database_url import DatabaseReference
from pipeline.target.session import Session
from tests.postgres_server import Database

SOUND = [
    "--runner=DataflowRunner",
    "--project=project-1",
    "--region=europe-west1",
    "--temp_location=gs://b/t",
    "--sdk_container_image=r/w:1",
]
SECRET = "gcp-secretmanager:projects/project-1/secrets/database"


def ready(arguments: list[str], *, database: str | None = SECRET, shared: bool = False, on_disk: bool = False) -> Submission:
    exports = [ExportArgument(None, "export" if on_disk else "gs://bucket/export")]
    given = Submission(arguments, exports, OutputFolder("out") if on_disk else OutputFolder("s3://bucket/out"))
    return ready_to_run(given, has_shared_folders=shared, database=database, is_url_given=False)


def problems(arguments: list[str], **more: object) -> list[str]:
    with pytest.raises(Refused) as refused:
        ready(arguments, **more)
    return list(refused.value.problems)


def test_what_was_given_stands() -> None:
    given = [*SOUND, "--worker_machine_type", "n2-standard-8", "--number_of_worker_harness_threads=2", "--sdk_location=default"]

    found = ready(given).beam_arguments

    assert found == [*given, "--experiments=disable_logging_submission_environment"]


def test_what_was_not_given_is_set() -> None:
    assert set(ready(SOUND).beam_arguments) - set(SOUND) == {
        "--sdk_location=container",
        "--number_of_worker_harness_threads=1",
        "--machine_type=e2-standard-2",
        "--experiments=disable_logging_submission_environment",
    }


def test_all_that_is_missing_is_told_at_once() -> None:
    """Options, the code of the workers, a database that they find, folders that they see."""
    [options, code, database, *folders] = problems(["--runner=DataflowRunner"], database=None, on_disk=True)

    assert all(name in options for name in ("--project", "--region", "--temp_location"))
    assert "--sdk_container_image" in code
    assert "--database_secret=gcp-secretmanager:" in database
    assert [folder.split(" is a folder")[0] for folder in folders] == ["--export export", "--output out"]


@pytest.mark.parametrize("reference", ["env:DATABASE_URL", "file:/run/secret"])
def test_references_to_this_machine_are_refused(reference: str) -> None:
    [problem] = problems(SOUND, database=reference)

    assert "--database_secret" in problem


@pytest.mark.parametrize(
    ("argument", "name"),
    [
        ("--labels=url=postgresql://u:planted@h/d", "--labels"),
        ("--experiments=password=planted", "--experiments"),
        ("--job_name=AKIAPLANTEDPLANTED12", "--job_name"),
        ("--dataflow_service_options=aws_secret_access_key=planted", "--dataflow_service_options"),
    ],
)
def test_options_that_look_like_a_secret_are_refused_by_their_names(argument: str, name: str) -> None:
    """Dataflow shows and keeps them."""
    option, _, value = argument.partition("=")
    for arguments in ([argument], [option, value]):
        [problem] = problems([*SOUND, *arguments])
        assert problem.startswith(f"{name}: looks like it holds a secret")
        assert "planted" not in problem.lower()


def test_options_that_nobody_knows_are_refused_by_their_names() -> None:
    """Beam would send them along; but the launcher of a template may add its own."""
    [problem] = problems([*SOUND, "--databse=planted"])

    assert problem.startswith("unknown arguments: --databse;")
    assert "planted" not in problem
    assert "--new_of_google=1" in ready([*SOUND, "--template_location=gs://b/t/job", "--new_of_google=1"]).beam_arguments


@pytest.mark.parametrize("argument", ["--streaming", "--no_wait_until_finish"])
def test_options_that_make_no_sense_for_a_load_are_refused(argument: str) -> None:
    assert argument in problems([*SOUND, argument])[0]


@pytest.mark.parametrize(
    ("more", "each", "connections"),
    [
        ([], 2, None),
        (["--max_num_workers=3"], 2, 6),
        (["--max_num_workers", "3", "--machine_type=n2-standard-8"], 8, 24),
        (["--max_num_workers=3", "--machine_type=n2-standard-8", "--number_of_worker_harness_threads=2"], 16, 48),
        (["--max_num_workers=3", "--machine_type=n2-standard-8", "--experiments=no_use_multiple_sdk_containers"], 1, 3),
        (["--max_num_workers=2", "--worker_machine_type=n2-custom-6-20480"], 6, 12),
        (["--max_num_workers=2", "--machine_type=custom-4-4096"], 4, 8),
        (["--max_num_workers=2", "--machine_type=e2-medium"], 2, 4),
        (["--max_num_workers=2", "--machine_type=c3-standard-4-lssd"], 4, 8),
        (["--max_num_workers=2", "--machine_type=something-new"], None, None),
        (["--num_workers=5"], 2, None),
        (["--autoscaling_algorithm=NONE", "--num_workers=5"], 2, 10),
    ],
)
def test_connections_are_machines_times_processes_times_threads(more: list[str], each: int | None, connections: int | None) -> None:
    arguments = with_dataflow_defaults([*SOUND, *more])

    assert connections_each(arguments) == each
    assert planned_connections(arguments) == connections
    assert planned_workers(arguments, 1_000_000, 100) == connections


def test_too_many_connections_are_a_problem_with_the_number_that_would_do() -> None:
    limit = worker_limit(with_dataflow_defaults([*SOUND, "--machine_type=n2-standard-8"]))

    [finding] = limit_findings([Limit("the server", 60, 20)], 80, limit)

    assert finding.name is Code.TOO_FEW_CONNECTIONS
    assert "40 of 60 connections free, but the run opens 81" in finding.detail
    assert "--max_num_workers=4 or less" in finding.detail


def test_no_limit_at_all_is_a_warning_with_one_to_set(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dataflow takes as many machines as it likes."""
    monkeypatch.setenv("OF_TEST", database.url)
    reference = DatabaseReference("env:OF_TEST")
    link = look_at_link(reference, 2)
    limit = worker_limit(with_dataflow_defaults(SOUND))
    with Session(reference) as session:
        [finding] = session.transact(lambda cursor: list(connection_findings(cursor, link, None, limit)))

    assert finding.verdict is Verdict.WARNING
    assert "give --max_num_workers=" in finding.detail


@pytest.mark.parametrize("name", ["ddb2pg-20261123T1.5-a1-MedZen.video_sessions", "x--"])
def test_names_are_those_that_dataflow_takes(name: str) -> None:
    assert dataflow_name(name) in ("ddb2pg-20261123t1-5-a1-medzen-video-sessions", "x")


def test_errors_that_are_bugs_here_are_not_told_as_the_service_s() -> None:
    """They go on as what they are; a folder that cannot be written to, before the job is there, is the bucket."""
    job = DataflowJob("name", "project-1", "europe-west1")

    assert job.failure(ValueError("planted")) is None
    assert "--temp_location (PermissionError)" in (job.failure(PermissionError("planted")) or "")


def test_the_runner_needs_packages_of_google(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    with pytest.raises(Refused, match=r"pip install 'ddb2pg\[gcp\]'"):
        ready_for_dataflow(Submission(SOUND, [], OutputFolder("s3://b/o")), [], has_shared_folders=False, database=SECRET)


def test_values_are_read_in_both_spellings() -> None:
    assert given_values(["--a=1", "--b", "--a", "2", "--a"], "a") == ["1", "2", ""]
