"""PgBouncer, the stand-in for Supabase's pooler, in each mode: preflight knows it, and a migration works through two of the three."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import make_dsn

from pipeline.errors import Refused
from pipeline.preflight.database import link_findings
from pipeline.target import connection as connection_module
from pipeline.target.connection import Link, Pooling, look_at_link
from sample_export import write_sample_exports
from tests.command_line import CommandLine
from tests.pgbouncer import PgBouncer, hold
from tests.pipeline.conftest import Look, everything_in
from tests.pipeline.planted import found_in, plant
from tests.pipeline.target.made_loads import reference_to
from tests.postgres_server import Database
from tests.truth import assert_equals_truth

MODES = pytest.mark.parametrize("mode", ["session", "transaction"])


def test_without_a_pooler_there_is_none(look: Look) -> None:
    """The server's own socket."""
    assert [finding.verdict for finding in look.of("no_pooler")] == ["fact"]


@MODES
@pytest.mark.parametrize("pool_size", [2, 10])
def test_a_pooler_is_known_by_its_mode(database: Database, look: Look, mode: str, pool_size: int) -> None:
    """By what it does; nothing is wrong with either."""
    with PgBouncer(database.url, mode, pool_size=pool_size) as pooler:
        findings = look(url=pooler.url)

    code = {"session": "pooler_in_session_mode", "transaction": "pooler_in_transaction_mode"}[mode]
    assert [finding.name for finding in findings if "pooler" in finding.name] == [code]
    # The tests' own server is not durable, and that is told.
    assert [finding.line for finding in findings if finding.verdict != "fact" and finding.name != "not_durable"] == []


@pytest.mark.parametrize("idle", [1, 3, 7])
def test_transaction_mode_is_known_among_servers_that_idle(database: Database, idle: int) -> None:
    """Whichever of several server processes the pooler takes next."""
    with PgBouncer(database.url, "transaction") as pooler:
        for connection in [hold(pooler.url) for _ in range(idle)]:
            connection.close()
        for _ in range(5):
            assert look_at_link(reference_to(pooler.url), 2).pooling is Pooling.TRANSACTION


def test_statement_mode_is_refused(database: Database, exports: Path, look: Look, run: CommandLine) -> None:
    """It takes no transactions, and everything here is one; nothing is written."""
    before = everything_in(database)
    with PgBouncer(database.url, "statement") as pooler:
        assert [found.name for found in look(url=pooler.url) if found.verdict == "fail"] == ["pooler_in_statement_mode"]
        finished = run("migrate", "--export", exports, "--output", run.output, DATABASE_URL=pooler.url)

    assert finished.exit_code == 2, finished.output
    assert finished.stderr.count("\n  - ") == 1
    assert "statement mode" in finished.stderr
    assert everything_in(database) == before


@pytest.mark.parametrize(("workers", "is_enough"), [(2, True), (3, False)])
def test_a_pool_in_session_mode_must_have_a_server_for_each_connection(
    database: Database, look: Look, monkeypatch: pytest.MonkeyPatch, workers: int, is_enough: bool
) -> None:
    """Three servers: enough for two workers and the display, not for three. It is tried, for no SQL tells it."""
    monkeypatch.setattr(connection_module, "_LINK_TIMEOUT", 30.0 if is_enough else 2.0)
    with PgBouncer(database.url, "session", pool_size=3) as pooler:
        problems = look.of("too_few_connections", url=pooler.url, workers=workers)

    assert [finding.verdict for finding in problems] == ["fail"] * (not is_enough)
    assert all("gave 3 connections at once, but the run opens 4" in finding.detail for finding in problems)


def test_a_pool_in_transaction_mode_is_shared(database: Database, look: Look) -> None:
    """Fewer servers than connections are slower, but enough."""
    with PgBouncer(database.url, "transaction", pool_size=2) as pooler:
        assert look.of("too_few_connections", url=pooler.url, workers=6) == []


