"""Which values of a grid are worth a linear row: those that break a limit or come near one.

A *side* of a value is what may break: the upper or the lower limit of a voltage, the limit of a
loading. A side in one interval has a number of its own, so that sides can be gathered over several
flows as sets. What a side is allowed is its limit, or its value without batteries where that is
already beyond: what is broken anyway must only not get worse.

Buses in a row along a feeder say nearly the same. Of those only the local extremes are taken: a bus
beside one that is nearer to its limit is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from gridsim.grid.breaches import BUS, LINE, TRANSFORMER
from gridsim.grid.sensitivities import Watched

if TYPE_CHECKING:
    import numpy.typing as npt
    import xarray as xr

    from gridsim.grid.network import Grid

    Floats = npt.NDArray[np.float64]
    Booleans = npt.NDArray[np.bool_]
    Positions = npt.NDArray[np.int64]

_SIDES = ((BUS, 1.0), (BUS, -1.0), (LINE, 1.0), (TRANSFORMER, 1.0))
_VALUES = {BUS: "v_pu", LINE: "line_loading", TRANSFORMER: "transformer_loading"}


@dataclass(frozen=True)
class Nearness:
    """How near to its limit a value is watched.

    Attributes:
        v_pu: of a voltage, per unit.
        line, transformer: of a loading, as a fraction of the rating.
    """

    v_pu: float = 0.004
    line: float = 0.03
    transformer: float = 0.12

    def of(self, kind: str) -> float:
        """The distance for a kind of element."""
        return {BUS: self.v_pu, LINE: self.line, TRANSFORMER: self.transformer}[kind]


@dataclass(frozen=True, eq=False)
class Watch:
    """The limits of a grid over one time axis, side by side.

    Attributes:
        grid: whose limits hold.
        baseline: the flow without batteries.
    """

    grid: Grid
    baseline: xr.Dataset

    def near(self, flow: xr.Dataset, nearness: Nearness) -> Positions:
        """Numbers of the sides that `flow` breaks or comes near to, ascending."""
        found = []
        for at, (kind, sign) in enumerate(_SIDES):
            room = self._room(flow, kind, sign)
            with np.errstate(invalid="ignore"):  # NaN is a dead bus or no solution: never near
                is_near = room < nearness.of(kind)
            if kind == BUS:
                is_near &= self._is_extreme(room, is_near)
            element, interval = np.nonzero(is_near)
            found.append(self._first[at] + element * self._intervals + interval)
        return np.concatenate(found)

    def at_all_times(self, sides: Positions) -> Positions:
        """The same limits in every interval."""
        first = sides - (sides - self._first[self._parts(sides)[0]]) % self._intervals
        return np.unique(first[:, np.newaxis] + np.arange(self._intervals)).ravel()

    def watched(self, sides: Positions) -> Watched:
        """The values behind `sides`."""
        side, within = self._parts(sides)
        kind = np.array([kind for kind, _ in _SIDES])[side]
        return Watched(kind, within // self._intervals, within % self._intervals)

    def name(self, side: int) -> str:
        """A side in words, without its interval."""
        (at,), (within,) = self._parts(np.array([side]))
        kind, sign = _SIDES[at]
        table = {BUS: self.grid.buses, LINE: self.grid.lines, TRANSFORMER: self.grid.transformers}
        what = f"{'highest' if sign > 0 else 'lowest'} voltage" if kind == BUS else "loading"
        return f"{what} of {kind} {table[kind].label[within // self._intervals]}"

    def sign(self, sides: Positions) -> Floats:
        """1 where a value must not rise above its limit, -1 where it must not fall below."""
        return np.array([sign for _, sign in _SIDES])[self._parts(sides)[0]]

    def allowed(self, sides: Positions) -> Floats:
        """The limit of each side, or what it is without batteries where that is beyond it."""
        side, within = self._parts(sides)
        return self._pick([self._allowed(*one) for one in _SIDES], side, within)

    def values(self, flow: xr.Dataset, sides: Positions) -> Floats:
        """The value of each side in `flow`, NaN where it did not converge."""
        side, within = self._parts(sides)
        return self._pick([flow[_VALUES[kind]].to_numpy() for kind, _ in _SIDES], side, within)

    def worst(self, flow: xr.Dataset) -> float:
        """The largest excess over what is allowed, relative to it; 0 where nothing is broken.

        Infinite where an interval has no solution.
        """
        if not bool(flow["converged"].all()):
            return float("inf")
        excess = 0.0
        for kind, sign in _SIDES:
            share = -self._room(flow, kind, sign) / np.abs(self._allowed(kind, sign))
            if share.size and np.isfinite(share).any():
                excess = max(excess, float(np.nanmax(share)))
        return excess

    @property
    def _intervals(self) -> int:
        return int(self.baseline.sizes["time"])

    @cached_property
    def _first(self) -> Positions:
        """Number of the first side of each kind, and one past the last."""
        sizes = {BUS: len(self.grid.buses), LINE: len(self.grid.lines)}
        sizes[TRANSFORMER] = len(self.grid.transformers)
        return np.cumsum([0, *(sizes[kind] * self._intervals for kind, _ in _SIDES)])

    def _parts(self, sides: Positions) -> tuple[Positions, Positions]:
        """For each side its row in `_SIDES`, and its place in that one's (element, interval)."""
        side = np.searchsorted(self._first, sides, side="right") - 1
        return side, sides - self._first[side]

    def _pick(self, arrays: list[Floats], side: Positions, within: Positions) -> Floats:
        found = np.empty(side.size)
        for at, array in enumerate(arrays):
            mine = side == at
            found[mine] = array.ravel()[within[mine]]
        return found

    def _allowed(self, kind: str, sign: float) -> Floats:
        """Shape (element, interval)."""
        if (kind, sign) not in self._allowed_by_side:
            grid = self.grid
            limit = {
                (BUS, 1.0): grid.buses.v_pu_max,
                (BUS, -1.0): grid.buses.v_pu_min,
                (LINE, 1.0): grid.lines.loading_max,
                (TRANSFORMER, 1.0): grid.transformers.loading_max,
            }[kind, sign]
            without = self.baseline[_VALUES[kind]].to_numpy()
            found = sign * np.fmax(sign * limit[:, np.newaxis], sign * without)
            self._allowed_by_side[kind, sign] = found
        return self._allowed_by_side[kind, sign]

    @cached_property
    def _allowed_by_side(self) -> dict[tuple[str, float], Floats]:
        return {}

    def _room(self, flow: xr.Dataset, kind: str, sign: float) -> Floats:
        """How far each value may still go, negative where it is beyond; (element, interval)."""
        allowed = self._allowed(kind, sign)
        return np.asarray(sign * (allowed - flow[_VALUES[kind]].to_numpy()))

    def _is_extreme(self, room: Floats, is_near: Booleans) -> Booleans:
        """Whether no bus at the other end of a line, nor one before it at the same node, is nearer.

        Buses that are as near as each other are told apart by their place.
        """
        rows, intervals = np.flatnonzero(is_near.any(axis=1)), is_near.any(axis=0)
        extreme = np.ones_like(is_near)
        here, there = self._neighbours
        wanted = np.isin(here, rows)
        here, there = here[wanted], there[wanted]
        mine, other = room[np.ix_(here, intervals)], room[np.ix_(there, intervals)]
        with np.errstate(invalid="ignore"):
            nearer = (other < mine) | ((other == mine) & (there < here)[:, np.newaxis])
        beaten = np.zeros((len(self.grid.buses), int(intervals.sum())), dtype=bool)
        np.logical_or.at(beaten, here, nearer)
        extreme[:, intervals] = ~beaten
        return extreme

    @cached_property
    def _neighbours(self) -> tuple[Positions, Positions]:
        """Pairs of buses joined by a line, and of buses at one node, each pair both ways."""
        model = self.grid.model
        alive = np.flatnonzero(model.node_of_bus >= 0)
        first = np.full(model.node_count, -1, dtype=np.int64)
        first[model.node_of_bus[alive[::-1]]] = alive[::-1]
        is_line = model.branch_line >= 0
        ends = [first[model.from_node[is_line]], first[model.to_node[is_line]]]
        fused = alive[first[model.node_of_bus[alive]] != alive]
        ends[0] = np.concatenate([ends[0], fused])
        ends[1] = np.concatenate([ends[1], first[model.node_of_bus[fused]]])
        joined = (ends[0] >= 0) & (ends[1] >= 0)
        a, b = ends[0][joined], ends[1][joined]
        return np.concatenate([a, b]), np.concatenate([b, a])
