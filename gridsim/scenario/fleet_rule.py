"""Batteries placed and sized by a rule."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from gridsim.grid.yearly import simbench_yearly_kwh
from gridsim.scenario.draw import SizeDraw, draw, stream
from gridsim.scenario.sites import SiteMap, make_sites
from twins.faults import did_you_mean
from twins.fleet import Fleet
from twins.technology import technology_from_mapping

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from gridsim.grid import Grid
    from gridsim.scenario.fleet_spec import FleetRule, Place, SiteGeneration
    from twins.faults import FaultList

    Floats = npt.NDArray[np.float64]
    Positions = npt.NDArray[np.int64]

_NOT_IN_AN_ID = re.compile(r"[^A-Za-z0-9_.-]+")


def rule_sites(
    rule: FleetRule, grid: Grid, faults: FaultList, *, generation: SiteGeneration
) -> SiteMap | None:
    """The sites that the rule puts batteries at, or None with the faults noted."""
    before = len(faults)
    if rule.at.buses is not None:
        bus = _rows(rule.at.buses, grid.buses.label, "fleet.rule.at.buses", faults)
        load = np.full(bus.size, -1, dtype=np.int64)
        names = np.array(rule.at.buses, dtype=np.str_)
    else:
        load = _chosen_loads(rule.at, rule.seed, grid, faults)
        bus = grid.buses.positions(grid.loads.bus[load])
        names = grid.loads.label[load]
    if len(faults) == before:
        _check_energised(bus, grid, faults)
    if len(faults) > before:
        return None
    return make_sites(grid, names, load, bus, generation=generation)


def rule_fleet(rule: FleetRule, sites: SiteMap, grid: Grid) -> Fleet:
    """One battery behind each site's meter, sized as the rule says.

    Raises:
        FleetError, GridError: a size or a demand that makes no sense.
    """
    count = len(sites)
    by_demand = isinstance(rule.energy_kwh, SizeDraw) and rule.energy_kwh.yearly_demand is not None
    yearly = sites.sums(simbench_yearly_kwh(grid), sites.load_site) if by_demand else None
    energy = draw(rule.energy_kwh, count, rule.seed, "energy_kwh", yearly)
    if rule.power.kw is not None:
        power = draw(rule.power.kw, count, rule.seed, "power")
    else:
        assert rule.power.c_rate is not None
        power = energy * draw(rule.power.c_rate, count, rule.seed, "power")
    return Fleet.from_columns(
        battery_id=battery_ids(sites.site_id.tolist()),
        site_id=sites.site_id,
        technologies=technology_from_mapping(rule.technology),
        energy_kwh_max=energy,
        p_charge_kw_max=power,
        p_discharge_kw_max=power,
        soc_min=rule.soc_min,
        soc_max=rule.soc_max,
        soc_initial=draw(rule.soc_initial, count, rule.seed, "soc_initial"),
        wear_cost_charge_per_kwh=rule.wear_cost_charge_per_kwh,
        wear_cost_discharge_per_kwh=rule.wear_cost_discharge_per_kwh,
    )


def battery_ids(sites: Iterable[str]) -> list[str]:
    """A stable name for the battery of each site: letters, digits, ``_``, ``.`` and ``-`` only.

    Names go into file names and message topics, where blanks and slashes have other meanings.
    """
    ids: list[str] = []
    taken: set[str] = set()
    for site in sites:
        name = _NOT_IN_AN_ID.sub("-", site).strip("-") or "battery"
        one, again = name, 1
        while one in taken:
            again += 1
            one = f"{name}-{again}"
        taken.add(one)
        ids.append(one)
    return ids


def _chosen_loads(place: Place, seed: int, grid: Grid, faults: FaultList) -> Positions:
    """Rows of the loads with a battery, in the order of the grid's table (or of the list)."""
    if place.loads is not None:
        return _rows(place.loads, grid.loads.label, "fleet.rule.at.loads", faults)
    fit = _candidates(place, grid)
    if fit.size == 0:
        faults.add("fleet.rule.at", None, "places no battery: the grid has no load that fits")
    if place.every_load:
        return fit
    if place.number_of_loads is not None:
        if place.number_of_loads > fit.size > 0:
            allowed = f"must be at most {fit.size}, the loads that fit"
            faults.add("fleet.rule.at.number_of_loads", place.number_of_loads, allowed)
        count = min(place.number_of_loads, fit.size)
    else:
        assert place.share_of_loads is not None
        # Halves round up, so that a half of 135 loads is 68 on every machine.
        count = int(np.floor(place.share_of_loads * fit.size + 0.5))
        if count == 0 and fit.size:
            where = "fleet.rule.at.share_of_loads"
            faults.add(where, place.share_of_loads, f"places no battery at {fit.size} loads")
    return np.sort(stream(seed, "place").permutation(fit)[:count])


def _candidates(place: Place, grid: Grid) -> Positions:
    """Rows of the loads that a rule may choose: at energised buses, of the voltage asked for."""
    bus = grid.buses.positions(grid.loads.bus)
    fit = grid.buses.energised[bus]
    if place.vn_kv_max is not None:
        fit = fit & (grid.buses.vn_kv[bus] <= place.vn_kv_max)
    return np.flatnonzero(fit)


def _rows(wanted: list[str], labels: Any, where: str, faults: FaultList) -> Positions:
    """Rows of named elements; a name that the grid lacks is a fault."""
    rows = {str(label): at for at, label in enumerate(labels.tolist())}
    for at, label in enumerate(wanted):
        if label not in rows:
            faults.add(f"{where}[{at}]", label, "is not in the grid", did_you_mean(label, rows))
    return np.array([rows.get(label, 0) for label in wanted], dtype=np.int64)


def _check_energised(bus: Positions, grid: Grid, faults: FaultList) -> None:
    for at in np.flatnonzero(~grid.buses.energised[bus])[:50]:
        label = str(grid.buses.label[bus[at]])
        faults.add("fleet.rule.at", label, "a battery cannot stand at a bus that is not energised")
