"""Google Secret Manager, by its REST protocol: gRPC does not get along with programs that fork, and Beam's workers are forked by some.

Credentials are Google's own (`google.auth.default`): the service account of a Dataflow worker, or GOOGLE_APPLICATION_CREDENTIALS.
"""

from __future__ import annotations

import os
import re
from typing import Any, Final

from pipeline.errors import Refused
from pipeline.logs import silence_clients

_NAME: Final = re.compile(r"(projects/[^/\s]+/secrets/[A-Za-z0-9_-]{1,255})(?:/versions/([0-9]+|[A-Za-z][A-Za-z0-9_-]*))?")
# gcloud's own variable for another endpoint, as of a Private Service Connect.
_ENDPOINT: Final = "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER"
_TIMEOUT: Final = 30.0  # seconds, with what is tried again

# By the class of the error: https://googleapis.dev/python/google-api-core/latest/exceptions.html, and google.auth's own.
_SENTENCES: Final = {
    "NotFound": "there is no such secret, or no such version of it; correct its name",
    "Forbidden": "access is denied; give these credentials the role roles/secretmanager.secretAccessor on it",
    "Unauthorized": "Google does not accept the credentials; look at GOOGLE_APPLICATION_CREDENTIALS or the machine's service account",
    "BadRequest": "this version is disabled or destroyed; enable it, or give another",
    "DefaultCredentialsError": (
        "there are no Google credentials; set GOOGLE_APPLICATION_CREDENTIALS, run gcloud auth application-default login, "
        "or run where a service account gives them"
    ),
    "RefreshError": "the Google credentials cannot be renewed; log in again, or look at GOOGLE_APPLICATION_CREDENTIALS",
    "TransportError": "Google cannot be reached for credentials; look at the network",
}
_OTHERWISE: Final = "Google Secret Manager does not give it ({kind}); look at the network, and try again"


def look_up_in_gcp(name: str) -> str:
    """The text of a version, the latest one unless the name says which. Raises `Refused`."""
    parts = _NAME.fullmatch(name)
    if parts is None:
        raise Refused(["gcp-secretmanager: takes projects/PROJECT/secrets/SECRET, and /versions/VERSION if it is not to be the latest"])
    payload = _ask(f"{parts[1]}/versions/{parts[2] or 'latest'}", name)
    try:
        text = payload.decode()
    except ValueError:
        text = ""
    if not text:
        raise Refused([f"the secret {name} holds no text; put the database's URL into it, or JSON as RDS has it"])
    return text


def _ask(version: str, name: str) -> bytes:
    try:
        from google.api_core.exceptions import GoogleAPIError  # noqa: PLC0415 - an extra, so it may not be there
        from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415
        from google.cloud import secretmanager_v1  # noqa: PLC0415
        from requests import RequestException  # noqa: PLC0415
    except ImportError:
        raise Refused(["gcp-secretmanager: needs the package google-cloud-secret-manager; pip install 'ddb2pg[gcp]'"]) from None
    silence_clients()
    endpoint = os.environ.get(_ENDPOINT)
    options: Any = {"api_endpoint": endpoint.rstrip("/")} if endpoint else None
    try:
        with secretmanager_v1.SecretManagerServiceClient(transport="rest", client_options=options) as service:
            answer = service.access_secret_version(name=version, timeout=_TIMEOUT)
            return bytes(answer.payload.data)
    except (GoogleAPIError, GoogleAuthError, RequestException, ValueError, OSError) as error:
        kind = type(error).__name__
        raise Refused([f"the secret {name}: {_SENTENCES.get(kind, _OTHERWISE).format(kind=kind)}"]) from None
