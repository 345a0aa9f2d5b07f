"""A PostgreSQL that crashes, ends connections, has none left, locks, limits, and becomes read-only or full in the midst of a load."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from pipeline.target import session as session_module
from sample_export import write_sample_exports
from tests.faults.conclusion import Conclude
from tests.faults.jobs import Job, chunks, meanwhile, wait_until
from tests.postgres_server import Database, Server
from transforms.tables.medzen import MEETING_AUDIT

TARGET = MEETING_AUDIT.target
# Each chunk takes so long that something can happen meanwhile.
SLOW = (
    "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END'; "
    f"CREATE TRIGGER slow BEFORE INSERT ON {TARGET} FOR EACH STATEMENT EXECUTE FUNCTION slow()"
)


@pytest.fixture(scope="module")
def fragile_server() -> Iterator[Server]:
    """One of our own, to be crashed, with few connections."""
    server = Server()
    Database(server.url("postgres")).execute("ALTER SYSTEM SET max_connections = 14")
    server.crash_and_restart()
    yield server
    server.stop()


@pytest.fixture
def fragile(fragile_server: Server) -> Database:
    return fragile_server.new_database()


def _is_accepting(database: Database) -> bool:
    try:
        database.value("SELECT 1")
    except psycopg2.OperationalError:
        return False
    return True


def test_what_was_told_is_there_after_a_crash(
    fragile_server: Server, fragile: Database, job: Job, tmp_path: Path, conclude: Conclude
) -> None:
    """The database acknowledges commits before they are flushed, and the server takes its time over that; what a load told is durable."""
    write_sample_exports(tmp_path / "export", items=200, seed=5, faulty=0, odd=0, tables=[MEETING_AUDIT.source])
    fragile.execute(f"ALTER DATABASE {fragile.value('SELECT current_database()')} SET synchronous_commit = off")
    for setting in ("wal_writer_delay = '10s'", "wal_writer_flush_after = '1GB'"):
        fragile.execute(f"ALTER SYSTEM SET {setting}")
    fragile.execute("SELECT pg_reload_conf()")

    # No comparison: its temporary tables would flush the log by the way.
    exit_code = job.migrate(fragile.url, tmp_path / "export", "--chunk_items=50", "--validate=none")
    fragile_server.crash_and_restart()

    assert exit_code == 0, job.stderr
    assert fragile.value(f"SELECT count(*) FROM {TARGET}") == 200
    assert fragile.value("SELECT count(*) FROM ddb2pg.load WHERE finished_at IS NOT NULL") == 1
    conclude("immediate shutdown after the end, synchronous_commit = off", 1, tmp_path / "export", fragile, job.last_run, job.printed)
    for setting in ("wal_writer_delay", "wal_writer_flush_after"):
        fragile.execute(f"ALTER SYSTEM RESET {setting}")
    fragile.execute("SELECT pg_reload_conf()")


@pytest.mark.parametrize("crashes", [3, pytest.param(20, marks=pytest.mark.soak)])
def test_a_server_that_crashes_and_comes_back_is_waited_for(
    fragile_server: Server, fragile: Database, audit_export: Path, job: Job, conclude: Conclude, crashes: int
) -> None:
    """Immediate shutdowns between two chunks or in the middle of one, each with recovery: no run ends, and the end is the truth."""
    crashed = 0
    chance = random.Random(crashes)

    def crash(is_over: threading.Event) -> None:
        nonlocal crashed
        for _ in range(crashes):
            until = chunks(fragile) + chance.randint(1, 80 // crashes)
            wait_until(lambda until=until: chunks(fragile) >= until or is_over.is_set())
            if is_over.is_set():
                return
            fragile_server.crash_and_restart()
            crashed += 1

    with meanwhile(crash):
        exit_code = job.migrate(fragile.url, audit_export, "--chunk_items=5")

    assert exit_code == 3, job.stderr
    assert crashed >= crashes * 2 // 3
    conclude("immediate shutdown, recovery, restart", crashed, audit_export, fragile, job.last_run, job.printed)


@pytest.mark.parametrize("items", [5, pytest.param(1, marks=pytest.mark.soak)])
def test_connections_that_are_ended_at_random_are_made_again(
    database: Database, audit_export: Path, job: Job, conclude: Conclude, items: int
) -> None:
    """`pg_terminate_backend` on whatever of ours is there, again and again."""
    ended = 0

    def end(is_over: threading.Event) -> None:
        nonlocal ended
        # Only after some progress: who is ended again and again comes to nothing, and rightly.
        for until in itertools.count(1, 5):
            wait_until(lambda until=until: chunks(database) >= until or is_over.is_set())
            if is_over.is_set():
                return
            ended += int(
                database.value(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                    "WHERE application_name = 'ddb2pg' AND datname = current_database()"
                )
            )

    with meanwhile(end):
        exit_code = job.migrate(database.url, audit_export, f"--chunk_items={items}")

    assert exit_code == 3, job.stderr
    assert ended >= 1
    conclude("connection ended by pg_terminate_backend", ended, audit_export, database, job.last_run, job.printed)


def _take_all(url: str) -> list[Any]:
    """Every connection that the server has left."""
    taken = []
    while True:
        try:
            taken.append(psycopg2.connect(url))
        except psycopg2.OperationalError:
            return taken


def test_no_connection_left_is_waited_for(
    fragile_server: Server, fragile: Database, audit_export: Path, job: Job, conclude: Conclude
) -> None:
    """Others take every connection, ours is ended, and for a role that is no superuser there is none until they leave."""
    role = _loading_role(fragile, "crowded")
    hit = "remaining connection slots are reserved"
    refused = 0

    def take(is_over: threading.Event) -> None:
        nonlocal refused
        wait_until(lambda: chunks(fragile) > 5)
        cursor = fragile.connect().cursor()
        taken = _take_all(fragile.url)
        cursor.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'ddb2pg'")
        wait_until(lambda: fragile_server.log.count(hit) > 0 or is_over.is_set())
        refused = fragile_server.log.count(hit)
        for connection in taken:
            connection.close()

    with meanwhile(take):
        exit_code = job.migrate(fragile.url.replace("user=postgres", f"user={role}"), audit_export, "--chunk_items=2")

    assert exit_code == 3, job.stderr
    conclude("connection refused, max_connections being reached", refused, audit_export, fragile, job.last_run, job.printed)


def _loading_role(database: Database, name: str) -> str:
    """A role that may do what a load needs and no more."""
    name_of_database = database.value("SELECT current_database()")
    role = f"{name}_{name_of_database}"
    database.execute(f"CREATE ROLE {role} LOGIN; GRANT CREATE ON DATABASE {name_of_database} TO {role}")
    database.execute(f"GRANT SELECT, INSERT ON {TARGET} TO {role}")
    return role


def _waiting_for(database: Database, pid: int) -> bool:
    return bool(database.value("SELECT count(*) FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))", pid))


def test_a_lock_is_waited_for_and_a_deadlock_is_tried_again(database: Database, audit_export: Path, job: Job, conclude: Conclude) -> None:
    """Another session locks the target, then wants what the chunk that waits for it has: the chunk is the victim, and comes again."""
    name = database.value("SELECT current_database()")
    # The other one never looks for deadlocks in time, so ours is always the victim; it has time to get into one.
    database.execute(f"ALTER DATABASE {name} SET deadlock_timeout = '2s'")
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"

    def lock(is_over: threading.Event) -> None:
        wait_until(lambda: chunks(database) > 3)
        other = database.connect()
        other.autocommit = False
        with other.cursor() as cursor:
            cursor.execute("SET deadlock_timeout = '1h'")
            cursor.execute(f"LOCK TABLE {TARGET} IN ACCESS EXCLUSIVE MODE")
            wait_until(lambda: _waiting_for(database, other.get_backend_pid()) or is_over.is_set())
            cursor.execute("LOCK TABLE ddb2pg.chunk IN ACCESS EXCLUSIVE MODE")
        other.rollback()
        other.close()

    with meanwhile(lock):
        exit_code = job.migrate(database.url, audit_export, "--chunk_items=5")

    assert exit_code == 3, job.stderr
    wait_until(lambda: database.value(deadlocks) == 1)
    conclude("deadlock of which a chunk is the victim", 1, audit_export, database, job.last_run, job.printed)


def test_time_limits_of_the_role_are_not_ours(database: Database, audit_export: Path, job: Job, conclude: Conclude) -> None:
    """A role that may take a tenth of a second for a statement loads chunks that take longer."""
    role = _loading_role(database, "hurried")
    database.execute(f"ALTER ROLE {role} SET statement_timeout = '100ms'; ALTER ROLE {role} SET lock_timeout = '1ms'")
    database.execute(f"ALTER ROLE {role} SET TimeZone = 'Asia/Tokyo'; ALTER ROLE {role} SET DateStyle = 'German'")
    database.execute(SLOW.format(seconds=0.2))

    exit_code = job.migrate(database.url.replace("user=postgres", f"user={role}"), audit_export, "--chunk_items=150")

    assert exit_code == 3, job.stderr
    conclude("time limit of the role that a chunk exceeds", chunks(database), audit_export, database, job.last_run, job.printed)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own time limits, in minutes otherwise, are fractions of a second."""
    settings = session_module._SETTINGS
    for usual, short in (
        ("statement_timeout = '5min'", "statement_timeout = '500ms'"),
        ("lock_timeout = '1min'", "lock_timeout = '100ms'"),
    ):
        assert usual in settings
        settings = settings.replace(usual, short)
    monkeypatch.setattr(session_module, "_SETTINGS", settings)


