"""The line that a dead letter holds, and the item in it, where there is one."""

from __future__ import annotations

import base64
import binascii

from pipeline.records.forms import Record
from pipeline.records.mask import ValueShape
from transforms.lines import read_full_export_line
from transforms.rejects import ReadRefused
from transforms.values import Item


def line_of(record: Record) -> bytes:
    """The line as it was in the export; of a record that somebody changed, as far as it can be told."""
    text: str = record["item"]
    if record["item_encoding"] != "base64":
        return text.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(text)
    except binascii.Error:
        return b""


def parsed_item(line: bytes) -> Item | None:
    """The item of a line; None where it is none."""
    try:
        return read_full_export_line(line).item
    except ReadRefused:
        return None


def shape_of_line(line: bytes) -> ValueShape:
    """What can be said of a line that is no item: its length in bytes, and whether it is text."""
    try:
        line.decode()
    except UnicodeDecodeError:
        return ValueShape("line", len(line), "bytes that are not UTF-8")
    return ValueShape("line", len(line), "bytes")
