"""Until exports are done: looking at them, less and less often."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from pipeline.source.dynamodb.exports import DynamoDB, Export, ExportStatus
from pipeline.source.dynamodb.failures import CallFailed
from pipeline.source.dynamodb.options import ExportOptions

_GROWTH: Final = 1.5
# Looks in a row that fail for reasons that pass, each after botocore's own tries.
_LOOKS_IN_VAIN: Final = 20


def wait_until_done(
    dynamodb: DynamoDB, exports: Mapping[str, Export], options: ExportOptions, show: Callable[[str, ExportStatus], None]
) -> dict[str, Export]:
    """The exports, by table, as they are in the end. Raises `CallFailed`; the exports go on then."""
    latest = dict(exports)
    in_vain: Counter[str] = Counter()
    seconds = options.poll_seconds
    while in_progress := [table for table, export in latest.items() if export.status is ExportStatus.IN_PROGRESS]:
        time.sleep(seconds)
        seconds = min(seconds * _GROWTH, options.most_poll_seconds)
        for table in in_progress:
            try:
                latest[table] = dynamodb.describe_export(table, latest[table].arn)
                in_vain[table] = 0
            except CallFailed as failure:
                in_vain[table] += 1
                if not failure.is_transient or in_vain[table] >= _LOOKS_IN_VAIN:
                    raise
            else:
                show(table, latest[table].status)
    return latest
