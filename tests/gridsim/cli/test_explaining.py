"""`gridsim explain` and the picture of a battery's reasons."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import gridsim as facade
from optimizer.plan_file import read_plan
from tests.gridsim.cli.test_problems import gridsim, problem, written

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    assert gridsim("solve", written(tmp_path, problem()), "-o", path).exit_code == 0
    return path


def test_words_and_json_say_the_same(plan: Path) -> None:
    words = gridsim("explain", plan, "--battery", "left")
    assert words.exit_code == 0, words.output
    content = json.loads(gridsim("explain", plan, "--battery", "left", "--json").stdout)
    assert " ".join(words.stdout.split()) == " ".join(" ".join(content["lines"]).split())
    assert content["lines"] == list(read_plan(plan).explain("left").lines)
    assert len(content["series"]["p_kw"]) == 4
    assert len(content["series"]["energy_kwh"]) == 5


def test_a_picture_is_written(plan: Path, tmp_path: Path) -> None:
    result = gridsim("explain", plan, "--battery", "right", "-o", tmp_path / "right.svg")
    assert result.exit_code == 0, result.output
    text = (tmp_path / "right.svg").read_text()
    assert text.count("<svg") == 1
    figure = facade.plot_explanation(read_plan(plan).explain("right"))
    power, prices, store = figure.axes
    assert power.get_ylabel() == "kW"
    assert prices.get_ylabel() == "EUR/kWh"
    assert store.get_ylabel() == "kWh"


def test_an_unknown_battery_is_wrong_input(plan: Path) -> None:
    result = gridsim("explain", plan, "--battery", "middle")
    assert result.exit_code == 2
    assert "no battery 'middle'" in result.stderr
