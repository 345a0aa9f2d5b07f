"""Whole migrations of exports that lie in S3, over HTTP, through a proxy on which things go wrong."""

from __future__ import annotations

import base64
import bz2
import contextlib
import gzip
import json
import os
import random
import re
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from sample_export import SampleExport, write_sample_exports
from tests.aws_server import ACCESS_KEY, SECRET_KEY, AwsServer, environment
from tests.command_line import CommandLine, Finished
from tests.fault_proxy import ACCESS_DENIED, EXPIRED_TOKEN, SLOW_DOWN, Answer, Cut, Delay, Fault, FaultProxy, RandomFaults, Request
from tests.faults.gate import COMMITTED, held_at, wait_until_held
from tests.handmade_export import write_export
from tests.peak_memory import peak_mb
from tests.postgres_server import Database, Server
from tests.processes import kill_group
from tests.truth import assert_equals_truth
from transforms.table import Table
from transforms.tables.medzen import TABLES, VIDEO_SESSIONS

pytestmark = pytest.mark.plain

TABLE = "medzen-video-sessions"
BUCKET = "migrate-s3"
TWO_WORKERS = "--direct_num_workers=2"
UseAws = Callable[[Mapping[str, str]], None]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Exports of three tables, with faults, in several data files each."""
    root = tmp_path_factory.mktemp("s3") / "export"
    write_sample_exports(root, items=600, seed=11, faulty=0.05, odd=0.1, items_per_file=100)
    return root


@pytest.fixture(scope="module")
def uploaded(aws_server: AwsServer, root: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The exports below a prefix that is none of their manifests', beside others under a longer one; with markers of folders."""
    aws_server.upload_tree(root, BUCKET, "backup of 2026/")
    others = tmp_path_factory.mktemp("others")
    write_sample_exports(others / "root", items=50)
    aws_server.upload_tree(others / "root", BUCKET, "backup of 2026-old/")
    for marker in ("backup of 2026/", f"backup of 2026/{TABLE}/", f"backup of 2026/{TABLE}/AWSDynamoDB/"):
        aws_server.s3.put_object(Bucket=BUCKET, Key=marker, Body=b"")
    return f"s3://{BUCKET}/backup of 2026"


@dataclass(frozen=True, slots=True)
class Clean:
    """A small export without faults of its own, in four data files, in a bucket of the test's own."""

    root: Path
    uri: str
    keys: list[str]
    _s3: object

    @property
    def names(self) -> list[str]:
        return [key.rpartition("/")[2] for key in self.keys]

    def content(self, key: str) -> bytes:
        return (self.root / key).read_bytes()

    def mend(self) -> None:
        for key in self.keys:
            self.put(key, self.content(key))

    def put(self, key: str, content: bytes) -> None:
        self._s3.put_object(Bucket=self.uri.split("/")[2], Key=key, Body=content)  # type: ignore[attr-defined]

    def remove(self, key: str) -> None:
        self._s3.delete_object(Bucket=self.uri.split("/")[2], Key=key)  # type: ignore[attr-defined]


@pytest.fixture
def clean(tmp_path: Path, aws_server: AwsServer, bucket: str) -> Clean:
    root = tmp_path / "clean"
    export = write_sample_exports(root, items=400, seed=12, faulty=0, odd=0, tables=[TABLE], items_per_file=100)[0]
    aws_server.upload_tree(root, bucket)
    return Clean(root, f"s3://{bucket}/{export.folder.relative_to(root)}", _largest(export, root), aws_server.s3)


def _largest(export: SampleExport, root: Path) -> list[str]:
    """The keys of four data files, those with items in them."""
    paths = sorted((export.folder / "data").iterdir(), key=lambda path: path.stat().st_size, reverse=True)
    return [path.relative_to(root).as_posix() for path in paths[:4]]


def _is_untouched(database: Database) -> bool:
    return bool(database.value("SELECT to_regclass('ddb2pg.load') IS NULL"))


