"""A line of an incremental export, and what it does to the rows of one table: the row that its key has now, and the keys of rows that go.

How the row of a change is found depends on the definition. Where the target's key is made of DynamoDB's key alone, and of all of it that
the table's condition leaves open, `Keys` says which row it is. Else only the item that was there before can say it, and windows of the view
NEW_IMAGE are of no use.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import Enum
from typing import Any, Final, NamedTuple

from transforms.children import ChildRows, compile_rows
from transforms.compile import EncodedRow, compile_key, compile_table, compile_where
from transforms.lines import View, read_change_line, read_full_export_line, read_keys
from transforms.native.plan import read_sound_change
from transforms.rejects import ErrorCode, ItemFiltered, ItemRefused, Notice, ReadRefused
from transforms.rules import Char, Citext, Domain, Double, Real, UpperCased
from transforms.sources import Computed, Joined, OfElement, Parent, Part, Source, Whole, names_of, parts_of_pattern
from transforms.table import Child, Column, Missing, Table, Unmapped
from transforms.where import compile_known, pinned_by


class RowChange(NamedTuple):
    """What a line does to the rows of one table.

    Without a row and without deleted keys it does nothing: the item is not for this table (`filter_reason`), or it was deleted and no row
    can be of it.
    """

    row: EncodedRow | None
    """That the key has now."""
    children: ChildRows
    """The child rows beside it: all that there are now."""
    notices: Sequence[Notice]
    deleted_keys: tuple[EncodedRow, ...]
    """Keys of the target, as rows of `table.only(key)`, whose rows and child rows go: the item was deleted, is not for this table any
    more, or has another key in the target now.

    Where rows are found by old images, items can share a target's key: the row may be another item's. It is this one's if it is
    `old_row`, or is known to be outdated by a dead letter of this key."""
    filter_reason: str | None
    """Why the item is not for this table; where a row goes all the same, it may have been before."""
    write_micros: int
    """When the key was last written, in microseconds since 1970-01-01 UTC."""
    old_row: EncodedRow | None
    """The row of the item before the window, where the view has it, it was for this table, and it could be a row."""
    key: EncodedRow | None
    """The key in the target of the row, else of what goes, else of the item that is not for this table, where one can be told."""
    is_first: bool = False
    """Whether there was no item of this table before, as the view says; so a row of ours at its key is another item's."""
    old_children: tuple[int, ...] = ()
    """Of each child how many rows the item had before the window, with `old_row`."""


ToChange = Callable[[bytes], RowChange]


class CompiledChanges(NamedTuple):
    """The functions of one definition and one view."""

    to_change: ToChange
    """Raises `ReadRefused` and `TransformRefused`, and nothing else on any input."""
    key_of: Callable[[bytes], EncodedRow | None]
    """The key in the target of the row that a line, refused or not, is about: the one that is outdated while the line is a dead letter.

    None where that cannot be told: the line is no change, or what makes the key is no sound value.
    """
    key_of_row: Callable[[EncodedRow], EncodedRow]
    """The key in the target of a row."""


def compile_changes(
    table: Table, *, key: Sequence[str], view: View, migration_time: int, unmapped: Unmapped = Unmapped.NOTICE
) -> CompiledChanges:
    """The functions for the lines of windows; `key` are the columns of the target's primary key, `migration_time` as for `compile_table`.

    Raises `ValueError` for a definition that cannot be, or whose rows cannot be found in this view.
    """
    finding = how_changes_find_rows(table, key)
    if finding.by is FindsBy.OLD_IMAGES and view is View.NEW_IMAGE:
        raise ValueError(finding.sentence)
    return _Changes(table, tuple(key), finding.by, view, migration_time, unmapped).compiled


