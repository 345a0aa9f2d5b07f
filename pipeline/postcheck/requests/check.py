"""The requests of a file: checked as a whole before anything is compared, sent when everything is.

Neither writes. The rows that requests are made from are read again for the sending: a repair may have brought some back.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from pipeline.errors import Stopped
from pipeline.postcheck.requests.expectations import Failure, FailureKind, failures_of_answer
from pipeline.postcheck.requests.file import read_requests
from pipeline.postcheck.requests.json_values import NotJson, parse
from pipeline.postcheck.requests.request import Request
from pipeline.postcheck.requests.result import CountedFailure, RequestResult
from pipeline.postcheck.requests.sending import NotAnswered, Sender
from pipeline.postcheck.requests.template import Row
from pipeline.postcheck.requests.urls import Unsendable
from pipeline.target.connection import why_not_connected
from pipeline.target.database_url import DatabaseReference
from pipeline.target.row_query import QueryRefused, QueryRows, read_rows
from pipeline.target.session import RetryLimit, Session

# A server that is not there is not waited for a thousand times.
_MOST_UNANSWERED: Final = 3
_FEW_TRIES: Final = RetryLimit(tries=3, seconds=30.0)


def check_requests(path: Path, database: DatabaseReference) -> tuple[list[Request], list[str]]:
    """The requests, and everything that is wrong with them, their queries in this database included. Sends nothing."""
    requests, problems = read_requests(path, os.environ)
    with_query = [(request, request.sql) for request in requests if request.sql]
    # That the database cannot be reached is told by who compares.
    if with_query and why_not_connected(database) is None:
        with Session(database, _FEW_TRIES) as session:
            for request, sql in with_query:
                problems += [f"{path}, {request.name!r}: {problem}" for problem in _query_problems(session, request, sql)]
    return requests, problems


def _query_problems(session: Session, request: Request, sql: str) -> Iterator[str]:
    try:
        columns = read_rows(session, sql, request.most_rows).columns
    except QueryRefused as refused:
        yield f"sql: {refused}"
        return
    except Stopped as stopped:
        yield f"sql could not be tried: {stopped}"
        return
    for name, count in Counter(columns).items():
        if count > 1:
            yield f"sql yields {count} columns of the name {name!r}; rename them with AS"
    for column in sorted(request.columns - set(columns)):
        yield f"{{{column}}} is no column of its sql; it yields {', '.join(columns) or 'none'}"


def send_requests(requests: Sequence[Request], database: DatabaseReference, tell: Callable[[RequestResult], None]) -> list[RequestResult]:
    """Send all, one after the other, and tell of each as soon as it is done."""
    results = []
    with Sender() as sender, Session(database, _FEW_TRIES) as session:
        for request in requests:
            results.append(_send(request, session, sender))
            tell(results[-1])
    return results


def _send(request: Request, session: Session, sender: Sender) -> RequestResult:
    started = time.monotonic()
    statuses: Counter[str] = Counter()
    failures: Counter[Failure] = Counter()
    tried = failed = unanswered = 0
    try:
        for row in _rows(request, session):
            tried += 1
            found = list(_failures_of_row(request, row, sender, statuses))
            failures.update(found)
            failed += bool(found)
            unanswered = unanswered + 1 if any(one.kind is FailureKind.NOT_SENT for one in found) else 0
            if unanswered == _MOST_UNANSWERED:
                break
        if not tried:
            failures[Failure(FailureKind.NO_ROWS, None, "its sql yields no row, so nothing was sent")] += 1
    except QueryRefused as refused:
        failures[Failure(FailureKind.QUERY_FAILED, None, f"its sql: {refused}")] += 1
    except Stopped as stopped:
        failures[Failure(FailureKind.QUERY_FAILED, None, f"its sql could not be run: {stopped}")] += 1
    return RequestResult(
        name=request.name,
        method=request.method,
        tried=tried,
        failed=failed,
        statuses=dict(sorted(statuses.items())),
        failures=[CountedFailure(one.kind, one.path, one.sentence, count) for one, count in failures.most_common()],
        seconds=time.monotonic() - started,
    )


def _rows(request: Request, session: Session) -> list[Row]:
    if request.sql is None:
        return [{}]
    found: QueryRows = read_rows(session, request.sql, request.most_rows)
    return [_row(text) for text in found.rows]


def _row(text: str) -> dict[str, Any]:
    try:
        row = parse(text)
    except NotJson:
        raise QueryRefused("a row of it is nested too deep") from None
    return row if isinstance(row, dict) else {}


def _failures_of_row(request: Request, row: Row, sender: Sender, statuses: Counter[str]) -> Iterator[Failure]:
    try:
        answer = sender.send(request.filled(row), request.timeout, request.expectation.statuses)
    except (Unsendable, NotAnswered) as error:
        yield Failure(FailureKind.NOT_SENT, None, str(error))
        return
    statuses[str(answer.status)] += 1
    yield from failures_of_answer(request.expectation, answer.status, answer.body, row)
