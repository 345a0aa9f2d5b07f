"""Client tokens, and keys of manifests as URIs."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.source.ask_dynamodb import uri_of_manifest, uri_of_new_folder
from pipeline.source.dynamodb_calls import Export, ExportRequest, ExportStatus
from pipeline.source.manifest import ExportKind, Window
from transforms.lines import View

_texts = st.text(max_size=20)
_times = st.datetimes(timezones=st.just(UTC))
_requests = st.builds(
    ExportRequest,
    table_arn=_texts,
    table_id=st.none() | _texts,
    bucket=_texts,
    prefix=_texts,
    of=_times | st.builds(Window, _times, _times, st.sampled_from(View)),
    bucket_owner=st.none() | _texts,
    kms_key=st.none() | _texts,
    failed_before=st.integers(0, 9),
)


@given(_requests, _requests)
def test_requests_share_a_token_exactly_when_they_are_equal(one: ExportRequest, other: ExportRequest) -> None:
    """DynamoDB calls another request with a known token a conflict."""
    assert (one.client_token == other.client_token) == (one == other)
    assert one.client_token == replace(one).client_token


@given(_requests)
def test_tokens_are_what_the_api_takes(request: ExportRequest) -> None:
    assert re.fullmatch(r"ddb2pg-[0-9a-f]{29}", request.client_token)


def test_a_token_is_the_same_in_every_process() -> None:
    time = datetime(2026, 1, 2, tzinfo=UTC)
    full = ExportRequest("arn", "id", "bucket", "prefix", time, None, None, 0)
    window = replace(full, of=Window(time, time + timedelta(hours=1), View.NEW_IMAGE))
    assert full.client_token == "ddb2pg-6ef45915db58faa4033573b2b666c"
    assert window.client_token == "ddb2pg-50411723ad4c9c5fb6babadfb160f"


@pytest.mark.parametrize(
    ("manifest", "uri"),
    [
        ("a/b/T/AWSDynamoDB/01-x/manifest-summary.json", "s3://bucket/a/b/T/AWSDynamoDB/01-x"),
        ("AWSDynamoDB/01-x/manifest-summary.json", "s3://bucket/a/b/T/AWSDynamoDB/01-x"),  # as in AWS's example of a manifest
        (None, None),
        ("", None),
    ],
)
def test_a_manifest_s_folder_is_the_uri(manifest: str | None, uri: str | None) -> None:
    export = Export(
        "arn", ExportStatus.COMPLETED, None, None, None, "bucket", "a/b/T", ExportKind.FULL, True, None, manifest, 1, 1, None, None
    )
    assert uri_of_manifest(export, "bucket", "a/b/T") == uri


def test_without_manifests_the_new_folder_is_it() -> None:
    before, after = frozenset({"s3://b/1"}), frozenset({"s3://b/1", "s3://b/2"})
    assert uri_of_new_folder("T", before, after, "there") == ("T=s3://b/2", None)


def test_without_manifests_several_new_folders_are_all_named() -> None:
    uri, problem = uri_of_new_folder("T", None, frozenset({"s3://b/1", "s3://b/2"}), "there")
    assert uri is None
    assert problem
    assert "choose: T=s3://b/1 T=s3://b/2" in problem


@pytest.mark.parametrize(("after", "words"), [(None, "cannot be listed"), (frozenset({"s3://b/1"}), "there is no new folder")])
def test_without_manifests_and_folders_it_is_said(after: frozenset[str] | None, words: str) -> None:
    uri, problem = uri_of_new_folder("T", frozenset({"s3://b/1"}), after, "there")
    assert uri is None
    assert words in (problem or "")
