"""One request of the file, ready to be made from a row."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pipeline.postcheck.requests.expectations import Expectation, OfColumn
from pipeline.postcheck.requests.json_values import NotJson, Value, to_bytes, to_text
from pipeline.postcheck.requests.template import Column, Row, Template
from pipeline.postcheck.requests.urls import Unsendable, render_url

BodyTemplate = None | bool | Value | Template | list[Any] | dict[str, Any]
"""JSON whose strings are templates."""

# What every server takes; line breaks would begin another header.
HEADER_VALUE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?|")


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent, how often, and what must come back."""

    name: str
    method: str
    url: Template
    headers: Mapping[str, Template]
    body: BodyTemplate = field(repr=False)
    has_body: bool
    sql: str | None = field(repr=False)
    most_rows: int
    timeout: float
    """Seconds, for one request and its answer."""
    expectation: Expectation

    @property
    def columns(self) -> frozenset[str]:
        """All columns that the query must yield."""
        found = self.url.columns.union(*(template.columns for template in self.headers.values()), _columns_of(self.body))
        return found | {one.wanted.name for one in self.expectation.fields if isinstance(one.wanted, OfColumn)}

    def filled(self, row: Row) -> FilledRequest:
        """The request for a row. Raises `Unsendable`."""
        url = render_url(self.url, row)
        headers = {name: _header(template, row) for name, template in self.headers.items()}
        if not self.has_body:
            return FilledRequest(self.method, url, headers, None)
        if "content-type" not in {name.lower() for name in headers}:
            headers["Content-Type"] = "application/json"
        try:
            body = to_bytes(_filled(self.body, row))
        except NotJson:
            raise Unsendable("the body cannot be written as JSON") from None
        return FilledRequest(self.method, url, headers, body)


@dataclass(frozen=True, slots=True)
class FilledRequest:
    """What goes over the wire: all of it may be patient data, or a secret."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)


def _header(template: Template, row: Row) -> str:
    text = template.render(row, _text_of_header)
    if not HEADER_VALUE.fullmatch(text):
        raise Unsendable("a column's value cannot stand in a header, which takes printable ASCII")
    return text


def _text_of_header(value: Value) -> str:
    if value is None:
        raise Unsendable("a column of a header is NULL")
    return to_text(value)


def _filled(body: BodyTemplate, row: Row) -> Value:
    """A string that is one column becomes its value, of whatever type; in a longer one it becomes text."""
    match body:
        case Template(parts=(Column(name),)):
            return row[name]
        case Template():
            return body.render(row, to_text)
        case list():
            return [_filled(one, row) for one in body]
        case dict():
            return {name: _filled(one, row) for name, one in body.items()}
        case _:
            return body


def _columns_of(body: BodyTemplate) -> frozenset[str]:
    match body:
        case Template():
            return body.columns
        case list():
            return frozenset().union(*map(_columns_of, body))
        case dict():
            return frozenset().union(*map(_columns_of, body.values()))
        case _:
            return frozenset()
