"""Which database: a reference that travels with the job, and the URL that it stands for, which does not, nor into any message.

Beam pickles what a step holds, logs options, and stores both on a remote runner. So a step holds `env:DATABASE_URL`, and the worker looks
the URL up.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any, Final

import orjson
import psycopg2
import psycopg2.extensions

from pipeline.errors import Refused
from pipeline.places import secrets

GIVEN: Final = "DDB2PG_DATABASE_URL"
"""Where `--database URL` is kept, so that workers on this machine inherit it."""

# Beside the references, not in them: this is of one process, and nothing pickles it.
_LOOKED_UP: Final[dict[DatabaseReference, str]] = {}


@dataclass(frozen=True, slots=True)
class DatabaseReference:
    """A reference as `pipeline/places/secrets.py` knows them; the region is for an AWS secret that is given by its name."""

    text: str
    aws_region: str | None = None

    def url(self) -> str:
        """The URL, or libpq's `host=... password=...`, looked up where this runs; of a service it is asked once. Raises `Refused`."""
        if not secrets.is_of_a_service(self.text):
            return self._look_up()
        if self not in _LOOKED_UP:
            _LOOKED_UP[self] = self._look_up()
        return _LOOKED_UP[self]

    def changed_url(self, url: str) -> str | None:
        """What it is now, when that is no longer `url`: secrets are rotated. None also where it cannot be looked up."""
        try:
            changed = self._look_up()
        except Refused:
            return None
        if secrets.is_of_a_service(self.text):
            _LOOKED_UP[self] = changed
        return changed if changed != url else None

    def _look_up(self) -> str:
        text = secrets.look_up(self.text, self.aws_region).strip()
        return _connection_string(text, self.text) if text.startswith("{") else text


def keep_given_url(url: str) -> DatabaseReference:
    """The reference to a URL that was given on the command line."""
    os.environ[GIVEN] = url
    return DatabaseReference(f"env:{GIVEN}")


# -- JSON, as RDS has it -------------------------------------------------------------------------------------------------------------------

# https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html, and what it has no names for.
_PARAMETERS: Final = {
    **{name: name for name in ("host", "port", "password", "dbname", "sslmode", "sslrootcert")},
    "username": "user",
}
_OPTIONAL: Final = ("port", "sslmode", "sslrootcert")


def _connection_string(text: str, reference: str) -> str:
    """Of a secret in JSON; the names are told where one is missing, never a value."""
    try:
        secret: Any = orjson.loads(text)
    except orjson.JSONDecodeError:
        message = f"the secret {reference} begins as JSON, but is not; put the database's URL into it, or JSON as RDS has it"
        raise Refused([message]) from None
    given = {name: value for name, value in secret.items() if isinstance(value, str | int) and value != ""}
    missing = [name for name in _PARAMETERS if name not in (*given, *_OPTIONAL)]
    if missing:
        message = (
            f"the secret {reference} is JSON without {', '.join(missing)}; it needs host, username, password and dbname "
            "(port, sslmode and sslrootcert if you like), or put the database's URL into it"
        )
        raise Refused([message])
    return str(psycopg2.extensions.make_dsn(**{_PARAMETERS[name]: str(given[name]) for name in _PARAMETERS if name in given}))


# -- what libpq says -----------------------------------------------------------------------------------------------------------------------


def safe_words(error: Exception, url: str) -> str:
    """What libpq says about a connection that failed, without the password.

    Of a URL whose signs are not encoded libpq takes parts of the password for a host or a port, and quotes them: its words stay unsaid.
    """
    try:
        parameters = psycopg2.extensions.parse_dsn(url)
    except psycopg2.Error:
        return _BROKEN_URL
    if url.startswith(("postgresql://", "postgres://")) and _PLAIN_URL.fullmatch(url) is None:
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
