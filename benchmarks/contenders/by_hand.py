"""The best script of that kind: isal, orjson, text COPY; PROCESSES=2 starts two, each with its own connection and files.

It checks nothing, keeps no record of what it did, and begins anew when anything fails.
"""

from __future__ import annotations

import io
import itertools
import multiprocessing
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson
import psycopg2
from isal import igzip
from mapping import arguments

LINES_A_COPY = 5_000
NULL = "\\N"
ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
STARTED = datetime.now(UTC).isoformat()
Item = Mapping[str, Mapping[str, Any]]


def main() -> None:
    """Load table after table."""
    url, jobs = arguments()
    processes = int(os.environ.get("PROCESSES", "1"))
    for job in jobs:
        tasks = [(url, job.source, job.target, data_file) for data_file in job.data_files]
        if processes == 1:
            for task in tasks:
                load(task)
        else:
            with multiprocessing.Pool(processes) as pool:
                pool.map(load, tasks, chunksize=1)


@lru_cache
def connect(url: str) -> Any:
    """One connection a process."""
    return psycopg2.connect(url)


def load(task: tuple[str, str, str, Path]) -> None:
    """A transaction a data file."""
    url, source, target, data_file = task
    to_line = TO_LINE[source]
    connection = connect(url)
    with connection, connection.cursor() as cursor, igzip.open(data_file, "rb") as lines:
        while several := list(itertools.islice(lines, LINES_A_COPY)):
            text = "".join([to_line(orjson.loads(line)["Item"]) for line in several])
            cursor.copy_expert(f"COPY {target} FROM STDIN", io.BytesIO(text.encode()))


# -- rows ----------------------------------------------------------------------------------------------------------------------------------


def session_line(item: Item) -> str:
    """A line of text COPY."""
    get = item.get
    return (
        f"{item['id']['S']}\t{item['appointmentId']['S']}\t{item['providerId']['S']}\t{item['patientId']['S']}\t{item['status']['S']}\t"
        f"{moment(get('startTime')) or STARTED}\t{moment(get('endTime')) or STARTED}\t{text(get('joinUrl'))}\t{text(get('meetingId'))}\t"
        f"{text(get('mediaRegion'))}\t{'t' if get('transcriptionEnabled', {}).get('BOOL') else 'f'}\t{text(get('transcriptId'))}\t"
        f"{text(get('transcriptLanguage'))}\t{text(get('soapNoteId'))}\t{text(get('finalizationStatus'))}\t"
        f"{moment(get('createdAt')) or STARTED}\t{moment(get('updatedAt')) or STARTED}\n"
    )


def note_line(item: Item) -> str:
    """A line of text COPY."""
    soap = item.get("soapData", {}).get("M", {})
    get = soap.get
    return (
        f"{item['id']['S']}\t{item['sessionId']['S']}\t{item['appointmentId']['S']}\tSOAP\t{item['status']['S']}\t"
        f"{text(get('chiefComplaint'))}\t{component(get('subjective'))}\t{component(get('objective'))}\t{component(get('assessment'))}\t"
        f"{component(get('plan'))}\t{text(item.get('aiModel'))}\t{moment(item.get('aiGeneratedAt')) or NULL}\t"
        f"{moment(item.get('createdAt')) or STARTED}\t{moment(item.get('updatedAt')) or STARTED}\n"
    )


def event_line(item: Item) -> str:
    """A line of text COPY."""
    data = item.get("eventData")
    times = max(moment(item.get("timestamp")) or "", moment(item.get("createdAt")) or "")
    event_data = NULL if data is None or "NULL" in data else jsonb(data)
    return f"{item['id']['S']}\t{item['sessionId']['S']}\t{item['eventType']['S'].upper()}\t{event_data}\t{times}\n"


TO_LINE: Mapping[str, Callable[[Item], str]] = {
    "medzen-video-sessions": session_line,
    "medzen-soap-notes": note_line,
    "medzen-meeting-audit": event_line,
}


# -- columns -------------------------------------------------------------------------------------------------------------------------------


def text(value: Mapping[str, Any] | None) -> str:
    """A string as COPY wants it; what must not stand there is rare."""
    found = value.get("S") if value else None
    if found is None:
        return NULL
    return found if found.isascii() and found.isprintable() and "\\" not in found else str(found).translate(ESCAPES)


def moment(value: Mapping[str, Any] | None) -> str | None:
    """Milliseconds as ISO 8601 in UTC; equally long, so that the later is the greater."""
    digits = value.get("N") if value else None
    return None if digits is None else f"{second(digits[:-3])}.{digits[-3:]}Z"


@lru_cache(maxsize=100_000)
def second(digits: str) -> str:
    """Seconds since the epoch as ISO 8601."""
    return datetime.fromtimestamp(int(digits or "0"), UTC).strftime("%Y-%m-%dT%H:%M:%S")


def component(value: Mapping[str, Any] | None) -> str:
    """A part of a note."""
    return "{}" if value is None or "NULL" in value else jsonb(value)


def jsonb(value: Mapping[str, Any]) -> str:
    """JSON has no tab and no newline of its own, so backslashes are all that COPY would misread."""
    return orjson.dumps(plain(value)).decode().replace("\\", "\\\\")


def plain(value: Mapping[str, Any]) -> Any:  # noqa: PLR0911 - faster than anything with a table of functions
    """A typed value as it is meant, with every digit of its numbers."""
    for tag, content in value.items():
        if tag == "S":
            return content
        if tag == "N":
            return orjson.Fragment(content)
        if tag == "M":
            return {name: plain(member) for name, member in content.items()}
        if tag == "L":
            return [plain(element) for element in content]
        if tag == "NS":
            return [orjson.Fragment(member) for member in content]
        return None if tag == "NULL" else content
    return None


if __name__ == "__main__":
    main()
