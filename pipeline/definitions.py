"""Which tables can be moved: ours, or those of a user's file or module that has a `TABLES`; and what is wrong with those.

What a definition says wrong is the user's own text, no value of an item, so it is told with its file, its line and Python's words.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import sysconfig
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Final

from pipeline.errors import Refused
from transforms.columns import compile_column
from transforms.compile import compile_table
from transforms.rejects import ValueRefused
from transforms.table import Column, LaterOf, Missing, Otherwise, Table
from transforms.tables.medzen import TABLES
from transforms.types import TIMESTAMPTZ, PgType
from transforms.values import JSON_TYPE_OF_TAG


def find_tables(file_or_module: str | None) -> Sequence[Table]:
    """The tables in the order in which they are moved. Raises `Refused` with all that is wrong with them."""
    if file_or_module is None:
        return TABLES
    try:
        module = _import_file(Path(file_or_module)) if file_or_module.endswith(".py") else importlib.import_module(file_or_module)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - it is the user's code
        raise Refused([f"--tables {file_or_module}: cannot be imported: {_in_words(error)}"]) from None
    tables = getattr(module, "TABLES", None)
    if not isinstance(tables, Sequence) or not tables or not all(isinstance(table, Table) for table in tables):
        raise Refused([f"--tables {file_or_module}: must have TABLES, a sequence of ddb2pg.Table"])
    targets = Counter(table.target for table in tables)
    problems = [f"two definitions go into {target}; a target takes one" for target, count in targets.items() if count > 1]
    problems += [problem for table in tables for problem in _problems_of(table)]
    if problems:
        raise Refused(f"--tables {file_or_module}: {problem}" for problem in problems)
    return tables


def record_folder(table: Table, tables: Sequence[Table]) -> str:
    """Under which name a run keeps the records of a table: its source's, unless several of the run's definitions take from that."""
    is_shared = sum(other.source == table.source for other in tables) > 1
    return f"{table.source}--{table.target}" if is_shared else table.source


def _import_file(path: Path) -> ModuleType:
    # A name of its own, for the file may have that of another module.
    name = "ddb2pg_tables_" + re.sub(r"\W", "_", path.stem)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    from apache_beam.internal import cloudpickle_pickler  # noqa: PLC0415 - Beam takes long to import

    # Workers do not have the file: its functions travel with the job.
    cloudpickle_pickler.cloudpickle.register_pickle_by_value(module)
    return module


# As to_regclass takes it: what is unquoted goes up to white space or a dot; digits alone, or a hyphen, would be a number of the catalogue.
_NAME: Final = r'\s*(?:"(?:[^"\0]|"")+"|[^\s."\0][^\s.\0]*)\s*'
_TARGET: Final = re.compile(rf"(?!\s*(?:[0-9]+|-)\s*$){_NAME}(?:\.{_NAME})?")

# -- what is wrong with a definition -------------------------------------------------------------------------------------------------------


def _problems_of(table: Table) -> Iterator[str]:
    """All of it, for a load that has begun with a wrong definition can neither end nor take a right one."""
    of_table = f"the table {table.source} -> {table.target}"
    if _TARGET.fullmatch(table.target) is None:
        yield f"{of_table}: {table.target!r} is no name of a table; it is NAME or SCHEMA.NAME, with quotes where SQL needs them"
    if not table.columns:
        yield f"{of_table}: has no columns"
    names = Counter(column.name for column in table.columns)
    yield from (f"{of_table}: has the column {name} {count} times" for name, count in names.items() if count > 1)
    problems = [f"{of_table}, column {column.name}: {problem}" for column in table.columns for problem in _problems_of_column(column)]
    yield from problems
    if not problems:
        try:
            compile_table(table, migration_time=0)
        except Exception as error:  # noqa: BLE001 - a conversion may be the user's own code
            yield f"{of_table}: {_in_words(error)}"


def _problems_of_column(column: Column) -> Iterator[str]:
    conversion, missing = column.conversion, column.missing
    is_conversion = not isinstance(conversion, type) and isinstance(getattr(conversion, "pg_type", None), PgType)
    if not isinstance(column.name, str) or not column.name:
        yield f"its name must be a column's, not {column.name!r}"
    if not isinstance(column.attribute, str | LaterOf | None):
        yield f"its attribute must be a path, LaterOf or None, not {column.attribute!r}"
    elif not is_conversion or not callable(getattr(conversion, "encoder", None)):
        call = f"; write {conversion.__name__}()" if isinstance(conversion, type) else ""
        yield f"{conversion!r} is no conversion{call}"
    elif not isinstance(missing, Missing | Otherwise):
        yield f"{missing!r} is no rule for a missing attribute: Missing.REFUSED, NULL or MIGRATION_TIME, or Otherwise(content)"
    elif unknown := [tag for tag in conversion.tags if tag not in JSON_TYPE_OF_TAG]:
        yield f"{', '.join(map(str, unknown))} is no type tag; DynamoDB's are {' '.join(JSON_TYPE_OF_TAG)}"
    elif missing is Missing.MIGRATION_TIME and conversion.pg_type != TIMESTAMPTZ:
        yield f"Missing.MIGRATION_TIME is a time, and {type(conversion).__name__} fills a {conversion.pg_type}"
    else:
        yield from _problems_of_rule(column)


def _problems_of_rule(column: Column) -> Iterator[str]:
    conversion, missing = column.conversion, column.missing
    expected = getattr(conversion, "content_type", object)
    if isinstance(missing, Otherwise) and not isinstance(missing.content, expected):
        what = "an attribute value, as {'S': 'text'}" if not conversion.tags else f"of type {expected.__name__}"
        yield f"{missing} is no content for {type(conversion).__name__}: it must be {what}"
        return
    try:
        compile_column(column, 0)
    except ValueRefused as refused:
        yield f"{missing} {refused.message}"
    except Exception as error:  # noqa: BLE001 - a conversion may be the user's own code
        # Ours begin with the column's name.
        yield _in_words(error).removeprefix(f"{column.name}: ")


_OURS: Final = Path(__file__).parents[1]
_LIBRARIES: Final = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))


def _in_words(error: BaseException) -> str:
    """What Python says of it, and where: the last line that is neither ours nor a library's."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}: {type(error).__name__}: {error.msg}"
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(frame.filename)]
    place = f"{own[-1].filename}, line {own[-1].lineno}: " if own else ""
    words = str(error)
    is_ours = isinstance(error, ValueError) and not own
    return words if is_ours else f"{place}{type(error).__name__}{': ' if words else ''}{words}"


def _is_users(file: str) -> bool:
    is_ours = any(Path(file).is_relative_to(_OURS / package) for package in ("pipeline", "transforms", "ddb2pg"))
    return not is_ours and not file.startswith(("<", *_LIBRARIES))
