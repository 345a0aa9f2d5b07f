"""S3 itself: pages of listings, bodies that break off, errors that pass, and a sentence for those that do not."""

from __future__ import annotations

import gzip
import json
import random
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.places import aws
from pipeline.places.place import AwsSettings, ChangedFile, StorageFailed
from pipeline.places.storage import Storage
from tests.aws_server import ACCESS_KEY, REGION, SECRET_KEY, AwsServer
from tests.fault_proxy import (
    ACCESS_DENIED,
    EXPIRED_TOKEN,
    INTERNAL_ERROR,
    KMS_DENIED,
    KMS_DISABLED,
    OTHER_REGION,
    OTHER_REGION_NAMED,
    SLOW_DOWN,
    Answer,
    Cut,
    Fault,
    FaultProxy,
    Request,
    Stall,
    WithoutRange,
)
from tests.pipeline.places.places import OPERATIONS, Bucket, list_files, open_and_read
from tests.strategies import examples

KEY = "AWSDynamoDB/01/data/file.json.gz"
CONTENT = random.Random(4).randbytes(600_000)


@pytest.fixture(autouse=True)
def _use_aws(use_aws: Callable[[Mapping[str, str]], None], aws_server: AwsServer) -> None:
    use_aws({name: value for name, value in aws_server.environment.items() if name != "AWS_ENDPOINT_URL"})


@pytest.fixture
def proxy(aws_server: AwsServer) -> Iterator[FaultProxy]:
    with FaultProxy(aws_server.endpoint_url) as proxy:
        yield proxy


@pytest.fixture
def place(aws_server: AwsServer, bucket: str, proxy: FaultProxy) -> Bucket:
    place = Bucket(aws_server, bucket, proxy.endpoint_url)
    place.put(KEY, CONTENT)
    return place


@pytest.fixture
def as_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """For who changes the environment: boto3 keeps what it once found in it, and we the client of an endpoint whose port may come again."""
    aws._client.cache_clear()
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


@pytest.fixture
def without_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits between tries are not what is tested."""
    monkeypatch.setattr("time.sleep", lambda _: None)


# -- how S3 is asked -----------------------------------------------------------------------------------------------------------------------


def test_a_listing_of_many_pages_is_whole(place: Bucket) -> None:
    """S3 tells at most 1,000 names at a time."""
    keys = [f"many/{number} +%.gz" for number in range(1_005)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: place.put(key, b""), keys))

    found = [file.uri for file in place.storage.files_below(place.uri("many"))]

    assert sorted(found) == sorted(map(place.uri, keys))


def test_a_bucket_s_root_is_a_folder(place: Bucket) -> None:
    """With and without the slash."""
    for uri in (place.uri(""), place.uri("").rstrip("/")):
        assert [file.uri for file in place.storage.files_below(uri)] == [place.uri(KEY)]


def test_markers_of_folders_are_no_files(place: Bucket) -> None:
    """The S3 console makes objects of no bytes, whose keys end at a slash, to show folders."""
    place.put("AWSDynamoDB/01/", b"")
    place.put("AWSDynamoDB/01/data/", b"")

    assert [file.uri for file in place.storage.files_below(place.uri("AWSDynamoDB/01"))] == [place.uri(KEY)]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_request_says_whose_bucket_it_must_be(proxy: FaultProxy, place: Bucket, operation: Callable[[Storage, str], object]) -> None:
    """Also one that fetches the rest of a body that broke off."""
    proxy.plan = lambda request: Cut(0.5) if request.times == 1 and request.is_get and not request.range else None
    storage = Storage(AwsSettings(endpoint_url=proxy.endpoint_url, bucket_owner="123456789012"))

    operation(storage, place.uri(KEY if operation is not list_files else "AWSDynamoDB"))

    assert proxy.requests
    assert {request.headers.get("x-amz-expected-bucket-owner") for request in proxy.requests} == {"123456789012"}


def test_nobody_s_bucket_is_asked_for_unless_told(proxy: FaultProxy, place: Bucket) -> None:
    """Without the setting there is no such header, which would have to hold an account."""
    place.storage.read(place.uri(KEY))

    assert not any("x-amz-expected-bucket-owner" in request.headers for request in proxy.requests)


def test_another_endpoint_is_asked_by_paths(proxy: FaultProxy, place: Bucket, bucket: str) -> None:
    """The bucket is in the path, for names like bucket.localhost are nobody's; and `Host` is the endpoint's."""
    # By name: with a number boto3 would have no choice.
    endpoint_url = proxy.endpoint_url.replace("127.0.0.1", "localhost")

    Storage(AwsSettings(endpoint_url=endpoint_url)).read(place.uri(KEY))

    assert {request.path.split("/")[1] for request in proxy.requests} == {bucket}
    assert {request.headers["host"] for request in proxy.requests} == {endpoint_url.removeprefix("http://")}


@pytest.mark.usefixtures("as_new_process")
def test_the_endpoint_of_the_environment_is_asked_by_paths_too(proxy: FaultProxy, place: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """`AWS_ENDPOINT_URL` is as good as the setting."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint_url.replace("127.0.0.1", "localhost"))

    # Of a region that no other test has: the process keeps its clients.
    assert Storage(AwsSettings(region="af-south-1")).read(place.uri(KEY)) == CONTENT
    assert all(request.headers["host"].startswith("localhost:") for request in proxy.requests)


