"""The search of a battery's own set: as good as the model, never above it, and joined safely."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.certificate import bound, cost_bound, own, profit_bound
from optimizer.certificate.prices import no_multipliers, node_prices, project
from optimizer.solve import solve
from tests.optimizer.certificate_problems import random_multipliers, random_problem
from tests.optimizer.discrete_devices import KINDS, random_device
from tests.optimizer.problems import make_problem

if TYPE_CHECKING:
    from optimizer.plan import Multipliers
    from optimizer.problem import DispatchProblem

SEEDS = st.integers(0, 2**32 - 1)


def searched(problem: DispatchProblem, multipliers: Multipliers | None = None) -> np.ndarray:
    """What every battery costs at least at given prices, its own set searched."""
    prices = project(problem, multipliers or no_multipliers(problem))
    nodes = node_prices(problem, prices)
    rows = np.arange(len(problem.batteries))
    return bound.searched_costs(problem, prices, nodes, rows)


def model_cost(problem: DispatchProblem) -> float:
    certificate = solve(problem, gap=0.0, solver="monolith").certificate
    assert certificate is not None
    return certificate.cost


@pytest.mark.parametrize("kind", KINDS)
@given(SEEDS, st.integers(2, 9))
@settings(max_examples=25, deadline=None)
def test_the_search_is_exact(kind: str, seed: int, intervals: int) -> None:
    """Where every interval has steps of another size there may be too many ways to keep."""
    problem = random_device(seed, intervals, kind)
    cost, found = model_cost(problem), searched(problem)[0]
    assert found <= cost + 1e-7 * (1 + abs(cost))
    assert found >= cost - (1e-2 if kind == "changing steps" else 1e-7) * (1 + abs(cost))


@pytest.mark.parametrize("kind", KINDS[1:])
@pytest.mark.parametrize("seed", range(3))
def test_the_search_is_exact_over_a_day(kind: str, seed: int) -> None:
    """Only where every interval has steps of another size are there too many ways to keep."""
    problem = random_device(seed, 24, kind)
    cost, found = model_cost(problem), searched(problem)[0]
    assert found <= cost + 1e-7 * (1 + abs(cost))
    assert found >= cost - (1e-3 if kind == "changing steps" else 1e-7) * (1 + abs(cost))


@given(SEEDS, st.integers(4, 9))
@settings(max_examples=40, deadline=None)
def test_joined_pieces_stay_below(seed: int, intervals: int) -> None:
    problem = random_device(seed, intervals)
    exact = searched(problem)[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(own, "PIECES_MOST", 3)
        joined = searched(problem)[0]
    assert joined <= exact + 1e-9 * (1 + abs(exact))


@given(SEEDS)
@settings(max_examples=40, deadline=None)
def test_the_bound_holds_for_any_multipliers_and_is_no_looser_than_without_the_search(
    seed: int,
) -> None:
    problem = random_problem(seed, discrete=True, odd_prices=True)
    multipliers = random_multipliers(problem, np.random.default_rng(seed))
    cost = model_cost(problem)
    found = cost_bound(problem, multipliers)
    assert found <= cost + 1e-7 * (1 + abs(cost)) + 1e-8 * problem.firm_price_per_kwh
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bound, "searched_rows", lambda *_: np.zeros(0, dtype=np.intp))
        assert cost_bound(problem, multipliers) <= found + 1e-9 * (1 + abs(found))


def test_an_on_off_battery_that_does_not_fit_earns_nothing() -> None:
    """3 kWh a step into 2 kWh of room: any power could earn 0.4, a step nothing."""
    row = {"energy_kwh_initial": 0.0, "energy_kwh_max": 2.0, "p_charge_kw_max": 3.0}
    continuous = make_problem(2, batteries=[row], price_import=[0.1, 0.3])
    on_off = make_problem(2, batteries=[{**row, "power_levels": 1}], price_import=[0.1, 0.3])
    values = replace(no_multipliers(on_off), energy_value_per_kwh=np.array([[0.3, 0.3]]))
    assert profit_bound(on_off, values) == pytest.approx(0.0, abs=1e-9)
    assert profit_bound(continuous, values) >= 0.4 - 1e-9


def test_prices_that_burn_energy_are_searched_and_others_are_not() -> None:
    lossy = {"efficiency_charge": 0.8, "efficiency_discharge": 0.8, "energy_kwh_max": 6.0}
    for price, expected in ((-0.3, [0]), (0.3, [])):
        problem = make_problem(3, batteries=[lossy], price_import=price)
        nodes = node_prices(problem, project(problem, no_multipliers(problem)))
        assert own.searched_rows(problem, nodes).tolist() == expected