class _Changes:
    def __init__(self, table: Table, key: tuple[str, ...], by: FindsBy, view: View, migration_time: int, unmapped: Unmapped) -> None:
        self._source_key = table.key
        self._by_keys = by is FindsBy.KEYS
        self._has_old = view is View.NEW_AND_OLD_IMAGES
        self._to_row: Callable[[bytes], tuple[Any, ...]] = compile_rows(table, migration_time=migration_time, unmapped=unmapped)
        self._key_of_row = _compile_key_of_row(table.column_names, key)
        # Keys hold nothing else, so they are a sound item of these columns, or no row was ever made of it.
        self._to_key = compile_table(replace(table.only(key), where=None, others=(), children=()), migration_time=migration_time)
        self._key_of_item = compile_key(table, key, migration_time=migration_time)
        self._check_taken = compile_where(table)
        self._why_never = None if table.where is None else compile_known(table.where, table.key)

    @property
    def compiled(self) -> CompiledChanges:
        return CompiledChanges(self._to_change, self._key_of, self._key_of_row)

    def _to_change(self, line: bytes) -> RowChange:
        sound = read_sound_change(line, self._source_key)
        # An image that is not looked at may be anything.
        if sound is not None and (self._has_old or sound[2] is None):
            try:
                return self._of_change(*sound, is_checked=False)
            except ReadRefused:
                # Which of the two is at fault, the line or the image, says whoever reads all of it.
                pass
        return self._of_change(*read_change_line(line, self._source_key), is_checked=True)

    def _of_change(self, micros: int, keys: bytes, old_image: bytes | None, new: bytes | None, *, is_checked: bool) -> RowChange:
        if self._has_old and old_image is new is None:
            message = "a change of this view must have an OldImage or a NewImage"
            raise ReadRefused.because(ErrorCode.NOT_A_CHANGE, message)
        has_old = self._has_old and old_image is not None
        old = self._old(old_image or b"", is_checked=is_checked) if has_old else _NO_OLD
        if new is None:
            return self._gone(micros, keys, old, old.filter_reason, has_old=has_old)
        try:
            made = self._to_row(new)
        except ItemFiltered as filtered:
            return self._gone(micros, keys, old, filtered.reason, has_old=has_old)
        row = made[0]
        key = self._key_of_row(row)
        deleted = () if self._by_keys or old.key is None or old.key == key else (old.key,)
        is_first = self._is_first(old, has_old=has_old)
        return RowChange(row, made[2] if len(made) == 3 else (), made[1], deleted, None, micros, old.row, key, is_first, old.children)

    def _gone(self, micros: int, keys: bytes, old: _Old, filter_reason: str | None, *, has_old: bool) -> RowChange:
        """The item was deleted, or is not for this table (any more)."""
        key, never = self._found_by_keys(keys) if self._by_keys else (old.key, None)
        deleted = () if key is None or self._is_first(old, has_old=has_old) else (key,)
        return RowChange(None, (), (), deleted, filter_reason or never, micros, old.row, key, old_children=old.children)

    def _is_first(self, old: _Old, *, has_old: bool) -> bool:
        return self._has_old and (not has_old or old.filter_reason is not None)

    def _old(self, line: bytes, *, is_checked: bool) -> _Old:
        try:
            made = self._to_row(line)
        except ItemFiltered as filtered:
            return _Old(filter_reason=filtered.reason)
        except ItemRefused as refused:
            if not is_checked and isinstance(refused, ReadRefused):
                raise
            # Its row, if there is one, is of a state before that one.
            return _Old(key=None if self._by_keys else self._key_of_item(line))
        key = None if self._by_keys else self._key_of_row(made[0])
        return _Old(made[0], key, children=tuple(map(len, made[2])) if len(made) == 3 else ())

    def _found_by_keys(self, keys: bytes) -> tuple[EncodedRow | None, str | None]:
        """The key in the target; or why no item of these keys was ever for this table, if its condition says so."""
        never = None if self._why_never is None else self._why_never(read_full_export_line(keys).item)
        if never is not None:
            return None, never
        try:
            return self._to_key(keys)[0], None
        except ItemRefused:
            return None, None

    def _key_of(self, line: bytes) -> EncodedRow | None:
        if self._by_keys:
            keys = read_keys(line, self._source_key)
            return None if keys is None else self._found_by_keys(keys)[0]
        try:
            change = read_change_line(line, self._source_key)
        except ReadRefused:
            return None
        images = (change.old if self._has_old else None, change.new)
        return next((key for image in images if image is not None and (key := self._key_of_image(image)) is not None), None)

    def _key_of_image(self, image: bytes) -> EncodedRow | None:
        """Nothing of an item that is not for this table."""
        try:
            self._check_taken(read_full_export_line(image).item)
        except ItemFiltered:
            return None
        except ItemRefused as refused:
            if _is_of_no_table(refused):
                return None
        return self._key_of_item(image)


def _is_of_no_table(refused: ItemRefused) -> bool:
    return any(error.code is ErrorCode.NO_TABLE for error in refused.errors)


class _Old(NamedTuple):
    """What the item before the window was to this table."""

    row: EncodedRow | None = None
    key: EncodedRow | None = None
    """Where rows are found by it."""
    filter_reason: str | None = None
    children: tuple[int, ...] = ()
    """How many rows of each child."""


_NO_OLD: Final = _Old()


def _compile_key_of_row(columns: Sequence[str], key: Sequence[str]) -> Callable[[EncodedRow], EncodedRow]:
    """The function that takes the fields of the key out of a row."""
    places = [columns.index(name) for name in key]
    count = max(places) + 1
    if count == 1:
        return lambda row: row[: 4 + max(int.from_bytes(row[:4], "big", signed=True), 0)]

    def key_of_row(row: EncodedRow) -> EncodedRow:
        fields = []
        at = 0
        for _ in range(count):
            # Of NULL the size is -1, and nothing follows.
            end = at + 4 + max(int.from_bytes(row[at : at + 4], "big", signed=True), 0)
            fields.append(row[at:end])
            at = end
        return b"".join([fields[place] for place in places])

    return key_of_row


# -- how a change finds its row ------------------------------------------------------------------------------------------------------------


