"""From what was found in an export to what is proposed.

Pure, and no value of an item comes out of it but the literals of a discriminator and of composite strings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pipeline.console import printable
from pipeline.drafts.names import snake_case, unlike, words_of
from pipeline.drafts.plan import is_index_key
from pipeline.drafts.survey import REST, SEPARATOR, ByAttribute, ByPrefixes, Discriminator, Kind, Slot, Survey
from pipeline.drafts.types import Rule, counted, is_named_as_a_ttl, python_text, rule_for
from pipeline.inspection.evidence import Figures
from pipeline.inspection.names import LEAST_HAVING, is_frequent, looks_like_data
from pipeline.inspection.statistics import Attribute, ItemStatistics
from transforms.sources import path_of

_AMPLIFY: Final = {
    "_version": "of AWS Amplify: the number of the item's version",
    "_lastChangedAt": "of AWS Amplify: when the item was last changed",
    "_deleted": 'of AWS Amplify: deleted softly; where=Not(Equals("_deleted", True)) leaves such items out',
    "_ttl": "of AWS Amplify: when DynamoDB will remove an item that was deleted softly",
    "__typename": "of AWS Amplify or AppSync: the name of the model",
}
_LEAST_OF_AMPLIFY: Final = 2
_MAIN_KEYS: Final = frozenset({"profile", "metadata", "meta", "info", "details", "root", "main", "data", "a"})
"""What is in the sort key of an item that is the thing itself which its partition key names."""
_FEW: Final = 0.01
_NO_KEY: Final = "in none of these items, so all of them are dead letters"
_RARE: Final = 1_000
"""What is in fewer than one of so many items has no column."""


# -- what is proposed, as plain values -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ProposedColumn:
    source: str
    """As Python writes it: `"createdAt"`, `Part(...)`, `REST`."""
    name: str
    rule: Rule
    is_required: bool = False
    """Whether all items have it, so that the column takes no NULL."""
    clean: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    is_left_out: bool = False
    """Whether it only repeats others: then it stands in a comment, and its attribute goes to the rest."""


@dataclass(frozen=True, slots=True)
class ProposedTable:
    source: str
    schema: str
    name: str
    key: tuple[str, ...]
    """DynamoDB's, as far as known or guessed; never empty."""
    key_columns: tuple[str, ...]
    """Those that the key feeds; empty where no attribute is a sound key: then the rows are numbered."""
    columns: tuple[ProposedColumn, ...]
    """Those of the key first."""
    where: str | None
    """As Python writes it."""
    items: int
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Proposal:
    """Of one export."""

    source: str
    items: int
    tables: tuple[ProposedTable, ...]
    remarks: tuple[str, ...] = ()


# -- how it is proposed --------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TableName:
    """What the target is to be named; None for a name by the source."""

    schema: str
    name: str | None


@dataclass(frozen=True, slots=True)
class KnownKey:
    """What is known of the source's key without looking at items: its attributes, or none; and how it is known, or why it is not."""

    names: tuple[str, ...]
    reason: str


def infer(survey: Survey, source: str, target: TableName, known: KnownKey) -> Proposal:
    """What is proposed for an export, of which `survey` has seen all items."""
    key, remarks = _choose_key(survey, known)
    kinds = _kinds_shown(survey)
    names: list[str] = []
    tables = []
    discriminator = survey.plan.discriminator
    for kind, found in kinds.items():
        named = _table_name(kind, kinds, discriminator, source, target.name)
        names.append(unlike(named, names))
        where = _where(kind, kinds, discriminator)
        tables.append(_table(found, source, target.schema, names[-1], key, where))
    return Proposal(source, survey.items, tuple(tables), (*remarks, *_about_all(survey, kinds)))


def _about_all(survey: Survey, kinds: Mapping[str, Kind]) -> Iterator[str]:
    unreadable = survey.all.lines - survey.items
    if unreadable:
        yield f"{counted(unreadable, survey.all.lines)} lines are no sound items: dead letters"
    if len(kinds) > 1 and survey.plan.discriminator is not None:
        by = survey.plan.discriminator
        told = f"{by.name} tells" if isinstance(by, ByAttribute) else f"the beginnings of {' and '.join(by.names)} tell"
        yield f"a single-table design: {printable(told)} {len(kinds)} kinds of items apart, each of which gets a table"


