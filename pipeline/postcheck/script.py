"""The script with the rows of the export in it: as a file for psql, or run here."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from pipeline.errors import Refused
from pipeline.outcome.check_results import SqlCheck
from pipeline.postcheck.spot_checks import SpotChecks
from pipeline.sql import read_sql
from pipeline.target.database_url import DatabaseReference
from pipeline.target.session import Cursor, Session

_SCRIPT: Final = "validate_migration.sql"
_PLACE: Final = "-- @expected\n"
_BEGIN: Final = "\nBEGIN;\nSET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;\n"
_END: Final = "\nROLLBACK;\n"

_WARNING: Final = """\
-- THIS FILE HOLDS PATIENT DATA: the values of {rows} rows of the export. Keep it as you keep the export, give it to nobody, and delete it
-- when it has been run. A server that logs every statement logs these values, too.
--
"""

# A plain SELECT, whose constants pg_stat_statements leaves out; of a DO block it would keep every word.
_EXPECTED: Final = """\
SELECT 'put in' AS "rows of the export" WHERE set_config('ddb2pg.expected', $expected$
{values}
$expected$, true) IS NOT NULL;
"""


def fill_script(spot_checks: Iterable[SpotChecks]) -> str:
    """The script, for psql, that looks for these rows besides all else."""
    values = ",\n".join(map(_to_json, spot_checks))
    return read_sql(_SCRIPT).replace(_PLACE, _EXPECTED.format(values=f"[{values}]"))


def _to_json(one: SpotChecks) -> str:
    """One row a line; ASCII, whatever the client's encoding; without quotes or dollar signs, so nothing in it ends the literal."""
    head = {"target": one.target_table, "export_id": one.export_id, "key": list(one.primary_key), "columns": list(one.columns)}
    rows = ",\n".join(json.dumps([row.data_file, row.item_number, *row.values]) for row in one.rows)
    return f'{json.dumps(head)[:-1]}, "rows": [\n{rows}]}}'.replace("$", "\\u0024").replace("'", "\\u0027")


def refuse_script_file(path: Path) -> None:
    """Raise `Refused` where the file cannot be written, or something is there."""
    if path.exists() or path.is_symlink():
        raise Refused([f"--emit_sql: {path} is there already; remove it, or give another name"])
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise Refused([f"--emit_sql: {path.parent} is no folder that can be written to"])


def write_script(path: Path, spot_checks: Sequence[SpotChecks]) -> None:
    """Write the script, for its owner only. Raises `Refused` where something is there."""
    refuse_script_file(path)
    rows = sum(len(one.rows) for one in spot_checks)
    content = _WARNING.format(rows=rows) + fill_script(spot_checks)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(content)
    except BaseException:
        with contextlib.suppress(OSError):
            path.unlink()
        raise


def run_script(database: DatabaseReference, spot_checks: Iterable[SpotChecks]) -> list[SqlCheck]:
    """Every check, in the script's order. Raises `Stopped`."""
    script = fill_script(spot_checks)
    # The transaction is the session's; the rows are those of the last statement.
    statements = script.replace(_BEGIN, "\nSET TRANSACTION READ ONLY;\n").removesuffix(_END)

    def work(cursor: Cursor) -> list[SqlCheck]:
        cursor.execute(statements)
        return [SqlCheck(*row) for row in cursor.fetchall()]

    with Session(database) as session:
        return session.transact(work, of_one_snapshot=True)
