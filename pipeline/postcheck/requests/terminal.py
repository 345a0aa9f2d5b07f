"""What a person reads of the requests."""

from __future__ import annotations

from rich.console import Console

from pipeline.console import printable
from pipeline.postcheck.requests.result import RequestResult


def print_request(console: Console, result: RequestResult) -> None:
    """One, as soon as it is done."""
    statuses = ", ".join(f"{count:,} x {status}" for status, count in result.statuses.items()) or "no answer"
    verdict = "as expected" if result.is_as_expected else f"{result.failed:,} NOT as expected"
    line = f"request {printable(result.name)}: {result.method}, {result.tried:,} tried in {result.seconds:.1f} s, {statuses}: {verdict}"
    console.print(line, style=None if result.is_as_expected else "bold red", highlight=False, markup=False)
    for failure in result.failures:
        place = f"{printable(failure.path)} " if failure.path else "the JSON as a whole " if failure.path == "" else ""
        console.print(f"  {failure.count:,}: {place}{failure.sentence} ({failure.kind})", style="bold red", highlight=False, markup=False)
