"""A job on Dataflow, once it is there: where it is to be seen, how it is ended, and what to say when it fails."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Final

from pipeline.engines.failures import bug_on_a_worker
from pipeline.engines.farewell import RESUME

# By the class of the error: https://googleapis.dev/python/google-api-core/latest/exceptions.html, and google.auth's own.
_FORBIDDEN: Final = (
    "these credentials may not; give them roles/dataflow.developer, and roles/iam.serviceAccountUser on the workers' account"
)
_NO_CREDENTIALS: Final = "look at GOOGLE_APPLICATION_CREDENTIALS, or run gcloud auth application-default login"
_NO_BUCKET: Final = "look at the bucket, and give these credentials roles/storage.objectAdmin on it; nothing of the job runs"
_UNREACHABLE: Final = "it does not answer; look at the network, and try again"
_SENTENCES: Final[Mapping[str, str]] = {
    "DefaultCredentialsError": _NO_CREDENTIALS,
    "RefreshError": _NO_CREDENTIALS,
    "Unauthorized": _NO_CREDENTIALS,
    "Unauthenticated": _NO_CREDENTIALS,
    "Forbidden": _FORBIDDEN,
    "PermissionDenied": _FORBIDDEN,
    "Conflict": "a job of this name runs already: wait for its end, or cancel it; ddb2pg status says how far it is",
    "AlreadyExists": "a job of this name runs already: wait for its end, or cancel it; ddb2pg status says how far it is",
    "NotFound": "there is no such project, region or API; look at --project and --region, and enable dataflow.googleapis.com",
    "BadRequest": "it does not take these options; look at --region, --machine_type, --subnetwork and --service_account_email",
    "InvalidArgument": "it does not take these options; look at --region, --machine_type, --subnetwork and --service_account_email",
    "TooManyRequests": "a quota is used up; look at the project's quotas for Dataflow and Compute Engine",
    "ResourceExhausted": "a quota is used up; look at the project's quotas for Dataflow and Compute Engine",
    "TransportError": _UNREACHABLE,
    "ServiceUnavailable": _UNREACHABLE,
    "RetryError": _UNREACHABLE,
}


def job_name(name: str) -> str:
    """As Dataflow takes names: lower-case letters, digits and hyphens, beginning with a letter."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


class DataflowJob:
    """See `RemoteJob`."""

    def __init__(self, name: str, project: str, region: str, template: str | None = None) -> None:
        self.name = name
        self.job_id: str | None = None
        """Once it is submitted."""
        self._project = project
        self._region = region
        self._template = template

    def submitted(self, result: object) -> None:
        """See `RemoteJob`; a job that is only written to a template has no id."""
        if getattr(result, "has_job", False):
            self.job_id = str(result.job_id())  # type: ignore[attr-defined]

    @property
    def page(self) -> str:
        """Where Google shows it."""
        jobs = "https://console.cloud.google.com/dataflow/jobs"
        return f"{jobs}/{self._region}/{self.job_id}?project={self._project}" if self.job_id else f"{jobs}?project={self._project}"

    def whereabouts(self) -> str:
        """See `RemoteJob`."""
        if self._template is not None:
            return f"the job {self.name} is written to {self._template}, and begins when this launch has ended: look at {self.page}"
        if self.job_id is None:
            return f"whether Dataflow has the job {self.name} is not known: look at {self.page}"
        cancel = shlex.join(["gcloud", "dataflow", "jobs", "cancel", self.job_id, f"--region={self._region}", f"--project={self._project}"])
        return (
            f"the job goes on, on Dataflow, as {self.job_id}: see it at {self.page} or with ddb2pg status; end it there, or with {cancel}"
        )

    def failure(self, error: BaseException) -> str | None:
        """See `RemoteJob`. What the service or a worker says in words may hold a value of an item, so it stays unsaid."""
        kind = type(error).__name__
        if self.job_id is None:
            if isinstance(error, OSError) or kind == "BeamIOError":
                return f"the job's files cannot be written to --temp_location ({kind}): {_NO_BUCKET}"
            if not type(error).__module__.startswith("google."):
                return None
            return f"Dataflow did not take the job ({kind}): {_SENTENCES.get(kind, _UNREACHABLE)}"
        state = re.search(r"^Dataflow pipeline failed\. State: ([A-Z_]+)", str(error))
        if state is None:
            return f"Dataflow does not answer any more ({kind}); {self.whereabouts()}; {RESUME}"
        if state[1] == "CANCELLED":
            return f"the job was cancelled on Dataflow: look at {self.page}; {RESUME}"
        ended = "failed" if state[1] == "FAILED" else f"ended as {state[1]}"
        return f"the job {ended} on Dataflow{bug_on_a_worker(error)}: look at {self.page}; {RESUME}"
