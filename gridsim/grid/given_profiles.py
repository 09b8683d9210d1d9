"""Profiles from arrays that the caller has: kW by the name of a load or a static generator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gridsim.grid.errors import GridError
from gridsim.grid.profiles import profile_dataset
from twins.faults import FaultList, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy.typing as npt
    import xarray as xr

    from gridsim.grid.network import Grid
    from twins.timegrid import TimeGrid

    Floats = npt.NDArray[np.float64]


def given_profiles(
    grid: Grid, time_grid: TimeGrid, power_kw: Mapping[str, npt.ArrayLike], source: str = "given"
) -> xr.Dataset:
    """Profiles from one array of interval means for each load or static generator.

    Elements without an array are zero. A load's reactive power keeps the ratio that the grid file's
    nominal powers have.

    Args:
        grid: whose elements are named.
        time_grid: the T intervals.
        power_kw: by label: kW taken by a load, or fed in by a generator, shape (T,); finite and not
            negative.
        source: goes to ``attrs["source"]``.

    Raises:
        GridError: with every name the grid lacks and every array that is no profile.
    """
    faults = FaultList(f"profiles {source}")
    check_names(grid, power_kw, faults, "profiles")
    arrays = {name: np.asarray(given, dtype=np.float64) for name, given in power_kw.items()}
    for name, values in arrays.items():
        if values.shape != (len(time_grid),):
            found, allowed = f"shape {values.shape}", f"must have shape ({len(time_grid)},)"
            faults.add(f"profiles, {name}", found, allowed)
        elif not (np.isfinite(values) & (values >= 0)).all():
            found = f"{values.min()} to {values.max()}"
            faults.add(f"profiles, {name}", found, "must be finite and at least 0 kW")
    faults.raise_if_any(GridError)
    loads, generators = grid.loads, grid.generators
    load_kw = _place(arrays, loads.label, len(time_grid))
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(loads.p_kw != 0, loads.q_kvar / loads.p_kw, 0.0)
    return profile_dataset(
        grid,
        time_grid,
        load_kw,
        load_kw * ratio[:, np.newaxis],
        _place(arrays, generators.label, len(time_grid)),
        {"source": source},
    )


def check_names(grid: Grid, names: Iterable[str], faults: FaultList, where: str) -> None:
    """Note each name that is not exactly one load or generator of the grid."""
    loads, generators = (set(map(str, table.label)) for table in (grid.loads, grid.generators))
    for name in names:
        if name in loads and name in generators:
            faults.add(f"{where}, {name}", None, "is the name of a load and of a generator")
        elif name not in loads and name not in generators:
            hint = did_you_mean(name, loads | generators)
            allowed = "is neither a load nor a generator of the grid"
            faults.add(f"{where}, {name}", None, allowed, hint)


def _place(arrays: Mapping[str, Floats], labels: npt.NDArray[np.str_], count: int) -> Floats:
    """One row for each label, of zeros where it has no array."""
    placed = np.zeros((labels.size, count))
    for row, label in enumerate(labels.tolist()):
        if label in arrays:
            placed[row] = arrays[label]
    return placed
