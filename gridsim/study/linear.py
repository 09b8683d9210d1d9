"""The grid near an operating point, as limits of areas and rows over batteries.

A watched value y is taken as linear in the batteries' powers P of its interval:

    y(P) ≈ y₀ + Σ w (P − P₀)        allowed:  ± y(P) ≤ ± limit − margin

with y₀ and w from a solved power flow at P₀. Which values are watched, and how far the linear model
has been off, is carried from round to round in `Experience`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from gridsim.grid import Watch, sensitivities
from gridsim.study.rows import Entries, area_sums, entries, network_rows

if TYPE_CHECKING:
    import numpy.typing as npt

    from gridsim.grid import OperatingPoint, PowerFlow
    from gridsim.study.ratings import AreaBounds
    from gridsim.study.rows import Places
    from optimizer.problem import NetworkRows

    Floats = npt.NDArray[np.float64]
    Positions = npt.NDArray[np.int64]

MARGIN_FIRST = {"bus": 3e-4, "line": 2.5e-3, "transformer": 2.5e-3}
"""What is held back of a value that was not watched before, beside `MARGIN_LEAST`. Also the most of
a round's error that is held back in the next, where steps are far smaller."""
MARGIN_KEPT = 0.5
"""Share of a margin that is still held back a round later, once its value has come to its limit and
nothing was wrong."""
MARGIN_LEAST = {"bus": 2e-5, "line": 3e-4, "transformer": 3e-4}
"""What is always held back: per unit, and fractions of a rating."""


@dataclass(frozen=True, eq=False)
class Experience:
    """What earlier rounds have taught.

    Attributes:
        sides: numbers of the watched sides (`Watch`), ascending.
        margin: shape (S,), held back from each limit, in the value's unit.
        beyond: shape (S,), by how much the value in other cases than the plan's own (twins that
            lag, drawn fleets) lies nearer to the limit.
    """

    sides: Positions = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    margin: Floats = field(default_factory=lambda: np.zeros(0))
    beyond: Floats = field(default_factory=lambda: np.zeros(0))

    def watching(self, watch: Watch, sides: Positions) -> Experience:
        """These and more sides."""
        every = np.union1d(self.sides, sides)
        at = np.searchsorted(every, self.sides)
        margin, beyond = first_margin(watch, every), np.zeros(every.size)
        margin[at], beyond[at] = self.margin, self.beyond
        return Experience(every, margin, beyond)

    def with_error(self, sides: Positions, error: Floats, most: Floats, room: Floats) -> Experience:
        """What the model of `sides` was too hopeful by is held back from now on.

        Args:
            sides: that the model had.
            error: shape (S,), how much nearer to the limit their values came than it had said.
            most: shape (S,), that is held back at most.
            room: shape (S,), how far the values stayed from their limits.
        """
        at = np.searchsorted(self.sides, sides)
        margin = self.margin.copy()
        came_near = np.abs(room) < most
        margin[at] *= np.where(came_near, MARGIN_KEPT, 1.0)
        margin[at] = np.maximum(margin[at], np.clip(error, 0.0, most))
        return replace(self, margin=margin)

    def with_case(self, excess: Floats) -> Experience:
        """Another case was nearer to the limits by `excess`, shape (S,)."""
        return replace(self, beyond=np.fmax(self.beyond, excess))


def first_margin(watch: Watch, sides: Positions) -> Floats:
    """`MARGIN_FIRST` of each side, shape (S,)."""
    return np.array([MARGIN_FIRST[kind] for kind in watch.watched(sides).kind.tolist()])


@dataclass(frozen=True, eq=False)
class LinearGrid:
    """The grid at one operating point.

    Attributes:
        bounds: of the areas: ratings, or better where a transformer is watched.
        network: rows for all that is not a limit of one area.
        sides: the watched sides.
        value: shape (S,), at the operating point.
    """

    bounds: AreaBounds
    network: NetworkRows
    sides: Positions
    value: Floats
    _entries: Entries = field(repr=False)
    _sums: Floats = field(repr=False)
    _interval: Positions = field(repr=False)

    def predicted(self, p_kw: Floats, places: Places) -> Floats:
        """What the model says of the watched values with the batteries at `p_kw` (N, T)."""
        sums = self._entries.sums(p_kw, area_sums(places, p_kw), self._interval)
        return np.asarray(self.value + self._entries.scale * (sums - self._sums))


