"""What a person reads who has mistyped a command or an option."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.commands.parser import COMMANDS, Command, make_parser, with_underscores
from pipeline.errors import Refused
from pipeline.options import StatusOptions, flags_of, refuse_unknown
from pipeline.outcome.verdict import WORDS, End
from tests.pipeline.outcome.reported import dead_letter, error, make_run


def test_no_command_shows_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([])

    shown = capsys.readouterr().out
    assert ended.value.code == 2
    assert all(f"\n    {command.name.split()[0]}" in shown for command in COMMANDS)
    examples = re.findall(r"^  ddb2pg (.*)$", shown, re.MULTILINE)
    assert examples == [f"{command.name} {command.example}".rstrip() for command in COMMANDS]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["migrat"], "there is no command migrat: did you mean migrate?"),
        (["zebra"], "there is no command zebra; there are "),
        (["dead-letters", "summry", "x"], "there is no command summry: did you mean summary?"),
    ],
)
def test_a_mistyped_command_is_told_what_was_meant(typed: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        make_parser().parse_known_args(typed)

    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_a_mistyped_option_is_told_what_was_meant() -> None:
    with pytest.raises(Refused) as refused:
        refuse_unknown(["--jsn", "--databse", "postgresql://u:planted@h/d"], StatusOptions)

    assert refused.value.problems == (
        "unknown argument --jsn: did you mean --json?",
        "unknown argument --databse: did you mean --database?",
    )


def test_a_mistyped_option_that_is_required_is_told_what_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    """And not only that it is missing; its value, which may be a secret, is not repeated."""
    with pytest.raises(SystemExit) as ended:
        make_parser().parse_known_args(["migrate", "--exprot=planted", "--tabels", "planted"])

    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert (
        "required: --export; unknown argument --exprot: did you mean --export?; unknown argument --tabels: did you mean --tables?" in told
    )
    assert "planted" not in told


def test_stray_words_are_named_but_no_url() -> None:
    with pytest.raises(Refused) as refused:
        refuse_unknown(["word", "--x=planted", "postgresql://u:planted@h/d"], StatusOptions)

    assert [problem.partition(";")[0] for problem in refused.value.problems] == [
        "unknown argument word",
        "unknown argument --x",
        "unknown argument a URL",
    ]


def test_hyphens_in_an_option_are_as_good_as_underscores() -> None:
    """Of Beam's options nothing is changed."""
    typed = ["migrate", "--dead-letter-format=parquet", "--max-dead-letters", "3", "--beams-own", "--x", "a-b"]

    assert with_underscores(typed) == ["migrate", "--dead_letter_format=parquet", "--max_dead_letters", "3", "--beams-own", "--x", "a-b"]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_the_example_of_each_command_is_one(command: object) -> None:
    """Its options are there, and it is complete."""
    arguments, unknown = make_parser().parse_known_args([*command.name.split(), *command.example.split()])

    assert arguments.command is command
    assert unknown == []
    assert flags_of(command.options)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_help_tells_each_exit_code_in_the_words_of_the_last_line(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever a command can say at its end is there, with the code of that end."""
    with pytest.raises(SystemExit):
        make_parser().parse_known_args([*command.name.split(), "--help"])

    shown = capsys.readouterr().out
    codes = shown.partition("\nexit codes:\n")[2].partition("\n\n")[0]
    told = {
        int(code): " ".join(meanings.split())
        for code, meanings in re.findall(r"^  (\d+) +(.*?)(?=^  \d|\Z)", codes, re.DOTALL | re.MULTILINE)
    }
    assert f"example:\n  ddb2pg {command.name} {command.example}".rstrip() in shown
    for end, (code, sentence) in WORDS[command.name].ends.items():
        assert sentence in told[code] or end in (End.LIMITED, End.LIMITED_CHECK_FAILED)
    assert "Refused, nothing was written" in told[2]
    assert "Stopped" in told[1]
    assert (75 in told) == (command.name in ("export", "follow"))
    assert ("(see the " in told.get(3, "")) == (3 in told)


def _make_runs(folder: Path) -> Path:
    """Two runs with one dead letter each, and a later one that has no dead letters and did not come to its end."""
    older = make_run(folder / "ddb2pg-output", [dead_letter(1, error("wrong_type"))])
    newer = older.with_name("20261124T000000.000-abcdef")
    shutil.copytree(older, newer)
    (newer.with_name("20261125T000000.000-abcdef") / "notices").mkdir(parents=True)
    return newer


@pytest.mark.parametrize("form", ["nothing", "id", "folder"])
def test_a_run_is_named_by_its_id_its_folder_or_not_at_all(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not at all means the last one that there is something of."""
    newer = _make_runs(tmp_path)
    monkeypatch.chdir(tmp_path)
    given = {"nothing": [], "id": [newer.name], "folder": [f"ddb2pg-output/{newer.name}"]}[form]
    assert main(["report", *given]) == 0
    assert (newer / "report.html").is_file()
    assert main(["dead-letters", "summary", *given]) == 0
    assert main(["dead-letters", "show", *given]) == 0
    told = capsys.readouterr()
    assert f"ddb2pg-output/{newer.name}/report.html" in told.out
    assert told.err.count(f"the last run with dead letters: ddb2pg-output/{newer.name}\n") == (2 if form == "nothing" else 0)


def test_where_there_is_no_run_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report"]) == 2
    assert main(["dead-letters", "summary"]) == 2
    told = capsys.readouterr().err
    assert "ddb2pg-output: there is no run in it that has report.json; give the folder of a run" in told
    assert "ddb2pg-output: there is no run in it that has dead_letters; give the folder of a run" in told
