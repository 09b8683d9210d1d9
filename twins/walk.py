"""The fleet's loop over time: each battery by itself, spread over threads.

Rows never look at each other, so the result is the same bits on any number of threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from twins.jit import compiled, compiled_parallel, prange
from twins.kernel import drained, limits, reactive, step, warmed

if TYPE_CHECKING:
    import numpy.typing as npt

    from twins.clock import Pieces

    Floats = npt.NDArray[np.float64]


class Walk(NamedTuple):
    """What happened to R rows (batteries, or batteries in scenarios) over N intervals.

    Attributes:
        p_kw, q_kvar: delivered means, (R, N).
        p_shortfall_kw: asked for minus delivered, (R, N).
        loss_kwh: terminal energy that was not stored, plus stored energy that vanished, (R, N).
        energy_kwh, soc, temperature_c: at the instants, (R, N+1).
        moved_kwh: energy through the store, both directions together, (R,).
        charged_kwh, discharged_kwh: energy taken in and given out at the terminals, (R,).
    """

    p_kw: Floats
    q_kvar: Floats
    p_shortfall_kw: Floats
    loss_kwh: Floats
    energy_kwh: Floats
    soc: Floats
    temperature_c: Floats
    moved_kwh: Floats
    charged_kwh: Floats
    discharged_kwh: Floats


def walk(records: npt.NDArray[Any], p_kw: Floats, q_kvar: Floats | None, pieces: Pieces) -> Walk:
    """Walk every record through the pieces; row r follows command row ``r mod len(p_kw)``."""
    rows, intervals = records.size, p_kw.shape[1]
    q_given = np.zeros((0, intervals)) if q_kvar is None else np.ascontiguousarray(q_kvar)
    made = Walk(
        p_kw=np.empty((rows, intervals)),
        q_kvar=np.zeros((rows, intervals)) if q_kvar is None else np.empty((rows, intervals)),
        p_shortfall_kw=np.empty((rows, intervals)),
        loss_kwh=np.empty((rows, intervals)),
        energy_kwh=np.empty((rows, intervals + 1)),
        soc=np.empty((rows, intervals + 1)),
        temperature_c=np.empty((rows, intervals + 1)),
        moved_kwh=np.zeros(rows),
        charged_kwh=np.zeros(rows),
        discharged_kwh=np.zeros(rows),
    )
    clock = (pieces.first, pieces.hours, pieces.since_tick_h, pieces.closes, pieces.ambient_c)
    _walk_rows(records, np.ascontiguousarray(p_kw), q_given, clock, made)
    return made


@compiled_parallel
def _walk_rows(records: Any, p_kw: Floats, q_kvar: Floats, clock: Any, made: Any) -> None:
    for row in prange(records.size):
        command = row % p_kw.shape[0]
        _walk_row(records[row], p_kw[command], q_kvar, command, clock, made, row)


@compiled
def _walk_row(
    b: Any, p_kw: Floats, q_kvar: Floats, command: int, clock: Any, made: Any, row: int
) -> None:
    first, hours, since_tick_h, closes, ambient_c = clock
    energy, temperature, heat, moved = b.energy_kwh_initial, b.temperature_c_initial, 0.0, 0.0
    charge_limit, discharge_limit = limits(b, energy, temperature)
    made.energy_kwh[row, 0] = energy
    made.soc[row, 0] = energy / b.capacity_kwh
    made.temperature_c[row, 0] = temperature
    for t in range(p_kw.size):
        wanted = p_kw[t]
        missed, reacted, length = 0.0, 0.0, 0.0
        for k in range(first[t], first[t + 1]):
            h = hours[k]
            p, after, warmth = step(b, energy, wanted, charge_limit, discharge_limit, h)
            if wanted != 0.0:
                moved += abs(after - energy)
            missed += (wanted - p) * h
            length += h
            if q_kvar.shape[0] > 0:
                reacted += reactive(b, p, q_kvar[command, t]) * h
            energy, heat = after, heat + warmth
            if closes[k]:
                energy = drained(b, energy, since_tick_h[k])
                temperature = warmed(b, temperature, heat, ambient_c[k], since_tick_h[k])
                charge_limit, discharge_limit = limits(b, energy, temperature)
                heat = 0.0
        last = first[t + 1] - 1
        seen_energy, seen_temperature = energy, temperature
        if not closes[last]:
            # Between ticks the walk goes on from the unsplit state; only the reading is split.
            seen_energy = drained(b, energy, since_tick_h[last])
            seen_temperature = warmed(b, temperature, heat, ambient_c[last], since_tick_h[last])
        # Rounding in the mean must not carry it over a limit, or past zero.
        most = min(max(wanted, 0.0), b.p_charge_kw_max)
        least = max(min(wanted, 0.0), -b.p_discharge_kw_max)
        p_mean = max(least, min(most, wanted - missed / length))
        made.p_kw[row, t] = p_mean
        made.p_shortfall_kw[row, t] = wanted - p_mean
        if q_kvar.shape[0] > 0:
            made.q_kvar[row, t] = reacted / length
        made.energy_kwh[row, t + 1] = seen_energy
        made.soc[row, t + 1] = seen_energy / b.capacity_kwh
        made.temperature_c[row, t + 1] = seen_temperature
        made.loss_kwh[row, t] = p_mean * length - (seen_energy - made.energy_kwh[row, t])
        made.charged_kwh[row] += max(0.0, p_mean) * length
        made.discharged_kwh[row] += max(0.0, -p_mean) * length
    made.moved_kwh[row] = moved
