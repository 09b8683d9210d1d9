"""Convex piecewise linear costs as sums of boxes with one slope each.

A target that may be missed, a limit that may be broken, a meter with two prices and the value of
the energy left all become boxes laid end to end. The cheapest fills first: no row is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.problem import NO_GROUP
from optimizer.reach import BAND_FACTOR

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Flags = npt.NDArray[np.bool_]


def edges_within(breaks: Floats, low: Floats, high: Floats) -> Floats:
    """Edges of the pieces between `low` and `high`, sorted along axis 1, shape (n, B + 2, …)."""
    inside = np.clip(np.sort(breaks, axis=1), low[:, None], high[:, None])
    return np.concatenate([low[:, None], inside, high[:, None]], axis=1)


def row_edges(
    problem: DispatchProblem, groups: Ints, low: Floats, high: Floats
) -> tuple[Floats, Floats]:
    """Pieces of the nets of `groups` between `low` and `high`: edges and slopes.

    Args:
        problem: what is asked.
        groups: indices, `NO_GROUP` for the whole; m of them.
        low: shape (m, T), the least net that powers allow.
        high: shape (m, T), the largest.

    Returns:
        Edges, shape (m, K + 1, T), and slopes in currency per kW and interval, shape (m, K, T).
    """
    limits, step_h = problem.limits, problem.grid.step_h
    per_kwh = np.where(limits.is_firm, problem.firm_price_per_kwh, limits.breach_price_per_kwh)
    place = {int(group): at for at, group in enumerate(groups)}
    mine: list[list[int]] = [[] for _ in groups]
    for limit, group in enumerate(limits.group):
        if int(group) in place:
            mine[place[int(group)]].append(limit)
    most = max((len(rows) for rows in mine), default=0)
    breaks = np.full((len(groups), 2 * most + 1, len(step_h)), -np.inf)
    for rank in range(most):
        has = np.array([len(rows) > rank for rows in mine])
        pick = np.array([rows[rank] if len(rows) > rank else 0 for rows in mine])
        breaks[:, 2 * rank] = np.where(has[:, None], limits.p_kw_min[pick], -np.inf)
        breaks[:, 2 * rank + 1] = np.where(has[:, None], limits.p_kw_max[pick], -np.inf)
    breaks[:, -1] = np.where(_two_prices(problem, groups)[:, None], 0.0, -np.inf)
    edges = edges_within(breaks, low, high)
    middle = 0.5 * (edges[:, 1:] + edges[:, :-1])
    slope = _meter_slope(problem, groups, middle)
    for at, rows in enumerate(mine):
        for limit in rows:
            over = middle[at] > limits.p_kw_max[limit]
            under = middle[at] < limits.p_kw_min[limit]
            slope[at] += per_kwh[limit] * step_h * (over.astype(float) - under.astype(float))
    return edges, slope


def has_two_prices(problem: DispatchProblem) -> Flags:
    """Sites whose import and export price differ somewhere, shape (G,)."""
    groups = problem.groups
    differ = groups.price_import_per_kwh != groups.price_export_per_kwh
    return np.asarray(groups.is_site & differ.any(axis=1))


def _two_prices(problem: DispatchProblem, groups: Ints) -> Flags:
    """The same for some groups; the whole has no meter."""
    if not len(problem.groups):
        return np.zeros(len(groups), dtype=bool)
    return np.where(groups == NO_GROUP, False, has_two_prices(problem)[groups])


def _meter_slope(problem: DispatchProblem, groups: Ints, net: Floats) -> Floats:
    """Price of one more kW at the meters with two prices; the others' is in their units' costs."""
    if not len(problem.groups):
        return np.zeros_like(net)
    two = _two_prices(problem, groups)
    buy = problem.groups.price_import_per_kwh[groups][:, None]
    sell = problem.groups.price_export_per_kwh[groups][:, None]
    price = np.where(net >= 0, buy, sell) * problem.grid.step_h
    return np.where(two[:, None, None], price, 0.0)


def special_cells(problem: DispatchProblem, yields: Flags) -> npt.NDArray[np.intp]:
    """Batteries and intervals whose energy at the end has more than one slope, shape (q, 2)."""
    b, targets = problem.batteries, problem.targets
    special = np.zeros(problem.shape, dtype=bool)
    at_end = targets.share == 1.0
    special[targets.battery[at_end], targets.interval[at_end]] = True
    special |= yields[:, None]
    special[:, -1] |= ~has_linear_end(problem)
    return np.argwhere(special) if len(b) else np.zeros((0, 2), dtype=np.intp)


def has_linear_end(problem: DispatchProblem) -> Flags:
    """Batteries whose energy left has one value, whatever there is of it, shape (N,)."""
    b = problem.batteries
    worth = b.end_value_kwh > 0
    first = b.end_value_per_kwh[np.arange(len(b)), worth.argmax(axis=1)]
    same = (b.end_value_per_kwh == first[:, None]) | ~worth
    endless = (b.end_value_kwh.sum(axis=1) >= b.energy_kwh_max[:, -1]) | (first == 0)
    return np.asarray((same.all(axis=1) & endless & worth.any(axis=1)) | ~worth.any(axis=1))


def energy_edges(
    problem: DispatchProblem, yields: Flags, cells: npt.NDArray[np.intp], low: Floats, high: Floats
) -> tuple[Floats, Floats]:
    """Pieces of the energies of special cells between `low` and `high`, shapes (q,).

    Returns:
        Edges, shape (q, K + 1), and slopes in currency per kWh, shape (q, K).
    """
    b, row, instant = problem.batteries, cells[:, 0], cells[:, 1] + 1
    band = np.stack([b.energy_kwh_min[row, instant], b.energy_kwh_max[row, instant]], axis=1)
    wanted, price = _targets_by_cell(problem, cells)
    breaks = [band, wanted.reshape(len(cells), 2 * wanted.shape[1]), np.zeros((len(cells), 1))]
    starts = _piece_starts(problem, row)
    at_end = cells[:, 1] == len(problem.grid) - 1
    ends = np.concatenate([starts, starts[:, -1:] + b.end_value_kwh[row][:, -1:]], axis=1)
    breaks.append(np.where(at_end[:, None], ends, 0.0))
    edges = edges_within(np.concatenate(breaks, axis=1), low, high)
    middle = 0.5 * (edges[:, 1:] + edges[:, :-1])
    slope = np.zeros_like(middle)
    for rank in range(wanted.shape[1]):
        slope -= np.where(middle < wanted[:, rank, :1], price[:, rank, None], 0.0)
        slope += np.where(middle > wanted[:, rank, 1:], price[:, rank, None], 0.0)
    dear = np.where(yields[row], problem.firm_price_per_kwh * BAND_FACTOR, 0.0)[:, None]
    slope += dear * ((middle > band[:, 1:]).astype(float) - (middle < band[:, :1]))
    return edges, slope - np.where(at_end[:, None], end_slope(problem, row, middle), 0.0)


def _targets_by_cell(
    problem: DispatchProblem, cells: npt.NDArray[np.intp]
) -> tuple[Floats, Floats]:
    """Bounds and prices of the targets of each cell, shapes (q, R, 2) and (q, R)."""
    targets, intervals = problem.targets, len(problem.grid)
    name = cells[:, 0] * intervals + cells[:, 1]
    by_name = np.argsort(name)
    key = targets.battery * intervals + targets.interval
    order = np.argsort(key, kind="stable")
    order = order[np.isin(key[order], name) & (targets.share[order] == 1.0)]
    at = by_name[np.searchsorted(name, key[order], sorter=by_name)]
    rank = np.arange(len(order)) - np.searchsorted(key[order], key[order])
    most = int(rank.max(initial=-1)) + 1
    wanted = np.tile(np.array([-np.inf, np.inf]), (len(cells), most, 1))
    price = np.zeros((len(cells), most))
    wanted[at, rank, 0] = targets.energy_kwh_min[order]
    wanted[at, rank, 1] = targets.energy_kwh_max[order]
    firm = problem.firm_price_per_kwh
    price[at, rank] = np.where(targets.is_firm, firm, targets.breach_price_per_kwh)[order]
    return wanted, price


def end_slope(problem: DispatchProblem, row: npt.NDArray[np.intp], energy: Floats) -> Floats:
    """Value of one more kWh left, by piece."""
    value, width = problem.batteries.end_value_per_kwh[row], problem.batteries.end_value_kwh[row]
    starts = _piece_starts(problem, row)
    slope = np.where(energy < 0, np.maximum(value[:, :1], 0.0), 0.0)
    for piece in range(value.shape[1]):
        first = starts[:, piece, None]
        inside = (energy >= first) & (energy < first + width[:, piece, None])
        slope += np.where(inside, value[:, piece, None], 0.0)
    return slope


def _piece_starts(problem: DispatchProblem, row: npt.NDArray[np.intp]) -> Floats:
    """Energy at which each piece of the end value starts."""
    width = problem.batteries.end_value_kwh[row]
    starts = np.zeros_like(width)
    starts[:, 1:] = np.cumsum(width, axis=1)[:, :-1]
    return starts
