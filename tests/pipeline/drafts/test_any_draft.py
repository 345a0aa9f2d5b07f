"""Whatever an export has in it: its draft is a sound definition, PostgreSQL takes its SQL, every line becomes a row or a dead letter."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.definitions.find import find_tables
from pipeline.drafts.infer import TableName, infer
from pipeline.drafts.plan import make_plan
from pipeline.drafts.rehearsal import Tried, TriedTable
from pipeline.drafts.render import target_of, to_python, to_sql
from pipeline.drafts.survey import Survey
from pipeline.inspection.evidence import KeepValues
from pipeline.inspection.statistics import ItemStatistics
from tests import strategies
from tests.pipeline.drafts.drafted import NOT_ASKED
from tests.pipeline.drafts.made_items import line_of
from tests.postgres_server import Database, Server
from tests.strategies import BRIEF, to_typed_json
from transforms.compile import compile_table

_names = st.sampled_from(
    ["id", "PK", "SK", "type", "order", "a.b", "x[0]", "rest", "Rest", "ctid", "back\\slash", 'quo"te', "it's", "{x}"]
) | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=70)
_texts = st.sampled_from(["ORDER", "A#1", "CUSTOMER#5", "2024-01-31T10:00:00Z", "2024-01-31", "", "17", "a\0b", "#", "x#y#z"])
_values: st.SearchStrategy[Any] = (
    strategies.odd_values
    | _texts.map(lambda text: {"S": text})
    | strategies.json_numbers().map(lambda text: {"N": text})
    | strategies.structures.map(to_typed_json)
)
# Each item twelve times: what is said of kinds and of few texts begins at ten.
_items = st.lists(st.dictionaries(_names, _values, min_size=1, max_size=6), min_size=1, max_size=4)


def known(tried: TriedTable) -> tuple[object, ...]:
    return tried.rows, tried.filtered, tried.dead_letters, tried.errors, tried.keys.values, tried.keys.repeated


@settings(BRIEF, max_examples=40)
@given(_items, st.sampled_from(KeepValues), st.booleans())
def test_any_draft_is_sound(server: Server, items: list[dict[str, Any]], keep: KeepValues, is_repeated: bool) -> None:
    lines = [line_of(item) for item in items for _ in range(12 if is_repeated else 1)]
    reader = ItemStatistics()
    sampled = [{name: value for name, value, _ in sound} for line in lines if (sound := reader.read_line(line)) is not None]
    survey = Survey(make_plan(sampled, (), keep))
    for line in lines:
        survey.add_line(line)
    proposal = infer(survey, "Any", TableName("public", None), NOT_ASKED)

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "any.py"
        file.write_text(to_python([proposal]), encoding="utf-8")
        tables = find_tables(str(file))
    tried = Tried(tables, {target_of(table): len(table.key_columns) for table in proposal.tables})
    tried.add_lines(lines)
    for table, found in zip(tables, tried.tables, strict=True):
        to_row, in_turn = compile_table(table, migration_time=0), TriedTable(table.target, found.key_fields)
        for line in lines:
            in_turn.add_line(line, to_row)
        assert known(in_turn) == known(found)
    assert all(table.rows + table.dead_letters + table.filtered == len(lines) for table in tried.tables)
    assert sum(table.rows for table in tried.tables) <= len(lines)
    database = Database(server.url("postgres"))
    database.execute(f"BEGIN; {to_sql([proposal], for_supabase=True)} ROLLBACK;")
