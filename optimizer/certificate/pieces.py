"""What one battery can cost at least at given prices, searched on its own set.

The least cost of reaching each stored energy is a piecewise linear function with gaps and jumps: a
sorted list of segments, of which a single point is the shortest. An interval's powers move it: rest
moves every segment, a step moves it by that step, and a range of powers takes its least over a
window. The least of these functions, cut to the band and with the interval's own costs on top, is
the function of the next instant. On/off batteries have points alone, continuous ones segments. A
table of segments has four rows: both ends, and the cost at each.

Where a function has more segments than `most`, neighbours are joined by one that lies nowhere above
them. That only lowers the answer: it stays a proven lower bound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from twins.jit import compiled

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.certificate.relaxed import CostToGo, Units

    Floats = npt.NDArray[np.float64]

_ROOM = 24
"""Segments that the least of two functions can have, in multiples of `most`."""
_SAME_ENERGY, _SAME_COST, _IN_BAND = 1e-12, 1e-13, 4e-12
"""What counts as rounding, relative to a battery's energy and to its sum of costs."""


class Trace(NamedTuple):
    """Functions of all instants, kept for who wants to know the way; rows, T + 1 instants.

    Attributes:
        table: shape (rows, T + 1, 4, most).
        pieces: shape (rows, T + 1), how many; −1 where neighbours were joined.
    """

    table: npt.NDArray[np.float64]
    pieces: npt.NDArray[np.int64]


def no_trace() -> Trace:
    """Room for nothing: the functions are dropped as soon as they are not needed."""
    return Trace(np.empty((0, 0, 4, 0)), np.empty((0, 0), dtype=np.int64))


@compiled
def least_costs(
    units: Units,
    first: int,
    last: int,
    ahead: CostToGo,
    most: int,
    known: Floats,
    found: Floats,
    trace: Trace,
) -> None:
    """Fill `found` with a lower bound on what each of some rows costs, exact up to `most` pieces.

    Args:
        units: batteries and prices.
        first: the first row.
        last: the row after the last.
        ahead: what follows an instant costs at least, for these rows alone.
        most: pieces beyond which neighbours are joined.
        known: what some schedule of each of these rows costs, infinite where none is known.
        found: is filled in; −inf where no energy is allowed.
        trace: is filled in where it has room.
    """
    tables = np.empty((4, 4, _ROOM * most))
    bars = np.empty((3, _ROOM * most))
    for i in range(first, last):
        row = i - first
        found[row] = _least_cost(units, i, row, ahead, most, known[row], tables, bars, trace)


@compiled
def _least_cost(
    units: Units,
    i: int,
    row: int,
    ahead: CostToGo,
    most: int,
    known: float,
    tables: Floats,
    bars: Floats,
    trace: Trace,
) -> float:
    close, same = _SAME_ENERGY * units.size[i], _SAME_COST * units.money[i]
    edge = _IN_BAND * units.size[i]
    now, count, joined = 0, 1, False
    tables[now, 0, 0] = tables[now, 1, 0] = units.start[i]
    tables[now, 2, 0] = tables[now, 3, 0] = 0.0
    for t in range(units.kept.shape[1]):
        if ahead.knots[row, t] == 0:
            return -np.inf
        rest = tables[now]
        for k in range(count):
            rest[0, k] = units.kept[i, t] * rest[0, k] + units.inflow[i, t]
            rest[1, k] = units.kept[i, t] * rest[1, k] + units.inflow[i, t]
        best, total = now, count
        for side in range(2):
            most_kw = units.charge_max[i, t] if side == 0 else units.discharge_max[i, t]
            if most_kw <= 0.0:
                continue
            by_kw = units.gain[i, t] if side == 0 else -units.drain[i, t]
            cost = units.charge_cost[i, t] if side == 0 else units.discharge_cost[i, t]
            least_kw = units.charge_min[i] if side == 0 else units.discharge_min[i]
            levels = units.levels[i]
            for turn in range(levels if levels > 0 else 3):
                # Every step; or the least power, the most, and all that lies between.
                power = most_kw
                if levels > 0 and turn + 1 < levels:
                    power = most_kw / levels * (turn + 1)
                elif levels == 0 and turn == 0:
                    power = least_kw
                if power == 0.0 or (levels == 0 and turn > 0 and least_kw >= most_kw):
                    continue
                other = _free(now, best, best)
                if levels > 0 or turn < 2:
                    added = _shift(rest, count, by_kw * power, cost * power, tables[other])
                else:
                    low = min(by_kw * least_kw, by_kw * most_kw)
                    high = max(by_kw * least_kw, by_kw * most_kw)
                    added = _window(rest, count, low, high, cost / by_kw, bars, tables[other])
                into = _free(now, best, other)
                total = _lower(tables[best], total, tables[other], added, tables[into], close, same)
                best = into
                if total > 4 * most:
                    total, joined = _thin(tables[best], total, 4 * most, ahead, row, -1), True
        now = best
        count = _cut(tables[now], total, units.low[i, t] - edge, units.high[i, t] + edge)
        count = _add_costs(units, i, t, tables[now], count)
        count = _prune(tables[now], count, ahead, row, t + 1, known + 4.0 * same)
        if count == 0:
            # Every way was left out: none is better than the one that is known.
            return known - 10.0 * same if known < np.inf else -np.inf
        if count > most:
            count, joined = _thin(tables[now], count, most, ahead, row, t + 1), True
        if len(trace.pieces) > 0:
            trace.table[row, t + 1, :, :count] = tables[now][:, :count]
            trace.pieces[row, t + 1] = -1 if joined else count
    least = known
    for k in range(count):
        least = min(least, tables[now, 2, k], tables[now, 3, k])
    return float(least - 10.0 * same)


