"""Secrets by reference, looked up where this runs: in the environment, a file, AWS Secrets Manager, Google Secret Manager.

Google is asked by its REST protocol: gRPC does not get along with programs that fork, and Beam's workers are forked by some. Credentials
are found as each library does it: Google's are a Dataflow worker's service account, or GOOGLE_APPLICATION_CREDENTIALS.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from pipeline.errors import Refused
from pipeline.logs import silence_clients
from pipeline.places.place import AwsSettings

KINDS: Final = "env:NAME (of an environment variable), file:PATH, aws-secretsmanager:ARN_OR_NAME, gcp-secretmanager:projects/P/secrets/S"

# The text that was given may be the secret itself, so it is not quoted.
_WRONG: Final = f"a database reference is one of {KINDS}"


def look_up(reference: str, aws_region: str | None) -> str:
    """The secret's text, looked up where this runs. Raises `Refused`; the region is for an AWS secret that is given by its name."""
    kind, _, name = reference.partition(":")
    look_up_of_kind = _LOOK_UPS.get(kind)
    if look_up_of_kind is None or not name:
        raise Refused([_WRONG])
    return look_up_of_kind(name, aws_region)


def is_of_a_service(reference: str) -> bool:
    """Whether looking it up is a request over the network, worth remembering its answer."""
    return reference.partition(":")[0] in ("aws-secretsmanager", "gcp-secretmanager")


def _of_environment(name: str, _region: str | None) -> str:
    if not name.isidentifier():
        raise Refused([_WRONG])
    text = os.environ.get(name)
    if not text:
        raise Refused([f"the environment variable {name}, which should hold the database's URL, is not set"])
    return text


def _of_file(path: str, _region: str | None) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise Refused([f"{path}, which should hold the database's URL, cannot be read ({error.strerror})"]) from None
    except ValueError:
        raise Refused([f"{path}, which should hold the database's URL, is no text in UTF-8"]) from None


def _text_of(secret: str, name: str) -> str:
    if not secret:
        raise Refused([f"the secret {name} holds no text; put the database's URL into it, or JSON as RDS has it"])
    return secret


# -- AWS: an ARN says its region; a name is looked for in the one of the options or the environment ----------------------------------------

# https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_iam-permissions.html, and the names that a secret can have.
_ARN: Final = re.compile(r"arn:aws[a-z-]*:secretsmanager:([a-z0-9-]+):[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+")
_AWS_NAME: Final = re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}")
_AWS_SENTENCES: Final = {
    "ResourceNotFoundException": "there is no such secret in {region}, or it has no value yet; correct its name, or give its ARN",
    "InvalidRequestException": "it is marked for deletion; restore it, or give another",
    "DecryptionFailure": "it cannot be decrypted; allow these credentials kms:Decrypt on its key, or enable the key",
    **dict.fromkeys(
        ["AccessDeniedException", "AccessDenied"], "access is denied; allow these credentials secretsmanager:GetSecretValue on it"
    ),
}
_AWS_OTHERWISE: Final = "AWS Secrets Manager does not give it ({code}); wait and try again, and look at its name and the credentials"


def _of_aws(name: str, region: str | None) -> str:
    """The text of the current version."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - boto3 takes long to import

    from pipeline.places.aws import client, error_code, why  # noqa: PLC0415

    arn = _ARN.fullmatch(name)
    if arn is None and _AWS_NAME.fullmatch(name) is None:
        raise Refused(["aws-secretsmanager: takes the ARN of a secret, arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME, or its name"])
    try:
        answer = client("secretsmanager", AwsSettings(region=arn[1] if arn else region)).get_secret_value(SecretId=name)
    except (ClientError, BotoCoreError, ValueError, RuntimeError) as error:
        code = error_code(error) or type(error).__name__
        region_words = arn[1] if arn else region or "the region of the environment"
        sentence = why(error) or _AWS_SENTENCES.get(code, _AWS_OTHERWISE)
        raise Refused([f"the secret {name}: {sentence.format(region=region_words, code=code)}"]) from None
    return _text_of(answer.get("SecretString") or "", name)


# -- Google --------------------------------------------------------------------------------------------------------------------------------

_GOOGLE_NAME: Final = re.compile(r"(projects/[^/\s]+/secrets/[A-Za-z0-9_-]{1,255})(?:/versions/([0-9]+|[A-Za-z][A-Za-z0-9_-]*))?")
# gcloud's own variable for another endpoint, as of a Private Service Connect.
_GOOGLE_ENDPOINT: Final = "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER"
_GOOGLE_TIMEOUT: Final = 30.0  # seconds, with what is tried again

# By the class of the error: https://googleapis.dev/python/google-api-core/latest/exceptions.html, and google.auth's own.
_GOOGLE_SENTENCES: Final = {
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
_GOOGLE_OTHERWISE: Final = "Google Secret Manager does not give it ({kind}); look at the network, and try again"


def _of_google(name: str, _region: str | None) -> str:
    """The text of a version, the latest one unless the name says which."""
    parts = _GOOGLE_NAME.fullmatch(name)
    if parts is None:
        raise Refused(["gcp-secretmanager: takes projects/PROJECT/secrets/SECRET, and /versions/VERSION if it is not to be the latest"])
    payload = _ask_google(f"{parts[1]}/versions/{parts[2] or 'latest'}", name)
    try:
        return _text_of(payload.decode(), name)
    except ValueError:
        return _text_of("", name)


def _ask_google(version: str, name: str) -> bytes:
    try:
        from google.api_core.exceptions import GoogleAPIError  # noqa: PLC0415 - an extra, so it may not be there
        from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415
        from google.cloud import secretmanager_v1  # noqa: PLC0415
        from requests import RequestException  # noqa: PLC0415
    except ImportError:
        raise Refused(["gcp-secretmanager: needs the package google-cloud-secret-manager; pip install 'ddb2pg[gcp]'"]) from None
    silence_clients()
    endpoint = os.environ.get(_GOOGLE_ENDPOINT)
    options: Any = {"api_endpoint": endpoint.rstrip("/")} if endpoint else None
    try:
        with secretmanager_v1.SecretManagerServiceClient(transport="rest", client_options=options) as service:
            answer = service.access_secret_version(name=version, timeout=_GOOGLE_TIMEOUT)
            return bytes(answer.payload.data)
    except (GoogleAPIError, GoogleAuthError, RequestException, ValueError, OSError) as error:
        kind = type(error).__name__
        raise Refused([f"the secret {name}: {_GOOGLE_SENTENCES.get(kind, _GOOGLE_OTHERWISE).format(kind=kind)}"]) from None


_LOOK_UPS: Final[Mapping[str, Callable[[str, str | None], str]]] = {
    "env": _of_environment,
    "file": _of_file,
    "aws-secretsmanager": _of_aws,
    "gcp-secretmanager": _of_google,
}