# -- the key -------------------------------------------------------------------------------------------------------------------------------


def _choose_key(survey: Survey, known: KnownKey) -> tuple[tuple[str, ...], list[str]]:
    """The first of those possible that does not repeat; none where there is none."""
    named = set(known.names)
    if known.names and all(named <= set(kind.statistics.attributes) for kind in survey.kinds.values()):
        return known.names, [f"the key is {_listed(known.names)}: {known.reason}"]
    for names, count in survey.keys.items():
        if count.repeated == 0 and count.values:
            whole = "no value comes twice" if len(names) == 1 else "no combination comes twice"
            seen = f"in all {survey.items:,} items" if count.values == survey.items else f"in {counted(count.values, survey.items)} items"
            sure = "" if count.is_exact else ", as far as a part of them tells"
            return names, [f"that the key is {_listed(names)} is a guess, {known.reason}: it is {seen}, and {whole}{sure}"]
    return (), [f"no key was found, {known.reason}: no attribute is in nearly all items and never twice the same; correct `key`"]


def _listed(names: Sequence[str]) -> str:
    return " and ".join(map(printable, names))


# -- kinds ---------------------------------------------------------------------------------------------------------------------------------


def _kinds_shown(survey: Survey) -> dict[str, Kind]:
    """The kinds that get a table: those of at least ten items, the largest first; last all others together, if there are any."""
    if survey.plan.discriminator is None:
        return {REST: survey.kinds.get(REST, Kind(survey.plan.values))}
    large = {name: kind for name, kind in survey.kinds.items() if name != REST and kind.statistics.items >= LEAST_HAVING}
    others = [kind for name, kind in survey.kinds.items() if name not in large]
    shown = dict(sorted(large.items(), key=lambda named: (-named[1].statistics.items, named[0])))
    if others:
        rest = Kind(survey.plan.values)
        for kind in others:
            rest.statistics.merge(kind.statistics)
        shown[REST] = rest
    return shown


def _table_name(kind: str, kinds: Mapping[str, Kind], by: Discriminator | None, source: str, given: str | None) -> str:
    base = given or snake_case(source, "items")
    if len(kinds) == 1:
        return base
    if kind == REST:
        return f"{base}_others"
    own = kind
    if not isinstance(by, ByAttribute):
        parts = [part.removesuffix(SEPARATOR) for part in kind.split("|") if part]
        own = parts[0] if parts[-1].lower() in _MAIN_KEYS else parts[-1]
    named = snake_case(own, "items")
    return f"{given}_{named}" if given else named


def _where(kind: str, kinds: Mapping[str, Kind], by: Discriminator | None) -> str | None:
    """The condition of a kind; no item meets those of two."""
    if len(kinds) == 1 or by is None:
        return None
    others = [name for name in kinds if name not in (REST, kind)]
    if isinstance(by, ByAttribute):
        if kind != REST:
            return f"Equals({_path(by.name)}, {python_text(kind)})"
        return f"Not(In({_path(by.name)}, ({', '.join(map(python_text, others))},)))"
    if kind == REST:
        return f"Not(AnyOf({', '.join(_all_of(_tests(name, by)) for name in others)}))"
    # A key without a literal beginning may have any: also those of other kinds.
    within = [name for name in others if set(_tests(kind, by)) < set(_tests(name, by))]
    return _all_of([*_tests(kind, by), *(f"Not({_all_of(_tests(name, by))})" for name in within)])


def _tests(kind: str, by: ByPrefixes) -> list[str]:
    """What holds of the keys of a kind."""
    return [
        f"{'BeginsWith' if prefix.endswith(SEPARATOR) else 'Equals'}({_path(name)}, {python_text(prefix)})"
        for name, prefix in zip(by.names, kind.split("|"), strict=True)
        if prefix
    ]


