"""A job on a Flink cluster: what the cluster says of itself, the options that a job needs there, and how it is seen and ended."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import grpc
import requests

from pipeline.engines.arguments import Submission, folder_problems, given_number, is_given, with_absolute_paths
from pipeline.engines.ending import RESUME, bug_on_a_worker
from pipeline.errors import Refused

_TIMEOUT: Final = 10  # seconds, of an answer of the cluster
_NO_RESTART: Final = ("none", "off", "disable")
_OUR_KEYS: Final = "ddb2pg."  # in a cluster's configuration: options of jobs that it alone knows, as how its workers start

# -- a cluster, by its REST API ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FlinkCluster:
    url: str
    version: str
    """As Beam names it: 1.19."""
    slots: tuple[int, ...]
    """Of each TaskManager; none where they come as they are needed."""
    is_here: bool
    """Whether all of it runs on this machine, so that its workers see the same files."""
    begins_again: bool
    """Whether it begins a job that failed again."""
    job_options: Mapping[str, str]
    """Options of jobs from the cluster's configuration, by their names."""


def url_of(master: str) -> str:
    """Of `HOST:PORT`, or of a URL."""
    url = master.strip().rstrip("/")
    return url if re.match(r"https?://", url) else f"http://{url}"


def look_at_cluster(master: str) -> FlinkCluster:
    """Ask a cluster. Raises `Refused`."""
    url = url_of(master)
    try:
        version = ".".join(_get(url, "config")["flink-version"].split(".")[:2])
        task_managers = _get(url, "taskmanagers")["taskmanagers"]
        configuration = {entry["key"]: entry["value"] for entry in _get(url, "jobmanager/config")}
        hosts = {host_of(task_manager["path"]) for task_manager in task_managers}
        slots = tuple(task_manager["slotsNumber"] for task_manager in task_managers)
    except (requests.RequestException, ValueError, KeyError, TypeError):
        message = f"--flink_master: no Flink answers at {url}; look at the address (the JobManager's REST port, often 8081) and the network"
        raise Refused([message]) from None
    is_here = bool(hosts) and all(map(_is_this_machine, {*hosts, host_of(url)}))
    strategy = configuration.get("restart-strategy.type", configuration.get("restart-strategy", "none"))
    job_options = {key.removeprefix(_OUR_KEYS): value for key, value in configuration.items() if key.startswith(_OUR_KEYS)}
    return FlinkCluster(url, version, slots, is_here, strategy not in _NO_RESTART, job_options)


def _find_job(url: str, name: str) -> str | None:
    """The id of the newest job of a name; None where there is none, or the cluster does not answer."""
    try:
        jobs = [job for job in _get(url, "jobs/overview")["jobs"] if job["name"] == name]
        return max(jobs, key=lambda job: int(job["start-time"]))["jid"] if jobs else None
    except (requests.RequestException, ValueError, KeyError, TypeError):
        return None


def host_of(address: str) -> str:
    """The host of a URL, or of an address of Flink's own: pekko.tcp://flink@HOST:PORT/user/..."""
    host = re.search(r"://(?:[^@/]*@)?(\[[^\]]+\]|[^:/]+)", address)
    return host[1].strip("[]") if host else ""


def _get(url: str, path: str) -> Any:
    answer = requests.get(f"{url}/v1/{path}", timeout=_TIMEOUT)
    answer.raise_for_status()
    return answer.json()


def _is_this_machine(host: str) -> bool:
    """An address that we can listen on is ours."""
    try:
        addresses = socket.getaddrinfo(host, 0, type=socket.SOCK_DGRAM)
        for family, _, _, _, address in addresses:
            with socket.socket(family, socket.SOCK_DGRAM) as trial:
                trial.bind(address)
    except OSError:
        return False
    return bool(addresses)


# -- before a job goes there ---------------------------------------------------------------------------------------------------------------

# A job begins anew as a whole; the ledger knows what is done, so that costs reading and no writing.
_RETRIES: Final = 3
_RETRY_DELAY: Final = 5_000  # milliseconds
# Between two stages of a job workers are idle for a moment, and starting one takes seconds, so they are kept. But a dead worker is kept as
# well, and must be forgotten before the next try.
_WORKERS_KEPT: Final = 4_000  # milliseconds
_POOL: Final = {"environment_type": "EXTERNAL", "environment_config": "localhost:50000"}
_JOB_SERVER: Final = ("job_endpoint", "artifact_endpoint")


