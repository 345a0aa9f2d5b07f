"""Records as JSON Lines, compressed with gzip: `zcat | jq` reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Final

import orjson
from isal import igzip

_BLOCK: Final = 1 << 20


class JsonLines:
    """See `RecordForm`."""

    ending: Final = ".jsonl.gz"

    def writer(self, stream: BinaryIO) -> JsonLinesWriter:
        """See `RecordForm`."""
        return JsonLinesWriter(stream)

    def read(self, stream: BinaryIO) -> Iterator[dict[str, Any]]:
        """See `RecordForm`."""
        with igzip.IGzipFile(fileobj=stream) as lines:
            yield from map(orjson.loads, lines)

    def count(self, stream: BinaryIO) -> int:
        """See `RecordForm`."""
        count = 0
        with igzip.IGzipFile(fileobj=stream) as content:
            while block := content.read(_BLOCK):
                count += block.count(b"\n")
        return count


class JsonLinesWriter:
    """See `RecordWriter`."""

    def __init__(self, stream: BinaryIO) -> None:
        # No time in the header: the same records make the same file.
        self._compressed = igzip.IGzipFile(fileobj=stream, mode="wb", filename="", mtime=0)

    def write(self, records: Sequence[bytes]) -> None:
        """See `RecordWriter`."""
        self._compressed.write(b"".join(records))

    def close(self) -> None:
        """See `RecordWriter`."""
        self._compressed.close()
