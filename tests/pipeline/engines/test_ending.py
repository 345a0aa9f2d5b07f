"""What a person is told of a pipeline that a step or the death of a worker process ended."""

from __future__ import annotations

import os
import signal
import time

import apache_beam as beam
import pytest

from pipeline.engines.ending import told_to_end
from pipeline.engines.run import run_pipeline
from pipeline.errors import Stopped, StoppedForNow

STEP = "RuntimeError: Traceback\n  File\npipeline.errors.Stopped: there are 101 dead letters [while running 'Write']"


def _a_worker_dies() -> None:
    """As its thread says it, see `ending.py`."""
    os.kill(os.getpid(), signal.SIGUSR1)


def test_a_step_that_stops_is_told_though_beam_then_ends_the_workers() -> None:
    def define(_: beam.Pipeline) -> None:
        try:
            raise RuntimeError(STEP)
        finally:
            _a_worker_dies()

    with pytest.raises(Stopped, match=r"^there are 101 dead letters$"):
        run_pipeline(define, [], 2, "job")


def test_it_is_told_though_beam_makes_an_exception_of_its_own_of_the_signal() -> None:
    def define(_: beam.Pipeline) -> None:
        try:
            try:
                raise RuntimeError(STEP)
            finally:
                _a_worker_dies()
        except Stopped:
            raise RuntimeError("Pipeline failed")  # noqa: B904 - as Beam does

    with pytest.raises(Stopped, match=r"^there are 101 dead letters$"):
        run_pipeline(define, [], 2, "job")


def test_that_a_reason_passes_by_itself_is_known_of_a_worker_too() -> None:
    def define(_: beam.Pipeline) -> None:
        raise RuntimeError(STEP.replace("Stopped: there are 101 dead letters", "StoppedForNow: the connection failed"))

    with pytest.raises(StoppedForNow, match=r"^the connection failed$"):
        run_pipeline(define, [], 2, "job")


def test_the_death_of_a_worker_is_told_where_no_step_stopped() -> None:
    with pytest.raises(Stopped, match="a worker process died"):
        run_pipeline(lambda _: _a_worker_dies(), [], 2, "job")


def test_a_signal_of_a_person_is_told_before_a_step_that_it_ended() -> None:
    def define(_: beam.Pipeline) -> None:
        try:
            raise RuntimeError(STEP)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Stopped, match="SIGTERM"):
        run_pipeline(define, [], 2, "job")


def test_the_signal_of_a_forked_process_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool of processes ends its own with SIGTERM; the command hears nothing of it, and the process ends."""
    ended: list[int] = []
    monkeypatch.setattr("pipeline.engines.ending._LONGEST_CLEANUP", 0.05)
    monkeypatch.setattr(os, "_exit", ended.append)
    with told_to_end() as ending:
        child = os.fork()
        if not child:
            time.sleep(60)
        time.sleep(0.1)
        os.kill(child, signal.SIGTERM)
        _, status = os.waitpid(child, 0)
        time.sleep(0.2)

        assert os.WTERMSIG(status) == signal.SIGTERM
        assert (ending.signal, ended) == (None, [])