@pytest.mark.usefixtures("as_new_process")
@pytest.mark.parametrize(
    ("region", "variable", "expected"),
    [(None, "AWS_REGION", REGION), (None, "AWS_DEFAULT_REGION", REGION), ("sa-east-1", "AWS_DEFAULT_REGION", "sa-east-1")],
)
def test_requests_are_signed_for_the_region(
    proxy: FaultProxy, place: Bucket, monkeypatch: pytest.MonkeyPatch, region: str | None, variable: str, expected: str
) -> None:
    """The setting's, else the environment's, under the name of all AWS's programs and the one of boto3."""
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.setenv(variable, REGION)

    Storage(AwsSettings(endpoint_url=proxy.endpoint_url, region=region)).read(place.uri(KEY))

    assert f"Credential={ACCESS_KEY}/" in proxy.requests[0].headers["authorization"]
    assert f"/{expected}/s3/aws4_request" in proxy.requests[0].headers["authorization"]


def test_a_process_has_one_client(place: Bucket, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many files it reads: each client takes half a second and some megabytes."""
    made = []
    real = boto3.client
    monkeypatch.setattr(boto3, "client", lambda *args, **kwargs: made.append(args) or real(*args, **kwargs))

    for _ in range(5):
        storage = Storage(AwsSettings(endpoint_url=proxy.endpoint_url, region="ca-west-1"))
        storage.read(place.uri(KEY))
        list_files(storage, place.uri(""))

    assert len(made) == 1


def test_threads_share_the_client(place: Bucket, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beam's workers have several, which may all be the first."""
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    made = []
    real = boto3.client
    monkeypatch.setattr(boto3, "client", lambda *args, **kwargs: made.append(args) or real(*args, **kwargs))
    all_at_once = threading.Barrier(8)
    storage = Storage(AwsSettings(endpoint_url=proxy.endpoint_url, region="me-south-1"))

    def read(_: int) -> bytes:
        all_at_once.wait()
        return storage.read(place.uri(KEY))

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(read, range(8))) == {CONTENT}
    assert len(made) == 1


def test_an_object_that_says_it_is_gzip_is_not_decompressed_on_the_way(aws_server: AwsServer, place: Bucket, bucket: str) -> None:
    """Some tools that copy set `Content-Encoding`; the manifest's MD5 is of the bytes as they are kept."""
    content = gzip.compress(CONTENT)
    aws_server.s3.put_object(Bucket=bucket, Key=KEY, Body=content, ContentEncoding="gzip")

    assert place.storage.read(place.uri(KEY)) == content


