"""What a small job does without: looks at its steps again and again, and a parser for each view of its options."""

from __future__ import annotations

import inspect
import pickle

import apache_beam as beam
import pytest
from apache_beam.coders import VarIntCoder
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions
from apache_beam.transforms import userstate

from pipeline.engines.forked_workers import look_at_steps_once
from pipeline.engines.run import _LocalOptions, run_pipeline


class Counting(beam.DoFn):
    SEEN = userstate.ReadModifyWriteStateSpec("seen", VarIntCoder())

    def process(self, element: object, seen: object = beam.DoFn.StateParam(SEEN)) -> None: ...


class Doubled(beam.DoFn):
    SEEN = beam.DoFn.StateParam(Counting.SEEN)

    def process(self, element: object, one: object = SEEN, two: object = SEEN) -> None: ...


def test_a_step_is_looked_at_once_and_found_to_be_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """One with state, one without, and one that Beam refuses, each time."""
    look_at_steps_once()
    stateful, plain = Counting(), beam.Map(len).fn
    assert [userstate.is_stateful_dofn(step) for step in (stateful, plain, stateful, plain)] == [True, False, True, False]
    monkeypatch.setattr(inspect, "signature", None)

    assert userstate.get_dofn_specs(stateful) == ({Counting.SEEN}, set())
    assert userstate.get_dofn_specs(plain) == (set(), set())


def test_a_step_that_beam_refuses_is_refused_each_time() -> None:
    look_at_steps_once()
    step = Doubled()
    for _ in range(2):
        with pytest.raises(ValueError, match="duplicate"):
            userstate.get_dofn_specs(step)


def test_a_job_here_looks_at_each_of_its_steps_once(monkeypatch: pytest.MonkeyPatch) -> None:
    inspect_step, looked_at = userstate.get_dofn_specs, []

    def look(step: beam.DoFn) -> object:
        looked_at.append(step)
        return inspect_step(step)

    monkeypatch.setattr(userstate, "get_dofn_specs", look)
    look_at_steps_once.cache_clear()
    try:
        run_pipeline(lambda root: root | beam.Create([1]) | beam.Map(str), [], 1, "job")
    finally:
        look_at_steps_once.cache_clear()

    assert len(looked_at) > 1
    assert len({*map(id, looked_at)}) == len(looked_at)


def test_views_of_options_are_as_beams_own() -> None:
    """They share their values, with views of views and after pickling, too."""
    arguments = ["--direct_num_workers=3", "--streaming"]
    options, beams = _LocalOptions(arguments), PipelineOptions(arguments)

    options.view_as(DirectOptions).direct_num_workers = 2
    assert options.view_as(DirectOptions) is options.view_as(DirectOptions)
    assert options.view_as(StandardOptions).view_as(DirectOptions).direct_num_workers == 2
    assert pickle.loads(pickle.dumps(options)).view_as(DirectOptions).direct_num_workers == 2  # noqa: S301
    options.view_as(DirectOptions).direct_num_workers = 3
    assert options.view_as(StandardOptions).streaming
    assert options.get_all_options() == {**beams.get_all_options(), "direct_num_workers": 3}
