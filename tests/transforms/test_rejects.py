"""`transforms/rejects.py`: the codes are part of the interface, exactly those of `docs/dead-letters.md`."""

import dataclasses

import pytest

from transforms.rejects import ErrorCode, ItemError, ItemRefused, Notice, NoticeCode, ReadRefused, Stage, TransformRefused, ValueRefused

ERROR_CODES = {
    *("invalid_json", "not_an_item", "not_a_change"),
    *("missing_required", "wrong_type", "invalid_uuid", "invalid_enum", "invalid_timestamp", "timestamp_out_of_range", "invalid_number"),
    *("nul_character", "unmapped_attribute"),
    *("not_an_integer", "number_out_of_range", "precision_lost", "text_too_long", "invalid_boolean"),
    *("pattern_mismatch", "function_failed", "no_table"),
    *("invalid_date", "invalid_time", "invalid_interval", "invalid_base64", "invalid_inet"),
    *("primary_key_conflict", "unique_conflict", "foreign_key_violation", "check_violation", "not_null_violation", "database_rejected"),
    "row_changed_by_others",
}
NOTICE_CODES = {
    *("timestamp_defaulted", "malformed_meeting_id", "unknown_event_type", "empty_uuid_as_null", "unmapped_attribute", "rounded"),
    *("nul_replaced", "trimmed", "case_changed", "empty_as_null"),
}


def test_the_error_codes_are_the_documented_ones():
    """Rule: "Codes are part of the interface": the table of dead-letter codes, no more and no less, as text."""
    assert {str(code) for code in ErrorCode} == ERROR_CODES
    assert all(isinstance(code, str) for code in ErrorCode)


def test_the_notice_codes_are_the_documented_ones():
    """Rule: "Notice codes": no more and no less, as text."""
    assert {str(code) for code in NoticeCode} == NOTICE_CODES
    assert all(isinstance(code, str) for code in NoticeCode)


def test_the_stages():
    """Three stages; a read refusal and a transform refusal are both refused items and each names its own."""
    assert [str(stage) for stage in Stage] == ["read", "transform", "write"]
    assert ReadRefused(()).stage is Stage.READ
    assert TransformRefused(()).stage is Stage.TRANSFORM
    assert issubclass(ReadRefused, ItemRefused)
    assert issubclass(TransformRefused, ItemRefused)
    assert not issubclass(ValueRefused, ItemRefused)


def test_a_read_refusal_has_one_error():
    """`ReadRefused.because` makes the one error that a read refusal has."""
    refused = ReadRefused.because(ErrorCode.NOT_AN_ITEM, "message", "a.b")
    assert refused.errors == (ItemError(ErrorCode.NOT_AN_ITEM, "a.b", None, "message", None),)
    assert ReadRefused.because(ErrorCode.INVALID_JSON, "message").errors[0].attribute is None


def test_errors_and_notices_are_values():
    """Errors and notices are equal by content, can be counted, and cannot be changed."""
    error = ItemError(ErrorCode.WRONG_TYPE, "a", "b", "message")
    notice = Notice(NoticeCode.UNMAPPED_ATTRIBUTE, "a")
    assert len({error, ItemError(ErrorCode.WRONG_TYPE, "a", "b", "message"), notice, Notice(NoticeCode.UNMAPPED_ATTRIBUTE, "a")}) == 2
    assert error.sqlstate is None
    for value in (error, notice):
        with pytest.raises(dataclasses.FrozenInstanceError):
            value.attribute = "other"
