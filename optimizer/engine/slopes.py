"""Convex piecewise linear costs as sums of boxes with one slope each.

A target that may be missed, a limit that may be broken, a meter with two prices and the value of
the energy left all become boxes laid end to end. The cheapest fills first: no row is needed. What
nets cost is in `kinks`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

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


def has_two_prices(problem: DispatchProblem) -> Flags:
    """Sites whose import and export price differ somewhere, shape (G,)."""
    groups = problem.groups
    differ = groups.price_import_per_kwh != groups.price_export_per_kwh
    return np.asarray(groups.is_site & differ.any(axis=1))


def special_cells(problem: DispatchProblem, yields: Flags) -> npt.NDArray[np.intp]:
    """Batteries and intervals whose energy at the end has more than one slope, shape (q, 2)."""
    b, targets = problem.batteries, problem.targets
    special = np.zeros(problem.shape, dtype=bool)
    at_end = targets.share == 1.0
    special[targets.battery[at_end], targets.interval[at_end]] = True
    special |= yields[:, None]
    special[:, -1] |= ~has_linear_end(problem)
    return np.argwhere(special) if len(b) else np.zeros((0, 2), dtype=np.intp)


def has_linear_end(problem: DispatchProblem, rows: Ints | slice = slice(None)) -> Flags:
    """Whether the energy left has one value, whatever there is of it, shape (rows,)."""
    b = problem.batteries
    value, width = b.end_value_per_kwh[rows], b.end_value_kwh[rows]
    worth = width > 0
    first = value[np.arange(len(value)), worth.argmax(axis=1)]
    same = (value == first[:, None]) | ~worth
    endless = (width.sum(axis=1) >= b.energy_kwh_max[rows, -1]) | (first == 0)
    return np.asarray((same.all(axis=1) & endless & worth.any(axis=1)) | ~worth.any(axis=1))


def energy_edges(
    problem: DispatchProblem,
    yields: Flags,
    cells: npt.NDArray[np.intp],
    items: Ints,
    low: Floats,
    high: Floats,
) -> tuple[Floats, Floats]:
    """Pieces of the energies of special cells between `low` and `high`, shapes (q,).

    Args:
        problem: what is asked.
        yields: batteries whose band may be left at a price, shape (N,).
        cells: batteries and intervals, shape (q, 2).
        items: all targets of these batteries, in their order.
        low: shape (q,).
        high: shape (q,).

    Returns:
        Edges, shape (q, K + 1), and slopes in currency per kWh, shape (q, K).
    """
    b, row, instant = problem.batteries, cells[:, 0], cells[:, 1] + 1
    band = np.stack([b.energy_kwh_min[row, instant], b.energy_kwh_max[row, instant]], axis=1)
    wanted, price = _targets_by_cell(problem, cells, items)
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
    problem: DispatchProblem, cells: npt.NDArray[np.intp], items: Ints
) -> tuple[Floats, Floats]:
    """Bounds and prices of the targets of each cell, shapes (q, R, 2) and (q, R)."""
    targets, intervals = problem.targets, len(problem.grid)
    name = cells[:, 0] * intervals + cells[:, 1]
    by_name = np.argsort(name)
    key = targets.battery[items] * intervals + targets.interval[items]
    order = np.argsort(key, kind="stable")
    order = order[np.isin(key[order], name) & (targets.share[items[order]] == 1.0)]
    key, order = key[order], items[order]
    at = by_name[np.searchsorted(name, key, sorter=by_name)]
    rank = np.arange(len(order)) - np.searchsorted(key, key)
    most = int(rank.max(initial=-1)) + 1
    wanted = np.tile(np.array([-np.inf, np.inf]), (len(cells), most, 1))
    price = np.zeros((len(cells), most))
    wanted[at, rank, 0] = targets.energy_kwh_min[order]
    wanted[at, rank, 1] = targets.energy_kwh_max[order]
    firm = problem.firm_price_per_kwh
    stated = targets.breach_price_per_kwh[order]
    price[at, rank] = np.where(stated == 0, firm, stated)
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
