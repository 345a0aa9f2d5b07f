"""The ledger: made once, read by nobody else, and its sums."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from datetime import UTC

import pytest

from pipeline.ledger.chunks import (
    ChunkCounts,
    SourceTotals,
    Totals,
    claim_chunk,
    code_counts,
    committed_chunk,
    committed_chunks,
    file_totals,
    filter_reasons,
    load_totals,
    note_refused,
    note_refused_file,
    refused_files,
    source_totals,
    taken_counts,
)
from pipeline.ledger.loads import ChunkKey, all_loads, create_ledger, find_load, finish_load, ledger_exists, start_load
from pipeline.ledger.replays import note_filtered, release_filtered
from pipeline.source.chunks import ChunkSize, ItemAddress
from pipeline.source.manifest import DataFile, Export
from pipeline.target.rows import RefusedRow
from pipeline.target.session import RowsRefused
from tests.pipeline.target.made_loads import PLAIN, THING, Lab
from tests.postgres_server import Database
from transforms.rejects import ErrorCode
from transforms.table import Unmapped

CLEAN = ChunkCounts(items=10, rows=10, notices=0, dead_letter_codes={}, notice_codes={})
# Name, who has a right on it, and what it is: S a sequence, r a table, n the schema.
GRANTEES = """
    SELECT relname, coalesce(nullif(a.grantee, 0)::regrole::text, 'PUBLIC'), relkind FROM pg_class c, aclexplode(c.relacl) a
    WHERE relnamespace = 'ddb2pg'::regnamespace
    UNION SELECT nspname, coalesce(nullif(a.grantee, 0)::regrole::text, 'PUBLIC'), 'n' FROM pg_namespace, aclexplode(nspacl) a
    WHERE nspname = 'ddb2pg'
"""


# -- the schema ----------------------------------------------------------------------------------------------------------------------------


def test_it_can_be_made_twice(lab: Lab) -> None:
    """A second start changes nothing of what the first one wrote."""
    plan = lab.plan()
    with lab.session() as session:
        session.transact(create_ledger)
        assert session.transact(all_loads) == [plan.load]


def test_two_sessions_may_make_it_at_once(bare: Database) -> None:
    """The second waits for the first, and finds it made; neither fails."""
    lab = Lab(bare, PLAIN)
    bare.execute("DROP SCHEMA ddb2pg CASCADE")
    for _ in range(3):
        at_once = threading.Barrier(4)
        failures: list[BaseException] = []

        def run(at_once: threading.Barrier = at_once, failures: list[BaseException] = failures) -> None:
            try:
                with lab.session() as session:
                    session.transact(lambda cursor: (at_once.wait(300), create_ledger(cursor)))
            except BaseException as error:  # noqa: BLE001 - told by the assertion below
                failures.append(error)

        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert failures == []
        assert bare.value("SELECT count(*) FROM pg_tables WHERE schemaname = 'ddb2pg'") == 17
        bare.execute("DROP SCHEMA ddb2pg CASCADE")


def test_a_ledger_that_is_not_committed_is_not_there(bare: Database) -> None:
    """Making it is part of the transaction that starts the loads."""
    lab = Lab(bare, PLAIN)
    bare.execute("DROP SCHEMA ddb2pg CASCADE")
    with lab.session() as session:
        with pytest.raises(RowsRefused):
            session.transact(lambda cursor: (create_ledger(cursor), cursor.execute("SELECT 1/0")))
        assert session.transact(ledger_exists) is False


@contextlib.contextmanager
def generous_to(database: Database, *api_roles: str) -> Iterator[None]:
    """A database that gives everybody, and Supabase's API roles, all rights on new things by default."""
    for role in api_roles:
        database.execute(f"CREATE ROLE {role}")
    for grantee in ("PUBLIC", *api_roles):
        for kind in ("TABLES", "SEQUENCES", "SCHEMAS"):
            database.execute(f"ALTER DEFAULT PRIVILEGES GRANT ALL ON {kind} TO {grantee}")
    yield
    for role in api_roles:
        database.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


API_ROLES = pytest.mark.parametrize("api_roles", [(), ("anon", "authenticated")], ids=["plain", "Supabase"])


@API_ROLES
def test_nobody_but_its_owner_has_rights_on_its_schema_and_tables(bare: Database, api_roles: tuple[str, ...]) -> None:
    """Whatever the database gives by default."""
    with generous_to(bare, *api_roles):
        Lab(bare, PLAIN)
        grants = [name for name, grantee, kind in bare.query(GRANTEES) if grantee != "postgres" and kind != "S"]

    assert grants == []


