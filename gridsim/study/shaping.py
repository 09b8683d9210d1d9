"""From a built scenario to the dispatch problem that the optimiser reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gridsim.study.rows import Places
from optimizer.problem import (
    NO_GROUP,
    Batteries,
    DispatchProblem,
    Generators,
    Groups,
    Limits,
    NetworkRows,
    Targets,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from gridsim.scenario.built import BuiltScenario
    from gridsim.study.ratings import AreaBounds
    from twins import Fleet

    Floats = npt.NDArray[np.float64]


ROW_PRICE_FACTOR = 10.0
"""Price of breaking a row of the grid, over that of missing energy."""
MISSING_PRICE_FACTOR = 10.0
"""Price of energy missing at the end, over the largest price: losses on the way cannot reach it."""


@dataclass(frozen=True, eq=False)
class Near:
    """A plan to stay near where nothing is lost by it.

    Attributes:
        p_kw: shape (N, T), the plan.
        price_per_kwh: on every kWh by which an interval differs from it.
    """

    p_kw: Floats
    price_per_kwh: float


def dispatch_problem(
    built: BuiltScenario,
    bounds: AreaBounds | None = None,
    soc_margin: Floats | None = None,
    network: NetworkRows | None = None,
    near: Near | None = None,
) -> DispatchProblem:
    """The problem of a scenario's fleet.

    Args:
        built: grid, sites, fleet and prices over the horizon.
        bounds: what the grid lets areas do; None to plan by price alone.
        soc_margin: shape (N,), fraction by which each battery's band is narrowed at both edges.
        network: further rows over batteries and areas; the areas' groups begin at
            `first_area_group`.
        near: another plan to stay near.
    """
    tree = _Tree(built, bounds)
    return DispatchProblem(
        grid=built.time_grid,
        price_import_per_kwh=built.prices["price_import_per_kwh"].to_numpy(),
        price_export_per_kwh=built.prices["price_export_per_kwh"].to_numpy(),
        batteries=_batteries(built, soc_margin, near),
        generators=_no_generators(len(built.time_grid)),
        groups=tree.groups(),
        limits=tree.limits(),
        targets=_end_targets(built, soc_margin),
        name=built.scenario.name,
        currency=built.scenario.currency,
        network=NetworkRows.none() if network is None else network,
    )


def first_area_group(built: BuiltScenario) -> int:
    """Group of the first bounded area: the sites come before."""
    return int(built.sites.sizes["site"])


def places(built: BuiltScenario, bounds: AreaBounds) -> Places:
    """Where the batteries are among the bounded areas, and what the sites there draw anyway."""
    tree = _Tree(built, bounds)
    return Places(
        area=tree.site_area[built.battery_site],
        parent=tree.area_parent,
        rated_kw=built.fleet.p_kw_rated,
        fixed_kw=tree.site_net_by_area(),
    )


class _Tree:
    """Sites under the smallest bounded area around their bus, areas under areas."""

    def __init__(self, built: BuiltScenario, bounds: AreaBounds | None) -> None:
        self.built = built
        self.bounds = bounds
        self.site_count = built.sites.sizes["site"]
        self.names = [] if bounds is None else bounds.names
        nowhere = np.full(self.site_count, NO_GROUP, dtype=np.int64)
        if bounds is None:
            self.area_parent, self.site_area = np.zeros(0, dtype=np.int64), nowhere
        else:
            self.area_parent = bounds.parent
            self.site_area = bounds.around(bounds.tree.of_bus[_site_bus(built)])

    def groups(self) -> Groups:
        """Sites first, then areas."""
        sites, count = self.built.sites, len(self.built.time_grid)
        nothing = np.zeros((len(self.names), count))
        names = (*sites["site"].to_numpy().tolist(), *self.names)
        place = np.concatenate([self.site_area, self.area_parent])
        shape = (self.site_count, count)
        paid = np.broadcast_to(self.built.prices["price_import_per_kwh"].to_numpy(), shape)
        earned = np.broadcast_to(self.built.prices["price_export_per_kwh"].to_numpy(), shape)
        return Groups(
            group_id=names,
            where=names,
            parent=np.where(place == NO_GROUP, NO_GROUP, place + self.site_count),
            is_site=np.arange(len(names)) < self.site_count,
            load_kw=np.vstack([sites["load_kw"].to_numpy(), nothing]),
            generation_kw=np.vstack([sites["generation_kw"].to_numpy(), nothing]),
            price_import_per_kwh=np.vstack([paid, nothing]),
            price_export_per_kwh=np.vstack([earned, nothing]),
        )

    def limits(self) -> Limits:
        """The bounds on the batteries, moved by what the sites of the area draw anyway."""
        if self.bounds is None:
            return _no_limits(len(self.built.time_grid))
        fixed = self.site_net_by_area()
        return Limits(
            limit_id=tuple(self.names),
            where=tuple(self.names),
            group=np.arange(len(self.names), dtype=np.int64) + self.site_count,
            p_kw_max=self.bounds.p_kw_max + fixed,
            p_kw_min=self.bounds.p_kw_min + fixed,
            breach_price_per_kwh=np.zeros(len(self.names)),
            breach_price_per_kw=np.zeros(len(self.names)),
        )

    def site_net_by_area(self) -> Floats:
        """Load minus generation of the sites in each bounded area, nested ones included."""
        assert self.bounds is not None
        sites = self.built.sites
        net_kw = (sites["load_kw"] - sites["generation_kw"]).to_numpy()
        return self.bounds.tree.sums(_site_bus(self.built), net_kw)[self.bounds.rows]


def _site_bus(built: BuiltScenario) -> npt.NDArray[np.int64]:
    """Row of each site's bus in the grid's table."""
    return built.grid.buses.positions(built.sites["bus"].to_numpy().tolist())


def _batteries(built: BuiltScenario, soc_margin: Floats | None, near: Near | None) -> Batteries:
    fleet, count = built.fleet, len(built.time_grid)
    rows = len(fleet)
    charge, discharge = fleet.planning_efficiency(built.scenario.optimiser.efficiency_share)
    low, high = _band_kwh(fleet, soc_margin)
    names = tuple(str(name) for name in fleet.battery_id)
    previous, change_price = np.full((rows, count), np.nan), np.zeros(rows)
    if near is not None:
        previous, change_price = near.p_kw, np.full(rows, near.price_per_kwh)
    return Batteries(
        battery_id=names,
        where=names,
        is_session=np.zeros(rows, dtype=bool),
        group=built.battery_site,
        energy_kwh_initial=fleet.soc_initial * fleet.capacity_kwh,
        energy_kwh_min=_spread(low, count + 1),
        energy_kwh_max=_spread(high, count + 1),
        p_charge_kw_max=_spread(np.minimum(fleet.p_charge_kw_max, fleet.s_kva_max), count),
        p_discharge_kw_max=_spread(np.minimum(fleet.p_discharge_kw_max, fleet.s_kva_max), count),
        p_charge_kw_min=np.zeros(rows),
        p_discharge_kw_min=np.zeros(rows),
        power_levels=np.zeros(rows, dtype=np.int64),
        efficiency_charge=_spread(charge, count),
        efficiency_discharge=_spread(discharge, count),
        standing_loss_per_h=fleet.standing_loss_per_h,
        inflow_kw=_spread(-_idle_drain_kw(fleet), count),
        wear_cost_charge_per_kwh=fleet.wear_cost_charge_per_kwh,
        wear_cost_discharge_per_kwh=fleet.wear_cost_discharge_per_kwh,
        cycles_per_day_max=np.full(rows, np.inf),
        ramp_up_kw_per_h=np.full(rows, np.inf),
        ramp_down_kw_per_h=np.full(rows, np.inf),
        p_kw_initial=np.full(rows, np.nan),
        end_value_per_kwh=np.full((rows, 1), built.scenario.optimiser.end_value_per_kwh),
        end_value_kwh=np.full((rows, 1), np.inf),
        p_kw_previous=previous,
        change_price_per_kwh=change_price,
    )


def _band_kwh(fleet: Fleet, soc_margin: Floats | None) -> tuple[Floats, Floats]:
    """Least and most energy of each battery, the band narrowed by its margin at both edges."""
    margin = np.zeros(len(fleet)) if soc_margin is None else soc_margin
    narrowed = margin * (fleet.soc_max - fleet.soc_min)
    low, high = fleet.soc_min + narrowed, fleet.soc_max - narrowed
    return low * fleet.capacity_kwh, high * fleet.capacity_kwh


def _idle_drain_kw(fleet: Fleet) -> Floats:
    """What the twins' stores lose to their own electronics at rest, shape (N,)."""
    idle = fleet.technology_column("idle_loss") * fleet.p_kw_rated
    return idle + fleet.technology_column("constant_loss_kw")


