"""What the net of a group costs: a sum of convex functions with one kink each.

A limit has a kink at each of its bounds, a meter with two prices one at 0, a committed position one
at its power.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.engine.slopes import edges_within, has_two_prices

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

LIMIT_MAX, LIMIT_MIN, METER, POSITION = range(4)


@dataclass(frozen=True, eq=False)
class Kinks:
    """Costs of nets; n of them, or K of each of m groups, filled up with nothing.

    Attributes:
        kind: shape (n,) or (m, K), one of the kinds above, −1 for nothing.
        item: the limit, site or position.
        group: shape (n,), whose net it is.
        at: shape (n, T) or (m, K, T), kW; infinite where there is none.
        low: slopes below it, in currency per kW and interval.
        high: slopes above it.
    """

    kind: Ints
    item: Ints
    group: Ints
    at: Floats
    low: Floats
    high: Floats


def net_kinks(problem: DispatchProblem) -> Kinks:
    """Every kink of every net, by kind."""
    limits, groups, positions = problem.limits, problem.groups, problem.positions
    step_h = problem.grid.step_h
    per_kwh = np.where(limits.is_firm, problem.firm_price_per_kwh, limits.breach_price_per_kwh)
    breach = per_kwh[:, None] * step_h
    none = np.zeros_like(breach)
    sites = np.flatnonzero(has_two_prices(problem)) if len(groups) else np.zeros(0, np.int64)
    buy, sell = groups.price_import_per_kwh[sites], groups.price_export_per_kwh[sites]
    above, below = positions.price_above_per_kwh, positions.price_below_per_kwh
    shape = (len(positions), len(step_h))
    parts = [
        (LIMIT_MAX, limits.group, limits.p_kw_max, none, breach),
        (LIMIT_MIN, limits.group, limits.p_kw_min, -breach, none),
        (METER, sites, np.zeros_like(buy), sell * step_h, buy * step_h),
        (POSITION, positions.group, positions.p_kw.reshape(shape),
         -below.reshape(shape) * step_h, above.reshape(shape) * step_h),
    ]  # fmt: skip
    at, low, high = (np.concatenate([part[column] for part in parts]) for column in (2, 3, 4))
    bends = np.isfinite(at) & (high > low)
    items = [sites if part[0] == METER else np.arange(len(part[1])) for part in parts]
    return Kinks(
        kind=np.repeat([part[0] for part in parts], [len(part[1]) for part in parts]),
        item=np.concatenate(items),
        group=np.concatenate([part[1] for part in parts]),
        at=np.where(bends, at, -np.inf),
        low=np.where(bends | (low == high), low, 0.0),
        high=np.where(bends | (low == high), high, 0.0),
    )


def by_group(kinks: Kinks, groups: Ints) -> Kinks:
    """The kinks of some groups, shapes (m, K)."""
    place = {int(group): at for at, group in enumerate(groups)}
    owner = np.array([place.get(group, -1) for group in kinks.group.tolist()], dtype=np.int64)
    mine = np.flatnonzero(owner >= 0)
    mine = mine[np.argsort(owner[mine], kind="stable")]
    rank = np.arange(len(mine)) - np.searchsorted(owner[mine], owner[mine])
    shape = (len(groups), int(rank.max(initial=-1)) + 1)
    to = (owner[mine], rank)

    def spread(values: npt.NDArray[Any], empty: float) -> npt.NDArray[Any]:
        found = np.full((*shape, *values.shape[1:]), empty, dtype=values.dtype)
        found[to] = values[mine]
        return found

    return Kinks(
        kind=spread(kinks.kind, -1),
        item=spread(kinks.item, 0),
        group=groups,
        at=spread(kinks.at, -np.inf),
        low=spread(kinks.low, 0.0),
        high=spread(kinks.high, 0.0),
    )


def net_pieces(kinks: Kinks, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Pieces of nets between `low` and `high`: edges and slopes.

    Args:
        kinks: by group, of m groups.
        low: shape (m, T), the least net.
        high: shape (m, T), the largest.

    Returns:
        Edges, shape (m, K + 2, T), and slopes in currency per kW and interval, shape (m, K + 1, T).
    """
    edges = edges_within(kinks.at, low, high)
    middle = 0.5 * (edges[:, 1:] + edges[:, :-1])
    slope = np.zeros_like(middle)
    for rank in range(kinks.at.shape[1]):
        one = slice(rank, rank + 1)
        slope += np.where(middle > kinks.at[:, one], kinks.high[:, one], kinks.low[:, one])
    return edges, slope


def share_price(price: Floats, net: Floats, kinks: Kinks) -> Floats:
    """Slopes of the single costs that add up to a price, as far as they can.

    Away from its kink a cost knows its slope; what is left over goes to the kinks nearest the net.

    Args:
        price: shape (m, T), of one more kW of each net.
        net: shape (m, T), kW.
        kinks: by group.

    Returns:
        Shape (m, K, T).
    """
    slope = np.where(net[:, None] > kinks.at, kinks.high, kinks.low)
    left = price - slope.sum(axis=1)
    far = np.abs(net[:, None] - kinks.at)
    nearest = np.argsort(far, axis=1, kind="stable")
    for rank in range(kinks.at.shape[1]):
        pick = nearest[:, rank : rank + 1]
        now = np.take_along_axis(slope, pick, axis=1)[:, 0]
        least = np.take_along_axis(kinks.low, pick, axis=1)[:, 0]
        most = np.take_along_axis(kinks.high, pick, axis=1)[:, 0]
        then = np.clip(now + left, least, most)
        np.put_along_axis(slope, pick, then[:, None], axis=1)
        left = left - (then - now)
    return slope
