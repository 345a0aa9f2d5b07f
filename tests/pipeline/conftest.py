"""Attempts to migrate a small sample export, the proof that a refused one wrote nothing, and what preflight finds."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pipeline.commands.migrate import migrate
from pipeline.errors import Refused
from pipeline.options import LoadOptions, MigrateOptions
from pipeline.outcome.outcome import Check
from pipeline.preflight.check import check
from pipeline.target.database_url import DatabaseReference
from sample_export import write_sample_exports
from tests.aws_server import AwsServer, environment
from tests.fault_proxy import FaultProxy
from tests.made_options import made_options
from tests.pipeline.target.made_loads import PLAIN, Lab
from tests.postgres_server import Database, Server
from transforms.table import Table, Unmapped
from transforms.tables.medzen import TABLES


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean export of each table, of 30 items."""
    root = tmp_path_factory.mktemp("exports")
    write_sample_exports(root, items=30, faulty=0, odd=0, seed=11, items_per_file=20)
    return root


def everything_in(database: Database) -> list[Any]:
    """Tables and rows: of every schema that is not PostgreSQL's own."""
    tables = database.query(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
        "WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1"
    )
    return [(table, sorted(database.query(f"SELECT t::text FROM {table} t"))) for (table,) in tables]


class Attempt:
    """Runs `migrate()` with the arguments that a test changes, and expects it to refuse."""

    def __init__(self, database: Database, exports: Path, folder: Path) -> None:
        self._database = database
        self._exports = exports
        self._output = folder / "out"

    def options(
        self, *, url: str | None = None, exports: Path | None = None, tables: Sequence[Table] = TABLES, unmapped: Unmapped = Unmapped.NOTICE
    ) -> MigrateOptions:
        os.environ["DDB2PG_TEST_URL"] = url or self._database.url
        database = DatabaseReference("env:DDB2PG_TEST_URL")
        return made_options(MigrateOptions, [exports or self._exports], database, self._output, tables=tables, unmapped=unmapped)

    def problems(self, **changed: Any) -> tuple[str, ...]:
        """All sentences of the refusal; nothing may have been written, neither into the database nor beside it."""
        before = everything_in(self._database)
        with pytest.raises(Refused) as caught:
            migrate(self.options(**changed), Console(quiet=True))
        assert everything_in(self._database) == before
        assert not self._output.exists()
        return caught.value.problems


@dataclass(frozen=True, kw_only=True)
class _PreflightOptions(LoadOptions):
    """Of a run of so many workers."""

    worker_count: int | None

    def workers(self, _items: int, _splits: int) -> int | None:
        return self.worker_count


class Look:
    """What preflight finds, with the arguments that a test changes, and one worker unless it says otherwise."""

    def __init__(self, database: Database, exports: Path, folder: Path) -> None:
        self._database = database
        self._exports = exports
        self._output = folder / "never-made"

    def __call__(
        self,
        *,
        url: str | None = None,
        exports: Sequence[Path] | None = None,
        tables: Sequence[Table] = TABLES,
        workers: int | None = 1,
        with_estimate: bool = False,
    ) -> list[Check]:
        """Every finding; nothing may have been written."""
        os.environ["DDB2PG_TEST_URL"] = url or self._database.url
        database = DatabaseReference("env:DDB2PG_TEST_URL")
        options = made_options(_PreflightOptions, exports or [self._exports], database, self._output, tables=tables, worker_count=workers)
        before = everything_in(self._database)
        findings = check(options, with_estimate=with_estimate).findings
        assert everything_in(self._database) == before
        assert not self._output.exists()
        return list(findings)

    def of(self, code: str, **changed: Any) -> list[Check]:
        """The findings of one code."""
        return [finding for finding in self(**changed) if finding.name == code]

    def beyond_facts(self, **changed: Any) -> list[tuple[str, str, str | None]]:
        """Level, code and table of each problem and warning, but of that which the tests' own server deserves."""
        found = (finding for finding in self(**changed) if finding.verdict != "fact" and finding.name != "not_durable")
        return [(finding.verdict.value, finding.name, finding.table) for finding in found]


@pytest.fixture
def look(database: Database, exports: Path, tmp_path: Path) -> Iterator[Look]:
    yield Look(database, exports, tmp_path)
    os.environ.pop("DDB2PG_TEST_URL", None)


@pytest.fixture
def attempt(database: Database, exports: Path, tmp_path: Path) -> Iterator[Attempt]:
    yield Attempt(database, exports, tmp_path)
    os.environ.pop("DDB2PG_TEST_URL", None)


@pytest.fixture
def bare(server: Server) -> Iterator[Database]:
    """A database without any table."""
    database = server.new_database(with_targets=False)
    yield database
    server.drop(database)


@pytest.fixture
def lab(bare: Database) -> Lab:
    """A ledger and the plainest target in a database of the test's own."""
    return Lab(bare, PLAIN)


@pytest.fixture
def role(database: Database) -> Iterator[str]:
    """A role of its own, with all that a load needs."""
    name = f"loader_of_{database.value('SELECT current_database()')}"
    database.execute(f"CREATE ROLE {name} LOGIN; GRANT CREATE ON DATABASE {database.value('SELECT current_database()')} TO {name}")
    database.execute(f"GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO {name}")
    yield name
    database.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


@pytest.fixture
def proxy(aws_server: AwsServer, use_aws: Callable[[Mapping[str, str]], None]) -> Iterator[FaultProxy]:
    """Before the tests' AWS; the environment says that it is AWS."""
    with FaultProxy(aws_server.endpoint_url) as proxy:
        use_aws(environment(proxy.endpoint_url))
        yield proxy
