"""Follows the stream of `things` until it is killed, with a margin of a second: the table of a test is not older than that.

python -m tests.pipeline.stream.stream_process FOLDER
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.places.place import AwsSettings
from pipeline.places.storage import OutputFolder
from pipeline.records.kinds import RecordFormat
from pipeline.stream import begin
from pipeline.stream.begin import Streams, StreamSettings, open_streams
from pipeline.stream.follow import StreamTimes
from pipeline.target.database_url import DatabaseReference
from pipeline.target.fates import Conflicts
from tests.pipeline.target.made_loads import THING

TABLE_ID = "00000000-0000-4000-8000-000000000000"
"""moto tells none."""
TIMES = StreamTimes(timedelta(seconds=1), timedelta(seconds=5))


def opened(folder: str, database: str = "env:DATABASE_URL") -> Streams:
    settings = StreamSettings(
        DatabaseReference(database), AwsSettings(), Conflicts.STOP, RecordFormat.JSONL, "run", OutputFolder(folder), TIMES
    )
    find = begin.find_streams
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(begin, "find_streams", lambda *given: (replace((found := find(*given))[0], table_id=TABLE_ID), found[1]))
        return open_streams([THING], [THING], settings)


if __name__ == "__main__":
    with opened(sys.argv[1]) as streams:
        while True:
            if not any(progress.read for progress in streams.step()):
                time.sleep(0.05)
