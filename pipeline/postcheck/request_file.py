"""The file of `validate --requests`: TOML, described in `docs/validation.md`. Everything that is wrong with it is found at once.

A text of a URL, a header, a body or an expectation may have places to fill: `${env.NAME}` is an environment variable, `${row.NAME}` a
column of the row that the request is made from. What they hold is never looked through for places again.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from string import Template
from typing import Any, Final, NamedTuple
from urllib.parse import quote, unquote, urlsplit

import orjson
import requests
from jmespath.exceptions import JMESPathError
from jmespath.parser import Parser

from pipeline.target.database_url import is_loopback

Json = Any
"""None, bool, int, Decimal, str, list, dict: a number with all its digits."""
Row = Mapping[str, Json]
"""The columns of a row of a request's SQL query."""

_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
# Up to and with the sign that ends the host.
_URL_BEGINNING: Final = re.compile(r"https?://[^/?#\s\\]+[/?#]", re.IGNORECASE)
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
# What every server takes; line breaks would begin another header.
_HEADER_VALUE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?|")
# The client itself says them.
_OWN_HEADERS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection"})
_WHOLE_COLUMN: Final = re.compile(r"\$\{row\.(\w+)\}")
_COLUMN: Final = "\0"


class Unsendable(Exception):
    """What a row makes cannot be sent; the words hold no value."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent, how often, and what must come back. Its texts have their places still in them."""

    name: str
    method: str
    url: str
    headers: Mapping[str, str]
    body: Json = field(repr=False)
    sql: str | None = field(repr=False)
    rows: int
    """At most so many, each a request of its own."""
    timeout: float
    """Seconds, for one request and its answer."""
    expect: Mapping[str, Any] = field(repr=False)
    """`status`: one or several; `json`: a JMESPath expression of the answer -> what it must yield."""
    environment: Mapping[str, str] = field(repr=False)

    @property
    def texts(self) -> Iterator[tuple[str, str]]:
        """The place of a text in the file, and the text."""
        yield "url", self.url
        for name, text in self.headers.items():
            yield f"headers: {name}", text
        yield from (("body", text) for text in _texts(self.body))
        for expression, value in self.expect["json"].items():
            yield from ((f"json: {expression}", text) for text in _texts(value))

    @property
    def columns(self) -> set[str]:
        """All columns that the query must yield."""
        return {name for _, text in self.texts for name in _Text(text).names("row")}

    def made_from(self, row: Row) -> requests.Request:
        """What goes over the wire: all of it may be patient data, or a secret. Raises `Unsendable`."""
        url = self._fill(self.url, lambda name: quote(_text_of(row, name, "the URL"), safe=""))
        # Clients take such parts away, even percent-encoded, and would ask for something else.
        if any(unquote(segment) in (".", "..") for segment in urlsplit(url).path.split("/")):
            raise Unsendable("a column makes . or .. a part of the URL's path")
        headers = {key: self._fill(text, lambda name: _text_of(row, name, "a header")) for key, text in self.headers.items()}
        if not all(map(_HEADER_VALUE.fullmatch, headers.values())):
            raise Unsendable("a column's value cannot stand in a header, which takes printable ASCII")
        body = None if self.body is None else to_bytes(self.filled(self.body, row))
        if body is not None and "content-type" not in map(str.lower, headers):
            headers["Content-Type"] = "application/json"
        return requests.Request(self.method, url, headers=headers, data=body)

    def filled(self, value: Json, row: Row) -> Json:
        """JSON with its places filled: a string that is one column becomes its value with its type; in a longer string it becomes text."""
        match value:
            case str() if whole := _WHOLE_COLUMN.fullmatch(value):
                return row[whole[1]]
            case str():
                return self._fill(value, lambda name: to_text(row[name]))
            case list():
                return [self.filled(inner, row) for inner in value]
            case dict():
                return {name: self.filled(inner, row) for name, inner in value.items()}
        return value

    def _fill(self, text: str, column: Callable[[str], str]) -> str:
        template = _Text(text)
        environment = {f"env.{name}": self.environment[name] for name in template.names("env")}
        return template.substitute(environment, **{f"row.{name}": column(name) for name in template.names("row")})

    def problems(self, plain_hosts: Collection[str]) -> Iterator[str]:
        """What is wrong, without having asked the database; to `plain_hosts` http is allowed."""
        for place, text in self.texts:
            template = _Text(text)
            unset = [name for name in template.names("env") if not self.environment.get(name)]
            if not template.is_valid():
                yield f"{place}: a $ that begins neither ${{env.NAME}} nor ${{row.NAME}}; write $$ where it is meant as it is"
            elif unset:
                yield from (f"{place}: the environment variable {name} is not set, or empty" for name in unset)
            elif place == "url" and text:
                yield from (f"url {problem}" for problem in self._url_problems(plain_hosts))
            elif place.startswith("headers: ") and not _HEADER_VALUE.fullmatch(self._fill(text, lambda _: "x")):
                yield f"{place}: takes printable ASCII only; does a variable end with a line break?"
        yield from self._header_problems()
        for expression in self.expect["json"]:
            try:
                Parser().parse(expression)
            except JMESPathError:
                yield f"json: {expression!r} is no JMESPath expression; one looks like [0].session.id"
        if self.sql is None:
            yield from (f"${{row.{column}}} is a column, but there is no sql that yields one" for column in sorted(self.columns))

    def _header_problems(self) -> Iterator[str]:
        for name, count in Counter(map(str.lower, self.headers)).items():
            if not _HEADER_NAME.fullmatch(name):
                yield f"headers: {name!r} is no name of a header"
            elif name in _OWN_HEADERS:
                yield f"headers: {name} is for the client to say"
            elif count > 1:
                yield f"headers: {name} is there twice"

    def _url_problems(self, plain_hosts: Collection[str]) -> Iterator[str]:
        filled = self._fill(self.url, lambda _: _COLUMN)
        beginning, column, _ = filled.partition(_COLUMN)
        if column and not _URL_BEGINNING.match(beginning):
            yield "has a column in its host; columns belong into the path or the query"
            return
        literal = filled.replace(_COLUMN, "")
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


