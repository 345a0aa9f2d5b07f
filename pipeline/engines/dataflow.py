"""A job on Dataflow: the options that it needs there, how many connections it may open, and how it is seen and ended."""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from pipeline.engines.arguments import Submission, folder_problems, given_number, given_values, is_given, with_absolute_paths
from pipeline.engines.ending import RESUME, bug_on_a_worker
from pipeline.errors import Refused
from pipeline.places import secrets

TEMPLATE: Final = "template_location"
"""What the launcher of a flex template gives: the job is written there, and Google starts it when the launcher has ended."""

_MACHINE_TYPE: Final = ("machine_type", "worker_machine_type")
_THREADS: Final = "number_of_worker_harness_threads"

# -- before a job goes there ---------------------------------------------------------------------------------------------------------------

_USUAL_MACHINE_TYPE: Final = "e2-standard-2"
_IMAGE: Final = "sdk_container_image"
_CODE: Final = (_IMAGE, "setup_file", "extra_package", "extra_packages")
_NEEDED: Final = {
    "project": "the project that runs and pays for the job",
    "region": "where its machines are; take the one of the database",
    "temp_location": "gs://BUCKET/PREFIX, a folder for the job's own files",
}
# The service shows options in its console and logs, and keeps them with the job.
_SECRET: Final = re.compile(
    r"://[^/\s:@]*:[^/\s@]+@|passw(or)?d\s*[=:]|secret_?access_?key|\b(AKIA|ASIA)[0-9A-Z]{12,}|PRIVATE KEY", re.IGNORECASE
)


def ready_for_dataflow(given: Submission, unknown: Sequence[str], *, has_shared_folders: bool, database: str | None) -> Submission:
    """The same as Dataflow's workers can use it: with absolute paths and defaults.

    `unknown` are the names of options that neither ddb2pg nor Beam knows; `database` is the reference that was given, None where none
    was. Raises `Refused` with all that cannot work there.
    """
    problems = [*_option_problems(given.beam_arguments, unknown)]
    if not _has_packages():
        problems.insert(0, "DataflowRunner needs packages of Google: pip install 'ddb2pg[gcp]'")
    if database is None or not secrets.is_of_a_service(database):
        problems.append(
            "the workers on Dataflow have neither this machine's environment nor its files, and no job holds a URL: give --database_secret="
            "gcp-secretmanager:projects/P/secrets/S (or aws-secretsmanager:...), which each worker looks up"
        )
    if not has_shared_folders:
        problems += folder_problems(given, "on Dataflow")
    if problems:
        raise Refused(problems)
    return replace(with_absolute_paths(given), beam_arguments=with_dataflow_defaults(given.beam_arguments))


def with_dataflow_defaults(arguments: Sequence[str]) -> list[str]:
    """The arguments, and those that a job needs beside them; what was given stands."""
    more = []
    if is_given(arguments, _IMAGE) and not is_given(arguments, "sdk_location"):
        # What the image holds is what runs: nothing is staged and nothing installed when a worker starts.
        more.append("--sdk_location=container")
    if not is_given(arguments, _THREADS):
        # Each thread has a connection, and Python runs one at a time. Dataflow's own number is 12.
        more.append(f"--{_THREADS}=1")
    if "disable_logging_submission_environment" not in _experiments(arguments):
        # Beam stages a list of what is installed here, with the URLs that it came from.
        more.append("--experiments=disable_logging_submission_environment")
    if not is_given(arguments, *_MACHINE_TYPE):
        # Dataflow's own choice depends on the job, and with it the number of processes.
        more.append(f"--{_MACHINE_TYPE[0]}={_USUAL_MACHINE_TYPE}")
    return [*arguments, *more]


def _option_problems(arguments: Sequence[str], unknown: Sequence[str]) -> Iterator[str]:
    missing = [f"--{name} ({meaning})" for name, meaning in _NEEDED.items() if not is_given(arguments, name)]
    if missing:
        yield f"a job on Dataflow needs {', '.join(missing)}"
    if not is_given(arguments, *_CODE):
        yield "the workers need ddb2pg: give --sdk_container_image, the image of deploy/dataflow/Dockerfile in your registry"
    if unknown and not is_given(arguments, TEMPLATE):  # a template's parameters were checked, and its launcher adds its own
        yield f"unknown arguments: {', '.join(unknown)}; Dataflow would show and keep them; see --help"
    telling = sorted({name for name, value in _values(arguments) if _SECRET.search(value)})
    if telling:
        yield (
            f"{', '.join(telling)}: looks like it holds a secret, and Dataflow shows and keeps the options of its jobs; give "
            "--database_secret for the database, and a role or a mounted secret for the rest (deploy/dataflow/README.md)"
        )
    if is_given(arguments, "streaming"):
        yield "--streaming: a load has an end; leave it out"
    if any("no_wait_until_finish" in argument for argument in arguments):
        yield "--no_wait_until_finish: give --no_wait, which knows what is still to be proved"


