"""The convex relaxation of one battery at given prices, and a schedule that it leads to.

`cost_to_go` goes backwards: each instant has a convex piecewise linear function of the stored
energy that no way on from there can undercut. Powers may be anything between nothing and the most;
an interval moves the function by merging two slopes into its own. `costs_found` goes forwards along
the few most promising energies and finds what some schedule of the battery costs.

With both, the search of `optimizer.certificate.pieces` leaves out every energy from which nothing
better than that schedule can come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from twins.jit import compiled

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

_SAME_ENERGY, _IN_BAND = 1e-12, 2e-9
_APART = 2e-3
"""Energies of the beam are this far apart at least, relative to the largest: else it fills up with
one and the same way."""


class Units(NamedTuple):
    """Batteries and what each of their choices costs; n rows.

    Attributes:
        start: shape (n,), stored energy at instant 0.
        kept: shape (n, T), share of the energy that outlasts the interval.
        inflow: shape (n, T), kWh.
        gain, drain: shape (n, T), stored kWh by kW.
        charge_min, discharge_min: shape (n,), kW.
        charge_max, discharge_max: shape (n, T), kW; 0 where the least power cannot be reached.
        levels: shape (n,), equal steps to full power, 0 for any power from the least to the most.
        charge_cost, discharge_cost: shape (n, T), of one kW.
        low, high: shape (n, T), energies at the instants 1 to T that are allowed; where the band
            yields, those that can be reached.
        energy_cost: shape (n, T), of one stored kWh at the instants 1 to T.
        kink_start: shape (n·T + 1,), the first kink of each row and instant.
        kink_at, kink_below, kink_above: further costs of stored energy e,
            ``below·min(0, e − at) + above·max(0, e − at)``.
        size: shape (n,), largest energy: what its rounding is relative to.
        money: shape (n,), sum of the sizes of all costs.
    """

    start: Floats
    kept: Floats
    inflow: Floats
    gain: Floats
    drain: Floats
    charge_min: Floats
    charge_max: Floats
    discharge_min: Floats
    discharge_max: Floats
    levels: Ints
    charge_cost: Floats
    discharge_cost: Floats
    low: Floats
    high: Floats
    energy_cost: Floats
    kink_start: Ints
    kink_at: Floats
    kink_below: Floats
    kink_above: Floats
    size: Floats
    money: Floats


class CostToGo(NamedTuple):
    """Convex functions by row and instant, as lines between knots.

    Attributes:
        energy, cost: shape (rows, T + 1, most knots).
        knots: shape (rows, T + 1), how many; 0 where nothing allowed lies ahead.
    """

    energy: Floats
    cost: Floats
    knots: Ints


def room_ahead(units: Units, first: int, last: int) -> CostToGo:
    """Empty functions for some rows, with room for all knots that they can have."""
    intervals = units.kept.shape[1]
    kinks = units.kink_start[first * intervals : last * intervals + 1]
    by_row = kinks[intervals::intervals] - kinks[:-1:intervals]
    shape = (last - first, intervals + 1, 2 * intervals + int(by_row.max(initial=0)) + 8)
    return CostToGo(np.empty(shape), np.empty(shape), np.zeros(shape[:2], dtype=np.int64))


@compiled
def cost_to_go(units: Units, first: int, last: int, ahead: CostToGo) -> None:
    """Fill `ahead`, whose rows are `first` to `last`: what follows an instant costs at least."""
    intervals, room = units.kept.shape[1], ahead.energy.shape[2]
    x, v = np.empty(room + 3), np.empty(room + 3)
    for i in range(first, last):
        row = i - first
        edge, close = _IN_BAND * units.size[i], _SAME_ENERGY * units.size[i]
        ahead.knots[row, :] = 0
        n = 2
        x[0], x[1] = units.low[i, intervals - 1] - edge, units.high[i, intervals - 1] + edge
        v[0] = v[1] = 0.0
        _store(ahead, row, intervals, x, v, n)
        for t in range(intervals - 1, -1, -1):
            n = _add_costs(units, i, t, x, v, n)
            n = _hull(x, v, n, close)
            n = _step_back(units, i, t, x, v, n)
            low, high = units.start[i], units.start[i]
            if t > 0:
                low, high = units.low[i, t - 1] - edge, units.high[i, t - 1] + edge
            n = _hull(x, v, _clip(x, v, n, low, high), close)
            if n == 0:
                break
            _store(ahead, row, t, x, v, n)


@compiled
def _store(ahead: CostToGo, row: int, t: int, x: Floats, v: Floats, n: int) -> None:
    ahead.energy[row, t, :n], ahead.cost[row, t, :n] = x[:n], v[:n]
    ahead.knots[row, t] = n


@compiled
def _add_costs(units: Units, i: int, t: int, x: Floats, v: Floats, n: int) -> int:
    """What stored energy costs at the end of an interval, with a knot at every kink."""
    cell = i * units.kept.shape[1] + t
    kinks = range(units.kink_start[cell], units.kink_start[cell + 1])
    for kink in kinks:
        at = units.kink_at[kink]
        if not x[0] < at < x[n - 1]:
            continue
        k = np.searchsorted(x[:n], at)
        if x[k] == at:
            continue
        cut = v[k - 1] + (v[k] - v[k - 1]) * ((at - x[k - 1]) / (x[k] - x[k - 1]))
        for tail in range(n, k, -1):
            x[tail], v[tail] = x[tail - 1], v[tail - 1]
        x[k], v[k] = at, cut
        n += 1
    for k in range(n):
        v[k] += units.energy_cost[i, t] * x[k]
        for kink in kinks:
            over = x[k] - units.kink_at[kink]
            v[k] += units.kink_below[kink] * min(0.0, over)
            v[k] += units.kink_above[kink] * max(0.0, over)
    return n


@compiled
def _hull(x: Floats, v: Floats, n: int, close: float) -> int:
    """The largest convex function below, in place.

    Knots that rounding alone keeps apart become one: their slope would be noise.
    """
    m = 0
    for k in range(n):
        if m > 0 and x[k] <= x[m - 1] + close:
            v[m - 1] = min(v[m - 1], v[k])
            continue
        while m > 1:
            rise = (v[m - 1] - v[m - 2]) * (x[k] - x[m - 1])
            if rise < (v[k] - v[m - 1]) * (x[m - 1] - x[m - 2]):
                break
            m -= 1
        x[m], v[m] = x[k], v[k]
        m += 1
    return m


@compiled
def _step_back(units: Units, i: int, t: int, x: Floats, v: Floats, n: int) -> int:
    """The same over the energy at an interval's start: two slopes merged in, then the losses."""
    rise = units.gain[i, t] * units.charge_max[i, t]
    fall = units.drain[i, t] * units.discharge_max[i, t]
    buys = units.charge_cost[i, t] / units.gain[i, t]
    sells = units.discharge_cost[i, t] / units.drain[i, t]
    one, one_length, two, two_length = -buys, rise, sells, fall
    if buys + sells < 0.0 and rise + fall > 0.0:
        # Both at once would pay; the hull of one direction at a time is a single line.
        one, two = (sells * fall - buys * rise) / (rise + fall), 0.0
        one_length, two_length = rise + fall, 0.0
    # A slope's place is before the first segment of the function that is steeper. The later goes
    # in first: it moves fewer knots.
    value = v[0] + buys * rise
    m = n
    for turn in range(2):
        slope, length = (two, two_length) if turn == 0 else (one, one_length)
        if length <= 0.0:
            continue
        k = m - 1
        while k > 0 and v[k] - v[k - 1] > slope * (x[k] - x[k - 1]):
            k -= 1
        for tail in range(m, k, -1):
            x[tail], v[tail] = x[tail - 1] + length, v[tail - 1] + slope * length
        x[k + 1], v[k + 1] = x[k] + length, v[k] + slope * length
        m += 1
    down, up = rise, value - v[0]
    for k in range(m):
        x[k] = (x[k] - down - units.inflow[i, t]) / units.kept[i, t]
        v[k] += up
    return m


