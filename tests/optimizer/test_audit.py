"""A drawn area of a plan beside the model: it agrees with good plans and not with bad ones."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from optimizer import audit as auditing
from optimizer.audit import AuditWarning, audit, audited
from optimizer.engine.engine import solve_structured
from optimizer.engine.features import not_carried
from optimizer.plan import Plan, Status
from optimizer.plan_file import read_plan, write_plan
from optimizer.solve import solve
from tests.optimizer.certificate_problems import random_problem
from tests.optimizer.engine.test_engine import carried, fleet

if TYPE_CHECKING:
    from pathlib import Path

    from optimizer.problem import DispatchProblem


def by_model(part: DispatchProblem) -> Plan:
    return solve(part, solver="monolith")


def with_dearer_wear(part: DispatchProblem) -> Plan:
    """A model that does not mean what was asked."""
    b = part.batteries
    dearer = replace(b, wear_cost_discharge_per_kwh=b.wear_cost_discharge_per_kwh + 0.03)
    return by_model(replace(part, batteries=dearer))


@pytest.mark.parametrize("most", [1, 2])
def test_areas_of_optimal_plans_agree(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """At outer prices an area stands alone, whatever it has: sites, limits, network rows, ramps."""
    monkeypatch.setattr(auditing, "BATTERIES_MOST", most)
    areas, crossed = [], 0
    for seed in range(100 * most, 100 * most + 60):
        plan = solve(random_problem(seed), solver="monolith")
        assert plan.solver is not None
        if plan.solver.binaries:
            continue
        found = audit(plan, by_model)
        assert found.agrees, f"seed {seed}: {found}"
        assert found.batteries <= most
        areas.append(found.area.split(" ")[0])
        assert plan.multipliers is not None
        priced = plan.multipliers.network_max_per_kw - plan.multipliers.network_min_per_kw
        crossed += bool(priced.any()) and found.area != "everything"
    assert "group" in areas
    assert crossed >= 3


@pytest.mark.parametrize("most", [1, 2])
def test_areas_of_the_engines_plans_agree(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditing, "BATTERIES_MOST", most)
    areas = []
    for seed in range(100 * most, 100 * most + 60):
        problem = carried(random_problem(seed, shared=False))
        if not_carried(problem):
            continue
        found = audit(solve_structured(problem, gap=1e-7, threads=1), by_model)
        assert found.agrees, f"seed {seed}: {found}"
        assert found.batteries <= most
        areas.append(found.area.split(" ")[0])
    assert len(areas) >= 10


def test_the_same_plan_draws_the_same_area(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditing, "BATTERIES_MOST", 30)
    plan = solve_structured(fleet(), threads=1)
    assert audit(plan, by_model) == audit(plan, by_model)


def test_an_area_below_limits_that_bind_agrees_only_at_their_prices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(auditing, "BATTERIES_MOST", 30)
    limits = [{"group": "top", "p_kw_max": 24.0, "p_kw_min": -24.0}]
    plan = solve_structured(fleet(limits=limits), gap=1e-7, threads=1)
    found = audit(plan, by_model)
    assert found.agrees, str(found)
    assert found.area.startswith("group feeder")
    assert plan.multipliers is not None
    unpriced = np.zeros_like(plan.multipliers.limit_max_per_kw)
    without = replace(plan, multipliers=replace(plan.multipliers, limit_max_per_kw=unpriced))
    assert not audit(without, by_model).agrees


@pytest.mark.parametrize("how", ["another model", "a plan that rests"])
def test_what_does_not_agree_is_loud(how: str) -> None:
    plan = solve_structured(fleet(), gap=1e-6, threads=1)
    model = by_model
    if how == "another model":
        model = with_dearer_wear
    else:
        rest = np.zeros_like(plan.p_charge_kw)
        plan = replace(plan, p_charge_kw=rest, p_discharge_kw=rest)
    with pytest.warns(AuditWarning, match="does not agree"):
        found = audited(plan, model)
    assert found.status is Status.FEASIBLE
    assert found.solver is not None
    assert found.solver.audit is not None
    assert not found.solver.audit.agrees


def test_structured_solves_are_audited_and_say_so(tmp_path: Path) -> None:
    plan = solve(fleet(), solver="structured")
    assert plan.solver is not None
    assert plan.solver.audit is not None
    assert plan.solver.audit.agrees
    assert "audit" in plan.solver.seconds
    without = solve(fleet(), solver="structured", audit=False)
    assert without.solver is not None
    assert without.solver.audit is None
    assert "audit" not in without.solver.seconds
    write_plan(plan, tmp_path / "plan.json")
    again = read_plan(tmp_path / "plan.json").solver
    assert again is not None
    assert again.audit == plan.solver.audit
