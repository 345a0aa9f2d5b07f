"""What leans on what is private to Beam and to Python: workers forked from one process that has imported Beam, and steps looked at once.

Worker processes of this machine are forked.

Beam's own way, `SubprocessSDKEnvironment`, starts a new Python for each worker, and again for each table's pipeline; each imports Beam,
which takes a second of CPU or two. In seconds of CPU, on two busy cores, one pair each: three tables of 20,000 items took 8.5 with this
and 11.3 with Beam's own way (only the notes are large enough for worker processes); three of 170,000 took 15.4 and 29.6; larger ones
save as many seconds.
`benchmarks/process_start.py` measures it again.

`ForkedWorkerHandler` does as Beam's `SubprocessSdkWorkerHandler`; `ending.py` listens to its words ("Worker subprocess exited ...", in a
thread named run_worker). Should a new Beam not take it: give FnApiRunner Beam's own environment, and remove this file.

With `look_at_steps_once`, and options whose views are kept (`run.py`), the jobs of three tables of 1,000 items took 1.5 s of CPU, not 2.6
(a busy machine). Should a new Beam not take it: remove it.

Beam is imported within functions only, so that a command can have the other process begin to import it before it does so itself.
"""

from __future__ import annotations

import functools
import gc
import mmap
import multiprocessing
import multiprocessing.forkserver
import os
import sys
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.context import ForkServerContext, SpawnContext
from typing import TYPE_CHECKING, Any, Final

from pipeline.core_dumps import forbid_core_dumps

if TYPE_CHECKING:
    from apache_beam.transforms import DoFn
    from apache_beam.transforms.environments import Environment

_FIRST: Final = "pipeline.engines.first_import"
_BEAM: Final = "apache_beam.runners.worker.sdk_worker_main"
_FORKING: Final = multiprocessing.get_context("forkserver")
_SPAWNING: Final = multiprocessing.get_context("spawn")
_starting: Final = threading.Lock()
_NO_ANSWER: Final = 70
"""The exit code of a worker that cannot answer: EX_SOFTWARE of sysexits.h."""


def prepare(modules: Iterable[str] = ()) -> ForkServerContext | SpawnContext:
    """Begin to import Beam, these modules, and what of ours this process has imported, in another process; returns at once.

    Gives what starts processes that have them.
    """
    # Of a copy, made in one step: another thread may be importing.
    ours = [name for name in tuple(sys.modules) if name.startswith(("pipeline.", "transforms.")) and not name.endswith("__main__")]
    with _starting, _no_standard_error():  # what libraries say when they are imported is said, or silenced, by this process
        _FORKING.set_forkserver_preload([_FIRST, _BEAM, *ours, *modules])
        try:
            multiprocessing.forkserver.ensure_running()
        except OSError:
            # Its socket is a temporary file, whose path may be too long for a socket.
            return _SPAWNING
        return _FORKING


@contextmanager
def _no_standard_error() -> Iterator[None]:
    """A process that is started within has none."""
    ours = os.dup(2)
    try:
        _silence()
        yield
    finally:
        os.dup2(ours, 2)
        os.close(ours)


def _silence() -> None:
    """From now on standard error of this process goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _be_a_worker(environment: Mapping[str, str]) -> None:
    """What such a process does: what Beam's own worker does, in this environment."""
    # What Beam writes there may quote items; its log comes to the command's process anyhow.
    _silence()
    forbid_core_dumps()
    os.environ.clear()
    os.environ.update(environment)
    from apache_beam.runners.worker import sdk_worker_main

    _end_where_an_answer_is_lost()
    # What is imported lives as long as the worker: no need to go through it, and so to copy it, at every collection.
    gc.freeze()
    gc.enable()
    look_at_steps_once()
    sdk_worker_main.main([])


def _end_where_an_answer_is_lost() -> None:
    """From now on this process ends when it has no memory to answer with: Beam would wait for the answer for ever.

    Beam keeps to itself what is raised where an answer is made, gRPC sends answers in threads of its own, and Python waits for ever for a
    thread that has too little memory to begin.
    """
    from apache_beam.runners.worker.sdk_worker import SdkHarness

    answer = SdkHarness._execute  # noqa: SLF001

    @functools.wraps(answer)
    def answer_or_end(*arguments: Any) -> None:
        try:
            answer(*arguments)
        except BaseException:  # noqa: BLE001
            os._exit(_NO_ANSWER)

    def end_for_want_of_memory(failed: threading.ExceptHookArgs) -> None:
        if issubclass(failed.exc_type, (MemoryError, RuntimeError)):  # a RuntimeError says that no thread can be started
            os._exit(_NO_ANSWER)

    SdkHarness._execute = answer_or_end  # noqa: SLF001
    threading.excepthook = end_for_want_of_memory
    threading.Thread(target=_watch_memory, name="memory", daemon=True).start()