def ready_for_flink(
    given: Submission, cluster: FlinkCluster, versions: Sequence[str], *, has_shared_folders: bool, is_url_given: bool
) -> Submission:
    """The same as workers of a cluster can use it: with absolute paths and defaults.

    `versions` are those of Flink that Beam has a job server for. Raises `Refused` with all that cannot work there.
    """
    arguments = with_flink_defaults(given.beam_arguments, cluster)
    problems, warnings = [], []
    if not is_given(arguments, "job_endpoint", "flink_job_server_jar") and cluster.version not in versions:
        problems.append(
            f"the cluster runs Flink {cluster.version}, for which this Beam has no job server (it has them for {', '.join(versions)}); "
            "give --flink_job_server_jar or --job_endpoint of another Beam's, or run another Flink"
        )
    if not (cluster.is_here or has_shared_folders):
        problems += folder_problems(given, "on Flink")
    if is_url_given:
        problems.append(
            "--database with a URL: workers on Flink cannot see it, for no job holds one; give --database_secret, a reference that each "
            "worker looks up"
        )
    if problems:
        raise Refused(problems)
    # On Flink 1 Beam leaves --number_of_execution_retries out of batch jobs.
    if cluster.version.startswith("1.") and not cluster.begins_again:
        warnings.append(
            "this Flink gives up a job at its first failure, as when a machine is lost; set restart-strategy.type in its configuration "
            "(deploy/flink/README.md), or run the same command again when that happens"
        )
    return replace(with_absolute_paths(given), beam_arguments=arguments, warnings=tuple(warnings))


def with_flink_defaults(arguments: Sequence[str], cluster: FlinkCluster) -> list[str]:
    """The arguments, and those that a job needs beside them; what was given stands.

    Beam's own defaults are one slot, one Python process a TaskManager, no second try, and workers in Docker containers without ddb2pg.
    """
    missing = ((name, value) for name, value in _defaults(arguments, cluster) if not is_given(arguments, name))
    return [*arguments, *(f"--{name}" if value is None else f"--{name}={value}" for name, value in missing)]


def _defaults(arguments: Sequence[str], cluster: FlinkCluster) -> Iterator[tuple[str, object]]:
    """Names and values; None for a switch."""
    parallelism = given_number(arguments, "parallelism") or usual_parallelism(cluster.slots)
    if parallelism:
        yield "parallelism", parallelism
        yield "sdk_worker_parallelism", -(-parallelism // max(1, len(cluster.slots)))
    yield "number_of_execution_retries", _RETRIES
    yield "execution_retry_delay", _RETRY_DELAY
    yield "environment_cache_millis", _WORKERS_KEPT
    # These belong together: half of a pair that was given is not completed with another's half.
    if not is_given(arguments, "environment_type"):
        yield from ((name, cluster.job_options.get(name, value)) for name, value in _POOL.items())
    is_way_given = is_given(arguments, "job_endpoint", "flink_job_server_jar", "flink_submit_uber_jar")
    if "job_endpoint" in cluster.job_options and not is_way_given:
        yield from ((name, cluster.job_options[name]) for name in _JOB_SERVER if name in cluster.job_options)
    elif not is_given(arguments, "job_endpoint"):
        # The job goes there in one jar, with all that it brings along: it needs no Java here, and nothing of ours once it runs.
        yield "flink_submit_uber_jar", None


def usual_parallelism(slots: Sequence[int]) -> int:
    """As many slots as are left when the largest TaskManager is lost, so that the others can take over; but no TaskManager idle."""
    if len(slots) < 2:
        return sum(slots)
    return max(sum(slots) - max(slots), len(slots))


# -- once it is there ----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FlinkJob:
    """A `RemoteJob`; it is found by its name."""

    master: str
    name: str

    def submitted(self, result: object) -> None:
        pass

    def failure(self, error: BaseException) -> str | None:
        """Beam raises these where a job failed, or a server does not answer."""
        if not isinstance(error, RuntimeError | grpc.RpcError | grpc.FutureTimeoutError):
            return None
        url = url_of(self.master)
        job_id = _find_job(url, self.name)
        page = f"{url}/#/job/{job_id}/exceptions" if job_id else url
        fate = "was cancelled on Flink" if "in state CANCELLED" in str(error) else f"failed on Flink{bug_on_a_worker(error)}"
        return f"the job {fate}: look at {page}; {RESUME}"

    def whereabouts(self) -> str:
        url = url_of(self.master)
        job_id = _find_job(url, self.name)
        if job_id is None:
            return f"no job {self.name} is to be seen on Flink: look at {url}"
        return (
            f"the job goes on, on Flink, as {job_id}: see it at {url}/#/job/running/{job_id}/overview or with ddb2pg status; "
            f"end it there, or with curl -X PATCH '{url}/jobs/{job_id}?mode=cancel'"
        )
