"""Every command ends with one outcome: what it prints for people and for programs, its verdict and its exit code never contradict."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.commands.parser import COMMANDS
from pipeline.outcome.outcome import Check, Outcome, Part, PartKind, Run, Verdict
from pipeline.outcome.report import end_run, to_json
from pipeline.outcome.verdict import WORDS, State, exit_code, failures_of, verdict
from sample_export import write_sample_exports
from tests.aws_server import AwsServer
from tests.command_line import CommandLine
from tests.living_table import LivingTable, environment_of, model_dynamodb
from tests.pipeline.source.dynamodb.model_dynamodb import ModelDynamoDB
from tests.pipeline.target.made_loads import PLAIN
from tests.postgres_server import Server

NAMES = [command.name for command in COMMANDS]
ONE = Outcome(
    "things", "thing", "01", "item", 9, "given", 9, "seen", (Part("rows", "rows", 9, PartKind.GOOD),), tallies={"totals": {"notices": 0}}
)
REVIEW = replace(ONE, parts=(Part("rows", "rows", 8, PartKind.GOOD), Part("dead_letters", "dead letters", 1, PartKind.REVIEW)))
OUTCOMES = {
    "none": (),
    "good": (ONE,),
    "filtered": (replace(ONE, parts=(*ONE.parts, Part("filtered", "filtered", 0, PartKind.FILTERED))),),
    "to review": (ONE, REVIEW),
    "limited": (replace(ONE, warnings=("rows may be hidden",)),),
    "a failed check": (replace(REVIEW, checks=(Check("sample", Verdict.FAIL, "two rows differ"),)),),
    "a problem": (replace(ONE, seen=8, problems=("one file is missing",)),),
}
CHECKS = {kind: [Check("of the run", kind, f"said by {kind}", "thing")] for kind in Verdict} | {None: []}


def runs_of(command: str) -> Iterator[Run]:
    """In every combination of what can become of a run."""
    for outcomes, checks, left_running, is_dry in itertools.product(OUTCOMES.values(), CHECKS.values(), ((), ("a job",)), (False, True)):
        yield Run(command, outcomes, {"subject": checks}, left_running=left_running, is_dry=is_dry)


def printed(run: Run, *, quiet: bool) -> list[str]:
    out = io.StringIO()
    assert end_run(run, Console(file=out, width=1_000, quiet=quiet), quiet=quiet) == exit_code(run)
    return out.getvalue().splitlines()


@pytest.mark.parametrize("command", sorted({*NAMES, *WORDS, "unheard of"}))
def test_no_end_of_a_run_contradicts_itself(command: str) -> None:
    """Exit code, state, sentence, what failed, the last line, the quiet form and JSON say the same."""
    for run in runs_of(command):
        code, told, failures = exit_code(run), verdict(run), list(failures_of(run))
        is_limited = any(outcome.warnings for outcome in run.outcomes)
        is_for_review = any(outcome.needs_review for outcome in run.outcomes)
        # What status is asked is answered, whatever the answer.
        is_answer = command.startswith("status") and any(outcome.problems for outcome in run.outcomes)
        assert code != 0 or not failures or is_answer, run
        assert (told.state is State.BAD) == (code in (1, 2))
        assert (told.state is State.GOOD) == (
            code == 0 and not (failures or run.is_dry or run.left_running or is_limited or is_for_review)
        ), run
        assert told.sentence
        lines, quiet_lines = printed(run, quiet=False), printed(run, quiet=True)
        assert lines[-1].startswith(told.sentence)
        assert quiet_lines[-1] == lines[-1]
        assert quiet_lines[: len(failures)] == failures
        for problem in (problem for outcome in run.outcomes for problem in outcome.problems):
            assert any(problem in detail for detail in told.details)
        as_json = to_json(run)
        assert (as_json["exit_code"], as_json["verdict"]) == (code, told)


def test_tables_are_not_left_out_behind_one_that_is_good() -> None:
    with pytest.raises(ValueError, match="no table before failed"):
        Run("migrate", (ONE,), not_begun=("things",))
    assert Run("migrate", OUTCOMES["a problem"], not_begun=("things",)).not_begun


# -- as a user runs them -------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dynamodb() -> Iterator[ModelDynamoDB]:
    model = ModelDynamoDB()
    model.add_table("things")
    model.looks_to_finish = None
    yield model
    model.stop()


@pytest.fixture(scope="module")
def run(server: Server, tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """Of a database into which three exports were loaded, with dead letters."""
    folder = tmp_path_factory.mktemp("loaded")
    write_sample_exports(folder / "export", items=60, seed=5, faulty=0.1, odd=0.1)
    run = CommandLine(server.new_database().url, folder, is_plain=True)
    assert run.migrate(folder / "export").exit_code == 3
    return run


@pytest.fixture(scope="module")
def living(server: Server, aws_server: AwsServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivingTable]:
    """Of a database of its own, into which its full export was loaded."""
    with model_dynamodb() as model:
        folder = tmp_path_factory.mktemp("living")
        table = LivingTable(model, aws_server, folder)
        table.put(1, -1, name="a")
        database = server.new_database()
        database.execute(f"DROP SCHEMA public CASCADE; CREATE SCHEMA public; {PLAIN}")
        run = CommandLine(database.url, folder, is_plain=True)
        assert run.migrate(table.full_export(), "--tables", table.definition).exit_code == 0
        table.options += ["--database", database.url, "--output", str(run.output)]
        yield table


def arguments_of(
    command: str, run: CommandLine, dynamodb: ModelDynamoDB, living: LivingTable, folder: Path
) -> tuple[int, list[str | Path]]:
    """The exit code that it must have, and its arguments. None changes what another finds."""
    export = run.output.parent / "export"
    job: list[str | Path] = ["--export", export, "--output", run.output]
    last = run.run_folders[0]
    known: Mapping[str, tuple[int, list[str | Path]]] = {
        "export": (0, ["things", "--to", "s3://bucket/prefix", "--no_wait", "--endpoint_url", dynamodb.endpoint_url]),
        "inspect": (0, ["--export", export]),
        "draft": (0, ["--export", export / "medzen-soap-notes", "--output", folder / "notes.py"]),
        "check-definition": (0, ["transforms.tables.medzen"]),
        "preflight": (0, job),
        "migrate": (3, job),
        "follow": (0, [*living.options, "--once"]),
        "cutover": (0, [*living.options, "--check"]),
        "status": (0, []),
        "validate": (0, job),
        "dead-letters summary": (0, [last]),
        "dead-letters show": (0, [last]),
        "dead-letters replay": (3, [last, "--output", run.output]),
        "report": (0, [last]),
        "rollback": (0, job),
        "sample-export": (0, [folder / "sample", "--items=10"]),
    }
    return known[command]


@pytest.mark.parametrize("command", NAMES)
def test_each_command_says_the_same_in_each_of_its_forms(
    command: str,
    run: CommandLine,
    dynamodb: ModelDynamoDB,
    living: LivingTable,
    aws_server: AwsServer,
    tmp_path: Path,
    use_aws: Callable[[Mapping[str, str]], None],
) -> None:
    """The verdict is the last line; quiet, the only one; `--json` has it, and is one object (of `show`: one a line, and no more)."""
    use_aws(environment_of(living.dynamodb, aws_server))
    finished = {}
    for form in ("--quiet", "--json", "--log_level=ERROR"):
        code, arguments = arguments_of(command, run, dynamodb, living, tmp_path / form)
        living.dynamodb.ahead += timedelta(minutes=20)  # and so there is another window each time
        (tmp_path / form).mkdir()
        finished[form] = run(*command.split(), *arguments, form)
        assert finished[form].exit_code == code, finished[form].output

    last = finished["--log_level=ERROR"].stdout.splitlines()[-1]
    assert finished["--quiet"].stdout.splitlines()[-1].partition(". Of ")[0] == last.partition(". Of ")[0]
    assert len(finished["--quiet"].stdout.splitlines()) == 1
    if command == "dead-letters show":
        assert len([json.loads(line) for line in finished["--json"].stdout.splitlines()]) == 10
        return
    told = json.loads(finished["--json"].stdout)
    assert (told["command"], told["exit_code"]) == (command, code)
    assert last.startswith(told["verdict"]["sentence"])


def test_a_refusal_is_told_to_programs_too(run: CommandLine) -> None:
    """Where there is nothing else to print."""
    finished = run("inspect", "--export", "nowhere", "--processes", "1", "--full", "--unheard_of", "--json")

    assert finished.exit_code == 2
    told = json.loads(finished.stdout)
    assert (told["command"], told["exit_code"], told["verdict"]["state"]) == ("inspect", 2, "bad")
    assert told["verdict"]["details"] == ["unknown argument --unheard_of; see --help"]
    assert told["verdict"]["details"][0] in finished.stderr
