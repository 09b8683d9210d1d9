"""Random single batteries with steps, a least power or prices that burn energy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tests.optimizer.problems import make_problem

if TYPE_CHECKING:
    from optimizer.problem import DispatchProblem

KINDS = ("any power", "steps", "least power", "changing steps")


def random_device(seed: int, intervals: int, kind: str | None = None) -> DispatchProblem:
    """One battery outside every group, with every feature that is exact for a discrete one.

    "changing steps" has limits of power and losses that differ from interval to interval.
    """
    rng = np.random.default_rng(seed)
    kind = kind or KINDS[rng.integers(len(KINDS))]
    changes = kind == "changing steps"

    def maybe(value: Any, otherwise: Any) -> Any:
        return value if rng.random() < 0.4 else otherwise

    row: dict[str, Any] = {
        "energy_kwh_initial": rng.uniform(0.5, 9.5),
        "energy_kwh_min": maybe(rng.uniform(0, 3, intervals + 1), 0.5),
        "energy_kwh_max": maybe(rng.uniform(5, 10, intervals + 1), 8.0),
        "p_charge_kw_max": 3.0 * (rng.random(intervals) < 0.9),
        "p_discharge_kw_max": 4.0 * (rng.random(intervals) < 0.9),
        "efficiency_charge": rng.uniform(0.8, 1.0),
        "efficiency_discharge": rng.uniform(0.8, 1.0),
        "inflow_kw": maybe(rng.uniform(-0.3, 0.3, intervals), 0.0),
        "wear_cost_charge_per_kwh": maybe(0.01, 0.0),
        "wear_cost_discharge_per_kwh": maybe(0.02, 0.0),
        "end_value_per_kwh": np.sort(rng.uniform(-0.1, 0.4, 3))[::-1],
        "end_value_kwh": [2.0, 3.0, maybe(2.0, np.inf)],
    }
    if changes or kind in ("any power", "least power"):
        row["p_charge_kw_max"] = maybe(rng.uniform(0, 6, intervals), row["p_charge_kw_max"])
        row["p_discharge_kw_max"] = maybe(rng.uniform(0, 6, intervals), row["p_discharge_kw_max"])
        row["standing_loss_per_h"] = maybe(0.02, 0.0)
    if "steps" in kind:
        row["power_levels"] = int(rng.integers(1, 4))
    if kind == "least power":
        row["p_charge_kw_min"] = rng.uniform(0.2, 0.9) * np.max(row["p_charge_kw_max"])
        row["p_discharge_kw_min"] = rng.uniform(0.2, 0.9) * np.max(row["p_discharge_kw_max"])
    targets = [
        {
            "interval": int(rng.integers(intervals)),
            "energy_kwh_min": rng.uniform(3, 7),
            "energy_kwh_max": maybe(7.5, np.inf),
            "breach_price_per_kwh": rng.choice([0.0, 0.3]),
        }
        for _ in range(rng.integers(0, 3))
    ]
    buy = rng.uniform(-0.3, 0.4, intervals)
    sell = buy + maybe(0.1, -0.02)
    return make_problem(intervals, 1.0, [row], targets=targets, price_import=buy, price_export=sell)
