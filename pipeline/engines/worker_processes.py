"""Worker processes of this machine, as a kind of worker of Beam's FnApiRunner. They come from `fork_server.py`.

Beam's own way is a new Python a worker, and again for each table's pipeline. This does as its `SubprocessSdkWorkerHandler`, whose words
("Worker subprocess exited ...", in a thread named run_worker) the engine listens to.
"""

from __future__ import annotations

import os
import threading

import grpc
from apache_beam.portability import python_urns
from apache_beam.portability.api import beam_fn_api_pb2_grpc, endpoints_pb2
from apache_beam.runners.portability.fn_api_runner.worker_handlers import GrpcWorkerHandler, WorkerHandler
from apache_beam.runners.portability.local_job_service import BeamFnLoggingServicer
from apache_beam.transforms import environments
from apache_beam.utils import thread_pool_executor
from google.protobuf import json_format, text_format

from pipeline.engines.fork_server import be_a_worker, get_ready


def worker_environment() -> environments.Environment:
    """Beam's name for such workers."""
    return environments.SubprocessSDKEnvironment.from_command_string(command_string="forked")


@WorkerHandler.register_environment(python_urns.SUBPROCESS_SDK, bytes)
class ForkedWorkerHandler(GrpcWorkerHandler):
    """One worker process, from its start to its end."""

    def __init__(self, _payload: bytes, *arguments: object) -> None:
        super().__init__(*arguments)

    def start_worker(self) -> None:
        """Called by Beam, once."""
        self.worker_thread = threading.Thread(name="run_worker", target=self._run)
        self.worker_thread.start()

    def stop_worker(self) -> None:
        """Called by Beam, after it told the worker to end."""
        self.worker_thread.join()

    def _run(self) -> None:
        log = grpc.server(thread_pool_executor.shared_unbounded_instance())
        port = log.add_insecure_port("localhost:0")
        beam_fn_api_pb2_grpc.add_BeamFnLoggingServicer_to_server(BeamFnLoggingServicer(), log)
        log.start()
        addresses = {"CONTROL": self.control_address, "LOGGING": f"localhost:{port}"}
        environment = {
            **os.environ,
            **{f"{name}_API_SERVICE_DESCRIPTOR": _descriptor(address) for name, address in addresses.items()},
            "PIPELINE_OPTIONS": json_format.MessageToJson(self.provision_info.provision_info.pipeline_options),
            "WORKER_ID": self.worker_id,
        }
        try:
            process = get_ready().Process(target=be_a_worker, args=(environment,), daemon=True)
            process.start()
            process.join()
            if process.exitcode:
                message = f"Worker subprocess exited with return code {process.exitcode}"
                raise RuntimeError(message)
        finally:
            log.stop(0)


def _descriptor(address: str) -> str:
    return str(text_format.MessageToString(endpoints_pb2.ApiServiceDescriptor(url=address)))
