"""Scenarios: from a YAML file to a grid, a fleet, demand and prices on one time axis."""

from __future__ import annotations

from gridsim.scenario.errors import ScenarioError
from gridsim.scenario.load import (
    load_scenario,
    scenario_from_mapping,
    shipped_scenarios,
    with_horizon,
)
from gridsim.scenario.model import Scenario

__all__ = [
    "Scenario",
    "ScenarioError",
    "load_scenario",
    "scenario_from_mapping",
    "shipped_scenarios",
    "with_horizon",
]