class FindsBy(Enum):
    """What of a change says which row it is about."""

    KEYS = "keys"
    """`Keys`, in every view."""
    OLD_IMAGES = "old images"
    """The item before the window: of the view NEW_AND_OLD_IMAGES alone."""


class Finding(NamedTuple):
    """How the changes of a table find their rows, and those of its children."""

    by: FindsBy
    sentence: str
    """Why, where it is by old images, and what to do."""
    child_keys: tuple[tuple[str, ...], ...]
    """Of each child the columns that hold the parent's key, in its order: all rows of one parent are found by them."""


# Two keys can be one for these: of case, of blanks at the end, of digits.
_FOLDING: Final = (Citext, UpperCased, Char, Double, Real)


def how_changes_find_rows(table: Table, key: Sequence[str]) -> Finding:
    """By what a change finds its row in a target whose primary key is of these columns. Raises `ValueError` where it cannot."""
    by_name = {column.name: column for column in table.columns}
    problems = _why_not_found(table, key)
    if problems:
        raise ValueError("; ".join(problems))
    columns = [by_name[name] for name in key]
    child_keys = tuple(tuple(str(_column_of_child(child, column)) for column in columns) for child in table.children)
    others = [
        column.name for column in columns if not set(map(names_of, column.paths)) <= {(name,) for name in table.key} or _is_whole(column)
    ]
    pinned = {names[0] for names in pinned_by(table.where) if len(names) == 1}
    lost = [name for name in table.key if name not in _kept_of_key(columns) | pinned]
    if not others and not lost:
        return Finding(FindsBy.KEYS, "", child_keys)
    if others:
        why = f"{_listed(others)} of its key {_are(others)} not made of DynamoDB's key ({', '.join(table.key)}) alone"
    else:
        why = f"its key ({', '.join(key)}) does not keep {_listed(lost)} of DynamoDB's key ({', '.join(table.key)}), so items can share one"
    sentence = (
        f"{table.target}: {why}: the keys of a change do not say which row it is about, and only old images do. Export its windows with "
        "ExportViewType NEW_AND_OLD_IMAGES, or define a target whose primary key is made of the whole of DynamoDB's key"
    )
    return Finding(FindsBy.OLD_IMAGES, sentence, child_keys)


def _why_not_found(table: Table, key: Sequence[str]) -> list[str]:
    by_name = {column.name: column for column in table.columns}
    if not key:
        return [f"{table.target}: has no primary key, so a change cannot find its row; give it one"]
    unfed = [name for name in key if name not in by_name]
    if unfed:
        return [f"{table.target}: {_listed(unfed)} of its primary key {_are(unfed)} filled by no column of the definition; add one"]
    problems = [
        f"{table.target}: {name} of its primary key is the time of the load where its attribute is missing, so a change cannot find its "
        "row; use Missing.REFUSED"
        for name in key
        if by_name[name].missing is Missing.MIGRATION_TIME
    ]
    for child in table.children:
        lacking = [name for name in key if _column_of_child(child, by_name[name]) is None]
        if lacking:
            problems.append(
                f"{child.target}: has no column that holds {_listed(lacking)} of {table.target}'s primary key, so the rows of a changed "
                "item cannot be found; add one with the source Parent(...) of the same attribute, the same type, and the same rule for a "
                "missing attribute"
            )
    return problems


def _column_of_child(child: Child, of_parent: Column) -> str | None:
    """The column that holds the same as one of the item's row."""
    source: Source = of_parent.source
    if isinstance(source, Whole | OfElement | Parent):
        return None
    in_child = None if source is None else Parent(source)
    for column in child.columns:
        same_source = column.source == in_child
        # Where the attribute is missing, an item that is not refused has what two rules say. Two columns may have two defaults.
        same_missing = of_parent.missing is Missing.REFUSED or (column.missing == of_parent.missing and not column.takes_default)
        if same_source and same_missing and (column.rule, column.clean) == (of_parent.rule, of_parent.clean):
            return column.name
    return None


def _is_whole(column: Column) -> bool:
    return column.source is not None and not column.paths


def _kept_of_key(columns: Sequence[Column]) -> set[str]:
    """The attributes of which two values cannot become one in these columns, but for their spelling."""
    kept: set[str] = set()
    parts: dict[tuple[str, str], set[str]] = {}
    for column in columns:
        rule = column.rule.rule if isinstance(column.rule, Domain) else column.rule
        if column.clean or isinstance(rule, _FOLDING):
            continue
        match column.source:
            case str() as path:
                kept.add(path)
            case Joined(paths) | Computed(reads=paths):
                kept.update(paths)
            case Part(path, pattern, name):
                parts.setdefault((path, pattern), set()).add(name)
    kept.update(path for (path, pattern), names in parts.items() if names == set(parts_of_pattern(pattern)[1]))
    return {str(names[0]) for path in kept if len(names := names_of(path)) == 1}


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"
