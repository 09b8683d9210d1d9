"""The way through a battery's cost functions: from the least cost back to the powers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from twins.jit import compiled

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.certificate.pieces import Trace
    from optimizer.certificate.relaxed import Units

    Floats = npt.NDArray[np.float64]

_CLOSE = 1e-9


@compiled
def follow_back(units: Units, i: int, trace: Trace, row: int, schedule: Floats) -> bool:
    """Fill `schedule`, shape (T,), with powers of the least cost; charging is positive.

    Args:
        units: batteries and prices.
        i: the battery.
        trace: least costs of reaching each energy, by instant.
        row: the battery's row in `trace`.
        schedule: is filled in.

    Returns:
        Whether there is a way: functions whose pieces were joined hide it.
    """
    intervals = units.kept.shape[1]
    for t in range(1, intervals + 1):
        if trace.pieces[row, t] <= 0:
            return False
    f, count = trace.table[row, intervals], trace.pieces[row, intervals]
    least, at = np.inf, 0.0
    for k in range(count):
        for end in range(2):
            if f[2 + end, k] < least:
                least, at = f[2 + end, k], f[end, k]
    for t in range(intervals - 1, -1, -1):
        at = _step_back(units, i, t, trace, row, at, schedule)
        if np.isnan(at):
            return False
    return True


@compiled
def _step_back(
    units: Units, i: int, t: int, trace: Trace, row: int, at: float, schedule: Floats
) -> float:
    """The energy before an interval and the power in it that lead to `at` for the least cost."""
    close = _CLOSE * units.size[i]
    least, before = np.inf, np.nan
    for side in range(2):
        most = units.charge_max[i, t] if side == 0 else units.discharge_max[i, t]
        by_kw = units.gain[i, t] if side == 0 else -units.drain[i, t]
        price = units.charge_cost[i, t] if side == 0 else units.discharge_cost[i, t]
        sign = 1.0 if side == 0 else -1.0
        floor = units.charge_min[i] if side == 0 else units.discharge_min[i]
        levels = units.levels[i]
        for turn in range(levels + 1 if levels > 0 else 3):
            # Rest, then steps; or rest, the least power and the most.
            power = 0.0
            if turn > 0 and levels > 0:
                power = most if turn == levels else most / levels * turn
            elif turn > 0:
                power = floor if turn == 1 else most
            if (turn > 0 and power <= 0.0) or power > most:
                continue
            energy = (at - by_kw * power - units.inflow[i, t]) / units.kept[i, t]
            cost = _cost_at(units, i, t, trace, row, energy, close) + price * power
            if cost < least:
                least, before, schedule[t] = cost, energy, sign * power
        if levels > 0 or most <= floor:
            continue
        # Any power of a range: from the ends of the pieces before.
        f, count = trace.table[row, t], trace.pieces[row, t]
        for k in range(count if t > 0 else 1):
            for end in range(2):
                energy = f[end, k] if t > 0 else units.start[i]
                rest = units.kept[i, t] * energy + units.inflow[i, t]
                power = (at - rest) / by_kw
                if not floor <= power <= most:
                    continue
                cost = (f[2 + end, k] if t > 0 else 0.0) + price * power
                if cost < least:
                    least, before, schedule[t] = cost, energy, sign * power
    return before


@compiled
def _cost_at(
    units: Units, i: int, t: int, trace: Trace, row: int, at: float, close: float
) -> float:
    """The least cost of an energy at the start of an interval, infinite where it has no way."""
    if t == 0:
        return 0.0 if abs(at - units.start[i]) <= close else np.inf
    f, least = trace.table[row, t], np.inf
    for k in range(trace.pieces[row, t]):
        if f[0, k] - close <= at <= f[1, k] + close:
            share = 0.0
            if f[1, k] > f[0, k]:
                share = min(max((at - f[0, k]) / (f[1, k] - f[0, k]), 0.0), 1.0)
            least = min(least, f[2, k] + share * (f[3, k] - f[2, k]))
    return least
