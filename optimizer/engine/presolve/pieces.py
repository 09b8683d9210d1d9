"""Further boxes of variables that have several slopes, laid end to end in one flat box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.engine import slopes
from optimizer.engine.batteries import ENERGY
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
    place = np.full(count, -1)
    mine = rows < count
    place[rows[mine]] = np.flatnonzero(mine)
    cells = fleet.special[place[fleet.special[:, 0]] >= 0]
    at, t = place[cells[:, 0]], cells[:, 1]
    edges, slope = slopes.energy_edges(
        fleet.problem, fleet.yields, cells, low[at, ENERGY, t], high[at, ENERGY, t]
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
