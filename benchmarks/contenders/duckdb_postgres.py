"""DuckDB with its postgres extension: reads the data files, and inserts through the attached database (binary COPY).

Everything is SQL but for typed JSON below a column, whose depth is open: a Python function makes JSON of it.
"""

from __future__ import annotations

from typing import Any

import duckdb
import orjson
import pyarrow as pa
from duckdb_extensions import import_extension
from mapping import Job, arguments, plain

SESSIONS = """
INSERT INTO target.public.video_call_sessions
SELECT
       Item.id.S::UUID, Item.appointmentId.S::UUID, Item.providerId.S::UUID, Item.patientId.S::UUID, Item.status.S,
       coalesce(make_timestamptz(Item.startTime.N::BIGINT * 1000), now()),
       coalesce(make_timestamptz(Item.endTime.N::BIGINT * 1000), now()),
       Item.joinUrl.S, Item.meetingId.S, Item.mediaRegion.S, coalesce(Item.transcriptionEnabled.BOOL, false), Item.transcriptId.S::UUID,
       Item.transcriptLanguage.S, Item.soapNoteId.S::UUID, Item.finalizationStatus.S,
       coalesce(make_timestamptz(Item.createdAt.N::BIGINT * 1000), now()),
       coalesce(make_timestamptz(Item.updatedAt.N::BIGINT * 1000), now())
FROM read_ndjson($files, compression = 'gzip', columns = {'Item': 'STRUCT(
    id STRUCT(S VARCHAR), appointmentId STRUCT(S VARCHAR), providerId STRUCT(S VARCHAR), patientId STRUCT(S VARCHAR),
    status STRUCT(S VARCHAR), startTime STRUCT(N VARCHAR), endTime STRUCT(N VARCHAR), joinUrl STRUCT(S VARCHAR),
    meetingId STRUCT(S VARCHAR), mediaRegion STRUCT(S VARCHAR), transcriptionEnabled STRUCT(BOOL BOOLEAN), transcriptId STRUCT(S VARCHAR),
    transcriptLanguage STRUCT(S VARCHAR), soapNoteId STRUCT(S VARCHAR), finalizationStatus STRUCT(S VARCHAR), createdAt STRUCT(N VARCHAR),
    updatedAt STRUCT(N VARCHAR))'})
"""

NOTES = """
INSERT INTO target.public.clinical_notes
SELECT Item.id.S::UUID, Item.sessionId.S::UUID, Item.appointmentId.S::UUID, 'SOAP', Item.status.S, Item.soapData.M.chiefComplaint.S,
       to_jsonb(coalesce(Item.soapData.M.subjective, '{"M":{}}')), to_jsonb(coalesce(Item.soapData.M.objective, '{"M":{}}')),
       to_jsonb(coalesce(Item.soapData.M.assessment, '{"M":{}}')), to_jsonb(coalesce(Item.soapData.M.plan, '{"M":{}}')),
       Item.aiModel.S, make_timestamptz(Item.aiGeneratedAt.N::BIGINT * 1000),
       coalesce(make_timestamptz(Item.createdAt.N::BIGINT * 1000), now()),
       coalesce(make_timestamptz(Item.updatedAt.N::BIGINT * 1000), now())
FROM read_ndjson($files, compression = 'gzip', columns = {'Item': 'STRUCT(
    id STRUCT(S VARCHAR), sessionId STRUCT(S VARCHAR), appointmentId STRUCT(S VARCHAR), status STRUCT(S VARCHAR),
    soapData STRUCT(M STRUCT(chiefComplaint STRUCT(S VARCHAR), subjective JSON, objective JSON, assessment JSON, plan JSON)),
    aiModel STRUCT(S VARCHAR), aiGeneratedAt STRUCT(N VARCHAR), createdAt STRUCT(N VARCHAR), updatedAt STRUCT(N VARCHAR))'})
"""

AUDIT = """
INSERT INTO target.public.video_call_audit_log
SELECT Item.id.S::UUID, Item.sessionId.S::UUID, upper(Item.eventType.S), to_jsonb(Item.eventData),
       make_timestamptz(greatest(Item.timestamp.N::BIGINT, Item.createdAt.N::BIGINT) * 1000)
FROM read_ndjson($files, compression = 'gzip', columns = {'Item': 'STRUCT(
    id STRUCT(S VARCHAR), sessionId STRUCT(S VARCHAR), eventType STRUCT(S VARCHAR), eventData JSON,
    "timestamp" STRUCT(N VARCHAR), createdAt STRUCT(N VARCHAR))'})
"""

STATEMENTS = {"medzen-video-sessions": SESSIONS, "medzen-soap-notes": NOTES, "medzen-meeting-audit": AUDIT}


def main() -> None:
    """Load table after table."""
    url, jobs = arguments()
    connection = duckdb.connect()
    import_extension("postgres_scanner", con=connection)
    connection.execute("LOAD postgres_scanner")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"ATTACH '{url}' AS target (TYPE postgres)")
    connection.create_function("to_jsonb", to_jsonb, ["VARCHAR"], "VARCHAR", type="arrow")
    for job in jobs:
        load(connection, job)


def load(connection: Any, job: Job) -> None:
    """One statement."""
    connection.execute(STATEMENTS[job.source], {"files": [str(data_file) for data_file in job.data_files]})


def to_jsonb(values: Any) -> Any:
    """Typed JSON as it is meant, with every digit of its numbers; a batch at once, for one call a value costs five times as much."""
    return pa.array([None if value is None else _to_jsonb(value) for value in values.to_pylist()], pa.string())


def _to_jsonb(value: str) -> str:
    return orjson.dumps(plain(orjson.loads(value), orjson.Fragment)).decode()


if __name__ == "__main__":
    main()
