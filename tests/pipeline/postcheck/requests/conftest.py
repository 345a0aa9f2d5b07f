"""A server of HTTP and a file of requests, checked and sent without comparing anything."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.logs import silence_clients
from pipeline.outcome.outcome import Check
from pipeline.postcheck.send_requests import check_requests, send_requests
from tests.pipeline.postcheck.requests.web_server import WebServer
from tests.pipeline.target.made_loads import reference_to
from tests.postgres_server import Database


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer() as web:
        yield web


class RequestFile:
    """A file of requests, written by a test; `http://APP` stands for the server's URL in it."""

    def __init__(self, folder: Path, database: Database, web: WebServer) -> None:
        self.path = folder / "requests.toml"
        self._reference = reference_to(database.url)
        self._web = web

    def write(self, text: str) -> None:
        self.path.write_text(text.replace("http://APP", self._web.url), encoding="utf-8")

    def problems(self, text: str) -> list[str]:
        """What is wrong with it; nothing is ever sent then."""
        self.write(text)
        problems = check_requests(self.path, self._reference)[1]
        assert self._web.received == []
        return [problem.removeprefix(f"{self.path}") for problem in problems]

    def send(self, text: str) -> list[Check]:
        self.write(text)
        requests, problems = check_requests(self.path, self._reference)
        assert problems == []
        printed = io.StringIO()
        silence_clients()
        checks = send_requests(requests, self._reference, Console(file=printed, width=1_000))
        assert printed.getvalue().splitlines() == [f"request {check.name}: {check.detail}" for check in checks]
        return checks

    def send_one(self, text: str) -> Check:
        [check] = self.send(text)
        return check


@pytest.fixture
def file(tmp_path: Path, database: Database, web: WebServer) -> RequestFile:
    return RequestFile(tmp_path, database, web)
