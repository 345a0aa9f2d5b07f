"""dlt to Postgres: a resource a table yields rows, dlt extracts, normalises and loads them (CSV files and COPY, its fastest way).

It adds its two columns (`_dlt_id`, `_dlt_load_id`) to the targets; they are not compared.
"""

from __future__ import annotations

import gzip
import os
import tempfile
from collections.abc import Iterator
from typing import Any

import dlt
import orjson
from mapping import Job, arguments, plain


def main() -> None:
    """One pipeline, as many resources as tables."""
    url, jobs = arguments()
    with tempfile.TemporaryDirectory() as folder:
        pipeline = dlt.pipeline(
            "benchmark",
            pipelines_dir=folder,
            destination=dlt.destinations.postgres(credentials=url),
            dataset_name="public",
        )
        pipeline.run([resource(job) for job in jobs], loader_file_format="csv")


def resource(job: Job) -> Any:
    """The rows of a table."""
    return dlt.resource(rows(job), name=job.target, write_disposition="append")


def rows(job: Job) -> Iterator[dict[str, Any]]:
    """Each line's row."""
    for data_file in job.data_files:
        with gzip.open(data_file, "rb") as lines:
            for line in lines:
                yield job.row(orjson.loads(line)["Item"], to_jsonb)


def to_jsonb(value: Any) -> str:
    """As text: the target's column is jsonb already, and dlt's own JSON would lose digits."""
    return orjson.dumps(plain(value, orjson.Fragment)).decode()


if __name__ == "__main__":
    os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
    main()