def _spread(column: Floats, count: int) -> Floats:
    """A column repeated along time without copying it."""
    return np.broadcast_to(column[:, None], (len(column), count))


def _end_targets(built: BuiltScenario, soc_margin: Floats | None) -> Targets:
    """Every battery ends with at least what it began with, where the scenario says so.

    One that begins above its band ends at the band's top: more than that it may not hold.

    The price is above anything that missing energy can earn, so energy is only missing where it
    cannot be had: a grid that allows no charging all day does not even let idle losses be replaced.
    """
    count = len(built.fleet) if built.scenario.optimiser.end_energy == "at_least_initial" else 0
    names = [str(name) for name in built.fleet.battery_id[:count]]
    initial = built.fleet.soc_initial * built.fleet.capacity_kwh
    wanted = np.minimum(initial, _band_kwh(built.fleet, soc_margin)[1])[:count]
    return Targets(
        where=tuple(f"{name}, end of the horizon" for name in names),
        battery=np.arange(count, dtype=np.int64),
        interval=np.full(count, len(built.time_grid) - 1, dtype=np.int64),
        share=np.ones(count),
        energy_kwh_min=wanted,
        energy_kwh_max=np.full(count, np.inf),
        breach_price_per_kwh=np.full(count, _missing_price_per_kwh(built)),
    )


def row_price_per_kwh(built: BuiltScenario) -> float:
    """Price of breaking a linear row of the grid: above all that can be earned by it."""
    return ROW_PRICE_FACTOR * _missing_price_per_kwh(built)


def _missing_price_per_kwh(built: BuiltScenario) -> float:
    prices = [built.prices[f"price_{side}_per_kwh"].to_numpy() for side in ("import", "export")]
    wear = [built.fleet.wear_cost_charge_per_kwh, built.fleet.wear_cost_discharge_per_kwh]
    largest = max(float(np.abs(column).max(initial=0.0)) for column in (*prices, *wear))
    return MISSING_PRICE_FACTOR * max(largest, built.scenario.optimiser.end_value_per_kwh, 0.01)


def _no_generators(count: int) -> Generators:
    empty = np.zeros((0, count))
    return Generators((), (), np.zeros(0, dtype=np.int64), empty, empty, np.zeros(0))


def _no_limits(count: int) -> Limits:
    empty = np.zeros((0, count))
    return Limits((), (), np.zeros(0, dtype=np.int64), empty, empty, np.zeros(0), np.zeros(0))
