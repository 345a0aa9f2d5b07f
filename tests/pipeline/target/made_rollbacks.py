"""A load of chunks of two lines that is taken back below the command line, and what is left of it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pipeline.job.visit import ChunkVisitor
from pipeline.ledger.rollbacks import begin_rollbacks
from pipeline.records.kinds import RecordKind
from pipeline.rollback.take_back import TakeBackChunks
from pipeline.target.target import find_references
from tests.pipeline.target.made_loads import Lab, chunk_of, thing

CHILDREN = "CREATE TABLE child (id int PRIMARY KEY, thing uuid REFERENCES thing {})"
LINES = [thing(number, name=f"n{number}") for number in range(1, 7)]


class Rollback:
    """One load of the lab, of chunks of two lines."""

    def __init__(self, lab: Lab, lines: Sequence[bytes]) -> None:
        self.lab = lab
        self.plan = lab.plan()
        self.chunks = [chunk_of(lines[first : first + 2], first) for first in range(0, len(lines), 2)]
        for chunk in self.chunks:
            lab.load(chunk.lines, self.plan, chunk.first_item)

    def run(self, pass_number: int = 1) -> dict[int, tuple[str, str | None]]:
        """One pass; of each row that is left its item number, why it is, and the SQLSTATE."""
        with self.lab.session() as session:
            session.transact(lambda cursor: begin_rollbacks(cursor, [self.plan.load.load_id]))
            references = session.transact(lambda cursor: find_references(cursor, self.plan.target))
            cascading = tuple(one for one in references if one.is_cascading)
            plan = TakeBackChunks(self.plan, pass_number, cascading, is_dry=False)
            visitor = ChunkVisitor(plan, session)
            batches = [visitor.visit(chunk)[RecordKind.DISCREPANCIES] for chunk in self.chunks]
        assert sum(len(batch.records) for batch in batches) == len(self.left)
        return self.left

    def look(self) -> dict[int, tuple[str, list[str]]]:
        """What a run without --yes tells: of each row its item number, what is with it, and the columns."""
        with self.lab.session() as session:
            visitor = ChunkVisitor(TakeBackChunks(self.plan, 1, (), is_dry=True), session)
            batches = [visitor.visit(chunk)[RecordKind.DISCREPANCIES] for chunk in self.chunks]
        records = [json.loads(record) for batch in batches for record in batch.records]
        return {record["item_number"]: (record["kind"], record["columns"]) for record in records}

    @property
    def left(self) -> dict[int, tuple[str, str | None]]:
        rows = self.lab.database.query(
            "SELECT (d ->> 0)::int, d ->> 1, d -> 3 ->> 1 FROM ddb2pg.chunk, jsonb_array_elements(discrepancies) d "
            "WHERE load_id = %s ORDER BY 1",
            self.plan.load.load_id,
        )
        return {number: (kind, sqlstate) for number, kind, sqlstate in rows}

    @property
    def figures(self) -> tuple[int, int, int]:
        """Deleted, gone, kept."""
        [row] = self.lab.database.query("SELECT sum(deleted)::int, sum(gone)::int, sum(kept)::int FROM ddb2pg.chunk")
        return row
