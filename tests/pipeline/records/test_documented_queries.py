"""The queries of docs/dead-letters.md, as they stand there, against files in both formats."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from pipeline.records.kinds import RecordFormat, RecordKind
from tests.pipeline.records.conftest import LoadedExport
from tests.truth import records
from transforms.tables.medzen import TABLES

PAGE = (Path(__file__).parents[3] / "docs" / "dead-letters.md").read_text(encoding="utf-8")


def _blocks(heading: str, language: str) -> list[str]:
    section = re.split(r"^##", PAGE.partition(f"\n### {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    return re.findall(rf"^```{language}\n(.+?)^```", section, flags=re.MULTILINE | re.DOTALL)


def _of_run(text: str, run_folder: Path) -> str:
    return text.replace("RUN/", f"{run_folder}/")


def _errors(loaded: LoadedExport) -> Counter[tuple[str, str, str | None]]:
    """By table, code and attribute, read without any of the tools."""
    folder = loaded.run_folders[RecordFormat.JSONL] / RecordKind.DEAD_LETTERS
    return Counter(
        (table.source, error["code"], error["attribute"])
        for table in TABLES
        for record in records(folder / table.source)
        for error in record["errors"]
    )


@pytest.mark.parametrize("record_format", list(RecordFormat))
def test_duckdb(loaded: LoadedExport, record_format: RecordFormat) -> None:
    duckdb = pytest.importorskip("duckdb", reason="in the extra `test`")
    of_json, of_parquet, by_code, by_status, by_notice = _blocks("DuckDB", "sql")
    connection = duckdb.connect()
    connection.execute(_of_run(of_json if record_format is RecordFormat.JSONL else of_parquet, loaded.run_folders[record_format]))
    assert {row[:3]: row[3] for row in connection.execute(by_code).fetchall()} == _errors(loaded)
    statuses = dict(connection.execute(by_status).fetchall())
    assert statuses[""] > 0
    assert sum(statuses.values()) == sum(count for (_, code, _), count in _errors(loaded).items() if code == "invalid_enum")
    notices = loaded.run_folders[record_format] / RecordKind.NOTICES
    expected = Counter((record["code"], record["attribute"]) for table in TABLES for record in records(notices / table.source))
    found = connection.execute(by_notice).fetchall()
    assert {row[:2]: row[2] for row in found} == expected
    assert all(re.fullmatch(r"[0-9A-Fa-f-]{36}", row[3]) for row in found)


@pytest.mark.parametrize("record_format", list(RecordFormat))
def test_pandas(loaded: LoadedExport, record_format: RecordFormat) -> None:
    pytest.importorskip("pandas", reason="in the extra `test`")
    [program] = _blocks("pandas", "python")
    if record_format is RecordFormat.PARQUET:
        [line] = re.findall(r"^Parquet: `(dead_letters = pd\.[^`]+)`", PAGE, flags=re.MULTILINE)
        program = re.sub(r"^dead_letters = .+$", lambda _: line, program, flags=re.MULTILINE)
    space: dict[str, object] = {}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(_of_run(program, loaded.run_folders[record_format]), space)  # noqa: S102 - our own page
    errors = space["errors"]
    found = Counter(
        (row.source_table, row.code, row.attribute if isinstance(row.attribute, str) else None)
        for row in errors.itertuples()  # type: ignore[attr-defined]
    )
    assert found == _errors(loaded)
    assert "medzen-soap-notes" in printed.getvalue()


def test_jq(loaded: LoadedExport) -> None:
    if subprocess.run(["sh", "-c", "command -v jq"], capture_output=True, check=False).returncode:
        pytest.skip("there is no jq")
    by_code, by_status = (_of_run(block, loaded.run_folders[RecordFormat.JSONL]) for block in _blocks("jq", "sh"))
    printed = subprocess.run(["sh", "-c", by_code], capture_output=True, text=True, check=True).stdout
    found = {tuple(line.split(None, 1)[1].split("\t")): int(line.split()[0]) for line in printed.split("\n") if line}
    expected: Counter[tuple[str, str]] = Counter()
    for (_, code, attribute), count in _errors(loaded).items():
        expected[code, attribute or ""] += count
    assert {(code, *rest, "")[:2]: count for (code, *rest), count in found.items()} == expected
    assert len(subprocess.run(["sh", "-c", by_status], capture_output=True, check=True).stdout.splitlines()) > 10
