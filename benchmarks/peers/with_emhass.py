"""EMHASS: the day-ahead optimisation of one home, once for each battery.

It has no limits that homes share, so its plans are made as if there were none. One optimisation
object a home, as every home would have; HiGHS through CVXPY. Its power limits are at the store, and
steps, least powers and targets that may be exceeded are not in it: it ends at the energy wanted.
Homes that are left when the time is up have no plan: they rest, and the answer says how many.
"""

from __future__ import annotations

import json
import logging
import time
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from emhass.optimization import Optimization
from exchange import Answer, contest

if TYPE_CHECKING:
    from exchange import Instance

W_PER_KW = 1000.0
QUIET = logging.getLogger("emhass")


def frame(instance: Instance) -> pd.DataFrame:
    assert np.ptp(instance.step_h) == 0, "its time step is one number"
    step = pd.Timedelta(hours=float(instance.step_h[0]))
    index = pd.date_range(pd.Timestamp(instance.start), periods=len(instance.step_h), freq=step)
    prices = {
        "unit_load_cost": instance.price_import_per_kwh,
        "unit_prod_price": instance.price_export_per_kwh,
    }
    return pd.DataFrame(prices, index=index)


def home(instance: Instance, n: int, data: pd.DataFrame, gap: float) -> Optimization:
    """The optimisation of battery n's home, which has neither load nor PV of its own."""
    defaults = json.loads((files("emhass") / "data/config_defaults.json").read_text())
    size = float(instance.energy_kwh_max[n])
    efficiency_in = float(instance.efficiency_charge[n])
    efficiency_out = float(instance.efficiency_discharge[n])
    asked = defaults | {
        "optimization_time_step": data.index[1] - data.index[0],
        "time_zone": data.index.tz,
        "delta_forecast_daily": len(data) * (data.index[1] - data.index[0]),
        "number_of_deferrable_loads": 0,
        "set_use_battery": True,
        "set_nodischarge_to_grid": False,
        "lp_solver_mip_rel_gap": gap,
        "weight_battery_charge": float(instance.wear_charge_per_kwh[n]),
        "weight_battery_discharge": float(instance.wear_discharge_per_kwh[n]),
        "maximum_power_from_grid": 1e6,
        "maximum_power_to_grid": 1e6,
        "battery_charge_power_max": W_PER_KW * instance.p_charge_kw_max[n] * efficiency_in,
        "battery_discharge_power_max": W_PER_KW * instance.p_discharge_kw_max[n] / efficiency_out,
        "battery_charge_efficiency": efficiency_in,
        "battery_discharge_efficiency": efficiency_out,
        "battery_nominal_energy_capacity": W_PER_KW * size,
        "battery_minimum_state_of_charge": float(instance.energy_kwh_min[n]) / size,
        "battery_maximum_state_of_charge": 1.0,
    }
    for lists in [name for name in asked if "deferrable" in name and name.endswith("loads")]:
        asked[lists] = 0 if lists == "number_of_deferrable_loads" else []
    prices = data.columns.tolist()
    return Optimization(asked, asked, asked, *prices, "profit", {}, QUIET, num_timesteps=len(data))


def plan(instance: Instance, answer: Answer, options: dict[str, Any]) -> None:
    logging.disable(logging.CRITICAL)
    ends = time.perf_counter() + options["time_limit_s"]
    charge, discharge = np.zeros(instance.shape), np.zeros(instance.shape)
    data = frame(instance)
    nothing = pd.Series(0.0, index=data.index)
    batteries = len(instance.group)
    planned = 0
    while planned < batteries and time.perf_counter() < ends:
        stages: dict[str, float] = {}
        with answer.phase("build"):
            optimization = home(instance, planned, data, options["gap"])
        size = instance.energy_kwh_max[planned]
        found = optimization.perform_dayahead_forecast_optim(
            data,
            nothing,
            nothing,
            soc_init=float(instance.energy_kwh_initial[planned] / size),
            soc_final=float(instance.energy_kwh_end_min[planned] / size),
            stage_times=stages,
        )
        for name in ("build", "solve", "extract"):
            answer.seconds[name] = answer.seconds.get(name, 0.0) + stages[f"optim_solve.{name}"]
        power = found["P_batt"].to_numpy() / W_PER_KW
        charge[planned], discharge[planned] = np.maximum(-power, 0.0), np.maximum(power, 0.0)
        planned += 1
    answer.give(charge, discharge)
    answer.planned = planned
    answer.note = "no limits that homes share"


if __name__ == "__main__":
    contest(plan, "emhass", "cvxpy", "highspy")
