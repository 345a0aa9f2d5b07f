"""Requests as a real server gets them, and what is said of its answers."""

from __future__ import annotations

import gzip
import json
import logging
import socket
import threading
import time
from decimal import Decimal
from pathlib import Path
from urllib.parse import unquote

import pytest

from pipeline.postcheck.requests.json_values import at, is_same, parse
from pipeline.postcheck.requests.result import RequestResult
from tests.pipeline.postcheck.requests.conftest import RequestFile
from tests.pipeline.postcheck.requests.web_server import Reply, WebServer
from tests.postgres_server import Database

HOSTILE = ["a/b", "a?b=c&d", "a#b", "a b+c", "ü😀\u202e", "\"quoted' \\", "%2F", "100%", "a\r\nX-Evil: 1", "{id}", "${HOME}", "..x", ";:@="]


def failures(result: RequestResult) -> list[tuple[str, str | None, int]]:
    """Kind, path and count."""
    return sorted((one.kind.value, one.path, one.count) for one in result.failures)


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
        url = "http://APP/sessions?id=eq.{id}"
        sql = "SELECT id, status, start_time, end_time FROM video_call_sessions ORDER BY md5(id::text);"
        rows = 4
        [request.expect]
        status = 200
        [request.expect.json]
        "/0/id" = { column = "id" }
        "/0/status" = "ACTIVE"
        "/0/start_time" = { column = "start_time" }
        "/0/end_time" = { column = "end_time" }
        "/0/patient_id" = { type = "string" }
        "/1" = { present = false }
    """)

    assert result.is_as_expected
    assert (result.name, result.method, result.tried, result.failed, result.statuses) == ("sessions", "GET", 4, 0, {"200": 4})
    assert len({received.target for received in web.received}) == 4


def test_hostile_values_stay_in_their_place(file: RequestFile, web: WebServer) -> None:
    """In the path and the query percent-encoded whole, in the body as JSON: what the server takes apart is what the row held."""
    result = file.send_one(f"""
        [[request]]
        name = "hostile"
        method = "POST"
        url = "http://APP/notes/{{id}}/text?q=x{{id}}&r=1#{{id}}"
        body = {{ id = "{{id}}", longer = "<{{id}}>", list = ["{{id}}", 1.50, true] }}
        sql = {in_toml(array_of(HOSTILE))}
        rows = 100
        expect.status = 200
    """)

    assert result.is_as_expected
    assert result.tried == len(HOSTILE) == len(web.received)
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
        url = "http://APP/?n={{n}}&o={{o}}&yes={{yes}}"
        body = {{ n = "{{n}}", o = "{{o}}", nothing = "{{nothing}}", yes = "{{yes}}", text = "{{n}} {{yes}} {{nothing}}" }}
        sql = {in_toml(sql)}
        expect.status = 200
    """)

    assert result.is_as_expected
    assert unquote(web.last.target) == '/?n=1.23456789012345678901234567890&o={"a":[1]}&yes=true'
    number = "1.23456789012345678901234567890"
    assert web.last.body.decode() == f'{{"n":{number},"o":{{"a":[1]}},"nothing":null,"yes":true,"text":"{number} true null"}}'


