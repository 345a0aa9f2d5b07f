"""What a command checks, and makes ready, before its job goes to a Flink cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.errors import Refused
from pipeline.export.given import ExportArgument
from pipeline.flink.cluster import FlinkCluster, find_job, url_of
from pipeline.flink.options import is_given, with_defaults
from pipeline.storage.output import OutputFolder


@dataclass(frozen=True, slots=True)
class Submission:
    """What a job reads and writes, and its options."""

    beam_arguments: Sequence[str]
    exports: Sequence[ExportArgument]
    output: OutputFolder
    warnings: Sequence[str] = ()


def made_ready(
    given: Submission, cluster: FlinkCluster, versions: Sequence[str], *, has_shared_folders: bool, is_url_given: bool
) -> Submission:
    """The same as workers of a cluster can use it: absolute paths, and options that nobody gave.

    `versions` are those of Flink that Beam has a job server for. Raises `Refused` with all that cannot work there.
    """
    arguments = with_defaults(given.beam_arguments, cluster)
    problems = [*_submission_problems(arguments, cluster, versions)]
    if not (cluster.is_here or has_shared_folders):
        problems += _folder_problems(given)
    if is_url_given:
        message = (
            "--database with a URL: workers on Flink cannot see it, for no job holds one; give --database_secret, a reference that each "
            "worker looks up"
        )
        problems.append(message)
    if problems:
        raise Refused(problems)
    exports = [replace(export, uri=_absolute(export.uri)) for export in given.exports]
    output = given.output.absolute() if isinstance(given.output, Path) else given.output
    return Submission(arguments, exports, output, tuple(_warnings(cluster)))


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


def _folder_problems(given: Submission) -> Iterator[str]:
    elsewhere = "the workers on Flink run on other machines; give s3://..., or --shared_folders if they have the same folder there"
    for export in given.exports:
        if _is_local(export.uri):
            yield f"--export {export.uri} is a folder of this machine, and {elsewhere}"
    if isinstance(given.output, Path):
        yield f"--output {given.output} is a folder of this machine, and {elsewhere}"


def _is_local(uri: str) -> bool:
    return "://" not in uri


def _absolute(uri: str) -> str:
    return str(Path(uri).absolute()) if _is_local(uri) else uri


@dataclass(frozen=True, slots=True)
class RemoteJob:
    """A job that goes on without us."""

    master: str
    name: str

    @property
    def page(self) -> str:
        """Where Flink shows it."""
        job_id = find_job(url_of(self.master), self.name)
        return f"{url_of(self.master)}/#/job/{job_id}/exceptions" if job_id else url_of(self.master)

    def whereabouts(self) -> str:
        """How to see it and how to end it; for a person who is about to leave it alone."""
        url = url_of(self.master)
        job_id = find_job(url, self.name)
        if job_id is None:
            return f"no job {self.name} is to be seen on Flink: look at {url}"
        return (
            f"the job goes on, on Flink, as {job_id}: see it at {url}/#/job/running/{job_id}/overview or with ddb2pg status; "
            f"end it there, or with curl -X PATCH '{url}/jobs/{job_id}?mode=cancel'"
        )
