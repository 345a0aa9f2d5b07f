"""validate --requests as a user runs it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from sample_export import write_sample_exports
from tests.command_line import CommandLine
from tests.pipeline.planted import report_of
from tests.pipeline.postcheck.requests.web_server import Received, Reply, WebServer
from tests.postgres_server import Database
from tests.truth import text_of

pytestmark = pytest.mark.plain

SECRET = "t0ken-of-the-environment"

FILE = """
[[request]]
name = "notes of the edge function"
method = "POST"
url = "${env.APP}/functions/v1/note/${row.id}"
headers = { Authorization = "Bearer ${env.TOKEN}" }
body = { note = "${row.id}", complaint = "${row.chief_complaint}" }
sql = "SELECT id, chief_complaint, plan FROM clinical_notes ORDER BY id"
rows = 2
[request.expect]
status = 200
json = { id = "${row.id}", plan = "${row.plan}" }

[[request]]
name = "[bold]nothing[/] for strangers \\u001b[31m"
url = "${env.APP}/rest/v1/clinical_notes?select=id"
[request.expect]
status = 401
"""


@pytest.fixture
def loaded(tmp_path: Path, run: CommandLine) -> Path:
    write_sample_exports(tmp_path / "export", items=30, faulty=0, odd=0, seed=5)
    assert run.migrate(tmp_path / "export").exit_code == 0
    (tmp_path / "requests.toml").write_text(FILE)
    return tmp_path


class Application:
    """Answers out of the database, and keeps the bodies that it answered with."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.said: list[bytes] = []

    def __call__(self, received: Received) -> Reply:
        if "authorization" not in received.headers:
            return Reply(401)
        identity = received.target.rpartition("/")[2]
        [[note]] = self._database.query("SELECT to_jsonb(n) FROM clinical_notes n WHERE id::text = %s", identity)
        reply = Reply(body=note)
        self.said.append(reply.content)
        return reply


def test_requests_are_sent_after_the_comparison_and_told(
    loaded: Path, run: CommandLine, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the terminal, in the report and as JSON; nothing of what was sent or answered is in any of them, whatever is logged."""
    application = Application(database)
    with WebServer(application) as web:
        monkeypatch.setenv("APP", web.url)
        monkeypatch.setenv("TOKEN", SECRET)
        finished = run.validate(loaded / "export", "--requests", loaded / "requests.toml", "--log_level=DEBUG")
        assert finished.exit_code == 0, finished.output
        web.answer = lambda _: Reply(401, {"complaint": "XK-patient-7"})
        failed = run.validate(loaded / "export", "--requests", loaded / "requests.toml", "--json")
    notes = database.query("SELECT id::text, chief_complaint, plan::text FROM clinical_notes ORDER BY id LIMIT 2")

    assert "request notes of the edge function: POST, 2 tried" in finished.stdout
    assert r"request [bold]nothing[/] for strangers \x1b[31m: GET, 1 tried" in finished.stdout
    assert len(application.said) == 2
    assert failed.exit_code == 3, failed.output
    report = report_of(run.run_folders[-1])
    assert json.loads(failed.stdout) == report
    assert report["exit_code"] == 3
    [told, other] = report["checks"]["requests"]
    assert (told["name"], told["verdict"]) == ("notes of the edge function", "fail")
    assert re.fullmatch(r"POST, 2 tried in [\d.]+ s, 2 x 401: 2 NOT as expected; 2: the status is 401, not 200", told["detail"])
    assert (other["name"], other["verdict"]) == ("[bold]nothing[/] for strangers \x1b[31m", "pass")
    texts = [text_of(path) for folder in run.run_folders[1:] for path in folder.rglob("*") if path.is_file()]
    everything = "".join([*texts, finished.output, failed.output])
    hidden = [SECRET, web.url, "/functions/v1", "XK-patient-7", *(value for note in notes for value in note if len(value) > 8)]
    assert [text for text in hidden if text in everything] == []


def test_what_is_wrong_with_the_file_comes_with_all_else_before_anything_is_done(
    loaded: Path, run: CommandLine, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file's problems and those of the load; nothing is compared or sent."""
    database.execute("UPDATE ddb2pg.load SET rollback_started_at = now() WHERE source_table = 'medzen-soap-notes'")
    (loaded / "requests.toml").write_text(FILE.replace("SELECT id, chief", "SELECT id, chef"))
    runs = len(run.run_folders)
    with WebServer() as web:
        monkeypatch.setenv("APP", web.url)
        finished = run.validate(loaded / "export", "--requests", loaded / "requests.toml")
        assert web.received == []

    assert finished.exit_code == 2, finished.output
    for words in ("a rollback of its load was begun", "the environment variable TOKEN is not set", "names a column that is not there"):
        assert words in finished.stderr
    assert finished.stderr.count("\n  - ") == 3
    assert len(run.run_folders) == runs
