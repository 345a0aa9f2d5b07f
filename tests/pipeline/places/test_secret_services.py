"""Secrets of AWS (moto's server) and Google (a loopback server of its REST protocol): found, refused with a sentence, and never quoted."""

from __future__ import annotations

import base64
import json
import logging
import pickle
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from psycopg2.extensions import parse_dsn

from pipeline.errors import Refused
from pipeline.places import secrets
from pipeline.target import database_url
from pipeline.target.connection import why_not_connected
from pipeline.target.database_url import DatabaseReference
from pipeline.target.session import Session
from tests.aws_server import REGION, AwsServer
from tests.google_secrets import GoogleSecrets
from tests.tls_server import TlsServer

PASSWORD = "t0p/secret:of@the#tests"
URL = "postgresql://someone:t0psecret@somewhere/db"
RDS = {"engine": "postgres", "host": "db.example.com", "port": 5432, "username": "loader", "password": PASSWORD, "dbname": "app"}


@pytest.fixture(autouse=True)
def nothing_looked_up() -> Iterator[None]:
    """Each test is a new process."""
    database_url._LOOKED_UP.clear()
    yield
    database_url._LOOKED_UP.clear()


@pytest.fixture
def aws(aws_server: AwsServer, use_aws: Callable[[Mapping[str, str]], None]) -> AwsServer:
    use_aws(aws_server.environment)
    return aws_server


@pytest.fixture
def google(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GoogleSecrets]:
    with GoogleSecrets(tmp_path) as secrets:
        for name, value in secrets.environment.items():
            monkeypatch.setenv(name, value)
        yield secrets


def refusal(reference: DatabaseReference) -> str:
    with pytest.raises(Refused) as caught:
        reference.url()
    assert caught.value.__cause__ is None
    return str(caught.value)


# -- AWS -----------------------------------------------------------------------------------------------------------------------------------


def test_an_aws_secret_is_found_by_its_arn_and_by_its_name(aws: AwsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ARN says its region itself."""
    arn = aws.client("secretsmanager").create_secret(Name="ddb2pg/found", SecretString=f"{URL}\n")["ARN"]
    assert DatabaseReference("aws-secretsmanager:ddb2pg/found").url() == URL

    monkeypatch.setenv("AWS_REGION", "us-west-1")
    assert DatabaseReference(f"aws-secretsmanager:{arn}").url() == URL
    assert DatabaseReference("aws-secretsmanager:ddb2pg/found", REGION).url() == URL
    assert "there is no such secret in us-east-2" in refusal(DatabaseReference("aws-secretsmanager:ddb2pg/found", "us-east-2"))


def test_what_aws_does_not_give_is_refused_with_what_to_do(aws: AwsServer) -> None:
    """One sentence each."""
    service = aws.client("secretsmanager")
    service.create_secret(Name="ddb2pg/bytes", SecretBinary=b"\0")
    service.create_secret(Name="ddb2pg/deleted", SecretString=URL)
    service.delete_secret(SecretId="ddb2pg/deleted")

    assert "holds no text" in refusal(DatabaseReference("aws-secretsmanager:ddb2pg/bytes"))
    assert "marked for deletion" in refusal(DatabaseReference("aws-secretsmanager:ddb2pg/deleted"))
    assert "takes the ARN" in refusal(DatabaseReference(f"aws-secretsmanager:{URL}"))
    assert "t0psecret" not in refusal(DatabaseReference(f"aws-secretsmanager:{URL}"))


# -- Google --------------------------------------------------------------------------------------------------------------------------------


def test_a_google_secret_is_found(google: GoogleSecrets) -> None:
    """The latest version unless one is named; signed requests only."""
    google.versions |= {"projects/p/secrets/s/versions/latest": URL, "projects/p/secrets/s/versions/3": json.dumps(RDS)}

    assert DatabaseReference("gcp-secretmanager:projects/p/secrets/s").url() == URL
    assert parse_dsn(DatabaseReference("gcp-secretmanager:projects/p/secrets/s/versions/3").url())["password"] == PASSWORD


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((404, "NOT_FOUND"), "no such secret"),
        ((403, "PERMISSION_DENIED"), "roles/secretmanager.secretAccessor"),
        ((400, "FAILED_PRECONDITION"), "disabled or destroyed"),
        ((401, "UNAUTHENTICATED"), "does not accept the credentials"),
        ((500, "INTERNAL"), "InternalServerError"),
        ("", "holds no text"),
    ],
)
def test_what_google_does_not_give_is_refused_with_what_to_do(google: GoogleSecrets, answer: str | tuple[int, str], words: str) -> None:
    """And without a word of the server."""
    google.versions["projects/p/secrets/s/versions/latest"] = answer

    sentence = refusal(DatabaseReference("gcp-secretmanager:projects/p/secrets/s"))

    assert words in sentence
    assert "words of a server" not in sentence


def test_a_wrong_google_key_or_name_is_refused(google: GoogleSecrets, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Before anything is asked, if the name is none."""
    assert "takes projects/PROJECT" in refusal(DatabaseReference(f"gcp-secretmanager:{URL}"))
    assert google.asked == []
    (tmp_path / "other").mkdir()
    google.versions["projects/p/secrets/s/versions/latest"] = URL
    with GoogleSecrets(tmp_path / "other") as others:
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(others.credentials))
        assert "does not accept the credentials" in refusal(DatabaseReference("gcp-secretmanager:projects/p/secrets/s"))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none"))
    assert "no Google credentials" in refusal(DatabaseReference("gcp-secretmanager:projects/p/secrets/s"))


