"""What `sound_rows.c` has to offer."""

from collections.abc import Sequence

from transforms.rejects import Notice

VERSION: int

class SoundRows:
    """The rows of one table's sound items. `attributes` and `steps` are the tuples that `transforms.native` describes."""

    def __init__(self, maps: int, attributes: tuple[Sequence[object], ...], steps: tuple[Sequence[object], ...], /) -> None: ...
    def encode(self, line: bytes, notices: list[Notice], /) -> tuple[bytes, bool] | None:
        """The fields of the row of a line's item, and whether every attribute has a column; None where the way in Python must decide.

        Notices are added to the list, and mean nothing where the result is None. Raises what a column's own function raises.
        """
