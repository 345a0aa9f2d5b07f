"""Whether there are connections enough: by the limits of server, role and database, and by whom they are used."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg2.extensions import make_dsn

from pipeline.checks.preflight.connections import Limit, limit_findings
from pipeline.engine import planned_workers
from tests.command_line import CommandLine
from tests.pgbouncer import hold
from tests.pipeline.checks.conftest import Look
from tests.postgres_server import Database


@pytest.fixture
def role(database: Database) -> Iterator[str]:
    name = f"limited_of_{database.value('SELECT current_database()')}"
    database.execute(f"CREATE ROLE {name} LOGIN; GRANT CREATE ON DATABASE {database.value('SELECT current_database()')} TO {name}")
    database.execute(f"GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO {name}")
    yield name
    database.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


def test_the_servers_limit_counts_without_what_is_reserved(database: Database, look: Look, role: str) -> None:
    """A superuser may have that, too; what others hold is counted, our own connection is not."""
    limit = database.value("SELECT current_setting('max_connections')::int")
    reserved = database.value(
        "SELECT current_setting('superuser_reserved_connections')::int + coalesce(current_setting('reserved_connections', true), '0')::int"
    )
    others = [hold(database.url) for _ in range(3)]

    end = time.monotonic() + 30
    # Those that were closed just now are counted for a moment still.
    while f"the server has {limit - 3} of {limit} free" not in look.of("connections")[0].sentence:
        assert time.monotonic() < end
    url = make_dsn(database.url, user=role)
    while f"the server has {limit - reserved - 3} of {limit - reserved} free" not in look.of("connections", url=url)[0].sentence:
        assert time.monotonic() < end
    for other in others:
        other.close()


@pytest.mark.parametrize(("workers", "is_enough"), [(1, True), (2, True), (3, False)])
@pytest.mark.parametrize("of", ["role", "database"])
def test_a_limit_of_the_role_or_the_database_is_refused_when_it_is_too_low(
    database: Database, look: Look, role: str, of: str, workers: int, is_enough: bool
) -> None:
    """Four connections, of which somebody holds one: enough for two workers and the display."""
    name = {"role": role, "database": database.value("SELECT current_database()")}[of]
    database.execute(f"ALTER {of} {name} CONNECTION LIMIT 4")
    url = make_dsn(database.url, user=role)
    other = hold(url)
    # The role's limit is not used up by others, the database's is.
    stranger = hold(database.url) if of == "role" else None

    found = look.of("too_few_connections", url=url, workers=workers)
    assert [finding.level for finding in found] == ["problem"] * (not is_enough)
    assert all(f"the {of} {name} has 3 of 4 connections free, but the run opens {workers + 1} " in finding.sentence for finding in found)
    other.close()
    if stranger:
        stranger.close()
    assert look.of("too_few_connections", workers=3) == []  # a superuser is above them


def test_two_connections_are_enough_for_a_load_in_one_process(
    database: Database, look: Look, role: str, exports: Path, tmp_path: Path
) -> None:
    """As many as preflight says, and not one more; with one it is refused before anything is written."""
    url = make_dsn(database.url, user=role)
    database.execute(f"ALTER ROLE {role} CONNECTION LIMIT 1")
    refused = CommandLine(url, tmp_path).migrate(exports)
    assert refused.exit_code == 2, refused.output
    assert "has 1 of 1 connections free, but the run opens 2" in refused.stderr
    database.execute(f"ALTER ROLE {role} CONNECTION LIMIT 2")
    assert look.of("too_few_connections", url=url) == []
    finished = CommandLine(url, tmp_path).migrate(exports)
    assert finished.exit_code == 0, finished.output


def test_a_load_that_is_finished_takes_no_worker(look: Look, exports: Path, run: CommandLine) -> None:
    """Where there is nothing to do, no connections are needed for it."""
    assert "the run opens 2 connections" in look.of("connections")[0].sentence
    assert run.migrate(exports).exit_code == 0
    assert "the run opens 1 connections" in look.of("connections")[0].sentence


def test_another_runner_has_its_own_number_of_workers(look: Look) -> None:
    """It is said, and not guessed."""
    assert [found.level for found in look.of("connections_unknown", workers=None)] == ["fact"]
    assert look.of("connections", workers=None) == []


def test_every_limit_that_is_too_low_is_told() -> None:
    """Not only the lowest; with several workers, fewer are one way out."""
    found = list(limit_findings([Limit("a", 3, 1), Limit("b", 2, 5), Limit("c", 9, 0)], workers=2))

    assert [finding.sentence.partition(",")[0] for finding in found] == [
        "a has 2 of 3 connections free",
        "b has 0 of 2 connections free",
    ]
    assert all("--direct_num_workers" in finding.sentence for finding in found)


@pytest.mark.parametrize(
    ("arguments", "items", "splits", "workers"),
    [
        ([], 1_000, 8, 1),
        (["--direct_num_workers=3"], 1_000, 8, 3),
        (["--direct_num_workers", "5"], 1_000, 8, 5),
        (["--runner=DirectRunner", "--direct_num_workers=2"], 1_000_000, 1, 2),
        (["--runner=FlinkRunner"], 1_000_000, 8, None),
    ],
)
def test_the_planned_workers_are_those_that_the_engine_starts(arguments: list[str], items: int, splits: int, workers: int | None) -> None:
    """Given ones stand above what a load is worth."""
    assert planned_workers(arguments, items, splits) == workers
