"""One wrong value anywhere gives one fault, at its own path."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridsim.scenario import Scenario
from gridsim.scenario.check import check_mapping
from gridsim.scenario.yaml_reader import read_yaml

FULL: dict[str, Any] = {
    "name": "full",
    "description": "every section",
    "time_zone": "UTC",
    "currency": "EUR",
    "horizon": {"day": "2023-01-16", "days": 2, "step_minutes": 15},
    "grid": {"simbench": "1-LV-urban6--2-no_sw", "limits": {"v_pu_min": {"0.4": 0.9}}},
    "profiles": {"simbench": {"profile_time_zone": "Europe/Berlin"}},
    "prices": {
        "csv": __file__,
        "time_column": "t",
        "column": "p",
        "unit": "EUR/MWh",
        "time_zone": "UTC",
        "import": {"multiply": 1.0, "add_per_kwh": 0.1},
        "export": {"multiply": 1.0},
    },
    "fleet": {
        "rule": {
            "at": {"share_of_loads": 0.5},
            "seed": 1,
            "technology": {"base": "lfp", "idle_loss": 0.001},
            "energy_kwh": {"normal": {"mean": 10, "sd": 2, "min": 5, "max": 15}},
            "power": {"c_rate": {"choice": {"values": [0.5, 1.0], "weights": [1, 2]}}},
            "soc_min": 0.1,
            "soc_max": 0.9,
            "soc_initial": {"uniform": [0.2, 0.8]},
        },
        "site_generation": "at_bus",
    },
    "gate": {"rounds_max": 3, "margins": {"soc": 0.02}, "uncertainty": {"count": 5, "seed": 1}},
    "optimiser": {"end_energy": "free", "gap_max": 0.001},
}


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of the values that are no mapping."""
    if isinstance(value, dict):
        return [leaf for key, inside in value.items() for leaf in leaves(inside, (*path, key))]
    return [path]


def faults_of(content: Any) -> list[str]:
    return [fault.where for fault in check_mapping(content, Path())[1]]


def test_the_full_scenario_is_valid() -> None:
    assert faults_of(FULL) == []


@pytest.mark.parametrize("path", leaves(FULL), ids=lambda path: ".".join(path))
def test_one_wrong_value_is_one_fault_at_its_path(path: tuple[str, ...]) -> None:
    broken = copy.deepcopy(FULL)
    above = broken
    for key in path[:-1]:
        above = above[key]
    above[path[-1]] = {"no": "such thing"}
    faults = faults_of(broken)
    assert len(faults) == 1
    assert faults[0].replace("['0.4']", "").startswith(".".join(path).removesuffix(".0.4"))


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from([*Scenario.model_fields, "rule", "x"]), inner, max_size=4
            )
        ),
        max_leaves=12,
    )
)
@settings(max_examples=100, deadline=None)
def test_whatever_is_given_the_answer_is_faults(content: Any) -> None:
    assert faults_of(content)


@given(text=st.text(alphabet=st.sampled_from("a1:-[]{}&*!?|>'\"%@`#,~ \n\t."), max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_text_is_read_or_refused(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text, encoding="utf-8")
    document = read_yaml(path, "any.yaml")
    assert len(document.faults) or faults_of(document.content)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("12:30", "12:30"),
        ("2023-01-16", "2023-01-16"),
        ("1e3", 1000.0),
        ("0x1F", 31),
        ("010", 10),
        ("~", None),
        ("true", True),
        ("'5'", "5"),
    ],
)
def test_plain_values_mean_what_they_look_like(text: str, value: Any, tmp_path: Path) -> None:
    path = tmp_path / "value.yaml"
    path.write_text(f"key: {text}\n", encoding="utf-8")
    read = read_yaml(path, "value.yaml").content["key"]
    assert read == value
    assert type(read) is type(value)
