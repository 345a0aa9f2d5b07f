"""The three MedZen tables drafted from a sample export: where the draft differs from what a person wrote, a person must decide.

A difference is `what the draft has -> what the person has`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipeline.definitions.find import find_tables
from sample_export import write_sample_exports
from tests.command_line import CommandLine
from transforms.sources import REST
from transforms.table import Column, Missing, Table
from transforms.tables.medzen import TABLES

# That a time that is missing becomes the load's was decided; no item of a sound export shows it.
_AT_MIGRATION = "REFUSED -> MIGRATION_TIME"
# A component that is missing becomes {}; whoever reads the column needs one.
_COMPONENT = "none -> soapData.{} Jsonb Otherwise(content={{'M': {{}}}})"
DIFFERENCES: dict[str, dict[str, str]] = {
    "medzen-video-sessions": {
        **dict.fromkeys(("start_time", "end_time", "created_at", "updated_at"), _AT_MIGRATION),
        # Values are not told unless they are asked for.
        "status": "Text -> OneOf",
        # Others than UUIDs are kept, for somebody to look into.
        "meeting_id": "Uuid -> Text",
        "transcription_enabled": "NULL -> Otherwise(content=False)",
    },
    "medzen-soap-notes": {
        **dict.fromkeys(("created_at", "updated_at"), _AT_MIGRATION),
        "status": "Text -> OneOf",
        # A map whole, or its members one by one.
        "soap_data": "soapData Jsonb REFUSED -> none",
        "chief_complaint": "none -> soapData.chiefComplaint Text NULL",
        **{name: _COMPONENT.format(name) for name in ("subjective", "objective", "assessment", "plan")},
        "note_type": "none -> None Text Otherwise(content='SOAP')",
    },
    "medzen-meeting-audit": {
        # Nobody who looks at items alone can know that an id may come again.
        "key": "('id',) -> ('id', 'timestamp')",
        "event_type": "Text -> UpperCased",
        "timestamp": "timestamp Timestamp REFUSED -> none",
        "created_at": "createdAt -> LaterOf(first='timestamp', second='createdAt'); NULL -> REFUSED",
    },
}


@pytest.fixture(scope="module")
def drafts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Table]:
    folder = tmp_path_factory.mktemp("medzen")
    write_sample_exports(folder / "e", items=3_000, seed=3, faulty=0, odd=0)
    run = CommandLine("postgresql://nobody@127.0.0.1:1/none", folder)
    found = {}
    for table in TABLES:
        file = folder / f"{table.source.replace('-', '_')}.py"
        finished = run("draft", "--export", folder / "e" / table.source, "--output", file, AWS_EC2_METADATA_DISABLED="true")
        assert finished.exit_code == 0, finished.output
        [found[table.source]] = find_tables(str(file))
    return found


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.source)
def test_a_draft_differs_where_a_person_must_decide(table: Table, drafts: dict[str, Table]) -> None:
    assert dict(_differences(drafts[table.source], table)) == DIFFERENCES[table.source]


def _differences(drafted: Table, written: Table) -> Iterator[tuple[str, str]]:
    if drafted.key != written.key:
        yield "key", f"{drafted.key} -> {written.key}"
    ours = {column.name: column for column in drafted.columns if column.source is not REST}
    theirs = {column.name: column for column in written.columns}
    for name in (*ours, *(name for name in theirs if name not in ours)):
        mine, other = ours.get(name), theirs.get(name)
        if mine is None or other is None:
            yield name, f"{_told(mine)} -> {_told(other)}"
        elif told := [f"{a} -> {b}" for a, b in zip(_parts(mine), _parts(other), strict=True) if a != b]:
            yield name, "; ".join(told)


def _told(column: Column | None) -> str:
    return "none" if column is None else " ".join(_parts(column))


def _parts(column: Column) -> tuple[str, str, str]:
    missing = column.missing.name if isinstance(column.missing, Missing) else repr(column.missing)
    return str(column.source), type(column.rule).__name__, missing
