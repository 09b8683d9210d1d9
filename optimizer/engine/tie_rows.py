"""Which ramps of nets and which priced peaks can bind, and the boxes that belong to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from optimizer.engine.boxes import LEAST
from optimizer.engine.slopes import edges_within

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Flags = npt.NDArray[np.bool_]

PEAK_MAX, PEAK_MIN, RAMP = range(3)


class TiePrices(NamedTuple):
    """Prices of such rows, shapes (n,): kind, limit and interval of each, and its multiplier."""

    kind: Ints
    limit: Ints
    interval: Ints
    price: Floats


_PIECES = 3


@dataclass(frozen=True, eq=False)
class TieRows:
    """Rows between the intervals of nets; E rows and J tops, sorted by node.

    Attributes:
        kind: shape (E,), one of the kinds above.
        limit, interval: shape (E,), where the row's price goes.
        group: shape (E,), index of the group's place among those asked for; then of its node.
        lower: shape (E,), see `Ties`; a top is T and its rank within the node.
        known: shape (E,), power before the horizon.
        edges, slope: shapes (E, 4) and (E, 3), of the row's own variable.
        top_group: shape (J,).
        top_low, top_high, top_cost: shape (J,), the largest breach; negative for a lower side.
    """

    kind: Ints
    limit: Ints
    interval: Ints
    group: Ints
    lower: Ints
    known: Floats
    edges: Floats
    slope: Floats
    top_group: Ints
    top_low: Floats
    top_high: Floats
    top_cost: Floats

    def touched(self, groups: int, intervals: int) -> Flags:
        """Nets that stand in a row, shape (m, T)."""
        found = np.zeros((groups, intervals), dtype=bool)
        found[self.group, self.interval] = True
        before = (self.lower >= 0) & (self.lower < intervals)
        found[self.group[before], self.lower[before]] = True
        return found

    def prices_at(self, price: Floats, groups: int, intervals: int) -> Floats:
        """Sum of the rows' prices at each net, shape (m, T)."""
        found = np.zeros((groups, intervals))
        np.add.at(found, (self.group, self.interval), price)
        before = (self.lower >= 0) & (self.lower < intervals)
        np.subtract.at(found, (self.group[before], self.lower[before]), price[before])
        return found

    def of(self, place: Ints) -> TieRows:
        """The same for groups that have moved to a `place`; those without one (−1) are left out."""
        mine, tops = place[self.group] >= 0, place[self.top_group] >= 0
        rows = {name: getattr(self, name)[mine] for name in _ROWS}
        found = {name: getattr(self, name)[tops] for name in _TOPS}
        rows["group"], found["top_group"] = place[rows["group"]], place[found["top_group"]]
        row, top = (
            np.argsort(rows["group"], kind="stable"),
            np.argsort(found["top_group"], kind="stable"),
        )
        return TieRows(
            **{name: column[row] for name, column in rows.items()},
            **{name: column[top] for name, column in found.items()},
        )


_ROWS = ("kind", "limit", "interval", "group", "lower", "known", "edges", "slope")
_TOPS = ("top_group", "top_low", "top_high", "top_cost")


def find_ties(problem: DispatchProblem, groups: Ints, low: Floats, high: Floats) -> TieRows:
    """The rows that powers can break; those of nets that cannot move have fixed prices instead.

    Args:
        problem: what is asked.
        groups: shape (m,), indices, `NO_GROUP` for the whole.
        low: shape (m, T), the least net that powers allow.
        high: shape (m, T), the largest.
    """
    limits, intervals = problem.limits, len(problem.grid)
    place = {int(group): at for at, group in enumerate(groups)}
    moves = (high - low).max(axis=1, initial=0.0) > LEAST
    rows: dict[str, list[npt.NDArray[np.generic]]] = {name: [] for name in _ROWS}
    tops: dict[str, list[float]] = {name: [] for name in _TOPS}
    used = np.zeros(len(groups), dtype=np.int64)

    def add(
        kind: int, limit: int, at: int, t: Ints, lower: Ints, edges: Floats, slope: Floats
    ) -> None:
        count = len(t)
        known = limits.p_kw_initial[limit] if kind == RAMP else 0.0
        columns = (
            np.full(count, kind), np.full(count, limit), t, np.full(count, at), lower,
            np.where(lower < 0, known, 0.0), edges, slope,
        )  # fmt: skip
        for name, column in zip(_ROWS, columns, strict=True):
            rows[name].append(column)

    tied = np.flatnonzero((limits.breach_price_per_kw > 0) | limits.has_ramp)
    for limit in tied.tolist():
        at = place.get(int(limits.group[limit]), -1)
        if at < 0 or not moves[at]:
            continue
        for kind, sign in ((PEAK_MAX, 1.0), (PEAK_MIN, -1.0)):
            if limits.breach_price_per_kw[limit] <= 0:
                continue
            found = _peak(problem, limit, sign, low[at], high[at])
            if found is None:
                continue
            t, edges, most = found
            add(
                kind,
                limit,
                at,
                t,
                np.full(len(t), intervals + used[at]),
                edges,
                np.zeros((len(t), _PIECES)),
            )
            used[at] += 1
            values = (at, min(0.0, sign * most), max(0.0, sign * most),
                      sign * limits.breach_price_per_kw[limit])  # fmt: skip
            for name, value in zip(_TOPS, values, strict=True):
                tops[name].append(float(value))
        if limits.has_ramp[limit]:
            t, edges, slope = _ramp(problem, limit, low[at], high[at])
            add(RAMP, limit, at, t, t - 1, edges, slope)
    none = {
        "edges": np.zeros((0, _PIECES + 1)),
        "slope": np.zeros((0, _PIECES)),
        "known": np.zeros(0),
    }
    whole = np.zeros(0, dtype=np.int64)
    columns = {name: np.concatenate([none.get(name, whole), *rows[name]]) for name in _ROWS}
    numbers = {name: np.array(tops[name], dtype=float) for name in _TOPS}
    numbers["top_group"] = numbers["top_group"].astype(np.int64)
    return TieRows(**columns, **numbers).of(np.arange(len(groups)))


