"""`ddb2pg preflight`: everything that was found, and if asked for the first items beside their rows."""

from __future__ import annotations

import time
from dataclasses import dataclass

from pipeline.places import StorageFailed
from pipeline.preflight.check import Checked, PreflightRequest, check
from pipeline.preflight.findings import Code, Finding, Level, problem
from pipeline.preflight.sample import TableSample, sample_table


@dataclass(frozen=True, slots=True)
class PreflightReport:
    """The schema of `preflight --json`. Holds no value of an item, unless `--show_values` asked for them in `samples`."""

    is_ready: bool
    """Whether `migrate` would start: there is no problem."""
    findings: tuple[Finding, ...]
    """Of exports and database first, then table by table; each has a level, a code (docs/preflight.md), a sentence, and a table or null."""
    samples: tuple[TableSample, ...]

    def of(self, level: Level) -> list[Finding]:
        """The findings of one level."""
        return [finding for finding in self.findings if finding.level is level]


def make_report(request: PreflightRequest, sample: int, *, show_values: bool) -> PreflightReport:
    """Check everything, and convert the first `sample` items of each table. Raises `Stopped`."""
    checked = check(request, with_estimate=True)
    findings = list(checked.findings)
    samples = _samples(request, checked, sample, findings, show_values=show_values) if sample else ()
    is_ready = not any(finding.level is Level.PROBLEM for finding in findings)
    return PreflightReport(is_ready, tuple(findings), samples)


def _samples(
    request: PreflightRequest, checked: Checked, count: int, findings: list[Finding], *, show_values: bool
) -> tuple[TableSample, ...]:
    now = time.time_ns() // 1000
    samples = []
    for planned in checked.planned:
        try:
            samples.append(sample_table(planned, count, request.unmapped, request.storage, now, show_values=show_values))
        except StorageFailed as failed:
            findings.append(problem(Code.EXPORT_UNUSABLE, str(failed), planned.table.target))
            continue
        if samples[-1].problem:
            findings.append(problem(Code.EXPORT_UNUSABLE, samples[-1].problem, planned.table.target))
    return tuple(samples)
