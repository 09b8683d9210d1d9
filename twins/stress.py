"""The stress of a profile, compiled: cycles counted by rainflow, rates taken day by day.

Rainflow counting follows ASTM E1049-85, section 5.4.4; the `rainflow` package counts the same
cycles, and the tests hold the two together. Equations of the rates: `twins.ageing`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from twins.jit import compiled, compiled_parallel, prange

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

KELVIN = 273.15
C_RATE_REST = 1e-2
"""Below this C-rate a battery counts as resting, as in BLAST-Lite."""


@compiled
def cycles_into(series: Floats, points: Floats, depths: Floats, counts: Floats) -> int:
    """Count the cycles of `series`; each is whole (1.0) or half (0.5).

    Args:
        series: values in order, at least one.
        points: scratch space, as long as `series`.
        depths: receives each cycle's range; as long as `series`.
        counts: receives 1.0 or 0.5 for each; as long as `series`.

    Returns:
        How many cycles were written.
    """
    size, bottom, found = 0, 0, 0
    for at in range(series.size):
        if not _is_reversal(series, at):
            continue
        points[size] = series[at]
        size += 1
        while size - bottom >= 3:
            newer = abs(points[size - 1] - points[size - 2])
            older = abs(points[size - 2] - points[size - 3])
            if newer < older:
                break
            depths[found] = older
            if size - bottom == 3:
                # The range holds the first point: half a cycle, and the first point goes.
                counts[found] = 0.5
                bottom += 1
            else:
                counts[found] = 1.0
                points[size - 3] = points[size - 1]
                size -= 2
            found += 1
    for at in range(bottom, size - 1):
        depths[found] = abs(points[at + 1] - points[at])
        counts[found] = 0.5
        found += 1
    return found


@compiled
def _is_reversal(series: Floats, at: int) -> bool:
    """Whether the series turns at `at`; its ends always count, a plateau counts at its end."""
    if at == 0 or at == series.size - 1:
        return True
    after = series[at + 1] - series[at]
    if after == 0.0:
        return False
    before_at = at - 1
    while before_at > 0 and series[before_at] == series[at]:
        before_at -= 1
    return bool((series[at] - series[before_at]) * after < 0.0)


@compiled_parallel
def stress_rows(
    rows: Floats,
    index: Any,
    soc: Floats,
    temperature_c: Floats,
    hours: Floats,
    health: Floats,
    days: Any,
    anode_v: Floats,
    made: Floats,
) -> None:
    """Add each profile's stress to `made`, (R, 4); arguments as in `twins.ageing.stress`.

    `days` are the instants that cut a profile into days, `anode_v` the anode's potential at evenly
    spaced states of charge.
    """
    longest = 0
    for day in range(days.size - 1):
        longest = max(longest, days[day + 1] - days[day])
    for row in prange(soc.shape[0]):
        c = rows[index[row]]
        if c[0] == 0.0 and c[4] == 0.0:
            continue
        room = np.empty((3, longest + 1))
        for day in range(days.size - 1):
            start, stop = days[day], days[day + 1]
            _stress_day(
                c,
                soc[row, start : stop + 1],
                temperature_c[row, start : stop + 1],
                hours[start:stop],
                health[row],
                anode_v,
                room,
                made[row],
            )


@compiled
def _stress_day(
    c: Floats,
    soc: Floats,
    temperature_c: Floats,
    hours: Floats,
    health: float,
    anode_v: Floats,
    room: Floats,
    made: Floats,
) -> None:
    """Add one day's stress to `made`; `room` is scratch space of shape (3, instants)."""
    length_h, calendar, kelvin, level, c_rate = 0.0, 0.0, 0.0, 0.0, 0.0
    rate_before = _calendar_rate(c, soc[0], temperature_c[0], anode_v)
    for t in range(hours.size):
        h = hours[t]
        rate = _calendar_rate(c, soc[t + 1], temperature_c[t + 1], anode_v)
        calendar += 0.5 * (rate_before + rate) * h
        rate_before = rate
        kelvin += (0.5 * (temperature_c[t] + temperature_c[t + 1]) + KELVIN) * h
        level += 0.5 * (soc[t] + soc[t + 1]) * h
        moved = abs(soc[t + 1] - soc[t])
        if moved >= C_RATE_REST * h:
            c_rate += moved
        length_h += h
    kelvin /= length_h
    made[0] += (calendar / length_h) ** (1.0 / c[3]) * length_h / 24.0
    count = cycles_into(soc, room[0], room[1], room[2])
    for at in range(count):
        depth, times = room[1, at], room[2, at]
        cycles = depth * times * health
        made[1] += _cycle_rate(c, depth, c_rate / length_h * health, kelvin) ** (1 / c[9]) * cycles
        made[3] += cycles
        if c[12] > 0.0:
            half_way = c[10] + c[11] * (kelvin - KELVIN - 55.0) * depth * level / length_h / 0.6
            made[2] += cycles / max(1.0, half_way)


@compiled
def _calendar_rate(c: Floats, soc: float, temperature_c: float, anode_v: Floats) -> float:
    at = min(1.0, max(0.0, soc)) * (anode_v.size - 1)
    low = min(int(at), anode_v.size - 2)
    anode = anode_v[low] + (at - low) * (anode_v[low + 1] - anode_v[low])
    return float(c[0] * math.exp((c[1] + c[2] * anode) / (temperature_c + KELVIN)))


@compiled
def _cycle_rate(c: Floats, depth: float, c_rate: float, kelvin: float) -> float:
    scale = c[4] + c[5] * depth + c[6] * c_rate
    bend = c[8] * math.exp(depth * depth) if c[8] > 0.0 else 0.0
    return float(scale * math.exp(c[7] / kelvin + bend))
