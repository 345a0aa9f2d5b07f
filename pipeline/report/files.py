"""`report.json`: the facts of a run for other programs."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from pipeline import __version__
from pipeline.storage.output import OutputFolder


def write_report(
    run_folder: OutputFolder,
    exit_code: int,
    results: Sequence[object],
    *,
    checks: Sequence[object] | None = None,
    requests: Sequence[object] | None = None,
) -> OutputFolder:
    """Write the report of a run into its folder; a result is a dataclass, one a table, and so is that of a check or a request."""
    path = run_folder / "report.json"
    report: dict[str, object] = {"ddb2pg": __version__, "run_id": run_folder.name, "exit_code": exit_code, "tables": results}
    if checks is not None:
        report["checks"] = checks
    if requests is not None:
        report["requests"] = requests
    path.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return path
