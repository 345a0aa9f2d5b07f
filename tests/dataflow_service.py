"""Dataflow for tests: its REST methods on a free port of this machine. Jobs are run as they were sent, by Beam's local engine.

https://cloud.google.com/dataflow/docs/reference/rest/v1b3/projects.locations.jobs
"""

from __future__ import annotations

import json
import re
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability import python_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner

from tests.json_server import JsonServer

IMAGE: Final = "region-docker.pkg.dev/project-1/ddb2pg/worker:1"
_TIME: Final = "2026-11-23T12:00:00Z"


def run_as_sent(sent: beam_runner_api_pb2.Pipeline) -> None:
    """What the service does with a job, but that its containers are this process."""
    pipeline = beam_runner_api_pb2.Pipeline.FromString(sent.SerializeToString())
    for environment in pipeline.components.environments.values():
        environment.urn, environment.payload = python_urns.EMBEDDED_PYTHON, b""
    FnApiRunner().run_via_runner_api(pipeline, PipelineOptions()).wait_until_finish()


def sent_pipeline(job: dict[str, Any]) -> beam_runner_api_pb2.Pipeline:
    """The graph, from the staging folder."""
    url = job["environment"]["sdkPipelineOptions"]["options"]["pipelineUrl"]
    return beam_runner_api_pb2.Pipeline.FromString(Path(url).read_bytes())


class DataflowService(JsonServer):
    """`run` is what becomes of a job: it ends, or raises, and whatever it raises is told by the service, as Dataflow does."""

    def __init__(self, run: Callable[[beam_runner_api_pb2.Pipeline], None] = run_as_sent) -> None:
        self.run = run
        self.jobs: list[dict[str, Any]] = []
        """As they were sent."""
        self.pipelines: list[beam_runner_api_pb2.Pipeline] = []
        """Their graphs."""
        self.seen = threading.Event()
        """Whether somebody asked how a job is."""
        self.refusal: tuple[int, str] | None = None
        """What to answer instead of taking a job."""
        self.refused: list[str] = []
        """The names of jobs that it did not take."""
        self._ended: list[threading.Event] = []
        self._states: list[str] = []
        self._errors: list[str] = []
        super().__init__()
        self.url = f"http://localhost:{self.port}"

    def options(self, folder: Path) -> list[str]:
        """Those of a job that goes here; what it stages, too."""
        return [*options_without_service(folder), f"--dataflow_endpoint={self.url}"]

    def cancel(self) -> None:
        """As somebody does in Google's console."""
        self._states[-1] = "JOB_STATE_CANCELLED"

    def wait_for(self, number: int) -> None:
        """Until a job has ended well."""
        assert self._ended[number].wait(300)
        assert self._states[number] == "JOB_STATE_DONE", self._errors

    def _take(self, job: dict[str, Any]) -> dict[str, Any]:
        number = len(self.jobs)
        self.jobs.append(job)
        self.pipelines.append(sent_pipeline(job))
        self._states.append("JOB_STATE_RUNNING")
        self._ended.append(threading.Event())
        threading.Thread(target=self._work, args=(number,), daemon=True).start()
        return self._job(number)

    def _work(self, number: int) -> None:
        try:
            self.run(self.pipelines[number])
        except Exception:  # noqa: BLE001 - as the service, whatever a job raises
            self._errors.append(traceback.format_exc())
            ended = "JOB_STATE_FAILED"
        else:
            ended = "JOB_STATE_DONE"
        if self._states[number] == "JOB_STATE_RUNNING":
            self._states[number] = ended
        self._ended[number].set()

    def _job(self, number: int) -> dict[str, Any]:
        return {"id": f"job-{number}", "name": self.jobs[number]["name"], "currentState": self._states[number], "createTime": _TIME}

    def answer(self, path: str, authorization: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """See `JsonServer`."""
        del authorization
        if body:
            if self.refusal is not None:
                self.refused.append(json.loads(body)["name"])
                status, word = self.refusal
                return status, {"error": {"code": status, "message": "the words of a server", "status": word}}
            return 200, self._take(json.loads(body))
        found = re.search(r"/jobs/job-(\d+)(/messages)?", path)
        if found is None:
            return 404, {}
        self.seen.set()
        if found[2]:
            errors = [
                {"id": str(number), "time": _TIME, "messageImportance": "JOB_MESSAGE_ERROR", "messageText": text}
                for number, text in enumerate(self._errors)
            ]
            return 200, {"jobMessages": errors}
        return 200, self._job(int(found[1]))


def options_without_service(folder: Path) -> list[str]:
    """Of a job on Dataflow, but where the service is; the folders of a bucket are those of a disk."""
    for name in ("temp", "staging"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return [
        "--runner=DataflowRunner",
        "--project=project-1",
        "--region=us-central1",
        f"--temp_location={folder / 'temp'}",
        f"--staging_location={folder / 'staging'}",
        f"--sdk_container_image={IMAGE}",
        "--no_auth",
    ]
