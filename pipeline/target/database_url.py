"""The database: the job holds a reference; the URL itself is in no job and no message.

Beam pickles what a step holds, logs options, and stores both on a remote runner. So a step holds `env:DATABASE_URL`, and the worker looks
the URL up.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import psycopg2
import psycopg2.extensions

from pipeline.errors import Refused
from pipeline.places import secrets

GIVEN: Final = "DDB2PG_DATABASE_URL"
"""Where `--database URL` is kept, so that workers on this machine inherit it."""

# Beside the references, not in them: this is of one process, and nothing pickles it.
_LOOKED_UP: Final[dict[DatabaseReference, str]] = {}


@dataclass(frozen=True, slots=True)
class DatabaseReference:
    """A reference as `pipeline/places/secrets.py` knows them; the region is for an AWS secret that is given by its name."""

    text: str
    aws_region: str | None = None

    def url(self) -> str:
        """The URL, or libpq's `host=... password=...`, looked up where this runs; of a service it is asked once. Raises `Refused`."""
        if not secrets.is_of_a_service(self.text):
            return self._look_up()
        if self not in _LOOKED_UP:
            _LOOKED_UP[self] = self._look_up()
        return _LOOKED_UP[self]

    def changed_url(self, url: str) -> str | None:
        """The current URL if it is no longer `url`, because secrets are rotated. None also where it cannot be looked up."""
        try:
            changed = self._look_up()
        except Refused:
            return None
        if secrets.is_of_a_service(self.text):
            _LOOKED_UP[self] = changed
        return changed if changed != url else None

    def _look_up(self) -> str:
        text = secrets.look_up(self.text, self.aws_region).strip()
        return _connection_string(text, self.text) if text.startswith("{") else text


def keep_given_url(url: str) -> DatabaseReference:
    """The reference to a URL that was given on the command line."""
    os.environ[GIVEN] = url
    return DatabaseReference(f"env:{GIVEN}")


# -- JSON, as RDS has it -------------------------------------------------------------------------------------------------------------------

# https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html, and what it has no names for.
_PARAMETERS: Final = {
    **{name: name for name in ("host", "port", "password", "dbname", "sslmode", "sslrootcert")},
    "username": "user",
}
_OPTIONAL: Final = ("port", "sslmode", "sslrootcert")


def _connection_string(text: str, reference: str) -> str:
    """The URL of a secret in JSON. If members are missing, the message has their names, never a value."""
    try:
        secret: Any = orjson.loads(text)
    except orjson.JSONDecodeError:
        message = f"the secret {reference} begins as JSON, but is not; put the database's URL into it, or JSON as RDS has it"
        raise Refused([message]) from None
    given = {name: value for name, value in secret.items() if isinstance(value, str | int) and value != ""}
    missing = [name for name in _PARAMETERS if name not in (*given, *_OPTIONAL)]
    if missing:
        message = (
            f"the secret {reference} is JSON without {', '.join(missing)}; it needs host, username, password and dbname "
            "(port, sslmode and sslrootcert if you like), or put the database's URL into it"
        )
        raise Refused([message])
    return str(psycopg2.extensions.make_dsn(**{_PARAMETERS[name]: str(given[name]) for name in _PARAMETERS if name in given}))


# -- what libpq says -----------------------------------------------------------------------------------------------------------------------


def safe_words(error: Exception, url: str) -> str:
    """What libpq says about a connection that failed, without the password.

    If signs in a URL are not encoded, libpq reads parts of the password as host or port and quotes them: its message is hidden.
    """
    try:
        parameters = psycopg2.extensions.parse_dsn(url)
    except psycopg2.Error:
        return _unknown_parameters(url) or _BROKEN_URL
    if url.startswith(("postgresql://", "postgres://")) and _PLAIN_URL.fullmatch(url) is None:
        return _BROKEN_URL
    message = " ".join(str(error).split())
    password = parameters.get("password")
    return message.replace(password, "***") if password else message


def _unknown_parameters(url: str) -> str | None:
    """The sentence for a URL that is sound but for parameters of other programs, as dashboards give it; values stay unsaid."""
    if _PLAIN_URL.fullmatch(url) is None:
        return None
    names = [name for name in re.findall(r"[?&]([A-Za-z_][A-Za-z0-9_.]*)=", url) if not _is_known(name)]
    if not names:
        return None
    s, them = ("s", "them") if len(names) > 1 else ("", "it")
    return (
        f"its URL has the parameter{s} {', '.join(names)}, which PostgreSQL's own library (libpq) does not know: for other programs; leave "
        f"{them} out"
    )


def _is_known(name: str) -> bool:
    try:
        psycopg2.extensions.parse_dsn(f"postgresql://?{name}=")
    except psycopg2.Error:
        return False
    return True


_HOST: Final = r"(?:\[[0-9a-fA-F:.]+\]|[^:@/?#,\s]*)(?::[0-9]+)?"
_PLAIN_URL: Final = re.compile(rf"postgres(?:ql)?://(?:[^:@/?#\s]*(?::[^:@/?#\s]*)?@)?{_HOST}(?:,{_HOST})*(?:/[^@?#\s]*)?(?:\?[^@#\s]*)?")
_BROKEN_URL: Final = (
    "its URL is not one that PostgreSQL understands; it looks like postgresql://USER:PASSWORD@HOST:PORT/DATABASE, "
    "with signs such as : / @ # ? in the password percent-encoded (%3A %2F %40 %23 %3F)"
)


