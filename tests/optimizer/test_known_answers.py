"""Cases from the test suites and examples of other systems; each file names its source."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from optimizer.errors import InfeasibleError
from optimizer.plan_file import plan_document
from optimizer.reading import read_problem
from optimizer.solve import solve

if TYPE_CHECKING:
    from optimizer.plan import Plan

CASES = sorted((Path(__file__).parent.parent / "cases" / "dispatch").glob("*.json"))
COST_TOLERANCE = 1e-6
SCHEDULE_TOLERANCE = 1e-4


def _close(value: object, expected: object, tolerance: float) -> bool:
    return bool(np.allclose(value, expected, rtol=tolerance, atol=tolerance))


@pytest.fixture(scope="module", params=CASES, ids=lambda path: path.stem)
def case(request: pytest.FixtureRequest) -> tuple[dict, Plan]:
    content = json.loads(request.param.read_text())
    return content["expect"], solve(read_problem(content["problem"]))


def test_cost_and_schedule_are_the_known_ones(case: tuple[dict, Plan]) -> None:
    expect, plan = case
    names = list(plan.problem.batteries.battery_id)
    if "cost" in expect:
        assert plan.certificate.cost == pytest.approx(expect["cost"], rel=COST_TOLERANCE, abs=1e-9)
    for name, p_kw in expect.get("p_kw", {}).items():
        assert _close(plan.p_kw.sel(battery=name), p_kw, SCHEDULE_TOLERANCE)
    for name, spans in expect.get("mean_p_kw", {}).items():
        for span, mean in spans.items():
            first, last = map(int, span.split(":"))
            assert _close(plan.p_kw.sel(battery=name)[first:last].mean(), mean, SCHEDULE_TOLERANCE)
    for name, energies in expect.get("energy_kwh", {}).items():
        for instant, energy in energies.items():
            found = plan.energy_kwh[names.index(name), int(instant)]
            assert found == pytest.approx(energy, rel=SCHEDULE_TOLERANCE)
    for name, most in expect.get("energy_kwh_never_above", {}).items():
        assert plan.energy_kwh[names.index(name)].max() <= most * (1 + 1e-9)


def test_what_is_missing_is_reported_by_name_and_size(case: tuple[dict, Plan]) -> None:
    expect, plan = case
    report = {row["battery_id"]: row for row in plan_document(plan)["targets"]}
    for key in ("missing_kwh", "surplus_kwh"):
        for name, size in expect.get(key, {}).items():
            assert report[name][key] == pytest.approx(size, rel=1e-6, abs=1e-6)
            if size > 0:
                breach = next(b for b in plan.breaches if b.name == name)
                assert breach.size == pytest.approx(size, rel=1e-6)
    if "missing_kwh_in_all" in expect:
        missing = sum(row["missing_kwh"] for row in report.values())
        assert missing == pytest.approx(expect["missing_kwh_in_all"], rel=1e-6)
    for name, least in expect.get("margin_at_least_kwh", {}).items():
        assert report[name]["margin_kwh"] >= least
    if "status" in expect:
        assert plan.status.value == expect["status"]


def test_the_certificate_closes(case: tuple[dict, Plan]) -> None:
    _, plan = case
    assert plan.certificate.worst_violation <= 1e-6
    assert -1e-6 <= plan.certificate.gap <= 1e-4


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_strict_mode_names_what_cannot_be_kept(path: Path) -> None:
    content = json.loads(path.read_text())
    if "strict_names" not in content["expect"]:
        return
    with pytest.raises(InfeasibleError) as error:
        solve(read_problem(content["problem"]), strict=True)
    for words in content["expect"]["strict_names"]:
        assert words in str(error.value)