def test_a_pool_that_is_used_up_is_not_waited_for(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """PgBouncer would let us wait for two minutes, and say nothing."""
    monkeypatch.setattr(connection_module, "_LINK_TIMEOUT", 1.0)
    with PgBouncer(database.url, "transaction", pool_size=1) as pooler:
        held = hold(pooler.url)
        with pytest.raises(Refused, match="no answer within 1 seconds"):
            look_at_link(reference_to(pooler.url), 2)
        held.close()


def test_a_pooler_whose_server_is_gone_is_not_reachable(look: Look, database: Database) -> None:
    """It takes the connection, and only then finds nobody."""
    with PgBouncer(make_dsn(database.url, port=1), "session") as pooler:
        [finding] = [finding for finding in look(url=pooler.url) if finding.verdict == "fail"]

    assert finding.name == "not_reachable"


# -- a migration through it ----------------------------------------------------------------------------------------------------------------


@MODES
def test_a_migration_works_through_a_pooler(database: Database, tmp_path: Path, mode: str) -> None:
    """With two workers and conflicts that are isolated through temp tables; run again, compared, and taken back."""
    write_sample_exports(tmp_path / "export", items=600, seed=21, faulty=0.2, odd=0.2, items_per_file=150)
    with PgBouncer(database.url, mode, pool_size=3) as pooler:
        run = CommandLine(pooler.url, tmp_path, is_plain=True)
        finished = run.migrate(tmp_path / "export", "--chunk_items=50", "--direct_num_workers=2")
        assert finished.exit_code == 3, finished.output
        assert_equals_truth(tmp_path / "export", database, run.run_folders[0])
        again = run.migrate(tmp_path / "export")
        assert again.exit_code == 3, again.output
        assert_equals_truth(tmp_path / "export", database, run.run_folders[1])
        assert run("preflight", "--export", tmp_path / "export", "--output", run.output).exit_code == 0

        planted = plant(database)
        compared = run.validate(tmp_path / "export", "--direct_num_workers=2")
        assert compared.exit_code == 3, compared.output
        assert found_in(run.run_folders[-1] / "mismatches") == {"planted": planted, "others": {}}

        taken_back = run.roll_back(tmp_path / "export", "--yes", "--direct_num_workers=2")
        assert taken_back.exit_code == 3, taken_back.output
        for target, changed in planted.different.items():
            left = {row[0] for row in database.query(f"SELECT id::text FROM {target}")}
            assert left == changed.keys() | planted.added[target]


def test_nothing_of_a_migration_stays_in_a_pooled_session(database: Database, tmp_path: Path) -> None:
    """In transaction mode nobody cleans a server's session up before the application gets it."""
    write_sample_exports(tmp_path / "export", items=300, seed=22, faulty=0.3, odd=0)
    question = (
        "SELECT current_setting('statement_timeout'), current_setting('lock_timeout'), current_setting('TimeZone'), "
        "current_setting('transaction_read_only'), (SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()), "
        "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'), (SELECT count(*) FROM pg_prepared_statements)"
    )
    with PgBouncer(database.url, "transaction", pool_size=1) as pooler:
        before = Database(pooler.url).query(question)
        finished = CommandLine(pooler.url, tmp_path).migrate(tmp_path / "export", "--chunk_items=50")
        assert finished.exit_code == 3, finished.output
        assert Database(pooler.url).query(question) == before


# -- TLS -----------------------------------------------------------------------------------------------------------------------------------


def code_of(link: Link) -> str:
    return next(iter(link_findings(link))).name


def test_tls_is_known_and_whether_anybody_checks_the_certificate(database: Database) -> None:
    """`require` encrypts, but to whom nobody knows; on this machine nobody listens in."""
    with PgBouncer(database.url, "session", with_tls=True) as pooler:
        encrypted = look_at_link(reference_to(make_dsn(pooler.url, sslmode="require")), 1)
        verified_url = make_dsn(pooler.url, sslmode="verify-full", sslrootcert=pooler.certificate)
        verified = look_at_link(reference_to(verified_url), 1)
        with pytest.raises(psycopg2.OperationalError):
            psycopg2.connect(make_dsn(pooler.url, sslmode="disable"))

    assert str(encrypted.tls).startswith("TLSv1")
    assert code_of(encrypted) == "tls"
    assert code_of(replace(encrypted, host="db.example.com")) == "tls_not_verified"
    assert code_of(replace(verified, host="db.example.com")) == "tls"


def test_no_tls_is_a_warning_unless_the_server_is_on_this_machine(database: Database) -> None:
    """By the host that libpq connected to."""
    with PgBouncer(database.url, "session") as pooler:
        link = look_at_link(reference_to(pooler.url), 1)

    assert link.tls is None
    assert code_of(link) == "tls"
    for host in ("db.example.com", "10.0.0.5", "2001:db8::1"):
        [warning] = [finding for finding in link_findings(replace(link, host=host)) if finding.verdict == "warning"]
        assert warning.name == "no_tls"
        assert host in warning.detail
    for host in ("/var/run/postgresql", "localhost", "127.0.0.1", "::1"):
        assert code_of(replace(link, host=host)) == "tls"
