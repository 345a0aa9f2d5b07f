"""A PgBouncer before a test's server, in the mode that a test wants: the stand-in for Supabase's pooler."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Self

import psycopg2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from psycopg2.extensions import make_dsn, parse_dsn

from tests.postgres_server import free_port

_SECONDS_TO_START = 300


class PgBouncer:
    """A pooler of its own on a free port of 127.0.0.1, gone at the end; `url` is that of the same database through it."""

    def __init__(self, url: str, mode: str, *, pool_size: int = 10, with_tls: bool = False) -> None:
        self._server = parse_dsn(url)
        self._folder = Path(tempfile.mkdtemp(prefix="ddb2pg-pgbouncer-"))
        self._folder.chmod(0o755)
        self._port = free_port()
        self.certificate = self._folder / "certificate.pem"
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": self._port,
            "unix_socket_dir": "",
            "auth_type": "any",
            "pool_mode": mode,
            "default_pool_size": pool_size,
        }
        if with_tls:
            _make_certificate(self._folder)
            settings |= {
                "client_tls_sslmode": "require",
                "client_tls_key_file": self._folder / "key.pem",
                "client_tls_cert_file": self.certificate,
            }
        lines = [f"{name} = {value}" for name, value in settings.items()]
        server = f"* = host={self._server['host']} port={self._server.get('port', '5432')} user={self._server['user']}"
        (self._folder / "pgbouncer.ini").write_text("\n".join(["[databases]", server, "[pgbouncer]", *lines, ""]))
        self.url = make_dsn(host="127.0.0.1", port=self._port, user=self._server["user"], dbname=self._server["dbname"])

    def __enter__(self) -> Self:
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [*self._as_whom(), _program(), str(self._folder / "pgbouncer.ini")], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        end = time.monotonic() + _SECONDS_TO_START
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "log").read_text()
            assert time.monotonic() < end, "PgBouncer does not start"
            time.sleep(0.02)  # between two looks, not for a state
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(timeout=300)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _as_whom(self) -> list[str]:
        """PgBouncer refuses to run as root; whom the server's socket belongs to can enter its folder."""
        if os.getuid() != 0:
            return []
        return ["runuser", "-u", Path(self._server["host"]).owner(), "--"]

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=5):
            return True
        return False


def hold(url: str) -> psycopg2.extensions.connection:
    """A connection in a transaction, which keeps a server's process in every mode."""
    connection = psycopg2.connect(url)
    connection.cursor().execute("SELECT 1")
    return connection


def _program() -> str:
    found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    assert found, "PgBouncer is not installed: apt-get install pgbouncer, as ./run_tests.sh does where it is root"
    return found


def _make_certificate(folder: Path) -> None:
    """For 127.0.0.1, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    unencrypted = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, unencrypted)
    (folder / "key.pem").write_bytes(pem)
    for path in folder.glob("*.pem"):
        path.chmod(0o644)
