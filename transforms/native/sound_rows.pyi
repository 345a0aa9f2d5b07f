"""What `sound_rows.c` has to offer."""

from collections.abc import Sequence

from transforms.rejects import Notice

SOURCES: str
"""The files that it was built of and their hashes: `name:hash name:hash`; empty where nobody said so."""

class SoundRows:
    """The rows of one table's sound items. `attributes` and `steps` are the tuples that `plan.py` describes."""

    def __init__(self, maps: int, attributes: tuple[Sequence[object], ...], steps: tuple[Sequence[object], ...], /) -> None: ...
    def encode(self, line: bytes, notices: list[Notice], /) -> tuple[bytes, list[tuple[int, str]] | None] | None:
        """The fields of the row of a line's item, and the attributes that no column takes; None where the way in Python must decide.

        Such an attribute is (number of its map, name), in the order of the line; None where there is none. Notices are
        added to the list, and mean nothing where the result is None. Raises what a column's own function raises.
        """
