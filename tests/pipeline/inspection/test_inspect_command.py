"""`ddb2pg inspect`, as a user types it: every shape of export, whole or not, without a database and without a value."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli import main
from pipeline.inspection import inspect_exports
from sample_export import write_sample_exports
from tests.aws_server import AwsServer
from tests.command_line import CommandLine, Finished
from tests.handmade_export import write_export

REAL = Path(__file__).parents[1] / "source" / "real-export-all-types"
LINES = [b'{"Item":{"id":{"S":"planted-value-%d"},"n":{"N":"4242%d"}}}' % (number, number) for number in range(40)]


@pytest.fixture
def inspect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """There is no database at all."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    return CommandLine("postgresql://nobody@127.0.0.1:1/none", tmp_path)


def _facts(finished: Finished) -> list[dict[str, Any]]:
    assert finished.exit_code == 0, finished.output
    facts: list[dict[str, Any]] = json.loads(finished.stdout)["exports"]
    return facts


@pytest.mark.parametrize("depth", [[], ["--full"]])
def test_the_real_export_inspects_cleanly(inspect: CommandLine, depth: list[str]) -> None:
    """Every type, three items, by AWS itself; it was kept without side files."""
    [facts] = _facts(inspect("inspect", "--json", "--export", REAL, *depth))

    assert (facts["source_table"], facts["export_id"]) == ("S3ExportTest", "01715685260608-c488b4e1")
    assert (facts["export_time"], facts["format"]) == ("2024-05-14T11:14:20.608Z", "DYNAMODB_JSON")
    assert (facts["items"], facts["data_files"], facts["problems"]) == (3, 1, [])
    assert facts["has_manifest"]
    assert not facts["are_manifests_verified"]
    assert facts["are_data_files_verified"] == bool(depth)
    looked_at = facts["looked_at"]
    assert (looked_at["items"], looked_at["unreadable"]) == (3, {})
    types = {tag for attribute in looked_at["attributes"] for tag in attribute["types"]}
    assert types >= {"S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS"}


def test_all_of_a_large_export_is_looked_at_by_several_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every item once, however they are spread over files and processes. Here 6,000 items are worth processes."""
    monkeypatch.setattr(inspect_exports, "_ITEMS_WORTH_PROCESSES", 5_000)
    write_sample_exports(tmp_path / "e", items=6_000, tables=["medzen-meeting-audit"], items_per_file=2_000, faulty=0, odd=0)

    exit_code = main(["inspect", "--json", "--full", "--processes", "2", "--export", str(tmp_path / "e")])

    [facts] = _facts(Finished(exit_code, *capsys.readouterr()))
    assert facts["items"] == facts["looked_at"]["lines"] == facts["looked_at"]["items"] == 6_000
    assert {a["name"]: a["items"] for a in facts["looked_at"]["attributes"]}["id"] == 6_000
    assert facts["are_manifests_verified"]
    assert facts["are_data_files_verified"]
    assert facts["bytes"] == sum(path.stat().st_size for path in (tmp_path / "e").glob("**/data/*"))


def test_a_sample_is_of_all_files(inspect: CommandLine, tmp_path: Path) -> None:
    """So many items and no more; what one file has too few of, others give."""
    write_export(tmp_path / "e", "t", [LINES, LINES[:2], [], LINES])

    for sample, expected in ((30, 30), (81, 81), (1_000, 82)):
        [facts] = _facts(inspect("inspect", "--json", "--sample", str(sample), "--export", tmp_path / "e"))
        assert facts["looked_at"]["lines"] == expected


def test_damage_is_named_and_the_rest_is_shown(inspect: CommandLine, tmp_path: Path) -> None:
    """Only looking at everything finds all of it: the default says that data files are not verified."""
    folder = write_export(tmp_path / "e", "t", [LINES, LINES, LINES])
    first, second, _ = sorted((folder / "data").iterdir())
    first.write_bytes(gzip.compress(gzip.decompress(first.read_bytes()), mtime=1))
    second.write_bytes(b"")

    shown = inspect("inspect", "--full", "--export", tmp_path / "e")
    sampled = inspect("inspect", "--export", tmp_path / "e", "--sample", "1")

    assert shown.exit_code == 1
    assert shown.stdout.count("DAMAGED") == 2
    assert f"{first}: its MD5 is not the manifest's" in shown.stdout
    assert "40 lines = 40 items" in shown.stdout
    assert "more about each attribute, its sizes and its members: --details FILE" in shown.stdout
    assert " characters" not in shown.stdout
    details = tmp_path / "details"
    assert "--details" not in inspect("inspect", "--export", tmp_path / "e", "--details", details).stdout
    assert " characters" in details.read_text()
    assert sampled.exit_code == 0
    assert "not verified" in sampled.stdout


def test_what_cannot_be_read_is_refused_beside_what_can(inspect: CommandLine, tmp_path: Path) -> None:
    """Both exports are in the output."""
    write_export(tmp_path / "good", "t", [LINES])
    finished = inspect("inspect", "--export", tmp_path / "good", "--export", tmp_path / "nowhere")

    assert finished.exit_code == 2
    assert "40 items in 1 data file " in finished.stdout
    assert f"{tmp_path / 'nowhere'}: there is no manifest-summary.json" in finished.stdout
    assert finished.stdout.splitlines()[-1].startswith("An export cannot be read (1 problem)")


def test_no_value_is_shown(inspect: CommandLine, tmp_path: Path) -> None:
    """Neither on the terminal nor to other programs, of sound items or of others."""
    write_export(tmp_path / "e", "t", [[*LINES, b"planted-value is no JSON"]])
    for arguments in ([], ["--json"], ["--full"], ["--full", "--json"]):
        finished = inspect("inspect", "--export", tmp_path / "e", *arguments)
        assert "planted-value" not in finished.output
        assert "4242" not in finished.output


def test_a_folder_without_manifests_says_so(inspect: CommandLine, tmp_path: Path) -> None:
    """Its items are counted."""
    folder = write_export(tmp_path / "e", "t", [LINES[:15], LINES[15:]])
    for path in folder.glob("*manifest*"):
        path.unlink()

    finished = inspect("inspect", "--export", f"patients={folder}")

    assert finished.exit_code == 0
    assert "40 items in 2 data files" in finished.stdout
    assert "nothing proves that they are all" in finished.stdout


def test_it_writes_nothing(inspect: CommandLine, tmp_path: Path) -> None:
    """Also where it may not."""
    write_export(tmp_path / "e", "t", [LINES])
    before = sorted(tmp_path.rglob("*"))
    inspect("inspect", "--full", "--export", tmp_path / "e")

    assert sorted(tmp_path.rglob("*")) == before


def test_an_export_in_s3_is_inspected_as_on_disk(inspect: CommandLine, tmp_path: Path, aws_server: AwsServer, bucket: str) -> None:
    """Everything but the place is the same."""
    write_export(tmp_path / "e", "t", [LINES, LINES])
    aws_server.upload_tree(tmp_path / "e", bucket, "copied/")
    on_disk = _facts(inspect("inspect", "--json", "--full", "--export", tmp_path / "e"))
    in_s3 = _facts(inspect("inspect", "--json", "--full", "--export", f"s3://{bucket}/copied", **aws_server.environment))

    assert in_s3[0].pop("uri").startswith(f"s3://{bucket}/copied/")
    on_disk[0].pop("uri")
    assert in_s3 == on_disk
