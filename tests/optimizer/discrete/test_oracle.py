"""Answers of single batteries: schedules that they can follow, and as good as the model's."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.breaches import find_breaches
from optimizer.certificate import check, cost_of
from optimizer.certificate.prices import no_multipliers
from optimizer.discrete import oracle
from optimizer.discrete.oracle import respond
from optimizer.solve import solve
from tests.optimizer.certificate_problems import make_plan
from tests.optimizer.discrete_devices import KINDS, random_device

if TYPE_CHECKING:
    from optimizer.problem import DispatchProblem

SEEDS = st.integers(0, 2**32 - 1)
EXACT = KINDS[:3]


def answer(problem: DispatchProblem) -> oracle.Response:
    return respond(problem, no_multipliers(problem), np.arange(1))


@pytest.mark.parametrize("kind", EXACT)
@given(SEEDS, st.integers(2, 9))
@settings(max_examples=25, deadline=None)
def test_the_schedule_costs_what_the_model_says(kind: str, seed: int, intervals: int) -> None:
    problem = random_device(seed, intervals, kind)
    found, truth = answer(problem), solve(problem, gap=0.0, solver="monolith").certificate
    assert truth is not None
    assert found.cost[0] == pytest.approx(truth.cost, rel=1e-7, abs=1e-7)
    assert found.bound[0] == pytest.approx(truth.cost, rel=1e-7, abs=1e-7)


@pytest.mark.parametrize("width", [1, 16])
@pytest.mark.parametrize("kind", KINDS)
@given(SEEDS, st.integers(2, 12))
@settings(max_examples=30, deadline=None)
def test_every_schedule_keeps_the_rules_and_costs_what_it_says(
    kind: str, width: int, seed: int, intervals: int
) -> None:
    """A beam of one energy leaves more to the way back through the exact functions."""
    problem = random_device(seed, intervals, kind)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(oracle, "BEAM", width)
        found = answer(problem)
    plan = make_plan(problem, found.p_kw)
    powers = (plan.p_charge_kw, plan.p_discharge_kw, plan.generation_kw)
    # Targets and bands that cannot be kept are broken at their price, and reported.
    breaches = find_breaches(problem, *powers, plan.energy_kwh)
    assert not check(replace(plan, breaches=breaches))
    cost = cost_of(problem, *powers).total
    assert found.cost[0] == pytest.approx(cost, rel=1e-9, abs=1e-9)
    assert found.bound[0] <= cost + 1e-9 * (1 + abs(cost))
