"""The end of a run: what is printed, `report.json`, the same facts for people in `report.html`, the exit code. Fields: docs/report.md."""

from __future__ import annotations

import dataclasses
import platform
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import orjson
from rich.console import Console

from pipeline import __version__
from pipeline.errors import Refused, Stopped
from pipeline.outcome.outcome import Begun, Outcome, Run
from pipeline.outcome.terminal import print_advice, print_failures, print_place, print_run, print_verdict
from pipeline.outcome.verdict import ExitCode, RunVerdict, exit_code, state_of, verdict, words_of
from pipeline.places.place import StorageFailed
from pipeline.places.storage import OutputFolder
from pipeline.records.gather import Gathered, gather_records
from pipeline.records.kinds import RecordKind
from pipeline.records.reading import REPORT_FILE

PAGE_NAME: Final = "report.html"
VALUES_PAGE_NAME: Final = "report-with-values.html"
SCHEMA_VERSION: Final = 1
"""Rises when a field goes or means something else; fields may be added without that."""


def end_run(run: Run, console: Console, *, as_json: bool = False, quiet: bool = False) -> ExitCode:
    """Write the report of a run that has a folder, and print how the run ended: for people, and `as_json` for programs, too.

    Quiet, people get what failed and the verdict. Raises `Stopped`.
    """
    content = None
    if run.begun:
        content, gathered = _write_report(run, run.begun)
    print_run(console, run)
    if run.begun:
        _print_places(console, run, run.begun.folder, gathered)
    for name, place in run.places.items():
        print_place(console, name, place)
    if run.begun and gathered and any(count.kind == RecordKind.DEAD_LETTERS for count in gathered.counts):
        print_place(console, "next", f"{_program()} dead-letters summary {shlex.quote(str(run.begun.folder))}")
    print_advice(console, run)
    if quiet and not as_json:
        console.quiet = False
        print_failures(console, run)
    print_verdict(console, run)
    if as_json and not words_of(run.command).is_stream:
        sys.stdout.buffer.write(content or _to_bytes(to_json(run)))
    return exit_code(run)


def _program() -> str:
    """As it can be typed here: with its folder, where that is not among those that are searched, as from an environment."""
    started = Path(sys.argv[0])
    return shlex.quote(str(started)) if started.name == "ddb2pg" and shutil.which("ddb2pg") is None else "ddb2pg"


def _print_places(console: Console, run: Run, folder: OutputFolder, gathered: Gathered) -> None:
    kind = words_of(run.command, is_dry=run.is_dry).records
    if kind and any(count.kind == kind for count in gathered.counts):
        print_place(console, kind.words, folder / kind)
    elif kind is RecordKind.DEAD_LETTERS and any(outcome.count("dead_letters") for outcome in run.outcomes):
        print_place(console, kind.words, "in the folders of earlier runs")
    elif kind:
        console.print(f"no {kind.words}")
    print_place(console, "report", folder / REPORT_FILE)
    print_place(console, "page", folder / PAGE_NAME)


def _write_report(run: Run, begun: Begun) -> tuple[bytes, Gathered]:
    try:
        gathered = gather_records(begun.folder, begun.attributes)
    except Refused as refused:
        message = "\n".join(f"{problem}; what is committed stays" for problem in refused.problems)
        raise Stopped(message) from None
    content = _to_bytes(to_json(run, gathered))
    _write_whole(begun.folder, REPORT_FILE, content)
    _write_whole(begun.folder, PAGE_NAME, _page(orjson.loads(content), gathered, begun.folder))
    return content, gathered


def _to_bytes(value: object) -> bytes:
    return orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def to_json(run: Run, gathered: Gathered | None = None) -> dict[str, Any]:
    """What `--json` prints of a run that ends now. Of one with a folder that is the content of `report.json`, and `gathered` is in it."""
    return {
        **_frame(run.command, exit_code(run), verdict(run)),
        "is_dry": run.is_dry,
        "checks": run.checks,
        "tables": [table_to_json(outcome) for outcome in run.outcomes],
        "not_begun": run.not_begun,
        "left_running": run.left_running,
        **run.results,
        **(_begun_to_json(run.begun) if run.begun else {}),
        **({"records": gathered.counts} if gathered else {}),
    }


def print_early_end(command: str, code: int, sentence: str, details: Sequence[str]) -> None:
    """What `--json` prints of a command that was refused, or ended on its way: the same fields, as far as there are any."""
    sys.stdout.buffer.write(_to_bytes(_frame(command, code, RunVerdict(state_of(code), sentence, tuple(details)))))


def _frame(command: str, code: int, told: RunVerdict) -> dict[str, Any]:
    return {"schema_version": SCHEMA_VERSION, "ddb2pg": __version__, "command": command, "exit_code": code, "verdict": told}


def _begun_to_json(begun: Begun) -> dict[str, Any]:
    return {
        "run_id": begun.run_id,
        "started_at": begun.started_at,
        "finished_at": datetime.now(UTC),
        "versions": {
            "ddb2pg": __version__,
            "python": platform.python_version(),
            "beam": version("apache-beam"),
            "postgresql": begun.database.server_version,
        },
        "database": begun.database,
        "settings": begun.settings,
        "attributes": begun.attributes,
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
    path = run_folder / REPORT_FILE
    try:
        report: dict[str, Any] = orjson.loads(run_folder.storage.read(str(path)))
    except OSError as error:
        reason = error.strerror or "there is no such file"
        raise Refused([f"{path}: cannot be read ({reason}); give the folder of a run that finished"]) from None
    except orjson.JSONDecodeError:
        raise Refused([f"{path}: is no report; give the folder of a run that finished"]) from None
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
