"""From the batteries' weights in a watched value to the rows that the optimiser reads.

A row has one entry for each area whose batteries weigh nearly the same, and one for each battery
elsewhere. That is exact at the operating point, because the row's bound is taken with the same
weights; only its slope is rounded. A row that is left with one area and nothing else is a limit of
that area.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.problem import NetworkRows

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Positions = npt.NDArray[np.int64]

WEIGHT_LEAST = 0.01
"""Smaller weights, relative to a row's largest, are left out: what they do is found by the next
power flow. A battery that weighs a hundredth of another is no means to mend what that one does."""
SPREAD_MOST = 0.10
"""Batteries of an area whose weights differ by no more than this share of the row's largest are one
entry."""


@dataclass(frozen=True, eq=False)
class Places:
    """Where the batteries sit among the bounded areas.

    Attributes:
        area: shape (N,), place of the smallest bounded area around each battery, or -1.
        parent: shape (A,), of each area the next around it, or -1; an area comes after it.
        rated_kw: shape (N,), rated power.
        fixed_kw: shape (A, T), load less generation of the sites in each area.
    """

    area: Positions
    parent: Positions
    rated_kw: Floats
    fixed_kw: Floats


@dataclass(frozen=True, eq=False)
class Entries:
    """Weights of rows on areas and batteries, the largest of each row scaled to one.

    Attributes:
        scale: shape (R,), what one of the scaled row is worth in the value.
        area_weight: shape (R, A), 0 where the row has no such entry.
        row, battery, weight: entries on single batteries, by row.
    """

    scale: Floats
    area_weight: Floats
    row: Positions
    battery: Positions
    weight: Floats

    def sums(self, p_kw: Floats, area_kw: Floats, interval: Positions) -> Floats:
        """Each row's Σ weight · P with the batteries at `p_kw` (N, T), of which `area_kw` (A, T)
        is the sum by area, in `interval` (R,). Shape (R,)."""
        by_area = np.einsum("ra,ar->r", self.area_weight, area_kw[:, interval])
        of_battery = self.weight * p_kw[self.battery, interval[self.row]]
        alone = np.bincount(self.row, of_battery, self.scale.size)
        return np.asarray(by_area + alone)


def area_sums(places: Places, p_kw: Floats) -> Floats:
    """Sum of the batteries' `p_kw` (N, T) by bounded area, nested areas included: (A, T)."""
    totals = np.zeros((places.parent.size + 1, p_kw.shape[1]))
    np.add.at(totals, places.area, p_kw)
    for at in range(places.parent.size - 1, -1, -1):
        totals[places.parent[at]] += totals[at]
    return totals[:-1]


def entries(weights: Floats, places: Places) -> Entries:
    """The entries that stand for `weights`, shape (R, N); see the module's text."""
    scale = np.abs(weights).max(axis=1, initial=0.0)
    scaled = weights / np.where(scale > 0, scale, 1.0)[:, None]
    row, battery = np.nonzero(np.abs(scaled) >= WEIGHT_LEAST)
    weight = scaled[row, battery]
    low, high, mean = _by_area(row, battery, weight, scale.size, places)
    alike = high - low <= SPREAD_MOST
    area_weight = np.zeros_like(mean)
    covered = np.zeros((scale.size, places.parent.size + 1), dtype=bool)
    for at, around in enumerate(places.parent.tolist()):
        area_weight[:, at] = np.where(alike[:, at] & ~covered[:, around], mean[:, at], 0.0)
        covered[:, at] = alike[:, at] | covered[:, around]
    alone = ~covered[row, places.area[battery]]
    return Entries(scale, area_weight, row[alone], battery[alone], weight[alone])


def _by_area(
    row: Positions, battery: Positions, weight: Floats, rows: int, places: Places
) -> tuple[Floats, Floats, Floats]:
    """Least, largest and mean weight of each area's batteries, shape (R, A) each.

    The mean counts each battery with its rated power; weights that were left out count as zero.
    """
    width = places.parent.size + 1
    at = row * width + places.area[battery] % width  # -1, in no area, is the last column
    low, high = np.zeros(rows * width), np.zeros(rows * width)
    members = np.bincount(places.area % width, minlength=width)
    whole = np.bincount(at, minlength=rows * width) == np.tile(members, rows)
    low[whole], high[whole] = np.inf, -np.inf
    np.minimum.at(low, at, weight)
    np.maximum.at(high, at, weight)
    total = np.bincount(at, weight * places.rated_kw[battery], rows * width)
    shape = (rows, width)
    low, high, total = low.reshape(shape), high.reshape(shape), total.reshape(shape)
    rated = np.bincount(places.area % width, places.rated_kw, width)
    for one in range(width - 2, -1, -1):
        around = places.parent[one]
        low[:, around] = np.minimum(low[:, around], low[:, one])
        high[:, around] = np.maximum(high[:, around], high[:, one])
        total[:, around] += total[:, one]
        rated[around] += rated[one]
    mean = total / np.where(rated > 0, rated, 1.0)
    return low[:, :-1], high[:, :-1], mean[:, :-1]


def network_rows(
    names: list[str],
    interval: Positions,
    found: Entries,
    bounds: tuple[Floats, Floats],
    places: Places,
    first_area_group: int,
    breach_price_per_kwh: float,
) -> NetworkRows:
    """The rows of the normal form.

    Args:
        names: of the rows.
        interval: shape (R,).
        found: their entries.
        bounds: least and most of Σ weight · P of the *batteries*, shape (R,) each.
        places: the bounded areas.
        first_area_group: group of the first bounded area in the problem.
        breach_price_per_kwh: of the rows. They are a model, of which the power flow is the judge:
            a plan that a row alone speaks against is not to be refused for that.
    """
    row, area = np.nonzero(found.area_weight)
    all_rows = np.concatenate([row, found.row])
    order = np.argsort(all_rows, kind="stable")
    unit = np.concatenate([np.full(row.size, -1, dtype=np.int64), found.battery])[order]
    group = np.concatenate([area + first_area_group, np.full(found.row.size, -1)])[order]
    weight = np.concatenate([found.area_weight[row, area], found.weight])[order]
    # A group's net holds what its sites draw anyway.
    fixed = found.area_weight[row, area] * places.fixed_kw[area, interval[row]]
    drawn = np.bincount(row, fixed, len(names))
    start = np.concatenate([[0], np.cumsum(np.bincount(all_rows, minlength=len(names)))])
    return NetworkRows(
        row_id=tuple(names),
        where=tuple(names),
        interval=interval,
        entry_start=start.astype(np.int64),
        entry_unit=unit,
        entry_group=group.astype(np.int64),
        weight=weight,
        p_kw_max=bounds[1] + drawn,
        p_kw_min=bounds[0] + drawn,
        breach_price_per_kwh=np.full(len(names), breach_price_per_kwh),
    )
