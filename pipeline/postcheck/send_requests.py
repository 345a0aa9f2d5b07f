"""The requests of a file: checked as a whole before anything is compared, sent one after the other when everything is. Neither writes.

A request is sent once: no retries, no redirects, no cookies, no credentials but the file's. What is told of an answer holds nothing of what
was sent or came back. The rows that requests are made from are read again for the sending: a repair may have brought some back.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from http.client import HTTPException
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import jmespath
import requests
import urllib3
from jmespath.exceptions import JMESPathError
from requests.exceptions import InvalidHeader, InvalidURL, ProxyError, RequestException, SSLError, Timeout
from rich.console import Console

from pipeline import __version__
from pipeline.console import printable
from pipeline.errors import Stopped
from pipeline.outcome.outcome import Check, Verdict
from pipeline.postcheck.request_file import Json, Request, Row, Unsendable, read_requests
from pipeline.target.connection import why_not_connected
from pipeline.target.database_url import DatabaseReference, is_loopback
from pipeline.target.row_query import QueryRefused, read_rows
from pipeline.target.session import RetryLimit, Session

_SHORT_LIMIT: Final = RetryLimit(seconds=5.0)
# A server that is not there is not waited for a thousand times.
_MOST_UNANSWERED: Final = 3
_MOST_BYTES: Final = 10_000_000
_BLOCK: Final = 1 << 16


class NotAnswered(Exception):
    """A request could not be sent, or its answer not be read to its end."""


def check_requests(path: Path, database: DatabaseReference) -> tuple[list[Request], list[str]]:
    """The requests, and everything that is wrong with them, their queries in this database included. Sends nothing."""
    sendable, problems = read_requests(path, os.environ)
    # Where the database cannot be reached, the comparison says so.
    if any(request.sql for request in sendable) and why_not_connected(database) is None:
        with Session(database, _SHORT_LIMIT) as session:
            problems += [f"{path}, {request.name!r}: {problem}" for request in sendable for problem in _query_problems(session, request)]
    return sendable, problems


def _query_problems(session: Session, request: Request) -> Iterator[str]:
    if request.sql is None:
        return
    try:
        columns = read_rows(session, request.sql, request.rows).columns
    except (QueryRefused, Stopped) as error:
        yield f"sql: {error}"
        return
    for name, count in Counter(columns).items():
        if count > 1:
            yield f"sql yields {count} columns of the name {name!r}; rename them with AS"
    for column in sorted(request.columns - set(columns)):
        yield f"${{row.{column}}} is no column of its sql; it yields {', '.join(columns) or 'none'}"


def send_requests(sendable: Sequence[Request], database: DatabaseReference, console: Console) -> list[Check]:
    """Send all, one after the other, and print each as soon as it is done."""
    checks = []
    with requests.Session() as client, Session(database, _SHORT_LIMIT) as session:
        client.headers["User-Agent"] = f"ddb2pg/{__version__}"
        client.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        # Set at all, it keeps the credentials of ~/.netrc from taking the place of the file's.
        client.auth = lambda request: request
        for request in sendable:
            checks.append(_send(request, session, client))
            style = "bold red" if checks[-1].verdict is Verdict.FAIL else None
            console.print(f"request {printable(request.name)}: {checks[-1].detail}", style=style, highlight=False, markup=False)
    return checks


def _send(request: Request, session: Session, client: requests.Session) -> Check:
    started = time.monotonic()
    statuses: Counter[int] = Counter()
    failures: Counter[str] = Counter()
    tried = failed = unanswered = 0
    try:
        for row in _rows(request, session):
            tried += 1
            try:
                status, body = _answer(request, row, client)
                statuses[status] += 1
                unanswered = 0
                of_row = set(failures_of_answer(request, status, body, row))
            except (Unsendable, NotAnswered) as error:
                unanswered += 1
                of_row = {str(error)}
            failures.update(of_row)
            failed += bool(of_row)
            if unanswered == _MOST_UNANSWERED:
                break
        if not tried:
            failures["its sql yields no row, so nothing was sent"] += 1
    except (QueryRefused, Stopped) as error:
        failures[f"its sql: {error}"] += 1
    answers = ", ".join(f"{count:,} x {status}" for status, count in sorted(statuses.items())) or "no answer"
    detail = f"{request.method}, {tried:,} tried in {time.monotonic() - started:.1f} s, {answers}"
    if not failures:
        return Check(request.name, Verdict.PASS, f"{detail}: as expected")
    return Check(
        request.name,
        Verdict.FAIL,
        "; ".join([f"{detail}: {failed:,} NOT as expected", *(f"{count:,}: {sentence}" for sentence, count in failures.most_common())]),
    )


def _rows(request: Request, session: Session) -> list[Row]:
    if request.sql is None:
        return [{}]
    try:
        return [parse(text) for text in read_rows(session, request.sql, request.rows).rows]
    except ValueError:
        raise QueryRefused("a row of it is nested too deep") from None


# -- what an answer must be ----------------------------------------------------------------------------------------------------------------


def failures_of_answer(request: Request, status: int, body: bytes, row: Row) -> Iterator[str]:
    """What is not as expected, without a value; for an answer with another status only that."""
    statuses = request.expect["status"] if isinstance(request.expect["status"], list) else [request.expect["status"]]
    if status not in statuses:
        yield f"the status is {status}, not {' or '.join(map(str, statuses))}"
    elif request.expect["json"]:
        try:
            answer = parse(body)
        except ValueError:
            yield "the answer's body is not JSON"
            return
        for expression, expected in request.expect["json"].items():
            yield from _failures_of_value(printable(expression), answer, request.filled(expected, row))


def _failures_of_value(expression: str, answer: Json, expected: Json) -> Iterator[str]:
    try:
        value = jmespath.search(expression, answer)
    except (JMESPathError, TypeError):
        yield f"{expression} cannot be worked out: the answer has another shape"
        return
    if value is None and expected is not None:
        yield f"{expression} is missing, or null"
    elif _kind_of(value) != _kind_of(expected):
        yield f"{expression} is of type {_kind_of(value)}, not {_kind_of(expected)}"
    elif not is_same(value, expected):
        yield f"{expression} is another value than expected"


# jmespath knows a number by the name of its class.
_Number: Final = type("float", (Decimal,), {})


def parse(text: bytes | str) -> Json:
    """JSON with every digit of a number. Raises `ValueError`, also where it is nested deeper than can be read; `int` takes no NaN."""
    try:
        decoded = text if isinstance(text, str) else text.decode("utf-8")
        return json.loads(decoded, parse_int=_Number, parse_float=_Number, parse_constant=int)
    except (RecursionError, ArithmeticError):
        raise ValueError from None


def _kind_of(value: Json) -> str:
    kinds = {type(None): "null", bool: "boolean", str: "string", list: "array", dict: "object"}
    return kinds.get(type(value), "number")


def is_same(value: Json, other: Json) -> bool:
    """Whether two values are equal as JSON: 1.0 is 1, true is not, and the order of an object's members does not count."""
    if _kind_of(value) != _kind_of(other):
        return False
    if isinstance(value, list):
        return len(value) == len(other) and all(map(is_same, value, other))
    if isinstance(value, dict):
        return value.keys() == other.keys() and all(is_same(member, other[name]) for name, member in value.items())
    return bool(value == other)


