"""Requests as a real server gets them, and what is said of its answers."""

from __future__ import annotations

import gzip
import json
import logging
import re
import socket
import threading
from pathlib import Path
from urllib.parse import unquote

import pytest

from pipeline.outcome.outcome import Check, Verdict
from pipeline.postcheck.send_requests import is_same, parse
from tests.pipeline.postcheck.requests.conftest import RequestFile
from tests.pipeline.postcheck.requests.web_server import Reply, WebServer
from tests.postgres_server import Database

HOSTILE = [
    "a/b",
    "a?b=c&d",
    "a#b",
    "a b+c",
    "ü😀\u202e",
    "\"quoted' \\",
    "%2F",
    "100%",
    "a\r\nX-Evil: 1",
    "${row.id}",
    "${env.HOME}",
    "$$",
    "..x",
    ";:@=",
]


SENT = re.compile(
    r"(?P<method>[A-Z]+), (?P<tried>\d+) tried in [\d.]+ s, (?P<answers>[^:]+): (as expected|(?P<failed>\d+) NOT as expected; (?P<why>.*))"
)


def sent(check: Check) -> tuple[str, str, str]:
    """Method, how many were tried, and the answers."""
    match = SENT.fullmatch(check.detail)
    assert match
    assert (check.verdict is Verdict.FAIL) == (match["failed"] is not None)
    return match["method"], match["tried"], match["answers"]


def failures(check: Check) -> list[str]:
    """Each with how many rows it hit, after how many failed."""
    match = SENT.fullmatch(check.detail)
    assert match
    assert check.verdict is Verdict.FAIL
    return [f"{match['failed']} failed", *sorted(match["why"].split("; "))]


def array_of(texts: list[str]) -> str:
    """SQL that yields the texts as rows, in their order."""
    return "SELECT value AS id FROM jsonb_array_elements_text($json$" + json.dumps(texts) + "$json$::jsonb)"


def in_toml(sql: str) -> str:
    return json.dumps(sql, ensure_ascii=False)


def test_each_row_is_asked_for_and_its_answer_held_against_it(file: RequestFile, web: WebServer, database: Database) -> None:
    """No more rows than wanted, with what the environment holds; every field is compared with its own row's column."""
    database.execute(
        "INSERT INTO video_call_sessions (id, appointment_id, provider_id, patient_id, status, start_time) "
        "SELECT md5(n::text)::uuid, md5('a')::uuid, md5('b')::uuid, md5('c')::uuid, 'ACTIVE', '2024-01-01 00:00:00.000001Z' "
        "FROM generate_series(1, 9) n"
    )
    rows = {str(row["id"]): row for (row,) in database.query("SELECT to_jsonb(s) FROM video_call_sessions s")}
    web.answer = lambda received: Reply(body=[rows[received.target.removeprefix("/sessions?id=eq.")]])

    result = file.send_one("""
        [[request]]
        name = "sessions"
        url = "http://APP/sessions?id=eq.${row.id}"
        sql = "SELECT id, status, start_time, end_time FROM video_call_sessions ORDER BY md5(id::text);"
        rows = 4
        [request.expect]
        status = 200
        [request.expect.json]
        "[0].id" = "${row.id}"
        "[0].status" = "ACTIVE"
        "[0].start_time" = "${row.start_time}"
        "[0].end_time" = "${row.end_time}"
        "type([0].patient_id)" = "string"
        "length(@)" = 1
    """)

    assert result.verdict is Verdict.PASS
    assert (result.name, *sent(result)) == ("sessions", "GET", "4", "4 x 200")
    assert len({received.target for received in web.received}) == 4


