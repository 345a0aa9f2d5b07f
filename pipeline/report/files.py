"""`report.json`, the facts of a run for other programs, and `report.html`, the same for people. Their fields: docs/report.md."""

from __future__ import annotations

import os
import platform
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import orjson

from pipeline import __version__
from pipeline.errors import Refused, Stopped
from pipeline.report.page.page import render_page
from pipeline.report.records.gather import gather_records
from pipeline.report.run_facts import RunFacts
from pipeline.report.verdict import verdict_of

JSON_NAME: Final = "report.json"
PAGE_NAME: Final = "report.html"
VALUES_PAGE_NAME: Final = "report-with-values.html"
SCHEMA_VERSION: Final = 1
"""Rises when a field goes or means something else; fields may be added without that."""


def write_report(run_folder: Path, exit_code: int, results: Sequence[object], facts: RunFacts | None = None) -> Path:
    """Write the report of a run into its folder; a result is a dataclass, one a table. Returns the page's path."""
    gathered = gather_records(run_folder, facts.attributes if facts else {})
    report = {
        "schema_version": SCHEMA_VERSION,
        "ddb2pg": __version__,
        "run_id": run_folder.name,
        "exit_code": exit_code,
        "verdict": verdict_of(exit_code, results),
        "finished_at": datetime.now(UTC),
        "versions": {
            "ddb2pg": __version__,
            "python": platform.python_version(),
            "beam": version("apache-beam"),
            "postgresql": facts.database.server_version if facts else None,
        },
        **(_of_facts(facts) if facts else {}),
        "tables": results,
        "records": gathered.counts,
    }
    content = orjson.dumps(report, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    write_whole(run_folder / JSON_NAME, content, mode=0o644)
    page = run_folder / PAGE_NAME
    write_whole(page, render_page(orjson.loads(content), gathered, run_folder), mode=0o644)
    return page


def rewrite_page(run_folder: Path, output: Path | None, *, show_values: bool) -> Path:
    """Make the page again from what is in a run's folder; returns its path. Raises `Refused`, `Stopped`."""
    path = run_folder / JSON_NAME
    try:
        report = orjson.loads(path.read_bytes())
    except OSError as error:
        message = f"{path}: cannot be read ({error.strerror}); give the folder of a run that came to its end"
        raise Refused([message]) from None
    except orjson.JSONDecodeError:
        raise Refused([f"{path}: is no report; give the folder of a run that came to its end"]) from None
    if report.get("schema_version") != SCHEMA_VERSION:
        message = (
            f"{path}: has schema_version {report.get('schema_version', 'none')}, and not {SCHEMA_VERSION}; use the ddb2pg that wrote it"
        )
        raise Refused([message])
    gathered = gather_records(run_folder, report.get("attributes", {}), show_values=show_values)
    page = output or run_folder / (VALUES_PAGE_NAME if show_values else PAGE_NAME)
    write_whole(page, render_page(report, gathered, run_folder), mode=0o600 if show_values else 0o644)
    return page


def _of_facts(facts: RunFacts) -> dict[str, Any]:
    return {
        "command": facts.command,
        "started_at": facts.started_at,
        "database": facts.database,
        "settings": facts.settings,
        "attributes": facts.attributes,
        **facts.checks,
    }


def write_whole(path: Path, content: bytes, *, mode: int) -> None:
    """Write a file so that it appears whole or not at all, in the place of one that is there. Raises `Stopped`."""
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        part.rename(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        message = f"{path}: cannot be written ({error.strerror}); make room, or give another place, and run the same command again"
        raise Stopped(message) from None
