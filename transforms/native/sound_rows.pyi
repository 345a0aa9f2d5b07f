"""What `sound_rows.c` has to offer."""

from collections.abc import Sequence

from transforms.rejects import Notice

SOURCES: str
"""The files that it was built of and their hashes: `name:hash name:hash`; empty where nobody said so."""

def read_change(line: bytes, key: tuple[str, ...], /) -> tuple[int, bytes, bytes | None, bytes | None] | None:
    """The fields of a `transforms.lines.Change`; None where the way in Python must decide.

    `key` are the attributes of the table's key. Of the images it is known only that their brackets match, and that they have the key.
    """

def count_line_ends(block: bytes, /) -> int:
    r"""As `block.count(b"\n")`."""

def split_lines(block: bytes, /) -> list[bytes]:
    r"""As `block.split(b"\n")`."""

def fields_at(rows: list[bytes], positions: bytes, /) -> list[bytes]:
    """Of each row the fields at these positions, which must be in their order."""

def prove_rows(rows: dict[int, bytes], codes: bytes, messages: list[bytes], /) -> dict[int, int]:
    """Item number -> number, of each message whose fields are to the byte as PostgreSQL sends a row that is equal to the item's.

    A message is a row as a binary COPY sends it, with the item's number and another number as its last two fields, bigints. Others mean
    nothing. `codes` has a byte for each column of a row: see `sent.py`.
    """

class SoundRows:
    """The rows of one table's sound items. The arguments are the tuples that `plan.py` describes.

    Without `sources` each step takes its own attributes as they are.
    """

    def __init__(
        self,
        maps: int,
        attributes: tuple[Sequence[object], ...],
        steps: tuple[Sequence[object], ...],
        sources: tuple[Sequence[object], ...] = ...,
        conditions: tuple[Sequence[object], ...] = ...,
        answers: tuple[int, ...] = ...,
        /,
    ) -> None: ...
    def encode(self, line: bytes, notices: list[Notice], /) -> tuple[bytes, list[tuple[int, str]] | None] | int | None:
        """The fields of the row of a line's item, and the attributes that no column takes; None where the way in Python must decide.

        Such an attribute is (number of its map, name), in the order of the line; None where there is none. Of a list there is one at
        most, without a name. A number is that of the reason why the item is not for the table: the first condition does not hold. Notices
        are
        added to the list, and mean nothing where the result is None. Raises what a column's own function raises.
        """

    def try_lines(self, lines: list[bytes], key_fields: int, /) -> tuple[int, int, bytes, list[bytes]]:
        """How many lines are rows, how many are not for the table, digests of keys, and the lines that the way in Python must decide.

        A digest is the first eight bytes of the SHA-1 of the first `key_fields` fields; there are none for 0. Raises what a column's own
        function raises.
        """

    def find_left(self, line: bytes, /) -> tuple[list[tuple[int, tuple[bytes | None, ...]]], list[tuple[int, str]], list[int]] | None:
        """Of a line that `encode` is not sure of: the columns that this is because of, where it is sure of the rest of its item.

        Each is its number and the JSON of the values that it takes, None for one that is not there. Such JSON need not be sound: the
        line is if each of them is. Then the attributes that no column takes, as in `encode`; and the numbers of the attributes that this
        item has, of those that `take_unseen` would give. None where the way in Python must decide.
        Raises what a column's own function raises.
        """

    def take_unseen(self) -> list[int]:
        """The numbers of the attributes that no item had, NULL or not, of which a row was made since this was last called."""

_Figures = tuple[list[tuple[str, str, int]], list[tuple[str, int | str]], list[tuple[str, int]], bool]
"""Counts by kind and key; sizes, the least and the greatest (a number that is not whole, or large, as text); how often each text came,
if they are few; whether they are many."""
_Node = tuple[int, str | None, list[tuple[str, int]], _Figures | None]
"""An attribute, or a place inside of one: the number of what it is in (0: the item), its name (None: the elements of a list), how many
values of which type; figures of an attribute."""
_Parts = tuple[list[tuple[int, int, list[_Figures]]], list[tuple[int, int]]]
"""Of each pattern how many strings are made so, how many not, and figures of the parts; of each slot how often it repeated another, and how
often not."""

class SoundStatistics:
    """What is in the items of many lines that are surely sound, counted. It keeps no value, but texts of attributes that have few of them.

    With `has_evidence` what a draft needs is counted as well. `names` are the attributes (UTF-8) that the following speak of by number:
    `by` tell kinds of items apart, as a whole or by their beginnings; `keys` are what could be the key. `plans` are (patterns, repeats)
    by kind (UTF-8), a pattern (number, literals), a repeat two slots (number, part or -1). Raises `ValueError` for what it cannot look for.
    """

    def __init__(
        self,
        has_evidence: bool,
        names: tuple[bytes, ...],
        by: tuple[int, ...],
        is_by_prefix: bool,
        keys: tuple[tuple[int, ...], ...],
        plans: dict[bytes, tuple[tuple[tuple[int, tuple[bytes, ...]], ...], tuple[tuple[tuple[int, int], tuple[int, int]], ...]]],
        /,
    ) -> None: ...
    def add_lines(self, lines: list[bytes], /) -> list[bytes]:
        """Count lines; gives those that were not, for Python to see to."""

    @property
    def is_full(self) -> bool:
        """Whether there is no room for another name until what was counted is taken."""

    def take_digests(self) -> list[bytes]:
        """Of each key eight bytes for each item that has it, since this was last called."""

    def take_counted(self) -> tuple[int, list[tuple[str, int | str]], list[tuple[str, int, list[_Node], _Parts]]]:
        """How many lines were counted since this was last called, sizes of them; of each kind its name, items, nodes from 1, and parts."""
