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

BAND_FACTOR = 10.0
"""A band that must yield costs this many firm prices per kWh and instant: it yields last of all."""
_TOLERANCE_KWH = 1e-9


def band_yields(problem: DispatchProblem) -> npt.NDArray[np.bool_]:
    """Batteries whose band is given a priced slack, shape (N,).

    For a battery that may take any power between its limits the reachable energies are an interval
    at each instant, so the band can be kept if and only if that interval never becomes empty. For
    one with steps, a least power, a ramp or a cycle cap the idle path decides: if idling leaves the
    band, the band may have to yield.
    """
    b = problem.batteries
    restricted = b.is_discrete | np.isfinite(b.cycles_per_day_max)
    restricted |= np.isfinite(b.ramp_up_kw_per_h) | np.isfinite(b.ramp_down_kw_per_h)
    return np.where(restricted, _idle_leaves_band(problem), ~_can_keep_band(problem))


def idle_energy_kwh(problem: DispatchProblem) -> npt.NDArray[np.float64]:
    """Energy by instant of batteries that do nothing, shape (N, T+1); may leave the band."""
    b, step_h = problem.batteries, problem.grid.step_h
    energy = np.empty((len(b), len(problem.grid) + 1))
    energy[:, 0] = b.energy_kwh_initial
    for t, hours in enumerate(step_h):
        kept = problem.energy_after_loss[:, t] * energy[:, t]
        energy[:, t + 1] = kept + b.inflow_kw[:, t] * hours
    return energy


def _idle_leaves_band(problem: DispatchProblem) -> npt.NDArray[np.bool_]:
    b, idle = problem.batteries, idle_energy_kwh(problem)[:, 1:]
    below = idle < b.energy_kwh_min[:, 1:] - _TOLERANCE_KWH
    above = idle > b.energy_kwh_max[:, 1:] + _TOLERANCE_KWH
    return np.asarray((below | above).any(axis=1))


def _can_keep_band(problem: DispatchProblem) -> npt.NDArray[np.bool_]:
    b, step_h = problem.batteries, problem.grid.step_h
    low = high = b.energy_kwh_initial
    kept = np.ones(len(b), dtype=bool)
    for t, hours in enumerate(step_h):
        gain = b.efficiency_charge[:, t] * b.p_charge_kw_max[:, t]
        drain = b.p_discharge_kw_max[:, t] / b.efficiency_discharge[:, t]
        after = problem.energy_after_loss[:, t]
        low = np.maximum(
            after * low + (b.inflow_kw[:, t] - drain) * hours, b.energy_kwh_min[:, t + 1]
        )
        high = np.minimum(
            after * high + (b.inflow_kw[:, t] + gain) * hours, b.energy_kwh_max[:, t + 1]
        )
        kept &= low <= high + _TOLERANCE_KWH
        high = np.maximum(low, high)
    return kept
