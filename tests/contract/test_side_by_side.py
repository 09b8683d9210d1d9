"""The side-by-side: one instance for all, and a score that no contestant can talk around."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.peers.compare import Comparison
from benchmarks.peers.contestants import Limits, named
from benchmarks.peers.instance import Recipe
from benchmarks.peers.score import score
from optimizer.solve import solve


@pytest.mark.parametrize("discrete", [0.0, 0.3])
def test_a_matrix_written_by_hand_earns_what_the_model_earns(discrete: float) -> None:
    recipe = Recipe(60, 12, "heavy", discrete=discrete, price_min=0.02)
    comparison = Comparison(recipe, Limits(time_s=60.0))
    model, by_hand = (comparison.run(who) for who in named("monolith,arrays-milp"))
    assert model.finished, model.note
    assert by_hand.finished, by_hand.note
    assert by_hand.breaks == {}
    assert by_hand.profit == pytest.approx(model.profit, rel=2e-4)


def test_a_score_is_the_certificate_and_names_what_is_broken() -> None:
    problem = Recipe(60, 12, price_min=0.02).problem()
    plan = solve(problem, solver="monolith")
    assert plan.certificate is not None
    powers = (plan.p_charge_kw, plan.p_discharge_kw)
    found = score(problem, *powers, plan.certificate.profit_bound)
    assert found.breaks == {}
    assert found.profit == pytest.approx(plan.certificate.profit, rel=1e-9)
    assert found.gap == pytest.approx(plan.certificate.gap, abs=1e-9)
    both = score(problem, plan.p_charge_kw + 0.1, plan.p_discharge_kw + 0.1, None)
    assert "exclusion" in both.breaks
    most = problem.batteries.p_charge_kw_max
    assert "limit" in score(problem, 9 * most, np.zeros_like(most), None).breaks
