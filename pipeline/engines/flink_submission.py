"""What a command checks, and makes ready, before its job goes to a Flink cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import grpc

from pipeline.engines.beam_arguments import is_given
from pipeline.engines.failures import bug_on_a_worker
from pipeline.engines.farewell import RESUME
from pipeline.engines.flink_cluster import FlinkCluster, find_job, url_of
from pipeline.engines.flink_options import with_defaults
from pipeline.engines.submission import Submission, folder_problems, with_absolute_paths
from pipeline.errors import Refused


def made_ready(
    given: Submission, cluster: FlinkCluster, versions: Sequence[str], *, has_shared_folders: bool, is_url_given: bool
) -> Submission:
    """The same as workers of a cluster can use it: absolute paths, and options that nobody gave.

    `versions` are those of Flink that Beam has a job server for. Raises `Refused` with all that cannot work there.
    """
    arguments = with_defaults(given.beam_arguments, cluster)
    problems = [*_submission_problems(arguments, cluster, versions)]
    if not (cluster.is_here or has_shared_folders):
        problems += folder_problems(given, "on Flink")
    if is_url_given:
        message = (
            "--database with a URL: workers on Flink cannot see it, for no job holds one; give --database_secret, a reference that each "
            "worker looks up"
        )
        problems.append(message)
    if problems:
        raise Refused(problems)
    return replace(with_absolute_paths(given), beam_arguments=arguments, warnings=tuple(_warnings(cluster)))


def _warnings(cluster: FlinkCluster) -> Iterator[str]:
    # On Flink 1 Beam leaves --number_of_execution_retries out of batch jobs.
    if cluster.version.startswith("1.") and not cluster.begins_again:
        yield (
            "this Flink gives up a job at its first failure, as when a machine is lost; set restart-strategy.type in its configuration "
            "(deploy/flink/README.md), or run the same command again when that happens"
        )


def _submission_problems(arguments: Sequence[str], cluster: FlinkCluster, versions: Sequence[str]) -> Iterator[str]:
    if not is_given(arguments, "job_endpoint") and not is_given(arguments, "flink_job_server_jar") and cluster.version not in versions:
        yield (
            f"the cluster runs Flink {cluster.version}, for which this Beam has no job server (it has them for {', '.join(versions)}); "
            "give --flink_job_server_jar or --job_endpoint of another Beam's, or run another Flink"
        )


@dataclass(frozen=True, slots=True)
class FlinkJob:
    """See `RemoteJob`."""

    master: str
    name: str

    @property
    def page(self) -> str:
        """Where Flink shows it."""
        job_id = find_job(url_of(self.master), self.name)
        return f"{url_of(self.master)}/#/job/{job_id}/exceptions" if job_id else url_of(self.master)

    def submitted(self, result: object) -> None:
        """It is found by its name."""

    def failure(self, error: BaseException) -> str | None:
        """See `RemoteJob`: what Beam makes of a job that failed, or of a server that does not answer."""
        if not isinstance(error, RuntimeError | grpc.RpcError | grpc.FutureTimeoutError):
            return None
        fate = "was cancelled on Flink" if "in state CANCELLED" in str(error) else f"failed on Flink{bug_on_a_worker(error)}"
        return f"the job {fate}: look at {self.page}; {RESUME}"

    def whereabouts(self) -> str:
        """See `RemoteJob`."""
        url = url_of(self.master)
        job_id = find_job(url, self.name)
        if job_id is None:
            return f"no job {self.name} is to be seen on Flink: look at {url}"
        return (
            f"the job goes on, on Flink, as {job_id}: see it at {url}/#/job/running/{job_id}/overview or with ddb2pg status; "
            f"end it there, or with curl -X PATCH '{url}/jobs/{job_id}?mode=cancel'"
        )
