"""From a checked scenario to arrays: time, grid, demand, sites, fleet, prices."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from gridsim.grid import Grid, nominal_profiles, simbench_profiles
from gridsim.scenario.errors import ScenarioError, collected
from gridsim.scenario.fleet_csv import ListedBatteries, listed_sites, read_fleet_csv
from gridsim.scenario.fleet_rule import rule_fleet, rule_sites
from gridsim.scenario.load import with_horizon
from gridsim.scenario.prices import read_prices
from gridsim.scenario.profiles import read_profiles
from gridsim.scenario.sites import SiteMap, site_dataset
from twins.faults import Fault, FaultList, InvalidInputError

if TYPE_CHECKING:
    import numpy.typing as npt
    import xarray as xr

    from gridsim.scenario.model import Scenario
    from gridsim.scenario.sections import GridSource
    from twins.fleet import Fleet
    from twins.timegrid import TimeGrid

_KEY = re.compile(r"[a-z0-9_]+(?:\.[a-z0-9_]+)*(?:\[[^ ]*\])?$")
_GRID_KEYS = {
    "name": "pandapower_network",
    "path": "pandapower_json",
    "content": "pandapower_json",
    "v_pu_min": "limits.v_pu_min",
    "v_pu_max": "limits.v_pu_max",
    "loading_max": "limits.loading_max",
}
"""Where the scenario states what `gridsim.grid` calls by another name."""


@dataclass(frozen=True, eq=False)
class BuiltScenario:
    """A scenario as arrays.

    Attributes:
        scenario: what was built, with the horizon that was asked for.
        time_grid: the T intervals.
        grid: the grid, with the scenario's limits.
        profiles: ``load_kw``, ``load_kvar`` (load, time), ``generation_kw`` (generator, time) of
            the whole grid.
        site_map: which load and generator stands behind which meter.
        sites: ``load_kw``, ``generation_kw`` (site, time), ``bus`` and ``load`` by site, for the
            sites that have a battery.
        fleet: the N batteries; each names its site.
        prices: ``price_import_per_kwh``, ``price_export_per_kwh`` (time), in the scenario's
            currency.
    """

    scenario: Scenario
    time_grid: TimeGrid
    grid: Grid
    profiles: xr.Dataset
    site_map: SiteMap
    sites: xr.Dataset
    fleet: Fleet
    prices: xr.Dataset

    @cached_property
    def battery_site(self) -> npt.NDArray[np.int64]:
        """The row in `sites` of each battery, shape (N,)."""
        rows = {str(site): at for at, site in enumerate(self.site_map.site_id.tolist())}
        return np.array([rows[site] for site in self.fleet.site_id.tolist()], dtype=np.int64)

    @property
    def battery_bus(self) -> npt.NDArray[np.str_]:
        """The bus label of each battery, shape (N,)."""
        return self.site_map.bus[self.battery_site]

    def __repr__(self) -> str:
        return (
            f"BuiltScenario({self.scenario.name!r}, {len(self.fleet)} batteries at "
            f"{len(self.site_map)} sites, {len(self.grid.buses)} buses, {self.time_grid})"
        )


def build(
    scenario: Scenario,
    *,
    day: str | None = None,
    start: str | None = None,
    grid: Grid | None = None,
) -> BuiltScenario:
    """Read the grid, place the fleet, and put demand and prices on the scenario's time axis.

    Args:
        scenario: from `load_scenario`.
        day: plan this local day (and as many as the scenario has) instead.
        start: plan from this moment instead.
        grid: the scenario's grid where it was read before (from `read_grid`); reading one takes
            seconds.

    Raises:
        ScenarioError: with every fault that only shows between the scenario, its grid and its data.
    """
    if day is not None or start is not None:
        scenario = with_horizon(scenario, day=day, start=start)
    faults = FaultList(f"scenario {scenario.name}")
    time_grid = scenario.time_grid()
    prices = read_prices(scenario.prices, time_grid, scenario.currency, faults)
    grid = grid or read_grid(scenario.grid, faults)
    if grid is None:
        faults.raise_if_any(ScenarioError)
        raise AssertionError("a grid that cannot be read is a fault")
    placed = place_fleet(scenario, grid, faults)
    profiles = _profiles(scenario, grid, time_grid, faults)
    faults.raise_if_any(ScenarioError)
    assert placed is not None
    assert profiles is not None
    assert prices is not None
    site_map, fleet = placed
    sites = site_dataset(site_map, grid, profiles)
    return BuiltScenario(scenario, time_grid, grid, profiles, site_map, sites, fleet, prices)


def read_grid(source: GridSource, faults: FaultList | None = None) -> Grid | None:
    """The scenario's grid with its limits.

    Raises:
        ScenarioError: the grid cannot be read; with `faults` they are noted there instead and the
            answer is None.
    """
    noted = faults if faults is not None else FaultList("grid")
    grid = None
    try:
        grid = _with_limits(_source(source), source)
    except InvalidInputError as error:
        note(error, "grid", noted)
    if faults is None:
        noted.raise_if_any(ScenarioError)
    return grid


def place_fleet(scenario: Scenario, grid: Grid, faults: FaultList) -> tuple[SiteMap, Fleet] | None:
    """Sites and batteries on `grid`, or None with the faults noted."""
    section = scenario.fleet
    own = section.site_generation
    if section.csv is not None:
        listed = read_fleet_csv(section.csv, faults)
        if listed is None:
            return None
        sites = listed_sites(listed, grid, generation=own)
        return None if sites is None else (sites, listed.fleet)
    assert section.rule is not None
    sites = rule_sites(section.rule, grid, faults, generation=own)
    if sites is None:
        return None
    try:
        return sites, rule_fleet(section.rule, sites, grid)
    except InvalidInputError as error:
        note(error, "fleet.rule", faults)
        return None


def grid_faults(scenario: Scenario, listed: ListedBatteries | None, *, placed: bool) -> list[Fault]:
    """What only the grid can tell: that it cannot be read, or that it lacks what the fleet names.

    Args:
        scenario: the scenario.
        listed: the batteries of its file, if it has one.
        placed: whether the fleet's places are to be looked up.
    """
    faults = FaultList("grid")
    grid = read_grid(scenario.grid, faults)
    section = scenario.fleet
    if grid is not None and placed:
        if listed is not None:
            listed_sites(listed, grid, generation=section.site_generation)
        elif section.rule is not None:
            rule_sites(section.rule, grid, faults, generation=section.site_generation)
    return collected(faults)


def note(error: InvalidInputError, section: str, faults: FaultList) -> None:
    """Note another layer's faults with the section of the scenario that caused them."""
    for fault in error.faults:
        key = _GRID_KEYS.get(fault.where, fault.where) if section == "grid" else fault.where
        where = f"{section}.{key}" if _KEY.match(key) else f"{section}: {key}"
        faults.add(where, fault.found, fault.allowed, fault.hint)


def _source(source: GridSource) -> Grid:
    if source.simbench is not None:
        return Grid.from_simbench(source.simbench, simbench_storages=source.simbench_storages)
    if source.pandapower_json is not None:
        return Grid.from_json(source.pandapower_json)
    assert source.pandapower_network is not None
    return Grid.from_pandapower(source.pandapower_network, **source.arguments)


def _with_limits(grid: Grid, source: GridSource) -> Grid:
    if source.limits is None:
        return grid
    limits = source.limits
    return grid.with_limits(
        v_pu_min=limits.v_pu_min, v_pu_max=limits.v_pu_max, loading_max=limits.loading_max
    )


def _profiles(
    scenario: Scenario, grid: Grid, time_grid: TimeGrid, faults: FaultList
) -> xr.Dataset | None:
    section = scenario.profiles
    try:
        if section.simbench is not None:
            return simbench_profiles(grid, time_grid, section.simbench.profile_time_zone)
        if section.csv is not None:
            return read_profiles(section.csv, grid, time_grid, faults)
        return nominal_profiles(grid, time_grid)
    except InvalidInputError as error:
        note(error, "profiles", faults)
        return None
