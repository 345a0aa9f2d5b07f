"""Which database a run was about, for people: never its URL, which holds a password and may hold more."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.target.session import Cursor


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """As the connection that was made has it; `host` is a folder where it is a socket."""

    host: str | None
    port: int
    name: str
    user: str
    server_version: str


def describe_database(cursor: Cursor) -> DatabaseFacts:
    """The database at the other end."""
    info = cursor.connection.info
    return DatabaseFacts(info.host, info.port, info.dbname, info.user, info.parameter_status("server_version"))
