"""Whether there are connections enough: by the limits of server, role and database, and by whom they are used."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from psycopg2.extensions import make_dsn

from pipeline.engines.runners import planned_workers
from pipeline.preflight.database import Limit, connection_findings, limit_findings
from pipeline.target.connection import Link, Pooling
from pipeline.target.session import Session
from tests.command_line import CommandLine
from tests.pgbouncer import hold
from tests.pipeline.conftest import Look
from tests.pipeline.target.made_loads import reference_to
from tests.plain_loads import begin_loads
from tests.postgres_server import Database


def free_and_most(look: Look, url: str) -> tuple[int, int]:
    """What the fact says of the server."""
    [found] = look.of("connections", url=url)
    free, most = re.findall(r"the server has (\d+) of (\d+) free", found.detail)[0]
    return int(free), int(most)


def test_the_servers_limit_counts_without_what_is_reserved(database: Database, look: Look, role: str) -> None:
    """A superuser may have that, too; what others hold is counted."""
    limit = database.value("SELECT current_setting('max_connections')::int")
    reserved = database.value(
        "SELECT current_setting('superuser_reserved_connections')::int + coalesce(current_setting('reserved_connections', true), '0')::int"
    )
    assert free_and_most(look, database.url)[1] == limit
    assert free_and_most(look, make_dsn(database.url, user=role))[1] == limit - reserved
    end = time.monotonic() + 60
    # Connections that tests closed just now are counted for a moment still.
    while not _are_counted(look, database.url, 3):
        assert time.monotonic() < end


def _are_counted(look: Look, url: str, connections: int) -> bool:
    others = [hold(url) for _ in range(connections)]
    taken, _ = free_and_most(look, url)
    for other in others:
        other.close()
    end = time.monotonic() + 5
    while (left := free_and_most(look, url)[0] - taken) < connections and time.monotonic() < end:
        pass
    return left == connections


def test_our_own_connections_are_not_counted(database: Database, role: str) -> None:
    """Neither the one that asks, nor those of preflight that the server has not seen the end of yet."""
    database.execute(f"ALTER ROLE {role} CONNECTION LIMIT 2")
    url = make_dsn(database.url, user=role)
    other = hold(url)
    link = Link("", 0, None, "", Pooling.NONE, opened=1, processes=())
    ours = replace(link, processes=(other.info.backend_pid,))
    with Session(reference_to(url)) as session:
        codes = [
            [found.name for found in session.transact(lambda cursor, link=link: list(connection_findings(cursor, link, 1)))]
            for link in (link, ours)
        ]
    other.close()

    assert codes == [["too_few_connections"], ["connections"]]


@pytest.mark.parametrize(("workers", "is_enough"), [(1, True), (2, True), (3, False)])
@pytest.mark.parametrize("of", ["role", "database"])
def test_a_limit_of_the_role_or_the_database_is_refused_when_it_is_too_low(
    database: Database, exports: Path, tmp_path: Path, role: str, of: str, workers: int, is_enough: bool
) -> None:
    """Four connections, of which somebody holds one: enough for two workers and the display."""
    look = Look(Database(database.url), exports, tmp_path)  # whose own questions hold none
    name = {"role": role, "database": database.value("SELECT current_database()")}[of]
    database.execute(f"ALTER {of} {name} CONNECTION LIMIT 4")
    url = make_dsn(database.url, user=role)
    other = hold(url)
    # The role's limit is not used up by others, the database's is.
    stranger = hold(database.url) if of == "role" else None

    found = look.of("too_few_connections", url=url, workers=workers)
    assert [finding.verdict for finding in found] == ["fail"] * (not is_enough)
    assert all(f"the {of} {name} has 3 of 4 connections free, but the run opens {workers + 1} " in finding.detail for finding in found)
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
    for _ in range(10):
        refused = CommandLine(url, tmp_path).migrate(exports / "medzen-soap-notes")
        assert refused.exit_code == 2, refused.output
        # A server counts a connection that was closed until its process is gone.
        if "too many connections" not in refused.stderr:
            break
    assert "has 1 of 1 connections free, but the run opens 2" in refused.stderr
    database.execute(f"ALTER ROLE {role} CONNECTION LIMIT 2")
    assert look.of("too_few_connections", url=url) == []
    finished = CommandLine(url, tmp_path).migrate(exports / "medzen-soap-notes")
    assert finished.exit_code == 0, finished.output


def test_a_load_that_is_finished_takes_no_worker(database: Database, look: Look, exports: Path) -> None:
    """Where there is nothing to do, no connections are needed for it."""
    assert "the run opens 2 connections" in look.of("connections")[0].detail
    begin_loads(exports, reference_to(database.url))
    database.execute("UPDATE ddb2pg.load SET finished_at = now()")
    assert "the run opens 1 connection;" in look.of("connections")[0].detail


def test_another_runner_has_its_own_number_of_workers(look: Look) -> None:
    """It is said, and not guessed."""
    assert [found.verdict for found in look.of("connections_unknown", workers=None)] == ["fact"]
    assert look.of("connections", workers=None) == []


def test_every_limit_that_is_too_low_is_told() -> None:
    """Not only the lowest; with several workers, fewer are one way out."""
    found = list(limit_findings([Limit("a", 3, 1), Limit("b", 2, 5), Limit("c", 9, 0)], workers=2))

    assert [finding.detail.partition(",")[0] for finding in found] == [
        "a has 2 of 3 connections free",
        "b has 0 of 2 connections free",
    ]
    assert all("--direct_num_workers" in finding.detail for finding in found)


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