# -- faults that pass ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("without_waits")
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    ("fault", "times"),
    [
        (SLOW_DOWN, 1),  # boto3's own waits for this one grow long
        (INTERNAL_ERROR, 3),
        (Cut(0.0), 3),
        (Cut(0.0, is_reset=True), 3),
        (Cut(0.6), 3),
        (Cut(0.6, is_reset=True), 3),
    ],
)
def test_what_passes_is_tried_again(
    proxy: FaultProxy, place: Bucket, operation: Callable[[Storage, str], object], fault: Fault, times: int
) -> None:
    """Errors that S3's guide says to try again, and answers that break off, of objects and of listings."""
    uri = place.uri(KEY if operation is not list_files else "AWSDynamoDB")
    expected = operation(place.storage, uri)
    first = len(proxy.requests)
    proxy.plan = lambda _: fault if len(proxy.requests) - first <= times else None

    assert operation(place.storage, uri) == expected
    assert len(proxy.faults) == times


@pytest.fixture(scope="module")
def cutting_proxy(aws_server: AwsServer) -> Iterator[FaultProxy]:
    aws_server.make_bucket("cut-bucket")
    with FaultProxy(aws_server.endpoint_url) as proxy, pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.sleep", lambda _: None)
        yield proxy


cuts = st.lists(st.builds(Cut, st.floats(0, 1), st.booleans()), max_size=5)


@settings(max_examples=examples(60), deadline=None)
@given(
    content=st.one_of(st.binary(max_size=50), st.integers(1, 300_000).map(lambda size: random.Random(size).randbytes(size))),
    sizes=st.lists(st.integers(1, 100_000), min_size=1, max_size=8),
    cuts=cuts,
)
def test_a_stream_through_cuts_is_the_content(
    aws_server: AwsServer, cutting_proxy: FaultProxy, content: bytes, sizes: list[int], cuts: list[Cut]
) -> None:
    """Wherever its bodies end, and whatever sizes it is read in, alternately by `read` and `readinto`."""
    aws_server.s3.put_object(Bucket="cut-bucket", Key=KEY, Body=content)
    left = list(cuts)
    cutting_proxy.plan = lambda request: left.pop() if left and request.is_get else None
    found = bytearray()

    with Storage(AwsSettings(endpoint_url=cutting_proxy.endpoint_url)).open(f"s3://cut-bucket/{KEY}")[0] as stream:
        turn = 0
        while True:
            size = sizes[turn % len(sizes)]
            buffer = bytearray(size)
            piece = stream.read(size) if turn % 2 else buffer[: stream.readinto(buffer)]
            if not piece:
                break
            assert len(piece) <= size
            found += piece
            turn += 1

    assert bytes(found) == content


@pytest.mark.usefixtures("without_waits")
def test_a_server_that_knows_no_ranges_does_not_spoil_the_rest(proxy: FaultProxy, place: Bucket) -> None:
    """Asked for the rest of a body it sends all of it, from the start, with 200: those bytes are not the rest."""
    proxy.plan = lambda request: Cut(0.5) if not request.range else WithoutRange()

    try:
        found = place.storage.read(place.uri(KEY))
    except (OSError, StorageFailed):
        return
    assert found == CONTENT


@pytest.mark.usefixtures("without_waits")
@pytest.mark.parametrize("other", [CONTENT[::-1], CONTENT + b"more", CONTENT[:1_000]])
def test_the_rest_is_of_the_same_version_or_there_is_none(
    aws_server: AwsServer, proxy: FaultProxy, place: Bucket, bucket: str, other: bytes
) -> None:
    """An object that is replaced while a body of it is broken off is never half the old one and half the new."""

    def plan(request: Request) -> Fault | None:
        if len([request for request in proxy.requests if request.is_get]) == 1:
            return Cut(0.5)
        aws_server.s3.put_object(Bucket=bucket, Key=request.key, Body=other)
        return None

    stream, _ = place.storage.open(place.uri(KEY))
    proxy.plan = plan
    proxy.requests.clear()
    # The first body was asked for before the plan; one more, which is cut.
    stream.close()
    stream, _ = place.storage.open(place.uri(KEY))

    with stream, pytest.raises((ChangedFile, OSError, StorageFailed)):
        stream.read()


