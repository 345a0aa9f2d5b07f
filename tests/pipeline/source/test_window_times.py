"""Which windows a time is cut into."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pipeline.source.windows import cut

_BEGIN = datetime(2026, 3, 1, 12, 0, 7, tzinfo=UTC)
_QUARTER, _DAY = timedelta(minutes=15), timedelta(hours=24)


def _lengths(length: timedelta) -> list[timedelta]:
    return [end - begin for begin, end in cut(_BEGIN, _BEGIN + length)]


@given(st.integers(15 * 60, 40 * 86_400))
def test_windows_touch_and_are_as_long_as_dynamodb_takes_them(seconds: int) -> None:
    """From 15 minutes to 24 hours, whole seconds, from the beginning to the end."""
    windows = list(cut(_BEGIN, _BEGIN + timedelta(seconds=seconds)))
    assert (windows[0][0], windows[-1][1]) == (_BEGIN, _BEGIN + timedelta(seconds=seconds))
    assert all(end == begin for (_, end), (begin, _) in pairwise(windows))
    assert all(_QUARTER <= end - begin <= _DAY for begin, end in windows)
    assert all(time.microsecond == 0 for window in windows for time in window)
    assert len(windows) == -(-seconds // 86_400)


def test_what_fits_is_one_window() -> None:
    assert _lengths(_QUARTER) == [_QUARTER]
    assert _lengths(_DAY) == [_DAY]


def test_a_rest_that_is_too_short_takes_from_the_window_before_it() -> None:
    assert _lengths(_DAY + timedelta(seconds=1)) == [timedelta(hours=12), timedelta(hours=12, seconds=1)]
    assert _lengths(2 * _DAY + _QUARTER - timedelta(seconds=1)) == [_DAY, _DAY / 2, _DAY / 2 + _QUARTER - timedelta(seconds=1)]
    assert _lengths(_DAY + _QUARTER) == [_DAY, _QUARTER]


def test_the_first_windows_are_the_same_whenever_they_are_asked_for() -> None:
    """So their client tokens are, too."""
    assert list(cut(_BEGIN, _BEGIN + timedelta(days=3)))[:2] == list(cut(_BEGIN, _BEGIN + timedelta(days=3, hours=5)))[:2]


def test_times_come_in_utc() -> None:
    """Whatever zone the end of what is applied is in: a client token is made of them."""
    elsewhere = timezone(timedelta(hours=-7))
    from_elsewhere = list(cut(_BEGIN.astimezone(elsewhere), (_BEGIN + _DAY).astimezone(elsewhere)))
    assert [time.tzinfo for window in from_elsewhere for time in window] == [UTC, UTC]
