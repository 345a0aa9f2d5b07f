"""Patient values, the database's password and an AWS secret key are planted; nothing that a run says, keeps or shows holds one of them.

A run may end well, by a bug on a worker, by a failing write, by a failing connection: all at the most talkative log level there is.
"""

from __future__ import annotations

import json
import re
import subprocess
import traceback
from dataclasses import dataclass, replace
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner

from pipeline.job.graph import define_pipeline
from pipeline.job.load import LoadChunks
from pipeline.job.visit import VisitedLoad, record_folders
from pipeline.places.storage import OutputFolder
from pipeline.target.database_url import DatabaseReference
from tests.aws_server import AwsServer
from tests.broken_tables import BROKEN_TABLES
from tests.command_line import CommandLine, Finished
from tests.handmade_export import write_export
from tests.plain_loads import plans_of
from tests.postgres_server import Database, Server
from tests.process_watch import Seen, look_at_files, watched
from tests.tls_server import TlsServer
from tests.unpacked import unpacked
from transforms.rejects import NoticeCode
from transforms.rules import Text

PATIENT = "PLANTED-PATIENT-VALUE"
PATIENT_ID = "44444444-4444-4444-8444-444444444444"
PASSWORD = "PlantedPassword"
AWS_KEY = "PlantedAwsSecretKey"
SECRETS = (PASSWORD, AWS_KEY)
VALUES = (PATIENT, PATIENT_ID)


def _lines(first: int, items: int) -> list[bytes]:
    """Sound ones, and of every tenth one an attribute that nothing can be made of."""
    lines = []
    for number in range(first, first + items):
        item = {
            "id": {"S": f"11111111-1111-4111-8111-{number:012d}"},
            "appointmentId": {"S": "22222222-2222-4222-8222-222222222222"},
            "providerId": {"S": "33333333-3333-4333-8333-333333333333"},
            "patientId": {"S": PATIENT_ID},
            "status": {"S": PATIENT if number % 10 == 3 else "ACTIVE"},
            "joinUrl": {"S": f"https://example/{PATIENT}"},
            "meetingId": {"S": PATIENT},
            "extra": {"S": PATIENT},
        }
        lines.append(json.dumps({"Item": item}).encode() if number % 10 != 7 else b"{" + PATIENT.encode())
    return lines


@dataclass(slots=True)
class Run:
    """The command line of somebody who does everything right: the secret in AWS, the keys of AWS in a file of their own."""

    folder: Path
    database: Database
    secret: str
    environment: dict[str, str]

    @property
    def output(self) -> Path:
        return self.folder / "out"

    @property
    def temporary(self) -> Path:
        return self.folder / "tmp"

    def migrate(self, *arguments: str | Path) -> tuple[Finished, Seen]:
        secret = f"--database_secret=aws-secretsmanager:{self.secret}"
        command = ("migrate", "--export", self.folder / "export", "--output", self.output, secret, *arguments)
        process = CommandLine("", self.folder).start_python(*command, **self.environment)
        try:
            with watched(process, self.temporary) as seen:
                stdout, stderr = process.communicate(timeout=300)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return Finished(process.returncode, stdout, stderr), seen


@pytest.fixture
def run(
    tls_server: TlsServer, aws_server: AwsServer, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Run:
    name = f"planted_{abs(hash(request.node.name)) % 10**9}"
    database = tls_server.new_database(name, PASSWORD)
    secret = {"host": "127.0.0.1", "port": tls_server.port, "username": name, "password": PASSWORD, "dbname": name, "sslmode": "require"}
    aws_server.client("secretsmanager").create_secret(Name=name, SecretString=json.dumps(secret))
    credentials = tmp_path / "credentials"
    credentials.write_text(f"[default]\naws_access_key_id = AKIAPLANTED\naws_secret_access_key = {AWS_KEY}\n")
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "tmp").mkdir(mode=0o700)
    write_export(tmp_path / "export", "medzen-video-sessions", [_lines(0, 60), _lines(100, 60)])
    environment = {
        "AWS_ENDPOINT_URL": aws_server.endpoint_url,
        "AWS_REGION": "eu-central-1",
        "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
        "AWS_EC2_METADATA_DISABLED": "true",
        "TMPDIR": str(tmp_path / "tmp"),
    }
    return Run(tmp_path, database, name, environment)


def assert_nothing_leaked(run: Run, finished: Finished, seen: Seen, server: Server) -> None:
    """In no place that there is; each is shown to have been looked at."""
    assert any(b"--database_secret" in command for command in seen.commands)
    assert any(b"AWS_SHARED_CREDENTIALS_FILE" in environment for environment in seen.environments)
    after = Seen()
    look_at_files(run.temporary, after)
    assert after.files == {}, "temporary files are left behind"
    assert seen.open_to_others == set()
    files = {str(path): path.read_bytes() for path in run.output.rglob("*") if path.is_file()}
    dead_letters = {path for path in files if "/dead_letters/" in path}
    ledger = _dump(run.database, server)
    places = {
        "output": finished.output.encode(),
        "processes": b"\n".join(seen.commands | seen.environments),
        "ledger": ledger,
        **seen.files,
        **{path: content for path, content in files.items() if path not in dead_letters},
    }
    for place, content in places.items():
        shown = unpacked(content)
        for planted in (*SECRETS, *VALUES):
            assert planted.encode() not in shown, f"{planted} in {place}"
    for path in dead_letters:
        assert not any(secret.encode() in unpacked(files[path]) for secret in SECRETS)


