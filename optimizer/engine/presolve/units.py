"""Batteries and generators as rows of one kind: coefficients, bounds and costs.

Energies are cut to what can be reached. A curtailable generator is a battery that discharges
without taking energy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.engine import slopes
from optimizer.engine.presolve.links import never_moves
from optimizer.problem import NO_GROUP

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.engine.presolve.fleet import Fleet
    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

_ENERGY_WIDTH_LEAST = 2e-7


@dataclass(frozen=True, eq=False)
class Units:
    """Columns of some batteries and generators, shapes (n, T); costs per kW and interval."""

    gain: Floats
    drain: Floats
    kept: Floats
    inflow: Floats
    charge_max: Floats
    discharge_min: Floats
    discharge_max: Floats
    charge_cost: Floats
    discharge_cost: Floats
    energy_low: Floats
    energy_high: Floats
    energy_cost: Floats


def units_of(fleet: Fleet, rows: Ints) -> Units:
    problem, count = fleet.problem, len(fleet.problem.batteries)
    battery, generator = rows[rows < count], rows[rows >= count] - count
    if not len(generator):
        return _battery_units(fleet, battery)
    tables = (_battery_units(fleet, battery), _generator_units(problem, generator))
    # Rows are in any order; both tables are put where their rows stand.
    back = np.argsort(np.concatenate([np.flatnonzero(rows < count), np.flatnonzero(rows >= count)]))
    columns = {
        name: np.concatenate([getattr(table, name) for table in tables])[back]
        for name in vars(tables[0])
    }
    return Units(**columns)


def _battery_units(fleet: Fleet, rows: Ints) -> Units:
    problem, b, step_h = fleet.problem, fleet.problem.batteries, fleet.problem.grid.step_h
    buy, sell = _unit_prices(problem, problem.battery_site[rows])
    gain, drain = b.efficiency_charge[rows] * step_h, step_h / b.efficiency_discharge[rows]
    kept, inflow = problem.energy_after_loss[rows], b.inflow_kw[rows] * step_h
    inflow[:, 0] += kept[:, 0] * b.energy_kwh_initial[rows]
    moves = ~never_moves(problem, rows)[:, None]
    charge, discharge = b.p_charge_kw_max[rows] * moves, b.p_discharge_kw_max[rows] * moves
    low, high = _reachable(fleet, rows, kept, inflow - drain * discharge, inflow + gain * charge)
    energy_cost = np.zeros_like(gain)
    linear = slopes.has_linear_end(problem, rows)
    first = (b.end_value_kwh[rows] > 0).argmax(axis=1)
    worth = b.end_value_per_kwh[rows, first] * (b.end_value_kwh[rows] > 0).any(axis=1)
    energy_cost[:, -1] = np.where(linear, -worth, 0.0)
    return Units(
        gain=gain,
        drain=drain,
        kept=kept,
        inflow=inflow,
        charge_max=charge,
        discharge_min=np.zeros_like(discharge),
        discharge_max=discharge,
        charge_cost=(buy + b.wear_cost_charge_per_kwh[rows, None]) * step_h,
        discharge_cost=(b.wear_cost_discharge_per_kwh[rows, None] - sell) * step_h,
        energy_low=low,
        energy_high=high,
        energy_cost=energy_cost,
    )


def _generator_units(problem: DispatchProblem, rows: Ints) -> Units:
    """Generators as batteries whose discharge takes nothing; their energy is a dummy around 0."""
    table, step_h = problem.generators, problem.grid.step_h
    _, sell = _unit_prices(problem, problem.generator_site[rows])
    least, most = table.p_kw_min[rows], table.p_kw_available[rows]
    none, one = np.zeros_like(least), np.ones_like(least)
    return Units(
        gain=none, drain=none, kept=none, inflow=none, charge_max=none,
        discharge_min=least, discharge_max=most, charge_cost=none,
        discharge_cost=(table.cost_per_kwh[rows, None] - sell) * step_h,
        energy_low=-one, energy_high=one, energy_cost=none,
    )  # fmt: skip


def _unit_prices(problem: DispatchProblem, site: Ints) -> tuple[Floats, Floats]:
    """What a unit pays and earns itself: nothing at a meter with two prices, whose row has them."""
    groups = problem.groups
    shape = (len(site), len(problem.grid))
    buy = np.broadcast_to(problem.price_import_per_kwh, shape)
    sell = np.broadcast_to(problem.price_export_per_kwh, shape)
    inside = (site != NO_GROUP)[:, None]
    if not inside.any():
        return buy, sell
    two = slopes.has_two_prices(problem)[site][:, None]
    meter = np.where(two, 0.0, groups.price_import_per_kwh[site])
    return np.where(inside, meter, buy), np.where(inside, meter, sell)


def _reachable(
    fleet: Fleet, rows: Ints, kept: Floats, drain: Floats, gain: Floats
) -> tuple[Floats, Floats]:
    """Energies at the instants 1 to T that powers lead to, cut to each band that is kept."""
    b, yields = fleet.problem.batteries, fleet.yields[rows, None]
    band_low = np.where(yields, -np.inf, b.energy_kwh_min[rows, 1:])
    band_high = np.where(yields, np.inf, b.energy_kwh_max[rows, 1:])
    low, high = np.empty_like(gain), np.empty_like(gain)
    at_low = at_high = np.zeros(len(rows))
    for t in range(gain.shape[1]):
        at_low = np.maximum(kept[:, t] * at_low + drain[:, t], band_low[:, t])
        at_high = np.minimum(kept[:, t] * at_high + gain[:, t], band_high[:, t])
        at_low, at_high = np.minimum(at_low, at_high), np.maximum(at_low, at_high)
        low[:, t], high[:, t] = at_low, at_high
    # An energy is never fixed: its 1/θ keeps the tridiagonal system regular.
    room = np.maximum(0.5 * (_ENERGY_WIDTH_LEAST - (high - low)), 0.0)
    return low - room, high + room


def money_of(fleet: Fleet, units: Units) -> Floats:
    """What a unit may earn, roughly: one cycle at the largest difference of prices, shape (n,)."""
    price = units.charge_cost - units.discharge_cost
    price = price / (2.0 * fleet.problem.grid.step_h)
    spread = np.maximum(np.ptp(price, axis=1), 0.05 * fleet.price)
    room = (units.energy_high - units.energy_low).max(axis=1)
    return np.asarray(np.maximum(spread * room, 1e-9))
