"""The boxes of batteries and generators, started dual feasible."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.engine.batteries import ENERGY, Cells
from optimizer.engine.boxes import LEAST, Box, make_box, start_box
from optimizer.engine.presolve.pieces import change_pieces, energy_pieces, join, start_pieces

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.engine.presolve.fleet import Fleet
    from optimizer.engine.presolve.pieces import Pieces
    from optimizer.engine.presolve.units import Units

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]


def make_cells(
    fleet: Fleet, rows: Ints, units: Units, price: Floats, further: Pieces
) -> tuple[Cells, Box, Box]:
    """Cells with the boxes of their variables and of the further pieces of these.

    Args:
        fleet: what is shared.
        rows: the fleet's rows (batteries, then generators) of the cells.
        units: coefficients, bounds and costs.
        price: shape (n, T), of the groups above.
        further: pieces of the batteries' further rows.
    """
    shape = (len(rows), 3, units.gain.shape[1])
    low, high, cost = np.zeros(shape), np.empty(shape), np.empty(shape)
    low[:, 1], low[:, ENERGY] = units.discharge_min, units.energy_low
    high[:, 0], high[:, 1], high[:, ENERGY] = (
        units.charge_max, units.discharge_max, units.energy_high,
    )  # fmt: skip
    cost[:, 0], cost[:, 1], cost[:, ENERGY] = (
        units.charge_cost, units.discharge_cost, units.energy_cost,
    )  # fmt: skip
    own = [change_pieces(fleet, rows, high, cost), energy_pieces(fleet, rows, low, high, cost)]
    pieces = join([*own, further])
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
    added = np.append((reduced - cost).reshape(len(rows), -1), np.zeros((len(rows), 1)), axis=1)
    owed = added[pieces.owner, np.minimum(pieces.at, 3 * shape[2])]
    piece_start = np.searchsorted(pieces.owner, np.arange(len(rows) + 1)).astype(np.int64)
    empty = {name: np.zeros_like(value) for name in ("value_step", "miss", "ratio", "pivot")}
    cells = Cells(
        gain=units.gain, drain=units.drain, kept=units.kept, inflow=units.inflow,
        value=value, piece_at=pieces.at, piece_start=piece_start, **empty,
    )  # fmt: skip
    return cells, box, start_pieces(pieces, owed)
