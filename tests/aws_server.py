"""An AWS for tests: moto's server, a process of its own, spoken to over HTTP."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import boto3
from botocore.config import Config

REGION = "eu-central-1"
ACCESS_KEY = "AKIATESTDDB2PG"
SECRET_KEY = "t0pSecretOfTheTests"

_SECONDS_TO_START = 300
_PARALLEL_UPLOADS = 8


class AwsServer:
    """Whom nobody needs credentials for; after `require_credentials` they must be right, and IAM policies hold."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="ddb2pg-aws-"))
        log = self._folder / "log"
        with log.open("wb") as stream:
            # Port 0: the system picks a free one, and the server says which.
            command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
            self._process = subprocess.Popen(command, stdout=stream, stderr=stream, stdin=subprocess.DEVNULL)
        self.endpoint_url = f"http://127.0.0.1:{self._wait_for_port(log)}"
        self.s3 = self.client("s3")

    def client(self, service: str, access_key: str = ACCESS_KEY, secret_key: str = SECRET_KEY) -> Any:
        """A client past all proxies."""
        return boto3.client(
            service,
            endpoint_url=self.endpoint_url,
            region_name=REGION,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            config=Config(s3={"addressing_style": "path"}, max_pool_connections=_PARALLEL_UPLOADS),
        )

    @property
    def environment(self) -> dict[str, str]:
        """What a user would have exported."""
        return environment(self.endpoint_url)

    def make_bucket(self, bucket: str) -> None:
        """If it is not there."""
        with contextlib.suppress(self.s3.exceptions.BucketAlreadyOwnedByYou):
            self.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})

    def upload_tree(self, folder: Path, bucket: str, prefix: str = "") -> None:
        """Every file below a folder, under its path from there; the bucket is made if need be."""
        self.make_bucket(bucket)
        paths = [path for path in folder.rglob("*") if path.is_file()]

        def upload(path: Path) -> None:
            self.s3.put_object(Bucket=bucket, Key=prefix + path.relative_to(folder).as_posix(), Body=path.read_bytes())

        with ThreadPoolExecutor(_PARALLEL_UPLOADS) as pool:
            list(pool.map(upload, paths))

    def require_credentials(self) -> None:
        """From the next request on; there is no way back."""
        # Without a type of its own the body would be taken for a form.
        headers = {"Content-Type": "text/plain"}
        request = urllib.request.Request(f"{self.endpoint_url}/moto-api/reset-auth", b"0", headers)  # noqa: S310 - http
        urllib.request.urlopen(request).close()  # noqa: S310

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=300)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _wait_for_port(self, log: Path) -> int:
        end = time.monotonic() + _SECONDS_TO_START
        while not (found := re.search(r"Running on http://127\.0\.0\.1:(\d+)", log.read_text())):
            assert self._process.poll() is None, log.read_text()
            assert time.monotonic() < end, "moto's server does not start"
            time.sleep(0.02)  # between two looks, not for a state
        return int(found[1])


def environment(endpoint_url: str) -> dict[str, str]:
    """The variables that boto3 reads, for the server itself or a proxy before it."""
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
