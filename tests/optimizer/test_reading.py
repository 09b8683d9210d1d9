"""Broken problem files: one error each, which names every fault with value and what is allowed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import jsonschema
import pytest

from optimizer.document import problem_schema
from optimizer.problem import ProblemError
from optimizer.reading import read_problem
from optimizer.reading.json_file import FILE_BYTES_MAX

CASES = Path(__file__).parent.parent / "cases"
BROKEN = CASES / "broken_problems"
EXPECTED = json.loads((BROKEN / "expected.json").read_text(encoding="utf-8"))
KNOWN = sorted((CASES / "dispatch").glob("*.json"))


def refused(path: Path) -> ProblemError:
    with pytest.raises(ProblemError) as caught:
        read_problem(path)
    return caught.value


def test_every_broken_file_has_its_expectation() -> None:
    assert {path.stem for path in BROKEN.glob("*.json")} == {*EXPECTED, "expected"}


@pytest.mark.parametrize("name", EXPECTED)
def test_every_planted_fault_is_named_and_nothing_else(name: str) -> None:
    faults = list(refused(BROKEN / f"{name}.json").faults)
    for where, found, allowed in EXPECTED[name]:
        fits = [
            fault
            for fault in faults
            if fault.where == where
            and any(part in fault.found for part in found.split("|"))
            and allowed in f"{fault.allowed} {fault.hint}"
        ]
        assert fits, f"{where} ({found}): {allowed} is not among\n" + "\n".join(map(str, faults))
        faults.remove(fits[0])
    assert not faults, "also named: " + "; ".join(map(str, faults))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x89PNG\r\n\x1a\n\x00\xff\xfe", "bytes that are no UTF-8"),
        (b"", "must be valid JSON"),
        (b"\x00" * 64, "must be valid JSON"),
        ("{}".encode("utf-16"), "bytes that are no UTF-8"),
    ],
    ids=["binary", "empty", "zeros", "utf-16"],
)
def test_no_text_no_problem(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "problem.json"
    path.write_bytes(content)
    assert words in str(refused(path))


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "problem.json"
    path.touch()
    os.truncate(path, 10 * FILE_BYTES_MAX)  # sparse: it takes no room on the disk
    assert str(10 * FILE_BYTES_MAX) in str(refused(path))


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    assert "No such file" in str(refused(tmp_path / "problem.json"))
    assert "directory" in str(refused(tmp_path))


def test_any_depth_of_brackets_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "problem.json"
    for depth in (*range(50, 1500, 50), *range(900, 1100, 3)):
        path.write_text('{"batteries": ' + "[" * depth + "]" * depth + "}")
        assert refused(path).faults


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "problem.json"
    content = json.dumps(json.loads(KNOWN[0].read_text())["problem"])
    path.write_bytes(b"\xef\xbb\xbf" + content.encode())
    assert read_problem(path).digest == read_problem(json.loads(content)).digest


def test_absence_is_no_fault_of_a_battery_with_a_least_power() -> None:
    problem = read_problem(
        {
            "time": {"start": "2023-01-16T00:00:00Z", "step_minutes": 60, "count": 2},
            "price_import_per_kwh": 0.1,
            "batteries": [
                {
                    "battery_id": "away", "energy_kwh_max": 10, "energy_kwh_initial": 5,
                    "p_charge_kw_max": 5, "p_discharge_kw_max": 5, "p_charge_kw_min": 1,
                    "available": 0,
                }
            ],
            "sessions": [
                {
                    "session_id": "short", "arrival": "2023-01-16T00:00:00Z",
                    "departure": "2023-01-16T00:15:00Z", "energy_kwh_wanted": 1,
                    "p_charge_kw_max": 11, "p_charge_kw_min": 6,
                }
            ],
        }
    )  # fmt: skip
    assert problem.batteries.p_charge_kw_max[:, 0].tolist() == [0.0, 2.75]


@pytest.mark.parametrize("path", KNOWN, ids=lambda path: path.stem)
def test_the_schema_takes_what_the_reader_takes(path: Path) -> None:

    checker = jsonschema.Draft202012Validator(problem_schema())
    checker.check_schema(problem_schema())
    problem = json.loads(path.read_text())["problem"]
    assert [error.message for error in checker.iter_errors(problem)] == []


@pytest.mark.parametrize(
    "name", ["wrong_types", "unknown_keys", "schema_version_99", "empty_object", "odd_names"]
)
def test_the_schema_refuses_what_is_badly_formed(name: str) -> None:

    content = json.loads((BROKEN / f"{name}.json").read_text())
    assert list(jsonschema.Draft202012Validator(problem_schema()).iter_errors(content))
