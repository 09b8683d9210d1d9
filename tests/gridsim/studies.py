"""Studies that several test modules share; each is loaded once a process."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from dispatch import Gate
from gridsim.scenario import scenario_from_mapping
from gridsim.study.study import Study
from optimizer.breaches import find_breaches
from optimizer.certificate import certify
from optimizer.certificate.flows import stored_energy_kwh
from optimizer.plan import Plan, Status, StopReason
from twins import Fleet

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from optimizer.problem import DispatchProblem

STEPS = 12
"""Two-hour intervals of the small study."""


@functools.cache
def street() -> Study:
    """The shipped street: SimBench's tables take seconds to read."""
    return Study.load("street")


def small_scenario(folder: Path, **sections: Any) -> dict[str, Any]:
    """CIGRE's low-voltage grid at nominal load, a battery at every load, a cheap and a dear half.

    Args:
        folder: where the price file goes.
        sections: replace or extend the scenario's own, key by key.
    """
    prices = [0.05] * 3 + [0.40] * 3 + [0.08] * 3 + [0.50] * 3
    rows = [f"2023-01-16T{2 * at:02d}:00:00Z,{price}" for at, price in enumerate(prices)]
    file = folder / "prices.csv"
    file.write_text("\n".join(["start,price", *rows]) + "\n")
    own: dict[str, Any] = {
        "name": "small",
        "description": "A small grid.",
        "time_zone": "UTC",
        "currency": "EUR",
        "horizon": {"start": "2023-01-16T00:00Z", "intervals": STEPS, "step_minutes": 120},
        "grid": {"pandapower_network": "create_cigre_network_lv"},
        "profiles": {"nominal": True},
        "prices": {
            "csv": str(file), "time_column": "start", "column": "price", "unit": "EUR/kWh",
            "step_minutes": 120,
        },
        "fleet": {
            "rule": {
                "at": {"every_load": True}, "seed": 1, "technology": "lfp",
                "energy_kwh": 60.0, "power": {"c_rate": 0.5},
                "soc_min": 0.05, "soc_max": 0.95, "soc_initial": 0.5,
                "wear_cost_discharge_per_kwh": 0.02,
            }
        },
    }  # fmt: skip
    for name, value in sections.items():
        own[name] = {**own[name], **value} if isinstance(own.get(name), dict) else value
    return own


def small_study(folder: Path, **sections: Any) -> Study:
    """See `small_scenario`."""
    return Study.load(scenario_from_mapping(small_scenario(folder, **sections)))


def made_plan(problem: DispatchProblem, p_kw: npt.NDArray[np.float64]) -> Plan:
    """A plan with these powers, honest about its energies and breaches."""
    charge, discharge = np.maximum(p_kw, 0.0), np.maximum(-p_kw, 0.0)
    energy = stored_energy_kwh(problem, charge, discharge)
    generation = problem.generators.p_kw_available
    breaches = find_breaches(problem, charge, discharge, generation, energy)
    plan = Plan(
        problem, charge, discharge, energy, generation, Status.FEASIBLE, StopReason.INTERRUPTED,
        breaches,
    )  # fmt: skip
    certify(plan)
    return plan


def larger(fleet: Fleet, factor: float, **columns: Any) -> Fleet:
    """The fleet with `factor` times the energy and power."""
    scaled = {
        name: getattr(fleet, name) * factor
        for name in ("energy_kwh_max", "p_charge_kw_max", "p_discharge_kw_max", "s_kva_max")
    }
    same = {
        name: getattr(fleet, name)
        for name in (
            "battery_id", "site_id", "technologies", "technology_index", "soc_min", "soc_max",
            "soc_initial", "wear_cost_charge_per_kwh", "wear_cost_discharge_per_kwh",
            "capacity_fraction",
        )
    }  # fmt: skip
    return Fleet.from_columns(**{**same, **scaled, **columns})


def gate_for(study: Study, fleet: Fleet, **options: Any) -> Gate:
    """A gate for other batteries at the same places."""
    return Gate(fleet, study.carrier, **options)