@compiled
def _add_costs(units: Units, i: int, t: int, f: Floats, count: int) -> int:
    """What stored energy costs at the end of an interval, in place; kinks split segments."""
    price = units.energy_cost[i, t]
    if price != 0.0:
        for k in range(count):
            f[2, k] += price * f[0, k]
            f[3, k] += price * f[1, k]
    cell = i * units.kept.shape[1] + t
    for kink in range(units.kink_start[cell], units.kink_start[cell + 1]):
        count = _bend(f, count, units.kink_at[kink], units.kink_below[kink], units.kink_above[kink])
    return count


@compiled
def _prune(f: Floats, count: int, ahead: CostToGo, row: int, t: int, most: float) -> int:
    """Leave out segments from which nothing below `most` can come, in place."""
    if most == np.inf:
        return count
    x, v, knots = ahead.energy[row, t], ahead.cost[row, t], ahead.knots[row, t]
    n = at = 0
    for k in range(count):
        left, right = max(f[0, k], x[0]), min(f[1, k], x[knots - 1])
        if left > right:
            continue
        while at + 1 < knots and x[at + 1] <= left:
            at += 1
        # The sum of a line and a convex function with knots is least at an end or at a knot.
        knot, here, least = at, left, np.inf
        while True:
            following = min(knot + 1, knots - 1)
            later = _at(x[knot], x[following], v[knot], v[following], here)
            least = min(least, _at(f[0, k], f[1, k], f[2, k], f[3, k], here) + later)
            if here >= right:
                break
            knot = following
            here = min(x[knot], right)
            if here < x[knot]:
                knot -= 1
        if least <= most:
            f[0, n], f[1, n], f[2, n], f[3, n] = f[0, k], f[1, k], f[2, k], f[3, k]
            n += 1
    return n


@compiled
def _free(one: int, two: int, three: int) -> int:
    """A table that is none of these."""
    for k in range(4):
        if k != one and k != two and k != three:
            return k
    return -1


@compiled
def _at(left: float, right: float, a: float, b: float, x: float) -> float:
    """Cost at `x` on the line from (left, a) to (right, b)."""
    if x <= left:
        return a
    if x >= right:
        return b
    return a + (b - a) * ((x - left) / (right - left))


@compiled
def _shift(f: Floats, count: int, energy: float, cost: float, into: Floats) -> int:
    for k in range(count):
        into[0, k] = f[0, k] + energy
        into[1, k] = f[1, k] + energy
        into[2, k] = f[2, k] + cost
        into[3, k] = f[3, k] + cost
    return count


