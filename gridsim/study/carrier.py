"""The grid as the gate wants it: `dispatch.PowerFlow` over `gridsim.grid`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from gridsim.grid import find_breaches

if TYPE_CHECKING:
    import numpy.typing as npt
    import xarray as xr

    from gridsim.grid import Breaches, PowerFlow


@dataclass(frozen=True, eq=False)
class GridCarrier:
    """A power flow with the limits and the identity of its grid.

    Attributes:
        power_flow: the grid with profiles and batteries on it.
    """

    power_flow: PowerFlow

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

    def flow(self, p_kw: xr.DataArray | None, q_kvar: xr.DataArray | None = None) -> xr.Dataset:
        """AC power flow of every interval."""
        return self.power_flow.flow(p_kw, q_kvar)

    def breaches(
        self,
        flow: xr.Dataset,
        baseline: xr.Dataset,
        at_rest: npt.NDArray[np.bool_] | None = None,
    ) -> Breaches:
        """Every limit that is broken in `flow`; see `find_breaches`."""
        return find_breaches(flow, baseline, self.power_flow.grid, at_rest)
