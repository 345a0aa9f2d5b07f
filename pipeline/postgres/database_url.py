"""Which database: a reference that travels with the job, and the URL that it stands for, which does not, nor into any message.

Beam pickles what a step holds, logs options, and stores both on a remote runner. So a step holds `env:DATABASE_URL`, and the worker looks
the URL up.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg2
import psycopg2.extensions

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


def safe_words(error: Exception, url: str) -> str:
    """What libpq says about a connection that failed, without the password.

    Of a URL whose signs are not encoded libpq takes parts of the password for a host or a port, and quotes them: its words stay unsaid.
    """
    try:
        parameters = psycopg2.extensions.parse_dsn(url)
    except psycopg2.Error:
        return _BROKEN_URL
    if "://" in url and _PLAIN_URL.fullmatch(url) is None:
        return _BROKEN_URL
    message = " ".join(str(error).split())
    password = parameters.get("password")
    return message.replace(password, "***") if password else message


_HOST: Final = r"(?:\[[0-9a-fA-F:.]+\]|[^:@/?#,\s]*)(?::[0-9]+)?"
_PLAIN_URL: Final = re.compile(rf"postgres(?:ql)?://(?:[^:@/?#\s]*(?::[^:@/?#\s]*)?@)?{_HOST}(?:,{_HOST})*(?:/[^@?#\s]*)?(?:\?[^@#\s]*)?")
_BROKEN_URL: Final = (
    "its URL is not one that PostgreSQL understands; it looks like postgresql://USER:PASSWORD@HOST:PORT/DATABASE, "
    "with signs such as : / @ # ? in the password percent-encoded (%3A %2F %40 %23 %3F)"
)
