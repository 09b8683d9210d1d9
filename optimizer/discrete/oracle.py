"""What does each of these batteries do at these prices?

One answer for every kind: the convex relaxation of what lies ahead (slope merging, exact for
continuous batteries whose prices do not reward burning energy), a beam of promising energies that
it leads, and where that is not proven best, the exact functions of `optimizer.certificate.pieces`
and the way back through them.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.certificate.bound import priced_units
from optimizer.certificate.pieces import Trace, least_costs
from optimizer.certificate.prices import node_prices, project
from optimizer.certificate.relaxed import cost_to_go, costs_found, room_ahead
from optimizer.discrete.way import follow_back

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.certificate.relaxed import Units
    from optimizer.plan import Multipliers
    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]
    Rows = npt.NDArray[np.intp]

BEAM = 16
PIECES_MOST = 512
_ROWS_PER_TURN = 16
_PROVEN = 1e-9


@dataclass(frozen=True, eq=False)
class Response:
    """Schedules of some batteries at given prices.

    Attributes:
        p_kw: shape (n, T), charging positive; powers that the battery can take.
        cost: shape (n,), of the schedule at the prices; infinite where none was found.
        bound: shape (n,), no schedule costs less. Equal to `cost` but for rounding where the answer
            is exact; −inf where it was not asked for.
    """

    p_kw: Floats
    cost: Floats
    bound: Floats


def respond(
    problem: DispatchProblem, multipliers: Multipliers, rows: Rows, *, exact: bool = True
) -> Response:
    """The cheapest schedules of `rows` at the prices of shared rows.

    Args:
        problem: what is asked.
        multipliers: prices; those of the batteries' own balances and of targets at interval ends
            are not used.
        rows: batteries, sorted.
        exact: prove the answer, and improve it until it is proven; else the beam's is taken.
    """
    prices = project(problem, multipliers)
    units, constant = priced_units(problem, prices, node_prices(problem, prices), rows)
    found = answer(units, exact=exact)
    return Response(found.p_kw, found.cost + constant, found.bound + constant)


def answer(units: Units, *, exact: bool, width: int | None = None) -> Response:
    """The same for batteries whose choices have their costs already; `width` is of the beam."""
    count, intervals = units.kept.shape
    p_kw, cost = np.zeros((count, intervals)), np.full(count, np.inf)
    bound = np.full(count, -np.inf)

    def turn(first: int) -> None:
        last = min(first + _ROWS_PER_TURN, count)
        here = slice(first, last)
        ahead = room_ahead(units, first, last)
        cost_to_go(units, first, last, ahead)
        costs_found(units, first, last, ahead, width or BEAM, cost[here], p_kw[here])
        if not exact:
            return
        rows = last - first
        trace = Trace(
            np.empty((rows, intervals + 1, 4, PIECES_MOST)),
            np.zeros((rows, intervals + 1), dtype=np.int64),
        )
        least_costs(units, first, last, ahead, PIECES_MOST, cost[here], bound[here], trace)
        schedule = np.empty(intervals)
        unproven = cost[here] - bound[here] > _PROVEN * units.money[here]
        for row in np.flatnonzero(unproven).tolist():
            i = first + row
            if follow_back(units, i, trace, row, schedule):
                paid = schedule_cost(units, i, schedule)
                if paid < cost[i]:
                    cost[i], p_kw[i] = paid, schedule

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(turn, range(0, count, _ROWS_PER_TURN)))
    return Response(p_kw, cost, bound)


def schedule_cost(units: Units, i: int, p_kw: Floats) -> float:
    """What a schedule of one battery costs at the prices of `units`."""
    intervals, energy = units.kept.shape[1], float(units.start[i])
    charge, discharge = np.maximum(p_kw, 0.0), np.maximum(-p_kw, 0.0)
    total = float(units.charge_cost[i] @ charge + units.discharge_cost[i] @ discharge)
    for t in range(intervals):
        energy = units.kept[i, t] * energy + units.inflow[i, t]
        energy += units.gain[i, t] * charge[t] - units.drain[i, t] * discharge[t]
        total += units.energy_cost[i, t] * energy
        cell = i * intervals + t
        here = slice(units.kink_start[cell], units.kink_start[cell + 1])
        over = energy - units.kink_at[here]
        total += float(units.kink_below[here] @ np.minimum(over, 0.0))
        total += float(units.kink_above[here] @ np.maximum(over, 0.0))
    return total
