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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import ddb2pg
from pipeline.definitions.spelling import in_words, lines_of_columns, misspelt, text_of
from pipeline.definitions.toml_file import read_toml
from pipeline.errors import Refused, meant
from transforms.children import compile_rows
from transforms.columns import compile_column
from transforms.rejects import ValueRefused
from transforms.sources import Source, names_of
from transforms.table import Column, Missing, Otherwise, Table
from transforms.tables.medzen import TABLES
from transforms.types import TIMESTAMPTZ, PgType
from transforms.values import JSON_TYPE_OF_TAG
from transforms.where import Ignore, compile_condition


def find_tables(file_or_module: str | None) -> Sequence[Table]:
    """The tables in the order in which they are moved. Raises `Refused` with all that is wrong with them."""
    if file_or_module is None:
        return TABLES
    given = _found_in(file_or_module)
    is_sequence = isinstance(given, Sequence) and all(isinstance(entry, Table | Ignore) for entry in given)
    if not is_sequence or not any(isinstance(entry, Table) for entry in given):
        raise Refused([f"--tables {file_or_module}: must have TABLES, a sequence of ddb2pg.Table: TABLES = [Table(...)]"])
    tables = with_others(given)
    targets = Counter(one.target for table in tables for one in (table, *table.child_tables))
    problems = [f"two definitions go into {target}; a target takes one" for target, count in targets.items() if count > 1]
    lines = _lines_of_columns(file_or_module)
    problems += [problem for table in tables for problem in _problems_of(table, lines)]
    sources = {table.source for table in tables}
    problems += [
        f"Ignore of {entry.source}: no definition takes from it, so nothing of it is read"
        for entry in given
        if isinstance(entry, Ignore) and entry.source not in sources
    ]
    if problems:
        raise Refused(f"--tables {file_or_module}: {problem}" for problem in problems)
    return tables


def with_others(entries: Sequence[Table | Ignore]) -> list[Table]:
    """The tables, the first of each source with the conditions of the others: an item that meets none of all is a dead letter of it.

    A definition without a condition takes all, so with one of those in a source no item is for no table.
    """
    tables: list[Table] = []
    for table in (entry for entry in entries if isinstance(entry, Table)):
        rest = [entry for entry in entries if entry is not table and entry.source == table.source]
        is_first = all(other.source != table.source for other in tables)
        others = [other.where if isinstance(other, Table) else other for other in rest]
        needs_others = is_first and table.where is not None and None not in others
        tables.append(replace(table, others=tuple(other for other in others if other is not None) if needs_others else ()))
    return tables


def for_replay(table: Table, tables: Sequence[Table]) -> Table:
    """The definition for a replay of a table's dead letters: it knows what is ignored on purpose, whichever of its source it is."""
    ignores = (other for one in tables if one.source == table.source for other in one.others if isinstance(other, Ignore))
    return replace(table, others=tuple(ignores))


def _found_in(file_or_module: str) -> Any:
    """What the file or module has as TABLES. Raises `Refused`."""
    path = Path(file_or_module)
    if path.suffix == ".toml":
        return read_toml(path)
    if path.suffix == ".py" and path.is_file():
        problems = list(misspelt(text_of(path), file_or_module))
        if problems:
            raise Refused(problems)
    if path.suffix != ".py" and path.is_file():
        raise Refused([f"--tables {file_or_module}: {_DEFINITION_IS}"])
    try:
        module = _import_file(path) if path.suffix == ".py" else importlib.import_module(file_or_module)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - it is the user's code
        raise Refused([f"--tables {file_or_module}: cannot be imported: {_in_words(error)}{_of_import(error, path)}"]) from None
    return getattr(module, "TABLES", None)


_DEFINITION_IS: Final = "a definition is a file whose name ends in .py or .toml, or a module that Python can import"


def _of_import(error: BaseException, path: Path) -> str:
    """What to do where a module is not there."""
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return ""
    if path.suffix != ".py":
        return f"; {_DEFINITION_IS}" if str(path).partition(".")[0] == error.name else ""
    if (path.parent / f"{error.name}.py").exists():
        return (
            f"; {error.name}.py beside it is not read, because workers get a definition as one file: copy what it needs of it, or make "
            "them a package, install that, and give the module's name"
        )
    return ""


