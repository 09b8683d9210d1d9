"""The powers that the grid is tried with: what a plan asks for, and what may come of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    import xarray as xr

    from dispatch.grid_checks import PowerFlow

DELIVERED = ""
ASKED = "if all is delivered that was asked for"
LOWEST = "where the drawn fleets' power is lowest"
HIGHEST = "where the drawn fleets' power is highest"
_SAME_KW = 1e-6


@dataclass(frozen=True, eq=False)
class FlowCase:
    """One power flow of the horizon.

    Attributes:
        words: which powers these are, for a finding's text; "" for what the nominal twins deliver.
        p_kw: dims (battery, time).
        flow: the power flow with them.
    """

    words: str
    p_kw: xr.DataArray
    flow: xr.Dataset


def flow_cases(
    power_flow: PowerFlow, asked: xr.DataArray, lived: xr.Dataset, nominal: xr.Dataset
) -> tuple[FlowCase, ...]:
    """The flows that a plan is judged on, the one with what the nominal twins deliver first.

    A device that does more than its twin stays within what it was asked for, so that is tried too.
    Where parameters are drawn, each interval is also tried with the scenario in which the whole
    fleet draws least and with the one in which it draws most.
    """
    tried = [
        FlowCase(DELIVERED, nominal["p_kw"], power_flow.flow(nominal["p_kw"], nominal["q_kvar"]))
    ]
    if np.abs(asked.to_numpy() - nominal["p_kw"].to_numpy()).max(initial=0.0) >= _SAME_KW:
        p_kw = nominal["p_kw"].copy(data=asked.to_numpy())
        tried.append(FlowCase(ASKED, p_kw, power_flow.flow(p_kw)))
    if lived.sizes.get("scenario", 1) > 1:
        fleet_kw = lived["p_kw"].to_numpy().sum(axis=1)
        for words, chosen in (
            (LOWEST, fleet_kw.argmin(axis=0)),
            (HIGHEST, fleet_kw.argmax(axis=0)),
        ):
            p_kw, q_kvar = (
                nominal[name].copy(data=_of_scenario(lived[name], chosen))
                for name in ("p_kw", "q_kvar")
            )
            tried.append(FlowCase(words, p_kw, power_flow.flow(p_kw, q_kvar)))
    return tuple(tried)


def _of_scenario(power: xr.DataArray, chosen: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The rows of one scenario in each interval, shape (battery, time)."""
    return np.asarray(power.to_numpy()[chosen, :, np.arange(chosen.size)].T)
