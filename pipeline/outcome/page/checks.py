"""Lists of checks, whoever made them: any list of a report whose members say what was checked, and the verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_NAMES: Final = ("check", "name", "code")
_DETAILS: Final = ("detail", "details", "sentence", "message")
# How a verdict is shown; one that is not known here is shown as a remark.
_STATES: Final = {
    **dict.fromkeys(("pass", "passed", "ok"), "good"),
    **dict.fromkeys(("fail", "failed", "problem", "error"), "bad"),
    **dict.fromkeys(("warn", "warning"), "warn"),
}
_HEADINGS: Final = {"checks": "SQL checks", "gates": "Held against the export before the next table was begun"}
_QUIET: Final = frozenset({"fact"})


@dataclass(frozen=True, slots=True)
class Check:
    """One row."""

    name: str
    state: str
    verdict: str
    detail: str
    table: str


@dataclass(frozen=True, slots=True)
class CheckList:
    """One list; what is only worth knowing can be opened."""

    heading: str
    rows: tuple[Check, ...]
    facts: tuple[Check, ...]
    has_tables: bool


def check_lists(report: Mapping[str, Any]) -> tuple[CheckList, ...]:
    """Those of the run first, then those of each table."""
    return tuple(_check_list(heading, rows) for heading, rows in _found(report))


def _found(report: Mapping[str, Any]) -> Iterator[tuple[str, list[Check]]]:
    for key, value in report.items():
        if _is_check_list(value):
            yield _heading(key), [_check(row, "") for row in value]
    of_tables: dict[str, list[Check]] = {}
    for table in report.get("tables", ()):
        for key, value in table.items():
            if _is_check_list(value):
                of_tables.setdefault(_heading(key), []).extend(_check(row, str(table.get("source_table", ""))) for row in value)
    yield from of_tables.items()


def _is_check_list(value: object) -> bool:
    """One whose rows have a verdict, or list failures, which is one, too."""
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        return False
    return all(isinstance(row, Mapping) and row.keys() & {"verdict", "failures"} and row.keys() & set(_NAMES) for row in value)


def _heading(key: str) -> str:
    return _HEADINGS.get(key) or key.replace("_", " ").capitalize()


def _check(row: Mapping[str, Any], table: str) -> Check:
    name = next(str(row[name]) for name in _NAMES if name in row)
    verdict = str(row["verdict"]).lower() if "verdict" in row else "fail" if row["failures"] else "pass"
    return Check(name, _STATES.get(verdict, "plain"), verdict, "; ".join(_details(row)), str(row.get("table") or table))


def _details(row: Mapping[str, Any]) -> Iterator[str]:
    yield from (str(row[detail]) for detail in _DETAILS if row.get(detail))
    for failure in row.get("failures", ()):
        yield str(failure.get("sentence", failure)) if isinstance(failure, Mapping) else str(failure)


def _check_list(heading: str, checks: Sequence[Check]) -> CheckList:
    rows = tuple(check for check in checks if check.verdict not in _QUIET)
    facts = tuple(check for check in checks if check.verdict in _QUIET)
    return CheckList(heading, rows, facts, any(check.table for check in checks))
