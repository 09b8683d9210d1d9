"""The boxes of batteries and generators, started dual feasible."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.engine import slopes
from optimizer.engine.batteries import ENERGY, Cells
from optimizer.engine.boxes import Box, make_box, start_box
from optimizer.engine.tree import LEAST

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.engine.presolve.fleet import Fleet
    from optimizer.engine.presolve.units import Units

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]


def make_cells(fleet: Fleet, rows: Ints, units: Units, price: Floats) -> tuple[Cells, Box, Box]:
    shape = (len(rows), 3, units.gain.shape[1])
    low, high, cost = np.zeros(shape), np.empty(shape), np.empty(shape)
    low[:, 1], low[:, ENERGY] = units.discharge_min, units.energy_low
    high[:, 0], high[:, 1], high[:, ENERGY] = (
        units.charge_max, units.discharge_max, units.energy_high,
    )  # fmt: skip
    cost[:, 0], cost[:, 1], cost[:, ENERGY] = (
        units.charge_cost, units.discharge_cost, units.energy_cost,
    )  # fmt: skip
    pieces, piece_at, piece_start = _make_pieces(fleet, rows, low, high, cost)
    box = make_box(low, high, cost, LEAST)
    step_h = fleet.problem.grid.step_h
    value = np.repeat((units.charge_cost / step_h).mean(axis=1)[:, None], shape[2], axis=1)
    worth = value.copy()
    worth[:, :-1] -= units.kept[:, 1:] * value[:, 1:]
    reduced = cost.copy()
    reduced[:, 0] += price - units.gain * value
    reduced[:, 1] += units.drain * value - price
    reduced[:, 2] += worth
    base = np.empty(shape)
    base[:, :2], base[:, 2] = fleet.price * step_h, fleet.price
    start_box(box, reduced, base)
    owner = np.repeat(np.arange(len(rows)), np.diff(piece_start))
    start_box(pieces, pieces.cost + worth[owner, piece_at], fleet.price)
    empty = {
        name: np.zeros_like(value) for name in ("value_step", "miss", "spread", "ratio", "pivot")
    }
    cells = Cells(
        gain=units.gain, drain=units.drain, kept=units.kept, inflow=units.inflow,
        value=value, piece_at=piece_at, piece_start=piece_start, **empty,
    )  # fmt: skip
    return cells, box, pieces


def _make_pieces(
    fleet: Fleet, rows: Ints, low: Floats, high: Floats, cost: Floats
) -> tuple[Box, Ints, Ints]:
    """Further parts of energies with several slopes; the first part stays in the cells' boxes."""
    place = np.full(fleet.problem.shape[0], -1)
    mine = rows < fleet.problem.shape[0]
    place[rows[mine]] = np.flatnonzero(mine)
    cells = fleet.special[place[fleet.special[:, 0]] >= 0]
    cells = cells[np.argsort(place[cells[:, 0]], kind="stable")]
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
    none = np.zeros(len(cell))
    box = make_box(none, width[cell, piece], base_cost[cell] + slope[cell, piece], 0.0)
    start = np.searchsorted(at[cell], np.arange(len(rows) + 1))
    return box, t[cell].astype(np.int64), start.astype(np.int64)