def test_hostile_values_stay_in_their_place(file: RequestFile, web: WebServer) -> None:
    """In the path and the query percent-encoded whole, in the body as JSON: what the server takes apart is what the row held."""
    result = file.send_one(f"""
        [[request]]
        name = "hostile"
        method = "POST"
        url = "http://APP/notes/${{row.id}}/text?q=x${{row.id}}&r=1#${{row.id}}"
        body = {{ id = "${{row.id}}", longer = "<${{row.id}}>", list = ["${{row.id}}", 1.50, true] }}
        sql = {in_toml(array_of(HOSTILE))}
        rows = 100
        expect.status = 200
    """)

    assert result.verdict is Verdict.PASS
    assert sent(result)[1] == str(len(HOSTILE)) == str(len(web.received))
    for text, received in zip(HOSTILE, web.received, strict=True):
        path, _, query = received.target.partition("?")
        assert [unquote(part) for part in path.split("/")] == ["", "notes", text, "text"]
        assert [unquote(part) for part in query.split("&")] == [f"q=x{text}", "r=1"]
        assert json.loads(received.body) == {"id": text, "longer": f"<{text}>", "list": [text, 1.5, True]}
        assert b"1.50" in received.body
        assert received.headers["content-type"] == "application/json"
        assert "x-evil" not in received.headers


def test_a_string_that_is_one_column_keeps_its_type(file: RequestFile, web: WebServer) -> None:
    """Numbers with all their digits, objects, lists, NULL; in a longer string they are text."""
    sql = """SELECT 1.23456789012345678901234567890 AS n, '{"a": [1]}'::jsonb AS o, NULL AS nothing, true AS yes"""
    result = file.send_one(f"""
        [[request]]
        name = "types"
        method = "PUT"
        url = "http://APP/?n=${{row.n}}&o=${{row.o}}&yes=${{row.yes}}"
        sql = {in_toml(sql)}
        expect.status = 200
        [request.body]
        n = "${{row.n}}"
        o = "${{row.o}}"
        nothing = "${{row.nothing}}"
        yes = "${{row.yes}}"
        text = "${{row.n}} ${{row.yes}} ${{row.nothing}}"
    """)

    assert result.verdict is Verdict.PASS
    assert unquote(web.last.target) == '/?n=1.23456789012345678901234567890&o={"a":[1]}&yes=true'
    number = "1.23456789012345678901234567890"
    assert web.last.body.decode() == f'{{"n":{number},"o":{{"a":[1]}},"nothing":null,"yes":true,"text":"{number} true null"}}'


