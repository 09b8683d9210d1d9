"""Yearly demand of each load, from SimBench's profiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gridsim.grid.errors import GridError
from twins.faults import FaultList

if TYPE_CHECKING:
    import numpy.typing as npt

    from gridsim.grid.network import Grid

HOURS = 366 * 24
"""The profiles are those of 2016, a leap year."""


def simbench_yearly_kwh(grid: Grid) -> npt.NDArray[np.float64]:
    """Energy that each load takes in the profiles' year, shape (load,). [kWh]

    One mean for each profile, of which a grid has a few dozen, times each load's nominal power: the
    dense table of all loads would take gigabytes.

    Raises:
        GridError: the grid has no profiles, or a load none of them.
    """
    faults = FaultList(f"profiles of {grid.source}")
    table = grid.profile_tables.get("load")
    if table is None:
        faults.add("profiles", None, "only a grid from a SimBench code brings profiles")
        faults.raise_if_any(GridError)
    assert table is not None
    names, inverse = np.unique(grid.loads.profile, return_inverse=True)
    means = np.zeros(names.size)
    for at, name in enumerate(names):
        column = f"{name}_pload"
        if column in table:
            means[at] = float(table[column].mean())
        else:
            faults.add("profile of loads", column, "is not among the grid's profiles")
    faults.raise_if_any(GridError)
    return np.asarray(means[inverse] * grid.loads.p_kw * HOURS)