@API_ROLES
def test_nobody_but_its_owner_has_rights_on_its_sequences(bare: Database, api_roles: tuple[str, ...]) -> None:
    """The numbers of the loads are the ledger's too."""
    with generous_to(bare, *api_roles):
        Lab(bare, PLAIN)
        grants = [name for name, grantee, kind in bare.query(GRANTEES) if grantee != "postgres" and kind == "S"]

    assert grants == []


def test_row_security_is_on_for_each_of_its_tables(lab: Lab) -> None:
    """So a grant by mistake shows nothing."""
    tables = lab.database.query(
        "SELECT relname, relrowsecurity FROM pg_class WHERE relnamespace = 'ddb2pg'::regnamespace AND relkind = 'r'"
    )

    assert sorted(tables) == [
        ("applied_chunk", True),
        ("child_table", True),
        ("chunk", True),
        ("compared_child", True),
        ("compared_chunk", True),
        ("double", True),
        ("load", True),
        ("outdated", True),
        ("refused_file", True),
        ("replayed_child", True),
        ("replayed_item", True),
        ("shard", True),
        ("stream", True),
        ("stream_aside", True),
        ("tally", True),
        ("touched_item", True),
        ("writer", True),
    ]


@pytest.mark.parametrize("role", ["anon", "authenticated", "somebody"])
def test_another_role_cannot_read_it(lab: Lab, role: str) -> None:
    """Tried as that role."""
    lab.database.execute(f"CREATE ROLE {role}")
    with contextlib.closing(lab.database.connect()) as connection, connection.cursor() as cursor:
        connection.autocommit = False
        cursor.execute(f"SET ROLE {role}")
        for table in ("load", "chunk", "refused_file"):
            cursor.execute("SAVEPOINT before")
            with pytest.raises(Exception, match="permission denied"):
                cursor.execute(f"SELECT * FROM ddb2pg.{table}")
            cursor.execute("ROLLBACK TO before")
    lab.database.execute(f"DROP ROLE {role}")


# -- loads ---------------------------------------------------------------------------------------------------------------------------------


def export(name: str = "01-a") -> Export:
    return Export(name, "things", "2026-11-01T00:00:00Z", "/x", 12, (DataFile("a", "/x/a", 12, ""),), "0123")


def test_a_load_is_found_again_as_it_was_begun(lab: Lab) -> None:
    """Export, target, settings and `migration_time` are those of its first start, to the microsecond."""
    size = ChunkSize(7, 1234)
    with lab.session() as session:
        begun = session.transact(lambda cursor: start_load(cursor, export(), THING, "public.thing", size, Unmapped.REJECT))
        found = session.transact(lambda cursor: find_load(cursor, "01-a", "public.thing"))
        assert session.transact(lambda cursor: find_load(cursor, "01-a", "public.other")) is None
        assert session.transact(lambda cursor: find_load(cursor, "01-b", "public.thing")) is None

    assert found == begun
    assert (begun.chunk_size, begun.unmapped, begun.definition) == (size, Unmapped.REJECT, THING.fingerprint)
    assert (begun.export_digest, begun.manifest_items, begun.finished_at) == ("0123", 12, None)
    epoch = lab.database.value("SELECT (extract(epoch FROM migration_time) * 1000000)::bigint FROM ddb2pg.load")
    assert begun.migration_microseconds == epoch
    assert begun.migration_time.astimezone(UTC) == begun.started_at.astimezone(UTC)


def test_an_export_is_loaded_into_a_target_by_one_load(lab: Lab) -> None:
    """A second load of the two cannot be begun; another target, or another export, can."""

    def begin(name: str, target: str) -> None:
        with lab.session() as session:
            session.transact(lambda cursor: start_load(cursor, export(name), THING, target, ChunkSize(), Unmapped.NOTICE))

    begin("01-a", "public.thing")
    begin("01-a", "public.other")
    begin("01-b", "public.thing")
    with pytest.raises(RowsRefused):
        begin("01-a", "public.thing")


def test_a_load_is_finished_once(lab: Lab) -> None:
    """The time of the first proof stays."""
    load = lab.plan().load
    times = []
    with lab.session() as session:
        for _ in range(2):
            session.transact(lambda cursor: finish_load(cursor, load))
            times.append(session.transact(all_loads)[0].finished_at)

    assert times[0] is not None
    assert times[0] == times[1]


