"""Which tables can be moved: ours, or those of a user's file or module that has a `TABLES`."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from pipeline.errors import Refused
from transforms.table import Table
from transforms.tables.medzen import TABLES


def find_tables(file_or_module: str | None) -> Sequence[Table]:
    """The tables in the order in which they are moved. Raises `Refused`."""
    if file_or_module is None:
        return TABLES
    try:
        module = _import_file(Path(file_or_module)) if file_or_module.endswith(".py") else importlib.import_module(file_or_module)
    except (ImportError, OSError, SyntaxError) as error:
        raise Refused([f"--tables {file_or_module}: cannot be imported ({error})"]) from None
    tables = getattr(module, "TABLES", None)
    if not isinstance(tables, Sequence) or not tables or not all(isinstance(table, Table) for table in tables):
        raise Refused([f"--tables {file_or_module}: must have TABLES, a sequence of ddb2pg.Table"])
    targets = Counter(table.target for table in tables)
    twice = [target for target, count in targets.items() if count > 1]
    if twice:
        raise Refused([f"--tables {file_or_module}: two definitions go into {target}; a target takes one" for target in twice])
    return tables


def record_folder(table: Table, tables: Sequence[Table]) -> str:
    """Under which name a run keeps the records of a table: its source's, unless several of the run's definitions take from that."""
    is_shared = sum(other.source == table.source for other in tables) > 1
    return f"{table.source}--{table.target}" if is_shared else table.source


def _import_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    from apache_beam.internal import cloudpickle_pickler  # noqa: PLC0415 - Beam takes long to import

    # Workers do not have the file: its functions travel with the job.
    cloudpickle_pickler.cloudpickle.register_pickle_by_value(module)
    return module
