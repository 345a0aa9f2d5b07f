"""Data files that are checked before their job begins, in a thread: while Beam is imported, or the tables before are proved and compared.

What is checked here the job does not check again; where that is all, its graph is smaller.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Final

from pipeline.errors import Stopped
from pipeline.job.plan import LoadPlan, check_data_file
from pipeline.source.data_file import CheckedFile, DataFileRefused
from pipeline.source.manifest import DataFile, Export

_LARGEST: Final = 100_000
"""Items of usual size. A larger file would be waited for, while the job has all workers check files at once."""


class CheckAhead:
    """Checks data files one after the other, from now until it is ended."""

    def __init__(self, export: Export, data_files: Sequence[DataFile], plan: LoadPlan) -> None:
        self._data_files = [one for one in data_files if export.usual_items(one.items) <= _LARGEST]
        self._plan = plan
        self._checked: dict[str, CheckedFile] = {}
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._check, name="check ahead", daemon=True)
        self._thread.start()

    def end(self) -> Mapping[str, CheckedFile]:
        """The files that were found as their manifest says, by name; waits for the one that is being checked."""
        self._is_over.set()
        self._thread.join()
        return self._checked

    def abandon(self) -> None:
        """Check no further file; waits for nothing."""
        self._is_over.set()

    def _check(self) -> None:
        for data_file in self._data_files:
            if self._is_over.is_set():
                return
            try:
                self._checked[data_file.name] = check_data_file(data_file, self._plan)
            except (DataFileRefused, Stopped):
                # The job finds it again when its turn comes, and reports it.
                return
