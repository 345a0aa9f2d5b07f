"""TLS to a real PostgreSQL: required of other machines, and a certificate that is not right is refused with what to do."""

from __future__ import annotations

import itertools
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import make_dsn

from pipeline.errors import Stopped
from pipeline.target.connection import look_at_link, why_not_connected
from pipeline.target.database_url import tls_parameters
from pipeline.target.session import Session
from sample_export import write_sample_exports
from tests.faults.jobs import Job
from tests.pipeline.target.made_loads import reference_to
from tests.postgres_server import Database
from tests.tls_server import HOST, NOT_LOOPBACK, TlsServer

PASSWORD = "t0psecret"
REQUIRE = {"sslmode": "require"}
_NUMBERS = itertools.count(1)


@pytest.fixture
def secured(tls_server: TlsServer) -> Database:
    """A database of its own, as its URL without any word of TLS has it."""
    name = f"secured_{next(_NUMBERS)}"
    tls_server.new_database(name, PASSWORD)
    return Database(f"postgresql://{name}:{PASSWORD}@{NOT_LOOPBACK}:{tls_server.port}/{name}")


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of whoever runs the tests."""
    for name in ("PGSSLMODE", "PGSSLROOTCERT", "PGSERVICE", "PGHOST", "PGHOSTADDR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.parametrize(
    ("url", "environment", "given"),
    [
        ("postgresql://u@db.example.com/d", {}, REQUIRE),
        ("host=10.0.0.5 dbname=d", {}, REQUIRE),
        ("postgresql://u@[2001:db8::1]/d", {}, REQUIRE),
        ("postgresql://u@localhost,db.example.com/d", {}, REQUIRE),
        ("dbname=d", {"PGHOST": "db.example.com"}, REQUIRE),
        ("postgresql://u@localhost/d?hostaddr=10.0.0.5", {}, REQUIRE),
        ("postgresql://u@db.example.com/d?sslrootcert=/root.pem", {}, REQUIRE),
        # Nothing is weakened, and who writes it means it.
        ("postgresql://u@db.example.com/d?sslmode=verify-full", {}, {}),
        ("postgresql://u@db.example.com/d?sslmode=disable", {}, {}),
        ("postgresql://u@db.example.com/d", {"PGSSLMODE": "verify-ca"}, {}),
        ("postgresql://u@db.example.com/d?sslrootcert=system", {}, {}),
        ("postgresql://u@db.example.com/d?service=s", {}, {}),
        # This machine.
        ("dbname=d", {}, {}),
        ("host=/var/run/postgresql", {}, {}),
        ("postgresql://u@127.0.0.5/d", {}, {}),
        ("postgresql://u@localhost/d", {}, {}),
        ("postgresql://u@[::1]/d", {}, {}),
        ("postgresql://u@db.example.com/d?hostaddr=127.0.0.1", {}, {}),
        ("no url", {}, {}),
    ],
)
def test_another_machine_must_encrypt_unless_the_user_said_otherwise(
    url: str, environment: dict[str, str], given: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the place that libpq connects to."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert tls_parameters(url) == given


def test_a_server_without_tls_is_refused_where_it_is_another_machine(tls_server: TlsServer, secured: Database) -> None:
    """By itself libpq would send the password, and then patient data, in the clear."""
    assert look_at_link(reference_to(secured.url), 1).tls is not None
    tls_server.use_certificate(with_tls=False)

    psycopg2.connect(secured.url).close()
    assert f"the server {NOT_LOOPBACK} takes no TLS" in str(why_not_connected(reference_to(secured.url)))
    assert why_not_connected(reference_to(secured.url + "?sslmode=disable")) is None
    assert why_not_connected(reference_to(secured.url.replace(NOT_LOOPBACK, "127.0.0.1"))) is None


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tls") / "export"
    write_sample_exports(root, items=20, faulty=0, odd=0, tables=["medzen-soap-notes"])
    return root


def test_only_the_right_certificate_is_loaded_through(
    tls_server: TlsServer, secured: Database, export: Path, job: Job, tmp_path: Path
) -> None:
    """Each wrong one is refused before anything is written, by a sentence of its own."""
    everything = tls_server.as_superuser(secured.url.rpartition("/")[2])

    def given(**parameters: object) -> str:
        return make_dsn(
            secured.url,
            **{"host": HOST, "hostaddr": "127.0.0.1", "sslmode": "verify-full", "sslrootcert": tls_server.root_file} | parameters,
        )

    def assert_refused(url: str, words: str) -> None:
        assert job.migrate(url, export) == 2, job.stdout
        assert words in job.stderr
        assert job.stderr.count("\n  - ") == 1
        assert PASSWORD not in job.stdout + job.stderr
        assert everything.value("SELECT to_regnamespace('ddb2pg')") is None
        assert not job.output.exists()

    assert_refused(given(sslrootcert=tls_server.other_root_file), f"the server {HOST} is not signed by the CA in sslrootcert")
    assert_refused(given(host="other.example.com"), "the server's certificate is not for other.example.com")
    assert_refused(given(sslrootcert=tmp_path / "none.pem"), f"sslrootcert={tmp_path}/none.pem, cannot be read here")
    tls_server.use_certificate(days=(-10, -1))
    assert_refused(given(), f"the certificate of the server {HOST} has expired")
    tls_server.use_certificate(days=(1, 2))
    assert_refused(given(), f"the certificate of the server {HOST} is not valid yet")

    tls_server.use_certificate()
    assert job.migrate(given(), export) == 0, job.stderr
    assert everything.value("SELECT count(*) FROM clinical_notes") == 20


def test_a_certificate_that_expires_in_the_middle_stops_with_its_sentence(tls_server: TlsServer, secured: Database) -> None:
    """At the next connection; what is committed stays."""
    url = f"{secured.url}?sslmode=verify-ca&sslrootcert={tls_server.root_file}"
    with Session(reference_to(url)) as session:
        assert session.transact(lambda cursor: cursor.execute("SELECT 1")) is None
        session.close()
        tls_server.use_certificate(days=(-10, -1))
        with pytest.raises(Stopped, match="has expired"):
            session.transact(lambda cursor: cursor.execute("SELECT 1"))
