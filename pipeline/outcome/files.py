"""`report.json`, the facts of a run for other programs, and `report.html`, the same for people. Their fields: docs/report.md."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import orjson
from rich.console import Console

from pipeline import __version__
from pipeline.errors import Refused, Stopped
from pipeline.outcome.check_results import SqlCheck
from pipeline.outcome.run_facts import RunFacts
from pipeline.outcome.verdict import Asked, verdict_of
from pipeline.places import StorageFailed
from pipeline.places.output import OutputFolder, new_file, storage_of
from pipeline.records.gather import Gathered, gather_records

JSON_NAME: Final = "report.json"
PAGE_NAME: Final = "report.html"
VALUES_PAGE_NAME: Final = "report-with-values.html"
SCHEMA_VERSION: Final = 1
"""Rises when a field goes or means something else; fields may be added without that."""


def write_report(
    run_folder: OutputFolder,
    exit_code: int,
    results: Sequence[object],
    facts: RunFacts,
    *,
    checks: Sequence[SqlCheck] | None = None,
    requests: Sequence[Asked] | None = None,
) -> None:
    """Write the report of a run into its folder; a result is a dataclass, one a table, and so is that of a SQL check or a request.

    Raises `Stopped`.
    """
    try:
        gathered = gather_records(run_folder, facts.attributes)
    except Refused as refused:
        message = "\n".join(f"{problem}; what is committed stays" for problem in refused.problems)
        raise Stopped(message) from None
    report = {
        "schema_version": SCHEMA_VERSION,
        "ddb2pg": __version__,
        "run_id": run_folder.name,
        "exit_code": exit_code,
        "verdict": verdict_of(exit_code, results, checks or (), requests or ()),
        "command": facts.command,
        "started_at": facts.started_at,
        "finished_at": datetime.now(UTC),
        "versions": {
            "ddb2pg": __version__,
            "python": platform.python_version(),
            "beam": version("apache-beam"),
            "postgresql": facts.database.server_version,
        },
        "database": facts.database,
        "settings": facts.settings,
        "attributes": facts.attributes,
        **facts.checks,
        **({} if checks is None else {"checks": checks}),
        **({} if requests is None else {"requests": requests}),
        "tables": results,
        "records": gathered.counts,
    }
    content = orjson.dumps(report, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    _write_whole(run_folder, JSON_NAME, content)
    _write_whole(run_folder, PAGE_NAME, _page(orjson.loads(content), gathered, run_folder))


def print_report(console: Console, run_folder: OutputFolder) -> None:
    """Where the report of a run is."""
    console.print(f"report         {run_folder / JSON_NAME}")
    console.print(f"page           {run_folder / PAGE_NAME}")


def rewrite_page(run_folder: OutputFolder, page: Path | None, *, show_values: bool) -> Path | OutputFolder:
    """Make the page again from what is in a run's folder; returns where it is. Raises `Refused`, `Stopped`, `StorageFailed`."""
    report = _read_report(run_folder)
    gathered = gather_records(run_folder, report.get("attributes", {}), show_values=show_values)
    target = page or run_folder / (VALUES_PAGE_NAME if show_values else PAGE_NAME)
    _write_whole(OutputFolder(str(page.parent)) if page else run_folder, target.name, _page(report, gathered, run_folder))
    return target


def _read_report(run_folder: OutputFolder) -> dict[str, Any]:
    path = run_folder / JSON_NAME
    try:
        report: dict[str, Any] = orjson.loads(storage_of(run_folder).read(str(path)))
    except OSError as error:
        reason = error.strerror or "there is no such file"
        raise Refused([f"{path}: cannot be read ({reason}); give the folder of a run that came to its end"]) from None
    except orjson.JSONDecodeError:
        raise Refused([f"{path}: is no report; give the folder of a run that came to its end"]) from None
    if report.get("schema_version") != SCHEMA_VERSION:
        message = (
            f"{path}: has schema_version {report.get('schema_version', 'none')}, and not {SCHEMA_VERSION}; use the ddb2pg that wrote it"
        )
        raise Refused([message])
    return report


def _page(report: Mapping[str, Any], gathered: Gathered, run_folder: OutputFolder) -> bytes:
    from pipeline.outcome.page.page import render_page  # noqa: PLC0415 - its template engine takes long to import

    return render_page(report, gathered, str(run_folder.absolute()))


def _write_whole(folder: OutputFolder, name: str, content: bytes) -> None:
    """Write a file so that it appears whole or not at all, in the place of one that is there. Raises `Stopped`."""
    try:
        file = new_file(folder, name)
        try:
            file.stream.write(content)
            file.keep()
        except (OSError, StorageFailed):
            file.discard()
            raise
    except StorageFailed as failed:
        message = f"{failed}; what is committed stays: run the same command again"
        raise Stopped(message) from None
    except OSError as error:
        message = f"{folder / name}: cannot be written ({error.strerror}); make room, or give another place, and run the same command again"
        raise Stopped(message) from None
