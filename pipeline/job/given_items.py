"""The dead letters that are to be brought in, from their files; whatever somebody did to those since."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.ledger.keys import ItemKey
from pipeline.places import Storage
from pipeline.records.forms import Record
from pipeline.records.item import line_of
from pipeline.records.reading import read_dead_letters
from transforms.rejects import ErrorCode


@dataclass(frozen=True, slots=True)
class LoadKey:
    """What tells a load: one export on its way into one target."""

    source_table: str
    target_table: str
    export_id: str


@dataclass(frozen=True, slots=True)
class GivenItem:
    """One dead letter: where it stands in the export, and what is to be brought in for it."""

    load: LoadKey
    key: ItemKey
    line: bytes
    codes: tuple[str, ...]
    attempt: int
    first_run_id: str


def read_items(uris: Sequence[str], storage: Storage) -> Iterator[GivenItem | str]:
    """Each dead letter of some files, or what is wrong with it. Raises `Refused` where a file cannot be read."""
    for number, record in enumerate(read_dead_letters(uris, storage)):
        item = _item(record)
        yield item or f"record {number:,}, from 0, is no dead letter as ddb2pg writes them; docs/dead-letters.md has their fields"


def _item(record: Record) -> GivenItem | None:
    texts = [record.get(name) for name in ("source_table", "target_table", "export_id", "data_file", "run_id", "item", "item_encoding")]
    number, attempt = record["item_number"], record.get("attempt", 1)
    codes = _codes(record["errors"])
    if not all(isinstance(text, str) for text in texts) or not _is_count(number) or not _is_count(attempt) or codes is None:
        return None
    return GivenItem(
        load=LoadKey(record["source_table"], record["target_table"], record["export_id"]),
        key=ItemKey(record["data_file"], number),
        line=line_of(record),
        codes=codes,
        attempt=attempt,
        first_run_id=str(record.get("first_run_id") or record["run_id"]),
    )


def _is_count(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 1 << 62


def _codes(errors: Any) -> tuple[str, ...] | None:
    """Each code once; None where they are not such as a load gives."""
    if not isinstance(errors, list) or not errors:
        return None
    codes = {error.get("code") if isinstance(error, dict) else None for error in errors}
    return tuple(sorted(map(str, codes))) if codes <= set(ErrorCode) else None
