"""Sample exports: realistic, deterministic, as large as asked, clean or with faults, and the truth about every item beside them."""

from sample_export.tables import SOURCE_TABLES
from sample_export.write import SampleExport, write_sample_exports

__all__ = ["SOURCE_TABLES", "SampleExport", "write_sample_exports"]