@compiled
def _clip(x: Floats, v: Floats, n: int, low: float, high: float) -> int:
    """The function between `low` and `high`, in place; 0 where there is none."""
    low, high = max(low, x[0]), min(high, x[n - 1])
    if low > high:
        return 0
    at_low, at_high = _value(x, v, n, low), _value(x, v, n, high)
    m = 1
    for k in range(n):
        if low < x[k] < high:
            # Never ahead of its reading: at least the first knot is not inside.
            x[m], v[m] = x[k], v[k]
            m += 1
    x[0], v[0] = low, at_low
    if high > low:
        x[m], v[m] = high, at_high
        m += 1
    return m


@compiled
def _value(x: Floats, v: Floats, n: int, at: float) -> float:
    """A function at one energy, infinite outside."""
    if n == 0 or at < x[0] or at > x[n - 1]:
        return np.inf
    k = int(np.searchsorted(x[:n], at, side="right"))
    if k >= n:
        return float(v[n - 1])
    return float(v[k - 1] + (v[k] - v[k - 1]) * ((at - x[k - 1]) / (x[k] - x[k - 1])))


@compiled
def costs_found(
    units: Units,
    first: int,
    last: int,
    ahead: CostToGo,
    width: int,
    found: Floats,
    schedule: Floats,
) -> None:
    """Fill `found`, shape (rows,), and `schedule`, shape (rows, T), with a schedule and its cost.

    A beam: of all energies that the last ones lead to, the `width` best by cost so far and `ahead`
    that are not all but the same. The cost is infinite where no schedule was found. Charging power
    is positive.
    """
    intervals = units.kept.shape[1]
    energy, cost = np.empty((intervals + 1, width)), np.empty((intervals + 1, width))
    power, parent = np.empty((intervals + 1, width)), np.empty((intervals + 1, width), np.int64)
    rank = np.empty(width)
    powers = np.empty(2 * max(4, units.levels[first:last].max()) + 1)
    for i in range(first, last):
        row, edge, near = i - first, _SAME_ENERGY * units.size[i], _APART * units.size[i]
        energy[0, 0], cost[0, 0], count = units.start[i], 0.0, 1
        for t in range(intervals):
            n, knots = 0, ahead.knots[row, t + 1]
            x, v = ahead.energy[row, t + 1, :knots], ahead.cost[row, t + 1, :knots]
            low, high = units.low[i, t] - edge, units.high[i, t] + edge
            for k in range(count):
                rest = units.kept[i, t] * energy[t, k] + units.inflow[i, t]
                for turn in range(_choices(units, i, t, rest, x, v, powers)):
                    p_kw = powers[turn]
                    at, paid = rest, cost[t, k]
                    if p_kw > 0.0:
                        at += units.gain[i, t] * p_kw
                        paid += units.charge_cost[i, t] * p_kw
                    elif p_kw < 0.0:
                        at += units.drain[i, t] * p_kw
                        paid -= units.discharge_cost[i, t] * p_kw
                    if not (low <= at <= high and knots > 0 and x[0] <= at <= x[knots - 1]):
                        continue
                    paid += _cost_of_energy(units, i, t, at)
                    place = _place(energy[t + 1], rank, n, at, paid + _value(x, v, knots, at), near)
                    if place < 0:
                        continue
                    n = min(n + 1, width) if place >= width else n
                    place = place - width if place >= width else place
                    energy[t + 1, place], cost[t + 1, place] = at, paid
                    power[t + 1, place], parent[t + 1, place] = p_kw, k
                    rank[place] = paid + _value(x, v, knots, at)
            count = n
        found[row], best = np.inf, 0
        for k in range(count):
            if cost[intervals, k] < found[row]:
                found[row], best = cost[intervals, k], k
        for t in range(intervals, 0, -1):
            schedule[row, t - 1] = power[t, best] if count > 0 else 0.0
            best = parent[t, best] if count > 0 else 0


