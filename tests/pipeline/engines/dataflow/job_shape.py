"""The stages that an engine makes of a job's graph."""

from __future__ import annotations

from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner

MIGRATION_STAGE = {"ReadChunks", "VisitChunks", "Write dead_letters", "Write notices", "NoteChangedFiles"}


def par_dos_by_stage(pipeline: beam_runner_api_pb2.Pipeline, looked_for: set[str]) -> list[set[str]]:
    """Of each stage with one of the steps that are looked for, those that it has: one set if all are fused."""
    copy = beam_runner_api_pb2.Pipeline.FromString(pipeline.SerializeToString())
    _, stages = FnApiRunner().create_stages(copy)
    urn = common_urns.primitives.PAR_DO.urn
    steps = [{transform.unique_name.split("/")[0] for transform in stage.transforms if transform.spec.urn == urn} for stage in stages]
    return [names & looked_for for names in steps if names & looked_for]
