"""The room where DynamoDB is asked for exports. `ddb2pg export` is `export_tables`."""

from pipeline.source.dynamodb.export_tables import ExportsFailed, export_tables
from pipeline.source.dynamodb.options import ExportOptions, split_target
from pipeline.source.dynamodb.result import RequestedExport

__all__ = ["ExportOptions", "ExportsFailed", "RequestedExport", "export_tables", "split_target"]
