"""Ageing over years: a state-of-charge profile repeated until the battery is old."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from twins import ageing as model
from twins.faults import FaultList, InvalidInputError
from twins.technology import Ageing, Technology

if TYPE_CHECKING:
    import numpy.typing as npt

    from twins.timegrid import TimeGrid

    Floats = npt.NDArray[np.float64]

DAYS_PER_YEAR = 365.0
STEPS_PER_YEAR = 4
"""How often the profile is stretched to the faded capacity."""
YEARS_MAX = 100

_ATTRS = {
    "capacity_fraction": ("1", "capacity as a fraction of that when new"),
    "loss_calendar": ("1", "capacity lost to time"),
    "loss_cycle": ("1", "capacity lost to use"),
    "equivalent_full_cycles": ("1", "energy through the store over twice its capacity when new"),
}


def project_ageing(
    ageing: Ageing | Technology,
    grid: TimeGrid,
    soc: npt.ArrayLike,
    temperature_c: npt.ArrayLike = 25.0,
    *,
    years: int = 10,
) -> xr.Dataset:
    """Capacity year by year of a new battery that repeats one profile.

    The same energy is cycled every year, so that the depth of a cycle grows as capacity fades
    (changes of state of charge are stretched about the profile's start, within 0 to 1).

    Args:
        ageing: coefficients, or a technology that holds them.
        grid: the profile's T intervals; a day, a year, or anything between.
        soc: state of charge at the instants, (instant,) or (battery, instant), of new capacity.
        temperature_c: of the cells at the instants, °C, of the same shape or one for all.
        years: how many, of 365 days each.

    Returns:
        Dataset on ([battery,] year), year 0 to `years`: ``capacity_fraction``, ``loss_calendar``,
        ``loss_cycle``, ``equivalent_full_cycles``.

    Raises:
        InvalidInputError: for shapes or values that make no profile.

    Source:
        BLAST-Lite; see `twins.ageing`. Agrees with its published ten-year figures within 0.002,
        and with other profiles as the tests' reference file says.
    """
    coefficients = ageing.ageing if isinstance(ageing, Technology) else ageing
    profile, temperature, lead = _profile(grid, soc, temperature_c, years)
    rows = np.repeat(model.coefficients([coefficients]), profile.shape[0], axis=0)
    index = np.arange(profile.shape[0])
    repeats = DAYS_PER_YEAR / STEPS_PER_YEAR / (grid.step_h.sum() / 24.0)
    totals = np.zeros((profile.shape[0], len(model.STRESSES)))
    told = [_outcome(rows, totals)]
    for at in range(years * STEPS_PER_YEAR):
        health = np.maximum(0.05, told[-1]["capacity_fraction"])
        stretched = profile[:, :1] + (profile - profile[:, :1]) / health[:, None]
        stretched = np.clip(stretched, 0.0, 1.0)
        added = model.stress(rows, index, stretched, temperature, grid.step_h, health)
        totals = totals + repeats * added
        if (at + 1) % STEPS_PER_YEAR == 0:
            told.append(_outcome(rows, totals))
    return _dataset(told, lead)


def _outcome(rows: Floats, totals: Floats) -> dict[str, Floats]:
    """What the stress integrals so far have cost."""
    calendar, cycle = model.capacity_loss(rows, totals)
    left = np.minimum(1.0 - calendar - cycle, model.knee_fraction(rows, totals))
    return {
        "capacity_fraction": np.clip(left, 0.0, None),
        "loss_calendar": calendar,
        "loss_cycle": cycle,
        "equivalent_full_cycles": totals[:, 3].copy(),
    }


def _profile(
    grid: TimeGrid, soc: npt.ArrayLike, temperature_c: npt.ArrayLike, years: int
) -> tuple[Floats, Floats, bool]:
    """Profile and temperature as (battery, instant), and whether batteries were given."""
    faults = FaultList("ageing projection")
    profile = np.asarray(soc, dtype=np.float64)
    if profile.ndim not in (1, 2) or profile.shape[-1] != len(grid) + 1:
        faults.add("soc", f"shape {profile.shape}", f"must end in {len(grid) + 1} instants")
    elif not ((profile >= 0) & (profile <= 1)).all():
        faults.add("soc", f"{profile.min()} to {profile.max()}", "must be fractions from 0 to 1")
    temperature = np.asarray(temperature_c, dtype=np.float64)
    if temperature.shape not in ((), (len(grid) + 1,), profile.shape):
        faults.add("temperature_c", f"shape {temperature.shape}", "must be one number or as soc")
    elif not ((temperature >= -90) & (temperature <= 150)).all():
        found = f"{temperature.min()} to {temperature.max()}"
        faults.add("temperature_c", found, "must be from -90 to 150 °C")
    if not 1 <= years <= YEARS_MAX:
        faults.add("years", years, f"must be from 1 to {YEARS_MAX}")
    faults.raise_if_any(InvalidInputError)
    spread = np.array(np.broadcast_to(temperature, profile.shape))
    return np.atleast_2d(profile), np.atleast_2d(spread), profile.ndim == 2


def _dataset(told: list[dict[str, Floats]], lead: bool) -> xr.Dataset:
    variables: dict[str, Any] = {}
    for name, (units, words) in _ATTRS.items():
        values = np.stack([year[name] for year in told], axis=-1)
        dims = ("battery", "year") if lead else ("year",)
        attrs = {"units": units, "long_name": words}
        variables[name] = (dims, values if lead else values[0], attrs)
    return xr.Dataset(variables, coords={"year": np.arange(len(told))})
