"""Fixtures: the server, a database a test, sample exports, and the command line."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.aws_server import AwsServer
from tests.command_line import CommandLine
from tests.faults.fault_table import fault_table
from tests.postgres_server import Database, Server
from tests.test_architecture import rooms_and_sizes
from tests.tls_server import TlsServer

if TYPE_CHECKING:
    from tests.faults.jobs import Job


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="run the long tests too")


def pytest_configure(config: pytest.Config) -> None:
    # A shell that starts this in the background lets it, and whatever it starts, ignore SIGINT.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.getoption("--soak"):
        os.environ["DDB2PG_SOAK"] = "1"  # see tests/strategies.py, which is imported later


SLOW_FILES = (
    "flink/test_flink_migration.py",
    "transforms/test_native_memory.py",
    "windows/test_windows_model.py",
    "sample_export/test_sample_chains.py",
    "windows/test_windows_samples.py",
    "pipeline/test_readings.py",
    "pipeline/test_migrate_s3.py",
    "preflight/test_preflight_pooler.py",
    "commands/test_rollback.py",
    "dataflow/test_dataflow_migration.py",
    "windows/test_windows.py",
    "pipeline/test_memory.py",
    "commands/test_validate_job.py",
    "target/test_every_type.py",
    "commands/test_validate.py",
    "pipeline/test_migrate_truth.py",
    "faults/test_server_faults.py",
    "pipeline/test_embedded.py",
    "outcome/test_every_command.py",
    "pipeline/test_child_rows.py",
    "pipeline/test_orders.py",
    "tests/test_package.py",
    "transforms/test_changes.py",
    "faults/test_network_faults.py",
    "pipeline/test_row_security.py",
    "pipeline/test_migrate_splits.py",
    "outcome/test_report_looks.py",
    "faults/test_process_faults.py",
    "faults/test_command_faults.py",
    "faults/test_planted_values.py",
    "target/test_isolation.py",
    "pipeline/test_filtered.py",
    "windows/test_windows_attack.py",
    "preflight/test_preflight_loads.py",
    "pipeline/test_resume.py",
    "target/test_extension_types.py",
    "sample_export/test_sample_kinds.py",
    "inspection/test_inspection_memory.py",
    "pipeline/test_core_dumps.py",
    "places/test_storage_s3.py",
)
"""A file stays with one process: the slow ones begin first, so that none is left alone at the end."""


def _turn(item: pytest.Item) -> int:
    path = item.path.as_posix()
    return next((number for number, name in enumerate(SLOW_FILES) if path.endswith(name)), len(SLOW_FILES))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=_turn)
    if "apache_beam" in sys.modules:  # of tests that run commands in this process; to import it takes seconds
        from tests.quick_beam import remember

        remember()
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
def database(server: Server) -> Iterator[Database]:
    database = server.new_database()
    yield database
    server.drop(database)


@pytest.fixture
def run(database: Database, tmp_path: Path, request: pytest.FixtureRequest) -> CommandLine:
    """The command line, as a process of its own, against the test's database."""
    return CommandLine(database.url, tmp_path, is_plain=request.node.get_closest_marker("plain") is not None)


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Job:
    """The command line inside this process."""
    from tests.faults.jobs import Job

    return Job(monkeypatch, capsys, tmp_path / "out")


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