@compiled
def _place(energy: Floats, rank: Floats, n: int, at: float, score: float, near: float) -> int:
    """Where an energy goes in the beam: −1 nowhere, a place to replace, or `width` + a new place.

    An energy close to one that is there competes with that one, any other with the worst.
    """
    width, worst = len(rank), 0
    for k in range(n):
        if abs(energy[k] - at) <= near:
            return k if score < rank[k] else -1
        if rank[k] > rank[worst]:
            worst = k
    if n < width:
        return width + n
    return worst if score < rank[worst] else -1


@compiled
def _choices(
    units: Units, i: int, t: int, rest: float, x: Floats, v: Floats, powers: Floats
) -> int:
    """Powers worth a try, charging positive: 0, each step, or some of a range."""
    powers[0] = 0.0
    n, levels = 1, units.levels[i]
    for side in range(2):
        most = units.charge_max[i, t] if side == 0 else units.discharge_max[i, t]
        sign = 1.0 if side == 0 else -1.0
        if most <= 0.0:
            continue
        for step in range(1, levels + 1):
            powers[n] = sign * (most if step == levels else most / levels * step)
            n += 1
        if levels > 0:
            continue
        least = units.charge_min[i] if side == 0 else units.discharge_min[i]
        by_kw = units.gain[i, t] if side == 0 else units.drain[i, t]
        price = units.charge_cost[i, t] if side == 0 else units.discharge_cost[i, t]
        # To the edge of what is allowed, and to where price and what lies ahead are least.
        edge = units.high[i, t] if side == 0 else units.low[i, t]
        slope, k = sign * price / by_kw, 0
        while k + 1 < len(x) and v[k + 1] - v[k] + slope * (x[k + 1] - x[k]) < 0.0:
            k += 1
        powers[n], powers[n + 1] = sign * most, sign * least
        n += 2 if least > 0.0 else 1
        for to in (edge, x[k]):
            power = (to - rest) / by_kw
            if least < sign * power < most:
                powers[n] = power
                n += 1
    return n


@compiled
def _cost_of_energy(units: Units, i: int, t: int, at: float) -> float:
    total, cell = float(units.energy_cost[i, t] * at), i * units.kept.shape[1] + t
    for kink in range(units.kink_start[cell], units.kink_start[cell + 1]):
        over = at - units.kink_at[kink]
        total += units.kink_below[kink] * min(0.0, over) + units.kink_above[kink] * max(0.0, over)
    return total
