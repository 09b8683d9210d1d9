"""The grid as the gate wants it: `dispatch.PowerFlow` over `gridsim.grid`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from gridsim.grid import OperatingPoint, find_breaches

if TYPE_CHECKING:
    import numpy.typing as npt
    import xarray as xr

    from gridsim.grid import Breaches, PowerFlow

HALVINGS_MAX = 6
"""How often a plan without a solution is halved on the way to one that has it."""


@dataclass(frozen=True, eq=False)
class GridCarrier:
    """A power flow with the limits and the identity of its grid.

    The operating point of the last plan is kept: the gate, which asks for the flow of the very same
    powers, does not wait for it twice.

    Attributes:
        power_flow: the grid with profiles and batteries on it.
    """

    power_flow: PowerFlow
    _last: dict[bytes, OperatingPoint] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def digest(self) -> str:
        """sha256 of the grid, its limits, its profiles, and where the batteries are."""
        digest = hashlib.sha256(self.power_flow.grid.digest().encode())
        for name in sorted(map(str, self.power_flow.profiles.data_vars)):
            digest.update(np.ascontiguousarray(self.power_flow.profiles[name].to_numpy()).tobytes())
        digest.update(np.ascontiguousarray(self.power_flow.storage_bus).tobytes())
        return digest.hexdigest()

    @property
    def engine(self) -> str:
        """What solves the flow."""
        return self.power_flow.engine

    def point(self, p_kw: xr.DataArray) -> OperatingPoint:
        """The solved flow of every interval with the batteries at `p_kw` (battery, time)."""
        key = _key(p_kw)
        if key not in self._last:
            self._last.clear()
            self._last[key] = self.power_flow.operating_point(p_kw)
        return self._last[key]

    def flow(self, p_kw: xr.DataArray | None, q_kvar: xr.DataArray | None = None) -> xr.Dataset:
        """AC power flow of every interval."""
        if p_kw is not None and self._last and (q_kvar is None or not q_kvar.to_numpy().any()):
            known = self._last.get(_key(p_kw))
            if known is not None:
                return known.flow
        return self.power_flow.flow(p_kw, q_kvar)

    def solved_point(self, p_kw: xr.DataArray) -> tuple[npt.NDArray[np.float64], OperatingPoint]:
        """The powers nearest to `p_kw` that have a solution, shape (N, T), and the point of them.

        An interval without a solution is halved until it has one, or given up.
        """
        point = self.point(p_kw)
        powers = np.array(p_kw.transpose("battery", "time").to_numpy(), dtype=np.float64)
        dark = np.flatnonzero(~point.flow["converged"].to_numpy())
        if not dark.size:
            return powers, point
        voltages, flow = point.voltages.copy(), point.flow.copy(deep=True)
        for _ in range(HALVINGS_MAX):
            powers[:, dark] *= 0.5
            asked = p_kw.isel(time=dark).copy(data=powers[:, dark])
            tried = self.power_flow.operating_point(asked, intervals=dark)
            voltages[:, dark] = tried.voltages
            for name, values in tried.flow.data_vars.items():
                flow[name].to_numpy()[..., dark] = values.to_numpy()
            dark = dark[~tried.flow["converged"].to_numpy()]
            if not dark.size:
                break
        return powers, OperatingPoint(voltages, flow)

    def breaches(
        self,
        flow: xr.Dataset,
        baseline: xr.Dataset,
        at_rest: npt.NDArray[np.bool_] | None = None,
    ) -> Breaches:
        """Every limit that is broken in `flow`; see `find_breaches`."""
        return find_breaches(flow, baseline, self.power_flow.grid, at_rest)


def _key(p_kw: xr.DataArray) -> bytes:
    values = p_kw.transpose("battery", "time").to_numpy()
    return hashlib.sha256((np.asarray(values, dtype=np.float64) + 0.0).tobytes()).digest()
