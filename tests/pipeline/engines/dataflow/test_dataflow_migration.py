"""Migrations through the real DataflowRunner, with a service on this machine that runs the jobs as they were sent."""

from __future__ import annotations

import json
import re
from pathlib import Path

from sample_export import write_sample_exports
from tests.command_line import CommandLine
from tests.dataflow_service import DataflowService
from tests.handmade_export import write_export
from tests.pipeline.engines.dataflow.conftest import Migrations
from tests.pipeline.engines.dataflow.job_shape import MIGRATION_STAGE, par_dos_by_stage
from tests.pipeline.made_readings import FILES, OF_FILE, TARGETS, definitions, lines
from tests.postgres_server import Database
from tests.truth import assert_equals_truth, lines_of_export
from tests.unpacked import unpacked
from transforms.tables.medzen import TABLES


def test_three_tables_are_loaded_one_after_the_other(
    tmp_path: Path, database: Database, run: CommandLine, service: DataflowService, migrate_on_dataflow: Migrations
) -> None:
    """A job each, waited for, proved and gated: the same end as on one machine. What was sent holds no secret and no value of an item."""
    write_sample_exports(tmp_path / "export", items=400, seed=21, faulty=0.1, odd=0.1, items_per_file=150)

    finished = migrate_on_dataflow(tmp_path / "export", "--max_num_workers=2")

    assert finished.exit_code == 3, finished.output
    assert_equals_truth(tmp_path / "export", database, run.run_folders[0])
    assert (run.run_folders[0] / "report.html").exists()
    assert all(job["name"].endswith(f"-{table.source}") for job, table in zip(service.jobs, TABLES, strict=True))
    _check_that_nothing_leaked(tmp_path, database, service)


def _check_that_nothing_leaked(tmp_path: Path, database: Database, service: DataflowService) -> None:
    """Neither in the jobs, nor in their graphs, nor in what else was staged."""
    staged = [path.read_bytes() for path in (tmp_path / "bucket").rglob("*") if path.is_file()]
    graphs = [pipeline.SerializeToString() for pipeline in service.pipelines]
    sent = b"\n".join(map(unpacked, [*staged, *graphs, *(json.dumps(job).encode() for job in service.jobs)]))
    assert b"gcp-secretmanager:projects/project-1/secrets/database" in sent
    assert database.url.encode() not in sent
    for table in TABLES:
        values = {value for line in lines_of_export(tmp_path / "export", table.source).values() for value in _texts(line)}
        assert len(values) > 400
        assert not [value for value in values if value in sent]
    for pipeline in service.pipelines:
        assert par_dos_by_stage(pipeline, MIGRATION_STAGE) == [MIGRATION_STAGE]


def _texts(line: bytes) -> list[bytes]:
    """Texts of an item that nothing else can be: ids, names, notes."""
    return [text for text in re.findall(rb'"S":"([^"\\\\]{16,})"', line) if not re.fullmatch(rb"[A-Z_]+", text)]


def test_launches_send_a_table_each_when_the_one_before_is_proved(
    tmp_path: Path, database: Database, run: CommandLine, service: DataflowService, migrate_on_dataflow: Migrations
) -> None:
    """Nobody waits: the same command again goes on, and `migrate` in a place that waits has the last word."""
    write_sample_exports(tmp_path / "export", items=300, seed=22, faulty=0.1, odd=0.1)
    outputs = []
    for number, table in enumerate(TABLES):
        launched = migrate_on_dataflow(tmp_path / "export", "--no_wait")
        assert launched.exit_code == 0, launched.output
        assert f"{table.source}: sent" in launched.stdout
        assert f"gcloud dataflow jobs cancel job-{number} --region=us-central1 --project=project-1" in launched.stdout
        service.wait_for(number)
        outputs.append(launched.stdout)
    assert "300 items in the manifest = 300 read" in outputs[1]
    assert "(left: " not in outputs[2]
    assert len({job["name"] for job in service.jobs}) == 3

    last = migrate_on_dataflow(tmp_path / "export", "--no_wait")
    assert last.exit_code == 0
    assert "No job is left to be sent" in last.stdout
    assert len(service.jobs) == 3

    concluded = run.migrate(tmp_path / "export")
    assert concluded.exit_code == 3, concluded.output
    assert_equals_truth(tmp_path / "export", database, run.run_folders[-1])


def test_a_launch_sends_the_tables_of_one_reading_together(
    tmp_path: Path, database: Database, run: CommandLine, service: DataflowService, migrate_on_dataflow: Migrations
) -> None:
    """One job for both; the next launch proves them, and what is left of a reading is sent under the same name."""
    database.execute(TARGETS)
    export = write_export(tmp_path / "export", "App", lines())
    tables = definitions(tmp_path, "CUSTOMER, ORDER")

    sent = migrate_on_dataflow(export, tables, "--no_wait")
    assert sent.exit_code == 0, sent.output
    assert "App--customer, App--customer_order: sent; " in sent.stdout
    assert "it proves these tables and says what is left to do" in sent.stdout
    service.wait_for(0)
    database.execute("DELETE FROM customer_order; DELETE FROM order_line; DELETE FROM ddb2pg.tally WHERE load_id = 2")
    database.execute("DELETE FROM ddb2pg.chunk WHERE load_id = 2")

    again = migrate_on_dataflow(export, tables, "--no_wait")
    assert again.exit_code == 0, again.output
    assert "App--customer_order: sent; " in again.stdout
    assert "App--customer: sent" not in again.stdout
    service.wait_for(1)
    assert service.jobs[0]["name"] == service.jobs[1]["name"]
    for pipeline in service.pipelines:
        assert par_dos_by_stage(pipeline, MIGRATION_STAGE) == [MIGRATION_STAGE]

    last = migrate_on_dataflow(export, tables, "--no_wait")
    assert last.exit_code == 0, last.output
    assert "No job is left to be sent" in last.stdout
    concluded = run.migrate(export, tables)
    assert concluded.exit_code == 0, concluded.output
    assert database.value("SELECT count(*) FROM order_line") == FILES * OF_FILE


def test_a_launch_sends_a_table_that_is_not_whole_again(
    tmp_path: Path, database: Database, service: DataflowService, migrate_on_dataflow: Migrations
) -> None:
    """Under the same name, which the service refuses while the first job runs; and the next table is not begun."""
    write_sample_exports(tmp_path / "export", items=50, seed=23, tables=["medzen-video-sessions"])
    service.run = lambda _job: None

    first = migrate_on_dataflow(tmp_path / "export", "--no_wait")
    service.refusal = (409, "ALREADY_EXISTS")
    second = migrate_on_dataflow(tmp_path / "export", "--no_wait")

    assert (first.exit_code, second.exit_code) == (0, 1), second.output
    assert "a job of this name runs already" in second.stderr
    assert "the words of a server" not in second.output
    assert service.refused == [service.jobs[0]["name"]]
    assert database.value("SELECT count(*) FROM video_call_sessions") == 0