@pytest.mark.usefixtures("without_waits")
def test_a_removed_object_does_not_end_early(aws_server: AwsServer, proxy: FaultProxy, place: Bucket, bucket: str) -> None:
    """Gone while its body is broken off: an error, not an end."""

    def plan(request: Request) -> Fault | None:
        if not request.range:
            return Cut(0.5)
        aws_server.s3.delete_object(Bucket=bucket, Key=request.key)
        return None

    proxy.plan = plan

    with place.storage.open(place.uri(KEY))[0] as stream, pytest.raises((ChangedFile, OSError, StorageFailed)):
        stream.read()


@pytest.mark.usefixtures("without_waits")
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_server_that_never_ends_a_body_is_given_up(proxy: FaultProxy, place: Bucket, share: float) -> None:
    """After a limit, with a sentence; not when every try brings much."""
    proxy.plan = lambda request: Cut(share) if request.is_get else None

    with pytest.raises(StorageFailed) as caught:
        place.storage.read(place.uri(KEY))

    _assert_sentence(str(caught.value), place.uri(KEY))
    assert len(proxy.requests) < 100


@pytest.mark.soak
def test_a_body_that_stalls_is_asked_for_again(proxy: FaultProxy, place: Bucket) -> None:
    """A connection that was forgotten on the way says nothing for ever; after a minute or so it is given up."""
    proxy.plan = lambda request: Stall(0.5, 300) if not request.range else None
    started = time.monotonic()

    assert place.storage.read(place.uri(KEY)) == CONTENT
    assert 10 < time.monotonic() - started < 120


# -- errors that stay ----------------------------------------------------------------------------------------------------------------------


def _assert_sentence(sentence: str, uri: str) -> None:
    """One line that names the URI and says what to do, in our words and without a secret."""
    assert uri in sentence
    assert "\n" not in sentence
    assert ";" in sentence, "what is wrong; what to do"
    for word in (ACCESS_KEY, SECRET_KEY, "An error occurred", "botocore", "<Code>", "Traceback"):
        assert word not in sentence


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        pytest.param(ACCESS_DENIED, r"s3:GetObject|s3:ListBucket|policy|permission", id="access denied"),
        pytest.param(KMS_DENIED, r"kms:Decrypt", id="KMS denied"),
        pytest.param(KMS_DISABLED, r"(?i)\bKMS\b.*\bkey\b|\bkey\b.*\bKMS\b", id="KMS disabled"),
        pytest.param(OTHER_REGION, r"--aws_region", id="other region"),
        pytest.param(OTHER_REGION_NAMED, r"--aws_region", id="other region, named"),
        pytest.param(EXPIRED_TOKEN, r"expired", id="expired token"),
        pytest.param(Answer(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist."), r"access key", id="key"),
        pytest.param(Answer(403, "RequestTimeTooSkewed", "The difference is too large."), r"clock", id="clock"),
        pytest.param(
            Answer(403, "InvalidObjectState", "The operation is not valid for the object's storage class", {}),
            r"(?i)restore|glacier|storage class",
            id="Glacier",
        ),
        pytest.param(Answer(418, "Teapot", f"a patient {SECRET_KEY} and words", {}), r"Teapot", id="unforeseen"),
    ],
)
def test_an_error_that_stays_is_told_in_a_sentence(
    proxy: FaultProxy, place: Bucket, operation: Callable[[Storage, str], object], fault: Answer, words: str
) -> None:
    """Whatever is asked: what is wrong, with which URI, and what to do; soon, for trying again would not help."""
    if operation is list_files and fault.code == "InvalidObjectState":
        pytest.skip("is said of objects only")
    proxy.plan = lambda _: fault

    with pytest.raises(StorageFailed) as caught:
        operation(place.storage, place.uri(KEY))

    _assert_sentence(str(caught.value), place.uri(KEY))
    assert re.search(words, str(caught.value)), str(caught.value)
    # Where nobody says which region, boto3 asks around.
    assert len(proxy.requests) < (200 if fault is OTHER_REGION else 5)