def test_headers_of_the_environment_arrive_and_no_others(file: RequestFile, web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not what ~/.netrc holds for this host, nor a cookie that an earlier answer set."""
    monkeypatch.setenv("TEST_KEY", "k3y {id}")
    netrc = file.path.with_name("netrc")
    netrc.write_text("machine 127.0.0.1 login somebody password else")
    monkeypatch.setenv("NETRC", str(netrc))
    web.answer = lambda _: Reply(headers={"Set-Cookie": "session=1; Path=/"})
    entry = """
        [[request]]
        name = "NAME"
        url = "http://APP/"
        headers = { Authorization = "Bearer ${TEST_KEY}", X-Row = "{id}" }
        sql = "SELECT 7 AS id"
        expect.status = 200
    """

    results = file.send(entry + entry.replace("NAME", "again").replace('Authorization = "Bearer ${TEST_KEY}", ', ""))

    assert all(result.is_as_expected for result in results)
    first, second = (received.headers for received in web.received)
    assert (first["authorization"], first["x-row"]) == ("Bearer k3y {id}", "7")
    assert "authorization" not in second
    assert "cookie" not in second


@pytest.mark.parametrize(
    ("columns", "url", "words"),
    [
        ("NULL AS id", "http://APP/{id}", "a column of the URL is NULL"),
        ("NULL AS id", "http://APP/", "a column of a header is NULL"),
        ("E'a\\\\nb' AS id", "http://APP/", "cannot stand in a header"),
        ("'ü' AS id", "http://APP/", "cannot stand in a header"),
        ("'..' AS id", "http://APP/a/{id}/b", "makes . or .. a part of the URL's path"),
        ("'.' AS id", "http://APP/a/.{id}?x", "makes . or .. a part of the URL's path"),
    ],
)
def test_what_cannot_be_sent_as_it_is_is_not_sent(file: RequestFile, web: WebServer, columns: str, url: str, words: str) -> None:
    """And is a failure: the row was not tried as it should have been."""
    result = file.send_one(f"""
        [[request]]
        name = "unsendable"
        url = "{url}"
        headers = {{ X-Row = "{{id}}" }}
        sql = "SELECT {columns}"
        expect.status = 200
    """)

    assert failures(result) == [("not_sent", None, 1)]
    assert words in result.failures[0].sentence
    assert web.received == []


def test_every_kind_of_difference_is_told_without_a_value(file: RequestFile, web: WebServer) -> None:
    """By the path and the kind, with how many rows it hit."""
    answers = iter([{"id": "patient-1", "n": 1.0, "flag": 1, "gone": "patient-x"}, {"id": "PATIENT", "n": 2, "flag": True, "extra": None}])
    web.answer = lambda _: Reply(body=next(answers))
    result = file.send_one("""
        [[request]]
        name = "differences"
        url = "http://APP/"
        sql = "SELECT 'patient-' || n AS id, n FROM generate_series(1, 2) n"
        [request.expect]
        status = [200, 201]
        [request.expect.json]
        "/id" = { column = "id" }
        "/n" = { column = "n" }
        "/flag" = true
        "/gone" = { present = true }
        "/extra" = { present = false }
    """)

    assert failures(result) == [
        ("field_missing", "/gone", 1),
        ("field_present", "/extra", 1),
        ("type_differs", "/flag", 1),
        ("value_differs", "/id", 1),
    ]
    assert (result.tried, result.failed, result.statuses) == (2, 2, {"200": 2})
    assert "patient" not in str(result).lower()


@pytest.mark.parametrize("body", [b"", b"<html>patient</html>", b"{", b"NaN", b'"\xff"', b"[" * 100_000])
def test_an_answer_that_is_not_json_is_told(file: RequestFile, web: WebServer, body: bytes) -> None:
    """Also one that is nested without end."""
    web.answer = lambda _: Reply(body=body)
    result = file.send_one('[[request]]\nname = "one"\nurl = "http://APP/"\nexpect = { status = 200, json = { "" = { present = true } } }')

    assert failures(result) == [("not_json", None, 1)]


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
        expect = { status = [200, 204], json = { "/id" = 1 } }
    """)

    assert {(one.sentence, one.count) for one in result.failures} == {
        ("the status is 500, not 200 or 204", 2),
        ("the status is 404, not 200 or 204", 1),
    }
    assert (result.statuses, result.failed) == ({"200": 1, "404": 1, "500": 2}, 3)


def test_a_query_without_rows_fails(file: RequestFile, web: WebServer) -> None:
    """Nothing was tried, so nothing is proved."""
    result = file.send_one('[[request]]\nname = "one"\nurl = "http://APP/{id}"\nsql = "SELECT id FROM clinical_notes"\nexpect.status = 200')

    assert failures(result) == [("no_rows", None, 1)]
    assert web.received == []


# -- redirects -----------------------------------------------------------------------------------------------------------------------------

REDIRECTED = '[[request]]\nname = "one"\nmethod = "{}"\nurl = "http://APP/from"\nheaders = {{ apikey = "k3y" }}\nexpect.status = {}'


def test_a_redirect_to_another_host_is_not_followed(file: RequestFile, web: WebServer) -> None:
    """It would get the credentials: another port is another host."""
    with WebServer() as other:
        web.answer = lambda _: Reply(302, headers={"Location": f"{other.url}/to"})
        result = file.send_one(REDIRECTED.format("GET", 200))
        assert other.received == []

    assert failures(result) == [("not_sent", None, 1)]
    assert "redirected to another host" in result.failures[0].sentence