class _Text(Template):
    """A text with `${env.NAME}` and `${row.NAME}`; `$$` is a dollar sign."""

    flags = re.NOFLAG
    idpattern = r"(?!)"
    braceidpattern = r"(?:env|row)\.\w+"

    def names(self, kind: str) -> list[str]:
        """Of the variables (env) or the columns (row)."""
        names = self.get_identifiers() if self.is_valid() else []
        return [name.removeprefix(f"{kind}.") for name in names if name.startswith(f"{kind}.")]


def _texts(value: Json) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            yield from (text for inner in value for text in _texts(inner))
        case dict():
            yield from (text for inner in value.values() for text in _texts(inner))


def _text_of(row: Row, name: str, place: str) -> str:
    if row[name] is None:
        raise Unsendable(f"a column of {place} is NULL")
    return to_text(row[name])


def to_text(value: Json) -> str:
    """A string is itself, everything else its JSON. Raises `Unsendable`."""
    return value if isinstance(value, str) else to_bytes(value).decode()


def to_bytes(value: Json) -> bytes:
    """As JSON. Raises `Unsendable` for a string that UTF-8 cannot hold."""
    try:
        return orjson.dumps(value, default=lambda number: orjson.Fragment(str(number)))
    except orjson.JSONEncodeError:
        raise Unsendable("a value cannot be written as JSON") from None


# -- the file ------------------------------------------------------------------------------------------------------------------------------


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _are(kind: Callable[[object], bool], values: object) -> bool:
    return isinstance(values, list) and bool(values) and all(map(kind, values))


def _is_number(value: object, kinds: type | tuple[type, ...], most: int) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool) and 0 < value <= most  # type: ignore[operator]


def _is_json(value: object) -> bool:
    match value:
        case list():
            return all(map(_is_json, value))
        case dict():
            return all(map(_is_json, value.values()))
    return isinstance(value, bool | int | Decimal | str)


def _is_status(value: object) -> bool:
    return type(value) is int and 100 <= value < 600


class _Key(NamedTuple):
    """A key of the file: what it is unless it is given, and how it may be; a default that may not be makes it required."""

    default: Any
    is_right: Callable[[Any], bool]
    problem: str


