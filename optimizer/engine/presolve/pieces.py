"""Further boxes of variables that have several slopes, laid end to end in one flat box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.engine import slopes
from optimizer.engine.batteries import CHARGE, DISCHARGE, ENERGY
from optimizer.engine.boxes import LEAST, Box, make_box, start_box

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.engine.presolve.fleet import Fleet

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Pieces:
    """Boxes from 0 to a width, shapes (k,).

    Attributes:
        owner: cell of each.
        at: variable or row that it belongs to, as in `Cells.piece_at`.
        width: kWh or kW.
        cost: slope.
        base: price from which its start is set.
    """

    owner: Ints
    at: Ints
    width: Floats
    cost: Floats
    base: Floats


def join(tables: list[Pieces]) -> Pieces:
    """All of them, sorted by owner."""
    columns = {name: np.concatenate([getattr(one, name) for one in tables]) for name in _NAMES}
    order = np.argsort(columns["owner"], kind="stable")
    return Pieces(**{name: column[order] for name, column in columns.items()})


_NAMES = ("owner", "at", "width", "cost", "base")


def start_pieces(pieces: Pieces, owed: Floats) -> Box:
    """Their box; `owed` is what values of energy add to the cost of each at the start."""
    box = make_box(np.zeros_like(pieces.width), pieces.width, pieces.cost, 0.0)
    start_box(box, pieces.cost + owed, pieces.base)
    return box


def change_pieces(fleet: Fleet, rows: Ints, high: Floats, cost: Floats) -> Pieces:
    """Pieces of powers where leaving the previous plan has a price π; the first stays in the cell.

    With previous power q > 0 a charge up to q costs π less and all beyond it π more, as does every
    discharge; with q < 0 the other way round. A battery that does not do both at once pays
    π·|p − q| by that, less what doing nothing costs.

    Args:
        fleet: what is shared.
        rows: the fleet's rows of the cells.
        high: upper bounds of all variables, shape (n, 3, T), cut to the first piece in place.
        cost: costs, which get the first piece's slope.
    """
    problem, b = fleet.problem, fleet.problem.batteries
    mine = np.flatnonzero(rows < len(b))
    mine = mine[b.change_price_per_kwh[rows[mine]] > 0]
    previous = b.p_kw_previous[rows[mine]]
    at, t = np.nonzero(np.isfinite(previous))
    previous, cell = previous[at, t], mine[at]
    price = b.change_price_per_kwh[rows[cell]] * problem.grid.step_h[t]
    tables = []
    for axis, kept in ((CHARGE, previous), (DISCHARGE, -previous)):
        first = np.clip(kept, 0.0, high[cell, axis, t])
        rest = high[cell, axis, t] - first
        split = (first > LEAST) & (rest > LEAST)
        base = cost[cell, axis, t]
        cost[cell, axis, t] = base + np.where(first > LEAST, -price, price)
        high[cell[split], axis, t[split]] = first[split]
        tables.append(
            Pieces(
                owner=cell[split],
                at=(axis * len(problem.grid) + t[split]).astype(np.int64),
                width=rest[split],
                cost=(base + price)[split],
                base=fleet.price * problem.grid.step_h[t[split]],
            )
        )
    return join(tables)


def energy_pieces(fleet: Fleet, rows: Ints, low: Floats, high: Floats, cost: Floats) -> Pieces:
    """Pieces of energies with several slopes; the first stays in the cells' boxes.

    Args:
        fleet: what is shared.
        rows: the fleet's rows of the cells.
        low: lower bounds of all variables, shape (n, 3, T).
        high: upper bounds, which are cut to the first piece in place.
        cost: costs, which get the first piece's slope.
    """
    count, intervals = fleet.problem.shape
    mine = np.flatnonzero(rows < count)
    found, which = fleet.special_of(rows[mine])
    cells, at = fleet.special[found], mine[which]
    t = cells[:, 1]
    items = fleet.targets_of(rows[mine])
    edges, slope = slopes.energy_edges(
        fleet.problem, fleet.yields, cells, items, low[at, ENERGY, t], high[at, ENERGY, t]
    )
    width = np.diff(edges, axis=1)
    first = np.argmax(width > LEAST, axis=1)
    pick = np.arange(len(cells))
    base_cost = cost[at, ENERGY, t]
    high[at, ENERGY, t] = edges[pick, first + 1]
    cost[at, ENERGY, t] = base_cost + slope[pick, first]
    more = (width > LEAST) & (np.arange(width.shape[1]) > first[:, None])
    cell, piece = np.nonzero(more)
    return Pieces(
        owner=at[cell],
        at=(ENERGY * intervals + t[cell]).astype(np.int64),
        width=width[cell, piece],
        cost=base_cost[cell] + slope[cell, piece],
        base=np.full(len(cell), fleet.price),
    )