def _values(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each argument with the option that it belongs to."""
    option = ""
    for argument in arguments:
        name, _, value = argument.partition("=")
        if name.startswith("--"):
            option = name
            yield option, value
        else:
            yield option, argument


def _experiments(arguments: Sequence[str]) -> set[str]:
    return {experiment for value in given_values(arguments, "experiments", "experiment") for experiment in value.split(",")}


def _has_packages() -> bool:
    try:
        return importlib.util.find_spec("google.cloud.dataflow") is not None
    except ModuleNotFoundError:  # not even a part of the name
        return False


# -- connections: machines x processes x threads, each of which loads through one ----------------------------------------------------------

# https://cloud.google.com/compute/docs/general-purpose-machines: those whose names do not end with the number of their processors.
_SHARED_CORES: Final = {"e2-micro": 2, "e2-small": 2, "e2-medium": 2, "f1-micro": 1, "g1-small": 1}


def connections_each(arguments: Sequence[str]) -> int | None:
    """Those of one machine; None for a machine type whose name does not show its number of processors."""
    threads = given_number(arguments, _THREADS) or 1
    if "no_use_multiple_sdk_containers" in _experiments(arguments):
        return threads
    processors = _processors(given_values(arguments, *_MACHINE_TYPE)[-1:])
    return processors * threads if processors else None


def planned_connections(arguments: Sequence[str]) -> int | None:
    """At most so many at once; None without a limit."""
    fixed = "NONE" in given_values(arguments, "autoscaling_algorithm")
    machines = given_number(arguments, "num_workers" if fixed else "max_num_workers")
    each = connections_each(arguments)
    return machines * each if machines and each else None


def _processors(machine_type: Sequence[str]) -> int | None:
    """`n2-standard-4` has 4, `custom-6-20480` 6: https://cloud.google.com/compute/docs/instances/creating-instance-with-custom-machine-type."""
    for name in machine_type:
        number = re.search(r"custom-(\d+)-\d+", name) or re.fullmatch(r"[a-z0-9]+-[a-z]+-(\d+)(?:-[a-z]+)?", name)
        return int(number[1]) if number else _SHARED_CORES.get(name)
    return None


# -- once it is there ----------------------------------------------------------------------------------------------------------------------

_NO_CREDENTIALS: Final = "look at GOOGLE_APPLICATION_CREDENTIALS, or run gcloud auth application-default login"
_FORBIDDEN: Final = (
    "these credentials may not; give them roles/dataflow.developer, and roles/iam.serviceAccountUser on the workers' account"
)
_SAME_NAME: Final = "a job of this name runs already: wait for its end, or cancel it; ddb2pg status says how far it is"
_BAD_OPTIONS: Final = "it does not take these options; look at --region, --machine_type, --subnetwork and --service_account_email"
_QUOTA: Final = "a quota is used up; look at the project's quotas for Dataflow and Compute Engine"
_UNREACHABLE: Final = "it does not answer; look at the network, and try again"
_NO_BUCKET: Final = "look at the bucket, and give these credentials roles/storage.objectAdmin on it; nothing of the job runs"
# By the class of the error: https://googleapis.dev/python/google-api-core/latest/exceptions.html, and google.auth's own.
_SENTENCES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("DefaultCredentialsError", "RefreshError", "Unauthorized", "Unauthenticated"), _NO_CREDENTIALS),
    **dict.fromkeys(("Forbidden", "PermissionDenied"), _FORBIDDEN),
    **dict.fromkeys(("Conflict", "AlreadyExists"), _SAME_NAME),
    **dict.fromkeys(("BadRequest", "InvalidArgument"), _BAD_OPTIONS),
    **dict.fromkeys(("TooManyRequests", "ResourceExhausted"), _QUOTA),
    "NotFound": "there is no such project, region or API; look at --project and --region, and enable dataflow.googleapis.com",
}


def dataflow_name(name: str) -> str:
    """As Dataflow takes names of jobs: lower-case letters, digits and hyphens, beginning with a letter."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


class DataflowJob:
    """A `RemoteJob`; it has an id once it is submitted, unless it is only written to a template."""

    def __init__(self, name: str, project: str, region: str, template: str | None = None) -> None:
        self.name = name
        self._job_id: str | None = None
        self._project = project
        self._region = region
        self._template = template

    def submitted(self, result: object) -> None:
        if getattr(result, "has_job", False):
            self._job_id = str(result.job_id())  # type: ignore[attr-defined]

    @property
    def _page(self) -> str:
        jobs = "https://console.cloud.google.com/dataflow/jobs"
        return f"{jobs}/{self._region}/{self._job_id}?project={self._project}" if self._job_id else f"{jobs}?project={self._project}"

    def whereabouts(self) -> str:
        if self._template is not None:
            return f"the job {self.name} is written to {self._template}, and begins when this launch has ended: look at {self._page}"
        if self._job_id is None:
            return f"whether Dataflow has the job {self.name} is not known: look at {self._page}"
        cancel = shlex.join(
            ["gcloud", "dataflow", "jobs", "cancel", self._job_id, f"--region={self._region}", f"--project={self._project}"]
        )
        return (
            f"the job goes on, on Dataflow, as {self._job_id}: see it at {self._page} or with ddb2pg status; end it there, or with {cancel}"
        )

    def failure(self, error: BaseException) -> str | None:
        """A message of the service or a worker may hold a value of an item, so it is not shown."""
        kind = type(error).__name__
        if self._job_id is None:
            if isinstance(error, OSError) or kind == "BeamIOError":
                return f"the job's files cannot be written to --temp_location ({kind}): {_NO_BUCKET}"
            if not type(error).__module__.startswith("google."):
                return None
            return f"Dataflow did not take the job ({kind}): {_SENTENCES.get(kind, _UNREACHABLE)}"
        state = re.search(r"^Dataflow pipeline failed\. State: ([A-Z_]+)", str(error))
        if state is None:
            return f"Dataflow does not answer any more ({kind}); {self.whereabouts()}; {RESUME}"
        if state[1] == "CANCELLED":
            return f"the job was cancelled on Dataflow: look at {self._page}; {RESUME}"
        ended = "failed" if state[1] == "FAILED" else f"ended as {state[1]}"
        return f"the job {ended} on Dataflow{bug_on_a_worker(error)}: look at {self._page}; {RESUME}"
