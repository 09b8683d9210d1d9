"""FlexMeasures' device scheduler, called directly; options name its back end.

Its two back ends build one model: a MILP whose binaries forbid charging while discharging. Limits
are `ems_constraints` on groups of devices; the market is a flow commitment of 0 whose deviations
cost the price either way; steps and least powers are power bands. It has no wear cost. Where
``wear`` is asked for, each battery has a flow commitment of 0 with a downwards price of −wear,
which says the same in its own words and takes one data frame for each battery and interval.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import highspy
import numpy as np
import pandas as pd
from exchange import Answer, contest
from flask import Flask
from flexmeasures.data.models.planning import FlowCommitment
from flexmeasures.data.models.planning.linear_optimization import device_scheduler

if TYPE_CHECKING:
    from exchange import Instance

    Frames = list[pd.DataFrame]


def index_of(instance: Instance) -> pd.DatetimeIndex:
    assert np.ptp(instance.step_h) == 0, "its resolution is one number"
    step = pd.Timedelta(hours=float(instance.step_h[0]))
    return pd.date_range(pd.Timestamp(instance.start), periods=len(instance.step_h), freq=step)


def devices(instance: Instance) -> Frames:
    """Power is positive into the device, in kW.

    Stocks are counted from the first one, in kW · intervals: the scheduler adds powers up without
    the length of an interval.
    """
    index, frames, step_h = index_of(instance), [], instance.step_h[0]
    for n in range(len(instance.group)):
        initial = instance.energy_kwh_initial[n]
        least = np.full(len(index), instance.energy_kwh_min[n] - initial) / step_h
        least[-1] = max(least[-1], (instance.energy_kwh_end_min[n] - initial) / step_h)
        columns = {
            "equals": np.nan,
            "max": (instance.energy_kwh_max[n] - initial) / step_h,
            "min": least,
            "efficiency": 1.0,
            "derivative equals": np.nan,
            "derivative max": instance.p_charge_kw_max[n],
            "derivative min": -instance.p_discharge_kw_max[n],
            "derivative up efficiency": instance.efficiency_charge[n],
            "derivative down efficiency": instance.efficiency_discharge[n],
        }
        frames.append(pd.DataFrame(columns, index=index))
    return frames


def limits(instance: Instance) -> tuple[Frames, list[list[int]]]:
    """Room that the fixed load leaves to the batteries below each limit."""
    index, frames, members = index_of(instance), [], []
    for limit, group in enumerate(instance.limit_group.tolist()):
        batteries, fixed_kw = instance.below(group)
        room = {
            "derivative max": instance.limit_kw_max[limit] - fixed_kw,
            "derivative min": instance.limit_kw_min[limit] - fixed_kw,
        }
        frames.append(pd.DataFrame(room, index=index))
        members.append(batteries.tolist())
    return frames, members


def market(instance: Instance) -> FlowCommitment:
    """Prices of a kW for one interval."""
    index, step_h = index_of(instance), instance.step_h
    return FlowCommitment(
        name="market",
        index=index,
        quantity=pd.Series(0.0, index=index),
        upwards_deviation_price=pd.Series(instance.price_import_per_kwh * step_h, index=index),
        downwards_deviation_price=pd.Series(instance.price_export_per_kwh * step_h, index=index),
    )


def wear(instance: Instance) -> list[FlowCommitment]:
    index, step_h = index_of(instance), instance.step_h
    return [
        FlowCommitment(
            name=f"wear {n}",
            index=index,
            device=pd.Series(n, index=index),
            quantity=pd.Series(0.0, index=index),
            upwards_deviation_price=pd.Series(cost_in * step_h, index=index),
            downwards_deviation_price=pd.Series(-cost_out * step_h, index=index),
        )
        for n, (cost_in, cost_out) in enumerate(
            zip(instance.wear_charge_per_kwh, instance.wear_discharge_per_kwh, strict=True)
        )
    ]


def bands(instance: Instance) -> list[list[tuple[float, float]] | None] | None:
    if not instance.is_discrete.any():
        return None
    found: list[list[tuple[float, float]] | None] = []
    for n in range(len(instance.group)):
        charge, discharge = instance.p_charge_kw_max[n], instance.p_discharge_kw_max[n]
        levels = int(instance.power_levels[n])
        if levels:
            shares = np.arange(-levels, levels + 1) / levels
            steps = np.where(shares > 0, shares * charge, shares * discharge)
            found.append([(float(step), float(step)) for step in steps])
        elif instance.is_discrete[n]:
            out, into = instance.p_discharge_kw_min[n], instance.p_charge_kw_min[n]
            found.append([(-discharge, -out), (0.0, 0.0), (into, charge)])
        else:
            found.append(None)
    return found


def plan(instance: Instance, answer: Answer, options: dict[str, Any]) -> None:
    app = Flask("benchmark")
    app.config["FLEXMEASURES_LP_SOLVER"] = options["backend"]
    app.config["LOGGING_LEVEL"] = "INFO"  # which is what makes it silence HiGHS
    app.config["FLEXMEASURES_LP_SOLVER_OPTIONS"] = {"mip_rel_gap": options["gap"]}
    with app.app_context(), answer.phases_around_highs(highspy.Highs):
        frames, members = limits(instance)
        powers, _, results, model = device_scheduler(
            devices(instance),
            frames,
            commitments=[market(instance), *(wear(instance) if options["wear"] else [])],
            initial_stock=instance.energy_kwh_initial.tolist(),
            ems_constraint_groups=members,
            device_power_bands=bands(instance),
        )
        condition = str(results.solver.termination_condition)
        assert "optimal" in condition, condition
        batteries, intervals = instance.shape
        shape = [(n, t) for n in range(batteries) for t in range(intervals)]
        up = [model.device_power_up[cell].value for cell in shape]
        down = [model.device_power_down[cell].value for cell in shape]
    assert len(powers) >= batteries
    charge = np.array(up, dtype=float).reshape(batteries, intervals)
    answer.give(charge, -np.array(down, dtype=float).reshape(batteries, intervals))
    answer.note = "" if options["wear"] else "knows no wear"


if __name__ == "__main__":
    contest(plan, "flexmeasures", "pyomo", "highspy", "pandas")
