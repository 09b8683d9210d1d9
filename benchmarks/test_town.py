"""The town: what planning one day takes, phase by phase, and what the gate takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_benchmark.fixture import BenchmarkFixture

    from gridsim.study.study import Study


@pytest.fixture(scope="module")
def town(study_of: Callable[[str], Study]) -> Study:
    return study_of("town")


@pytest.mark.benchmark(group="town: plan")
@pytest.mark.parametrize("grid_limits", [True, False], ids=["with_ratings", "by_price_alone"])
def test_plan(benchmark: BenchmarkFixture, town: Study, grid_limits: bool) -> None:
    town.plan(grid_limits=grid_limits)
    kwargs = {"grid_limits": grid_limits}
    plan = benchmark.pedantic(town.plan, kwargs=kwargs, rounds=3)
    assert plan.solver is not None
    assert plan.certificate is not None
    benchmark.extra_info.update({f"{k}_s": v for k, v in plan.solver.seconds.items()})
    benchmark.extra_info["gap"] = plan.certificate.gap


@pytest.mark.benchmark(group="town: gate")
def test_gate(benchmark: BenchmarkFixture, town: Study) -> None:
    plan = town.plan()
    town.validate(plan)
    verdict = benchmark.pedantic(town.validate, args=(plan,), rounds=3)
    benchmark.extra_info.update({f"{k}_s": v for k, v in verdict.seconds.items()})
