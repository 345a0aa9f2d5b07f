"""A ledger and the plainest target in a database of the test's own."""

from __future__ import annotations

import pytest

from tests.pipeline.target.made_loads import PLAIN, Lab
from tests.postgres_server import Database, Server


@pytest.fixture
def bare(server: Server) -> Database:
    """A database without any table."""
    return server.new_database(with_targets=False)


@pytest.fixture
def lab(bare: Database) -> Lab:
    return Lab(bare, PLAIN)
