"""From an interior solution to a plan: never both directions at once, every battery inside its box.

The stored energy of the solution is followed exactly with the power of one direction. That keeps
band, targets and powers (one direction alone needs less power than both), and changes a group's net
only by what was charged and discharged at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from twins.jit import compiled

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


@compiled
def follow_energy(
    wanted: Floats,
    gain: Floats,
    drain: Floats,
    kept: Floats,
    inflow: Floats,
    charge_max: Floats,
    discharge_max: Floats,
    charge: Floats,
    discharge: Floats,
    first: int,
    last: int,
) -> None:
    """Powers of one direction that lead along `wanted` (all shapes (n, T)), within their limits."""
    for i in range(first, last):
        before = 0.0
        for t in range(wanted.shape[1]):
            idle = kept[i, t] * before + inflow[i, t]
            rise = wanted[i, t] - idle
            charge[i, t], discharge[i, t] = 0.0, 0.0
            if rise > 0.0 and gain[i, t] > 0.0:
                charge[i, t] = min(rise / gain[i, t], charge_max[i, t])
            elif rise < 0.0 and drain[i, t] > 0.0:
                discharge[i, t] = min(-rise / drain[i, t], discharge_max[i, t])
            before = idle + gain[i, t] * charge[i, t] - drain[i, t] * discharge[i, t]