def _watch_memory() -> None:
    """End this process when the system has given it no memory for some seconds."""
    failed = 0
    while failed < 5:
        try:
            time.sleep(1)
            # Python may have a megabyte left when nothing else can be had: ask the system itself.
            mmap.mmap(-1, 1_000_000, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
            failed = 0
        except (MemoryError, OSError):
            failed += 1
    os._exit(_NO_ANSWER)


@functools.cache
def look_at_steps_once() -> None:
    """From now on Beam reads the signatures of a step's methods once for each step, not four times.

    To see whether a step uses state or timers it inspects all its thirty methods, each time. Ours do not change while they live.
    """
    from apache_beam.transforms import userstate

    inspect_step = userstate.get_dofn_specs
    known: weakref.WeakKeyDictionary[DoFn, Any] = weakref.WeakKeyDictionary()

    def specs(step: DoFn) -> Any:
        if step not in known:
            known[step] = inspect_step(step)
        return known[step]

    userstate.get_dofn_specs = specs


@functools.cache
def worker_environment() -> Environment:
    """Beam's name for such workers, which it knows from now on."""
    # ruff: noqa: PLC0415
    import grpc
    from apache_beam.portability import python_urns
    from apache_beam.portability.api import beam_fn_api_pb2_grpc, endpoints_pb2
    from apache_beam.runners.portability.fn_api_runner.worker_handlers import GrpcWorkerHandler, WorkerHandler
    from apache_beam.runners.portability.local_job_service import BeamFnLoggingServicer
    from apache_beam.transforms.environments import SubprocessSDKEnvironment
    from apache_beam.utils import thread_pool_executor
    from google.protobuf import json_format, text_format

    def descriptor(address: str) -> str:
        return str(text_format.MessageToString(endpoints_pb2.ApiServiceDescriptor(url=address)))

    @WorkerHandler.register_environment(python_urns.SUBPROCESS_SDK, bytes)
    class ForkedWorkerHandler(GrpcWorkerHandler):
        """One worker process, from its start to its end."""

        def __init__(self, _payload: bytes, *arguments: object) -> None:
            super().__init__(*arguments)
            self._is_told_to_end = False

        def close(self) -> None:
            """Called by Beam, once the worker has reported all that it was given: how it ends then, changes nothing."""
            self._is_told_to_end = True
            super().close()

        def start_worker(self) -> None:
            """Called by Beam, once."""
            self.worker_thread = threading.Thread(name="run_worker", target=self._run)
            self.worker_thread.start()

        def stop_worker(self) -> None:
            """Called by Beam, after it told the worker to end."""
            self.worker_thread.join()

        def _run(self) -> None:
            log = grpc.server(thread_pool_executor.shared_unbounded_instance())
            # Of one address: a free port of one that localhost means may be taken of the other.
            port = log.add_insecure_port("127.0.0.1:0")
            beam_fn_api_pb2_grpc.add_BeamFnLoggingServicer_to_server(BeamFnLoggingServicer(), log)
            log.start()
            environment = {
                **os.environ,
                "CONTROL_API_SERVICE_DESCRIPTOR": descriptor(self.control_address),
                "LOGGING_API_SERVICE_DESCRIPTOR": descriptor(f"127.0.0.1:{port}"),
                "PIPELINE_OPTIONS": json_format.MessageToJson(self.provision_info.provision_info.pipeline_options),
                "WORKER_ID": self.worker_id,
            }
            try:
                process = prepare().Process(target=_be_a_worker, args=(environment,), daemon=True)
                process.start()
                process.join()
                if process.exitcode and not self._is_told_to_end:
                    message = f"Worker subprocess exited with return code {process.exitcode}"
                    raise RuntimeError(message)
            finally:
                log.stop(0)

    return SubprocessSDKEnvironment.from_command_string(command_string="forked")
