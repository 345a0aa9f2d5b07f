"""Runs with reports, and run folders made by hand; what a page holds is read without our code."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

import pipeline.outcome
from pipeline.outcome.report import rewrite_page
from pipeline.places.storage import OutputFolder
from tests.command_line import CommandLine
from tests.truth import records

TABLES = ("medzen-video-sessions", "medzen-soap-notes", "medzen-meeting-audit")
SCHEMA: dict[str, Any] = json.loads((Path(pipeline.outcome.__file__).parent / "report.schema.json").read_bytes())
PASSWORD = "hunter2-of-the-database"
REQUESTS = """
[[request]]
name = "all is well"
url = "http://APP/health"
[request.expect]
status = 200

[[request]]
name = "nothing for strangers"
url = "http://APP/rest/v1/clinical_notes?select=id"
[request.expect]
status = 401
"""
"""`http://APP` stands for a server that answers 200."""


@dataclass(frozen=True)
class Reported:
    """One export with faults, migrated, changed, and validated."""

    folder: Path
    run: CommandLine
    migrated: Path
    validated: Path

    def dead_letters(self) -> list[dict[str, Any]]:
        return [record for table in TABLES for record in records(self.migrated / "dead_letters" / table)]


@dataclass(frozen=True)
class TakenBack:
    """The same, replayed and rolled back: the folders of these runs."""

    replayed: Path
    looked: Path
    rolled_back: Path


def problems_of(report: dict[str, Any]) -> list[str]:
    """Where it is not as its schema says."""
    return [error.message for error in Draft202012Validator(SCHEMA).iter_errors(report)]


def entries_in(page: Path) -> dict[str, Any]:
    """The packed entries of a page."""
    found = re.search(r'<script type="text/plain" id="entries">([A-Za-z0-9+/=]*)</script>', page.read_text(encoding="utf-8"))
    assert found
    entries: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(found[1])))
    return entries


def everything_in(page: Path) -> str:
    """All text of a page, packed or not."""
    return page.read_text(encoding="utf-8") + json.dumps(entries_in(page), ensure_ascii=False)


def strings_of(value: object) -> Iterator[str]:
    """Every string that an attribute value holds, however deep."""
    match value:
        case {"S": str() as text} | {"N": str() as text}:
            yield text
        case dict():
            for inner in value.values():
                yield from strings_of(inner)
        case list():
            for inner in value:
                yield from strings_of(inner)


# -- made by hand --------------------------------------------------------------------------------------------------------------------------


def error(code: str, attribute: str | None = None, message: str = "is wrong", **others: str) -> dict[str, Any]:
    return {"code": code, "attribute": attribute, "column": None, "message": message, "sqlstate": None, **others}


def dead_letter(number: int, *errors: Mapping[str, Any], item: Mapping[str, Any] | None = None, **changed: Any) -> dict[str, Any]:
    """A record as docs/dead-letters.md describes it."""
    return {
        "run_id": "20261123T000000.000-abcdef",
        "source_table": "things",
        "target_table": "public.thing",
        "export_id": "01",
        "data_file": "one.json.gz",
        "item_number": number,
        "stage": "transform",
        "errors": list(errors),
        "item": json.dumps({"Item": {"id": {"S": f"value-of-{number}"}} if item is None else item}),
        "item_encoding": "utf-8",
        "rejected_at": "2026-11-23T00:00:00+00:00",
        **changed,
    }


def mismatch(kind: str, *columns: str) -> dict[str, Any]:
    """A record as docs/validation.md describes it."""
    address = {name: value for name, value in dead_letter(0).items() if name in {"run_id", "source_table", "target_table", "export_id"}}
    return {
        **address,
        "data_file": "one.json.gz",
        "item_number": 0,
        "kind": kind,
        "key": {"id": {"S": "value-of-0"}},
        "primary_key": None,
        "columns": list(columns),
        "refused": None,
    }


def make_run(folder: Path, dead_letters: Iterable[Mapping[str, Any]], *, attributes: Iterable[str] = ("id",), **others: Any) -> Path:
    """A run's folder with these dead letters of one table, and a report of a load that had them."""
    run_folder = folder / "20261123T000000.000-abcdef"
    of_table = run_folder / "dead_letters" / "things"
    of_table.mkdir(parents=True)
    count = 0
    with gzip.open(of_table / "one.json.gz.jsonl.gz", "wt", encoding="utf-8") as stream:
        for record in dead_letters:
            stream.write(json.dumps(record, ensure_ascii=False) + "\n")
            count += 1
    table = {
        "source_table": "things",
        "target_table": "public.thing",
        "export_id": "01",
        "counted": "item",
        "total": count + 7,
        "total_words": "in the manifest",
        "seen": count + 7,
        "seen_words": "read",
        "parts": [
            {"name": "rows", "words": "rows", "count": 7, "kind": "good"},
            {"name": "dead_letters", "words": "dead letters", "count": count, "kind": "review"},
        ],
        "warnings": [],
        "checks": [],
        "totals": {"items": count + 7, "rows": 7, "dead_letters": count, "filtered": 0, "notices": 0},
        "target_rows": 7,
        "dead_letter_codes": {},
        "filter_reasons": {},
        "notice_codes": {},
        "done_now": count + 7,
        "seconds": 2.0,
        "problems": [],
        "runs": [],
    }
    report = {
        "schema_version": 1,
        "ddb2pg": "0",
        "run_id": run_folder.name,
        "exit_code": 3,
        "verdict": {"state": "review", "sentence": "Every item is accounted for", "details": []},
        "started_at": "2026-11-23T00:00:00+00:00",
        "finished_at": "2026-11-23T00:00:02+00:00",
        "database": {"host": "localhost", "port": 5432, "name": "things", "user": "loader", "server_version": "18"},
        "settings": {},
        "versions": {"ddb2pg": "0", "python": "3", "beam": "2", "postgresql": "18"},
        "command": "migrate",
        "is_dry": False,
        "checks": {},
        "not_begun": [],
        "attributes": {"things": list(attributes)},
        "tables": [table],
        "records": [],
        **others,
    }
    (run_folder / "report.json").write_text(json.dumps(report), encoding="utf-8")
    return run_folder


def page_of(run: Path, page: Path | None, *, show_values: bool) -> Path:
    """The page of a run's folder, as `ddb2pg report` makes it."""
    return Path(str(rewrite_page(OutputFolder(str(run)), page, show_values=show_values)))
