"""What the participating sites pay, for powers that the twins have really delivered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from optimizer.certificate import cost_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from gridsim.scenario.built import BuiltScenario
    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Account:
    """What the sites pay over the horizon, in the problem's currency.

    Attributes:
        energy: bought less sold, with the sites' own load and generation.
        wear: of the batteries.
        energy_missing: what it takes to buy back the energy that the stores hold less than at the
            start, at the mean import price and the planning efficiency; energy in excess is worth
            nothing.
    """

    energy: float
    wear: float
    energy_missing: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.energy + self.wear + self.energy_missing


def account(problem: DispatchProblem, lived: xr.Dataset) -> Account:
    """The account of a fleet that did what `lived` says.

    Args:
        problem: any problem of the same sites, batteries and prices; its limits do not matter.
        lived: from `twins.replay`, without a scenario dim: ``p_kw`` (battery, time) and
            ``energy_kwh`` (battery, instant).
    """
    p_kw = lived["p_kw"].to_numpy()
    output = problem.generators.p_kw_available
    cost = cost_of(problem, np.maximum(p_kw, 0.0), np.maximum(-p_kw, 0.0), output)
    energy = lived["energy_kwh"].to_numpy()
    missing = np.maximum(energy[:, 0] - energy[:, -1], 0.0)
    efficiency = problem.batteries.efficiency_charge.mean(axis=1)
    price = float(np.average(problem.price_import_per_kwh, weights=problem.grid.step_h))
    return Account(
        cost.settlement, cost.wear, max(price, 0.0) * float((missing / efficiency).sum())
    )


def self_consumption(built: BuiltScenario) -> xr.DataArray:
    """Powers of a fleet without a plan: store the site's surplus, cover the site's demand.

    What each battery asks for is its share (by rated power) of the site's surplus; its twin cuts
    that to what it can do. Dims (battery, time), kW, positive charges.
    """
    fleet = built.fleet
    rated = np.minimum(fleet.p_charge_kw_max, fleet.p_discharge_kw_max)
    sites = built.sites
    at_site = np.bincount(built.battery_site, weights=rated, minlength=sites.sizes["site"])
    share = rated / np.maximum(at_site[built.battery_site], 1e-12)
    surplus = (sites["generation_kw"] - sites["load_kw"]).to_numpy()[built.battery_site]
    asked = np.clip(
        share[:, None] * surplus,
        -fleet.p_discharge_kw_max[:, None],
        fleet.p_charge_kw_max[:, None],
    )
    return xr.DataArray(
        asked,
        dims=("battery", "time"),
        coords={"battery": [str(b) for b in fleet.battery_id], "time": built.time_grid.starts},
        name="p_kw",
        attrs={"units": "kW", "sign": "positive charges"},
    )
