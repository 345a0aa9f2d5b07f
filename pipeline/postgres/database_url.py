"""Which database: a reference that travels with the job, and the URL that it stands for, which does not.

Beam pickles what a step holds, logs options, and stores both on a remote runner. So a step holds `env:DATABASE_URL`, and the worker looks
the URL up.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.errors import Refused

# The text that was given may be a URL, with its password.
_WRONG_REFERENCE: Final = "a database reference is env:NAME (of an environment variable) or file:PATH"

GIVEN: Final = "DDB2PG_DATABASE_URL"
"""Where `--database URL` is kept, so that workers on this machine inherit it."""


@dataclass(frozen=True, slots=True)
class DatabaseReference:
    """`env:NAME` or `file:PATH`."""

    text: str

    def url(self) -> str:
        """The URL, looked up where this runs. Raises `Refused`."""
        kind, _, place = self.text.partition(":")
        if kind == "env" and place.isidentifier():
            url = os.environ.get(place)
            if not url:
                raise Refused([f"the environment variable {place}, which should hold the database's URL, is not set"])
            return url
        if kind == "file":
            try:
                return Path(place).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise Refused([f"{place}, which should hold the database's URL, cannot be read ({error.strerror})"]) from None
        raise Refused([_WRONG_REFERENCE])


def keep_given_url(url: str) -> DatabaseReference:
    """The reference to a URL that was given on the command line."""
    os.environ[GIVEN] = url
    return DatabaseReference(f"env:{GIVEN}")
