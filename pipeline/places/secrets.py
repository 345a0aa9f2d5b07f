"""The kinds of references, by what stands before the first colon."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from pipeline.errors import Refused

KINDS: Final = "env:NAME (of an environment variable), file:PATH, aws-secretsmanager:ARN_OR_NAME, gcp-secretmanager:projects/P/secrets/S"

# The text that was given may be the secret itself, so it is not quoted.
_WRONG: Final = f"a database reference is one of {KINDS}"


def look_up(reference: str, aws_region: str | None) -> str:
    """What a reference stands for, where this runs. Raises `Refused`; the region is for an AWS secret that is given by its name."""
    kind, _, place = reference.partition(":")
    look_up_of_kind = _LOOK_UPS.get(kind)
    if look_up_of_kind is None or not place:
        raise Refused([_WRONG])
    return look_up_of_kind(place, aws_region)


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


def _of_aws(name: str, region: str | None) -> str:
    from pipeline.places.secrets_aws import look_up_in_aws  # noqa: PLC0415 - boto3 takes long to import

    return look_up_in_aws(name, region)


def _of_gcp(name: str, _region: str | None) -> str:
    from pipeline.places.secrets_gcp import look_up_in_gcp  # noqa: PLC0415 - of an extra, so it may not be there

    return look_up_in_gcp(name)


_LOOK_UPS: Final[Mapping[str, Callable[[str, str | None], str]]] = {
    "env": _of_environment,
    "file": _of_file,
    "aws-secretsmanager": _of_aws,
    "gcp-secretmanager": _of_gcp,
}