# -- sums ----------------------------------------------------------------------------------------------------------------------------------


def test_totals_and_codes_add_up_over_chunks_files_and_loads(lab: Lab) -> None:
    """Each load has its own sums, each file too; codes are counted, most frequent first."""
    counts = ChunkCounts(10, 7, 4, {"invalid_uuid": 2, "wrong_type": 1}, {"unmapped_attribute": 4})
    with lab.session() as session:

        def fill(cursor: object) -> None:
            for load_id, name, first, of in ((1, "a", 0, counts), (1, "a", 10, CLEAN), (1, "b", 0, counts), (2, "a", 0, CLEAN)):
                assert claim_chunk(cursor, ChunkKey(load_id, name, first), "run", of)

        session.transact(fill)
        by_file = session.transact(lambda cursor: dict(file_totals(cursor, 1)))
        totals = session.transact(lambda cursor: [load_totals(cursor, load_id) for load_id in (1, 2, 3)])
        codes = session.transact(lambda cursor: [code_counts(cursor, load_id) for load_id in (1, 2)])

    assert totals == [Totals(30, 24, 6, 0, 8), Totals(10, 10), Totals()]
    assert by_file == {"a": Totals(20, 17, 3, 0, 4), "b": Totals(10, 7, 3, 0, 4)}
    assert [list(found.items()) for found in codes[0]] == [[("invalid_uuid", 4), ("wrong_type", 2)], [("unmapped_attribute", 8)]]
    assert codes[1] == ({}, {})


def test_sums_go_beyond_32_bits(lab: Lab) -> None:
    """Tables have more items than an integer holds."""
    many = ChunkCounts(2_000_000_000, 2_000_000_000, 0, {}, {})
    with lab.session() as session:
        for first in range(3):
            session.transact(lambda cursor, first=first: claim_chunk(cursor, ChunkKey(1, "a", first << 40), "run", many))
        assert session.transact(lambda cursor: load_totals(cursor, 1)).items == 6_000_000_000


def test_what_postgresql_refused_is_noted_and_read_back(lab: Lab) -> None:
    """Item numbers, codes, SQLSTATEs and constraints; the counts are those after the refusal."""
    key = ChunkKey(1, "a", 10)
    refused = (
        RefusedRow(12, ErrorCode.PRIMARY_KEY_CONFLICT, "23505", "thing_pkey"),
        RefusedRow(19, ErrorCode.DATABASE_REJECTED, None, None),
    )
    after = ChunkCounts(10, 8, 1, {"primary_key_conflict": 1, "database_rejected": 1}, {"unmapped_attribute": 1})
    with lab.session() as session:
        session.transact(lambda cursor: claim_chunk(cursor, key, "run", CLEAN))
        session.transact(lambda cursor: note_refused(cursor, key, refused, after))
        chunk = session.transact(lambda cursor: committed_chunk(cursor, key))
        chunks = session.transact(lambda cursor: committed_chunks(cursor, 1, "a"))
        codes = session.transact(lambda cursor: code_counts(cursor, 1))

    assert chunks == {10: chunk}
    assert (chunk.items, chunk.rows, chunk.notices, chunk.refused, chunk.is_clean) == (10, 8, 1, refused, False)
    assert codes == ({"database_rejected": 1, "primary_key_conflict": 1}, {"unmapped_attribute": 1})


def test_a_chunk_whose_equation_does_not_hold_cannot_be_written(lab: Lab) -> None:
    """The table itself says items = rows + dead letters + filtered."""
    columns = "load_id, data_file, first_item, items, rows, dead_letters, filtered, notices, dead_letter_codes, notice_codes, "
    values = "1, 'a', 0, 10, 8, {dead_letters}, 1, 0, '{{}}', '{{}}', '{{}}', '[]', 'run'"
    statement = f"INSERT INTO ddb2pg.chunk ({columns} filter_reasons, write_rejects, run_id) VALUES ({values})"
    with lab.session() as session:
        for dead_letters in (0, 2):
            with pytest.raises(RowsRefused) as caught:
                session.transact(lambda cursor, dead=dead_letters: cursor.execute(statement.format(dead_letters=dead)))
            assert caught.value.sqlstate == "23514"
        session.transact(lambda cursor: cursor.execute(statement.format(dead_letters=1)))


