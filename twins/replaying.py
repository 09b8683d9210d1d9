"""Replay: what a whole fleet would really do if it were told these powers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from twins import ageing
from twins.clock import cut
from twins.columns import kernel_parameters
from twins.faults import FaultList, InvalidInputError
from twins.uncertainty import Uncertainty, scenario_parameters
from twins.walk import Walk, walk

if TYPE_CHECKING:
    import numpy.typing as npt

    from twins.fleet import Fleet
    from twins.timegrid import TimeGrid

    Floats = npt.NDArray[np.float64]

TEMPERATURE_C_MIN, TEMPERATURE_C_MAX = -90.0, 90.0

_ATTRS = {
    "p_kw": ("kW", "mean active power delivered at the terminals"),
    "q_kvar": ("kvar", "mean reactive power delivered at the terminals"),
    "p_shortfall_kw": ("kW", "power asked for minus power delivered"),
    "energy_kwh": ("kWh", "stored energy"),
    "soc": ("1", "state of charge, of present capacity"),
    "temperature_c": ("degC", "temperature of the cells"),
    "loss_kwh": ("kWh", "energy lost in converter, cells, standby and standing loss"),
    "capacity_fraction": ("1", "capacity after the last instant, of that when new"),
    "equivalent_full_cycles": ("1", "energy through the store over twice its present capacity"),
    "throughput_charge_kwh": ("kWh", "energy taken in at the terminals"),
    "throughput_discharge_kwh": ("kWh", "energy given out at the terminals"),
}
_SIGNS = {"p_kw": "positive charges", "q_kvar": "positive absorbed"}


def replay(
    fleet: Fleet,
    grid: TimeGrid,
    p_kw: xr.DataArray | npt.ArrayLike,
    q_kvar: xr.DataArray | npt.ArrayLike | None = None,
    *,
    temperature_ambient_c: xr.DataArray | npt.ArrayLike = 20.0,
    temperature_initial_c: npt.ArrayLike | None = None,
    uncertainty: Uncertainty | None = None,
) -> xr.Dataset:
    """Let every battery of `fleet` live through the powers that it is asked for.

    A battery does what it can: power is cut to its limits, its taper, its temperature and its
    store; active power goes before reactive. Energy that starts inside its band stays there; one
    that starts outside only moves towards it. The result at instants that two grids share is the
    same, whatever the step length, if the powers are.

    Args:
        fleet: N batteries.
        grid: T intervals.
        p_kw: asked-for mean power (battery, time), kW, positive charges; a DataArray must carry
            exactly the fleet's and the grid's labels in their order.
        q_kvar: asked-for reactive power (battery, time), kvar, positive absorbed; zero without it.
        temperature_ambient_c: °C, one for all or (time,).
        temperature_initial_c: of the cells at the first instant, °C, one for all or (battery,);
            without it, the first ambient temperature.
        uncertainty: draw parameter scenarios, as a leading dim ``scenario``.

    Returns:
        Dataset on ([scenario,] battery, time) and (…, instant): ``p_kw``, ``q_kvar``,
        ``p_shortfall_kw`` (asked for minus delivered), ``loss_kwh``; ``energy_kwh``, ``soc``,
        ``temperature_c`` at the instants; and for each battery ``capacity_fraction`` after ageing,
        ``equivalent_full_cycles``, ``throughput_charge_kwh``, ``throughput_discharge_kwh``.
        Capacity is constant within one replay.

    Raises:
        InvalidInputError: for labels or shapes that differ, and for values that are not finite.
    """
    faults = FaultList("replay")
    asked_kw = _matrix(fleet, grid, p_kw, "p_kw", faults)
    asked_kvar = None if q_kvar is None else _matrix(fleet, grid, q_kvar, "q_kvar", faults)
    ambient_c = _ambient(grid, temperature_ambient_c, faults)
    initial = ambient_c[0] if temperature_initial_c is None else temperature_initial_c
    initial_c = _temperatures(initial, len(fleet), "temperature_initial_c", faults)
    faults.raise_if_any(InvalidInputError)
    records = (
        kernel_parameters(fleet) if uncertainty is None else scenario_parameters(fleet, uncertainty)
    )
    records["temperature_c_initial"] = np.resize(initial_c, records.size)
    walked = walk(records, asked_kw, asked_kvar, cut(grid, ambient_c))
    arrays = _arrays(fleet, grid, records, walked)
    return _dataset(fleet, grid, arrays, None if uncertainty is None else uncertainty.count)


def _matrix(fleet: Fleet, grid: TimeGrid, given: Any, name: str, faults: FaultList) -> Floats:
    """The values as (battery, time), or a note of what is wrong with them."""
    shape = (len(fleet), len(grid))
    if isinstance(given, xr.DataArray):
        if set(given.dims) != {"battery", "time"}:
            faults.add(f"{name}.dims", str(given.dims), "must be battery and time")
            return np.zeros(shape)
        given = given.transpose("battery", "time")
        _same_labels(given, "battery", fleet.battery_id, name, faults)
        _same_labels(given, "time", grid.starts, name, faults)
    values = _floats(given)
    if values is None or values.shape != shape:
        found = "no numbers" if values is None else f"shape {values.shape}"
        faults.add(name, found, f"must be numbers of shape {shape}: (battery, time)")
        return np.zeros(shape)
    finite = np.isfinite(values)
    for row, at in () if finite.all() else np.argwhere(~finite)[:10]:
        where = f"{name}[battery {str(fleet.battery_id[row])!r}, interval {at}]"
        faults.add(where, float(values[row, at]), "must be finite")
    return values


def _floats(given: Any) -> Floats | None:
    try:
        return np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        return None


def _same_labels(
    given: xr.DataArray, dim: str, wanted: npt.NDArray[Any], name: str, faults: FaultList
) -> None:
    """Note where the labels of `dim` are not exactly those `wanted`, in their order."""
    where = f"{name}.{dim}"
    if dim not in given.coords:
        faults.add(where, None, "must be labelled; hand over a plain array to go by position")
        return
    found = given[dim].values
    if found.shape != wanted.shape:
        faults.add(where, f"{found.size} labels", f"must be {wanted.size} labels")
        return
    differ = np.flatnonzero(found != wanted)
    if differ.size:
        at = int(differ[0])
        faults.add(f"{where}[{at}]", str(found[at]), f"must be {wanted[at]}")


def _ambient(grid: TimeGrid, given: Any, faults: FaultList) -> Floats:
    """Ambient temperature of each interval."""
    name = "temperature_ambient_c"
    if isinstance(given, xr.DataArray) and given.ndim:
        if given.dims != ("time",):
            faults.add(f"{name}.dims", str(given.dims), "must be time alone")
            return np.zeros(len(grid))
        _same_labels(given, "time", grid.starts, name, faults)
    return _temperatures(given, len(grid), name, faults)


def _temperatures(given: Any, count: int, name: str, faults: FaultList) -> Floats:
    """`count` temperatures, or a note of what is wrong with those given."""
    values = _floats(given)
    if values is None or values.shape not in ((), (count,)):
        found = "no numbers" if values is None else f"shape {values.shape}"
        faults.add(name, found, f"must be one number or {count}")
        return np.zeros(count)
    if not ((values >= TEMPERATURE_C_MIN) & (values <= TEMPERATURE_C_MAX)).all():
        allowed = f"must be from {TEMPERATURE_C_MIN:g} to {TEMPERATURE_C_MAX:g} °C"
        faults.add(name, f"{values.min()} to {values.max()}", allowed)
        return np.zeros(count)
    return np.array(np.broadcast_to(values, (count,)))


def _arrays(
    fleet: Fleet, grid: TimeGrid, records: npt.NDArray[Any], walked: Walk
) -> dict[str, Floats]:
    """Every result as rows (scenario after scenario)."""
    return {
        "p_kw": walked.p_kw,
        "q_kvar": walked.q_kvar,
        "p_shortfall_kw": walked.p_shortfall_kw,
        "loss_kwh": walked.loss_kwh,
        "energy_kwh": walked.energy_kwh,
        "soc": walked.soc,
        "temperature_c": walked.temperature_c,
        "capacity_fraction": _capacity_after(fleet, grid, walked.soc, walked.temperature_c),
        "equivalent_full_cycles": walked.moved_kwh / (2 * records["capacity_kwh"]),
        "throughput_charge_kwh": walked.charged_kwh,
        "throughput_discharge_kwh": walked.discharged_kwh,
    }


def _capacity_after(fleet: Fleet, grid: TimeGrid, soc: Floats, temperature_c: Floats) -> Floats:
    """Capacity fraction at the end: that at the start less what this replay cost."""
    times = soc.shape[0] // len(fleet)
    index = np.tile(fleet.technology_index, times)
    before = np.tile(fleet.capacity_fraction, times)
    rows = ageing.coefficients([one.ageing for one in fleet.technologies])
    added = ageing.stress(rows, index, soc, temperature_c, grid.step_h, before)
    totals = ageing.stress_of_loss(rows[index], before)
    lost_before = sum(ageing.capacity_loss(rows[index], totals))
    lost_after = sum(ageing.capacity_loss(rows[index], totals + added))
    return np.asarray(before - (lost_after - lost_before))


def _dataset(
    fleet: Fleet, grid: TimeGrid, arrays: dict[str, Floats], scenarios: int | None
) -> xr.Dataset:
    """The rows as a labelled dataset, with a leading scenario dim where there are scenarios."""
    lead = ("battery",) if scenarios is None else ("scenario", "battery")
    shape = (len(fleet),) if scenarios is None else (scenarios, len(fleet))
    dims_by_size = {len(grid): ("time",), len(grid) + 1: ("instant",)}
    variables = {}
    for name, rows in arrays.items():
        units, words = _ATTRS[name]
        attrs = {"units": units, "long_name": words}
        if name in _SIGNS:
            attrs["sign"] = _SIGNS[name]
        dims = lead + (dims_by_size[rows.shape[1]] if rows.ndim == 2 else ())
        variables[name] = (dims, rows.reshape(shape + rows.shape[1:]), attrs)
    coords: dict[str, Any] = {"battery": fleet.battery_id, **grid.coords()}
    if scenarios is not None:
        coords["scenario"] = np.arange(scenarios)
    return xr.Dataset(variables, coords=coords)
