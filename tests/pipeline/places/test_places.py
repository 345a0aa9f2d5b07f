"""What every place promises, whether a folder, a bucket, or a folder behind Beam."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import random
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from isal import igzip

from pipeline.places.place import ChangedFile, StoredFile
from tests.aws_server import AwsServer
from tests.pipeline.places.places import Bucket, Folder, FolderThroughBeam, Place

KEYS = [
    "AWSDynamoDB/01794632786093-0de7e107/manifest-summary.json",
    "with space/a b  c.json",
    "a+b/c+d.gz",
    "100%/%41%2F%.json",
    "año/日本語/👩🏽‍⚕️.gz",
    "year=2026/month=11/=.gz",
    "what?/is#this&that;.json",
    'quote\'d/"x"/[1]*.json',
    ".hidden/_started",
    "deep/" * 30 + "file",
]


@pytest.fixture(params=["folder", "bucket", "beam"])
def place(
    request: pytest.FixtureRequest, tmp_path: Path, bucket: str, aws_server: AwsServer, use_aws: Callable[[Mapping[str, str]], None]
) -> Place:
    """Each test runs against all of them."""
    use_aws(aws_server.environment)
    if request.param == "bucket":
        return Bucket(aws_server, bucket, aws_server.endpoint_url)
    return Folder(tmp_path) if request.param == "folder" else FolderThroughBeam(tmp_path)


# -- listing -------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["", "/"])
def test_every_file_below_a_folder_is_listed_with_its_size(place: Place, ending: str) -> None:
    """At any depth, whatever its name, once; a slash at the folder's end changes nothing."""
    for number, key in enumerate(KEYS):
        place.put(f"root/{key}", b"x" * number)
    place.put("beside/file", b"")

    found = list(place.storage.files_below(place.uri("root") + ending))

    assert sorted(found, key=repr) == sorted((StoredFile(place.uri(f"root/{key}"), n) for n, key in enumerate(KEYS)), key=repr)


def test_what_is_listed_can_be_read(place: Place) -> None:
    """A URI of a listing is one for reading, whatever characters it holds."""
    for key in KEYS:
        place.put(f"root/{key}", key.encode())

    contents = {place.storage.read(file.uri).decode() for file in place.storage.files_below(place.uri("root"))}

    assert contents == set(KEYS)


def test_a_folder_whose_name_begins_another_s_lists_its_own(place: Place) -> None:
    """`AWSDynamoDB/01` is not `AWSDynamoDB/012`, nor a file `AWSDynamoDB/01.json`."""
    for key in ("AWSDynamoDB/01/data/a.gz", "AWSDynamoDB/012/data/b.gz", "AWSDynamoDB/01.json", "AWSDynamoDB/01 /c"):
        place.put(key, b"")

    found = [file.uri for file in place.storage.files_below(place.uri("AWSDynamoDB/01"))]

    assert found == [place.uri("AWSDynamoDB/01/data/a.gz")]


@pytest.mark.parametrize("folder", ["nothing", "nothing/", "root/file", "root/fil"])
def test_below_what_is_no_folder_there_is_nothing(place: Place, folder: str) -> None:
    """No error: who lists says what is missing."""
    place.put("root/file", b"x")

    assert list(place.storage.files_below(place.uri(folder))) == []


# -- reading -------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", KEYS)
def test_a_file_is_read_whatever_its_name(place: Place, key: str) -> None:
    """By `read` and by `open`, as the bytes that it has: nothing is decompressed on the way."""
    content = gzip.compress(key.encode())
    place.put(key, content)

    stream, _ = place.storage.open(place.uri(key))

    with stream:
        assert stream.read() == content
    assert place.storage.read(place.uri(key)) == content


def test_an_empty_file_is_empty(place: Place) -> None:
    """Zero bytes are a file as well, of which no part can be asked for."""
    place.put("empty", b"")

    with place.storage.open(place.uri("empty"))[0] as stream:
        assert stream.read(10) == b""
        assert stream.readinto(bytearray(10)) == 0
    assert place.storage.read(place.uri("empty")) == b""


@pytest.mark.parametrize("key", ["nothing", "root", "root/file/x", "root/fil"])
def test_a_missing_file_is_not_found(place: Place, key: str) -> None:
    """So is a folder where a file is asked for; on a disk it is another `OSError`."""
    place.put("root/file", b"x")
    expected = OSError if isinstance(place, Folder) and key in ("root", "root/file/x") else FileNotFoundError

    with pytest.raises(expected):
        place.storage.read(place.uri(key))
    with pytest.raises(expected):
        place.storage.open(place.uri(key))[0].read()


