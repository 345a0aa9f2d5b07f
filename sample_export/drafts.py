"""An item on its way into a data file with the truth about it: first sound, then perhaps changed by planters.

A planter plants one kind of fault or oddity. It claims the attributes it changes, so that two planters never work on the same value and
every error stays certain. The code of a kind is its name up to the first dot; kinds of oddities without a notice have other words there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

import orjson

from sample_export.content import World
from sample_export.tables import MIGRATION_TIME, REQUIRED, Field, Kind, Table
from sample_export.values import NULL, AttributeValue, Pair, iso, jsonb, pair, words

# The codes of `docs/dead-letters.md`.
READ_CODES = words("invalid_json not_an_item")
TRANSFORM_CODES = words(
    "missing_required wrong_type invalid_uuid invalid_enum invalid_timestamp timestamp_out_of_range invalid_number nul_character"
)
NOTICE_CODES = words("timestamp_defaulted malformed_meeting_id unknown_event_type empty_uuid_as_null unmapped_attribute")

# Attributes with their tags, in one of the orders that items have.
Order = list[tuple[str, str]]

# Changes a draft and its truth; False where there is no attribute left for it.
Planter = Callable[["Draft", Random], bool]

# What an attribute becomes: a text in its column's own tag, `{}` standing for its sound one; an attribute value, None for absent; that
# with what it means; one out of a list of these; or made of what the attribute meant.
Change = str | AttributeValue | None | tuple[AttributeValue | None, Any] | list[Any] | Callable[[Any, Random], Any]

# Stands in where an attribute is absent.
_SOUND_UUID = "5b0c1c2e-93d1-4a6f-a1b7-0c55d9e6f310"


@dataclass(slots=True)
class Draft:
    """`values` holds what attributes mean: texts and booleans as they are, times in microseconds, documents as plain JSON.

    `spelling` changes the line; `is_last` is true for the last item of a data file; `planted` names the kinds of faults and oddities;
    items with the same `group` share an id.
    """

    table: Table
    attributes: dict[str, AttributeValue]
    values: dict[str, Any]
    notices: list[tuple[str, str | None]] = field(default_factory=list)
    errors: list[tuple[str, str | None]] = field(default_factory=list)
    refusal: tuple[str, str | None] | None = None
    spelling: Callable[[bytes], bytes] = bytes
    group: str | None = None
    is_last: bool = False
    planted: list[str] = field(default_factory=list)
    claimed: set[str] = field(default_factory=set)

    def claim(self, *names: str) -> bool:
        """Take attributes for one planter; False, and nothing taken, where another has one of them."""
        if not self.claimed.isdisjoint(names):
            return False
        self.claimed.update(names)
        return True

    def claim_one(self, random: Random, fields: Sequence[Field]) -> Field | None:
        """One of `fields` that no planter has claimed, now claimed; None where there is none left."""
        free = [field for field in fields if field.attribute not in self.claimed]
        if not free:
            return None
        chosen = random.choice(free)
        self.claimed.add(chosen.attribute)
        return chosen

    def claim_map(self, name: str) -> bool:
        """Claim a map and all that stands in it, as one value."""
        return self.claim(
            name, f"{name}.unmapped", *(each.attribute for each in self.table.fields if each.attribute.startswith(f"{name}."))
        )

    def claim_unmapped(self, attribute: str) -> bool:
        """Claim the place for attributes that no column takes, beside this one."""
        return self.claim(f"{attribute.rpartition('.')[0]}.unmapped")

    def holder(self, attribute: str) -> tuple[dict[str, Any], str]:
        """The map that an attribute stands in, and its name there."""
        parent, _, name = attribute.rpartition(".")
        return (self.attributes[parent]["M"] if parent else self.attributes), name

    def put(self, attribute: str, typed: AttributeValue | None, meaning: Any = None) -> None:
        """Give an attribute another value, None to take it out; `meaning` is None for what is missing."""
        holder, name = self.holder(attribute)
        holder.pop(name, None)
        if typed is not None:
            holder[name] = typed
        self.values.pop(attribute, None)
        if meaning is not None:
            self.values[attribute] = meaning

    def report(self, kind: str, attribute: str | None) -> None:
        """Note the error or the notice that follows from a kind, if any."""
        code = kind.partition(".")[0]
        if code in READ_CODES:
            self.refusal = (code, attribute)
        elif code in TRANSFORM_CODES:
            self.errors.append((code, attribute))
        elif code in NOTICE_CODES:
            self.notices.append((code, attribute))

    def to_line(self) -> bytes:
        """The line of the data file, without its newline."""
        return self.spelling(orjson.dumps({"Item": self.attributes}))

    def to_truth(self) -> dict[str, Any]:
        """What must become of the item. Of the read stage there is one error, and the item is not converted further."""
        errors = self.errors if self.refusal is None else [self.refusal]
        if errors:
            return {"outcome": "dead_letter", "stage": "transform" if self.refusal is None else "read", "errors": _listed(errors)}
        outcome = {"outcome": "row"} if self.group is None else {"outcome": "conflict", "group": self.group}
        return {**outcome, "row": self._row(), "notices": _listed(self.notices)}

    def _row(self) -> dict[str, Any]:
        values = self.values
        row = {column: values.get(attribute, missing) for attribute, column, missing in self.table.scalars}
        row.update(self.table.constants)
        for attribute, column, _, missing, _ in self.table.documents:
            document = values.get(attribute, missing)
            row[column] = None if document is None else jsonb(document)
        for attribute, column, _, missing, _ in self.table.times:
            if attribute in values:
                moment = iso(values[attribute])
                row[column] = max(row[column], moment) if column in row else moment
            elif missing is not REQUIRED:
                row[column] = missing
                if missing is MIGRATION_TIME:
                    self.notices.append(("timestamp_defaulted", attribute))
        return row


def _listed(codes: list[tuple[str, str | None]]) -> list[dict[str, str | None]]:
    return [{"code": code, "attribute": attribute} for code, attribute in codes]


def sound_draft(table: Table, world: World, random: Random, number: int, order: Order) -> Draft:
    """Item `number` of a table, its attributes in this order."""
    values = table.sound(world, random, number)
    attributes: dict[str, AttributeValue] = {}
    for attribute, tag in order:
        if attribute not in values:
            continue
        value = values[attribute]
        if value is None:
            attributes[attribute] = NULL
            del values[attribute]
        elif tag == "S":
            attributes[attribute] = {"S": value}
        elif tag == "N":
            attributes[attribute] = {"N": str(value)}
            values[attribute] = value * 1000
        elif tag == "M":
            attributes[attribute], values[attribute] = pair(value)
        else:
            attributes[attribute] = {tag: value}
    for name in table.maps:
        members = [attribute for attribute in attributes if attribute.startswith(f"{name}.")]
        attributes[name] = {"M": {attribute.rpartition(".")[2]: attributes.pop(attribute) for attribute in members}}
    return Draft(table, attributes, values)


# -- planters ------------------------------------------------------------------------------------------------------------------------------


def in_column(kind: str, fields: Sequence[Field], change: Change) -> Planter:
    """In one of these attributes."""

    def plant(draft: Draft, random: Random) -> bool:
        field = draft.claim_one(random, fields)
        if field is None:
            return False
        sound = draft.values.get(field.attribute) or _SOUND_UUID
        changed = change(sound, random) if callable(change) else change
        if isinstance(changed, list):
            changed = random.choice(changed)
        if isinstance(changed, str):
            text = changed.replace("{}", str(sound))
            changed = {field.tag: text}, text
        typed, meaning = changed if isinstance(changed, tuple) else (changed, None)
        times = draft.table.fields_of(Kind.LATER_OF)
        if field in times and typed in (None, NULL) and any(time.attribute not in draft.values for time in times):
            return False
        draft.put(field.attribute, typed, meaning)
        draft.report(kind, field.attribute)
        return True

    return plant


def all_missing(kind: str, fields: Sequence[Field]) -> Planter:
    """None of these attributes is there, or is more than NULL."""

    def plant(draft: Draft, random: Random) -> bool:
        if not draft.claim(*(field.attribute for field in fields)):
            return False
        for each in fields:
            draft.put(each.attribute, random.choice((None, NULL)))
        draft.report(kind, fields[0].attribute)
        return True

    return plant


def in_map(kind: str, name: str, typed: AttributeValue | None) -> Planter:
    """Instead of a map whose members have columns."""

    def plant(draft: Draft, _: Random) -> bool:
        if not draft.claim_map(name):
            return False
        draft.values = {attribute: value for attribute, value in draft.values.items() if not attribute.startswith(f"{name}.")}
        draft.put(name, typed)
        draft.report(kind, name)
        return True

    return plant


def unmapped(kind: str, names: Sequence[str], *values: AttributeValue) -> Planter:
    """One attribute that no column takes, or three where there are several values; NULL is no attribute, so it yields no notice."""

    def plant(draft: Draft, random: Random) -> bool:
        if not draft.claim_unmapped(names[0]):
            return False
        for attribute in random.sample(names, 1 if len(values) == 1 else 3):
            holder, name = draft.holder(attribute)
            holder[name] = random.choice(values)
            if holder[name] is not NULL:
                draft.report(kind, attribute)
        return True

    return plant


def one_more_member(member: Pair) -> Planter:
    """In the own map of a document."""

    def plant(draft: Draft, random: Random) -> bool:
        maps = [field for field in draft.table.documents if isinstance(draft.values.get(field.attribute), dict)]
        field = draft.claim_one(random, maps)
        if field is None:
            return False
        holder, name = draft.holder(field.attribute)
        holder[name]["M"]["unusual"], draft.values[field.attribute]["unusual"] = member
        return True

    return plant


class Place(NamedTuple):
    """`container[key]` is the attribute value at `path`, such as `soapData.plan.meds[0].dose`."""

    path: str
    container: Any
    key: str | int

    def put(self, value: Any) -> None:
        self.container[self.key] = value


def _places(place: Place) -> list[Place]:
    """This place and all below it, in document order."""
    ((tag, content),) = place.container[place.key].items()
    found = [place]
    if tag == "M":
        for name in content:
            found += _places(Place(f"{place.path}.{name}", content, name))
    elif tag == "L":
        for index in range(len(content)):
            found += _places(Place(f"{place.path}[{index}]", content, index))
    return found


def _claim_document(draft: Draft, random: Random) -> list[Place]:
    """The places of one document, now claimed and free to be changed; none where all are claimed."""
    field = draft.claim_one(random, draft.table.documents)
    if field is None:
        return []
    holder, name = draft.holder(field.attribute)
    # What many items share is ready JSON: this item gets its own.
    holder[name] = orjson.loads(orjson.dumps(holder.get(name, {"M": {"note": {"S": "x"}, "by": {"S": "y"}}})))
    return _places(Place(field.attribute, holder, name))


def in_document(kind: str, values: Callable[[Random], list[AttributeValue]], error: int = 0) -> Planter:
    """In one or two places of a document, in its order. A document has one error: that of the value number `error`."""

    def plant(draft: Draft, random: Random) -> bool:
        places = _claim_document(draft, random)
        bad = values(random)
        if len(bad) > 1:
            # Neither inside the other.
            places = [place for place in places if place.container[place.key].keys().isdisjoint(("M", "L"))]
        if len(places) < len(bad):
            return False
        chosen = [places[index] for index in sorted(random.sample(range(len(places)), len(bad)))]
        for place, value in zip(chosen, bad, strict=True):
            place.put(value)
        draft.report(kind, chosen[error].path)
        return True

    return plant


def anywhere(kind: str, value: Any, *, only_in_documents: bool = False) -> Planter:
    """In a document, in some column, instead of a map, or in an attribute that no column takes, for what is no attribute value."""

    def claim_place(draft: Draft, random: Random) -> Place | None:
        maps = draft.table.maps
        spots = ["document"] * 2 if draft.table.documents else []
        if not only_in_documents:
            spots += ["column", "retiredFlag", *maps, *(f"{name}.billing" for name in maps)]
        spot = random.choice(spots)
        if spot == "document":
            places = _claim_document(draft, random)
            return random.choice(places) if places else None
        if spot == "column":
            field = draft.claim_one(random, draft.table.fields)
            return Place(field.attribute, *draft.holder(field.attribute)) if field else None
        claimed = draft.claim_map(spot) if spot in maps else draft.claim_unmapped(spot)
        return Place(spot, *draft.holder(spot)) if claimed else None

    def plant(draft: Draft, random: Random) -> bool:
        place = None if "line" in draft.claimed else claim_place(draft, random)
        if place is None:
            return False
        place.put(value)
        draft.report(kind, place.path)
        return draft.claim("line")

    return plant


def in_line(kind: str, change: Callable[[bytes, float], bytes]) -> Planter:
    """In the text of the line; `change` gets a number in 0..1 by chance too."""

    def plant(draft: Draft, random: Random) -> bool:
        chance = random.random()
        # Blank lines at the end of a file are not items.
        if (draft.is_last and not change(b"{}", chance)) or not draft.claim("line"):
            return False
        draft.spelling = lambda line: change(line, chance)
        draft.report(kind, None)
        return True

    return plant
