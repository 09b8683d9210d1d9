"""From a dispatch problem to the instance that every contestant reads."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.peers.exchange import Instance
from gridsim.instances import make_instance
from twins.timegrid import iso

if TYPE_CHECKING:
    from optimizer.problem import DispatchProblem


@dataclass(frozen=True)
class Recipe:
    """Arguments of `gridsim.instances.make_instance`, and one of our own.

    Attributes:
        price_min: prices below this are raised to it. With 0 or more charging and discharging at
            once never pays by itself, so that the linear models among the contestants are exact.
    """

    batteries: int
    intervals: int = 48
    congestion: str = "moderate"
    discrete: float = 0.0
    seed: int = 0
    nested: bool = True
    price_min: float | None = None

    def problem(self) -> DispatchProblem:
        asked = asdict(self)
        least = asked.pop("price_min")
        problem = make_instance(**asked)
        if least is None:
            return problem
        price = np.maximum(problem.price_import_per_kwh, least)
        return replace(problem, price_import_per_kwh=price, price_export_per_kwh=price)

    def __str__(self) -> str:
        words = f"{self.batteries:,} × {self.intervals}, {self.congestion}"
        words += f", {self.discrete:.0%} discrete" if self.discrete else ""
        words += "" if self.nested else ", areas alone"
        return words + ("" if self.price_min is None else f", prices ≥ {self.price_min:g}")


def neutral(recipe: Recipe, problem: DispatchProblem) -> Instance:
    """The problem without gridsim's types.

    Raises:
        ValueError: the problem holds something that the neutral form has no place for.
    """
    b, groups, limits = problem.batteries, problem.groups, problem.limits
    _refuse_more(problem)
    end_min = np.full(len(b), -np.inf)
    np.maximum.at(end_min, problem.targets.battery, problem.targets.energy_kwh_min)
    return Instance(
        recipe=json.dumps(asdict(recipe)),
        start=iso(problem.grid.instants[0]),
        step_h=problem.grid.step_h,
        price_import_per_kwh=problem.price_import_per_kwh,
        price_export_per_kwh=problem.price_export_per_kwh,
        group=b.group,
        energy_kwh_initial=b.energy_kwh_initial,
        energy_kwh_min=b.energy_kwh_min[:, -1],
        energy_kwh_max=b.energy_kwh_max[:, -1],
        energy_kwh_end_min=end_min,
        p_charge_kw_max=b.p_charge_kw_max[:, 0],
        p_discharge_kw_max=b.p_discharge_kw_max[:, 0],
        p_charge_kw_min=b.p_charge_kw_min,
        p_discharge_kw_min=b.p_discharge_kw_min,
        power_levels=b.power_levels,
        efficiency_charge=b.efficiency_charge[:, 0],
        efficiency_discharge=b.efficiency_discharge[:, 0],
        wear_charge_per_kwh=b.wear_cost_charge_per_kwh,
        wear_discharge_per_kwh=b.wear_cost_discharge_per_kwh,
        parent=groups.parent,
        fixed_kw=groups.load_kw - groups.generation_kw,
        limit_group=limits.group,
        limit_kw_max=limits.p_kw_max,
        limit_kw_min=limits.p_kw_min,
    )


def _refuse_more(problem: DispatchProblem) -> None:
    b, targets, limits = problem.batteries, problem.targets, problem.limits
    constant = (
        b.energy_kwh_min[:, 1:],
        b.energy_kwh_max[:, 1:],
        b.p_charge_kw_max,
        b.p_discharge_kw_max,
        b.efficiency_charge,
        b.efficiency_discharge,
    )
    last = len(problem.grid) - 1
    more = {
        "series that change with time": any(np.ptp(column, axis=1).any() for column in constant),
        "generators": len(problem.generators) > 0,
        "sites": bool(problem.groups.is_site.any()),
        "network rows": len(problem.network) > 0,
        "sessions": bool(b.is_session.any()),
        "standing loss": bool(b.standing_loss_per_h.any()),
        "inflow": bool(b.inflow_kw.any()),
        "cycle caps": bool(np.isfinite(b.cycles_per_day_max).any()),
        "ramps": bool(np.isfinite([b.ramp_up_kw_per_h, b.ramp_down_kw_per_h]).any()),
        "end values": bool(b.end_value_per_kwh.any()),
        "soft limits": not limits.is_firm.all(),
        "targets before the end": bool(((targets.interval < last) | (targets.share < 1)).any()),
        "soft targets": not targets.is_firm.all(),
        "targets from above": bool(np.isfinite(targets.energy_kwh_max).any()),
    }
    found = [name for name, is_there in more.items() if is_there]
    if found:
        raise ValueError(f"the neutral form has no {', '.join(found)}")
