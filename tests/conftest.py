"""Fixtures: the server, a database a test, sample exports, and the command line."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.aws_server import AwsServer
from tests.command_line import CommandLine
from tests.faults.fault_table import fault_table
from tests.postgres_server import Database, Server
from tests.test_architecture import rooms_and_sizes
from tests.tls_server import TlsServer


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="run the long tests too")


SLOW_FILES = (
    "flink/test_flink_migration.py",
    "commands/test_rollback.py",
    "commands/test_validate_job.py",
    "preflight/test_preflight_pooler.py",
    "pipeline/test_migrate_s3.py",
    "pipeline/test_migrate_splits.py",
    "pipeline/test_row_security.py",
    "commands/test_validate.py",
    "target/test_embedded.py",
    "records/test_threshold.py",
    "faults/test_process_faults.py",
    "faults/test_server_faults.py",
    "places/test_storage_s3.py",
    "places/test_output_s3.py",
)
"""A file stays with one process: the slow ones begin first, so that none is left alone at the end."""


def _turn(item: pytest.Item) -> int:
    path = item.path.as_posix()
    return next((number for number, name in enumerate(SLOW_FILES) if path.endswith(name)), len(SLOW_FILES))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=_turn)
    if not config.getoption("--soak"):
        for item in items:
            if "soak" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="long: runs with --soak"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines = fault_table(terminalreporter.stats.values())
    if lines:
        terminalreporter.section("faults")
        terminalreporter.write("\n".join([*lines, ""]))
    terminalreporter.section("rooms")
    terminalreporter.write("\n".join(["| room | files | lines |", "| --- | --- | --- |", *rooms_and_sizes(), ""]))


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


@pytest.fixture(scope="session")
def started_tls_server() -> Iterator[TlsServer]:
    with TlsServer() as server:
        yield server


@pytest.fixture
def tls_server(started_tls_server: TlsServer) -> TlsServer:
    """With the right certificate, whatever a test did to it before."""
    started_tls_server.use_certificate()
    return started_tls_server


_BUCKET_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def aws_server() -> Iterator[AwsServer]:
    with AwsServer() as server:
        yield server


@pytest.fixture
def bucket() -> str:
    """A name that no other test has."""
    return f"test-bucket-{next(_BUCKET_NUMBERS)}"


@pytest.fixture
def use_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Mapping[str, str]], None]:
    """Sets the environment's AWS variables to those given, and no others; configuration files there are none."""

    def use(variables: Mapping[str, str]) -> None:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        none = {name: str(tmp_path / "no aws configuration") for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")}
        for name, value in {**none, **variables}.items():
            monkeypatch.setenv(name, value)

    return use