def _dump(database: Database, server: Server) -> bytes:
    """All that is in the database but the rows of the tables."""
    return subprocess.run(
        [server.bin_path / "pg_dump", "--exclude-table-data=public.*", "--dbname", database.url], capture_output=True, check=True
    ).stdout


def test_a_load_in_worker_processes_shows_nothing(run: Run, server: Server) -> None:
    """Rows and dead letters hold the values, and nothing else does, not even the log of the most talkative level."""
    finished, seen = run.migrate("--direct_num_workers=2", "--chunk_items=5", "--log_level=DEBUG")

    assert finished.exit_code == 3, finished.output
    assert re.search(r"^DEBUG\Wapache_beam", finished.stderr, flags=re.MULTILINE), "the log was not on"
    assert [command for command in seen.commands if b"multiprocessing.spawn" in command or b"multiprocessing.forkserver" in command]
    assert len(list(run.output.rglob("report.html"))) == 1
    assert run.database.value("SELECT count(*) FROM video_call_sessions WHERE join_url LIKE %s", f"%{PATIENT}") == 96
    assert any(PATIENT.encode() in unpacked(path.read_bytes()) for path in run.output.rglob("dead_letters/*/*"))
    assert_nothing_leaked(run, finished, seen, server)


def test_a_bug_on_a_worker_shows_nothing(run: Run, server: Server) -> None:
    """Its traceback comes from another process as text, with the words of the exception in it."""
    broken = run.folder / "broken_tables.py"
    broken.write_text(BROKEN_TABLES)

    finished, seen = run.migrate("--direct_num_workers=2", "--tables", broken, "--log_level=DEBUG")

    assert finished.exit_code == 1
    assert "KeyError; " in finished.stderr
    assert "in explode" in finished.stderr
    assert_nothing_leaked(run, finished, seen, server)


def test_a_failing_write_shows_nothing(run: Run, server: Server) -> None:
    """PostgreSQL explains it with the row."""
    run.database.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'no room for %', NEW.join_url USING ERRCODE = '53100', DETAIL = NEW::text; END $$"
    )
    run.database.execute("CREATE TRIGGER refuse BEFORE INSERT ON video_call_sessions FOR EACH ROW EXECUTE FUNCTION refuse()")

    finished, seen = run.migrate("--log_level=INFO")

    assert finished.exit_code == 1, finished.output
    assert "disk is full (53100)" in finished.stderr
    assert_nothing_leaked(run, finished, seen, server)


def test_a_failing_connection_shows_nothing(run: Run, server: Server) -> None:
    """A password that is wrong."""
    run.database.execute(f"ALTER ROLE {run.secret} PASSWORD 'another'")

    finished, seen = run.migrate("--log_level=WARNING")

    assert finished.exit_code == 2, finished.output
    assert "password authentication failed" in finished.stderr
    assert not run.output.exists()
    assert_nothing_leaked(run, finished, seen, server)


def test_the_graph_its_options_and_metrics_hold_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looked at after the secret was looked up, and the job has run, in this process."""
    for name, value in run.environment.items():
        monkeypatch.setenv(name, value)
    reference = DatabaseReference(f"aws-secretsmanager:{run.secret}")
    assert PASSWORD in reference.url()
    plan, splits = next(plans_of(run.folder / "export", reference))
    root = beam.Pipeline(runner=FnApiRunner())
    folders = record_folders(OutputFolder(str(run.folder / "records")), LoadChunks(plan))
    define_pipeline(root, splits, [VisitedLoad(LoadChunks(plan), folders)])
    graph = root.to_runner_api().SerializeToString()
    result = root.run()
    result.wait_until_finish()

    metrics = f"{result.metrics().query()} {list(result.monitoring_infos())}".encode()
    assert b"aws-secretsmanager:" in unpacked(graph), "the DoFns were not unpacked"
    assert b"element_count" in metrics
    assert run.database.value("SELECT count(*) FROM video_call_sessions") == 96
    for content in (unpacked(graph), metrics, str(root.options.get_all_options()).encode(), repr(plan).encode()):
        assert not [planted for planted in (*SECRETS, *VALUES) if planted.encode() in content]


def test_what_a_step_raises_holds_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """On other runners it is logged where the worker is: the type and the places, not the words."""
    for name, value in run.environment.items():
        monkeypatch.setenv(name, value)
    plan, splits = next(plans_of(run.folder / "export", DatabaseReference(f"aws-secretsmanager:{run.secret}")))
    columns = [replace(column, rule=_EXPLODING) if column.name == "meeting_id" else column for column in plan.table.columns]
    root = beam.Pipeline(runner=FnApiRunner())
    exploding = LoadChunks(replace(plan, table=replace(plan.table, columns=tuple(columns))))
    define_pipeline(root, splits, [VisitedLoad(exploding, record_folders(OutputFolder(str(run.folder / "records")), exploding))])

    with pytest.raises(Exception, match="KeyError") as caught:
        root.run().wait_until_finish()

    told = "".join(traceback.format_exception(caught.value))
    assert "in _explode" in told
    assert PATIENT not in told


def _explode(text: str) -> str:
    raise KeyError(text)


_EXPLODING = Text(_explode, NoticeCode.MALFORMED_MEETING_ID)
