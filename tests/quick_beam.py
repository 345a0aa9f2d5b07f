"""Beam, made to remember what it works out thousands of times for each load: half of what a small load takes of a processor.

For processes of tests only. Nothing that Beam decides is another: it asks for the parameters of the same methods, and for what they want
of state and timers, which do not change while a process lives, and reads the same arguments of a command line, for each step of each
table's pipeline.
`pipeline/test_job.py` holds that all give what Beam itself gives.
"""

from __future__ import annotations

import pickle
import types
from collections.abc import Callable
from typing import Any

import apache_beam as beam
from apache_beam.options import pipeline_options
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.transforms import core, userstate

beams_own_parameters: Callable[[Any], tuple[list[str], list[Any]]] = core.get_function_args_defaults
beams_own_options = pipeline_options.PipelineOptions.__init__
beams_own_specs: Callable[[Any], tuple[set[Any], set[Any]]] = userstate.get_dofn_specs
_parameters: dict[Callable[..., Any], tuple[list[str], list[Any]]] = {}
_arguments: dict[tuple[type, tuple[str, ...]], bytes] = {}
_specs: dict[type, tuple[set[Any], set[Any]]] = {}


def _remembered_parameters(function: Any) -> tuple[list[str], list[Any]]:
    if type(function) is not types.MethodType or not hasattr(function.__func__, "__qualname__"):
        return beams_own_parameters(function)
    of = function.__func__
    if of not in _parameters:
        _parameters[of] = beams_own_parameters(function)
    names, defaults = _parameters[of]
    return list(names), list(defaults)


def _remembered_specs(step: Any) -> tuple[set[Any], set[Any]]:
    if any(type(value) is types.MethodType for value in vars(step).values()):
        return beams_own_specs(step)
    of = type(step)
    if of not in _specs:
        _specs[of] = beams_own_specs(step)
    states, timers = _specs[of]
    return set(states), set(timers)


def _remembered_options(self: Any, flags: Any = None, **options: Any) -> None:
    if not isinstance(flags, list) or options:
        beams_own_options(self, flags, **options)
        return
    key = (type(self), tuple(flags))
    if key not in _arguments:
        beams_own_options(self, flags)
        _arguments[key] = pickle.dumps(self._visible_options)
        return
    self._flags = flags
    self._visible_options = pickle.loads(_arguments[key])  # noqa: S301 - our own bytes
    self._all_options = {name: getattr(self._visible_options, name) for name in self._visible_option_list()}


def remember() -> None:
    """In this process, and in those that are forked from it."""
    core.get_function_args_defaults = _remembered_parameters
    userstate.get_dofn_specs = _remembered_specs
    pipeline_options.PipelineOptions.__init__ = _remembered_options


def warm_up() -> None:
    """What every pipeline asks for; it is made, and not run."""
    root = beam.Pipeline(
        runner=FnApiRunner(), options=pipeline_options.PipelineOptions(["--direct_num_workers=1"], save_main_session=False)
    )
    _ = root | beam.Create([1], reshuffle=False) | beam.Reshuffle() | beam.ParDo(beam.DoFn()).with_outputs("other", main="main")
    root.to_runner_api()
