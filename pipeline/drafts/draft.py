"""A draft from exports: looked at, proposed, written as Python, tried on all items, and written again with what was found so."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from pipeline.definitions.find import find_tables
from pipeline.drafts.infer import KnownKey, Proposal, TableName, infer
from pipeline.drafts.plan import make_plan
from pipeline.drafts.rehearsal import Tried
from pipeline.drafts.render import target_of, to_python
from pipeline.drafts.survey import Item, Survey
from pipeline.errors import Refused
from pipeline.inspection.evidence import KeepValues
from pipeline.inspection.inspect_exports import gather, sampled_lines
from pipeline.inspection.statistics import ItemStatistics
from pipeline.places.storage import Storage
from pipeline.source.given import GivenExport

# The plan comes from so many items, or from fewer large ones.
_SAMPLED_ITEMS: Final = 5_000
_SAMPLED_BYTES: Final = 8 << 20

AskKey = Callable[[GivenExport], KnownKey]


@dataclass(frozen=True, slots=True)
class Draft:
    """Of all exports. `problems`: data files that are damaged, whose items were not looked at."""

    proposals: tuple[Proposal, ...]
    tried: Tried
    python: str
    problems: tuple[str, ...]


def draft_exports(
    exports: Sequence[GivenExport], target: TableName, values: KeepValues, ask_key: AskKey, processes: int, storage: Storage
) -> Draft:
    """Draft tables for exports of different tables. Raises `Refused`, `StorageFailed`, `Stopped`."""
    problems: list[str] = []
    proposals: list[Proposal] = []
    for given in exports:
        known = ask_key(given)
        survey = _survey(given, known, values, processes, storage, problems)
        if not survey.items:
            raise Refused([f"{given.export.uri}: has no sound item, so nothing can be drafted; ddb2pg inspect says what is there"])
        proposals.append(infer(survey, given.source_table, target, known))
    _refuse_twice(proposals)
    tried = _try(exports, proposals, processes, storage)
    return Draft(tuple(proposals), tried, to_python(proposals, tried), tuple(dict.fromkeys(problems)))


def _survey(given: GivenExport, known: KnownKey, values: KeepValues, processes: int, storage: Storage, problems: list[str]) -> Survey:
    data_files = given.export.data_files
    items = list(_sampled_items(sampled_lines(data_files, _SAMPLED_ITEMS, storage, problems)))
    plan = make_plan(items, known.names, values)
    survey, damaged = gather(data_files, partial(Survey, plan), processes, storage)
    problems += damaged
    return survey


def _sampled_items(lines: Iterator[bytes]) -> Iterator[Item]:
    """The sound ones."""
    reader = ItemStatistics()
    left = _SAMPLED_BYTES
    for line in lines:
        left -= len(line)
        sound = reader.read_line(line)
        if sound is not None:
            yield {name: value for name, value, _ in sound}
        if left < 0:
            return


def _refuse_twice(proposals: Sequence[Proposal]) -> None:
    """A target takes one table."""
    taken = [target_of(table) for proposal in proposals for table in proposal.tables]
    twice = sorted({target for target in taken if taken.count(target) > 1})
    if twice:
        raise Refused([f"several exports would go into {', '.join(twice)}; draft them one by one, each with a --target of its own"])


def _try(exports: Sequence[GivenExport], proposals: Sequence[Proposal], processes: int, storage: Storage) -> Tried:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "draft.py"
        file.write_text(to_python(proposals), encoding="utf-8")
        tables = find_tables(str(file))
    key_fields = {target_of(table): len(table.key_columns) for proposal in proposals for table in proposal.tables}
    whole = Tried((), {})
    for given in exports:
        own = [table for table in tables if table.source == given.source_table]
        tried, _ = gather(given.export.data_files, partial(Tried, own, key_fields), processes, storage)
        whole.tables += tried.tables
    return whole