def test_an_error_in_the_middle_of_a_stream_is_told_the_same(proxy: FaultProxy, place: Bucket) -> None:
    """Credentials that expire while a large object is read."""
    proxy.plan = lambda request: EXPIRED_TOKEN if request.range else Cut(0.5)

    with place.storage.open(place.uri(KEY))[0] as stream, pytest.raises(StorageFailed, match="expired") as caught:
        stream.read()

    _assert_sentence(str(caught.value), place.uri(KEY))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_bucket_that_is_not_there_is_no_missing_file(place: Bucket, operation: Callable[[Storage, str], object]) -> None:
    """Copying the file again would not help."""
    with pytest.raises(StorageFailed, match="bucket") as caught:
        operation(place.storage, "s3://no-such-bucket-anywhere/x/y")

    _assert_sentence(str(caught.value), "s3://no-such-bucket-anywhere")


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("uri", ["s3://", "s3:///key", "s3://Not_A_Bucket!/key", "s3://a b/key"])
def test_what_cannot_be_a_bucket_is_refused(place: Bucket, operation: Callable[[Storage, str], object], uri: str) -> None:
    """boto3 says so in an exception of its own."""
    with pytest.raises(StorageFailed) as caught:
        operation(place.storage, uri)

    _assert_sentence(str(caught.value), uri)


@pytest.mark.usefixtures("without_waits")
@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_endpoint_that_does_not_answer_is_named(operation: Callable[[Storage, str], object]) -> None:
    """A closed port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

    with pytest.raises(StorageFailed, match="endpoint") as caught:
        operation(Storage(AwsSettings(endpoint_url=f"http://127.0.0.1:{port}")), "s3://bucket/key")

    _assert_sentence(str(caught.value), "s3://bucket/key")


@pytest.mark.parametrize("endpoint_url", ["localhost:4566", "nonsense", "http://"])
def test_an_endpoint_that_is_no_url_is_refused(endpoint_url: str) -> None:
    """The scheme is easily forgotten."""
    with pytest.raises(StorageFailed, match="endpoint"):
        Storage(AwsSettings(endpoint_url=endpoint_url)).read("s3://bucket/key")


@pytest.mark.usefixtures("as_new_process")
def test_a_profile_that_is_not_there_is_named(proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 finds out when its client is made."""
    monkeypatch.setenv("AWS_PROFILE", "nobody")

    with pytest.raises(StorageFailed, match="AWS_PROFILE"):
        Storage(AwsSettings(endpoint_url=proxy.endpoint_url)).read("s3://bucket/key")


