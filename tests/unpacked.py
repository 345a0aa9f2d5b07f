"""What is hidden in bytes by base64 and compression: pickled DoFns in a Beam graph, the entries in a report's page."""

from __future__ import annotations

import base64
import bz2
import re
import zlib


def unpacked(content: bytes) -> bytes:
    """The content, and what is inside of every part of it that is packed."""
    found = [content]
    for part in re.findall(rb"[A-Za-z0-9+/=]{40,}", content):
        for decompress in (zlib.decompress, bz2.decompress, _gunzip):
            try:
                found.append(decompress(base64.b64decode(part)))
            except (OSError, ValueError, zlib.error):
                continue
    return b"\n".join([*found, *([_gunzip(content)] if content.startswith(b"\x1f\x8b") else [])])


def _gunzip(content: bytes) -> bytes:
    return zlib.decompress(content, wbits=31)
