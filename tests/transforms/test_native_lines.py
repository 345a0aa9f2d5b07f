"""Lines of a block, found by the compiled module: those that Python finds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.native import sound_rows
from transforms.native.lines import count_line_ends, split_lines

BLOCKS = st.lists(st.sampled_from([b"\n", b"\r", b"\x00", b"\x8a", b"\xff", b"a", b"long" * 40]), max_size=300).map(b"".join)


@given(BLOCKS)
def test_lines_are_those_of_python(block: bytes) -> None:
    """Only a newline ends one, wherever it is."""
    assert split_lines(block) == block.split(b"\n")
    assert count_line_ends(block) == block.count(b"\n")


def test_they_are_of_the_compiled_module() -> None:
    """Where it is built, which it is in tests."""
    assert split_lines is sound_rows.split_lines
    assert count_line_ends is sound_rows.count_line_ends


@pytest.mark.parametrize("function", [split_lines, count_line_ends])
def test_anything_else_is_refused(function: object) -> None:
    """Never read as if it were bytes."""
    for other in ("text", bytearray(b"a\n"), None):
        with pytest.raises(TypeError):
            function(other)  # type: ignore[operator]
