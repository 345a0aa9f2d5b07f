"""A network that is gone for some seconds ends no run; and what is logged of requests holds no token."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.places.place import AwsSettings
from pipeline.places.storage import Storage
from tests.aws_server import AwsServer
from tests.command_line import CommandLine
from tests.fault_proxy import Cut, FaultProxy, Request

SECONDS = 6
TOKEN = "FwoGZXIvYXdzEPLANTEDTOKEN"
CONTENT = bytes(range(256)) * 2_000


def test_an_outage_of_seconds_is_sat_out(aws_server: AwsServer, bucket: str, use_aws: object) -> None:
    """In the midst of a body, too; botocore alone gives up after three."""
    use_aws(aws_server.environment)  # type: ignore[operator]
    aws_server.make_bucket(bucket)
    aws_server.s3.put_object(Bucket=bucket, Key="key", Body=CONTENT)
    with FaultProxy(aws_server.endpoint_url) as proxy:
        until = time.monotonic() + SECONDS

        def plan(request: Request) -> Cut | None:
            if request.range and time.monotonic() < until:
                return Cut(0.0, is_reset=True)
            return None if request.range else Cut(0.4)

        proxy.plan = plan

        assert Storage(AwsSettings(proxy.endpoint_url)).read(f"s3://{bucket}/key") == CONTENT

    assert time.monotonic() > until


def test_no_log_level_shows_tokens(tmp_path: Path, aws_server: AwsServer, bucket: str) -> None:
    """Botocore logs its requests, with their credentials, at DEBUG."""
    aws_server.make_bucket(bucket)
    run = CommandLine("postgresql://nobody@127.0.0.1:1/none", tmp_path)
    finished = run(
        "inspect", "--export", f"s3://{bucket}/nothing", "--log_level", "DEBUG", **{**aws_server.environment, "AWS_SESSION_TOKEN": TOKEN}
    )

    assert finished.exit_code == 2
    assert TOKEN not in finished.output


CREDENTIALS = """
import json, pathlib, sys
seen = pathlib.Path(sys.argv[1])
if seen.exists() and sys.argv[2] == "fails":
    sys.exit("the login has expired")
seen.touch()
print(json.dumps({"Version": 1, "AccessKeyId": "a", "SecretAccessKey": "b", "SessionToken": "c", "Expiration": "2020-01-01T00:00:00Z"}))
"""


@pytest.mark.parametrize(("then", "words"), [("fails", "cannot be fetched; renew them"), ("is still expired", "have expired; renew them")])
def test_an_expired_login_is_one_sentence(tmp_path: Path, then: str, words: str) -> None:
    """And exit code 2, without the trace that a library would log before it."""
    (tmp_path / "credentials.py").write_text(CREDENTIALS)
    process = f'{sys.executable} {tmp_path}/credentials.py {tmp_path}/seen "{then}"'
    (tmp_path / "config").write_text(f"[default]\nregion = eu-central-1\ncredential_process = {process}\n")
    aws = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment = aws | {"AWS_CONFIG_FILE": f"{tmp_path}/config", "AWS_SHARED_CREDENTIALS_FILE": f"{tmp_path}/none"}

    finished = subprocess.run(
        [sys.executable, "-m", "pipeline", "inspect", "--export", "s3://bucket/export"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert (finished.returncode, finished.stderr) == (2, "")
    heading, sentence, verdict = filter(None, finished.stdout.splitlines())
    assert (heading, verdict) == ("Exports: 1 FAILED", "An export cannot be read (1 problem)")
    assert words in sentence
