"""What preflight finds of ddb2pg itself, as it is installed here."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.preflight.findings import Code, Finding, warning
from transforms.native import plan as native


def installation_findings() -> Iterator[Finding]:
    """Whether rows are made the quick way."""
    if not native.IS_BUILT:
        sentence = (
            "ddb2pg was installed here without a C compiler: it makes the same rows, but takes several times as long to make them; "
            "install a compiler and Python's headers (Debian: gcc python3-dev), then ddb2pg again"
        )
        yield warning(Code.NOT_COMPILED, sentence)