def _assert_told_well(finished: Finished) -> None:
    """No secret, no exception's words, no bug."""
    for word in (SECRET_KEY, ACCESS_KEY, "Traceback", "botocore", "An error occurred", "bug"):
        assert word not in finished.output


def _sentence_about(finished: Finished, uri: str) -> str:
    """The one line of a refusal that names a URI."""
    lines = [line for line in finished.stderr.splitlines() if f"{uri}:" in line or f"{uri}/" in line]
    assert len(lines) == 1, finished.stderr
    return lines[0]


def _rows(database: Database) -> int:
    return int(database.value("SELECT count(*) FROM video_call_sessions"))


# -- what is loaded ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seed", "tables"), [(1, [VIDEO_SESSIONS]), *(pytest.param(seed, TABLES, marks=pytest.mark.soak) for seed in range(2, 8))]
)
def test_through_faults_the_end_is_the_truth(
    uploaded: str, root: Path, proxy: FaultProxy, database: Database, run: CommandLine, seed: int, tables: list[Table]
) -> None:
    """Two workers, and a connection that breaks off, waits and is refused at random: rows, dead letters and notices as from disk."""
    proxy.plan = RandomFaults(seed, {"cut": 0.25, "slow down": 0.05, "internal error": 0.1, "delay": 0.1})

    finished = run.migrate(
        f"{uploaded}/{tables[0].source}",
        *(f"--export={uploaded}/{table.source}" for table in tables[1:]),
        "--chunk_items=40",
        TWO_WORKERS,
    )

    assert finished.exit_code == 3, finished.output
    assert min(proxy.faults_of(kind) for kind in (Cut, Answer, Delay)) >= 3
    assert_equals_truth(root, database, run.run_folders[0], tables)
    _assert_told_well(finished)


def _to_s3(proxy: FaultProxy) -> list[Request]:
    """Without the question to DynamoDB whether the export has a filter."""
    return [request for request in proxy.requests if "/dynamodb/" not in request.headers["authorization"]]


def test_every_way_to_name_an_export_finds_it(
    uploaded: str, root: Path, aws_server: AwsServer, use_aws: UseAws, tmp_path: Path, database: Database, run: CommandLine
) -> None:
    """Its folder, its summary, a prefix above it; the endpoint as an option; credentials from a profile."""
    profile = tmp_path / "credentials"
    profile.write_text(f"[loader]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n")
    use_aws({"AWS_SHARED_CREDENTIALS_FILE": str(profile), "AWS_PROFILE": "loader", "AWS_EC2_METADATA_DISABLED": "true"})
    first, second, third = (f"{uploaded}/{path.relative_to(root)}" for path in sorted(root.glob("*/AWSDynamoDB/*")))

    with FaultProxy(aws_server.endpoint_url) as proxy:
        finished = run.migrate(
            f"{first}/",
            f"--export={second}/manifest-summary.json",
            f"--export={third.partition('AWSDynamoDB/')[0]}",
            f"--endpoint_url={proxy.endpoint_url}",
            "--aws_region=sa-east-1",
        )

    assert finished.exit_code == 3, finished.output
    assert_equals_truth(root, database, run.run_folders[0])
    to_s3 = _to_s3(proxy)
    assert to_s3
    assert all("/sa-east-1/s3/" in request.headers["authorization"] for request in to_s3)
    assert all(request.bucket == BUCKET for request in to_s3)


