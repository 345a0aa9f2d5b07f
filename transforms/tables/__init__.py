"""The tables that are moved, in the order in which they are moved (`data_mapping.md`, "Migration Execution")."""

from transforms.tables.meeting_audit import MEETING_AUDIT
from transforms.tables.soap_notes import SOAP_NOTES
from transforms.tables.video_sessions import VIDEO_SESSIONS

TABLES = (VIDEO_SESSIONS, SOAP_NOTES, MEETING_AUDIT)
