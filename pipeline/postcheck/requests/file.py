"""The file of requests: TOML, described in `docs/validation.md`. Everything that is wrong with it is found in one go."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Collection, Mapping
from decimal import Decimal
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from pipeline.postcheck.requests.expectations import Exactly, Expectation, FieldExpectation, OfColumn, Presence
from pipeline.postcheck.requests.fields import Fields
from pipeline.postcheck.requests.json_values import Kind, Value
from pipeline.postcheck.requests.request import HEADER_VALUE, BodyTemplate, Request
from pipeline.postcheck.requests.template import Template, parse_template
from pipeline.postcheck.requests.urls import url_problems

_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_DEFAULT_ROWS: Final = 3
_MOST_ROWS: Final = 1_000
_DEFAULT_TIMEOUT: Final = 10.0  # seconds
_MOST_TIMEOUT: Final = 300.0
_LONGEST_NAME: Final = 100
_STATUSES: Final = range(100, 600)
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_POINTER: Final = re.compile(r"(?:/(?:[^~]|~[01])*)?", re.DOTALL)
# Said by the client itself, by what it sends and to whom.
_OWN_HEADERS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection"})


def read_requests(path: Path, environment: Mapping[str, str]) -> tuple[list[Request], list[str]]:
    """The requests of a file, and all that is wrong with it without having asked the database."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except OSError as error:
        return [], [f"{path}: cannot be read ({error.strerror})"]
    except UnicodeDecodeError:
        return [], [f"{path}: is not UTF-8"]
    except (tomllib.TOMLDecodeError, RecursionError, ArithmeticError) as error:
        # Its other words may quote the file.
        place = re.search(r"\(at (.+)\)$", str(error))
        return [], [f"{path}: is not TOML{f', see {place[1]}' if place else ''}"]
    return _requests(content, str(path), environment)


def _requests(content: Mapping[str, Any], path: str, environment: Mapping[str, str]) -> tuple[list[Request], list[str]]:
    problems: list[str] = []
    fields = Fields(content, path, problems)
    plain_hosts = fields.values("allow_http")
    if not all(isinstance(host, str) for host in plain_hosts):
        fields.complain("allow_http must be names of hosts")
        plain_hosts = []
    tables = fields.values("request")
    fields.refuse_others()
    if not tables or not all(isinstance(table, dict) for table in tables):
        fields.complain("has no requests; each begins with [[request]]")
        return [], problems
    requests = [_request(table, f"{path}, request {number}", plain_hosts, environment, problems) for number, table in enumerate(tables, 1)]
    for name, count in Counter(request.name for request in requests).items():
        if name and count > 1:
            problems.append(f"{path}: {count} requests have the name {name!r}; results are told by it, so give each its own")
    return requests, problems


def _request(
    table: Mapping[str, Any], where: str, plain_hosts: Collection[str], environment: Mapping[str, str], problems: list[str]
) -> Request:
    named = table.get("name")
    fields = Fields(table, f"{where}, {named!r}" if isinstance(named, str) and len(named) <= _LONGEST_NAME else where, problems)
    name = fields.text("name")
    if len(name) > _LONGEST_NAME:
        fields.complain(f"name has more than {_LONGEST_NAME} characters")
    method = fields.text("method", default="GET")
    if method not in _METHODS:
        fields.complain(f"method must be one of {', '.join(_METHODS)}")
    url = _template(fields, "url", fields.text("url"), environment)
    for problem in url_problems(url, plain_hosts) if url.parts else ():
        fields.complain(f"url {problem}")
    headers = _headers(fields, environment)
    has_body, body = fields.value("body")
    sql = fields.text("sql") if "sql" in table else None
    if "rows" in table and sql is None:
        fields.complain("rows without sql")
    request = Request(
        name=name,
        method=method,
        url=url,
        headers=headers,
        body=_body(fields, body, environment),
        has_body=has_body,
        sql=sql,
        most_rows=fields.whole_number("rows", _DEFAULT_ROWS, _MOST_ROWS),
        timeout=fields.number("timeout", _DEFAULT_TIMEOUT, _MOST_TIMEOUT),
        expectation=_expectation(Fields(fields.table("expect", is_required=True), f"{fields.where}, expect", problems)),
    )
    fields.refuse_others()
    if sql is None:
        for column in sorted(request.columns):
            fields.complain(f"{{{column}}} is a column, but there is no sql that yields one")
    return request


def _template(fields: Fields, what: str, text: str, environment: Mapping[str, str]) -> Template:
    template, problems = parse_template(text, environment)
    for problem in problems:
        fields.complain(f"{what}: {problem}")
    return template


def _headers(fields: Fields, environment: Mapping[str, str]) -> dict[str, Template]:
    headers: dict[str, Template] = {}
    for name, text in fields.table("headers").items():
        if not _HEADER_NAME.fullmatch(name):
            fields.complain(f"headers: {name!r} is no name of a header")
        elif name.lower() in _OWN_HEADERS:
            fields.complain(f"headers: {name} is for the client to say")
        elif name.lower() in {other.lower() for other in headers}:
            fields.complain(f"headers: {name} is there twice")
        if not isinstance(text, str):
            fields.complain(f"headers: {name} must be a text")
            continue
        headers[name], problems = parse_template(text, environment)
        if not problems and not _is_header_value(headers[name]):
            problems = ["takes printable ASCII only; does a variable end with a line break?"]
        for problem in problems:
            fields.complain(f"headers: {name}: {problem}")
    return headers


def _is_header_value(template: Template) -> bool:
    # Beside a column a space may stand.
    literals = [part.strip(" ") for part in template.parts if isinstance(part, str)] if template.columns else [template.literal]
    return all(map(HEADER_VALUE.fullmatch, literals))


def _body(fields: Fields, body: Value, environment: Mapping[str, str]) -> BodyTemplate:
    match body:
        case str():
            return _template(fields, "body", body, environment)
        case list():
            return [_body(fields, one, environment) for one in body]
        case dict():
            return {name: _body(fields, one, environment) for name, one in body.items()}
    return body


# -- what is expected ----------------------------------------------------------------------------------------------------------------------


def _expectation(fields: Fields) -> Expectation:
    statuses = fields.values("status")
    if not statuses or not all(type(status) is int and status in _STATUSES for status in statuses):
        fields.complain(f"status must be one or several of {_STATUSES.start} to {_STATUSES.stop - 1}, as {HTTPStatus.OK.value}")
        statuses = []
    expected = []
    for path, wanted in fields.table("json").items():
        if not _POINTER.fullmatch(path):
            fields.complain(f"json: {path!r} is no JSON Pointer; it looks like /0/session/id")
        expected.append(FieldExpectation(path, _wanted(fields, path, wanted)))
    fields.refuse_others()
    return Expectation(tuple(statuses), tuple(expected))


def _wanted(fields: Fields, path: str, wanted: Any) -> Presence | Kind | OfColumn | Exactly:
    match wanted:
        case {"column": str(name), **others} if not others:
            return OfColumn(name)
        case {"type": str(kind), **others} if not others and kind in list(Kind):
            return Kind(kind)
        case {"present": bool(is_there), **others} if not others:
            return Presence.PRESENT if is_there else Presence.ABSENT
        case {"equals": value, **others} if not others:
            return Exactly(fields.exact(f"json: {path}", value))
        case dict():
            kinds = ", ".join(Kind)
            fields.complain(
                f"json: {path} must be a value, or a table with one of column = NAME, type = one of {kinds}, present = true or false, "
                "equals = VALUE"
            )
            return Presence.PRESENT
    return Exactly(fields.exact(f"json: {path}", wanted))