def test_a_load_goes_on_from_any_copy_of_its_export(
    uploaded: str, root: Path, aws_server: AwsServer, use_aws: UseAws, bucket: str, database: Database, run: CommandLine
) -> None:
    """Begun from disk and killed, finished from S3, and once more from another bucket without a prefix: nothing to do."""
    use_aws(aws_server.environment)
    with held_at(database, 2, COMMITTED, "video_call_sessions"):
        process = run.start_migrate(root / TABLE, "--chunk_items=20")
        wait_until_held(database, process)
        kill_group(process)
    aws_server.upload_tree(root / TABLE, bucket)

    finished = run.migrate(f"{uploaded}/{TABLE}", "--chunk_items=20")
    rows = database.query("SELECT xmin::text, count(*) FROM video_call_sessions GROUP BY 1 ORDER BY 1")
    chunks = database.query("SELECT * FROM ddb2pg.chunk ORDER BY load_id, data_file, first_item")
    again = run.migrate(f"s3://{bucket}", "--chunk_items=20")

    assert (finished.exit_code, again.exit_code) == (3, 3), finished.output + again.output
    assert database.value("SELECT count(DISTINCT run_id) FROM ddb2pg.chunk") == 2, "not begun in time, or not resumed"
    assert "nothing to do" in again.stdout
    assert database.query("SELECT xmin::text, count(*) FROM video_call_sessions GROUP BY 1 ORDER BY 1") == rows
    assert database.query("SELECT * FROM ddb2pg.chunk ORDER BY load_id, data_file, first_item") == chunks
    for folder in run.run_folders[1:]:
        assert_equals_truth(root, database, folder, [VIDEO_SESSIONS])


# -- what is refused before anything is written --------------------------------------------------------------------------------------------

