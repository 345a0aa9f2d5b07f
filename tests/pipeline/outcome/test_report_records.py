"""Records of a run, counted and packed."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from pipeline.errors import Refused
from pipeline.places.storage import OutputFolder
from pipeline.records.gather import TableNames, fair_shares, gather_records, without_indexes
from tests.pipeline.outcome.reported import dead_letter, error, make_run, mismatch

OTHER = "(an attribute that no column takes)"


@pytest.mark.parametrize(
    ("totals", "most", "shares"),
    [
        ([], 10, []),
        ([3, 4], 10, [3, 4]),
        ([10, 500, 500], 100, [10, 45, 45]),
        ([500, 10, 600], 100, [45, 10, 45]),
        ([9, 9, 9], 2, [0, 1, 1]),
    ],
)
def test_no_table_crowds_out_another(totals: list[int], most: int, shares: list[int]) -> None:
    assert fair_shares(totals, most) == shares
    assert sum(shares) == min(most, sum(totals))


def test_all_are_counted_and_the_first_are_listed(run_folder: Path) -> None:
    run = make_run(run_folder, (dead_letter(number, error("invalid_uuid", "id")) for number in range(30)))

    gathered = gather_records(OutputFolder(str(run)), {"things": ["id"]}, most_entries=10)

    [count] = gathered.counts
    assert (count.kind, count.table, count.code, count.attribute, count.count) == ("dead_letters", "things", "invalid_uuid", "id", 30)
    [block] = gathered.entries["blocks"]
    assert block["item"] == list(range(10))
    assert block["total"] == 30


def test_what_comes_again_is_told_once(run_folder: Path) -> None:
    """Two kinds of errors, however many entries; the item as shapes by path."""
    wrong = error("invalid_uuid", "id", "must be a UUID"), error("wrong_type", "n", "must have the type tag N")
    run = make_run(
        run_folder,
        (dead_letter(number, *wrong[: 1 + number % 2], item={"id": {"S": "x" * number}, "z": {"N": "1"}}) for number in range(40)),
    )

    entries = gather_records(OutputFolder(str(run)), {"things": ["id", "n"]}).entries

    strings, [block] = entries["strings"], entries["blocks"]
    assert len(entries["error_sets"]) == 2
    texts = [[strings[number] for number in one] for one in entries["error_sets"][1]]
    assert texts == [["invalid_uuid", "id", None, "must be a UUID", None], ["wrong_type", "n", None, "must have the type tag N", None]]
    assert block["errors"] == [0, 1] * 20
    shapes = {name: [strings[number] for number in numbers] for name, numbers in block["fields"]}
    assert shapes["id"][:3] == ["S(0) empty", "S(1) word", "S(2) word"]
    assert set(shapes["(attributes that no column takes)"]) == {"1"}
    assert "n" not in shapes
    assert block["text"] == []


def test_a_field_that_only_some_items_have_stays_in_its_row(run_folder: Path) -> None:
    items = [{"id": {"S": "a"}}, {"n": {"N": "12"}}, {"id": {"S": "b"}}, {}]
    run = make_run(run_folder, (dead_letter(number, error("x"), item=item) for number, item in enumerate(items)))
    entries = gather_records(OutputFolder(str(run)), {"things": ["id", "n"]}).entries
    shapes = {name: [entries["strings"][number] for number in numbers] for name, numbers in entries["blocks"][0]["fields"]}
    assert shapes == {"id": ["S(1) word", None, "S(1) word", None], "n": [None, "N(2) digits", None, None]}


def test_a_line_that_is_no_item_has_its_size_only(run_folder: Path) -> None:
    lines = [dead_letter(0, error("invalid_json"), item_encoding="base64"), dead_letter(1, error("invalid_json"), item_encoding="utf-8")]
    lines[0]["item"], lines[1]["item"] = "/yJQQVRJRU5UIg==", "PATIENT"
    entries = gather_records(OutputFolder(str(make_run(run_folder, lines))), {"things": ["id"]}).entries
    assert entries["blocks"][0]["size"] == [10, 7]
    assert entries["blocks"][0]["fields"] == []
    assert "PATIENT" not in str(entries)


def test_a_damaged_file_is_named(run_folder: Path) -> None:
    run = make_run(run_folder, [dead_letter(0, error("x"))])
    path = run / "dead_letters" / "things" / "one.json.gz.jsonl.gz"
    whole = path.read_bytes()
    path.write_bytes(whole + gzip.compress(b'{"run_id": "2026'))
    with pytest.raises(Refused, match=r"one\.json\.gz\.jsonl\.gz: cannot be read"):
        gather_records(OutputFolder(str(run)), {})
    path.write_bytes(whole + gzip.compress(b'{"run_id": "2026"}\n'))
    with pytest.raises(Refused, match="holds records that are no dead letters"):
        gather_records(OutputFolder(str(run)), {})


def test_of_a_rollback_the_last_pass_tells_all(run_folder: Path) -> None:
    """In S3, where nothing is deleted, each pass has a folder of its own; the tenth comes after the ninth."""
    run = make_run(run_folder, [])
    for number, kinds in ((None, ["refused", "referenced"]), (9, ["refused", "referenced"]), (10, ["referenced"])):
        folder = run / "discrepancies" / "things" / ("" if number is None else f"pass-{number}")
        folder.mkdir(parents=True, exist_ok=True)
        with gzip.open(folder / "one.json.gz.jsonl.gz", "wt", encoding="utf-8") as stream:
            stream.writelines(json.dumps(mismatch(kind)) + "\n" for kind in kinds)
    [count] = gather_records(OutputFolder(str(run)), {}).counts
    assert (count.kind, count.table, count.code, count.attribute, count.count) == ("discrepancies", "things", "referenced", None, 1)


# -- names ---------------------------------------------------------------------------------------------------------------------------------


def _shown(paths: list[str], added: dict[str, int], *, show_values: bool = False) -> dict[str, str]:
    names = TableNames(paths, show_values=show_values)
    kept = {path: {names.add("code", path) for _ in range(count)}.pop() for path, count in added.items()}
    return {path: names.shown("code", kept[path]) for path in added}


def test_names_of_the_definition_are_shown() -> None:
    found = _shown(["id", "soapData.plan", "eventData"], {"id": 1, "soapData.plan": 1, "soapData": 1, "eventData": 1})
    assert list(found.values()) == ["id", "soapData.plan", "soapData", "eventData"]


def test_other_names_are_shown_when_many_records_have_them() -> None:
    """A field that was forgotten is schema; a patient's number as a key is data, however often it comes."""
    found = _shown(
        ["id", "eventData"],
        {"legacyFlag": 40, "rare": 3, "eventData.items[3].dose": 30, "eventData.4711-0815-22": 40, "eventData.once": 1, "P 12345678": 40},
    )
    assert found == {
        "legacyFlag": "legacyFlag",
        "rare": OTHER,
        "eventData.items[3].dose": "eventData.items[].dose",
        "eventData.4711-0815-22": "eventData (inside)",
        "eventData.once": "eventData (inside)",
        "P 12345678": OTHER,
    }


def test_with_values_every_name_is_shown() -> None:
    assert _shown(["id"], {"rare": 1, "P 12345678": 1}, show_values=True) == {"rare": "rare", "P 12345678": "P 12345678"}


def test_names_beyond_counting_are_masked() -> None:
    """Keys that are data do not fill the memory."""
    names = TableNames(["id"], show_values=True)
    kept = {names.add("code", f"key-{number}") for number in range(20_000)}
    assert len(kept) == 10_001
    assert OTHER in kept


def test_elements_of_a_list_are_one_place() -> None:
    assert without_indexes("items[3].doses[12]") == "items[].doses[]"
