"""The structured solver against the monolith, the certificate, and awkward input."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numba.core.dispatcher import Dispatcher

import optimizer.engine
from optimizer.engine.engine import solve_structured
from optimizer.engine.features import FEATURES, not_carried
from optimizer.errors import UnsupportedFeatureError
from optimizer.plan import Status
from optimizer.problem import Reserves
from optimizer.solve import BATTERIES_FOR_ENGINE, solve
from tests.optimizer.certificate_problems import random_problem
from tests.optimizer.problems import make_problem

if TYPE_CHECKING:
    from optimizer.problem import DispatchProblem


def carried(problem: DispatchProblem) -> DispatchProblem:
    """The problem without what the structured solver does not carry."""
    count = len(problem.limits)
    limits = replace(
        problem.limits,
        breach_price_per_kw=np.zeros(count),
        ramp_up_kw_per_h=np.full(count, np.inf),
        ramp_down_kw_per_h=np.full(count, np.inf),
    )
    return replace(problem, limits=limits, reserves=Reserves.none())


@pytest.mark.parametrize("batch", range(10))
def test_small_problems_cost_what_the_monolith_says(batch: int) -> None:
    """Groups, sites with two prices, limits, targets, generators, losses, steps of any length.

    Where limits' prices alone reward charging and discharging at once the problem is not convex;
    there the plan is only as good as its certificate says.
    """
    compared = 0
    for seed in range(30 * batch, 30 * batch + 30):
        problem = carried(random_problem(seed))
        if not_carried(problem):
            continue
        plan, truth = solve_structured(problem, gap=1e-6, threads=1), solve(problem)
        assert plan.certificate is not None
        assert truth.certificate is not None
        assert truth.solver is not None
        assert plan.certificate.worst_violation <= 1e-6
        assert plan.certificate.profit <= truth.certificate.profit_bound + 1e-6 * (
            1 + abs(truth.certificate.profit)
        )
        assert (plan.p_charge_kw * plan.p_discharge_kw == 0).all()
        if truth.solver.binaries:
            continue
        compared += 1
        expected = truth.certificate.profit
        assert plan.certificate.profit == pytest.approx(expected, abs=1e-5 * (1 + abs(expected)))
    assert compared >= 15


def fleet(count: int = 40, **more: Any) -> DispatchProblem:
    """Batteries of many sizes under two feeders of one substation, whose limits bind."""
    rng = np.random.default_rng(7)
    price = [0.1, 0.05, 0.3, 0.12, 0.4, 0.2]
    batteries = [
        {
            "group": f"feeder{i % 2}",
            "energy_kwh_max": size,
            "energy_kwh_initial": 0.5 * size,
            "energy_kwh_min": [0, 0, 0, 0, 0, 0, 0.5 * size],
            "p_charge_kw_max": 0.4 * size,
            "p_discharge_kw_max": 0.5 * size,
            "efficiency_charge": rng.uniform(0.9, 0.98),
            "efficiency_discharge": rng.uniform(0.9, 0.98),
            "wear_cost_discharge_per_kwh": 0.02,
        }
        for i, size in enumerate(rng.uniform(5, 15, count))
    ]
    groups = [
        {"group_id": "top"},
        {"group_id": "feeder0", "parent": "top", "load_kw": 20.0},
        {"group_id": "feeder1", "parent": "top", "generation_kw": 10.0},
    ]
    limits = [
        {"group": "top", "p_kw_max": 1.6 * count, "p_kw_min": -1.3 * count},
        {"group": "feeder0", "p_kw_max": 1.0 * count, "p_kw_min": -0.8 * count},
        {"group": "feeder1", "p_kw_max": 0.9 * count, "p_kw_min": -0.9 * count},
    ]
    settings = {"T": 6, "batteries": batteries, "groups": groups, "limits": limits}
    return make_problem(**{**settings, "price_import": price, **more})


def test_nested_limits_bind_and_the_proof_closes() -> None:
    problem = fleet()
    plan, truth = solve(problem, solver="structured", gap=1e-4), solve(problem, solver="monolith")
    assert plan.status is Status.OPTIMAL
    assert plan.certificate is not None
    assert truth.certificate is not None
    assert plan.certificate.gap <= 1e-4
    assert plan.certificate.profit == pytest.approx(truth.certificate.profit, rel=1e-4)
    assert plan.certificate.worst_violation <= 1e-6
    assert plan.multipliers is not None
    assert (plan.multipliers.limit_max_per_kw.max(axis=1) > 1e-3).sum() >= 2


def test_the_bits_do_not_depend_on_the_number_of_threads() -> None:
    problem = fleet(300)
    one, two = (solve_structured(problem, threads=threads) for threads in (1, 2))
    assert one.digest == two.digest
    assert one.certificate == two.certificate


AWKWARD: dict[str, dict[str, Any]] = {
    "equal bounds": {"batteries": [{"energy_kwh_min": 5.0, "energy_kwh_max": 5.0}]},
    "no power": {"batteries": [{"p_charge_kw_max": 0.0, "p_discharge_kw_max": 0.0}]},
    "no size": {"batteries": [{"energy_kwh_max": 0.0, "energy_kwh_initial": 0.0}]},
    "zero prices": {"price_import": 0.0},
    "a group over its limit without batteries": {
        "groups": [{"load_kw": 9.0}],
        "limits": [{"group": "g0", "p_kw_max": 4.0}],
    },
    "a limit that nothing can keep": {
        "batteries": [{"group": "g0"}],
        "groups": [{"load_kw": 90.0}],
        "limits": [{"group": "g0", "p_kw_max": 4.0, "p_kw_min": 4.0}],
    },
    "a target out of reach": {"targets": [{"battery": 0, "interval": 0, "energy_kwh_min": 50.0}]},
    "far outside the band": {"batteries": [{"energy_kwh_initial": 500.0}]},
    "drained by usage": {"batteries": [{"inflow_kw": -7.0}]},
    "leaves its band by standing loss": {
        "batteries": [{"standing_loss_per_h": 0.9, "energy_kwh_min": 4.0, "p_charge_kw_max": 0.1}]
    },
    "a store that is full and held": {
        "batteries": [{"energy_kwh_initial": 10.0, "p_discharge_kw_max": 0.0}]
    },
}


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_input_costs_what_the_monolith_says(name: str) -> None:
    problem = make_problem(**AWKWARD[name])
    plan, truth = solve_structured(problem, gap=1e-6), solve(problem, solver="monolith")
    assert plan.certificate is not None
    assert truth.certificate is not None
    assert plan.certificate.worst_violation <= 1e-6
    scale = 1e-6 * (1 + abs(truth.certificate.cost))
    assert plan.certificate.cost == pytest.approx(truth.certificate.cost, abs=scale)
    assert plan.certificate.gap_absolute <= 10 * scale


def test_every_cell_of_the_feature_table_says_something() -> None:
    assert all(cell.strip() for feature in FEATURES for cell in feature)
    assert len({feature.name for feature in FEATURES}) == len(FEATURES)


NOT_CARRIED: dict[str, dict[str, Any]] = {
    "rising value of the energy left": {
        "batteries": [{"end_value_per_kwh": -0.1, "end_value_kwh": 2.0}]
    },
    "meter that earns more than it pays": {
        "groups": [
            {"is_site": True, "price_import_per_kwh": 0.1, "price_export_per_kwh": 0.2},
        ]
    },
    "reserve": {"reserves": [{"p_kw_required": 1.0}]},
}


@pytest.mark.parametrize("name", NOT_CARRIED)
def test_what_is_not_carried_is_named_and_left_to_the_monolith(name: str) -> None:
    problem = make_problem(**NOT_CARRIED[name])
    assert name in not_carried(problem)
    with pytest.raises(UnsupportedFeatureError, match=name):
        solve(problem, solver="structured")
    plan = solve(problem)
    assert plan.solver is not None
    assert plan.solver.why


def test_every_feature_without_an_engine_is_found_in_some_problem() -> None:
    assert {one.name for one in FEATURES if one.engine == "—"} == set(NOT_CARRIED)


def test_auto_says_why() -> None:
    small, large = solve(fleet()), solve(fleet(BATTERIES_FOR_ENGINE))
    assert small.solver is not None
    assert large.solver is not None
    assert "fewer than" in small.solver.why
    assert str(BATTERIES_FOR_ENGINE) in large.solver.why
    assert large.solver.name == "structured interior point"


def test_no_compiled_function_calls_one_from_another_file() -> None:
    """Numba's cache would keep the caller as it was compiled before the other file was edited."""
    found = 0
    for module_info in pkgutil.walk_packages(optimizer.engine.__path__, "optimizer.engine."):
        module = importlib.import_module(module_info.name)
        compiled = [one for one in vars(module).values() if isinstance(one, Dispatcher)]
        assert {one.py_func.__module__ for one in compiled} <= {module.__name__}
        found += len(compiled)
    assert found > 10
