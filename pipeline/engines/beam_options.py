"""What Beam makes of the options that it was given."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Sequence
from typing import Final

from apache_beam.options.pipeline_options import DirectOptions, FlinkRunnerOptions, PipelineOptions, StandardOptions

from pipeline.engines.beam_arguments import is_given
from pipeline.engines.flink_cluster import is_cluster
from pipeline.engines.runners import Runner, RunnerKind

FLINK_VERSIONS: Final[Sequence[str]] = FlinkRunnerOptions.PUBLISHED_FLINK_VERSIONS
"""Those that Beam has a job server for."""


@functools.cache
def read_runner(arguments: tuple[str, ...]) -> Runner:
    """See `runner_of`."""
    options = PipelineOptions(list(arguments))
    runner = options.view_as(StandardOptions).runner
    match "directrunner" if runner is None else runner.lower():
        case "directrunner":
            is_number_given = is_given(arguments, "direct_num_workers")
            return Runner(RunnerKind.LOCAL, workers=options.view_as(DirectOptions).direct_num_workers if is_number_given else None)
        case "dataflowrunner":
            return Runner(RunnerKind.DATAFLOW)
        case "flinkrunner" if is_cluster(master := options.view_as(FlinkRunnerOptions).flink_master):
            return Runner(RunnerKind.FLINK, flink_master=master)
    return Runner(RunnerKind.OTHER)


def unknown_to_beam(arguments: Sequence[str]) -> list[str]:
    """The arguments that no options of Beam take."""
    return list(_parsed(tuple(arguments))[1])


def is_in_memory(arguments: Sequence[str]) -> bool:
    """Whether `--direct_running_mode` is as it is when it is not given."""
    return _parsed(tuple(arguments))[0].direct_running_mode in (None, "in_memory")


@functools.cache
def _parsed(arguments: tuple[str, ...]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, conflict_handler="resolve")
    for options in (PipelineOptions, *PipelineOptions.__subclasses__()):
        options._add_argparse_args(parser)  # noqa: SLF001 - Beam's own way of adding to a parser, under this name for its subclasses
    return parser.parse_known_args(list(arguments))
