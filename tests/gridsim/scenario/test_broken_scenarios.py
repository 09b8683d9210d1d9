"""Each broken scenario gives one error that names every planted fault, and nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from gridsim.scenario import ScenarioError, load_scenario

FOLDER = Path(__file__).parents[2] / "cases" / "broken_scenarios"
CASES = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))["cases"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cases, with a file of 10 GB that takes no space."""
    copied = tmp_path_factory.mktemp("broken") / "cases"
    shutil.copytree(FOLDER, copied)
    with (copied / "huge.csv").open("wb") as file:
        file.truncate(10_000_000_000)
    return copied


def test_the_cases_differ_from_a_valid_scenario_only_by_their_faults(folder: Path) -> None:
    assert load_scenario(folder / "valid.yaml", with_grid=True).name == "broken"


@pytest.mark.parametrize("name", sorted(CASES))
def test_one_message_names_every_planted_fault_once(name: str, folder: Path) -> None:
    with pytest.raises(ScenarioError) as caught:
        load_scenario(folder / f"{name}.yaml", with_grid=True)
    left = list(caught.value.faults)
    for planted in CASES[name]:
        found = [
            fault
            for fault in left
            if fault.where.startswith(planted["where"]) and planted["says"] in str(fault)
        ]
        assert found, f"{planted} is not in\n{caught.value}"
        left.remove(found[0])
    assert not left, f"not planted: {left}"
    text = str(caught.value)
    assert text.startswith(f"scenario {name}.yaml: ")
    for word in ("Traceback", "pydantic", "[type=", "object at 0x"):
        assert word not in text


def test_a_file_far_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    with path.open("wb") as file:
        file.truncate(10_000_000_000)
    with pytest.raises(ScenarioError, match="too large for a scenario"):
        load_scenario(path)


@pytest.mark.parametrize("name", ["stret", "no/such/file.yaml", ".", "\0", ""])
def test_a_scenario_that_is_not_there_is_said_so(name: str) -> None:
    with pytest.raises(ScenarioError):
        load_scenario(name)