REFUSALS = {
    "denied": (ACCESS_DENIED, r"denied.*(s3:ListBucket|s3:GetObject)"),
    "expired": (EXPIRED_TOKEN, r"expired"),
    "elsewhere": (
        Answer(301, "PermanentRedirect", "Use the specified endpoint.", {"x-amz-bucket-region": "ap-southeast-2"}),
        r"--aws_region",
    ),
}
OF_MANIFESTS = {
    "kms-denied": (
        Answer(403, "AccessDenied", "User: arn:aws:iam::123456789012:user/x is not authorized to perform: kms:Decrypt on this resource"),
        r"kms:Decrypt",
    ),
    "kms-disabled": (Answer(400, "KMS.DisabledException", "arn:aws:kms:eu-central-1:123456789012:key/0a1b is disabled."), r"KMS"),
    "archived": (
        Answer(403, "InvalidObjectState", "The operation is not valid for the object's storage class"),
        r"(?i)restore|archive|glacier",
    ),
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """One command that had everything against it."""

    finished: Finished
    is_untouched: bool


@pytest.fixture(scope="module")
def refusal(server: Server, aws_server: AwsServer, uploaded: str, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Refusal:
    """Nine places, each with a fault of its own, beside a sound export whose table is missing."""
    database = server.new_database(with_targets=False)
    run = CommandLine(database.url, tmp_path_factory.mktemp("refused"))
    for name in OF_MANIFESTS:
        aws_server.upload_tree(root / "medzen-soap-notes", name)

    def plan(request: Request) -> Fault | None:
        if request.bucket in REFUSALS:
            return REFUSALS[request.bucket][0]
        return OF_MANIFESTS[request.bucket][0] if request.bucket in OF_MANIFESTS and request.key else None

    places = [*(f"s3://{name}/AWSDynamoDB/" for name in (*REFUSALS, *OF_MANIFESTS)), "s3://not-there/x", f"s3://{BUCKET}/nothing here"]
    with FaultProxy(aws_server.endpoint_url, plan) as proxy:
        finished = run(
            "migrate",
            *(f"--export={place}" for place in [*places, f"{uploaded}/{TABLE}"]),
            f"--output={run.output}",
            AWS_CONFIG_FILE="none",
            AWS_SHARED_CREDENTIALS_FILE="none",
            **environment(proxy.endpoint_url),
        )
    return Refusal(finished, _is_untouched(database))


def test_all_that_is_wrong_is_told_at_once(refusal: Refusal) -> None:
    """In one message, with what is wrong with the database; nothing is written, and every problem is one line with what to do."""
    lines = refusal.finished.stderr.splitlines()

    assert refusal.finished.exit_code == 2, refusal.finished.output
    assert refusal.is_untouched
    assert "video_call_sessions: there is no such table" in refusal.finished.stderr
    assert all(line.startswith("  - ") and ";" in line for line in lines[1:]), refusal.finished.stderr
    _assert_told_well(refusal.finished)


@pytest.mark.parametrize("name", [*REFUSALS, *OF_MANIFESTS])
def test_what_s3_refuses_is_told_in_a_sentence(refusal: Refusal, name: str) -> None:
    """The place, why, and what to do."""
    words = {**REFUSALS, **OF_MANIFESTS}[name][1]

    assert re.search(words, _sentence_about(refusal.finished, f"s3://{name}/AWSDynamoDB"))


def test_a_bucket_and_an_export_that_are_not_there_are_told_apart(refusal: Refusal) -> None:
    """Each named as it was given."""
    assert "bucket" in _sentence_about(refusal.finished, "s3://not-there/x")
    assert "there is no manifest-summary.json" in _sentence_about(refusal.finished, f"s3://{BUCKET}/nothing here")


def test_another_account_s_bucket_is_refused(clean: Clean, proxy: FaultProxy, database: Database, run: CommandLine) -> None:
    """Every request says whose the bucket must be; S3, whose part the proxy plays here, denies access to any other's."""

    def plan(request: Request) -> Fault | None:
        return None if request.headers.get("x-amz-expected-bucket-owner") == "123456789012" else ACCESS_DENIED

    proxy.plan = plan

    refused = run.migrate(clean.uri, "--expected_bucket_owner=999999999999")
    assert refused.exit_code == 2, refused.output
    assert re.search(r"denied.*expected_bucket_owner", _sentence_about(refused, clean.uri))
    assert _is_untouched(database)

    finished = run.migrate(clean.uri, "--expected_bucket_owner=123456789012", TWO_WORKERS)
    assert finished.exit_code == 0, finished.output
    assert any(request.is_data for request in proxy.requests)
    assert {request.headers["x-amz-expected-bucket-owner"] for request in _to_s3(proxy)} == {"999999999999", "123456789012"}
    assert _rows(database) == 400

    proxy.requests.clear()
    again = run.migrate(clean.uri, "--expected_bucket_owner=123456789012")
    assert again.exit_code == 0, again.output
    assert "nothing to do" in again.stdout
    assert not any(request.is_data for request in proxy.requests), "a finished clean load needs its manifests only"


def test_no_credentials_are_told(clean: Clean, aws_server: AwsServer, use_aws: UseAws, database: Database, run: CommandLine) -> None:
    """No variables, no files, no machine's role."""
    use_aws({"AWS_ENDPOINT_URL": aws_server.endpoint_url, "AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nonexistent"})

    finished = run.migrate(clean.uri)

    assert finished.exit_code == 2, finished.output
    assert "credentials" in _sentence_about(finished, clean.uri)
    assert _is_untouched(database)
    _assert_told_well(finished)


def test_an_endpoint_that_is_not_there_is_told_within_a_minute(use_aws: UseAws, database: Database, run: CommandLine) -> None:
    """A closed port, tried some times; two exports do not take twice as long."""
    use_aws(environment("http://127.0.0.1:9"))
    started = time.monotonic()

    finished = run.migrate("s3://bucket/one", "--export=s3://bucket/two")

    seconds = time.monotonic() - started
    print(f"{seconds:.0f} s")
    assert finished.exit_code == 2, finished.output
    assert all("endpoint" in _sentence_about(finished, uri) for uri in ("s3://bucket/one", "s3://bucket/two"))
    assert _is_untouched(database)
    assert seconds < 70


@pytest.mark.parametrize(
    "arguments",
    [[f"--s3_secret_access_key={SECRET_KEY}"], ["--s3_access_key_id", ACCESS_KEY, "--s3_session_token", SECRET_KEY]],
)
def test_secrets_on_the_command_line_are_refused_and_not_echoed(
    uploaded: str, proxy: FaultProxy, database: Database, run: CommandLine, arguments: list[str]
) -> None:
    """Beam has such options, and would show and keep them."""
    finished = run.migrate(uploaded, *arguments)

    assert finished.exit_code == 2, finished.output
    assert arguments[0].partition("=")[0] in finished.stderr
    assert _is_untouched(database)
    assert not proxy.requests
    _assert_told_well(finished)


def test_a_data_file_that_was_not_copied_is_named_before_anything_is_written(
    clean: Clean, proxy: FaultProxy, database: Database, run: CommandLine
) -> None:
    """As on disk; and no data file is read for that."""
    clean.remove(clean.keys[1])

    finished = run.migrate(clean.uri)

    assert finished.exit_code == 2, finished.output
    assert clean.names[1] in finished.stderr
    assert _is_untouched(database)
    assert not any(request.is_data for request in proxy.requests)


# -- what is wrong with a data file --------------------------------------------------------------------------------------------------------


def test_damaged_objects_are_named_and_none_of_them_is_loaded(
    clean: Clean, proxy: FaultProxy, database: Database, run: CommandLine
) -> None:
    """A flipped byte, a lost end, an object that is gone when it is read: the others load, and mended all of it does."""
    flipped, cut, gone, sound = clean.keys
    content = bytearray(clean.content(flipped))
    content[len(content) // 2] ^= 1
    clean.put(flipped, bytes(content))
    clean.put(cut, clean.content(cut)[:-20])

    def remove_when_read(request: Request) -> None:
        if request.is_data and request.key == gone:
            clean.remove(gone)

    proxy.plan = remove_when_read

    finished = run.migrate(clean.uri, "--chunk_items=5", TWO_WORKERS)

    assert finished.exit_code == 1, finished.output
    assert "NOT PROVED" in finished.stdout
    for name in (name for name in clean.names if not sound.endswith(name)):
        assert name in finished.output
        assert database.value("SELECT count(*) FROM ddb2pg.chunk WHERE data_file = %s", name) == 0
    assert _rows(database) == 100
    _assert_told_well(finished)

    proxy.plan = lambda _: None
    clean.mend()
    mended = run.migrate(clean.uri, "--chunk_items=5")

    assert mended.exit_code == 0, mended.output
    assert_equals_truth(clean.root, database, run.run_folders[-1], [VIDEO_SESSIONS])


@pytest.mark.parametrize(
    ("gets_before", "is_halfway"),
    [
        (1, False),
        (2, True),
        *(pytest.param(gets, False, marks=pytest.mark.soak) for gets in (2, 3, 4)),
        *(pytest.param(gets, True, marks=pytest.mark.soak) for gets in (1, 3, 4)),
    ],
)
def test_an_object_that_is_replaced_after_its_check_never_gets_in(
    clean: Clean, proxy: FaultProxy, tmp_path: Path, database: Database, run: CommandLine, gets_before: int, is_halfway: bool
) -> None:
    """Between two GETs, or while the body of one is broken off, by a sound one of another export: exit 1, named, and no row of it."""
    other = write_sample_exports(tmp_path / "other", items=100, seed=13, faulty=0, odd=0, tables=[TABLE], items_per_file=100)[0]
    wrong = (tmp_path / "other" / _largest(other, tmp_path / "other")[0]).read_bytes()
    victim, name = clean.keys[0], clean.names[0]
    asked = []

    def replace(request: Request) -> Fault | None:
        if not request.is_data or request.key != victim:
            return None
        asked.append(request)
        if len(asked) == gets_before + 1:
            clean.put(victim, wrong)
        return Cut(0.5) if is_halfway and len(asked) == gets_before else None

    proxy.plan = replace

    finished = run.migrate(clean.uri, "--chunk_items=5", "--split_items=20", "--most_splits=4", TWO_WORKERS)

    assert len(asked) > gets_before, "never replaced"
    assert finished.exit_code == 1, finished.output
    assert name in finished.output
    ids_of_wrong = [json.loads(line)["Item"]["id"]["S"] for line in gzip.decompress(wrong).splitlines()]
    assert database.value("SELECT count(*) FROM video_call_sessions WHERE id::text = ANY(%s)", ids_of_wrong) == 0
    assert database.value("SELECT finished_at IS NULL FROM ddb2pg.load")
    _assert_told_well(finished)

    proxy.plan = lambda _: None
    clean.mend()
    mended = run.migrate(clean.uri, "--chunk_items=5", "--split_items=20")

    assert mended.exit_code == 0, mended.output
    assert_equals_truth(clean.root, database, run.run_folders[-1], [VIDEO_SESSIONS])


# -- what ends a run on the way ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.soak), 2])
def test_credentials_that_expire_on_the_way_stop_the_run(
    clean: Clean, proxy: FaultProxy, database: Database, run: CommandLine, workers: int
) -> None:
    """With the sentence, from whatever process; what is committed stays, and with new ones the same command goes on."""
    asked = []

    def expire(request: Request) -> Fault | None:
        if request.is_data:
            asked.append(request)
        return EXPIRED_TOKEN if len(asked) > 2 else None

    proxy.plan = expire

    stopped = run.migrate(clean.uri, "--chunk_items=5", f"--direct_num_workers={workers}")

    assert stopped.exit_code == 1, stopped.output
    assert "expired" in stopped.stderr
    assert "run the same command again" in stopped.stderr
    _assert_told_well(stopped)

    proxy.plan = lambda _: None
    resumed = run.migrate(clean.uri, "--chunk_items=5")

    assert resumed.exit_code == 0, resumed.output
    assert_equals_truth(clean.root, database, run.run_folders[-1], [VIDEO_SESSIONS])


@pytest.mark.soak
@pytest.mark.parametrize("fault", [Cut(0.0), Cut(0.0, is_reset=True), Cut(0.5), SLOW_DOWN], ids=str)
def test_a_server_that_never_gives_a_whole_body_ends_the_run(
    clean: Clean, proxy: FaultProxy, database: Database, run: CommandLine, fault: Fault
) -> None:
    """Within three minutes, with a sentence; and the same command finishes when the server is itself again."""
    proxy.plan = lambda request: fault if request.is_data else None
    started = time.monotonic()

    stopped = run.migrate(clean.uri, TWO_WORKERS)

    seconds = time.monotonic() - started
    print(f"{seconds:.0f} s")
    assert stopped.exit_code == 1, stopped.output
    assert "run the same command again" in stopped.output
    assert seconds < 180
    _assert_told_well(stopped)

    proxy.plan = lambda _: None
    assert run.migrate(clean.uri, TWO_WORKERS).exit_code == 0
    assert _rows(database) == 400


# -- where secrets and large objects do not go ---------------------------------------------------------------------------------------------

_TELL_WHAT_TRAVELS = """
from pathlib import Path
from apache_beam.runners.portability.fn_api_runner import fn_runner
from transforms.tables.medzen import TABLES

run = fn_runner.FnApiRunner.run_via_runner_api

def run_and_tell(self, pipeline_proto, options):
    told = repr(options.get_all_options()) + repr(self._provision_info.provision_info)
    Path({path!r}).write_bytes(pipeline_proto.SerializeToString() + told.encode())
    return run(self, pipeline_proto, options)

fn_runner.FnApiRunner.run_via_runner_api = run_and_tell
"""


def test_credentials_are_in_nothing_that_travels_or_stays(
    clean: Clean, proxy: FaultProxy, tmp_path: Path, server: Server, database: Database, run: CommandLine
) -> None:
    """Not in the job's graph or its options, nor in the command lines of workers, the output, the ledger."""
    tables = tmp_path / "telling_tables.py"
    tables.write_text(_TELL_WHAT_TRAVELS.format(path=str(tmp_path / "told")))
    has_looked = threading.Event()

    def wait_for_a_look(request: Request) -> None:
        """Until the workers were seen."""
        if request.is_data:
            has_looked.wait(300)

    proxy.plan = wait_for_a_look

    options = ["--tables", tables, TWO_WORKERS, f"--endpoint_url={proxy.endpoint_url}"]
    process = run.start_python("migrate", "--export", clean.uri, "--output", run.output, *options)
    commands: set[str] = set()
    while process.poll() is None and not (_workers(commands) and any(request.is_data for request in proxy.requests)):
        listed = subprocess.run(["ps", "-wweo", "pgid=,pid=,args="], capture_output=True, text=True, check=True).stdout
        commands.update(line for line in listed.splitlines() if line.split()[0] == str(process.pid))
        time.sleep(0.01)  # between two looks, not for a state
    has_looked.set()
    stdout, stderr = process.communicate(timeout=300)

    assert process.returncode == 0, stderr
    told = (tmp_path / "told").read_bytes()
    told += _unpacked(told)
    assert proxy.endpoint_url.encode() in told, "not the job that reads"
    assert _workers(commands)
    dump = [server.bin_path / "pg_dump", "--dbname", database.url]
    places = {
        "job": told,
        "command lines": "".join(commands).encode(),
        "terminal": (stdout + stderr).encode(),
        "output": b"".join(path.read_bytes() for path in run.output.rglob("*") if path.is_file()),
        "database": subprocess.run(dump, capture_output=True, check=True).stdout,
    }
    assert not [name for name, content in places.items() if SECRET_KEY.encode() in content or ACCESS_KEY.encode() in content]


def _workers(commands: set[str]) -> set[str]:
    """The command lines of worker processes and of the one that they are forked from, as soon as there are two workers."""
    forked = {line for line in commands if "multiprocessing.forkserver" in line}
    return forked if len(forked) >= 3 else set()


def _unpacked(graph: bytes) -> bytes:
    """Beam compresses pickled DoFns and encodes them in base64: what is inside of every such part."""
    found = b""
    for part in re.findall(rb"[A-Za-z0-9+/=]{40,}", graph):
        for decompress in (zlib.decompress, bz2.decompress):
            with contextlib.suppress(OSError, ValueError, zlib.error):
                found += decompress(base64.b64decode(part))
    return found


@pytest.mark.soak
def test_one_large_object_is_streamed(
    tmp_path: Path, aws_server: AwsServer, use_aws: UseAws, bucket: str, server: Server, database: Database
) -> None:
    """300 MB of gzip in one data file take at most 150 MB more memory than a small file, in the one process that does it all."""
    use_aws(aws_server.environment)
    chance = random.Random(6)
    peaks = []
    for items, target in ((20, server.new_database()), (1_100, database)):
        lines = (_large_item(number, base64.b64encode(chance.randbytes(290_000)).decode()) for number in range(items))
        folder = write_export(tmp_path / str(items), "medzen-meeting-audit", [list(lines)])
        size = next((folder / "data").iterdir()).stat().st_size
        aws_server.upload_tree(tmp_path / str(items), bucket, f"{items}/")
        command = [sys.executable, "-m", "pipeline", "migrate", "--export", f"s3://{bucket}/{items}", "--output", tmp_path / "out"]
        process = subprocess.Popen(
            [*command, "--direct_num_workers=1"], env={**os.environ, "DATABASE_URL": target.url}, stdout=subprocess.DEVNULL
        )
        peaks.append(peak_mb(process))
        assert process.returncode == 0
        print(f"{size >> 20} MB of gzip: {peaks[-1]} MB of memory at most")

    assert size > 300 << 20
    assert database.value("SELECT count(*) FROM video_call_audit_log") == 1_100
    assert peaks[1] - peaks[0] < 150


def _large_item(number: int, text: str) -> bytes:
    item = {
        "id": {"S": f"00000000-0000-4000-8000-{number:012d}"},
        "sessionId": {"S": "00000000-0000-4000-8000-00000000abcd"},
        "eventType": {"S": "CALL_JOINED"},
        "timestamp": {"N": "1700000000000"},
        "eventData": {"S": text},
    }
    return json.dumps({"Item": item}).encode()
