"""What a command line says of AWS."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AwsSettings:
    """Where to find AWS, and whose buckets to accept; holds no secret, so it may travel with a job."""

    endpoint_url: str | None = None
    """Another endpoint than AWS's own; without it `AWS_ENDPOINT_URL` and AWS's configuration files count."""
    region: str | None = None
    bucket_owner: str | None = None
    """The account that must own every bucket that is read."""
