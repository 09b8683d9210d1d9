"""The engine's prices as the multipliers of the problem's own rows.

A group's one price is the slope of all that its net costs; see `kinks`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.engine.kinks import LIMIT_MAX, LIMIT_MIN, METER, POSITION, share_price
from optimizer.engine.linked import CYCLES, RAMP, TARGET
from optimizer.engine.slopes import end_slope
from optimizer.engine.tie_rows import PEAK_MAX, PEAK_MIN
from optimizer.engine.tie_rows import RAMP as RAMP_OF_NET
from optimizer.plan import Multipliers

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.engine.linked import Links
    from optimizer.engine.tie_rows import TiePrices
    from optimizer.engine.tree import Tree
    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]

_AT_EDGE_KWH = 1e-4


def empty_multipliers(problem: DispatchProblem) -> Multipliers:
    """Room for the prices of every row; a meter with one price has that."""
    (batteries, intervals), groups = problem.shape, problem.groups
    limits, targets = len(problem.limits), len(problem.targets)
    site = np.where(groups.is_site[:, None], groups.price_import_per_kwh, np.nan)
    return Multipliers(
        energy_value_per_kwh=np.zeros((batteries, intervals)),
        site_price_per_kwh=site,
        limit_max_per_kw=np.zeros((limits, intervals)),
        limit_min_per_kw=np.zeros((limits, intervals)),
        ramp_up_per_kw=np.zeros((batteries, intervals)),
        ramp_down_per_kw=np.zeros((batteries, intervals)),
        cycles_per_kwh=np.zeros((batteries, int(problem.days[-1]) + 1)),
        target_min_per_kwh=np.zeros(targets),
        target_max_per_kwh=np.zeros(targets),
        limit_ramp_up_per_kw=np.zeros((limits, intervals)),
        limit_ramp_down_per_kw=np.zeros((limits, intervals)),
        position_per_kwh=np.zeros((len(problem.positions), intervals)),
        network_max_per_kw=np.zeros(len(problem.network)),
        network_min_per_kw=np.zeros(len(problem.network)),
    )


def share_group_prices(
    problem: DispatchProblem, tree: Tree, price: Floats, net: Floats, found: Multipliers
) -> None:
    """Split the price of each node of the tree over what its net costs, in place.

    Args:
        problem: what is asked.
        tree: groups with rows.
        price: shape (m, T), per kW and interval.
        net: shape (m, T), of the solution, kW.
        found: is filled in.
    """
    kinks = tree.kinks
    share, step_h = share_price(price, net, kinks), problem.grid.step_h
    for kind, sign, table in (
        (LIMIT_MAX, 1.0, found.limit_max_per_kw),
        (LIMIT_MIN, -1.0, found.limit_min_per_kw),
        (METER, 1.0 / step_h, found.site_price_per_kwh),
        (POSITION, 1.0 / step_h, found.position_per_kwh),
    ):
        mine = kinks.kind == kind
        table[kinks.item[mine]] = sign * share[mine]


def add_tie_prices(ties: TiePrices, found: Multipliers) -> None:
    """Prices of ramps of nets, and of peaks on top of those of each interval's breach, in place."""
    for kind, above, below in (
        (PEAK_MAX, found.limit_max_per_kw, None),
        (PEAK_MIN, None, found.limit_min_per_kw),
        (RAMP_OF_NET, found.limit_ramp_up_per_kw, found.limit_ramp_down_per_kw),
    ):
        mine = ties.kind == kind
        at = (ties.limit[mine], ties.interval[mine])
        if above is not None:
            above[at] += np.maximum(ties.price[mine], 0.0)
        if below is not None:
            below[at] += np.maximum(-ties.price[mine], 0.0)


