"""Batteries whose own set is searched for the bound: steps, a least power, prices that burn energy.

For these the balance is not priced and dropped but kept: the price of a relaxed balance would leave
a gap for every such battery, however many there are.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.certificate import flows
from optimizer.certificate.pieces import least_costs, no_trace
from optimizer.certificate.relaxed import Units, cost_to_go, costs_found, room_ahead
from optimizer.parts import over_parts
from optimizer.reach import BAND_FACTOR, band_yields

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.certificate.prices import NodePrices
    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Flags = npt.NDArray[np.bool_]
    Rows = npt.NDArray[np.intp]

PIECES_MOST = 512
"""Segments of a cost function beyond which neighbours are joined, and the bound is not exact."""
_ROWS_PER_TURN = 16
_BEAM = 6


def searched_rows(problem: DispatchProblem, nodes: NodePrices) -> Rows:
    """Discrete batteries, and those that their prices reward for charging and discharging at once.

    The prices are those of `nodes`; see `docs/formulation.md` for the condition.
    """
    parts = over_parts(problem, lambda _, part: part.batteries.is_discrete | _burns(part, nodes))
    return np.flatnonzero(np.concatenate([*parts, np.zeros(0, dtype=bool)]))


def _burns(part: DispatchProblem, nodes: NodePrices) -> Flags:
    """Batteries that are rewarded for charging and discharging at once, shape (N,)."""
    b, step_h = part.batteries, part.grid.step_h
    usable = (b.p_charge_kw_max > 0) & (b.p_discharge_kw_max > 0)
    pays = nodes.draw_per_kw[b.group] + b.wear_cost_charge_per_kwh[:, None] * step_h
    earns = nodes.feed_per_kw[b.group] - b.wear_cost_discharge_per_kwh[:, None] * step_h
    burns = pays < earns * b.efficiency_charge * b.efficiency_discharge
    return np.asarray((burns & usable).any(axis=1))


def least_of(units: Units) -> Floats:
    """Lower bounds on what each battery costs, exact up to `PIECES_MOST` pieces, shape (n,)."""
    count = len(units.start)
    found = np.empty(count)

    def turn(first: int) -> None:
        last = min(first + _ROWS_PER_TURN, count)
        ahead = room_ahead(units, first, last)
        known, schedule = np.empty(last - first), np.empty((last - first, units.kept.shape[1]))
        cost_to_go(units, first, last, ahead)
        costs_found(units, first, last, ahead, _BEAM, known, schedule)
        least_costs(units, first, last, ahead, PIECES_MOST, known, found[first:last], no_trace())

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(turn, range(0, count, _ROWS_PER_TURN)))
    return found


def make_units(
    problem: DispatchProblem,
    rows: Rows,
    most: tuple[Floats, Floats],
    costs: tuple[Floats, Floats, Floats],
) -> Units:
    """Tables of some batteries at given prices.

    Args:
        problem: what was asked.
        rows: batteries, sorted; n of them.
        most: usable charging and discharging power of all batteries, shapes (N, T).
        costs: of one kW of charging, one of discharging, and one stored kWh at the instants 1 to T,
            each of shape (n, T).
    """
    b, step_h = problem.batteries, problem.grid.step_h
    charge_max, discharge_max = most[0][rows], most[1][rows]
    gain, drain = b.efficiency_charge[rows] * step_h, step_h / b.efficiency_discharge[rows]
    kept, inflow = problem.energy_after_loss[rows], b.inflow_kw[rows] * step_h
    start, yields = b.energy_kwh_initial[rows], band_yields(problem)[rows]
    reach = (start, kept, inflow - drain * discharge_max, inflow + gain * charge_max)
    low, high = _allowed(problem, rows, yields, *reach)
    size = np.maximum(np.maximum(np.abs(low), np.abs(high)).max(axis=1), np.maximum(start, 1.0))
    money = (np.abs(costs[0]) * charge_max + np.abs(costs[1]) * discharge_max).sum(axis=1)
    money += np.abs(costs[2]).sum(axis=1) * size
    worth = np.abs(b.end_value_per_kwh[rows]).max(axis=1)
    return Units(
        start=start,
        kept=kept,
        inflow=inflow,
        gain=gain,
        drain=drain,
        charge_min=b.p_charge_kw_min[rows],
        charge_max=charge_max,
        discharge_min=b.p_discharge_kw_min[rows],
        discharge_max=discharge_max,
        levels=b.power_levels[rows],
        charge_cost=costs[0],
        discharge_cost=costs[1],
        low=low,
        high=high,
        energy_cost=costs[2],
        **_kinks(problem, rows, yields),
        size=size,
        money=money + worth * size + 1e-9,
    )


def _allowed(
    problem: DispatchProblem,
    rows: Rows,
    yields: Flags,
    start: Floats,
    kept: Floats,
    drain: Floats,
    gain: Floats,
) -> tuple[Floats, Floats]:
    """The band at the instants 1 to T; where it yields, the energies that powers can lead to."""
    b = problem.batteries
    low, high = b.energy_kwh_min[rows, 1:], b.energy_kwh_max[rows, 1:]
    at_low = at_high = start
    for t in range(low.shape[1]):
        at_low, at_high = kept[:, t] * at_low + drain[:, t], kept[:, t] * at_high + gain[:, t]
        low[yields, t], high[yields, t] = at_low[yields], at_high[yields]
    return low, high


def _kinks(problem: DispatchProblem, rows: Rows, yields: Flags) -> dict[str, npt.NDArray[Any]]:
    """Kinks in the cost of stored energy: targets, bands that yield, the value of the energy left.

    Energy that lacks below an empty store costs like the first piece of the value, and never earns.
    """
    b, intervals = problem.batteries, len(problem.grid)
    cells: list[Ints] = []
    places: list[Floats] = []
    slopes: list[tuple[Floats, Floats]] = []

    def add(cell: Ints, at: Floats, below: Floats, above: Floats) -> None:
        use = np.isfinite(at) & ((below != 0) | (above != 0))
        cells.append(cell[use])
        places.append(at[use])
        slopes.append((below[use], above[use]))

    targets = problem.targets
    mine = np.flatnonzero(np.isin(targets.battery, rows) & (targets.share == 1.0))
    cell = np.searchsorted(rows, targets.battery[mine]) * intervals + targets.interval[mine]
    price = np.where(targets.is_firm, problem.firm_price_per_kwh, targets.breach_price_per_kwh)
    none = np.zeros(len(mine))
    add(cell, targets.energy_kwh_min[mine], -price[mine], none)
    add(cell, targets.energy_kwh_max[mine], none, price[mine])
    out = np.flatnonzero(yields)
    cell = (out[:, None] * intervals + np.arange(intervals)).ravel()
    dear = np.full(len(cell), problem.firm_price_per_kwh * BAND_FACTOR)
    none = np.zeros(len(cell))
    add(cell, b.energy_kwh_min[rows[out], 1:].ravel(), -dear, none)
    add(cell, b.energy_kwh_max[rows[out], 1:].ravel(), none, dear)
    cell = np.arange(1, len(rows) + 1) * intervals - 1
    none = np.zeros(len(rows))
    add(cell, none, -np.maximum(b.end_value_per_kwh[rows, 0], 0.0), none)
    starts = flows.end_value_starts(problem, rows)
    for piece in range(starts.shape[1]):
        width, value = b.end_value_kwh[rows, piece], b.end_value_per_kwh[rows, piece]
        has = np.where(width > 0, value, 0.0)
        add(cell, starts[:, piece], none, -has)
        add(cell, starts[:, piece] + width, none, has)
    place = np.concatenate(cells).astype(np.int64)
    order = np.argsort(place, kind="stable")
    below, above = (np.concatenate([pair[side] for pair in slopes])[order] for side in (0, 1))
    edges = np.arange(len(rows) * intervals + 1)
    return {
        "kink_start": np.searchsorted(place[order], edges).astype(np.int64),
        "kink_at": np.concatenate(places)[order],
        "kink_below": below,
        "kink_above": above,
    }
