"""Scenarios: from a YAML file to a grid, a fleet, demand and prices on one time axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gridsim.scenario.errors import ScenarioError
from gridsim.scenario.load import (
    load_scenario,
    scenario_from_mapping,
    shipped_scenarios,
    with_horizon,
)
from gridsim.scenario.model import Scenario

if TYPE_CHECKING:
    from gridsim.scenario.built import BuiltScenario, build, read_grid

__all__ = [
    "BuiltScenario",
    "Scenario",
    "ScenarioError",
    "build",
    "load_scenario",
    "read_grid",
    "scenario_from_mapping",
    "shipped_scenarios",
    "with_horizon",
]

_NEEDS_THE_GRID = ("BuiltScenario", "build", "read_grid")


def __getattr__(name: str) -> Any:
    # Building a scenario imports pandapower, which takes seconds; checking one does not need it.
    if name in _NEEDS_THE_GRID:
        from gridsim.scenario import built as module

        return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
