"""What the structured solver carries when the oracles stand beside the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.engine import features as engine
from optimizer.formulation import burners

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.problem import DispatchProblem

BY_ORACLES = frozenset(
    {
        "least power",
        "equal steps of power",
        "prices that reward charging and discharging at once",
    }
)
"""Features that the engine leaves to the oracles."""


def needs_oracle(problem: DispatchProblem) -> npt.NDArray[np.bool_]:
    """Batteries with steps or a least power, or that market prices reward for burning energy."""
    return np.asarray(problem.batteries.is_discrete | burners(problem))


def beyond_oracles(problem: DispatchProblem) -> dict[str, npt.NDArray[np.bool_]]:
    """Batteries with something that no oracle carries, by name, each of shape (N,)."""
    b, targets = problem.batteries, problem.targets
    inside = np.zeros(len(b), dtype=bool)
    inside[targets.battery[targets.share < 1.0]] = True
    return {
        "ramp limit": np.isfinite(b.ramp_up_kw_per_h) | np.isfinite(b.ramp_down_kw_per_h),
        "cycle cap a day": np.isfinite(b.cycles_per_day_max),
        "target inside an interval": inside,
        "staying near the previous plan": b.change_price_per_kwh > 0,
    }


def not_carried(problem: DispatchProblem) -> tuple[str, ...]:
    """Names of the features of `problem` that engine and oracles together do not carry."""
    names = [name for name in engine.not_carried(problem) if name not in BY_ORACLES]
    rows = needs_oracle(problem)
    for name, has in beyond_oracles(problem).items():
        if (has & rows).any() and name not in names:
            names.append(f"{name} of a discrete battery")
    if rows.any() and len(problem.network):
        names.append("network row beside discrete batteries")
    if rows.any() and problem.limits.has_ramp.any() and "ramp of a group" not in names:
        names.append("ramp of a group beside discrete batteries")
    if rows.any() and len(problem.reserves) and "reserve" not in names:
        names.append("reserve beside discrete batteries")
    per_kw = (problem.limits.breach_price_per_kw > 0).any()
    if rows.any() and per_kw and "limit with a price per kW" not in names:
        names.append("limit with a price per kW beside discrete batteries")
    return tuple(names)
