"""The definitions in the documents are ones that can be used, and their links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.definitions.find import find_tables

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("deploy/**/*.md"), *ROOT.glob("benchmarks/*.md")])
_BLOCK = re.compile(r"^```(python|toml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_IS_DEFINITION = {"python": "TABLES = ", "toml": "[[table]]"}


def _definitions() -> list[tuple[str, str, str]]:
    return [
        (f"{path.name} {number}", language, text)
        for path in DOCUMENTS
        for number, (language, text) in enumerate(_BLOCK.findall(path.read_text(encoding="utf-8")), 1)
        if _IS_DEFINITION[language] in text
    ]


@pytest.mark.parametrize(("language", "text"), [pytest.param(*rest, id=name) for name, *rest in _definitions()])
def test_a_definition_in_a_document_is_sound(tmp_path: Path, language: str, text: str) -> None:
    """As it is written: with its imports."""
    file = tmp_path / ("tables.py" if language == "python" else "tables.toml")
    file.write_text(text)

    assert find_tables(str(file))


def test_there_are_definitions_in_documents() -> None:
    assert len(_definitions()) >= 3


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_to_files_and_headings(document: Path) -> None:
    text = re.sub(r"(?ms:^```.*?^```$)|(?m:^    .*$)", "", document.read_text(encoding="utf-8"))
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in link:
            continue
        file, _, heading = link.partition("#")
        target = (document.parent / file).resolve() if file else document
        if not target.exists() or (heading and target.suffix == ".md" and heading not in _headings(target)):
            broken.append(link)

    assert broken == []


def _headings(document: Path) -> set[str]:
    """As GitHub makes anchors of them."""
    lines = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", line)).lower().replace(" ", "-") for line in lines}