# -- TLS -----------------------------------------------------------------------------------------------------------------------------------
# libpq's own default, `prefer`, accepts an unencrypted connection. Here a host that is not this machine must encrypt, unless the user
# says otherwise. https://www.postgresql.org/docs/current/libpq-ssl.html

# A service file may set sslmode as well, and stands above the environment, but below what is given with the connection.
_SAYS_SSLMODE: Final = {"sslmode": "PGSSLMODE", "service": "PGSERVICE"}
_ENVIRONMENT: Final = {**_SAYS_SSLMODE, "host": "PGHOST", "hostaddr": "PGHOSTADDR", "port": "PGPORT", "sslrootcert": "PGSSLROOTCERT"}


def is_local(host: str) -> bool:
    """Whether a host of libpq's, or a folder of a socket, is this machine."""
    return not host or host.startswith(("/", "@")) or is_loopback(host)


def is_loopback(host: str) -> bool:
    """Whether a host of a URL is this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def tls_parameters(url: str) -> dict[str, str]:
    """Parameters beside a URL: `sslmode=require` where the host is another machine and no sslmode is set."""
    try:
        given = _parameters(url)
    except psycopg2.Error:
        return {}  # connecting reports the error
    # With the system's CAs libpq allows only verify-full, and chooses it by default.
    if any(given.get(name) for name in _SAYS_SSLMODE) or given.get("sslrootcert") == "system":
        return {}
    hosts = given.get("hostaddr") or given.get("host") or ""
    return {} if all(is_local(host) for host in hosts.split(",")) else {"sslmode": "require"}


def tls_problem(words: str, url: str) -> str | None:
    """The message for a connection that failed because of TLS, from libpq's words; None where it failed for another reason."""
    given = _parameters(url)
    host = given.get("host") or given.get("hostaddr") or ""
    root_file = given.get("sslrootcert") or "~/.postgresql/root.crt"
    if "does not support SSL" in words:
        return (
            f"the server {host} takes no TLS, so patient data would be sent unencrypted; turn it on there (ssl = on). Only where nobody "
            "else is on the network: say sslmode=disable in the URL"
        )
    if "does not match host name" in words:
        return (
            f"the server's certificate is not for {host}: either the URL names the server by another name than the certificate does "
            "(correct the URL), or another server answers in its place"
        )
    if "root certificate file" in words:
        return (
            f"the CA's certificate, sslrootcert={root_file}, cannot be read here; put the file of your provider there, "
            "on each worker, too, or say sslrootcert=system for a public CA"
        )
    if "certificate verify failed" in words:
        # Of several hosts libpq does not say which it was.
        address = given.get("hostaddr") or given.get("host") or ""
        code = 0 if "," in address else _verify_code(address, int(given.get("port") or 5432), root_file)
        return f"the certificate of the server {host} {_FAULTS.get(code, _NOT_ACCEPTED)}"
    return None


def _parameters(url: str) -> dict[str, str]:
    """Those of a URL, and those that libpq takes from the environment where it has none. Raises `psycopg2.Error`."""
    environment = {name: os.environ[variable] for name, variable in _ENVIRONMENT.items() if os.environ.get(variable)}
    return {**environment, **psycopg2.extensions.parse_dsn(url)}


_UNKNOWN_CA: Final = (
    "is not signed by the CA in sslrootcert: either that is another CA's certificate (get the one of your provider), or another server "
    "answers in its place"
)
_NOT_ACCEPTED: Final = (
    "is not accepted; look at sslrootcert (the CA's certificate, from your provider), and at the server's certificate: "
    "openssl s_client -starttls postgres -connect HOST:PORT"
)
# https://docs.openssl.org/master/man3/X509_STORE_CTX_get_error/
_FAULTS: Final[Mapping[int, str]] = {
    9: "is not valid yet; look at this machine's clock",
    10: "has expired; have it renewed (and look at this machine's clock)",
    **dict.fromkeys((18, 19, 20, 21), _UNKNOWN_CA),
}
# https://www.postgresql.org/docs/current/protocol-message-formats.html: SSLRequest, 8 bytes, code 80877103.
_SSL_REQUEST: Final = (8).to_bytes(4) + (80877103).to_bytes(4)
_HANDSHAKE_TIMEOUT: Final = 10.0  # seconds


def _verify_code(address: str, port: int, root_file: str) -> int:
    """OpenSSL's number for what is wrong with a server's certificate, which libpq keeps to itself: found by a handshake alone."""
    try:
        context = ssl.create_default_context(cafile=None if root_file == "system" else str(Path(root_file).expanduser()))
        context.check_hostname = False
        with socket.create_connection((address, port), timeout=_HANDSHAKE_TIMEOUT) as connection:
            connection.sendall(_SSL_REQUEST)
            connection.recv(1)
            context.wrap_socket(connection).close()
    except ssl.SSLCertVerificationError as error:
        return error.verify_code
    except OSError:
        pass
    return 0
