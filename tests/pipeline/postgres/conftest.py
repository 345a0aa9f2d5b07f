"""A ledger and the plainest target in a database of the test's own."""

from __future__ import annotations

import pytest

from tests.pipeline.postgres.made_loads import PLAIN, Lab
from tests.postgres_server import Database, Server


@pytest.fixture(scope="session", autouse=True)
def _quick(server: Server) -> None:
    """Nobody pulls the plug of a test's server: without fsync it makes, and ends with, many databases in a fraction of the time."""
    for statement in ("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()"):
        Database(server.url("postgres")).execute(statement)


@pytest.fixture
def bare(server: Server) -> Database:
    """A database without any table."""
    return server.new_database(with_targets=False)


@pytest.fixture
def lab(bare: Database) -> Lab:
    return Lab(bare, PLAIN)