def fixed_prices(problem: DispatchProblem, groups: Ints, low: Floats, high: Floats) -> TiePrices:
    """Prices of the rows of nets that cannot move, from what they are; arguments as `find_ties`."""
    limits = problem.limits
    place = {int(group): at for at, group in enumerate(groups)}
    found: list[tuple[int, int, int, float]] = []
    for limit in np.flatnonzero((limits.breach_price_per_kw > 0) | limits.has_ramp).tolist():
        at = place.get(int(limits.group[limit]), -1)
        if at < 0 or (high[at] - low[at]).max() > LEAST:
            continue
        net, price = 0.5 * (low[at] + high[at]), limits.breach_price_per_kw[limit]
        for kind, sign, edge in (
            (PEAK_MAX, 1.0, limits.p_kw_max[limit]),
            (PEAK_MIN, -1.0, limits.p_kw_min[limit]),
        ):
            breach = sign * (net - edge)
            if price > 0 and breach.max() > 0:
                found.append((kind, limit, int(breach.argmax()), sign * price))
        if limits.has_ramp[limit]:
            t, edges, slope = _ramp(problem, limit, net, net)
            change = net - np.concatenate([limits.p_kw_initial[[limit]], net[:-1]])
            piece = (change[t, None] > edges[:, 1:-1]).sum(axis=1)
            paid = slope[np.arange(len(t)), piece]
            found += [(RAMP, limit, *pair) for pair in zip(t.tolist(), paid.tolist(), strict=True)]
    columns = np.array(found, dtype=float).reshape(len(found), 4).T
    kind, limit, interval = columns[:3].astype(np.int64)
    return TiePrices(kind, limit, interval, columns[3])


def _peak(
    problem: DispatchProblem, limit: int, sign: float, low: Floats, high: Floats
) -> tuple[Ints, Floats, float] | None:
    """Intervals that can be above (or below) a limit, their edges, and the largest breach."""
    limits = problem.limits
    edge = limits.p_kw_max[limit] if sign > 0 else limits.p_kw_min[limit]
    breach = high - edge if sign > 0 else edge - low
    t = np.flatnonzero(breach > LEAST)
    if not len(t):
        return None
    most = 1.05 * float(breach[t].max()) + 1.0
    away = np.abs(high - low)[t] + most + np.abs(np.where(sign > 0, low, high)[t] - edge[t]) + 1.0
    ends = np.stack([edge[t] - sign * away, edge[t]], axis=1)
    ends = np.sort(ends, axis=1)
    edges = np.concatenate([ends, np.repeat(ends[:, 1:], _PIECES - 1, axis=1)], axis=1)
    return t, edges, most


def _ramp(
    problem: DispatchProblem, limit: int, low: Floats, high: Floats
) -> tuple[Ints, Floats, Floats]:
    """Intervals into which the net can change too fast, their edges and slopes."""
    limits, step_h = problem.limits, problem.grid.step_h
    hours = (np.concatenate([step_h[:1], step_h[:-1]]) + step_h) / 2
    before = limits.p_kw_initial[limit]
    down, up = -limits.ramp_down_kw_per_h[limit] * hours, limits.ramp_up_kw_per_h[limit] * hours
    least = low - np.concatenate([[before], high[:-1]])
    most = high - np.concatenate([[before], low[:-1]])
    t = np.flatnonzero((most > up + LEAST) | (least < down - LEAST))
    clear = 0.05 * (most - least)[t] + 1.0
    edges = edges_within(np.stack([down, up], axis=1)[t], least[t] - clear, most[t] + clear)
    firm = limits.has_firm_ramp[limit]
    per_kwh = problem.firm_price_per_kwh if firm else limits.breach_price_per_kwh[limit]
    price = per_kwh * step_h[t]
    return t, edges, np.stack([-price, np.zeros_like(price), price], axis=1)