# -- what a secret may be ------------------------------------------------------------------------------------------------------------------


def test_json_as_rds_has_it_is_a_database(tmp_path: Path) -> None:
    """Whatever signs the password has."""
    (tmp_path / "secret").write_text(json.dumps(RDS))

    parsed = parse_dsn(DatabaseReference(f"file:{tmp_path}/secret").url())

    assert parsed == {"host": "db.example.com", "port": "5432", "user": "loader", "password": PASSWORD, "dbname": "app"}


@pytest.mark.parametrize("text", ["{", json.dumps({"username": "u", "password": PASSWORD}), json.dumps({**RDS, "host": ""})])
def test_other_json_is_refused_without_a_value(tmp_path: Path, text: str) -> None:
    """As RDS's own secret of the master user, which does not name the host."""
    (tmp_path / "secret").write_text(text)

    sentence = refusal(DatabaseReference(f"file:{tmp_path}/secret"))

    assert PASSWORD not in sentence
    assert "JSON" in sentence
    assert ("without host" in sentence) is (text != "{")


# -- on the worker -------------------------------------------------------------------------------------------------------------------------


def secret_of(server: TlsServer, role: str, password: str) -> str:
    """As RDS writes it."""
    return json.dumps({**RDS, "host": "127.0.0.1", "port": server.port, "username": role, "password": password, "dbname": role})


@pytest.mark.parametrize("kind", ["aws", "google", "file"])
def test_a_rotated_password_is_looked_up_again(
    kind: str, aws: AwsServer, google: GoogleSecrets, tls_server: TlsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the server no longer takes the old one, and not for each connection."""
    role = f"rotated_{kind}"
    tls_server.new_database(role, "first")
    service = aws.client("secretsmanager")
    lookups: list[str] = []
    plain = secrets.look_up
    monkeypatch.setattr(secrets, "look_up", lambda *arguments: lookups.append(arguments[0]) or plain(*arguments))

    def rotate(password: str) -> DatabaseReference:
        tls_server.as_superuser("postgres").execute(f"ALTER ROLE {role} PASSWORD '{password}'")
        text = secret_of(tls_server, role, password)
        if kind == "aws":
            put = service.put_secret_value if lookups else service.create_secret
            put(**{"SecretId" if lookups else "Name": role}, SecretString=text)
            return DatabaseReference(f"aws-secretsmanager:{role}")
        if kind == "google":
            google.versions[f"projects/p/secrets/{role}/versions/latest"] = text
            return DatabaseReference(f"gcp-secretmanager:projects/p/secrets/{role}")
        (tmp_path / role).write_text(text)
        return DatabaseReference(f"file:{tmp_path}/{role}")

    reference = rotate("first")
    for _ in range(3):
        assert why_not_connected(reference) is None
    asked = len(lookups)
    assert asked == (3 if kind == "file" else 1)
    with Session(reference) as session:
        session.transact(lambda cursor: cursor.execute("SELECT 1"))
        rotate("second")
        session.close()
        session.transact(lambda cursor: cursor.execute("SELECT 1"))

    # A password that is wrong in the secret, too, is told, and not looked for for ever.
    tls_server.as_superuser("postgres").execute(f"ALTER ROLE {role} PASSWORD 'third'")
    sentence = str(why_not_connected(reference))
    assert "password authentication failed" in sentence
    assert "second" not in sentence


def test_a_secret_that_cannot_be_looked_up_again_leaves_what_was_known(google: GoogleSecrets, tls_server: TlsServer) -> None:
    """A service that is down for a moment stops no load."""
    tls_server.new_database("kept", "first")
    google.versions["projects/p/secrets/s/versions/latest"] = secret_of(tls_server, "kept", "first")
    reference = DatabaseReference("gcp-secretmanager:projects/p/secrets/s")
    url = reference.url()
    google.versions.clear()

    assert reference.changed_url(url) is None
    assert reference.url() == url
    assert why_not_connected(reference) is None


def test_what_was_looked_up_travels_nowhere(google: GoogleSecrets, caplog: pytest.LogCaptureFixture) -> None:
    """Not in what is pickled or shown, nor in the log of a client at its most talkative."""
    google.versions["projects/p/secrets/s/versions/latest"] = json.dumps(RDS)
    reference = DatabaseReference("gcp-secretmanager:projects/p/secrets/s")
    with caplog.at_level(logging.DEBUG):
        assert PASSWORD in reference.url()

    assert PASSWORD.encode() not in pickle.dumps(reference)
    assert PASSWORD not in repr(reference)
    assert PASSWORD not in caplog.text
    assert base64.b64encode(json.dumps(RDS).encode())[:20].decode() not in caplog.text


def test_an_aws_client_logs_no_answer(aws: AwsServer, caplog: pytest.LogCaptureFixture) -> None:
    """By itself it would log the body."""
    aws.client("secretsmanager").create_secret(Name="ddb2pg/logged", SecretString=json.dumps(RDS))
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("botocore").setLevel(logging.NOTSET)
        assert PASSWORD in DatabaseReference("aws-secretsmanager:ddb2pg/logged").url()

    assert PASSWORD not in caplog.text
