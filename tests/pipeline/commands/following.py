"""`follow` and its neighbours in this process, with the clock of DynamoDB under the test's control."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.faults.jobs import Job
from tests.living_table import LivingTable
from tests.plain_windows import use_plain_visits
from tests.postgres_server import Database


class Following:
    """`follow` in this process, with the clock of DynamoDB moved on in place of each pause."""

    def __init__(self, table: LivingTable, database: Database, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
        self.table, self.database, self.job = table, database, job
        self.pauses: list[float] = []
        self.most_pauses = 0
        self.meanwhile: Callable[[int], None] = lambda _: None
        """Called with the number of each pause."""
        use_plain_visits(monkeypatch)
        for module in ("follow", "cutover"):
            monkeypatch.setattr(f"pipeline.commands.{module}.pause", self._pause)
        assert job.migrate(database.url, table.full_export(), "--tables", str(table.definition)) == 0, job.printed

    def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.meanwhile(len(self.pauses))
        if len(self.pauses) > self.most_pauses:
            raise KeyboardInterrupt
        self.table.dynamodb.ahead += timedelta(seconds=seconds)

    def __call__(self, *arguments: str) -> int:
        return self.job(self.database.url, "follow", *self.table.options, "--output", self.job.output, *arguments)

    def once(self, *arguments: str) -> int:
        return self("--once", *arguments)

    def names(self) -> dict[str, Any]:
        return dict(self.database.query("SELECT id::text, name FROM thing"))

    def end(self) -> datetime:
        """To where windows are applied."""
        return self.database.value("SELECT max(window_to) FROM ddb2pg.load WHERE finished_at IS NOT NULL").astimezone(UTC)

    def assert_whole(self) -> None:
        """What DynamoDB held at the end of the last window, no less and no more; and nobody was asked twice."""
        assert self.names() == self.table.names_at(self.end())
        windows = [export.window for export in self.table.dynamodb.exports if export.status != "FAILED"]
        assert windows[0][0] == datetime.fromtimestamp(self.table.begin, UTC)
        assert all(first[1] == second[0] for first, second in itertools.pairwise(windows))
