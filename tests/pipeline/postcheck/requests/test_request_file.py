"""What is wrong with a file of requests: all of it at once, before anything is sent, and without what the file or the environment hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.postcheck.request_file import read_requests
from pipeline.postcheck.send_requests import check_requests
from tests.pipeline.postcheck.requests.conftest import RequestFile
from tests.pipeline.target.made_loads import reference_to
from tests.postgres_server import Database

SECRET = "s3cret-of-the-file"
EXAMPLE = Path(__file__).parents[4] / "docs" / "supabase-requests.toml"


def test_the_example_for_supabase_is_sound(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its variables are those that it names, and its queries run on the tables of the mapping."""
    names = ("SUPABASE_ANON_KEY", "SERVICE_KEY", "STRANGER_TOKEN")
    environment = {"SUPABASE_URL": "https://project.supabase.co", **dict.fromkeys(names, "key")}

    requests, problems = read_requests(EXAMPLE, environment)

    assert problems == []
    assert len(requests) == 5
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert check_requests(EXAMPLE, reference_to(database.url))[1] == []
    assert requests[0].columns == {"id", "status", "patient_id", "start_time", "transcription_enabled"}


def test_everything_is_told_at_once(file: RequestFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys, variables, placeholders, URLs, queries: one line each, with the request it is in."""
    monkeypatch.delenv("NOT_THERE", raising=False)
    found = file.problems("""
        allow = true
        [[request]]
        name = "twice"
        method = "FETCH"
        url = "http://app.example/${row.id}"
        headers = { Authorization = "Bearer ${env.NOT_THERE}" }
        expect.status = 99
        colour = "red"
        [[request]]
        name = "twice"
        url = "http://APP/${row.nothing}"
        sql = "SELECT 1 AS id"
        expect = { status = 200, json = { "/id" = 1, a = "${row.other}", b = "x" }, when = 1 }
        [[request]]
        name = "writes"
        url = "http://APP/"
        sql = "DELETE FROM clinical_notes RETURNING id"
        expect.status = 200
        [[request]]
        name = "broken"
        url = "http://APP/$id"
        sql = "SELECT id\\nFROM clinical_notes\\nWERE true"
        rows = 0
        timeout = "long"
        expect.status = 200
    """)

    assert sorted(found) == sorted([
        ": unknown key 'allow'",
        ", request 1, 'twice': method must be one of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
        ", request 1, 'twice': url is http, so what is sent and answered could be read on the way; "
        "use https, or name its host in allow_http",
        ", request 1, 'twice': headers: Authorization: the environment variable NOT_THERE is not set, or empty",
        ", request 1, 'twice', expect: status must be one or several of 100 to 599, as 200",
        ", request 1, 'twice': unknown key 'colour'",
        ", request 1, 'twice': ${row.id} is a column, but there is no sql that yields one",
        ", request 2, 'twice': json: '/id' is no JMESPath expression; one looks like [0].session.id",
        ", request 2, 'twice', expect: unknown key 'when'",
        ": 2 requests have the name 'twice'; the results need it, so give each its own",
        ", 'twice': ${row.nothing} is no column of its sql; it yields id",
        ", 'twice': ${row.other} is no column of its sql; it yields id",
        ", 'writes': sql: it would write, and may only read (SQLSTATE 25006)",
        ", request 4, 'broken': url: a $ that begins neither ${env.NAME} nor ${row.NAME}; write $$ where it is meant as it is",
        ", request 4, 'broken': rows must be a whole number from 1 to 1,000",
        ", request 4, 'broken': timeout must be a number above 0, at most 300",
        ", 'broken': sql: PostgreSQL does not understand it (SQLSTATE 42601, line 3, character 6)",
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://app.example/", "is no URL of the form"),
        ("https://", "is no URL of the form"),
        ("https://app.example:99999/", "is no URL of the form"),
        ("https://app.example/a b", "is no URL of the form"),
        ("app.example/", "is no URL of the form"),
        ("https://user:word@app.example/", "holds a user or a password"),
        ("https://${row.host}/", "has a column in its host"),
        ("https://app.example${row.host}/", "has a column in its host"),
        ("https://app.example:44${row.port}", "has a column in its host"),
        ("${row.url}", "has a column in its host"),
        ("http://10.0.0.5/", "is http"),
        ("http://127.0.0.1.example/", "is http"),
    ],
)
def test_a_url_that_is_none_or_would_leak_is_refused(tmp_path: Path, url: str, words: str) -> None:
    """A row never chooses the host; in the clear goes nothing but to this machine."""
    assert any(words in problem for problem in _read(tmp_path, f'url = "{url}"\nsql = "SELECT 1"'))


@pytest.mark.parametrize(
    "url", ["https://app.example/x", "http://localhost:5/${row.id}", "http://[::1]/?id=${row.id}", "http://app.example?${row.id}"]
)
def test_urls_that_are_taken(tmp_path: Path, url: str) -> None:
    """HTTPS anywhere, http on this machine, and where the file allows it."""
    assert _read(tmp_path, f'url = "{url}"\nsql = "SELECT 1"', 'allow_http = ["app.example"]') == []


@pytest.mark.parametrize("key", ["Host = 'x'", "content-length = '1'", "'a b' = 'x'", "A = 'x'\na = 'x'", "A = 1", "A = 'ü'", "A = ' x'"])
def test_headers_that_are_refused(tmp_path: Path, key: str) -> None:
    """The client's own, twice the same, and what does not fit into one."""
    assert len(_read(tmp_path, f'url = "https://app.example/"\n[request.headers]\n{key}')) == 1


@pytest.mark.parametrize("body", ["2024-01-01", "nan", "{ a = [10:00:00] }"])
def test_bodies_hold_what_json_has(tmp_path: Path, body: str) -> None:
    """TOML has times and infinities, JSON has not."""
    [problem] = _read(tmp_path, f'url = "https://app.example/"\nmethod = "POST"\nbody = {body}')

    assert "body holds what JSON has no type for" in problem


def test_no_problem_quotes_a_secret_or_a_body(tmp_path: Path) -> None:
    """A variable with a line break at its end, a broken URL out of the environment, a file that is not TOML."""
    text = f'url = "${{env.PLACE}}"\nheaders = {{ A = "${{env.KEY}}" }}\nbody = {{ b = "{SECRET} $" }}\nexpect = {{ status = "{SECRET}" }}'
    path = tmp_path / "requests.toml"
    path.write_text(f'[[request]]\nname = "one"\n{text}')
    _, problems = read_requests(path, {"PLACE": f"http://u:{SECRET}@app.example", "KEY": f"{SECRET}\n"})
    assert len(problems) == 4
    path.write_text(f'[[request]]\nname = "one"\nbody = "{SECRET}\n')
    _, broken = read_requests(path, {})
    assert "is not TOML, see line 3, column" in broken[0]
    assert not any(SECRET in problem for problem in [*problems, *broken])


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "has no requests"), (b"request = 1", "has no requests"), (b"\xff", "not UTF-8"), (None, "cannot be read")],
)
def test_a_file_that_holds_no_requests(tmp_path: Path, content: bytes | None, words: str) -> None:
    """Empty, of something else, or not there."""
    path = tmp_path / "requests.toml"
    if content is not None:
        path.write_bytes(content)

    requests, problems = read_requests(path, {})

    assert requests == []
    assert words in problems[0]


def test_values_of_the_environment_are_not_looked_through_again(tmp_path: Path) -> None:
    """Places in a token are a token's letters; a doubled dollar sign is one, and braces are braces."""
    path = tmp_path / "requests.toml"
    path.write_text(
        '[[request]]\nname = "one"\nurl = "https://app.example/"\nheaders = { A = "${env.TOKEN} {id} $${env.HOME}" }\nexpect.status = 200'
    )

    [request], problems = read_requests(path, {"TOKEN": "${row.id} ${env.HOME} $$"})

    assert problems == []
    assert request.made_from({}).headers == {"A": "${row.id} ${env.HOME} $$ {id} ${env.HOME}"}


def _read(folder: Path, keys: str, first: str = "") -> list[str]:
    path = folder / "requests.toml"
    path.write_text(f'{first}\n[[request]]\nname = "one"\nexpect.status = 200\n{keys}')
    problems: list[Any] = read_requests(path, {})[1]
    return problems