def _lines_of_columns(file_or_module: str) -> Mapping[str, Sequence[int]]:
    path = Path(file_or_module)
    if path.suffix not in (".py", ".toml"):
        return {}
    return lines_of_columns(text_of(path), is_toml=path.suffix == ".toml")


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


def _problems_of(table: Table, lines: Mapping[str, Sequence[int]]) -> Iterator[str]:
    """All of it, for a load that has begun with a wrong definition can neither end nor take a right one."""
    of_table = f"the table {table.source} -> {table.target}"
    if _TARGET.fullmatch(table.target) is None:
        yield f"{of_table}: {table.target!r} is no name of a table; it is NAME or SCHEMA.NAME, with quotes where SQL needs them"
    if not table.columns:
        yield f"{of_table}: has no columns"
    names = Counter(column.name for column in table.columns)
    yield from (
        f"{of_table}: has the column {name} {count} times{_line_in_words(lines.get(name, ()))}"
        for name, count in names.items()
        if count > 1
    )
    problems = [
        f"{of_table}, column {column.name}{_line_in_words(lines.get(column.name, ()))}: {problem}"
        for column in table.columns
        for problem in _problems_of_column(column)
    ]
    for child in table.child_tables:
        of_child = f"{of_table}, its child {child.target}"
        if _TARGET.fullmatch(child.target) is None:
            problems.append(f"{of_child}: {child.target!r} is no name of a table")
        repeated = Counter(column.name for column in child.columns)
        problems += [f"{of_child}: has the column {name} {count} times" for name, count in repeated.items() if count > 1]
        problems += [
            f"{of_child}, column {one.name}{_line_in_words(lines.get(one.name, ()))}: {problem}"
            for one in child.columns
            for problem in _problems_of_column(one)
        ]
    problems += [f"{of_table}, where: {problem}" for problem in _problems_of_where(table)]
    yield from problems
    if not problems:
        try:
            compile_rows(table.with_any_defaults, migration_time=0)
        except Exception as error:  # noqa: BLE001 - a conversion may be the user's own code
            yield f"{of_table}: {_in_words(error)}"


def _problems_of_where(table: Table) -> Iterator[str]:
    if table.where is None:
        return
    try:
        compile_condition(table.where)
    except Exception as error:  # noqa: BLE001 - a function may be the user's own code
        yield _in_words(error)


def _line_in_words(lines: Sequence[int]) -> str:
    return f" (line {' or '.join(map(str, lines))})" if lines else ""


def _problems_of_column(column: Column) -> Iterator[str]:
    conversion, missing = column.rule, column.missing
    wrong = list(_wrong_parts(column))
    if wrong:
        yield from wrong
    elif unknown := [tag for tag in conversion.tags if tag not in JSON_TYPE_OF_TAG]:
        yield f"{', '.join(map(str, unknown))} is no type tag; DynamoDB's are {' '.join(JSON_TYPE_OF_TAG)}"
    elif missing is Missing.MIGRATION_TIME and conversion.pg_type != TIMESTAMPTZ:
        yield f"Missing.MIGRATION_TIME is a time, and {type(conversion).__name__} fills a {conversion.pg_type}"
    elif column.clean and conversion.tags and "S" not in conversion.tags:
        yield f"clean is for texts (S), and {type(conversion).__name__} takes {', '.join(conversion.tags)}; leave it out"
    elif missing is Missing.REFUSED and getattr(conversion, "empty_as_null", False):
        yield "empty_as_null makes NULL of an empty text, and Missing.REFUSED forbids NULL; one of them has to go"
    else:
        yield from _problems_of_rule(column)


def _wrong_parts(column: Column) -> Iterator[str]:
    """Each by itself, before anything is made of them together."""
    if not isinstance(column.name, str) or not column.name:
        yield f"its name must be a column's, not {column.name!r}"
    if not isinstance(column.source, Source):
        yield f"its source must be a path, or one of those in docs/tables.md, not {column.source!r}"
    else:
        yield from _empty_names(column)
    arguments = list(_wrong_arguments(column.rule))
    yield from arguments
    if not arguments and not _is_rule(column.rule):
        yield _no_rule(column.rule)
    if not isinstance(column.missing, Missing | Otherwise):
        known = "Missing.REFUSED, NULL, MIGRATION_TIME or COLUMN_DEFAULT, or Otherwise(content)"
        yield f"{column.missing!r} is no rule for a missing attribute: {known}"


