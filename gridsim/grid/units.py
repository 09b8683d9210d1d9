"""The seam between pandapower's units and ours: MW and percent stop here.

pandapower counts loads and storages positive when they take power from the bus, and static
generators positive when they feed it. Ours is the same for loads, batteries (`p_kw` positive
charges) and generation (a magnitude, fed in), so no sign changes at this seam; what changes sign
is the step from elements to net bus injections, which is `injection_mva`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

KW_PER_MW = 1e3
PERCENT = 1e-2


def kw_from_mw(p_mw: npt.ArrayLike) -> Floats:
    """Megawatts to kilowatts; also Mvar to kvar and MVA to kVA."""
    return np.asarray(p_mw, dtype=np.float64) * KW_PER_MW


def mw_from_kw(p_kw: npt.ArrayLike) -> Floats:
    """Kilowatts to megawatts; also kvar to Mvar and kVA to MVA."""
    return np.asarray(p_kw, dtype=np.float64) / KW_PER_MW


def fraction_from_percent(percent: npt.ArrayLike) -> Floats:
    """Percent to a fraction of one."""
    return np.asarray(percent, dtype=np.float64) * PERCENT


def injection_mva(taken_kw: Floats, taken_kvar: Floats) -> npt.NDArray[np.complex128]:
    """Power that elements take from their buses, as a complex injection into the buses in MVA."""
    return np.asarray(-(taken_kw + 1j * taken_kvar) / KW_PER_MW, dtype=np.complex128)
