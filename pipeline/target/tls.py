"""TLS to the server: what holds where the URL does not say, and what to do when a certificate is not accepted.

libpq's own default, `prefer`, takes a connection in the clear from whoever answers. Here a host that is not this machine must encrypt,
unless the user said otherwise. https://www.postgresql.org/docs/current/libpq-ssl.html.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from typing import Final

import psycopg2
import psycopg2.extensions

from pipeline.target.certificate import CertificateFault, find_certificate_fault

# A service file may set it as well, and stands above the environment, but below what is given with the connection.
_SAYS_SSLMODE: Final = {"sslmode": "PGSSLMODE", "service": "PGSERVICE"}


def is_local(host: str) -> bool:
    """Whether a host, or a folder of a socket, is this machine."""
    if not host or host.startswith(("/", "@")) or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def tls_parameters(url: str) -> dict[str, str]:
    """What to give beside a URL: `sslmode=require` where another machine is meant and nobody said what holds."""
    try:
        given = _parameters(url)
    except psycopg2.Error:
        return {}  # who connects is told
    # Of the system's CAs libpq takes no less than verify-full, and takes that by itself.
    if any(given.get(name) for name in _SAYS_SSLMODE) or given.get("sslrootcert") == "system":
        return {}
    hosts = given.get("hostaddr") or given.get("host") or ""
    return {} if all(is_local(host) for host in hosts.split(",")) else {"sslmode": "require"}


def tls_problem(words: str, url: str) -> str | None:
    """The sentence for a connection that failed for TLS, from what libpq said; None where it failed for something else."""
    given = _parameters(url)
    host = given.get("host") or given.get("hostaddr") or ""
    if "does not support SSL" in words:
        return (
            f"the server {host} takes no TLS, so patient data would travel in the clear; turn it on there (ssl = on). Only where nobody "
            "else is on the network: say sslmode=disable in the URL"
        )
    if "does not match host name" in words:
        return (
            f"the server's certificate is not for {host}: either the URL names the server by another name than the certificate does "
            "(correct the URL), or somebody else answers in its place"
        )
    if "root certificate file" in words:
        return (
            f"the CA's certificate, sslrootcert={_root_file(given)}, cannot be read here; put the file of your provider there, "
            "on each worker, too, or say sslrootcert=system for a public CA"
        )
    return _SENTENCES[_fault(given)].format(host=host) if "certificate verify failed" in words else None


_SENTENCES: Final = {
    CertificateFault.EXPIRED: (
        "the certificate of the server {host} has expired; have it renewed by whoever runs the server (and look at this machine's clock)"
    ),
    CertificateFault.NOT_YET_VALID: "the certificate of the server {host} is not valid yet; look at this machine's clock",
    CertificateFault.UNKNOWN_CA: (
        "the certificate of the server {host} is not signed by the CA in sslrootcert: either that is another CA's certificate (get "
        "the one of your provider), or somebody else answers in the server's place"
    ),
    CertificateFault.OTHER: (
        "the certificate of the server {host} is not accepted; look at sslrootcert (the CA's certificate, from your provider), and at the "
        "server's certificate: openssl s_client -starttls postgres -connect HOST:PORT"
    ),
}


def _fault(given: Mapping[str, str]) -> CertificateFault:
    address = given.get("hostaddr") or given.get("host") or ""
    if "," in address:  # which of them it was, libpq does not say
        return CertificateFault.OTHER
    return find_certificate_fault(address, int(given.get("port") or 5432), _root_file(given))


def _root_file(given: Mapping[str, str]) -> str:
    return given.get("sslrootcert") or "~/.postgresql/root.crt"


_OF_ENVIRONMENT: Final = {
    **_SAYS_SSLMODE,
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "sslrootcert": "PGSSLROOTCERT",
}


def _parameters(url: str) -> dict[str, str]:
    """Those of a URL, and those that libpq takes from the environment where it has none. Raises `psycopg2.Error`."""
    environment = {name: os.environ[variable] for name, variable in _OF_ENVIRONMENT.items() if os.environ.get(variable)}
    return {**environment, **psycopg2.extensions.parse_dsn(url)}