def set_link_prices(links: Links, rows: npt.NDArray[np.int64], found: Multipliers) -> None:
    """Prices of ramps, caps and targets inside an interval from those of their rows, in place.

    Args:
        links: rows of the batteries that have further ones.
        rows: the battery of each cell.
        found: is filled in.
    """
    cell = np.flatnonzero(links.place >= 0)
    owner = np.repeat(rows[cell], np.diff(links.row_start))
    above, below = np.maximum(links.price, 0.0), np.maximum(-links.price, 0.0)
    ramp, cycles, target = (links.kind == kind for kind in (RAMP, CYCLES, TARGET))
    found.ramp_up_per_kw[owner[ramp], links.item[ramp]] = above[ramp]
    found.ramp_down_per_kw[owner[ramp], links.item[ramp]] = below[ramp]
    found.cycles_per_kwh[owner[cycles], links.item[cycles]] = above[cycles]
    found.target_max_per_kwh[links.item[target]] = above[target]
    found.target_min_per_kwh[links.item[target]] = below[target]


def set_row_prices(rows: npt.NDArray[np.int64] | slice, price: Floats, found: Multipliers) -> None:
    """Prices of network rows, by the side that binds, in place; above 0 where less is better."""
    found.network_max_per_kw[rows] = np.maximum(price, 0.0)
    found.network_min_per_kw[rows] = np.maximum(-price, 0.0)


def set_target_prices(problem: DispatchProblem, energy: Floats, found: Multipliers) -> None:
    """Prices of targets from the fall of the value of energy at their instants, in place.

    A missed target has its breach price, a kept one none; where the energy stands at its edge it
    owes what the values before and after leave open.
    """
    targets, value = problem.targets, found.energy_value_per_kwh
    at_end = targets.share == 1.0
    if not at_end.any():
        return
    last = len(problem.grid) - 1
    row, at = targets.battery, targets.interval
    later = np.minimum(at + 1, last)
    after = problem.energy_after_loss[row, later] * value[row, later]
    reached = energy[row, at + 1]
    final = end_slope(problem, row, reached[:, None])[:, 0]
    fall = value[row, at] - np.where(at < last, after, final)
    price = np.where(targets.is_firm, problem.firm_price_per_kwh, targets.breach_price_per_kwh)
    # Missed targets of the same instant take their share of the fall first.
    short = np.where(targets.energy_kwh_min - reached > _AT_EDGE_KWH, price, 0.0)
    short -= np.where(reached - targets.energy_kwh_max > _AT_EDGE_KWH, price, 0.0)
    # Only where a target stands: a table of all cells would be as large as the plan.
    cells, cell = np.unique(row * len(problem.grid) + at, return_inverse=True)
    taken = np.zeros(len(cells))
    np.add.at(taken, cell[at_end], short[at_end])
    _take_inside(problem, found, cells, taken)
    fall = fall - taken[cell]
    for sign, edge, prices in (
        (1.0, targets.energy_kwh_min, found.target_min_per_kwh),
        (-1.0, targets.energy_kwh_max, found.target_max_per_kwh),
    ):
        missing = sign * (edge - reached)
        at_edge = np.abs(missing) <= _AT_EDGE_KWH
        owed = np.where(at_edge, np.clip(sign * fall, 0.0, price), (missing > 0) * price)
        prices[at_end] = owed[at_end]


def _take_inside(
    problem: DispatchProblem, found: Multipliers, cells: npt.NDArray[np.int64], taken: Floats
) -> None:
    """Add what targets inside an interval take of the fall of values around it, in place.

    Args:
        problem: what is asked.
        found: prices of these targets are there.
        cells: row · T + interval, sorted.
        taken: at these cells.
    """
    targets = problem.targets
    inside = np.flatnonzero(targets.share < 1.0)
    row, at, share = targets.battery[inside], targets.interval[inside], targets.share[inside]
    kept = problem.energy_after_loss[row, at]
    price = (found.target_min_per_kwh - found.target_max_per_kwh)[inside]
    first = np.where(at > 0, kept**share - share * kept, 0.0)
    name = row * len(problem.grid) + at
    for names, part in ((name, share * price), (name - 1, first * price)):
        near = np.minimum(np.searchsorted(cells, names), len(cells) - 1)
        mine = cells[near] == names
        np.add.at(taken, near[mine], part[mine])
