"""The end of a run: the terminal, `report.json`, the same facts for people in `report.html`, and the exit code. Fields: docs/report.md."""

from __future__ import annotations

import dataclasses
import platform
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import orjson
from rich.console import Console

from pipeline import __version__
from pipeline.errors import Refused, Stopped
from pipeline.outcome.outcome import Outcome, Run
from pipeline.outcome.terminal import print_run
from pipeline.outcome.verdict import ExitCode, exit_code, verdict, words_of
from pipeline.places.place import StorageFailed
from pipeline.places.storage import OutputFolder
from pipeline.records.gather import Gathered, gather_records

JSON_NAME: Final = "report.json"
PAGE_NAME: Final = "report.html"
VALUES_PAGE_NAME: Final = "report-with-values.html"
SCHEMA_VERSION: Final = 1
"""Rises when a field goes or means something else; fields may be added without that."""


def end_run(console: Console, run_folder: OutputFolder, run: Run, *, as_json: bool = False) -> ExitCode:
    """Print how a run ended, and write its report; `as_json` prints that, too, for other programs. Raises `Stopped`."""
    print_run(console, run)
    report, gathered = _write_report(run_folder, run)
    kind = words_of(run.command, is_dry=run.is_dry).records
    if kind:
        is_there = any(count.kind == kind for count in gathered.counts)
        console.print(f"{kind.words:<15}{run_folder / kind}" if is_there else f"no {kind.words}")
    console.print(f"report         {run_folder / JSON_NAME}")
    console.print(f"page           {run_folder / PAGE_NAME}")
    if as_json:
        sys.stdout.buffer.write(report)
    return exit_code(run)


def _write_report(run_folder: OutputFolder, run: Run) -> tuple[bytes, Gathered]:
    try:
        gathered = gather_records(run_folder, run.attributes)
    except Refused as refused:
        message = "\n".join(f"{problem}; what is committed stays" for problem in refused.problems)
        raise Stopped(message) from None
    content = orjson.dumps(to_json(run, gathered), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    _write_whole(run_folder, JSON_NAME, content)
    _write_whole(run_folder, PAGE_NAME, _page(orjson.loads(content), gathered, run_folder))
    return content, gathered


def to_json(run: Run, gathered: Gathered) -> dict[str, Any]:
    """The content of `report.json`, of a run that ends now."""
    return {
        "schema_version": SCHEMA_VERSION,
        "ddb2pg": __version__,
        "run_id": run.run_id,
        "exit_code": exit_code(run),
        "verdict": verdict(run),
        "command": run.command,
        "is_dry": run.is_dry,
        "started_at": run.started_at,
        "finished_at": datetime.now(UTC),
        "versions": {
            "ddb2pg": __version__,
            "python": platform.python_version(),
            "beam": version("apache-beam"),
            "postgresql": run.database.server_version,
        },
        "database": run.database,
        "settings": run.settings,
        "attributes": run.attributes,
        "checks": run.checks,
        "tables": [table_to_json(outcome) for outcome in run.outcomes],
        "not_begun": run.not_begun,
        "records": gathered.counts,
    }


def table_to_json(outcome: Outcome) -> dict[str, Any]:
    """A table of a report: its tallies stand beside its other fields."""
    facts = {field.name: getattr(outcome, field.name) for field in dataclasses.fields(outcome) if field.name != "tallies"}
    return facts | dict(outcome.tallies)


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
        report: dict[str, Any] = orjson.loads(run_folder.storage.read(str(path)))
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
    from pipeline.outcome.page import render_page  # noqa: PLC0415 - its template engine takes long to import

    return render_page(report, gathered, str(run_folder.absolute()))


def _write_whole(folder: OutputFolder, name: str, content: bytes) -> None:
    """Write a file so that it appears whole or not at all, in the place of one that is there. Raises `Stopped`."""
    try:
        file = folder.new_file(name)
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