# -- streams -------------------------------------------------------------------------------------------------------------------------------


def test_a_stream_gives_its_content_once_in_pieces(place: Place) -> None:
    """`read(n)` gives at most n bytes and nothing but at the end; `readinto` fills at most what it is given."""
    content = random.Random(1).randbytes(400_000)
    place.put("file", content)
    found = b""

    with place.storage.open(place.uri("file"))[0] as stream:
        assert stream.readable()
        while piece := stream.read(70_001):
            assert len(piece) <= 70_001
            found += piece
            buffer = bytearray(b"\xaa" * 30_000)
            count = stream.readinto(memoryview(buffer)[:20_000])
            assert buffer[count:] == b"\xaa" * (30_000 - count)
            found += buffer[:count]
        assert stream.read(1) == b""
        assert stream.read() == b""

    assert found == content
    assert stream.closed


@pytest.mark.parametrize("wrap", [lambda raw: igzip.IGzipFile(fileobj=raw), lambda raw: gzip.GzipFile(fileobj=io.BufferedReader(raw))])
def test_a_stream_can_be_decompressed_and_buffered(place: Place, wrap: Callable) -> None:
    """By what stands above it."""
    content = random.Random(2).randbytes(300_000)
    place.put("file.gz", gzip.compress(content))

    with place.storage.open(place.uri("file.gz"))[0] as raw, wrap(raw) as stream:
        assert stream.read() == content


def test_two_streams_of_a_file_do_not_disturb_each_other(place: Place) -> None:
    """Two splits of a data file are read at once."""
    content = random.Random(3).randbytes(200_000)
    place.put("file", content)
    first, second = (io.BufferedReader(place.storage.open(place.uri("file"))[0]) for _ in range(2))
    with first, second:
        pieces = [(first.read(5_000), second.read(5_000)) for _ in range(40)]

    assert b"".join(piece for piece, _ in pieces) == b"".join(piece for _, piece in pieces) == content


# -- versions ------------------------------------------------------------------------------------------------------------------------------


def test_an_unchanged_file_is_opened_in_its_version(place: Place) -> None:
    """Twice opened, one version; asked for, it is given. It travels between processes."""
    place.put("file", b"content")
    version = _version(place, "file")
    again = _version(place, "file")

    stream, given = place.storage.open(place.uri("file"), pickle.loads(pickle.dumps(version)))  # noqa: S301 - our own

    with stream:
        assert stream.read() == b"content"
    assert version == again == given


@pytest.mark.parametrize("other", [b"another content", b"CONTENT", b""])
def test_a_replaced_file_is_changed(place: Place, tmp_path: Path, other: bytes) -> None:
    """Of another size or of the same: whoever asks for what was there is told."""
    place.put("file", b"content")
    version = _version(place, "file")
    place.put("file", other)
    _let_time_pass(tmp_path / "file")

    with pytest.raises(ChangedFile):
        place.storage.open(place.uri("file"), version)
    with place.storage.open(place.uri("file"))[0] as stream:
        assert stream.read() == other


def test_a_removed_file_is_missing_in_any_version(place: Place) -> None:
    """Not changed: copying it again would mend it."""
    place.put("file", b"content")
    version = _version(place, "file")
    place.remove("file")

    with pytest.raises(FileNotFoundError):
        place.storage.open(place.uri("file"), version)


def test_storage_travels_to_workers(place: Place) -> None:
    """It is settings and nothing else: no client, no connection, no secret."""
    place.put("file", b"content")
    place.storage.read(place.uri("file"))
    pickled = pickle.dumps(place.storage)

    assert os.environ["AWS_SECRET_ACCESS_KEY"].encode() not in pickled
    assert os.environ["AWS_ACCESS_KEY_ID"].encode() not in pickled
    assert pickle.loads(pickled).read(place.uri("file")) == b"content"  # noqa: S301


def _version(place: Place, key: str) -> str:
    stream, version = place.storage.open(place.uri(key))
    stream.close()
    return version


def _let_time_pass(path: Path) -> None:
    """A clock that ticks too slowly must not hide a change on the disk."""
    if path.is_file():
        os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 1_000_000_000))
