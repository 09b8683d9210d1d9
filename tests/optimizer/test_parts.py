"""A problem part by part says what the whole says, whatever the parts and threads."""

from __future__ import annotations

import numpy as np
import pytest

import optimizer.parts
from optimizer.certificate import certify, check
from optimizer.parts import over_parts
from optimizer.solve import solve
from optimizer.sums import add_rows
from tests.optimizer.certificate_problems import random_problem


@pytest.mark.parametrize("seed", range(40))
def test_parts_of_one_battery_give_the_same_certificate(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = solve(random_problem(seed), solver="monolith")
    monkeypatch.setattr(optimizer.parts, "ROWS_PER_PART", 1)
    again = certify(plan)
    assert plan.certificate is not None
    for name in ("cost", "penalty", "profit", "worst_violation"):
        found, said = getattr(again, name), getattr(plan.certificate, name)
        assert found == pytest.approx(said, rel=1e-12, abs=1e-12)


def test_the_worst_violation_is_that_of_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimizer.parts, "ROWS_PER_PART", 2)
    plan = solve(random_problem(3), solver="monolith")
    plan.p_charge_kw[-1, 0] += 0.3
    assert plan.certificate is not None
    worst = max(violation.relative for violation in check(plan))
    assert certify(plan).worst_violation == pytest.approx(worst)


def test_parts_hold_their_own_targets_and_come_in_order() -> None:
    problem = random_problem(11)
    found = over_parts(problem, lambda rows, part: (rows.start, len(part.targets)), threads=2)
    assert [start for start, _ in found] == sorted(start for start, _ in found)
    assert sum(count for _, count in found) == len(problem.targets)


@pytest.mark.parametrize("ordered", [True, False])
def test_rows_are_added_where_numpy_adds_them(ordered: bool) -> None:
    rng = np.random.default_rng(0)
    group = rng.integers(-1, 7, 200)
    group = np.sort(group) if ordered else group
    values = rng.normal(size=(200, 5))
    totals, expected = np.ones((8, 5)), np.ones((8, 5))
    add_rows(totals, group, values)
    np.add.at(expected, group, values)
    np.testing.assert_allclose(totals, expected, atol=1e-12)