def _is_rule(value: object) -> bool:
    return not isinstance(value, type) and isinstance(getattr(value, "pg_type", None), PgType) and callable(getattr(value, "encoder", None))


def _no_rule(value: object) -> str:
    if isinstance(value, type):
        return f"{value.__name__} is no rule; write {value.__name__}()"
    return f"{value!r} is no rule{meant(value, ddb2pg.__all__) if isinstance(value, str) else ''}"


def _wrong_arguments(conversion: Any) -> Iterator[str]:
    """Of a rule, and of the rules in it. Where several texts are wanted, one text alone would count as its letters."""
    for field in fields(conversion) if is_dataclass(conversion) and not isinstance(conversion, type) else ():
        value, name, wanted = getattr(conversion, field.name), type(conversion).__name__, str(field.type)
        if isinstance(value, str | list) and wanted.startswith("tuple["):
            yield f"{name}: {field.name} must be a tuple: {field.name}={tuple(value) if isinstance(value, list) else (value,)!r}"
        elif wanted == "tuple[str, ...]" and not all(isinstance(text, str) for text in value):
            yield f"{name}: {field.name} must be texts, not {value!r}"
        elif wanted in ("int", "int | None") and not (type(value) is int or (value is None and wanted != "int")):
            yield f"{name}: {field.name} must be a whole number, not {value!r}"
        elif field.name == "rule" and not _is_rule(value):
            yield f"{name}: {_no_rule(value)}"
        elif field.name == "rule":
            yield from _wrong_arguments(value)


def _empty_names(column: Column) -> Iterator[str]:
    """DynamoDB has no attribute, and no member of a map, without a name."""
    for path in column.paths:
        try:
            names = names_of(path) if isinstance(path, str) else ()
        except ValueError:
            continue
        if "" in names:
            yield f"the path {path!r} has a name without a letter; a dot that is part of a name is \\."


def _problems_of_rule(column: Column) -> Iterator[str]:
    conversion, missing = column.rule, column.missing
    expected = getattr(conversion, "content_type", object)
    if isinstance(missing, Otherwise) and not isinstance(missing.content, expected):
        what = "an attribute value, as {'S': 'text'}" if not conversion.tags else f"of type {expected.__name__}"
        if expected is str and isinstance(missing.content, int | float | Decimal):
            what += f", as DynamoDB spells numbers: Otherwise('{missing.content}')"
        yield f"{missing} is no content for {type(conversion).__name__}: it must be {what}"
        return
    try:
        compile_column(column.with_default(), 0)
    except ValueRefused as refused:
        yield f"{missing} {refused.message}"
    except Exception as error:  # noqa: BLE001 - a conversion may be the user's own code
        # Ours begin with the column's name.
        yield _in_words(error).removeprefix(f"{column.name}: ")


_OURS: Final = Path(__file__).parents[2]
_LIBRARIES: Final = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))


def _in_words(error: BaseException) -> str:
    """What Python says of it, and where: the last line that is neither ours nor a library's."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}: {type(error).__name__}: {error.msg}"
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(frame.filename)]
    place = f"{own[-1].filename}, line {own[-1].lineno}: " if own else ""
    words = in_words(error)
    if isinstance(error, NameError) and error.name:
        words += _where_from(error.name)
    is_ours = isinstance(error, ValueError) and not own
    return words if is_ours else f"{place}{type(error).__name__}{': ' if words else ''}{words}"


# What other languages call them.
_ELSEWHERE: Final = {"And": "AllOf", "Or": "AnyOf", "Any": "AnyOf", "All": "AllOf"}


def _where_from(name: str) -> str:
    """How to write a name that a file uses and does not have."""
    if name in ddb2pg.__all__:
        return f"; import it: from ddb2pg import {name}"
    if name in _ELSEWHERE:
        return f": did you mean {_ELSEWHERE[name]}?"
    enums = [kind for kind in (ddb2pg.Missing, ddb2pg.NoticeCode) if name in kind.__members__]
    return f": did you mean {enums[0].__name__}.{name}?" if enums else meant(name, ddb2pg.__all__)


def _is_users(file: str) -> bool:
    is_ours = any(Path(file).is_relative_to(_OURS / package) for package in ("pipeline", "transforms", "ddb2pg"))
    return not is_ours and not file.startswith(("<", *_LIBRARIES))