def test_headers_of_the_environment_arrive_and_no_others(file: RequestFile, web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not what ~/.netrc holds for this host, nor a cookie that an earlier answer set."""
    monkeypatch.setenv("TEST_KEY", "k3y ${row.id}")
    netrc = file.path.with_name("netrc")
    netrc.write_text("machine 127.0.0.1 login somebody password else")
    monkeypatch.setenv("NETRC", str(netrc))
    web.answer = lambda _: Reply(headers={"Set-Cookie": "session=1; Path=/"})
    entry = """
        [[request]]
        name = "NAME"
        url = "http://APP/"
        headers = { Authorization = "Bearer ${env.TEST_KEY}", X-Row = "${row.id}" }
        sql = "SELECT 7 AS id"
        expect.status = 200
    """

    results = file.send(entry + entry.replace("NAME", "again").replace('Authorization = "Bearer ${env.TEST_KEY}", ', ""))

    assert all(result.verdict is Verdict.PASS for result in results)
    first, second = (received.headers for received in web.received)
    assert (first["authorization"], first["x-row"]) == ("Bearer k3y ${row.id}", "7")
    assert "authorization" not in second
    assert "cookie" not in second


@pytest.mark.parametrize(
    ("columns", "url", "words"),
    [
        ("NULL AS id", "http://APP/${row.id}", "a column of the URL is NULL"),
        ("NULL AS id", "http://APP/", "a column of a header is NULL"),
        ("E'a\\\\nb' AS id", "http://APP/", "cannot stand in a header"),
        ("'ü' AS id", "http://APP/", "cannot stand in a header"),
        ("'..' AS id", "http://APP/a/${row.id}/b", "makes . or .. a part of the URL's path"),
        ("'.' AS id", "http://APP/a/.${row.id}?x", "makes . or .. a part of the URL's path"),
    ],
)
def test_what_cannot_be_sent_as_it_is_is_not_sent(file: RequestFile, web: WebServer, columns: str, url: str, words: str) -> None:
    """And is a failure: the row was not tried as it should have been."""
    result = file.send_one(f"""
        [[request]]
        name = "unsendable"
        url = "{url}"
        headers = {{ X-Row = "${{row.id}}" }}
        sql = "SELECT {columns}"
        expect.status = 200
    """)

    [_, failure] = failures(result)
    assert words in failure
    assert sent(result)[2] == "no answer"
    assert web.received == []


def test_every_kind_of_difference_is_told_without_a_value(file: RequestFile, web: WebServer) -> None:
    """By the path and the kind, with how many rows it hit."""
    answers = iter([
        {"id": "patient-1", "n": 1.0, "flag": 1, "gone": "patient-x"},
        {"id": "PATIENT", "n": 2, "flag": True, "extra": 0, "text": None},
    ])  # fmt: skip
    web.answer = lambda _: Reply(body=next(answers))
    result = file.send_one("""
        [[request]]
        name = "differences"
        url = "http://APP/"
        sql = "SELECT 'patient-' || n AS id, n, NULL AS nothing FROM generate_series(1, 2) n"
        [request.expect]
        status = [200, 201]
        [request.expect.json]
        id = "${row.id}"
        n = "${row.n}"
        flag = true
        "gone != `null`" = true
        extra = "${row.nothing}"
        text = "${row.nothing}"
        "sum([n])" = "${row.n}"
        "length(n)" = 1
        other = "${row.n}"
    """)

    assert failures(result) == [
        "2 failed",
        "1: extra is of type number, not null",
        "1: flag is of type number, not boolean",
        "1: gone != `null` is another value than expected",
        "1: id is another value than expected",
        "2: length(n) cannot be worked out: the answer has another shape",
        "2: other is missing, or null",
    ]
    assert sent(result)[1:] == ("2", "2 x 200")
    assert "patient" not in result.detail.lower()


@pytest.mark.parametrize("body", [b"", b"<html>patient</html>", b"{", b"NaN", b'"\xff"', b"[" * 100_000])
def test_an_answer_that_is_not_json_is_told(file: RequestFile, web: WebServer, body: bytes) -> None:
    """Also one that is nested without end."""
    web.answer = lambda _: Reply(body=body)
    result = file.send_one('[[request]]\nname = "one"\nurl = "http://APP/"\nexpect = { status = 200, json = { "@" = 1 } }')

    assert failures(result) == ["1 failed", "1: the answer's body is not JSON"]


def test_another_status_is_told_and_nothing_more(file: RequestFile, web: WebServer) -> None:
    """The JSON of an error page is of no interest."""
    statuses = iter([200, 500, 404, 500])
    web.answer = lambda _: Reply(next(statuses), {"id": 1})
    result = file.send_one("""
        [[request]]
        name = "statuses"
        url = "http://APP/"
        sql = "SELECT generate_series(1, 4)"
        rows = 4
        expect = { status = [200, 204], json = { id = 1 } }
    """)

    assert failures(result) == ["3 failed", "1: the status is 404, not 200 or 204", "2: the status is 500, not 200 or 204"]
    assert sent(result)[2] == "1 x 200, 1 x 404, 2 x 500"


def test_a_query_without_rows_fails(file: RequestFile, web: WebServer) -> None:
    """Nothing was tried, so nothing is proved."""
    result = file.send_one(
        '[[request]]\nname = "one"\nurl = "http://APP/${row.id}"\nsql = "SELECT id FROM clinical_notes"\nexpect.status = 200'
    )

    assert failures(result) == ["0 failed", "1: its sql yields no row, so nothing was sent"]
    assert web.received == []


# -- redirects -----------------------------------------------------------------------------------------------------------------------------

REDIRECTED = '[[request]]\nname = "one"\nmethod = "{}"\nurl = "http://APP/from"\nheaders = {{ apikey = "k3y" }}\nexpect.status = {}'


@pytest.mark.parametrize("place", ["/to", "OTHER"])
def test_a_redirect_is_an_answer_and_not_followed(file: RequestFile, web: WebServer, place: str) -> None:
    """Whoever it leads to would get the credentials: another port is another host."""
    with WebServer() as other:
        web.answer = lambda _: Reply(302, headers={"Location": place.replace("OTHER", f"{other.url}/to")})
        followed, expected = (file.send_one(REDIRECTED.format(method, status)) for method, status in (("GET", 200), ("POST", 302)))
        assert other.received == []

    assert failures(followed) == ["1 failed", "1: the status is 302, not 200"]
    assert expected.verdict is Verdict.PASS
    assert [received.target for received in web.received] == ["/from", "/from"]


# -- servers that do not answer ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["no answer", "no body", "byte by byte"])
def test_a_slow_server_hits_the_timeout(file: RequestFile, web: WebServer, how: str) -> None:
    """Whether nothing comes, or always something."""
    release = threading.Event()

    def answer(_: object) -> Reply:
        if how == "no answer":
            release.wait(300)
        return Reply(body=b" " * 400, between_bytes=lambda: not release.wait(300 if how == "no body" else 0.02))

    web.answer = answer
    result = file.send_one('[[request]]\nname = "slow"\nurl = "http://APP/"\ntimeout = 0.3\nexpect.status = 200')
    release.set()

    assert failures(result) == ["1 failed", "1: there was no whole answer within 0.3 seconds"]


def test_an_answer_that_is_cut_short_is_none(file: RequestFile, web: WebServer) -> None:
    """Although what came of it is JSON."""
    web.answer = lambda _: Reply(body=b"1234", between_bytes=lambda: False)

    assert failures(file.send_one(REDIRECTED.format("GET", 200))) == ["1 failed", "1: the connection broke, or what came was not HTTP"]


def test_an_answer_may_be_compressed(file: RequestFile, web: WebServer) -> None:
    """As most servers do."""
    web.answer = lambda _: Reply(body=gzip.compress(b'{"id": "' + b"x" * 300_000 + b'", "n": 1}'), headers={"Content-Encoding": "gzip"})

    assert (
        file.send_one('[[request]]\nname = "one"\nurl = "http://APP/"\nexpect = { status = 200, json = { n = 1 } }').verdict is Verdict.PASS
    )


def test_nothing_is_logged(file: RequestFile, web: WebServer, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the level: the client's library quotes URLs."""
    caplog.set_level(logging.DEBUG)

    assert file.send_one(REDIRECTED.format("GET", 200)).verdict is Verdict.PASS
    assert web.received
    assert caplog.records == []


def test_nobody_there_is_told_and_not_asked_for_every_row(file: RequestFile, web: WebServer) -> None:
    """Three times is enough."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        result = file.send_one(
            f'[[request]]\nname = "one"\nurl = "{url}/${{row.n}}"\nsql = "SELECT generate_series(1, 9) AS n"\nrows = 9\nexpect.status = 200'
        )

    assert failures(result) == ["3 failed", "3: the connection was refused: no server listens there"]
    assert sent(result)[1:] == ("3", "no answer")
    assert web.received == []


def test_an_answer_without_end_is_cut(file: RequestFile, web: WebServer) -> None:
    """It would take the memory of whoever asks."""
    web.answer = lambda _: Reply(body=b"1" * 10_000_001)

    assert "is larger than 10,000,000 bytes" in file.send_one(REDIRECTED.format("GET", 200)).detail


def test_a_certificate_that_nobody_vouches_for_is_refused(file: RequestFile, tmp_path: Path) -> None:
    """TLS is verified, on this machine too."""
    import ssl

    from tests.pgbouncer import _make_certificate

    _make_certificate(tmp_path)
    with WebServer() as web:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
        web._server.socket = context.wrap_socket(web._server.socket, server_side=True)
        result = file.send_one(REDIRECTED.format("GET", 200).replace("http://APP", web.url.replace("http", "https")))
        assert web.received == []

    assert "TLS failed" in result.detail


# -- JSON ----------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("1", "1.0", True),
        ("1", "true", False),
        ("0", "false", False),
        ("null", "0", False),
        ("1.23456789012345678901234567890", "1.23456789012345678901234567891", False),
        ('{"a": 1, "b": [null, 2e2]}', '{"b": [null, 200], "a": 1.0}', True),
        ("[1, 2]", "[2, 1]", False),
        ("[true]", "[1]", False),
        ('{"a": null}', "{}", False),
    ],
)
def test_equality_is_that_of_json(one: str, other: str, expected: bool) -> None:
    """To the last digit, and true is not 1."""
    assert is_same(parse(one), parse(other)) is expected
