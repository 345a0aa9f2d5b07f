"""A PostgreSQL with TLS and passwords, of the system's packages: the one that comes with pip was built without OpenSSL."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from psycopg2.extensions import make_dsn

from pipeline.sql import read_sql
from tests.postgres_server import Database, free_port

HOST: Final = "db.example.com"
"""The name in the certificate."""
NOT_LOOPBACK: Final = "0.0.0.0"  # noqa: S104 - connected to, not listened at
"""Linux connects to this machine, though it is no address of loopback; the certificate is for it, too."""

_SETTINGS: Final = "fsync = off\nssl_cert_file = 'server.pem'\nssl_key_file = 'server.key'\nlisten_addresses = '127.0.0.1'\n"
_ACCESS: Final = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"


class Authority:
    """A CA, and the certificates that it signs."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        self._certificate = (
            x509.CertificateBuilder(self._name, self._name, self._key.public_key(), 1, now - timedelta(days=20), now + timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    @property
    def pem(self) -> bytes:
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def sign(self, days: tuple[int, int]) -> tuple[bytes, bytes]:
        """Key and certificate of a server, valid between so many days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        names = [x509.DNSName(HOST), *(x509.IPAddress(ip_address(address)) for address in ("127.0.0.1", NOT_LOOPBACK))]
        certificate = (
            x509.CertificateBuilder(
                self._name, x509.Name([]), key.public_key(), 2, now + timedelta(days=days[0]), now + timedelta(days=days[1])
            )
            .add_extension(x509.SubjectAlternativeName(names), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return pem, certificate.public_bytes(serialization.Encoding.PEM)


class TlsServer:
    """On a free port of 127.0.0.1; who comes over TCP needs the password of a role."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ddb2pg-tls-"))
        self.folder.chmod(0o755)
        self._data = self.folder / "data"
        self._data.mkdir(mode=0o700)
        if os.getuid() == 0:
            shutil.chown(self._data, "postgres")
            shutil.chown(self.folder, "postgres")
        self._call("initdb", "--auth=trust", "--no-sync", "--username=postgres", "--encoding=UTF8", "--no-locale")
        with (self._data / "postgresql.conf").open("a") as settings:
            settings.write(_SETTINGS)
        (self._data / "pg_hba.conf").write_text(_ACCESS)
        self.authority = Authority("the provider's CA")
        self.root_file = self._write_root("root.pem", self.authority)
        self.other_root_file = self._write_root("other.pem", Authority("another CA"))
        self.port = free_port()
        self._has_started = False

    def __enter__(self) -> Self:
        self.use_certificate()
        options = f"-p {self.port} -k {self.folder}"
        self._call("pg_ctl", "-w", "-t", "120", "-l", str(self._data / "log"), "-o", options, "start")
        self._has_started = True
        return self

    def __exit__(self, *_: object) -> None:
        self._call("pg_ctl", "-w", "-m", "immediate", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def use_certificate(self, days: tuple[int, int] = (-10, 1), *, with_tls: bool = True) -> None:
        """From the next connection on."""
        for name, content in zip(("server.key", "server.pem"), self.authority.sign(days), strict=True):
            path = self._data / name
            path.write_bytes(content)
            path.chmod(0o600)
            if os.getuid() == 0:
                shutil.chown(path, "postgres")
        with (self._data / "postgresql.conf").open("a") as settings:
            settings.write(f"ssl = {'on' if with_tls else 'off'}\n")
        if self._has_started:
            before = self._loaded_at()
            self.as_superuser("postgres").execute("SELECT pg_reload_conf()")
            # The postmaster reads it when it comes to it, and hands it on to who connects from then on.
            while self._loaded_at() == before:
                pass

    def _loaded_at(self) -> object:
        return self.as_superuser("postgres").value("SELECT pg_conf_load_time()")

    def as_superuser(self, database: str) -> Database:
        """Past TLS and passwords."""
        return Database(make_dsn(host=str(self.folder), port=self.port, user="postgres", dbname=database))

    def new_database(self, name: str, password: str) -> Database:
        """Of a role of the same name, with the three tables."""
        superuser = self.as_superuser("postgres")
        superuser.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
        superuser.execute(f"CREATE DATABASE {name} OWNER {name}")
        Database(make_dsn(self.as_superuser(name).url, user=name)).execute(read_sql("schema.sql"))
        return self.as_superuser(name)

    def _write_root(self, name: str, authority: Authority) -> Path:
        path = self.folder / name
        path.write_bytes(authority.pem)
        return path

    def _call(self, program: str, *arguments: str) -> None:
        as_whom = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        subprocess.run([*as_whom, str(_programs() / program), "-D", str(self._data), *arguments], check=True, stdout=subprocess.DEVNULL)


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda path: int(path.parts[-3]))
    assert found, "PostgreSQL is not installed: apt-get install postgresql, as ./run_tests.sh does where it is root"
    return found[-1].parent