@pytest.mark.usefixtures("impatient")
def test_a_statement_that_takes_too_long_is_tried_again(
    server: Server, database: Database, audit_export: Path, job: Job, conclude: Conclude
) -> None:
    """The first three COPYs hang on the server; our time limit ends each."""
    hit = "canceling statement due to statement timeout"
    before = server.log.count(hit)
    database.execute(
        "CREATE SEQUENCE hanging; CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN IF nextval(''hanging'') <= 3 THEN PERFORM pg_sleep(600); END IF; RETURN NULL; END'; "
        f"CREATE TRIGGER hang BEFORE INSERT ON {TARGET} FOR EACH STATEMENT EXECUTE FUNCTION hang()"
    )

    exit_code = job.migrate(database.url, audit_export, "--chunk_items=50")

    assert exit_code == 3, job.stderr
    assert server.log.count(hit) - before >= 3
    conclude("statement timeout hit", server.log.count(hit) - before, audit_export, database, job.last_run, job.printed)


@pytest.mark.usefixtures("impatient")
def test_a_lock_that_is_not_given_in_time_is_asked_for_again(
    server: Server, database: Database, audit_export: Path, job: Job, conclude: Conclude
) -> None:
    """Another session keeps the target until our time limit was hit three times."""
    hit = "canceling statement due to lock timeout"
    before = server.log.count(hit)

    def lock(is_over: threading.Event) -> None:
        wait_until(lambda: chunks(database) > 1)
        other = database.connect()
        other.autocommit = False
        other.cursor().execute(f"LOCK TABLE {TARGET} IN ACCESS EXCLUSIVE MODE")
        wait_until(lambda: server.log.count(hit) - before >= 3 or is_over.is_set())
        other.close()

    with meanwhile(lock):
        exit_code = job.migrate(database.url, audit_export, "--chunk_items=5")

    assert exit_code == 3, job.stderr
    assert server.log.count(hit) - before >= 3
    conclude("lock held by another session, lock timeout hit", 3, audit_export, database, job.last_run, job.printed)


