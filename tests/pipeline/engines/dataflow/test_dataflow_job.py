"""A job on Dataflow from its sending to its end, below the command line: what it is made of, and what is said when it ends otherwise."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import apache_beam as beam
import pytest
from apache_beam.portability.api import beam_runner_api_pb2

from pipeline.engines.dataflow import with_dataflow_defaults
from pipeline.engines.run import run_pipeline, send_pipeline
from pipeline.errors import Interrupted, Stopped
from tests.dataflow_service import IMAGE, DataflowService, options_without_service

PAGE = "https://console.cloud.google.com/dataflow/jobs/us-central1/job-0?project=project-1"


@pytest.fixture(autouse=True)
def _no_long_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beam asks every five seconds how a job is."""
    from apache_beam.runners.dataflow import dataflow_runner

    quick = SimpleNamespace(sleep=lambda seconds: time.sleep(min(seconds, 0.1)), time=time.time)
    monkeypatch.setattr(dataflow_runner, "time", quick)
    monkeypatch.setenv("NO_GCE_CHECK", "true")


@pytest.fixture
def service():
    with DataflowService() as service:
        yield service


def nothing(root: beam.Pipeline) -> None:
    _ = root | beam.Create([1], reshuffle=False)


def stop(_: int) -> None:
    message = "the disk is full; make room, and run the same command again"
    raise Stopped(message)


def stopping(root: beam.Pipeline) -> None:
    _ = root | beam.Create([1], reshuffle=False) | "Stop" >> beam.Map(stop)


def fail_with_a_value(_: int) -> None:
    message = "planted value"
    raise ValueError(message)


def failing(root: beam.Pipeline) -> None:
    _ = root | beam.Create([1], reshuffle=False) | "Fail" >> beam.Map(fail_with_a_value)


def run(service: DataflowService, folder: Path, define=nothing) -> None:
    run_pipeline(define, with_dataflow_defaults(service.options(folder)), 1, "ddb2pg-20261123T120000.000-a1b2c3-medzen-video-sessions")


def test_a_job_is_waited_for(service: DataflowService, tmp_path: Path) -> None:
    run(service, tmp_path)

    assert [job["name"] for job in service.jobs] == ["ddb2pg-20261123t120000-000-a1b2c3-medzen-video-sessions"]


def test_a_template_holds_the_settings_that_a_job_needs(tmp_path: Path) -> None:
    """Our image and nothing staged beside it, one thread a process, a machine of a known size, batch, and no main session."""
    options = with_dataflow_defaults([*options_without_service(tmp_path), "--dataflow_endpoint=http://localhost:1", "--max_num_workers=3"])

    sent = send_pipeline(nothing, [*options, f"--template_location={tmp_path / 'job.json'}"], "ddb2pg-table")

    assert sent is not None
    assert str(tmp_path / "job.json") in sent.whereabouts()
    job = json.loads((tmp_path / "job.json").read_text())
    [pool] = job["environment"]["workerPools"]
    assert [image["containerImage"] for image in pool["sdkHarnessContainerImages"]] == [IMAGE]
    assert pool["numThreadsPerWorker"] == 1
    assert pool["machineType"] == "e2-standard-2"
    assert pool["autoscalingSettings"]["maxNumWorkers"] == 3
    assert "packages" not in pool
    assert job["type"] == "JOB_TYPE_BATCH"
    beam_options = job["environment"]["sdkPipelineOptions"]["options"]
    assert (beam_options["save_main_session"], beam_options["sdk_location"], beam_options["streaming"]) == (False, "container", False)
    graph = beam_runner_api_pb2.Pipeline.FromString((tmp_path / "staging" / "pipeline.pb").read_bytes())
    [environment] = graph.components.environments.values()
    assert beam_runner_api_pb2.DockerPayload.FromString(environment.payload).container_image == IMAGE
    assert not environment.dependencies


def test_a_template_cannot_be_waited_for(service: DataflowService, tmp_path: Path) -> None:
    """Beam would say at once that it is done."""
    with pytest.raises(Stopped, match="must be waited for"):
        run_pipeline(nothing, [*service.options(tmp_path), f"--template_location={tmp_path / 'job.json'}"], 1, "ddb2pg-table")


def test_a_step_that_stopped_is_told_in_its_own_sentence(service: DataflowService, tmp_path: Path) -> None:
    with pytest.raises(Stopped, match=r"^the disk is full; make room, and run the same command again$"):
        run(service, tmp_path, stopping)


def test_a_failed_job_is_told_with_its_page_and_without_its_words(service: DataflowService, tmp_path: Path) -> None:
    """The words of an exception may be a value."""
    with pytest.raises(Stopped) as stopped:
        run(service, tmp_path, failing)

    assert str(stopped.value).startswith(f"the job failed on Dataflow by a bug in ddb2pg (ValueError): look at {PAGE}; what is committed")
    assert "planted value" not in str(stopped.value)


def test_a_cancelled_job_is_told_as_that(service: DataflowService, tmp_path: Path) -> None:
    def cancel(_: object) -> None:
        assert service.seen.wait(300)
        service.cancel()

    service.run = cancel

    with pytest.raises(Stopped, match=r"^the job was cancelled on Dataflow: look at https://"):
        run(service, tmp_path)


def test_ctrl_c_leaves_the_job_going_and_says_how_to_end_it(service: DataflowService, tmp_path: Path) -> None:
    is_told = threading.Event()

    def interrupt(_: object) -> None:
        assert service.seen.wait(300)
        os.kill(os.getpid(), signal.SIGINT)
        is_told.wait(300)

    service.run = interrupt

    with pytest.raises(Interrupted) as interrupted:
        run(service, tmp_path)

    is_told.set()
    told = str(interrupted.value)
    assert told.startswith("the job goes on, on Dataflow, as job-0: ")
    assert PAGE in told
    assert "gcloud dataflow jobs cancel job-0 --region=us-central1 --project=project-1" in told


def test_a_service_that_does_not_take_the_job(service: DataflowService, tmp_path: Path) -> None:
    """Told by what it means, without the service's words."""
    service.refusal = (403, "PERMISSION_DENIED")

    with pytest.raises(Stopped) as stopped:
        run(service, tmp_path)

    assert str(stopped.value).startswith("Dataflow did not take the job (Forbidden): these credentials may not; give them roles/dataflow")
    assert "the words of a server" not in str(stopped.value)
