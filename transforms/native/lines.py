"""The lines of a block of a data file: by the compiled module, or, where it is not built, by Python."""

from __future__ import annotations

from transforms.native.plan import IS_BUILT

if IS_BUILT:
    from transforms.native.sound_rows import count_line_ends, split_lines
else:

    def count_line_ends(block: bytes, /) -> int:
        return block.count(b"\n")

    def split_lines(block: bytes, /) -> list[bytes]:
        return block.split(b"\n")


__all__ = ["count_line_ends", "split_lines"]
