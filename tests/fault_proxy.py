"""A way to S3 on which things go wrong as planned: answers break off, come late, come with an error, or never come.

Requests are passed on as they are, `Host` included, so signatures hold; each connection serves one request.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

_BLOCK = 1 << 16
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "date", "server"}


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asked; `times` counts the same question from 1, whoever asks it."""

    method: str
    path: str
    headers: Mapping[str, str]
    times: int

    @property
    def bucket(self) -> str:
        return unquote(urlsplit(self.path).path).lstrip("/").partition("/")[0]

    @property
    def key(self) -> str:
        """Empty for what is asked of the bucket."""
        return unquote(urlsplit(self.path).path).lstrip("/").partition("/")[2]

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.path).query)

    @property
    def range(self) -> str:
        return self.headers.get("range", "")

    @property
    def is_get(self) -> bool:
        """Of an object's bytes."""
        return self.method == "GET" and bool(self.key)

    @property
    def is_data(self) -> bool:
        """Of a data file's bytes."""
        return self.is_get and self.key.endswith(".json.gz")


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection ends after this share of the body; reset, or as if all had been said."""

    share: float
    is_reset: bool = False


@dataclass(frozen=True, slots=True)
class Stall:
    """After this share of the body nothing comes any more, but the connection stays for so long."""

    share: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Delay:
    """The answer is whole, but late."""

    seconds: float


@dataclass(frozen=True, slots=True)
class WithoutRange:
    """The server has never heard of ranges: 200 and everything, whatever part was asked for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Another answer than the server's. As with S3 one to HEAD has no body, so no code and no words."""

    status: int
    code: str
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        words = f"<Code>{self.code}</Code><Message>{self.message}</Message><RequestId>TX234S0F</RequestId><HostId>uuv8</HostId>"
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{words}</Error>'.encode()


Fault = Cut | Stall | Delay | WithoutRange | Answer
Plan = Callable[[Request], Fault | None]

SLOW_DOWN = Answer(503, "SlowDown", "Please reduce your request rate.")
INTERNAL_ERROR = Answer(500, "InternalError", "We encountered an internal error. Please try again.")
ACCESS_DENIED = Answer(
    403,
    "AccessDenied",
    "User: arn:aws:iam::123456789012:user/loader is not authorized to perform: s3:GetObject because no identity-based policy allows "
    "the s3:GetObject action",
)
KMS_DENIED = Answer(
    403,
    "AccessDenied",
    "User: arn:aws:iam::123456789012:user/loader is not authorized to perform: kms:Decrypt on the resource associated with this "
    "ciphertext because no identity-based policy allows the kms:Decrypt action",
)
KMS_DISABLED = Answer(400, "KMS.DisabledException", "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d is disabled.")
OTHER_REGION = Answer(301, "PermanentRedirect", "The bucket you are attempting to access must be addressed using the specified endpoint.")
OTHER_REGION_NAMED = replace(OTHER_REGION, headers={"x-amz-bucket-region": "ap-southeast-2"})
EXPIRED_TOKEN = Answer(400, "ExpiredToken", "The provided token has expired.")


def no_faults(_: Request) -> None:
    """A plan."""


class RandomFaults:
    """A plan that depends on the seed and the question, not on who is faster; the same question fails so often in a row at most."""

    def __init__(self, seed: int, shares: Mapping[str, float], most_in_a_row: int = 3) -> None:
        self._seed = seed
        self._shares = shares
        self._most_in_a_row = most_in_a_row

    def __call__(self, request: Request) -> Fault | None:
        if request.times % (self._most_in_a_row + 1) == 0:
            return None
        chance = random.Random(f"{self._seed} {request.method} {request.path} {request.range} {request.times}")
        kind = chance.choices([*self._shares, ""], [*self._shares.values(), 1 - sum(self._shares.values())])[0]
        match kind:
            case "cut":
                return Cut(chance.random(), is_reset=chance.random() < 0.5)
            case "slow down":
                return SLOW_DOWN
            case "internal error":
                return INTERNAL_ERROR
            case "delay":
                return Delay(chance.uniform(0, 0.3))
        return None


class FaultProxy:
    """Between clients and a server; `plan` says for each request what goes wrong, and may be changed at any time."""

    def __init__(self, upstream: str, plan: Plan = no_faults) -> None:
        self.plan = plan
        self.upstream = urlsplit(upstream).netloc
        self.requests: list[Request] = []
        self.faults: list[tuple[Request, Fault]] = []
        self._times: Counter[tuple[str, str, str]] = Counter()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self.endpoint_url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def faults_of(self, kind: type[Fault]) -> int:
        return sum(isinstance(fault, kind) for _, fault in self.faults)

    def decide(self, method: str, path: str, headers: Mapping[str, str]) -> Fault | None:
        """Note a request and ask the plan; one at a time, so that plans may keep count."""
        headers = {name.lower(): value for name, value in headers.items()}
        with self._lock:
            question = method, path, headers.get("range", "")
            self._times[question] += 1
            request = Request(method, path, headers, self._times[question])
            self.requests.append(request)
            fault = self.plan(request)
            if fault is not None:
                self.faults.append((request, fault))
            return fault


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    proxy: FaultProxy

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _pass_on(self) -> None:
        self.close_connection = True
        fault = self.server.proxy.decide(self.command, self.path, dict(self.headers.items()))
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if isinstance(fault, Answer):
            self._answer(fault)
            return
        if isinstance(fault, Delay):
            time.sleep(fault.seconds)
        upstream = http.client.HTTPConnection(self.server.proxy.upstream)
        with contextlib.closing(upstream):
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                is_range = name.lower() == "range" and isinstance(fault, WithoutRange)
                if name.lower() not in ("connection", "expect") and not is_range:
                    upstream.putheader(name, value)
            upstream.endheaders(body or None)
            self._return(upstream.getresponse(), fault)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass_on  # noqa: N815 - http.server's names

    def _answer(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        if self.command == "HEAD":
            self.end_headers()
            return
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def _return(self, response: http.client.HTTPResponse, fault: Fault | None) -> None:
        # What comes without a length (listings) gets one: who reads it must be able to see that it broke off.
        whole = response.read() if response.length is None and self.command != "HEAD" else None
        length = len(whole) if whole is not None else int(response.headers.get("content-length", 0))
        self.send_response(response.status)
        for name, value in response.headers.items():
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        if whole is not None:
            self.send_header("Content-Length", str(length))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command == "HEAD":
            return
        # Never all of it: a cut that takes nothing away is none.
        left = min(int(length * fault.share), max(length - 1, 0)) if isinstance(fault, Cut | Stall) else length
        body = io.BytesIO(whole) if whole is not None else response
        while left and (block := body.read(min(left, _BLOCK))):
            self.wfile.write(block)
            left -= len(block)
        if isinstance(fault, Stall):
            time.sleep(fault.seconds)
        if isinstance(fault, Cut) and fault.is_reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def log_message(self, *_: object) -> None:
        """Tests say what they want to know."""
