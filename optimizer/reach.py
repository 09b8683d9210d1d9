"""Which batteries cannot keep their own band, whatever they do.

A battery that starts outside its band, or is drawn out of it by usage or standing loss, is normal
input. Its band yields at a price, and the breach is reported; every other band is kept as it is.

Both the model and the certificate read this: it decides what the problem asks, not how a plan does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.problem import DispatchProblem

    Flags = npt.NDArray[np.bool_]

BAND_FACTOR = 10.0
"""A band that must yield costs this many firm prices per kWh and instant: it yields last of all."""
_TOLERANCE_KWH = 1e-9
_ROWS_PER_CHUNK = 4096
"""Batteries at a time, so that their tables stay in the processor's cache."""


def band_yields(problem: DispatchProblem) -> Flags:
    """Batteries whose band is given a priced slack, shape (N,).

    For a battery that may take any power between its limits the reachable energies are an interval
    at each instant, so the band can be kept if and only if that interval never becomes empty. For
    one with steps, a least power, a ramp or a cycle cap the idle path decides: if idling leaves the
    band, the band may have to yield.

    Found once a problem; it is asked for by everything that solves or checks.
    """
    return problem.band_yields


def find_band_yields(problem: DispatchProblem) -> Flags:
    """The same, worked out."""
    b = problem.batteries
    restricted = b.is_discrete | np.isfinite(b.cycles_per_day_max)
    restricted |= np.isfinite(b.ramp_up_kw_per_h) | np.isfinite(b.ramp_down_kw_per_h)
    yields = np.empty(len(b), dtype=bool)
    for start in range(0, len(b), _ROWS_PER_CHUNK):
        rows = slice(start, start + _ROWS_PER_CHUNK)
        yields[rows] = ~_can_keep_band(problem, rows)
        if restricted[rows].any():
            idle = _idle_leaves_band(problem, rows)
            yields[rows] = np.where(restricted[rows], idle, yields[rows])
    return yields


def idle_energy_kwh(problem: DispatchProblem, rows: slice = slice(None)) -> npt.NDArray[np.float64]:
    """Energy by instant of batteries that do nothing, shape (rows, T+1); may leave the band."""
    b, step_h = problem.batteries, problem.grid.step_h
    inflow, after = b.inflow_kw[rows], problem.energy_after_loss[rows]
    energy = np.empty((len(inflow), len(step_h) + 1))
    energy[:, 0] = b.energy_kwh_initial[rows]
    for t, hours in enumerate(step_h):
        energy[:, t + 1] = after[:, t] * energy[:, t] + inflow[:, t] * hours
    return energy


def _idle_leaves_band(problem: DispatchProblem, rows: slice) -> Flags:
    b, idle = problem.batteries, idle_energy_kwh(problem, rows)[:, 1:]
    below = idle < b.energy_kwh_min[rows, 1:] - _TOLERANCE_KWH
    above = idle > b.energy_kwh_max[rows, 1:] + _TOLERANCE_KWH
    return np.asarray((below | above).any(axis=1))


def _can_keep_band(problem: DispatchProblem, rows: slice) -> Flags:
    b, step_h = problem.batteries, problem.grid.step_h
    after, inflow = problem.energy_after_loss[rows], b.inflow_kw[rows]
    gain = (inflow + b.efficiency_charge[rows] * b.p_charge_kw_max[rows]) * step_h
    drain = (inflow - b.p_discharge_kw_max[rows] / b.efficiency_discharge[rows]) * step_h
    band_low, band_high = b.energy_kwh_min[rows, 1:], b.energy_kwh_max[rows, 1:]
    low = high = b.energy_kwh_initial[rows]
    kept = np.ones(len(low), dtype=bool)
    for t in range(len(step_h)):
        low = np.maximum(after[:, t] * low + drain[:, t], band_low[:, t])
        high = np.minimum(after[:, t] * high + gain[:, t], band_high[:, t])
        kept &= low <= high + _TOLERANCE_KWH
        high = np.maximum(low, high)
    return kept
