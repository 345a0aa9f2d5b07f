"""`report.json`: the facts of a run for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import orjson

from pipeline import __version__


def write_report(run_folder: Path, exit_code: int, results: Sequence[object], checks: Sequence[object] | None = None) -> Path:
    """Write the report of a run into its folder; a result is a dataclass, one a table, and so is a check."""
    path = run_folder / "report.json"
    report: dict[str, object] = {"ddb2pg": __version__, "run_id": run_folder.name, "exit_code": exit_code, "tables": results}
    if checks is not None:
        report["checks"] = checks
    path.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return path
