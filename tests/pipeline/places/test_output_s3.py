"""Files of a run in S3: whole or not there, encrypted as asked for, and refused with a sentence before a load begins."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pipeline.errors import Refused, Stopped
from pipeline.outcome.report import rewrite_page
from pipeline.places.place import AwsSettings
from pipeline.places.storage import OutputFolder, Storage
from pipeline.preflight.exports import output_findings
from pipeline.records.files import JsonLines, Parquet, RecordBatch, RecordFiles, RecordForm, count_records
from pipeline.records.kinds import RecordKind
from pipeline.records.reading import find_dead_letters, read_dead_letters
from sample_export import write_sample_exports
from tests.aws_server import AwsServer
from tests.command_line import CommandLine
from tests.fault_proxy import ACCESS_DENIED, INTERNAL_ERROR, Answer, Cut, Fault, FaultProxy, Request
from tests.postgres_server import Database
from tests.truth import assert_equals_truth
from transforms.tables.medzen import VIDEO_SESSIONS

NO_SUCH_UPLOAD = Answer(404, "NoSuchUpload", "The specified multipart upload does not exist.")
FORMS = [JsonLines(), Parquet(RecordKind.DEAD_LETTERS)]


@pytest.fixture
def folder(aws_server: AwsServer, bucket: str, use_aws: Callable[[Mapping[str, str]], None]) -> OutputFolder:
    use_aws(aws_server.environment)
    aws_server.make_bucket(bucket)
    return OutputFolder(f"s3://{bucket}/out put")


def _keys(server: AwsServer, folder: OutputFolder) -> list[str]:
    bucket = folder.uri.split("/")[2]
    return [found["Key"] for found in server.s3.list_objects_v2(Bucket=bucket).get("Contents", ())]


def _uploads(server: AwsServer, folder: OutputFolder) -> list[str]:
    """Begun and neither completed nor given up."""
    return [found["Key"] for found in server.s3.list_multipart_uploads(Bucket=folder.uri.split("/")[2]).get("Uploads", ())]


def _record(number: int) -> bytes:
    record = {
        "run_id": "run",
        "source_table": "things",
        "target_table": "thing",
        "export_id": "export",
        "data_file": "a",
        "item_number": number,
        "stage": "read",
        "errors": [],
        "item": "x",
        "item_encoding": "utf-8",
        "rejected_at": "2026-11-23T02:00:00+00:00",
    }
    return json.dumps(record).encode() + b"\n"


@pytest.mark.parametrize("form", FORMS, ids=["jsonl", "parquet"])
def test_records_appear_whole_or_not_at_all(aws_server: AwsServer, folder: OutputFolder, form: RecordForm) -> None:
    """And are counted and read where they are."""
    run_folder = folder / "run"
    of_table = run_folder / "dead_letters" / "things"
    files = RecordFiles(of_table, form)
    files.write(RecordBatch("a", (_record(1), _record(2)), is_last=False))
    files.write(RecordBatch("b", (_record(3),), is_last=False))
    assert _keys(aws_server, folder) == []

    files.write(RecordBatch("a", (_record(4),), is_last=True))
    files.abandon()

    assert _keys(aws_server, folder) == [f"out put/run/dead_letters/things/a{form.ending}"]
    assert count_records(of_table) == 3
    found = find_dead_letters(str(run_folder), "", Storage())
    assert [record["item_number"] for record in read_dead_letters(found.uris, Storage())] == [1, 2, 4]
    assert found.uris == find_dead_letters("run", str(folder), Storage()).uris


def test_a_large_file_is_uploaded_in_parts(aws_server: AwsServer, folder: OutputFolder) -> None:
    """No more than a part is held; what is given up leaves neither an object nor parts."""
    content = bytes(range(256)) * (80 << 10)
    kept, given_up = folder.new_file("kept"), folder.new_file("given up")
    for file in (kept, given_up):
        for start in range(0, len(content), 3 << 20):
            file.stream.write(content[start : start + (3 << 20)])
    assert sorted(_uploads(aws_server, folder)) == ["out put/given up", "out put/kept"]
    assert _keys(aws_server, folder) == []
    kept.keep()
    given_up.discard()
    assert _keys(aws_server, folder) == ["out put/kept"]
    assert _uploads(aws_server, folder) == []
    assert Storage().read(f"{folder}/kept") == content
    assert aws_server.s3.head_object(Bucket=folder.uri.split("/")[2], Key="out put/kept")["ETag"].strip('"').endswith("-3")


def test_objects_are_encrypted_with_the_key_that_was_asked_for(aws_server: AwsServer, folder: OutputFolder) -> None:
    """Small and large ones, and the report; without a key as the bucket says."""
    key = aws_server.client("kms").create_key()["KeyMetadata"]["Arn"]
    encrypted = OutputFolder(folder.uri, kms_key=key)
    for name, content in (("small", b"small"), ("large", b"x" * (9 << 20))):
        file = encrypted.new_file(name)
        file.stream.write(content)
        file.keep()
    plain = folder.new_file("plain")
    plain.stream.write(b"plain")
    plain.keep()
    bucket = folder.uri.split("/")[2]
    for name in ("small", "large"):
        head = aws_server.s3.head_object(Bucket=bucket, Key=f"out put/{name}")
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)
    assert aws_server.s3.head_object(Bucket=bucket, Key="out put/plain").get("ServerSideEncryption") != "aws:kms"


def test_preflight_tries_to_write_and_writes_nothing(aws_server: AwsServer, folder: OutputFolder) -> None:
    assert list(output_findings(folder)) == []
    assert _keys(aws_server, folder) == _uploads(aws_server, folder) == []
    [finding] = output_findings(OutputFolder("s3://no-such-bucket-at-all/out"))
    assert finding.name == "output_not_writable"
    assert "there is no bucket no-such-bucket-at-all" in finding.detail


def _through(proxy: FaultProxy, folder: OutputFolder) -> OutputFolder:
    return OutputFolder(folder.uri, AwsSettings(proxy.endpoint_url))


def test_who_may_not_write_is_told_what_to_allow(folder: OutputFolder, proxy: FaultProxy) -> None:
    """By preflight, and by the run if it was taken away since."""
    proxy.plan = lambda request: None if request.method in ("GET", "HEAD") else ACCESS_DENIED
    denied = _through(proxy, folder)
    [finding] = output_findings(denied)
    assert "s3:PutObject" in finding.detail
    with pytest.raises(Stopped, match=r"s3:PutObject.*run the same command again"):
        RecordFiles(denied).write(RecordBatch("a", (_record(1),), is_last=True))


def test_what_passes_is_tried_again_and_a_lost_answer_does_no_harm(aws_server: AwsServer, folder: OutputFolder, proxy: FaultProxy) -> None:
    """Each request fails once; the answer that says that all is there is lost, and asked again S3 knows nothing of the upload."""

    def plan(request: Request) -> Fault | None:
        if request.method == "POST" and "uploadId" in request.query:
            return Cut(0, is_reset=True) if request.times == 1 else NO_SUCH_UPLOAD
        return INTERNAL_ERROR if request.times == 1 else None

    proxy.plan = plan
    small, large = (_through(proxy, folder).new_file(name) for name in ("small", "large"))
    small.stream.write(b"small")
    large.stream.write(b"x" * (9 << 20))
    small.keep()
    large.keep()
    assert proxy.faults_of(Cut) >= 1
    assert Storage().read(f"{folder}/small") == b"small"
    assert Storage().read(f"{folder}/large") == b"x" * (9 << 20)
    assert _uploads(aws_server, folder) == []


def test_a_migration_writes_its_output_to_s3(
    aws_server: AwsServer, folder: OutputFolder, tmp_path: Path, database: Database, run: CommandLine
) -> None:
    """Dead letters, notices and report, as complete as on disk, of the first run and of one that only resumes; nothing on disk."""
    export = tmp_path / "export"
    write_sample_exports(export, items=800, seed=41, faulty=0.2, odd=0.2, items_per_file=300, tables=[VIDEO_SESSIONS.source])
    command = ("migrate", f"--export={export}", f"--output={folder}", "--direct_num_workers=2")

    first = run(*command, "--dead_letter_format=parquet", **aws_server.environment)
    second = run(*command, **aws_server.environment)

    assert (first.exit_code, second.exit_code) == (3, 3), first.output + second.output
    assert f"{folder}/" in first.stdout
    assert not run.output.exists()
    for key in _keys(aws_server, folder):
        path = tmp_path / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(Storage().read(f"s3://{folder.uri.split('/')[2]}/{key}"))
    of_first, of_second = sorted((tmp_path / "out put").iterdir())
    assert {path.suffix for path in of_first.rglob("*") if path.is_file()} == {".parquet", ".json", ".html"}
    assert {path.suffix for path in of_second.rglob("*") if path.is_file()} == {".gz", ".json", ".html"}
    for run_folder in (of_first, of_second):
        assert_equals_truth(export, database, run_folder, [VIDEO_SESSIONS])
        assert json.loads((run_folder / "report.json").read_text())["exit_code"] == 3

    for name in (of_first.name, of_second.name):
        again = run("report", f"{folder}/{name}", f"--output={tmp_path / name}.html", **aws_server.environment)
        assert again.exit_code == 0, again.output
        assert (tmp_path / f"{name}.html").read_bytes() == (tmp_path / "out put" / name / "report.html").read_bytes()
    with_values = rewrite_page(folder / of_second.name, None, show_values=True)
    assert str(with_values) == f"{folder}/{of_second.name}/report-with-values.html"
    assert b"Contains patient data" in Storage().read(str(with_values))


def test_a_run_without_a_report_is_refused(folder: OutputFolder) -> None:
    with pytest.raises(Refused, match=r"report\.json: cannot be read .*a run that finished"):
        rewrite_page(folder / "no such run", None, show_values=False)