@compiled
def _window(
    f: Floats, count: int, a: float, b: float, slope: float, bars: Floats, into: Floats
) -> int:
    """The least of f(y) + slope·(x − y) over y from x − b to x − a, between its two ends.

    With h(y) = f(y) − slope·y it is slope·x plus the least h in a window. At the window's ends that
    is f moved by a or b; between them only lowest points of h matter, each of which holds from y+a
    to y+b. Of these equally long bars, sorted by start, the lowest is kept.
    """
    n = 0
    for k in range(count):
        left = f[2, k] - slope * f[0, k]
        right = f[3, k] - slope * f[1, k]
        y, v = (f[0, k], left) if left <= right else (f[1, k], right)
        start, stop = y + a, y + b
        while n > 0 and bars[2, n - 1] >= v and bars[0, n - 1] >= start:
            n -= 1
        if n > 0 and bars[2, n - 1] >= v:
            bars[1, n - 1] = min(bars[1, n - 1], start)
        elif n > 0:
            start = max(start, bars[1, n - 1])
        if start <= stop:
            bars[0, n], bars[1, n], bars[2, n] = start, stop, v
            n += 1
    for k in range(n):
        into[0, k], into[1, k] = bars[0, k], bars[1, k]
        into[2, k] = bars[2, k] + slope * bars[0, k]
        into[3, k] = bars[2, k] + slope * bars[1, k]
    return n


@compiled
def _put(
    h: Floats, n: int, left: float, right: float, a: float, b: float, close: float, same: float
) -> int:
    """Append a segment; what says nothing new is left out or joined to the one before."""
    while n > 0 and left <= h[1, n - 1] + close:
        is_point, was_point = right - left <= close, h[1, n - 1] - h[0, n - 1] <= close
        before = h[3, n - 1]
        if is_point and min(a, b) >= before - same:
            return n
        if was_point and a <= before + same:
            n -= 1
            continue
        if not is_point and not was_point and abs(a - before) <= same:
            bend = (b - a) * (h[1, n - 1] - h[0, n - 1]) - (before - h[2, n - 1]) * (right - left)
            if abs(bend) <= same * (right - h[0, n - 1]):
                h[1, n - 1], h[3, n - 1] = right, b
                return n
        break
    h[0, n], h[1, n], h[2, n], h[3, n] = left, right, a, b
    return n + 1


@compiled
def _lower(
    f: Floats, f_count: int, g: Floats, g_count: int, h: Floats, close: float, same: float
) -> int:
    """The lower of two functions at every energy, into `h`."""
    n = i = j = 0
    fl, fr, fa, fb = f[0, 0], f[1, 0], f[2, 0], f[3, 0]
    gl, gr, ga, gb = g[0, 0], g[1, 0], g[2, 0], g[3, 0]
    while i < f_count and j < g_count:
        if fr < gl:
            n = _put(h, n, fl, fr, fa, fb, close, same)
            i += 1
            if i < f_count:
                fl, fr, fa, fb = f[0, i], f[1, i], f[2, i], f[3, i]
            continue
        if gr < fl:
            n = _put(h, n, gl, gr, ga, gb, close, same)
            j += 1
            if j < g_count:
                gl, gr, ga, gb = g[0, j], g[1, j], g[2, j], g[3, j]
            continue
        if fl < gl:
            cut = _at(fl, fr, fa, fb, gl)
            n = _put(h, n, fl, gl, fa, cut, close, same)
            fl, fa = gl, cut
        elif gl < fl:
            cut = _at(gl, gr, ga, gb, fl)
            n = _put(h, n, gl, fl, ga, cut, close, same)
            gl, ga = fl, cut
        x, e = fl, min(fr, gr)
        f_at, g_at = _at(fl, fr, fa, fb, e), _at(gl, gr, ga, gb, e)
        before, after = fa - ga, f_at - g_at
        if e <= x:
            # At least one is a point; where both are longer the next turn takes them up.
            n = _put(h, n, x, x, min(fa, ga), min(fa, ga), close, same)
        elif before <= 0.0 and after <= 0.0:
            n = _put(h, n, x, e, fa, f_at, close, same)
        elif before >= 0.0 and after >= 0.0:
            n = _put(h, n, x, e, ga, g_at, close, same)
        else:
            middle = x + (e - x) * (before / (before - after))
            at = min(_at(fl, fr, fa, fb, middle), _at(gl, gr, ga, gb, middle))
            if before < 0.0:
                n = _put(h, n, x, middle, fa, at, close, same)
                n = _put(h, n, middle, e, at, g_at, close, same)
            else:
                n = _put(h, n, x, middle, ga, at, close, same)
                n = _put(h, n, middle, e, at, f_at, close, same)
        f_ends, g_ends = fr <= e, gr <= e
        fl, fa, gl, ga = e, f_at, e, g_at
        if f_ends:
            i += 1
            if i < f_count:
                fl, fr, fa, fb = f[0, i], f[1, i], f[2, i], f[3, i]
        if g_ends:
            j += 1
            if j < g_count:
                gl, gr, ga, gb = g[0, j], g[1, j], g[2, j], g[3, j]
    while i < f_count:
        n = _put(h, n, fl, fr, fa, fb, close, same)
        i += 1
        if i < f_count:
            fl, fr, fa, fb = f[0, i], f[1, i], f[2, i], f[3, i]
    while j < g_count:
        n = _put(h, n, gl, gr, ga, gb, close, same)
        j += 1
        if j < g_count:
            gl, gr, ga, gb = g[0, j], g[1, j], g[2, j], g[3, j]
    return n


