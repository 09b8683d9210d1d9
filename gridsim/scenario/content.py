"""What can be wrong with a well-formed scenario: between its sections, and in its data files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gridsim.scenario.check import untouched
from gridsim.scenario.errors import ScenarioError, collected
from gridsim.scenario.fleet_csv import read_fleet_csv
from gridsim.scenario.prices import read_prices
from twins.faults import Fault, FaultList

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridsim.scenario.model import Scenario
    from twins.timegrid import TimeGrid

_PRICE_KEYS = ("csv", "time_column", "column", "time_zone", "step_minutes")


def content_faults(
    scenario: Scenario | None, known: Sequence[Fault], *, with_grid: bool = False
) -> list[Fault]:
    """Faults that need more than one section, or a data file, to be seen.

    Args:
        scenario: the scenario, mended where it had faults; None where that failed.
        known: the faults so far; what they touch is not looked at again.
        with_grid: whether to read the grid, which takes seconds. It is read in any case once a
            fault was found, so that the error is complete.
    """
    if scenario is None:
        return []
    faults = FaultList("scenario")
    _check_between(scenario, known, faults)
    grid = _time_grid(scenario, known, faults)
    priced = untouched(known, *(f"prices.{key}" for key in _PRICE_KEYS))
    if grid is not None and priced:
        read_prices(scenario.prices, grid, scenario.currency, faults)
    before = len(faults)
    listed = None
    if scenario.fleet.csv is not None and untouched(known, "fleet.csv"):
        listed = read_fleet_csv(scenario.fleet.csv, faults)
    if untouched(known, "grid") and (with_grid or known or len(faults)):
        # Only here, because it imports pandapower, which takes seconds.
        from gridsim.scenario.built import grid_faults

        places = ("fleet.rule.at", "fleet.csv", "fleet.rule.seed")
        placed = untouched(known, *places) and len(faults) == before
        faults.extend(grid_faults(scenario, listed, placed=placed))
    return collected(faults)


def _check_between(scenario: Scenario, known: Sequence[Fault], faults: FaultList) -> None:
    currency = scenario.prices.unit_currency
    if (
        currency not in (None, scenario.currency)
        and untouched(known, "prices.unit")
        and untouched(known, "currency")
    ):
        allowed = f"must name the scenario's currency, {scenario.currency}"
        faults.add("prices.unit", scenario.prices.unit, allowed)
    if (
        scenario.profiles.simbench is not None
        and scenario.grid.simbench is None
        and untouched(known, "profiles", "grid")
    ):
        allowed = "only a grid from a SimBench code brings profiles; use csv or nominal"
        faults.add("profiles.simbench", None, allowed)


def _time_grid(scenario: Scenario, known: Sequence[Fault], faults: FaultList) -> TimeGrid | None:
    if not untouched(known, "horizon", "time_zone"):
        return None
    try:
        return scenario.time_grid()
    except ScenarioError as error:
        for fault in error.faults:
            faults.add(f"horizon.{fault.where}", fault.found, fault.allowed)
        return None