# -- HTTP ----------------------------------------------------------------------------------------------------------------------------------


def _answer(request: Request, row: Row, client: requests.Session) -> tuple[int, bytes]:
    """Status and body; a redirect is an answer, and not followed. Raises `Unsendable`, and `NotAnswered`."""
    deadline = time.monotonic() + float(request.timeout)
    try:
        prepared = client.prepare_request(request.made_from(row))
        settings: dict[str, Any] = dict(client.merge_environment_settings(prepared.url or "", {}, True, None, None))
        if is_loopback(urlsplit(prepared.url or "").hostname or ""):
            settings["proxies"] = {}
        timeout = urllib3.Timeout(total=float(request.timeout))
        with client.send(prepared, allow_redirects=False, timeout=timeout, **settings) as response:
            body = bytearray()
            # What is there, at once: a whole block of a server that sends byte by byte would take for ever.
            while block := response.raw.read1(_BLOCK, decode_content=True):
                body += block
                if len(body) > _MOST_BYTES:
                    raise NotAnswered(f"its answer is larger than {_MOST_BYTES:,} bytes")
                if time.monotonic() > deadline:
                    raise Timeout
            return response.status_code, bytes(body)
    except (RequestException, urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError) as error:
        raise NotAnswered(_sentence(error, float(request.timeout))) from None


# The first that fits. The time limit is last: urllib3 takes a connection that was refused for one, too.
_SENTENCES: Final[tuple[tuple[tuple[type[BaseException], ...], str], ...]] = (
    ((SSLError,), "TLS failed: the server has no certificate for this host that we can verify"),
    ((ProxyError,), "the proxy that the environment names does not let it through"),
    ((socket.gaierror,), "its host is not known"),
    ((ConnectionRefusedError,), "the connection was refused: no server listens there"),
    ((InvalidURL, InvalidHeader, UnicodeError, urllib3.exceptions.LocationValueError), "its URL or a header cannot be sent as it is"),
    ((Timeout, urllib3.exceptions.TimeoutError, TimeoutError), "there was no whole answer within {seconds:g} seconds"),
    ((BaseException,), "the connection broke, or what came was not HTTP"),
)


def _sentence(error: BaseException, seconds: float) -> str:
    """What an exception, or one that it comes from, is about; their own words quote what was sent."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    return next(words.format(seconds=seconds) for kinds, words in _SENTENCES if any(isinstance(cause, kinds) for cause in chain))