def test_filtered_items_are_counted_by_reason(lab: Lab) -> None:
    """They are neither rows nor dead letters, and no reason to read a file again; what a replay filtered counts with them."""
    counts = ChunkCounts(10, 3, 0, {"invalid_uuid": 1}, {}, filtered=6, filter_reasons={"a is 1": 4, "ignored: a is 2": 2})
    clean = ChunkCounts(10, 3, 0, {}, {}, filtered=7, filter_reasons={"a is 1": 7})
    replayed = {ItemAddress("f", 4): (["invalid_uuid"], "a is 3")}
    with lab.session() as session:
        session.transact(lambda cursor: claim_chunk(cursor, ChunkKey(1, "f", 0), "run", counts))
        session.transact(lambda cursor: claim_chunk(cursor, ChunkKey(1, "f", 10), "run", clean))
        chunks = session.transact(lambda cursor: committed_chunks(cursor, 1, "f"))
        before = session.transact(lambda cursor: (load_totals(cursor, 1), filter_reasons(cursor, 1)))
        noted = [session.transact(lambda cursor: note_filtered(cursor, 1, "run", replayed)) for _ in range(2)]
        after = session.transact(lambda cursor: (load_totals(cursor, 1), filter_reasons(cursor, 1), dict(file_totals(cursor, 1))))
        session.transact(lambda cursor: release_filtered(cursor, 1, list(replayed)))
        released = session.transact(lambda cursor: (load_totals(cursor, 1), filter_reasons(cursor, 1)))

    assert [chunk.is_clean for chunk in chunks.values()] == [False, True]
    assert before == (Totals(20, 6, 1, 13, 0), {"a is 1": 11, "ignored: a is 2": 2})
    assert noted == [set(replayed), set()], "once"
    assert after == (Totals(20, 6, 0, 14, 0), {"a is 1": 11, "ignored: a is 2": 2, "a is 3": 1}, {"f": Totals(20, 6, 0, 14, 0)})
    assert released == before


def test_the_loads_of_one_source_are_added_up_file_by_file(lab: Lab) -> None:
    """Ignored items are those of the first load, where each item that no other takes is told of; those of others would count twice."""
    ignored = {"ignored: a is 2": 2, "a is 1": 3}
    loads = {
        1: ChunkCounts(10, 5, 0, {}, {}, filtered=5, filter_reasons=ignored),
        2: ChunkCounts(10, 2, 0, {}, {}, filtered=8, filter_reasons={"b is 1": 8}),
        3: ChunkCounts(10, 10, 0, {}, {}),
    }
    with lab.session() as session:
        for load_id, counts in loads.items():
            session.transact(lambda cursor, number=load_id, of=counts: claim_chunk(cursor, ChunkKey(number, "f", 0), "run", of))
        totals = session.transact(lambda cursor: list(source_totals(cursor, [1, 2], "ignored: ")))

    assert totals == [SourceTotals(items=10, taken=7, ignored=2, ignored_at_first=2)], "one of ten went nowhere"


def test_what_several_loads_took_is_added_up_where_they_were_read_together(lab: Lab) -> None:
    """Only the last load's row says so; chunks that were read with others do not count."""
    with lab.session() as session:
        for first_item, load_id, read_with, taken_by in ((0, 1, (), ()), (0, 2, (1, 2), (3, 6, 1)), (10, 2, (1, 2), (0, 10, 0))):
            counts = ChunkCounts(10, 10, 0, {}, {}, read_with=read_with, taken_by=taken_by)
            session.transact(lambda cursor, n=load_id, f=first_item, of=counts: claim_chunk(cursor, ChunkKey(n, "f", f), "run", of))
        assert session.transact(lambda cursor: taken_counts(cursor, [2, 1])) == [3, 16, 1]
        assert session.transact(lambda cursor: taken_counts(cursor, [1, 2, 3])) == []


def test_a_refused_file_is_noted_once_a_run(lab: Lab) -> None:
    """Each run tells its own; a retried step does not fail."""
    with lab.session() as session:
        for run_id, name in (("r1", "b"), ("r1", "a"), ("r1", "b"), ("r2", "b")):
            session.transact(lambda cursor, r=run_id, n=name: note_refused_file(cursor, 1, r, n, f"{n} is bad"))
        assert session.transact(lambda cursor: refused_files(cursor, 1, "r1")) == {"a": "a is bad", "b": "b is bad"}
        assert session.transact(lambda cursor: refused_files(cursor, 1, "r2")) == {"b": "b is bad"}
        assert session.transact(lambda cursor: refused_files(cursor, 2, "r1")) == {}
