"""The whole life of a load of one chunk, below the command line: loaded, compared, replayed, rolled back."""

from __future__ import annotations

import json
import weakref
from collections.abc import Mapping, Sequence

from pipeline.job.compare import CompareChunks
from pipeline.job.visit import ChunkVisitor
from pipeline.ledger.comparisons import count_target, find_unaccounted, items_in_target, rows_without_item
from pipeline.ledger.replays import kept_replayed, replayed_mismatches
from pipeline.ledger.rollbacks import begin_rollbacks
from pipeline.records.kinds import RecordKind
from pipeline.replay.given import GivenItem, LoadKey
from pipeline.replay.load_again import Replay, ReplayedBatch
from pipeline.rollback.take_back import TakeBackChunks, take_back_replayed
from pipeline.source.chunks import ItemAddress
from pipeline.target.session import Cursor
from tests.pipeline.target.made_loads import Lab, Loaded, chunk_of, loader

DATA_FILE = "some.json.gz"


class Life:
    """One load of the lab, of one chunk of these lines."""

    def __init__(self, lab: Lab, lines: Sequence[bytes]) -> None:
        self.lab = lab
        self.plan = lab.plan()
        self.chunk = chunk_of(lines, name=DATA_FILE)
        self._session = lab.session()
        weakref.finalize(self, self._session.close)
        self.loaded = Loaded.of(loader(self.plan, self._session).visit(self.chunk))

    @property
    def dead_letters(self) -> dict[int, tuple[str, str | None]]:
        """Item number -> (code, sqlstate)."""
        return self.loaded.dead_letters

    def compare(self, *, repair: bool = False) -> dict[int, tuple[str, list[str]]]:
        """What `validate` says of items: their numbers, what is with them, and the columns."""
        return {number: (kind, list(columns)) for number, (kind, columns) in self._compared(repair=repair)[0].items()}

    def values(self) -> dict[int, dict[str, dict[str, str | None]]]:
        """What `validate --show_values` shows of rows that differ: column -> what the export has, and what the target."""
        return self._compared(show_values=True)[1]

    def unaccounted(self) -> tuple[list[int], int]:
        """The dead letters whose key a row has that is no item's, and how many other such rows there are."""
        plan = CompareChunks(self.plan)
        ChunkVisitor(plan, self._session).visit(self.chunk)

        def look(cursor: Cursor) -> tuple[list[int], int]:
            _, is_accounted = count_target(cursor, plan.comparing, self.plan.target)
            find_unaccounted(cursor, plan.comparing, self.plan.target)
            found = [one.item_number for one in items_in_target(cursor)], sum(one.rows for one in rows_without_item(cursor, 10))
            assert found == ([], 0) or not is_accounted
            cursor.execute("DELETE FROM ddb2pg.compared_chunk")
            return found

        return self._session.transact(look)

    def _compared(
        self, *, repair: bool = False, show_values: bool = False
    ) -> tuple[dict[int, tuple[str, list[str]]], dict[int, dict[str, dict[str, str | None]]]]:
        visitor = ChunkVisitor(CompareChunks(self.plan, repair=repair, show_values=show_values), self._session)
        records = [json.loads(record) for record in visitor.visit(self.chunk)[RecordKind.MISMATCHES].records]
        self._session.transact(lambda cursor: cursor.execute("DELETE FROM ddb2pg.compared_chunk"))
        kinds = {record["item_number"]: (record["kind"], record["columns"]) for record in records}
        return kinds, {record["item_number"]: record.get("values") or {} for record in records}

    def replay(self, lines: Mapping[int, bytes]) -> ReplayedBatch:
        """Corrected lines for items that were refused."""
        key = LoadKey(self.plan.table.source, self.plan.load.target_table, self.plan.load.export_id)
        items = [GivenItem(key, ItemAddress(DATA_FILE, number), line, ("some",), 1, "run") for number, line in lines.items()]
        return Replay(self.plan, self._session).load(items)

    def replayed(self) -> dict[int, str]:
        """Of replayed rows those that are not as they were written."""
        found = self._session.transact(lambda cursor: list(replayed_mismatches(cursor, self.plan.load.load_id, self.plan.target)))
        return {address.item_number: kind.value for address, kind in found}

    def roll_back(self) -> dict[int, str]:
        """Rows that are left, and why."""
        self._session.transact(lambda cursor: begin_rollbacks(cursor, [self.plan.load.load_id]))
        plan = TakeBackChunks(self.plan, 1, (), is_dry=False)
        records = ChunkVisitor(plan, self._session).visit(self.chunk)[RecordKind.DISCREPANCIES].records
        take_back_replayed(self._session, plan)
        kept = self._session.transact(lambda cursor: kept_replayed(cursor, self.plan.load.load_id))
        left = {record["item_number"]: record["kind"] for record in map(json.loads, records)}
        return {**left, **{address.item_number: kind.value for address, kind in kept}}
