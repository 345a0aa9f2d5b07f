"""What became of one request of the file, for the terminal and `report.json`: nothing of what was sent or answered is in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.outcome.outcome import Check, Verdict
from pipeline.postcheck.requests.expectations import FailureKind


@dataclass(frozen=True, slots=True)
class CountedFailure:
    """One thing that was not as the file says, and for how many rows."""

    kind: FailureKind
    path: str | None
    """The JSON Pointer of the field, where it is one."""
    sentence: str
    count: int

    @property
    def place(self) -> str:
        """The field, before the sentence."""
        return f"{self.path} " if self.path else "the JSON as a whole " if self.path == "" else ""


@dataclass(frozen=True, slots=True)
class RequestResult:
    """One request."""

    name: str
    method: str
    tried: int
    """Rows that it was to be sent for; 1 without a query."""
    failed: int
    statuses: Mapping[str, int]
    """How many answers had a status."""
    failures: Sequence[CountedFailure]
    seconds: float

    @property
    def is_as_expected(self) -> bool:
        """Whether every answer was."""
        return not self.failures

    @property
    def as_check(self) -> Check:
        """For the report."""
        statuses = ", ".join(f"{count:,} x {status}" for status, count in self.statuses.items()) or "no answer"
        detail = f"{self.method}, {self.tried:,} tried in {self.seconds:.1f} s, {statuses}"
        if self.is_as_expected:
            return Check(self.name, Verdict.PASS, f"{detail}: as expected")
        failures = [f"{failure.count:,}: {failure.place}{failure.sentence} ({failure.kind})" for failure in self.failures]
        return Check(self.name, Verdict.FAIL, "; ".join([f"{detail}: {self.failed:,} NOT as expected", *failures]))