def linearise(
    watch: Watch,
    power_flow: PowerFlow,
    point: OperatingPoint,
    p_kw: Floats,
    experience: Experience,
    ratings: AreaBounds,
    places: Places,
    first_area_group: int,
    breach_price_per_kwh: float,
) -> LinearGrid:
    """The linear model of all sides that `experience` watches.

    Args:
        watch: the grid's limits.
        power_flow: the batteries' places.
        point: solved at `p_kw`; sides in intervals without a solution are left out.
        p_kw: shape (N, T).
        experience: what is watched, and with which margins.
        ratings: bounds of areas where nothing better is known.
        places: the bounded areas.
        first_area_group: group of the first of them in the problem.
        breach_price_per_kwh: of rows over batteries, see `network_rows`.
    """
    solved = point.flow["converged"].to_numpy()[watch.watched(experience.sides).interval]
    sides = experience.sides[solved]
    watched, sign = watch.watched(sides), watch.sign(sides)
    value, allowed = watch.values(point.flow, sides), watch.allowed(sides)
    found = entries(sensitivities(power_flow, point, watched), places)
    sums = found.sums(p_kw, area_sums(places, p_kw), watched.interval)
    least = np.array([MARGIN_LEAST[kind] for kind in watched.kind.tolist()])
    held_back = least + experience.margin[solved] + experience.beyond[solved]
    room = sign * (allowed - value) - held_back
    scale = np.where(found.scale > 0, found.scale, np.inf)
    bound = sums + sign * room / scale
    low, high = np.where(sign < 0, bound, -np.inf), np.where(sign > 0, bound, np.inf)
    is_limit = _is_limit(found)
    bounds = _area_bounds(watch, ratings, found, is_limit, watched.interval, (low, high), sides)
    rows = np.flatnonzero(~is_limit & (found.scale > 0))
    names = [watch.name(side) for side in sides[rows].tolist()]
    network = network_rows(
        names, watched.interval[rows], _select(found, rows), (low[rows], high[rows]), places,
        first_area_group, breach_price_per_kwh,
    )  # fmt: skip
    return LinearGrid(bounds, network, sides, value, found, sums, watched.interval)


def _is_limit(found: Entries) -> npt.NDArray[np.bool_]:
    """Rows with one area and nothing else."""
    alone = np.bincount(found.row, minlength=found.scale.size) == 0
    return np.asarray(alone & ((found.area_weight != 0).sum(axis=1) == 1))


def _select(found: Entries, rows: Positions) -> Entries:
    place = np.full(found.scale.size, -1, dtype=np.int64)
    place[rows] = np.arange(rows.size)
    kept = place[found.row] >= 0
    return Entries(
        found.scale[rows],
        found.area_weight[rows],
        place[found.row[kept]],
        found.battery[kept],
        found.weight[kept],
    )


def _area_bounds(
    watch: Watch,
    ratings: AreaBounds,
    found: Entries,
    is_limit: npt.NDArray[np.bool_],
    interval: Positions,
    bound: tuple[Floats, Floats],
    sides: Positions,
) -> AreaBounds:
    """The ratings' bounds, released where the transformer itself is watched, and the rows that are
    limits of one area."""
    top, bottom = ratings.p_kw_max.copy(), ratings.p_kw_min.copy()
    watched = watch.watched(sides)
    fed = np.full(sides.size, -1, dtype=np.int64)
    of = watched.kind == "transformer"
    place = {row: at for at, row in enumerate(ratings.rows.tolist())}
    owner = ratings.tree.of_transformer[watched.position[of]]
    fed[of] = [place.get(area, -1) for area in owner.tolist()]
    draws = found.area_weight.sum(axis=1) + np.bincount(found.row, found.weight, sides.size) > 0
    for at in np.flatnonzero(fed >= 0).tolist():
        (top if draws[at] else bottom)[fed[at], interval[at]] = np.inf if draws[at] else -np.inf
    low, high = bound
    for at in np.flatnonzero(is_limit).tolist():
        (area,) = np.flatnonzero(found.area_weight[at])
        weight, t = found.area_weight[at, area], interval[at]
        most, least = (high, low) if weight > 0 else (low, high)
        # Rest breaks nothing that is not broken without batteries: a limit always leaves it.
        top[area, t] = min(top[area, t], max(most[at] / weight, 0.0))
        bottom[area, t] = max(bottom[area, t], min(least[at] / weight, 0.0))
    return ratings.with_limits(top, bottom)
