"""The controllers' five-minute clock, and how a time grid falls into pieces of it.

A battery's controller refreshes its limits on a clock of its own, whatever the intervals of a plan.
The twin does the same: it walks from tick to tick of a clock anchored at UTC, and an interval's
edge between two ticks only splits the walk. That is what makes replay independent of step length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from twins.timegrid import TimeGrid

TICK_H = 1 / 12
TICK_NS = 300_000_000_000
_NS_PER_HOUR = 3_600_000_000_000


@dataclass(frozen=True)
class Pieces:
    """A time grid cut at every tick; P pieces, none of which holds a tick or an edge inside.

    Attributes:
        first: shape (N+1,): interval ``t`` is the pieces ``first[t]`` to ``first[t+1] - 1``.
        hours: shape (P,): each piece's length.
        since_tick_h: shape (P,): hours from the last tick (or the grid's start) to its end.
        closes: shape (P,): whether it ends on a tick.
        ambient_c: shape (P,): mean ambient temperature over `since_tick_h`, °C.
    """

    first: npt.NDArray[np.int64]
    hours: npt.NDArray[np.float64]
    since_tick_h: npt.NDArray[np.float64]
    closes: npt.NDArray[np.bool_]
    ambient_c: npt.NDArray[np.float64]


def cut(grid: TimeGrid, ambient_c: npt.NDArray[np.float64]) -> Pieces:
    """The pieces of `grid`, with the ambient temperature of each interval, shape (N,)."""
    instants = grid.instants.astype(np.int64)
    ticks = np.arange(-(-instants[0] // TICK_NS), instants[-1] // TICK_NS + 1) * TICK_NS
    edges = np.union1d(instants, ticks)
    ends = edges[1:]
    hours = np.diff(edges) / _NS_PER_HOUR
    closes = ends % TICK_NS == 0
    # The walk since the last tick starts at that tick, or at the grid's own start.
    began = np.maximum((ends - 1) // TICK_NS * TICK_NS, instants[0])
    first = np.searchsorted(edges, instants)
    interval = np.searchsorted(instants, edges[:-1], side="right") - 1
    since_tick_h = (ends - began) / _NS_PER_HOUR
    return Pieces(
        first=first.astype(np.int64),
        hours=hours,
        since_tick_h=since_tick_h,
        closes=closes,
        ambient_c=_mean_since_tick(ambient_c[interval], hours, closes),
    )


def _mean_since_tick(
    ambient_c: npt.NDArray[np.float64],
    hours: npt.NDArray[np.float64],
    closes: npt.NDArray[np.bool_],
) -> npt.NDArray[np.float64]:
    """Time-weighted running mean of a piecewise constant, begun anew after each tick."""
    mean = ambient_c.copy()
    split = np.flatnonzero(~closes[:-1]) + 1
    passed = hours.copy()
    for at in split:
        passed[at] += passed[at - 1]
        share = hours[at] / passed[at]
        mean[at] = mean[at - 1] + share * (ambient_c[at] - mean[at - 1])
    return mean
