"""Runs a job where its arguments say, see `runners.py`.

On this machine that is one engine, pinned: Beam's FnApiRunner. (Beam's own DirectRunner tries to download another engine first and then
picks one of three, see Beam's `direct_runner.py`.) Small loads run in this process; larger ones in several worker processes.

A job on a Flink cluster (`flink.py`) or on Dataflow (`dataflow.py`) is another's to keep alive: what ends here, by Ctrl-C or otherwise,
leaves it going. Every other runner is left to Beam.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, GoogleCloudOptions, PipelineOptions, StandardOptions
from apache_beam.portability.api import beam_provision_api_pb2
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.runners.portability.portable_runner import JobServiceHandle

from pipeline.engines.dataflow import TEMPLATE, DataflowJob, dataflow_name
from pipeline.engines.ending import stop_of_a_step, told_to_end
from pipeline.engines.flink import FlinkJob
from pipeline.engines.forked_workers import look_at_steps_once, worker_environment
from pipeline.engines.runners import Runner, RunnerKind, is_left_alone, runner_of
from pipeline.errors import Stopped

View = TypeVar("View", bound=PipelineOptions)
Define = Callable[[beam.Pipeline], None]


class RemoteJob(Protocol):
    """A job that goes on without us."""

    @property
    def name(self) -> str:
        """That it has there."""

    def submitted(self, result: object) -> None:
        """Beam's result, once it is sent."""

    def whereabouts(self) -> str:
        """How to see it and how to end it; for a person who is about to leave it alone."""

    def failure(self, error: BaseException) -> str | None:
        """The sentence for what Beam made of its failure; None for what is a bug here."""


class _LocalOptions(PipelineOptions):
    """Makes each view once: Beam asks for some 160 in a job and makes a parser for each, though all share one dictionary of values."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.__dict__["_views"] = {}

    def view_as(self, cls: type[View]) -> View:
        views = self.__dict__["_views"]
        view: View = views.get(cls) or super().view_as(cls)
        views[cls] = view
        return view


def run_pipeline(define: Define, beam_arguments: Sequence[str], workers: int, name: str) -> None:
    """Define a pipeline and run it to its end; `workers` is for this machine, and `--direct_num_workers` stands above it.

    `name` is the job's on a cluster, unless `--job_name` gives another. Raises `Stopped` with the sentence of the step that stopped, for a
    worker's death and for SIGTERM, `Interrupted` or `KeyboardInterrupt` for Ctrl-C. Any other exception is a bug.
    """
    if is_left_alone(beam_arguments):
        message = f"--{TEMPLATE}: this job must be waited for, and one that is written to a template begins only afterwards; leave it out"
        raise Stopped(message)
    _run(define, beam_arguments, workers, name, waits=True)


def send_pipeline(define: Define, beam_arguments: Sequence[str], name: str) -> RemoteJob | None:
    """Define a pipeline and hand it to its service, which runs it without us. Raises as `run_pipeline`."""
    return _run(define, beam_arguments, 1, name, waits=False)


def _run(define: Define, beam_arguments: Sequence[str], workers: int, name: str, *, waits: bool) -> RemoteJob | None:
    runner = runner_of(beam_arguments)
    is_local = runner.kind is RunnerKind.LOCAL
    options = (_LocalOptions if is_local else PipelineOptions)(list(beam_arguments), save_main_session=False)
    remote = _remote_job(options, runner, name)
    with told_to_end() as ending:
        ending.whereabouts = remote.whereabouts if remote else None
        try:
            engine = _local_runner(options, runner, workers) if is_local else options.view_as(StandardOptions).runner
            root = beam.Pipeline(runner=engine, options=options)
            define(root)
            result = root.run()
            if remote is not None:
                remote.submitted(result)
            if waits:
                result.wait_until_finish()
        except BaseException as error:
            # First, because Beam makes an exception of its own of what a signal's handler raised.
            if ending.signal is not None:
                raise (ending.stopped_by_a_step(error) or ending.reason()) from None
            stopped = stop_of_a_step(error)
            sentence = remote.failure(error) if remote and not stopped else None
            if stopped is None and sentence is None:
                raise
            raise (stopped or Stopped(sentence)) from None
        finally:
            ending.whereabouts = None
    return remote


def _remote_job(options: PipelineOptions, runner: Runner, name: str) -> RemoteJob | None:
    """The job on a Flink cluster or on Dataflow that the options mean; it gets a name there."""
    cloud = options.view_as(GoogleCloudOptions)  # where Beam keeps the names of all runners' jobs
    if runner.kind is RunnerKind.DATAFLOW:
        cloud.job_name = cloud.job_name or dataflow_name(name)
        return DataflowJob(cloud.job_name, cloud.project, cloud.region, cloud.template_location)
    if runner.flink_master is None:
        return None
    cloud.job_name = cloud.job_name or name
    return FlinkJob(runner.flink_master, cloud.job_name)


def _local_runner(options: PipelineOptions, runner: Runner, workers: int) -> fn_runner.FnApiRunner:
    """The pinned engine, with the pipeline's options handed on to worker processes (FnApiRunner by name would not)."""
    look_at_steps_once()
    direct = options.view_as(DirectOptions)
    if runner.workers is None:
        direct.direct_num_workers = workers
    environment = worker_environment() if direct.direct_num_workers != 1 else None
    encoded = JobServiceHandle.encode_pipeline_options(options.get_all_options())
    provision = fn_runner.ExtendedProvisionInfo(beam_provision_api_pb2.ProvisionInfo(pipeline_options=encoded))
    return fn_runner.FnApiRunner(default_environment=environment, provision_info=provision)