def _all_of(tests: Sequence[str]) -> str:
    return tests[0] if len(tests) == 1 else f"AllOf({', '.join(tests)})"


def _path(name: str) -> str:
    return python_text(path_of([name]))


# -- a table -------------------------------------------------------------------------------------------------------------------------------


def _table(found: Kind, source: str, schema: str, name: str, key: Sequence[str], where: str | None) -> ProposedTable:
    statistics = found.statistics
    shown, hidden = _shown(statistics)
    in_order = [*key, *(one for one in shown if one not in key)]
    is_amplify = sum(one in shown for one in _AMPLIFY) >= _LEAST_OF_AMPLIFY
    columns: list[ProposedColumn] = []
    names: list[str] = []
    for attribute in in_order:
        names.append(unlike(snake_case(attribute, "attribute"), names))
        if attribute in statistics.attributes:
            columns.append(_column(attribute, names[-1], found, attribute in key, is_amplify))
        else:
            # A table without its key is refused by `migrate`: nothing tells of which item a row is.
            columns.append(ProposedColumn(_path(attribute), names[-1], Rule("Text()", "text"), True, remarks=(_NO_KEY,)))
    for slot in sorted(found.parts, key=lambda slot: (slot[0], slot[1] or 0)):
        if _may_be_split(found, slot):
            names.append(unlike(_part_name(found, slot), names))
            columns.append(_part_column(found, slot, names[-1]))
    columns.append(
        ProposedColumn("REST", unlike("rest", names), Rule("Jsonb()", "jsonb"), remarks=("what no other column takes, also what is new",))
    )
    key_columns = tuple(column.name for one in key for column in columns if column.source == _path(one))
    is_keyed = bool(key) and len(key_columns) == len(key)
    return ProposedTable(
        source,
        schema,
        name,
        tuple(key) or tuple(in_order[:1]) or ("id",),
        key_columns if is_keyed else (),
        tuple(columns),
        where,
        statistics.items,
        tuple(_about_hidden(statistics, hidden)),
    )


def _shown(statistics: ItemStatistics) -> tuple[dict[str, Attribute], int]:
    """The attributes that get columns, those that most items have first; and how many have names that are no schema's."""
    kept = {
        name: attribute
        for name, attribute in statistics.attributes.items()
        if attribute.items and (is_frequent(attribute.items, statistics.items) or not (statistics.is_capped or looks_like_data(name)))
    }
    # A long name was cut.
    whole = {name: attribute for name, attribute in kept.items() if not name[-9:].startswith("…")}
    return dict(sorted(whole.items(), key=lambda named: (-named[1].items, named[0]))), len(statistics.attributes) - len(whole)


def _about_hidden(statistics: ItemStatistics, hidden: int) -> Iterator[str]:
    if hidden:
        more = "more than " if statistics.is_capped else ""
        yield f"{more}{hidden:,} other attribute name{'' if hidden == 1 else 's'}, too long, too rare or with the look of data: in the rest"


def _column(name: str, column: str, found: Kind, is_key: bool, is_amplify: bool) -> ProposedColumn:
    attribute, items = found.statistics.attributes[name], found.statistics.items
    typed = rule_for(name, attribute, of_key=is_key)
    nulls = _count(attribute, "types", "NULL")
    present = attribute.items - nulls
    remarks = []
    if present < items:
        as_null = f" ({nulls:,} as NULL)" if nulls else ""
        remarks.append(f"in {counted(present, items)} items{as_null}" + (": the others are dead letters" if is_key else ""))
    remarks += typed.remarks
    if is_amplify and name in _AMPLIFY:
        remarks.append(_AMPLIFY[name])
    elif is_named_as_a_ttl(name) and "N" in attribute.tallies["types"]:
        remarks.append(
            "has the name of a time to live: DynamoDB may have removed items past it, and those that are past it still may be here"
        )
    is_repeated = _repeats_wholly(name, found) and is_index_key(name)
    is_rare = attribute.items * _RARE < items and name not in _AMPLIFY
    remarks += _about_repeats(name, found)
    if (is_repeated or is_rare) and not is_key:
        remarks.append("so rare that it has no column, and is in the rest:" if is_rare else "so it has no column, and is in the rest:")
    return ProposedColumn(
        _path(name),
        column,
        typed.rule,
        is_key or (present == items and not typed.makes_null),
        typed.clean,
        tuple(remarks),
        is_left_out=(is_repeated or is_rare) and not is_key,
    )


