"""How many statements a chunk costs, counted in the server's own log."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.records.kinds import RecordKind
from tests.pipeline.target.made_loads import PLAIN, Lab, chunk_of, thing
from tests.pipeline.target.made_loads import loader as loader_of
from tests.postgres_server import Database, Server

ITEMS = 5_000


class StatementLog:
    """What the server of the tests logs of one database, from now on."""

    def __init__(self, server: Server, database: Database) -> None:
        self._path: Path = server.folder / "pg" / "log"
        database.execute(f"ALTER DATABASE {database.value('SELECT current_database()')} SET log_statement = 'all'")
        self._seen = self._path.stat().st_size

    def count(self, what: bytes = b"LOG:  statement: ") -> int:
        """Statements, or something else, since the last count."""
        with self._path.open("rb") as log:
            log.seek(self._seen)
            found = log.read()
        self._seen += len(found)
        return found.count(what)


@pytest.fixture
def log(server: Server, bare: Database) -> StatementLog:
    return StatementLog(server, bare)


def statements_of(lab: Lab, log: StatementLog, lines: list[bytes]) -> tuple[int, int]:
    """Statements and dead letters of one chunk; the table holds 2,500 rows, ids from 1, before it."""
    lab.database.execute("TRUNCATE thing")
    lab.database.execute("INSERT INTO thing (id, name) SELECT lpad(to_hex(n), 32, '0')::uuid, 'n' || n FROM generate_series(1, 2500) n")
    plan = lab.plan()
    log.count()
    loaded = lab.load(lines, plan)
    statements = log.count()
    assert lab.database.value("SELECT count(*) FROM thing") == 2500 + ITEMS - len(loaded.dead_letters)
    return statements, len(loaded.dead_letters)


def with_key_conflicts(conflicts: int) -> list[bytes]:
    return [thing(number + 1 if number < conflicts else number + 10_000) for number in range(ITEMS)]


def with_key_conflicts_inside(conflicts: int) -> list[bytes]:
    return [thing(10_000 + (number - number % 2 if number < 2 * conflicts else number)) for number in range(ITEMS)]


def with_unique_conflicts(conflicts: int) -> list[bytes]:
    return [thing(number + 10_000, name=f"n{number + 1 if number < conflicts else number + 10_000}") for number in range(ITEMS)]


@pytest.mark.parametrize("planting", [with_key_conflicts, with_key_conflicts_inside, with_unique_conflicts])
def test_statements_do_not_grow_with_the_conflicts(bare: Database, log: StatementLog, planting: Callable[[int], list[bytes]]) -> None:
    """A chunk of 5,000: as many statements where half its rows conflict as where one does, and few."""
    lab = Lab(bare, PLAIN, "ALTER TABLE thing ADD UNIQUE (name)")
    counts = {}
    for conflicts in (1, 100, 2_500):
        counts[conflicts], refused = statements_of(lab, log, planting(conflicts))
        assert refused == conflicts

    assert len(set(counts.values())) == 1, counts
    assert 10 <= counts[1] <= 60, counts


def test_a_sound_chunk_is_settings_claim_copy_commit(bare: Database, log: StatementLog) -> None:
    """Nearly all chunks are sound: one asks nothing that it need not."""
    lab = Lab(bare, PLAIN)
    statements, refused = statements_of(lab, log, with_key_conflicts(0))

    assert refused == 0
    assert 4 <= statements <= 20


def test_after_conflicts_the_next_chunk_begins_with_its_keys(bare: Database, log: StatementLog) -> None:
    """And the one after a chunk without any with COPY again: half a COPY for nothing is paid once a swarm."""
    lab = Lab(bare, PLAIN)
    refused = []
    with lab.session() as session:
        loader = loader_of(lab.plan(), session)
        for chunk, is_second in enumerate([True, True, True, False, False, True, True]):
            lines = [thing(100 * chunk + number) for number in range(1, 11)]
            dead_letters = loader.visit(chunk_of([*lines, lines[3]] if is_second else lines, 100 * chunk))[RecordKind.DEAD_LETTERS]
            refused.append((len(dead_letters.records), log.count(b"ERROR:  duplicate key")))

    assert refused == [(1, 1), (1, 0), (1, 0), (0, 0), (0, 0), (1, 1), (1, 0)]
    assert len(lab.names()) == 70
