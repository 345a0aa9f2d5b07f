"""Fixtures: the server, a database a test, sample exports, and the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command_line import CommandLine
from tests.postgres_server import Database, Server


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="run the long tests too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--soak"):
        for item in items:
            if "soak" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="long: runs with --soak"))


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def database(server: Server) -> Database:
    return server.new_database()


@pytest.fixture
def run(database: Database, tmp_path: Path) -> CommandLine:
    """The command line, as a process of its own, against the test's database."""
    return CommandLine(database.url, tmp_path)