def _count(figures: Figures, kind: str, key: str) -> int:
    return figures.tallies[kind].get(key, 0)


# -- composite strings, and what only repeats others ---------------------------------------------------------------------------------------


def _repeated(slot: Slot, found: Kind) -> bool:
    alike, unlike_ = found.same.get(slot, (0, 0))
    return alike > 0 and not unlike_


def _repeats_wholly(name: str, found: Kind) -> bool:
    """Whether all that an attribute says is said by others."""
    if _repeated((name, None), found):
        return True
    parts = [slot for slot in found.parts if slot[0] == name]
    return bool(parts) and not found.unlike.get(name) and all(_repeated(slot, found) for slot in parts)


def _about_repeats(name: str, found: Kind) -> Iterator[str]:
    plan = found.plan
    source = plan.repeats.get((name, None))
    if source is not None and _repeated((name, None), found):
        yield f"says what {_slot_name(source)} says in all {found.same[name, None][0]:,} items that have it"
        return
    pattern = plan.patterns.get(name)
    if pattern is None or not any(slot[0] == name for slot in found.parts):
        return
    unlike_, texts = found.unlike.get(name, 0), _count(found.statistics.attributes[name], "types", "S")
    if unlike_ > _FEW * texts:
        return
    made = pattern.literals[0]
    for number, literal in enumerate(pattern.literals[1:]):
        slot = (name, number)
        other = plan.repeats.get(slot)
        made += "{" + (_slot_name(other) if other is not None and _repeated(slot, found) else f"part {number + 1}") + "}" + literal
    yield f"made of {made}" + (f", but for {unlike_:,}" if unlike_ else "")


def _slot_name(slot: Slot) -> str:
    name, part = slot
    return printable(name) if part is None else f"part {part + 1} of {printable(name)}"


def _may_be_split(found: Kind, slot: Slot) -> bool:
    """Whether a part gets a column: it says something that nothing else says, of a string that all items of the kind have so."""
    name, _ = slot
    attribute = found.statistics.attributes.get(name)
    is_in_all = attribute is not None and _count(attribute, "types", "S") == found.statistics.items and not found.unlike.get(name)
    return is_in_all and not is_index_key(name) and not _repeated(slot, found) and found.statistics.items >= LEAST_HAVING


def _placeholders(found: Kind, name: str) -> list[str]:
    """A name for each part of a pattern, by the literal before it."""
    literals = found.plan.patterns[name].literals
    names: list[str] = []
    for number, literal in enumerate(literals[:-1]):
        words = [piece for piece in literal.split(SEPARATOR) if piece]
        names.append(unlike(snake_case(words[-1], "part") if words else f"part_{number + 1}", names))
    return names


def _part_name(found: Kind, slot: Slot) -> str:
    name, number = slot
    placeholder = _placeholders(found, name)[number or 0]
    return snake_case("_".join([*words_of(name), placeholder]) if placeholder.startswith("part_") else placeholder, "part")


def _part_column(found: Kind, slot: Slot, column: str) -> ProposedColumn:
    name, number = slot
    placeholders = _placeholders(found, name)
    literals = found.plan.patterns[name].literals
    pattern = literals[0] + "".join(f"{{{placeholder}}}{literal}" for placeholder, literal in zip(placeholders, literals[1:], strict=True))
    typed = rule_for(placeholders[number or 0], found.parts[slot])
    source = f"Part({_path(name)}, {python_text(pattern)}, {python_text(placeholders[number or 0])})"
    is_required = not typed.makes_null
    return ProposedColumn(source, column, typed.rule, is_required, typed.clean, typed.remarks)
