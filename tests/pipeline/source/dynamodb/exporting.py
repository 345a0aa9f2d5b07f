"""`export_tables` as the tests call it: in this process, or in one of its own that can be killed."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from pipeline.places.place import AwsSettings
from pipeline.source.ask_dynamodb import RequestedExport, export_tables
from pipeline.source.export_plan import ExportOptions
from pipeline.source.windows import Applied, WantedWindows

THREE = ("medzen-video-sessions", "medzen-soap-notes", "medzen-meeting-audit")
BUCKET, PREFIX = "clinic-exports", "to-postgres"
_ROOT = Path(__file__).parents[4]
_PROGRAM = f"""
import sys
from rich.console import Console
from pipeline.places.place import AwsSettings
from pipeline.source.ask_dynamodb import export_tables
from pipeline.source.export_plan import ExportOptions
options = ExportOptions({THREE!r}, {BUCKET!r}, {PREFIX!r}, poll_seconds=0.05, most_poll_seconds=0.05)
export_tables(options, AwsSettings(sys.argv[1]), Console(soft_wrap=True))
"""


@dataclass
class Exporting:
    """Remembers what was printed last."""

    endpoint_url: str
    output: str = ""
    settings: dict[str, Any] = field(default_factory=dict)

    def __call__(self, *tables: str, terminal: bool = False, **options: Any) -> list[RequestedExport]:
        stream = io.StringIO()
        console = Console(file=stream, force_terminal=terminal, soft_wrap=not terminal, width=100)
        given = {"bucket": BUCKET, "prefix": PREFIX, "poll_seconds": 0.01, "most_poll_seconds": 0.02, **options}
        try:
            return export_tables(ExportOptions(tables or THREE, **given), AwsSettings(self.endpoint_url, **self.settings), console)
        finally:
            self.output = stream.getvalue()

    def windows(self, begin: datetime | Mapping[str, Applied], *tables: str, **options: Any) -> list[RequestedExport]:
        """Of all tables, or of those that are named; `until` and `view` among the options."""
        applied = begin if isinstance(begin, Mapping) else dict.fromkeys(tables or THREE, Applied(begin))
        wanted = WantedWindows(applied, options.pop("until", None), options.pop("view", None))
        return self(*(tables or applied), windows=wanted, **options)

    def start_process(self) -> subprocess.Popen[str]:
        """Of the three tables; in a process group of its own."""
        command = [sys.executable, "-c", _PROGRAM, self.endpoint_url]
        return subprocess.Popen(
            command, cwd=_ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
