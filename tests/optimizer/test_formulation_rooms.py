"""The one-period tightening never cuts an optimum, and does tighten."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyomo.environ as pyo
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.formulation import Layout, build_model
from optimizer.highs import Effort, compile_model, solve_matrix
from tests.optimizer.certificate_problems import random_problem
from tests.optimizer.problems import make_problem

if TYPE_CHECKING:
    from optimizer.problem import DispatchProblem

ROOMS = ("charge_room", "discharge_room")


def objective(problem: DispatchProblem, *, rooms: bool, relaxed: bool = False) -> float:
    """Optimum with every exclusion binary, with or without the tightening, or of its relaxation."""
    model = build_model(Layout(problem, np.ones(problem.shape, dtype=bool)))
    for name in ROOMS:
        row = model.component(name)
        if row is not None and not rooms:
            row.deactivate()
    if relaxed:
        pyo.TransformationFactory("core.relax_integer_vars").apply_to(model)
    return solve_matrix(compile_model(model), Effort()).objective


@given(st.integers(0, 2**32 - 1), st.booleans(), st.sampled_from([0.8, 1.0, 1.3]))
@settings(max_examples=25, deadline=None)
def test_the_optimum_is_the_same_with_and_without(seed: int, discrete: bool, better: float) -> None:
    """With standing loss, inflow, usage, bands that move, and efficiencies above 1."""
    problem = random_problem(seed, discrete=discrete, odd_prices=True)
    b = problem.batteries
    inflow = b.inflow_kw + np.random.default_rng(seed).uniform(-0.4, 0.6, b.inflow_kw.shape)
    lossy = replace(
        b,
        efficiency_charge=b.efficiency_charge * better,
        standing_loss_per_h=np.full(len(b), 0.05),
        inflow_kw=inflow,
    )
    problem = replace(problem, batteries=lossy)
    plain, tight = objective(problem, rooms=False), objective(problem, rooms=True)
    tolerance = 1e-7 * (1 + abs(plain)) + 1e-8 * problem.firm_price_per_kwh
    assert tight == pytest.approx(plain, abs=tolerance)


def test_it_tightens_what_would_burn_energy() -> None:
    """A store with little room, filled by one leg while the other empties it."""
    lossy = {"efficiency_charge": 0.8, "efficiency_discharge": 0.8, "energy_kwh_max": 3.0}
    problem = make_problem(batteries=[{**lossy, "energy_kwh_initial": 1.0}], price_import=-0.3)
    optimum = objective(problem, rooms=True)
    loose = objective(problem, rooms=False, relaxed=True)
    tight = objective(problem, rooms=True, relaxed=True)
    assert loose < tight - 0.1
    assert tight <= optimum + 1e-9
