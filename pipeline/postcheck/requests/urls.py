"""URLs of the file: which are taken, and how values get into them.

A row's value stands in the path or the query, percent-encoded whole, so that it cannot end the part that it stands in. It can never choose
the host: whoever gets the request gets its credentials.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterator
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from pipeline.postcheck.requests.json_values import Value, to_text
from pipeline.postcheck.requests.template import Row, Template

# Up to and with the sign that ends the host.
_BEGINNING: Final = re.compile(r"https?://[^/?#\s\\]+[/?#]", re.IGNORECASE)


class Unsendable(Exception):
    """What a row makes cannot be sent; the words hold no value."""


def url_problems(url: Template, plain_hosts: Collection[str]) -> Iterator[str]:
    """What speaks against a URL; to `plain_hosts` http is allowed."""
    if url.columns and not _BEGINNING.match(url.beginning):
        yield "a column stands in its host; columns belong into the path or the query"
        return
    literal = url.literal
    try:
        parts = urlsplit(literal)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host or port == 0 or re.search(r"[\s\x00-\x1f\x7f\\]", literal):
        yield "is no URL of the form https://HOST[:PORT]/PATH"
    elif "@" in parts.netloc:
        yield "holds a user or a password; send them in a header"
    elif parts.scheme == "http" and not is_loopback(host) and host not in plain_hosts:
        yield "is http, so what is sent and answered could be read on the way; use https, or name its host in allow_http"


def is_loopback(host: str) -> bool:
    """Whether a host of a URL is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port: what may see credentials. Raises `ValueError`."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def render_url(url: Template, row: Row) -> str:
    """The URL with a row's values. Raises `Unsendable`."""
    rendered = url.render(row, _encoded)
    # Clients take such parts away, even percent-encoded, and would ask for something else.
    if any(unquote(segment) in (".", "..") for segment in urlsplit(rendered).path.split("/")):
        raise Unsendable("a column makes . or .. a part of the URL's path")
    return rendered


def _encoded(value: Value) -> str:
    if value is None:
        raise Unsendable("a column of the URL is NULL")
    return quote(to_text(value), safe="")
