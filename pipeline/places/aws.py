"""AWS's clients, one a process and service, and sentences for what is wrong with credentials or the connection.

Credentials come from boto3's own chain (environment, profile, role of the machine), on the machine that submits and on each worker. They
are never an option: Beam shows and stores its options.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Sequence
from typing import Any, Final

import boto3
from botocore import exceptions
from botocore.config import Config

from pipeline.logs import silence_clients
from pipeline.places.place import AwsSettings

# Making clients is the one thing that boto3 cannot do in several threads at once.
_ONE_AT_A_TIME: Final = threading.Lock()
_TRIES: Final = 7  # two to three seconds, or up to forty where a service asks to slow down


def client(service: str, settings: AwsSettings, *, is_brief: bool = False) -> Any:
    """The process's one client of a service. A brief one gives up within seconds: it is for what can be done without.

    Raises what `why` has a sentence for.
    """
    silence_clients()
    with _ONE_AT_A_TIME:
        return _client(service, settings, is_brief, os.getpid())


@functools.cache
def _client(service: str, settings: AwsSettings, is_brief: bool, _process: int) -> Any:
    has_own_endpoint = settings.endpoint_url or os.environ.get("AWS_ENDPOINT_URL") or os.environ.get(f"AWS_ENDPOINT_URL_{service.upper()}")
    config = Config(
        retries={"mode": "adaptive", "total_max_attempts": 2 if is_brief else _TRIES},
        connect_timeout=3 if is_brief else 10,
        read_timeout=10 if is_brief else 60,
        # Other servers than AWS's seldom have a name for every bucket.
        s3={"addressing_style": "path" if has_own_endpoint else "auto"},
        # What is read is compared with the manifest's MD5.
        response_checksum_validation="when_required",
        request_checksum_calculation="when_required",
    )
    # boto3 itself reads AWS_DEFAULT_REGION only, where every other SDK of AWS reads AWS_REGION.
    region = settings.region or os.environ.get("AWS_REGION") or None
    return boto3.client(service, region_name=region, endpoint_url=settings.endpoint_url, config=config)


_EXPIRED: Final = "the AWS credentials have expired; renew them (aws sso login, or a new session token)"
_UNKNOWN: Final = "AWS does not know the access key; look at AWS_ACCESS_KEY_ID or AWS_PROFILE"
_WRONG_KEY: Final = "AWS does not accept the secret key; look at AWS_SECRET_ACCESS_KEY or AWS_PROFILE"
_OF_CODES: Final = {
    **dict.fromkeys(["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"], _EXPIRED),
    **dict.fromkeys(["InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException", "InvalidToken"], _UNKNOWN),
    **dict.fromkeys(["SignatureDoesNotMatch", "InvalidSignatureException"], _WRONG_KEY),
    "RequestTimeTooSkewed": "this machine's clock is wrong, so AWS refuses its requests; set the clock",
}
_NO_CREDENTIALS: Final = (
    "there are no AWS credentials; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run where a role gives them"
)
UNREACHABLE: Final = "AWS cannot be reached; look at the network, the region, and the endpoint's URL"
_NOT_FETCHED: Final = "the AWS credentials cannot be fetched; renew them (aws sso login), or look at AWS_PROFILE"
_OF_KINDS: Final[Sequence[tuple[type[Exception], str]]] = (
    (exceptions.NoCredentialsError, _NO_CREDENTIALS),
    (exceptions.PartialCredentialsError, _NO_CREDENTIALS),
    (exceptions.CredentialRetrievalError, _NOT_FETCHED),
    (exceptions.SSOError, _NOT_FETCHED),
    (exceptions.TokenRetrievalError, _NOT_FETCHED),
    (exceptions.NoAuthTokenError, _NOT_FETCHED),
    (exceptions.ProfileNotFound, "AWS_PROFILE names a profile that the AWS configuration does not have; correct it"),
    (exceptions.NoRegionError, "there is no AWS region; give --aws_region, or set AWS_REGION"),
    (exceptions.SSLError, "the endpoint's TLS certificate is not accepted; look at the endpoint's URL, or set AWS_CA_BUNDLE"),
    (exceptions.ConnectionError, UNREACHABLE),
    (exceptions.HTTPClientError, UNREACHABLE),
)


def error_code(error: Exception) -> str:
    """AWS's code of an error that a service answered; empty for any other."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, exceptions.ClientError) else ""


def is_still_expired(error: Exception) -> bool:
    """Whether a program gave credentials that had expired already, which botocore has no exception of its own for."""
    return isinstance(error, RuntimeError) and "credentials are still expired" in str(error)


def why(error: Exception) -> str | None:
    """What is wrong with credentials, region or connection, and what to do; None when the error is of something else."""
    for kind, sentence in _OF_KINDS:
        if isinstance(error, kind):
            return sentence
    if is_still_expired(error):
        return _EXPIRED
    return _OF_CODES.get(error_code(error))
