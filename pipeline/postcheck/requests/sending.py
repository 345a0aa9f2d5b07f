"""One request over HTTP, once: no retries, no cookies, no credentials but the file's, and no other host than the one that it names.

What comes out is an answer, or a sentence that holds nothing of what was sent.
"""

from __future__ import annotations

import http.client
import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final, Self
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.exceptions import InvalidHeader, InvalidURL, ProxyError, RequestException, SSLError, Timeout

from pipeline import __version__
from pipeline.postcheck.requests.request import FilledRequest
from pipeline.postcheck.requests.urls import is_loopback, origin

_MOST_BYTES: Final = 10_000_000
_BLOCK: Final = 1 << 16
_MOST_REDIRECTS: Final = 5
# Those of the rest ask for another method, or another request.
_SAFE_METHODS: Final = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: bytes = field(repr=False)


class NotAnswered(Exception):
    """A request could not be sent, or its answer not be read to its end."""


class Sender:
    """Sends requests one after the other, on connections that are kept open between them."""

    def __init__(self) -> None:
        self._session = requests.Session()
        self._session.headers["User-Agent"] = f"ddb2pg/{__version__}"
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        # Set at all, it keeps the credentials of ~/.netrc from taking the place of the file's.
        self._session.auth = lambda request: request

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def send(self, request: FilledRequest, timeout: float, expected: tuple[int, ...]) -> Answer:
        """The answer. Raises `NotAnswered`.

        A redirect is followed by methods that change nothing, on the same host, unless its status is the expected one.
        """
        deadline = time.monotonic() + timeout
        url = request.url
        with _silence():
            try:
                for _ in range(_MOST_REDIRECTS):
                    answer, target = self._send_once(request, url, deadline)
                    if target is None or answer.status in expected or request.method not in _SAFE_METHODS:
                        return answer
                    url = urljoin(url, target)
                    if origin(url) != origin(request.url):
                        raise NotAnswered("it is redirected to another host, which is not followed")
            except (RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError) as error:
                raise NotAnswered(_sentence(error, timeout)) from None
        raise NotAnswered("it is redirected again and again")

    def _send_once(self, request: FilledRequest, url: str, deadline: float) -> tuple[Answer, str | None]:
        """The answer, and where it redirects to."""
        prepared = self._session.prepare_request(requests.Request(request.method, url, headers=request.headers, data=request.body))
        settings: dict[str, Any] = dict(self._session.merge_environment_settings(url, {}, True, None, None))
        if is_loopback(urlsplit(url).hostname or ""):
            settings["proxies"] = {}
        left = max(0.001, deadline - time.monotonic())
        response = self._session.send(prepared, allow_redirects=False, timeout=urllib3.Timeout(total=left), **settings)
        with response:
            body = b"".join(_blocks(response, deadline))
            return Answer(response.status_code, body), self._session.get_redirect_target(response)


def _blocks(response: requests.Response, deadline: float) -> Iterator[bytes]:
    size = 0
    # What is there, at once: a whole block of a server that sends byte by byte would take for ever.
    while block := response.raw.read1(_BLOCK, decode_content=True):
        size += len(block)
        if size > _MOST_BYTES:
            raise NotAnswered(f"its answer is larger than {_MOST_BYTES:,} bytes")
        if time.monotonic() > deadline:
            raise Timeout
        yield block


@contextmanager
def _silence() -> Iterator[None]:
    """Keep what is sent out of every log: of whatever level, urllib3 quotes URLs."""
    loggers = [logging.getLogger(name) for name in ("urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry")]
    before = [one.disabled for one in loggers]
    for one in loggers:
        one.disabled = True
    try:
        yield
    finally:
        for one, was_disabled in zip(loggers, before, strict=True):
            one.disabled = was_disabled


def _sentence(error: BaseException, timeout: float) -> str:
    causes = list(_causes(error))
    for kinds, sentence in _SENTENCES:
        if any(isinstance(one, kinds) for one in causes):
            return sentence
    # Last: urllib3 takes a connection that was refused for one of these.
    if any(isinstance(one, Timeout | urllib3.exceptions.TimeoutError | TimeoutError) for one in causes):
        return f"there was no whole answer within {timeout:g} seconds"
    return "the connection broke, or what came was not HTTP"


# The first that fits.
_SENTENCES: Final[tuple[tuple[tuple[type[BaseException], ...], str], ...]] = (
    ((SSLError,), "TLS failed: the server has no certificate for this host that we can verify"),
    ((ProxyError,), "the proxy that the environment names does not let it through"),
    ((socket.gaierror, urllib3.exceptions.NameResolutionError), "its host is not known"),
    ((ConnectionRefusedError,), "the connection was refused: nobody listens there"),
    ((InvalidURL, InvalidHeader, UnicodeError, urllib3.exceptions.LocationValueError), "its URL or a header cannot be sent as it is"),
)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An exception, and those that it wraps: as its cause, its context, its reason or an argument."""
    seen: list[BaseException] = []
    left = [error]
    while left:
        one = left.pop(0)
        if not isinstance(one, BaseException) or one in seen:
            continue
        seen.append(one)
        left += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
    yield from seen
