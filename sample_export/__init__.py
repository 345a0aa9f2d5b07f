"""Sample exports: realistic, deterministic, as large as asked, clean or with faults, and the truth about every item beside them.

A full export of each table, or a chain: a full export and windows of changes after it.
"""

from sample_export.any_export import write_any_exports
from sample_export.any_items import write_any_chains
from sample_export.items import write_sample_chains
from sample_export.tables import SOURCE_TABLES
from sample_export.windows import VIEWS, ChainSettings, SampleChain, Standing, rows_after
from sample_export.write import SampleExport, write_sample_exports

__all__ = [
    "SOURCE_TABLES",
    "VIEWS",
    "ChainSettings",
    "SampleChain",
    "SampleExport",
    "Standing",
    "rows_after",
    "write_any_chains",
    "write_any_exports",
    "write_sample_chains",
    "write_sample_exports",
]