@pytest.mark.parametrize("how", ["ALTER SYSTEM", "ALTER DATABASE {database}"])
def test_a_database_that_becomes_read_only_stops_the_load(
    database: Database, audit_export: Path, job: Job, conclude: Conclude, how: str
) -> None:
    """As Supabase does with a full disk. Nothing more is written, the sentence says why; writable again, the same command goes on."""
    how = how.format(database=database.value("SELECT current_database()"))
    rows_then = -1

    def make_read_only(_: threading.Event) -> None:
        nonlocal rows_then
        wait_until(lambda: chunks(database) > 5)
        connection = database.connect()
        with connection.cursor() as cursor:
            for statement in (f"{how} SET default_transaction_read_only = on", "SELECT pg_reload_conf()"):
                cursor.execute(statement)
            cursor.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'ddb2pg'")
            cursor.execute(f"SELECT count(*) FROM {TARGET}")
            rows_then = cursor.fetchone()[0]
        connection.close()

    try:
        with meanwhile(make_read_only):
            exit_code = job.migrate(database.url, audit_export, "--chunk_items=5")
        assert exit_code == 1, job.stdout
        assert "the database is read-only (25006)" in job.stderr
        assert "run the same command again" in job.stderr
        assert database.value(f"SELECT count(*) FROM {TARGET}") <= rows_then + 5
    finally:
        for statement in ("SET default_transaction_read_only = off", f"{how} RESET default_transaction_read_only"):
            connection = database.connect()
            connection.set_session(readonly=False, autocommit=True)
            connection.cursor().execute(statement)
            connection.close()
        database.value("SELECT pg_reload_conf()")
    wait_until(lambda: database.value("SHOW default_transaction_read_only") == "off")
    assert job.migrate(database.url, audit_export, "--chunk_items=5") == 3, job.stderr
    conclude("read-only in the middle", 1, audit_export, database, job.last_run, job.printed)


