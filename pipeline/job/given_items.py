"""The dead letters that are to be brought in, from their files; whatever somebody did to those since."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.ledger.keys import ItemKey
from pipeline.places.storage import Storage
from pipeline.records.lines import Record, is_dead_letter, line_of
from pipeline.records.reading import read_dead_letters


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
    if not is_dead_letter(record):
        return None
    return GivenItem(
        load=LoadKey(record["source_table"], record["target_table"], record["export_id"]),
        key=ItemKey(record["data_file"], record["item_number"]),
        line=line_of(record),
        codes=tuple(sorted({error["code"] for error in record["errors"]})),
        attempt=record.get("attempt", 1),
        first_run_id=record.get("first_run_id") or record["run_id"],
    )