@pytest.mark.parametrize(
    ("method", "expected", "targets"),
    [("GET", 200, ["/from", "/to"]), ("GET", 307, ["/from"]), ("POST", 307, ["/from"])],
)
def test_redirects_on_the_same_host(file: RequestFile, web: WebServer, method: str, expected: int, targets: list[str]) -> None:
    """Followed where nothing can be done twice, unless the redirect itself is what is expected."""
    web.answer = lambda received: Reply(307, headers={"Location": "/to"}) if received.target == "/from" else Reply()

    assert file.send_one(REDIRECTED.format(method, expected)).is_as_expected
    assert [received.target for received in web.received] == targets


def test_redirects_in_a_circle_end(file: RequestFile, web: WebServer) -> None:
    """After some."""
    web.answer = lambda _: Reply(302, headers={"Location": "/from"})

    assert "again and again" in file.send_one(REDIRECTED.format("GET", 200)).failures[0].sentence
    assert len(web.received) == 5


# -- servers that do not answer ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["no answer", "no body", "byte by byte"])
def test_a_slow_server_hits_the_timeout(file: RequestFile, web: WebServer, how: str) -> None:
    """Whether nothing comes, or always something."""
    release = threading.Event()

    def answer(_: object) -> Reply:
        if how == "no answer":
            release.wait(30)
        return Reply(body=b" " * 400, between_bytes=lambda: not release.wait(30 if how == "no body" else 0.02))

    web.answer = answer
    started = time.monotonic()
    result = file.send_one('[[request]]\nname = "slow"\nurl = "http://APP/"\ntimeout = 0.3\nexpect.status = 200')
    seconds = time.monotonic() - started
    release.set()

    assert failures(result) == [("not_sent", None, 1)]
    assert result.failures[0].sentence == "there was no whole answer within 0.3 seconds"
    assert seconds < 5


def test_an_answer_that_is_cut_short_is_none(file: RequestFile, web: WebServer) -> None:
    """Although what came of it is JSON."""
    web.answer = lambda _: Reply(body=b"1234", between_bytes=lambda: False)

    assert failures(file.send_one(REDIRECTED.format("GET", 200))) == [("not_sent", None, 1)]


def test_an_answer_may_be_compressed(file: RequestFile, web: WebServer) -> None:
    """As most servers do."""
    web.answer = lambda _: Reply(body=gzip.compress(b'{"id": "' + b"x" * 300_000 + b'", "n": 1}'), headers={"Content-Encoding": "gzip"})

    assert file.send_one('[[request]]\nname = "one"\nurl = "http://APP/"\nexpect = { status = 200, json = { "/n" = 1 } }').is_as_expected


def test_nothing_is_logged(file: RequestFile, web: WebServer, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the level: the client's library quotes URLs."""
    caplog.set_level(logging.DEBUG)

    assert file.send_one(REDIRECTED.format("GET", 200)).is_as_expected
    assert web.received
    assert caplog.records == []


def test_nobody_there_is_told_and_not_asked_for_every_row(file: RequestFile, web: WebServer) -> None:
    """Three times is enough."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        result = file.send_one(
            f'[[request]]\nname = "one"\nurl = "{url}/{{n}}"\nsql = "SELECT generate_series(1, 9) AS n"\nrows = 9\nexpect.status = 200'
        )

    assert [(one.sentence, one.count) for one in result.failures] == [("the connection was refused: nobody listens there", 3)]
    assert (result.tried, result.failed, result.statuses) == (3, 3, {})
    assert web.received == []


def test_an_answer_without_end_is_cut(file: RequestFile, web: WebServer) -> None:
    """It would take the memory of whoever asks."""
    web.answer = lambda _: Reply(body=b"1" * 10_000_001)

    assert "is larger than 10,000,000 bytes" in file.send_one(REDIRECTED.format("GET", 200)).failures[0].sentence


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

    assert "TLS failed" in result.failures[0].sentence


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


@pytest.mark.parametrize(
    ("pointer", "expected"),
    [
        ("", True),
        ("/a/1", True),
        ("/a/2", False),
        ("/a/01", False),
        ("/a/-", False),
        ("/a~1b", True),
        ("/m~0n", True),
        ("/", True),
        ("/x", False),
    ],
)
def test_places_are_json_pointers(pointer: str, expected: bool) -> None:
    """As RFC 6901 has them."""
    assert at({"a": [Decimal(1), None], "a/b": None, "m~n": None, "": None}, pointer)[0] is expected