@compiled
def _cut(f: Floats, count: int, low: float, high: float) -> int:
    """Leave what lies between `low` and `high`, in place."""
    n = 0
    for k in range(count):
        left, right, a, b = f[0, k], f[1, k], f[2, k], f[3, k]
        if right < low or left > high:
            continue
        f[0, n], f[1, n] = max(left, low), min(right, high)
        f[2, n] = _at(left, right, a, b, f[0, n])
        f[3, n] = _at(left, right, a, b, f[1, n])
        n += 1
    return n


@compiled
def _bend(f: Floats, count: int, x: float, below: float, above: float) -> int:
    """Add below·min(0, e − x) + above·max(0, e − x), in place; a segment across `x` is split."""
    for k in range(count):
        if f[0, k] < x < f[1, k]:
            for tail in range(count, k, -1):
                f[0, tail], f[1, tail] = f[0, tail - 1], f[1, tail - 1]
                f[2, tail], f[3, tail] = f[2, tail - 1], f[3, tail - 1]
            cut = _at(f[0, k], f[1, k], f[2, k], f[3, k], x)
            f[1, k], f[3, k] = x, cut
            f[0, k + 1], f[2, k + 1] = x, cut
            count += 1
            break
    for k in range(count):
        for end in range(2):
            over = f[end, k] - x
            f[2 + end, k] += below * min(0.0, over) + above * max(0.0, over)
    return count


@compiled
def _thin(f: Floats, count: int, most: int, ahead: CostToGo, row: int, t: int) -> int:
    """Join close neighbours into single segments that lie nowhere above them, to `most` or fewer.

    Let m be the least of cost so far plus cost ahead R at the ends of some neighbours. Their ends
    lie above m − R, which is concave, so above its chord, and with them the lines between. What is
    lost is that their energies are mixed.
    Within an interval, t < 0, R counts as 0.
    """
    x, v, knots = ahead.energy[row, t], ahead.cost[row, t], ahead.knots[row, t] if t >= 0 else 0
    span = (f[1, count - 1] - f[0, 0]) / most + 1e-15
    for k in range(count):
        f[2, k] += _on(x, v, knots, f[0, k])
        f[3, k] += _on(x, v, knots, f[1, k])
    while count > most:
        n = 0
        for k in range(count):
            if n > 0 and f[1, k] - f[0, n - 1] <= span:
                least = min(f[2, n - 1], f[3, n - 1], f[2, k], f[3, k])
                f[1, n - 1], f[2, n - 1], f[3, n - 1] = f[1, k], least, least
                continue
            f[0, n], f[1, n], f[2, n], f[3, n] = f[0, k], f[1, k], f[2, k], f[3, k]
            n += 1
        count = n
        span *= 1.5
    for k in range(count):
        f[2, k] -= _on(x, v, knots, f[0, k])
        f[3, k] -= _on(x, v, knots, f[1, k])
    return count


@compiled
def _on(x: Floats, v: Floats, knots: int, at: float) -> float:
    """The cost ahead at one energy, continued as a line beyond its ends."""
    if knots < 2:
        return float(v[0]) if knots == 1 else 0.0
    k = min(max(int(np.searchsorted(x[:knots], at)), 1), knots - 1)
    return float(v[k - 1] + (v[k] - v[k - 1]) * ((at - x[k - 1]) / (x[k] - x[k - 1])))
