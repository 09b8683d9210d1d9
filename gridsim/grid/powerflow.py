"""AC power flow of a whole time axis, with batteries attached to buses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from gridsim.grid import results
from gridsim.grid.engine import Injection, NodeSums, add_storages, choose_engine, set_powers
from gridsim.grid.errors import GridError
from twins.faults import FaultList

if TYPE_CHECKING:
    import numpy.typing as npt

    from gridsim.grid.network import Grid

    Floats = npt.NDArray[np.float64]
    Complexes = npt.NDArray[np.complex128]
    Positions = npt.NDArray[np.int64]
    Intervals = slice | npt.NDArray[np.int64] | list[int] | None


@dataclass(frozen=True, eq=False)
class OperatingPoint:
    """A solved power flow with the voltages behind it.

    Attributes:
        voltages: of the model's nodes, complex, shape (node, time); NaN where not converged.
        flow: what `PowerFlow.flow` gives.
    """

    voltages: Complexes
    flow: xr.Dataset


class PowerFlow:
    """One grid, one set of profiles and one placement of batteries; many plans.

    Args:
        grid: the grid.
        profiles: ``load_kw`` and ``load_kvar`` (load, time), ``generation_kw`` (generator, time),
            for exactly the grid's loads and generators in their order.
        storage_bus: the bus label of each battery, by battery id, or as a data array with dim
            ``battery``.

    Raises:
        GridError: labels that do not match, NaN, a battery at an unknown or dead bus.
    """

    def __init__(
        self, grid: Grid, profiles: xr.Dataset, storage_bus: Mapping[str, str] | xr.DataArray
    ) -> None:
        self.grid = grid
        self.profiles = check_profiles(grid, profiles)
        self.batteries, self.storage_bus = _storage_places(grid, storage_bus)
        self.storage_node = grid.model.node_of_bus[self.storage_bus]
        self._sums = NodeSums(grid.model, self.storage_node)
        self._engine = choose_engine(grid, self._bus_index)

    @property
    def engine(self) -> str:
        """What solves the flow."""
        return self._engine.name

    @cached_property
    def baseline(self) -> xr.Dataset:
        """The flow without batteries, computed once."""
        return self._solved(np.arange(self.time.size), None, None).flow

    @property
    def time(self) -> npt.NDArray[np.datetime64]:
        """Labels of the intervals, UTC."""
        return np.asarray(self.profiles["time"].to_numpy())

    def flow(
        self,
        p_kw: xr.DataArray | None = None,
        q_kvar: xr.DataArray | None = None,
        *,
        intervals: Intervals = None,
    ) -> xr.Dataset:
        """Solve every interval.

        Args:
            p_kw: batteries' mean power, dims (battery, time), positive charges; None is without
                batteries.
            q_kvar: their reactive power, positive absorbed; None is zero.
            intervals: positions on ``time`` to solve; None is all. `p_kw` covers these only.

        Returns:
            ``v_pu`` (bus, time), ``line_loading``, ``line_p_kw`` (line, time),
            ``transformer_loading``, ``transformer_p_kw`` (transformer, time), ``losses_kw``,
            ``p_exchange_kw``, ``q_exchange_kvar`` and ``converged`` (time). An interval that does
            not converge is NaN throughout and false in ``converged``.

        Raises:
            GridError: labels that do not match, NaN.
        """
        if p_kw is None and q_kvar is None and intervals is None:
            return self.baseline.copy(deep=True)
        return self.operating_point(p_kw, q_kvar, intervals=intervals).flow

    def operating_point(
        self,
        p_kw: xr.DataArray | None = None,
        q_kvar: xr.DataArray | None = None,
        *,
        intervals: Intervals = None,
    ) -> OperatingPoint:
        """Solve every interval and keep what `gridsim.grid.sensitivities` starts from.

        Takes and raises what `flow` does.
        """
        at = np.arange(self.time.size)
        at = at if intervals is None else np.atleast_1d(at[intervals])
        power = [
            self._battery_values(name, a, at) for name, a in (("p_kw", p_kw), ("q_kvar", q_kvar))
        ]
        return self._solved(at, *power)

    def to_pandapower(
        self, p_kw: xr.DataArray | None, interval: int, q_kvar: xr.DataArray | None = None
    ) -> Any:
        """A pandapower net of one interval, not yet solved, with one storage for each battery.

        Args:
            p_kw, q_kvar: as for `flow`, for the whole time axis; the interval is picked here.
            interval: position on ``time``.
        """
        at = np.array([interval])
        p, q = (
            self._battery_values(name, None if a is None else a.isel(time=at), at)
            for name, a in (("p_kw", p_kw), ("q_kvar", q_kvar))
        )
        net = self.grid.net_copy()
        storages = add_storages(net, self._bus_index, list(map(str, self.batteries)))
        set_powers(net, self._injection(at, p, q), storages, 0)
        return net

    @property
    def _bus_index(self) -> Positions:
        return np.asarray(self.grid.bus_index[self.storage_bus])

    def _solved(self, at: Positions, p_kw: Floats | None, q_kvar: Floats | None) -> OperatingPoint:
        injection = self._injection(at, p_kw, q_kvar)
        s_pu = self._sums.s_pu(injection)
        voltages, converged = self._engine.solve(injection, s_pu)
        flow = results.extract(self.grid, self.time[at], voltages, s_pu, converged)
        flow.attrs["engine"] = self.engine
        return OperatingPoint(voltages, flow)

    def _injection(self, at: Positions, p_kw: Floats | None, q_kvar: Floats | None) -> Injection:
        idle = np.zeros((self.batteries.size, at.size))
        return Injection(
            load_kw=self._load_kw[:, at],
            load_kvar=self._load_kvar[:, at],
            generation_kw=self._generation_kw[:, at],
            # Profiles move active power only; reactive power stays as the grid file has it.
            generation_kvar=np.repeat(self.grid.generators.q_kvar[:, np.newaxis], at.size, axis=1),
            storage_kw=idle if p_kw is None else p_kw,
            storage_kvar=idle if q_kvar is None else q_kvar,
        )

    @cached_property
    def _load_kw(self) -> Floats:
        return np.asarray(self.profiles["load_kw"].to_numpy(), dtype=np.float64)

    @cached_property
    def _load_kvar(self) -> Floats:
        return np.asarray(self.profiles["load_kvar"].to_numpy(), dtype=np.float64)

    @cached_property
    def _generation_kw(self) -> Floats:
        return np.asarray(self.profiles["generation_kw"].to_numpy(), dtype=np.float64)

    def _battery_values(
        self, name: str, array: xr.DataArray | None, at: Positions
    ) -> Floats | None:
        if array is None:
            return None
        faults = FaultList(name)
        if not isinstance(array, xr.DataArray):
            faults.add(name, type(array).__name__, "must be a DataArray on (battery, time)")
            faults.raise_if_any(GridError)
        _check_array(array, name, {"battery": self.batteries, "time": self.time[at]}, faults)
        faults.raise_if_any(GridError)
        return np.asarray(array.transpose("battery", "time").to_numpy(), dtype=np.float64)


def check_profiles(grid: Grid, profiles: xr.Dataset) -> xr.Dataset:
    """`profiles` with its variables in (element, time) order, if they fit `grid`.

    Raises:
        GridError: a variable is missing, labels differ from the grid's, a value is not finite.
    """
    faults = FaultList("profiles")
    time = profiles["time"].to_numpy() if "time" in profiles.coords else np.array([])
    if time.size == 0:
        faults.add("time", "", "must be a coordinate with at least one interval")
    wanted = {"load_kw": "load", "load_kvar": "load", "generation_kw": "generator"}
    labels = {"load": grid.loads.label, "generator": grid.generators.label}
    for name, dim in wanted.items():
        if name in profiles:
            _check_array(profiles[name], name, {dim: labels[dim], "time": time}, faults)
        else:
            faults.add(name, "", "is missing and must be given")
    faults.raise_if_any(GridError)
    return xr.Dataset(
        {name: profiles[name].transpose(dim, "time") for name, dim in wanted.items()},
        attrs=profiles.attrs,
    )


def _check_array(
    array: xr.DataArray, name: str, labels: Mapping[str, npt.NDArray[Any]], faults: FaultList
) -> None:
    if set(array.dims) != set(labels):
        faults.add(name, array.dims, f"must have the dims {tuple(labels)}")
        return
    for dim, wanted in labels.items():
        found = array[dim].to_numpy() if dim in array.coords else None
        if found is None or found.shape != wanted.shape or not np.array_equal(found, wanted):
            count = "no labels" if found is None else f"{found.size} labels"
            faults.add(f"{name}.{dim}", count, f"must be the {wanted.size} expected, in order")
    bad = int((~np.isfinite(array.to_numpy())).sum())
    if bad:
        faults.add(name, f"{bad} values", "must all be finite numbers")


def _storage_places(
    grid: Grid, storage_bus: Mapping[str, str] | xr.DataArray
) -> tuple[npt.NDArray[np.str_], Positions]:
    if isinstance(storage_bus, Mapping):
        ids, labels = list(storage_bus), list(storage_bus.values())
    else:
        ids = [str(battery) for battery in storage_bus["battery"].to_numpy()]
        labels = [str(label) for label in storage_bus.to_numpy()]
    batteries = np.array(ids, dtype=np.str_)
    faults = FaultList("storage_bus")
    if np.unique(batteries).size != batteries.size:
        faults.add("battery", f"{batteries.size} ids", "must be unique")
    faults.raise_if_any(GridError)
    buses = grid.buses.positions(labels, "storage_bus")
    for at in np.flatnonzero(~grid.buses.energised[buses]):
        allowed = "must be in service and connected to the upstream grid"
        faults.add(f"storage_bus[{ids[at]!r}]", labels[at], allowed)
    faults.raise_if_any(GridError)
    return batteries, buses
