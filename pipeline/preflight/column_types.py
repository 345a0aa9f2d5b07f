"""Whether a column's type holds every value exactly as its rule makes it, and what to write in the definition where it does not.

COPY in binary format asks for the column's own type, so a rule of bigint does not fit a column of numeric, though that holds all of its
values. What is no error to PostgreSQL and still changes a value is refused: a precision that rounds, a cast to a length, which cuts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pipeline.outcome.outcome import Check
from pipeline.preflight.findings import Code, fact, problem
from pipeline.target.session import Cursor
from pipeline.target.target import FoundType, TargetColumn, enum_labels, find_type, refuses_longer
from transforms import types
from transforms.rules import Array, Cast, Conversion, Domain, Enum
from transforms.table import Column
from transforms.types import PgType

_BUILT_IN: Final = frozenset(entry.name for entry in vars(types).values() if isinstance(entry, PgType) and entry.oid is not None)
_RULES: Final = {
    "uuid": "Uuid()",
    "boolean": "Boolean()",
    "text": "Text()",
    "citext": "Citext()",
    "inet": "Inet()",
    "smallint": "SmallInt()",
    "integer": "Integer()",
    "bigint": "BigInt()",
    "numeric": "Numeric()",
    "double precision": "Double()",
    "real": "Real()",
    "timestamp with time zone": "Timestamp()",
    "timestamp without time zone": "LocalTimestamp()",
    "date": "Date()",
    "time without time zone": "Time()",
    "interval": "Interval()",
    "bytea": "Bytes()",
    "json": "Json()",
    "jsonb": "Jsonb()",
}


def type_findings(cursor: Cursor, name: str, wanted: Column, column: TargetColumn) -> Iterator[Check]:
    rule = wanted.rule
    cut = _cut_by_cast(cursor, rule)
    if cut:
        yield problem(Code.WRONG_TYPE, f"column {wanted.name}: {cut}", name)
    elif not _fits(cursor, rule, column):
        named = _named_type(rule.pg_type)
        if named and find_type(cursor, named) is None:
            sentence = (
                f"column {wanted.name}: the definition names the type {named}, which is not in this database or not on the search path; "
                "create it (CREATE TYPE, CREATE DOMAIN, CREATE EXTENSION), or name it with its schema"
            )
        else:
            sentence = (
                f"column {wanted.name} is of type {column.type}, but must be {rule.pg_type}; change it with ALTER TABLE"
                f"{_what_to_write(cursor, column)}"
            )
        yield problem(Code.WRONG_TYPE, sentence, name)
    elif isinstance(rule, Enum) and column.is_enum:
        yield from _label_findings(cursor, name, wanted.name, rule, column)


def _fits(cursor: Cursor, rule: Conversion, column: FoundType) -> bool:
    """Whether a column of this type holds every value of the rule exactly as it is."""
    if isinstance(rule, Domain):
        # A cast to the domain would cut what is longer than its base type in silence, so the rule must fit that, too.
        domain = find_type(cursor, rule.type_name)
        return domain is not None and domain.oid in (column.oid, column.base_oid) and _fits(cursor, rule.rule, domain)
    pg_type = rule.pg_type
    named = _named_type(pg_type)
    if named is None:
        return pg_type.may_go_into(column.base_type) and _limit_fits(pg_type.modifier, column)
    found = find_type(cursor, named)
    if found is None:
        return False
    if isinstance(rule, Array) and isinstance(rule.rule, Domain) and not _fits_elements(cursor, rule.rule):
        return False
    # All bits are staged as varbit, and a column of another length refuses them.
    is_same = found.oid in (column.oid, column.base_oid) or (found.base_type, column.base_type) == ("bit varying", "bit")
    return is_same and (not column.is_limited or refuses_longer(cursor, column))


def _fits_elements(cursor: Cursor, domain: Domain) -> bool:
    element = find_type(cursor, domain.type_name)
    return element is not None and _fits(cursor, domain.rule, element)


def _named_type(pg_type: PgType) -> str | None:
    """The name of a type that not every server has, or that is spelled as the user likes; None of the others."""
    element = pg_type.name.removesuffix("[]")
    return None if element in _BUILT_IN and pg_type.copies_directly else pg_type.name


def _limit_fits(wanted: tuple[int, ...], column: FoundType) -> bool:
    """Whether a column with its limit takes all that a rule with a limit makes, of types that fit."""
    limit, base_type = column.modifier, column.base_type.removesuffix("[]")
    match limit:
        case None:
            return False
        case ():
            return not (wanted and base_type in ("character", "bpchar"))
        case (6,) if base_type.startswith(("time", "interval")):
            return True  # microseconds, as without a limit
        case (length,) if base_type == "character varying":
            return bool(wanted) and wanted[0] <= length
        case (precision, scale) if base_type == "numeric" and wanted:
            return wanted[1] <= scale and wanted[0] - wanted[1] <= precision - scale
    return wanted == limit


def _cut_by_cast(cursor: Cursor, rule: Conversion) -> str | None:
    """What is wrong with a cast that would cut or round in silence, as casts to a length do; None where nothing is."""
    rule = rule.rule if isinstance(rule, Array) else rule
    if not isinstance(rule, Cast):
        return None
    found = find_type(cursor, rule.type_name)
    if found is None:
        return None
    bare, type_name = rule.type_name.strip().strip('"').lower().removeprefix("pg_catalog."), found.base_type
    is_of_bits = type_name in ("bit", "bit varying")
    has_limit = "(" in bare and (is_of_bits or not refuses_longer(cursor, found))
    is_limited = found.oid == found.base_oid and (type_name in ("character", "bit") or (type_name == "interval" and bare != "interval"))
    if not has_limit and not is_limited:
        return None
    instead = {"character": "Char(length)", "character varying": "Varchar(length)", "numeric": "Numeric(precision, scale)"}.get(
        type_name, 'Cast("bit varying")' if is_of_bits else f'Cast("{type_name}")'
    )
    return f"a cast to {rule.type_name} cuts or rounds without an error; write {instead}"


def _what_to_write(cursor: Cursor, column: TargetColumn) -> str:
    """What a definition says for such a column."""
    element = column.base_type.removesuffix("[]")
    rule = _RULES.get(element)
    match column.modifier:
        case () if element == "character varying":
            rule = "Text()"
        case (length,) if element in ("character varying", "character"):
            rule = f"{'Char' if element == 'character' else 'Varchar'}({length})"
        case (precision, scale) if element == "numeric":
            rule = f"Numeric({precision}, {scale})"
        case None | (_, *_) if element.startswith(("time", "interval")) and column.modifier != (6,):
            return ", without its precision, which rounds"
    if column.is_enum:
        rule = f"Enum({column.base_type!r}, values=({''.join(f'{label!r}, ' for label in enum_labels(cursor, column.base_oid)).rstrip()}))"
    rule = rule or f"Cast({element!r})"
    if column.base_type.endswith("[]"):
        rule = f"Array({rule})"
    return f", or write {rule} in the definition"


def _label_findings(cursor: Cursor, name: str, column_name: str, rule: Enum, column: TargetColumn) -> Iterator[Check]:
    """The labels of an enum against the values that the definition lists."""
    labels = enum_labels(cursor, column.base_oid)
    unknown = [value for value in rule.values if value not in labels]
    if unknown:
        sentence = (
            f"column {column_name}: its type {column.base_type} has no label {', '.join(map(repr, unknown))}, so items with that would be "
            "dead letters; ALTER TYPE ... ADD VALUE, or leave it out of the definition"
        )
        yield problem(Code.ENUM_LABELS, sentence, name)
    elif rule.values and set(rule.values) != set(labels):
        others = ", ".join(repr(label) for label in labels if label not in rule.values)
        sentence = f"column {column_name}: its type {column.base_type} also has {others}, which the definition refuses (invalid_enum)"
        yield fact(Code.ENUM_LABELS, sentence, name)
