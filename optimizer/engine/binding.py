"""Network rows that can bind at all, and the priced boxes of their values.

A row is left out where no powers lead beyond its bounds. What cannot move in a row's interval is a
constant of the row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.engine.boxes import LEAST
from optimizer.engine.slopes import edges_within

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Binding:
    """Network rows that can bind, by interval; K of them, with E entries that can move.

    Attributes:
        row: shape (K,), index in the problem.
        interval: shape (K,), never falls.
        fixed: shape (K,), what stays at its place: fixed loads, units without room.
        edges: shape (K, 4), of the pieces of the row's value.
        slope: shape (K, 3), currency per kW over the interval.
        entry_row: shape (E,), from 0 to K − 1.
        entry_unit, entry_group, weight: shape (E,), as in the problem.
        constant: shape (R,), what one more kW costs in rows of the problem that cannot move.
    """

    row: Ints
    interval: Ints
    fixed: Floats
    edges: Floats
    slope: Floats
    entry_row: Ints
    entry_unit: Ints
    entry_group: Ints
    weight: Floats
    constant: Floats

    def __len__(self) -> int:
        return len(self.row)


def find_binding(problem: DispatchProblem, fixed: Floats, low: Floats, high: Floats) -> Binding:
    """The rows whose value can come to another slope.

    Args:
        problem: what is asked.
        fixed: shape (G+1, T), nets without batteries and curtailable generators, the whole last.
        low: shape (G+1, T), the least nets that powers allow.
        high: shape (G+1, T), the largest.
    """
    rows, owner = problem.network, problem.network.entry_row
    at = rows.interval[owner]
    least, most = _entry_range(problem, at, low, high)
    moves = (most - least > LEAST) & (rows.weight != 0)
    ends = rows.weight * least, rows.weight * most
    lowest = np.bincount(owner, np.minimum(*ends), len(rows))
    highest = np.bincount(owner, np.maximum(*ends), len(rows))
    # The outermost edges stand clear of what can be reached: they must never carry a price.
    clear = 0.05 * (highest - lowest) + 1.0
    breaks = np.stack([rows.p_kw_min, rows.p_kw_max], axis=1)
    edges = edges_within(breaks, lowest - clear, highest + clear)
    price = np.where(rows.is_firm, problem.firm_price_per_kwh, rows.breach_price_per_kwh)
    price = price * problem.grid.step_h[rows.interval]
    slope = np.stack([-price, np.zeros_like(price), price], axis=1)
    reached = np.minimum(edges[:, 1:], highest[:, None]) - np.maximum(
        edges[:, :-1], lowest[:, None]
    )
    pays = ((reached > LEAST) & (slope != 0)).any(axis=1)
    pays &= np.bincount(owner, moves, len(rows)) > 0
    kept = np.flatnonzero(pays)
    only = np.take_along_axis(slope, reached.argmax(axis=1)[:, None], axis=1)[:, 0]
    kept = kept[np.argsort(rows.interval[kept], kind="stable")]
    place = np.full(len(rows), -1)
    place[kept] = np.arange(len(kept))
    still = rows.weight * np.where(
        moves & (rows.entry_unit < 0), fixed[rows.entry_group, at], 0.5 * (least + most)
    )
    still[moves & (rows.entry_unit >= 0)] = 0.0
    mine = moves & (place[owner] >= 0)
    return Binding(
        row=kept,
        interval=rows.interval[kept],
        fixed=np.bincount(owner, still, len(rows)).astype(float)[kept],
        edges=edges[kept],
        slope=slope[kept],
        entry_row=place[owner][mine],
        entry_unit=rows.entry_unit[mine],
        entry_group=rows.entry_group[mine],
        weight=rows.weight[mine],
        constant=np.where(pays, 0.0, only),
    )


def _entry_range(
    problem: DispatchProblem, at: Ints, low: Floats, high: Floats
) -> tuple[Floats, Floats]:
    """Least and largest value of each entry in the interval `at` of its row, shapes (E,)."""
    rows, b, table = problem.network, problem.batteries, problem.generators
    least = low[rows.entry_group, at]
    most = high[rows.entry_group, at]
    battery = np.flatnonzero((rows.entry_unit >= 0) & (rows.entry_unit < len(b)))
    unit, when = rows.entry_unit[battery], at[battery]
    least[battery], most[battery] = -b.p_discharge_kw_max[unit, when], b.p_charge_kw_max[unit, when]
    other = np.flatnonzero(rows.entry_unit >= len(b))
    unit, when = rows.entry_unit[other] - len(b), at[other]
    least[other], most[other] = -table.p_kw_available[unit, when], -table.p_kw_min[unit, when]
    return least, most