@pytest.mark.usefixtures("as_new_process")
def test_no_credentials_are_no_key_error(proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """No variables, no file, no machine's role."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)

    with pytest.raises(StorageFailed, match="credentials") as caught:
        Storage(AwsSettings(endpoint_url=proxy.endpoint_url)).read("s3://bucket/key")

    _assert_sentence(str(caught.value), "s3://bucket/key")


# -- credentials that are looked at --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def strict_server() -> Iterator[tuple[AwsServer, dict[str, tuple[str, str]]]]:
    """A server that checks signatures and policies, a bucket `strict`, and the keys of users who may do more or less in it."""
    with AwsServer() as server:
        server.make_bucket("strict")
        server.s3.put_object(Bucket="strict", Key=KEY, Body=CONTENT)
        users = {"nothing": [], "list": ["s3:ListBucket"], "all": ["s3:ListBucket", "s3:GetObject"]}
        keys = {name: _make_user(server, name, actions) for name, actions in users.items()}
        keys["wrong secret"] = keys["all"][0], "wrong" + keys["all"][1]
        keys["wrong key"] = "AKIANOBODY", keys["all"][1]
        server.require_credentials()
        yield server, keys


def _make_user(server: AwsServer, name: str, actions: list[str]) -> tuple[str, str]:
    """Access key and secret key of who may do so much, everywhere."""
    iam = server.client("iam")
    iam.create_user(UserName=name)
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}
    if actions:
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


@pytest.mark.parametrize(
    ("user", "words"),
    [("nothing", r"s3:ListBucket"), ("wrong secret", r"AWS_SECRET_ACCESS_KEY|secret key"), ("wrong key", r"access key"), ("list", "")],
)
def test_listing_needs_its_right(
    strict_server: tuple[AwsServer, dict[str, tuple[str, str]]], monkeypatch: pytest.MonkeyPatch, user: str, words: str
) -> None:
    """With real signatures and policies, through a proxy that leaves both alone."""
    with FaultProxy(strict_server[0].endpoint_url) as proxy:
        storage = _storage_of(proxy, strict_server[1][user], monkeypatch)
        if not words:
            assert len(list(storage.files_below("s3://strict/AWSDynamoDB"))) == 1
            return
        with pytest.raises(StorageFailed, match=words) as caught:
            list(storage.files_below("s3://strict/AWSDynamoDB"))

    _assert_sentence(str(caught.value), "s3://strict/AWSDynamoDB")


@pytest.mark.parametrize("read", [Storage.read, open_and_read])
def test_reading_needs_its_right(
    strict_server: tuple[AwsServer, dict[str, tuple[str, str]]],
    monkeypatch: pytest.MonkeyPatch,
    read: Callable[[Storage, str], object],
) -> None:
    """Who may list only is told what right is missing; who may read reads."""
    with FaultProxy(strict_server[0].endpoint_url) as proxy:
        storage = _storage_of(proxy, strict_server[1]["list"], monkeypatch)
        with pytest.raises(StorageFailed, match="s3:GetObject") as caught:
            read(storage, f"s3://strict/{KEY}")
    with FaultProxy(strict_server[0].endpoint_url) as proxy:
        storage = _storage_of(proxy, strict_server[1]["all"], monkeypatch)
        assert read(storage, f"s3://strict/{KEY}") == CONTENT

    _assert_sentence(str(caught.value), f"s3://strict/{KEY}")


def _storage_of(proxy: FaultProxy, key: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> Storage:
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key[1])
    return Storage(AwsSettings(endpoint_url=proxy.endpoint_url))


# -- memory --------------------------------------------------------------------------------------------------------------------------------

_READ_ALL = """
import sys
from pathlib import Path
from pipeline.places.place import AwsSettings
from pipeline.places.storage import Storage

def peak_kb():
    return int(next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")))

storage = Storage(AwsSettings(endpoint_url=sys.argv[1]))
storage.read(sys.argv[2])
before = peak_kb()
with storage.open(sys.argv[3])[0] as stream:
    total = sum(iter(lambda: len(stream.read(1 << 20)), 0))
print(total, peak_kb() - before)
"""


def test_a_large_object_is_never_held_whole(aws_server: AwsServer, place: Bucket, bucket: str) -> None:
    """The peak memory of a process that reads 128 MB grows by less than 32 MB."""
    place.put("small", b"x")
    block = random.Random(5).randbytes(1 << 20)
    place.put("large", block * 128)

    finished = subprocess.run(
        [sys.executable, "-c", _READ_ALL, aws_server.endpoint_url, place.uri("small"), place.uri("large")],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )

    total, grown_kb = map(int, finished.stdout.split())
    print(f"{total >> 20} MB read, {grown_kb >> 10} MB more memory")
    assert total == 128 << 20
    assert grown_kb < 32 << 10
    assert aws_server.s3.head_object(Bucket=bucket, Key="large")["ContentLength"] == total