@pytest.fixture
def small_disk(database: Database) -> Iterator[Path]:
    """Where the server can write, and not much."""
    folder = Path(tempfile.mkdtemp(prefix="ddb2pg-disk-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", folder], check=False, capture_output=True)
    if not os.path.ismount(folder):
        shutil.rmtree(folder)
        pytest.skip("this machine lets nobody mount a small disk")
    owner = Path(database.value("SHOW data_directory")).stat()
    os.chown(folder, owner.st_uid, owner.st_gid)
    yield folder
    database.execute(f"DROP TABLE IF EXISTS {TARGET}")
    database.execute("DROP TABLESPACE IF EXISTS small_disk")
    subprocess.run(["umount", folder], check=True)
    folder.rmdir()


def test_a_full_disk_stops_the_load_and_a_larger_one_lets_it_go_on(
    database: Database, audit_export: Path, job: Job, conclude: Conclude, small_disk: Path
) -> None:
    """The target lies in a tablespace that gets full: what is committed stays, and the rest comes when there is room."""
    database.execute(f"CREATE TABLESPACE small_disk LOCATION '{small_disk}'")
    database.execute(f"ALTER TABLE {TARGET} SET TABLESPACE small_disk")

    exit_code = job.migrate(database.url, audit_export, "--chunk_items=5")

    assert exit_code == 1, job.stdout
    assert "disk is full (53100)" in job.stderr
    assert 0 < chunks(database) < 90
    assert database.value(f"SELECT count(*) FROM {TARGET}") == database.value("SELECT sum(rows) FROM ddb2pg.chunk")
    subprocess.run(["mount", "-o", "remount,size=50m", small_disk], check=True)
    assert job.migrate(database.url, audit_export, "--chunk_items=5") == 3, job.stderr
    conclude("disk full in the middle", 1, audit_export, database, job.last_run, job.printed)
