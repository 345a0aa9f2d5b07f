"""The log shows what stands in the source, and nothing that was filled in."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from pipeline.logs import ValueFreeFormatter

VALUE = "PATIENT-" + "VALUE"  # so that it stands nowhere in this file as a literal


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(ValueFreeFormatter())
    logger = logging.getLogger("tests.logs")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    yield logger, stream
    logger.removeHandler(handler)


def test_a_message_is_shown_before_it_is_filled_in(log: tuple[logging.Logger, io.StringIO]) -> None:
    """However it is filled in; a literal is shown with its place."""
    logger, stream = log
    logger.debug("an element: %s", VALUE)
    logger.warning(f"an element: {VALUE}")
    logger.info(VALUE)
    logger.error({"element": VALUE})

    shown = stream.getvalue()
    assert VALUE not in shown
    assert "DEBUG tests.logs test_logs.py:" in shown
    assert ": an element: %s\n" in shown
    assert shown.count(": ...\n") == 3


def test_an_exception_is_shown_by_its_type_and_places(log: tuple[logging.Logger, io.StringIO]) -> None:
    """Its words, and those of its cause, may quote an item."""
    logger, stream = log
    try:
        try:
            raise ValueError(VALUE)
        except ValueError as error:
            raise KeyError(VALUE) from error
    except KeyError:
        logger.exception("failed", stack_info=True)

    shown = stream.getvalue()
    assert VALUE not in shown
    assert "\n  KeyError\n" in shown
    assert "in test_an_exception_is_shown" in shown