_FILE: Final = {
    "allow_http": _Key([], lambda value: value == [] or _are(_is_text, value), "allow_http must be an array of hosts"),
    "request": _Key([], lambda value: _are(lambda table: isinstance(table, dict), value), "has no requests; each begins with [[request]]"),
}
_REQUEST: Final = {
    "name": _Key("", lambda value: _is_text(value) and len(value) <= 100, "name must be a text of 1 to 100 characters"),
    "method": _Key("GET", lambda value: value in _METHODS, f"method must be one of {', '.join(_METHODS)}"),
    "url": _Key("", _is_text, "url must be a text, and not an empty one"),
    "headers": _Key(
        {},
        lambda value: isinstance(value, dict) and all(isinstance(text, str) for text in value.values()),
        "headers must be a table of texts",
    ),
    "body": _Key(
        None, lambda value: value is None or _is_json(value), "body holds what JSON has no type for; put times and dates in quotes"
    ),
    "sql": _Key(None, lambda value: value is None or _is_text(value), "sql must be a text, and not an empty one"),
    "rows": _Key(3, lambda value: _is_number(value, int, 1_000), "rows must be a whole number from 1 to 1,000"),
    "timeout": _Key(10, lambda value: _is_number(value, (int, Decimal), 300), "timeout must be a number above 0, at most 300"),
    "expect": _Key({}, lambda value: isinstance(value, dict), "expect must be a table"),
}
_EXPECT: Final = {
    "status": _Key([], lambda value: _is_status(value) or _are(_is_status, value), "status must be one or several of 100 to 599, as 200"),
    "json": _Key({}, lambda value: isinstance(value, dict) and _is_json(value), "json must be a table, and hold what JSON has a type for"),
}


def read_requests(path: Path, environment: Mapping[str, str]) -> tuple[list[Request], list[str]]:
    """The requests of a file, and all that is wrong with it without having asked the database."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=_to_number)
    except OSError as error:
        return [], [f"{path}: cannot be read ({error.strerror})"]
    except UnicodeDecodeError:
        return [], [f"{path}: is not UTF-8"]
    except (tomllib.TOMLDecodeError, RecursionError, ArithmeticError) as error:
        # Its other words may quote the file.
        place = re.search(r"\(at (.+)\)$", str(error))
        return [], [f"{path}: is not TOML{f', see {place[1]}' if place else ''}"]
    problems: list[str] = []
    file = _checked(content, _FILE, str(path), problems)
    in_file = [
        _request(table, f"{path}, request {number}", file["allow_http"], environment, problems)
        for number, table in enumerate(file["request"], 1)
    ]
    for name, count in Counter(request.name for request in in_file if request.name).items():
        if count > 1:
            problems.append(f"{path}: {count} requests have the name {name!r}; the results need it, so give each its own")
    return in_file, problems


def _to_number(text: str) -> Decimal | float:
    """A float is nan or infinite, for which JSON has no type."""
    number = Decimal(text)
    return number if number.is_finite() else float(text)


def _request(
    table: Mapping[str, Any], where: str, plain_hosts: Collection[str], environment: Mapping[str, str], problems: list[str]
) -> Request:
    name = table.get("name")
    where = f"{where}, {name!r}" if isinstance(name, str) and len(name) <= 100 else where
    keys = _checked(table, _REQUEST, where, problems)
    expect = _checked(keys["expect"], _EXPECT, f"{where}, expect", problems)
    request = Request(**{**keys, "expect": expect}, environment=environment)
    problems += [f"{where}: {problem}" for problem in request.problems(plain_hosts)]
    if "rows" in table and "sql" not in table:
        problems.append(f"{where}: rows without sql")
    return request


def _checked(table: Mapping[str, Any], keys: Mapping[str, _Key], where: str, problems: list[str]) -> dict[str, Any]:
    """All keys, those that are wrong or not there by their defaults."""
    problems += [f"{where}: unknown key {key!r}" for key in table if key not in keys]
    checked = {}
    for key, (default, is_right, problem) in keys.items():
        checked[key] = table.get(key, default)
        if not is_right(checked[key]):
            problems.append(f"{where}: {problem}")
            checked[key] = default
    return checked
