"""A `--tables` file with a bug: what it raises quotes an item."""

from typing import Final

BROKEN_TABLES: Final = (
    "from dataclasses import replace\n"
    "from transforms.rules import Text\n"
    "from transforms.rejects import NoticeCode\n"
    "from transforms.tables.medzen import VIDEO_SESSIONS\n"
    "def explode(text):\n"
    "    raise KeyError(text)\n"
    "columns = tuple(replace(c, rule=Text(explode, NoticeCode.MALFORMED_MEETING_ID)) if c.name == 'meeting_id' else c"
    " for c in VIDEO_SESSIONS.columns)\n"
    "TABLES = (replace(VIDEO_SESSIONS, columns=columns),)\n"
)
