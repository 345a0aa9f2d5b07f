"""Lines made of sound items by chance: each is the row that the slow reference makes of it, or refused by both; nothing else is raised."""

import random
from collections import Counter

import pytest
from sound_items import MIGRATION_TIME, SOUND, to_row

from tests.faults.fault_table import Faults, note_faults
from tests.fuzzed_lines import mutated_line
from tests.transforms.reference_conversion import parse, reference_row
from transforms.rejects import ItemRefused
from transforms.table import Table
from transforms.tables.medzen import TABLES


@pytest.mark.parametrize("lines", [3_000, pytest.param(340_000, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])])
@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.source)
def test_a_fuzzed_line_is_the_reference_s_row_or_refused_by_both(request: pytest.FixtureRequest, table: Table, lines: int) -> None:
    """The seed is fixed, so what fails fails again."""
    chance = random.Random(f"{table.source} {lines}")
    outcomes: Counter[str] = Counter()
    jsonb = {"subjective", "objective", "assessment", "plan", "event_data"}
    for _ in range(lines):
        line = mutated_line(chance, SOUND[table.source])
        expected = reference_row(table.source, line, MIGRATION_TIME)
        try:
            row = to_row(table, line)
        except ItemRefused:
            assert expected is None, line
            outcomes["refused"] += 1
            continue
        found = {name: parse(value.encode()) if name in jsonb and value is not None else value for name, value in row.values.items()}
        assert repr(found) == repr({name: expected[name] for name in found} if expected else None), line
        outcomes["rows"] += 1

    assert min(outcomes["rows"], outcomes["refused"]) > lines / 20, outcomes
    note_faults(request.node, Faults("fuzzed line, conversion alone", lines, lines, 0, 0, 0))
